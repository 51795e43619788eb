//! Inert twin for systems without AF_UNIX datagrams: no socket can be opened.
#![allow(missing_docs)]

use std::io;

use super::{UnixError, UnixName};
use crate::net::stream::{Listener, Stream};

/// An AF_UNIX datagram socket. The type of `socket` is arbitrary, as there is none.
#[derive(Debug)]
pub struct Unix {
    pub socket: mio::net::UdpSocket,
    pub send_buffer: Option<usize>,
}

#[derive(Debug)]
pub struct UnixFile;

impl Unix {
    pub fn bind(_name: &UnixName, _buffer: usize) -> Result<(Self, Option<UnixFile>), UnixError> {
        Err(UnixError::Absent)
    }

    pub fn connect(_name: &UnixName, _buffer: usize) -> Result<Self, UnixError> {
        Err(UnixError::Absent)
    }

    pub fn recv_from(&self, _slot: &mut [u8]) -> io::Result<(usize, Option<UnixName>)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn send_to(&self, _payload: &[u8], _to: &UnixName) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub fn connect_unix(_name: &UnixName) -> Result<Box<dyn Stream>, UnixError> {
    Err(UnixError::Absent)
}

pub fn listen_unix(_name: &UnixName) -> Result<(Box<dyn Listener>, Option<UnixFile>), UnixError> {
    Err(UnixError::Absent)
}
