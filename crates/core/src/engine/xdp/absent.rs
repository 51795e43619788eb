//! Inert twin of the engine `xdp` for builds without it: it cannot be created.
#![allow(missing_docs)]

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;

use super::{Pull, Push, Rx, Tx, XdpOptions};
use crate::sys::PortRule;
use crate::unit::{Nanos, PayloadSize};

/// Whether this build has the engine.
pub const IS_BUILT_IN: bool = false;

pub const QUEUE_BYTES: u64 = 0;

const WHY: &str = "this build has no feature xdp; build with --features xdp, on Linux";

pub(crate) fn probe() -> Result<String, String> {
    Err(WHY.to_owned())
}

fn absent<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, WHY))
}

#[derive(Debug)]
pub struct XdpTx(Infallible);

impl XdpTx {
    pub fn new(
        _sockets: Vec<UdpSocket>,
        _to: SocketAddr,
        _size: PayloadSize,
        _options: &XdpOptions,
        _is_constant: bool,
        _fill: impl Fn(&mut [u8]),
    ) -> io::Result<Self> {
        absent()
    }
}

impl Tx for XdpTx {
    type Socket = UdpSocket;

    inert! {
        batch(&self, _: bool) -> usize = match self.0 {};
        lease(&mut self, _: usize) -> &mut [u8] = match self.0 {};
        stride(&self) -> usize = match self.0 {};
        push(&mut self, _: usize, _: u64, _: usize) -> Push = match self.0 {};
    }
}

#[derive(Debug)]
pub struct XdpRx(Infallible);

impl XdpRx {
    pub fn new(
        _socket: UdpSocket,
        _local: SocketAddr,
        _size: PayloadSize,
        _options: &XdpOptions,
        _rule: PortRule,
    ) -> io::Result<Self> {
        absent()
    }

    pub fn for_streams(
        _sockets: Vec<UdpSocket>,
        _size: PayloadSize,
        _options: &XdpOptions,
    ) -> io::Result<Self> {
        absent()
    }
}

impl Rx for XdpRx {
    type Socket = UdpSocket;

    inert! {
        pull(&mut self) -> Pull = match self.0 {};
        each(&self, _: impl FnMut(&[u8], Option<Nanos>)) -> () = match self.0 {};
    }
}
