//! Where a client's control messages come in and go out, whichever family carries them.

use std::io;

use mio::event::Source;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::engine::explained;
use super::{Unix, UnixFile};
use crate::sys::{self, Unreachable};

/// A socket for control messages with one peer.
#[derive(Debug)]
pub enum Door {
    /// Of UDP.
    Udp(UdpSocket),
    /// Of AF_UNIX, with its file.
    Unix(Unix, Option<UnixFile>),
}

impl Door {
    /// Receives a datagram from the peer; its length.
    ///
    /// # Errors
    /// What recv(2) says.
    pub fn recv(&self, slot: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => socket.recv(slot),
            Self::Unix(unix, _) => unix.recv_from(slot).map(|(len, _)| len),
        }
    }

    /// Why the peer is unreachable, if an error of [`Self::recv`] or [`Self::send`] reports that.
    #[must_use]
    pub fn unreachable(&self, error: &io::Error) -> Option<Unreachable> {
        let error = match self {
            Self::Udp(socket) => explained(sys::refusal_of(error), socket),
            Self::Unix(unix, _) => explained(sys::refusal_of(error), &unix.socket),
        };
        error.unreachable()
    }

    /// Sends to the peer.
    ///
    /// # Errors
    /// What send(2) says.
    pub fn send(&self, payload: &[u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => socket.send(payload),
            Self::Unix(unix, _) => super::Datagram::send(&unix.socket, payload),
        }
    }
}

impl Source for Door {
    fn register(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.register(to, token, interests),
            Self::Unix(unix, _) => unix.socket.register(to, token, interests),
        }
    }

    fn reregister(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.reregister(to, token, interests),
            Self::Unix(unix, _) => unix.socket.reregister(to, token, interests),
        }
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.deregister(from),
            Self::Unix(unix, _) => unix.socket.deregister(from),
        }
    }
}
