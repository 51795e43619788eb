//! Stubs for systems without AF_UNIX datagrams: no socket can be opened.
#![allow(missing_docs)]

use std::io;

use super::{UnixError, UnixName};
use crate::net::stream::{Listener, Stream};
use crate::sys::inert;

/// An AF_UNIX datagram socket. The type of `socket` is arbitrary, as there is none.
#[derive(Debug)]
pub struct Unix {
    pub socket: mio::net::UdpSocket,
    pub send_buffer: Option<usize>,
}

#[derive(Debug)]
pub struct UnixFile;

impl Unix {
    inert! {
        bind(_: &UnixName, _: usize) -> Result<(Self, Option<UnixFile>), UnixError> =
            Err(UnixError::Absent);
        connect(_: &UnixName, _: usize) -> Result<Self, UnixError> = Err(UnixError::Absent);
        recv_from(&self, _: &mut [u8]) -> io::Result<(usize, Option<UnixName>)> =
            Err(io::ErrorKind::Unsupported.into());
        send_to(&self, _: &[u8], _: &UnixName) -> io::Result<usize> =
            Err(io::ErrorKind::Unsupported.into());
    }
}

inert! {
    connect_unix(_: &UnixName) -> Result<Box<dyn Stream>, UnixError> = Err(UnixError::Absent);
    listen_unix(_: &UnixName) -> Result<(Box<dyn Listener>, Option<UnixFile>), UnixError> =
        Err(UnixError::Absent);
}
