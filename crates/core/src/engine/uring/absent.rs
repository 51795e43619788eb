//! Inert twin of the engine `uring` for builds without it: it cannot be created.
#![allow(missing_docs)]

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;

use mio::net::UdpSocket;

use super::{Datagram, Pull, Push, Rx, Tx};
use crate::engine::echo::{EchoCounters, ReplyFilter, Responder};
use crate::sys::Reply;
use crate::unit::{Nanos, PayloadSize};

/// Whether this build has the engine.
pub const IS_BUILT_IN: bool = false;

fn absent<T>() -> io::Result<T> {
    let why = "this build has no feature uring; build with --features uring, on Linux";
    Err(io::Error::new(io::ErrorKind::Unsupported, why))
}

#[derive(Debug)]
pub struct UringTx<S = UdpSocket>(Infallible, PhantomData<S>);

impl<S: Datagram> UringTx<S> {
    pub fn new(
        _sockets: Vec<S>,
        _to: Option<S::Address>,
        _size: PayloadSize,
        _batch: Option<usize>,
        _fill: impl Fn(&mut [u8]),
    ) -> io::Result<Self> {
        absent()
    }
}

impl<S: Datagram> Tx for UringTx<S> {
    type Socket = S;

    inert! {
        batch(&self, _: bool) -> usize = match self.0 {};
        lease(&mut self, _: usize) -> &mut [u8] = match self.0 {};
        stride(&self) -> usize = match self.0 {};
        push(&mut self, _: usize, _: u64, _: usize) -> Push = match self.0 {};
    }
}

#[derive(Debug)]
pub struct UringRx<S = UdpSocket>(Infallible, PhantomData<S>);

impl<S: Datagram> UringRx<S> {
    pub fn new(
        _socket: S,
        _size: PayloadSize,
        _batch: Option<usize>,
        _stamps: bool,
    ) -> io::Result<Self> {
        absent()
    }
}

impl<S: Datagram> Rx for UringRx<S> {
    type Socket = S;

    inert! {
        pull(&mut self) -> Pull = match self.0 {};
        each(&self, _: impl FnMut(&[u8], Option<Nanos>)) = match self.0 {};
    }
}

#[derive(Debug)]
pub struct UringEcho(Infallible);

impl UringEcho {
    pub fn new(_socket: UdpSocket, _ipv6: bool, _anywhere: bool) -> io::Result<Self> {
        absent()
    }
}

impl Responder for UringEcho {
    inert! {
        turn(&mut self, _: &mut impl ReplyFilter, _: &mut EchoCounters) -> bool = match self.0 {};
        send<'a>(&mut self, _: impl Iterator<Item = Reply<'a>> + Clone, _: &mut EchoCounters) =
            match self.0 {};
        sockets(&mut self) -> &mut [UdpSocket] = match self.0 {};
    }
}
