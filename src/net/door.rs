//! Where control messages come in and go out, whichever family carries them.

use std::io;

use mio::event::Source;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::{Unix, UnixFile};
use crate::unit::Place;

/// Bytes of the largest datagram (RFC 768).
pub const LARGEST: usize = 65_535;

/// A socket for control messages.
#[derive(Debug)]
pub enum Door {
    /// Of UDP.
    Udp(UdpSocket),
    /// Of AF_UNIX, with its file.
    Unix(Unix, Option<UnixFile>),
}

impl Door {
    /// Receives a datagram; its length, and who sent it: `None` has no name.
    ///
    /// # Errors
    /// What recvfrom(2) says.
    pub fn recv_from(&self, slot: &mut [u8]) -> io::Result<(usize, Option<Place>)> {
        match self {
            Self::Udp(socket) => {
                socket.recv_from(slot).map(|(len, from)| (len, Some(Place::Ip(from))))
            }
            Self::Unix(unix, _) => {
                unix.recv_from(slot).map(|(len, from)| (len, from.map(Place::Unix)))
            }
        }
    }

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

    /// Sends there, if this socket is of that family; whether it is. What the system refuses is as
    /// good as lost.
    pub fn send_to(&self, payload: &[u8], to: &Place) -> bool {
        match (self, to) {
            (Self::Udp(socket), Place::Ip(to)) => {
                let local = socket.local_addr();
                let fits = local.is_ok_and(|local| local.is_ipv4() == to.is_ipv4());
                fits && socket.send_to(payload, *to).map_or(true, |_| true)
            }
            (Self::Unix(unix, _), Place::Unix(to)) => {
                unix.send_to(payload, to).map_or(true, |_| true)
            }
            _ => false,
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
