//! AF_UNIX stub for systems without AF_UNIX datagrams.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::super::Datagram;
use super::{UnixError, UnixName};
use crate::sys::SendError;

/// A socket that cannot exist.
#[derive(Debug)]
pub enum NoSocket {}

/// An AF_UNIX datagram socket: not here.
#[derive(Debug)]
pub struct Unix {
    /// Never.
    pub socket: NoSocket,
    /// Never.
    pub send_buffer: Option<usize>,
}

/// The file of a bound socket: not here.
#[derive(Debug)]
pub struct UnixFile;

impl Unix {
    /// Not possible here.
    pub fn bind(_name: &UnixName, _buffer: usize) -> Result<(Self, Option<UnixFile>), UnixError> {
        Err(UnixError::Absent)
    }

    /// Not possible here.
    pub fn connect(_name: &UnixName, _buffer: usize) -> Result<Self, UnixError> {
        Err(UnixError::Absent)
    }

    /// Not possible here.
    pub fn recv_from(&self, _slot: &mut [u8]) -> io::Result<(usize, Option<UnixName>)> {
        match self.socket {}
    }

    /// Not possible here.
    pub fn send_to(&self, _payload: &[u8], _to: &UnixName) -> io::Result<usize> {
        match self.socket {}
    }
}

impl Source for NoSocket {
    fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        match *self {}
    }

    fn reregister(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        match *self {}
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        match *self {}
    }
}

impl Datagram for NoSocket {
    type Address = Infallible;

    fn unreported() -> SendError {
        SendError::WouldBlock
    }

    fn ip(to: Infallible) -> SocketAddr {
        match to {}
    }

    fn send(&self, _payload: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    fn send_to(&self, _payload: &[u8], to: Infallible) -> io::Result<usize> {
        match to {}
    }

    fn recv_from(&self, _slot: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    fn drain_error_queue(&self) -> Option<SendError> {
        match *self {}
    }
}
