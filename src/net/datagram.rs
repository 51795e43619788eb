//! What engines ask of a datagram socket, of whichever family.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;

use mio::event::Source;
use mio::net::UdpSocket;

use crate::sys::{self, Handle, SendError};

/// A datagram socket, bound or connected already, that does not block. Engines are generic over
/// it, so that each family has loops of its own and none pays for the other.
pub trait Datagram: Source + Handle + Debug {
    /// Where one sends that is not connected.
    type Address: Copy + Debug;

    /// Why a batch call broke off behind its first message, where the same call then went through:
    /// what the system kept to itself is over.
    fn untold() -> SendError;

    /// The address as the system takes it.
    fn ip(to: Self::Address) -> SocketAddr;

    /// Sends to the peer that the socket is connected to.
    ///
    /// # Errors
    /// What send(2) says.
    fn send(&self, payload: &[u8]) -> io::Result<usize>;

    /// Sends to this address.
    ///
    /// # Errors
    /// What sendto(2) says.
    fn send_to(&self, payload: &[u8], to: Self::Address) -> io::Result<usize>;

    /// Receives a datagram with its sender's address; returns its length.
    ///
    /// # Errors
    /// What recvfrom(2) says.
    fn recv_from(&self, slot: &mut [u8]) -> io::Result<usize>;

    /// Empties the queue of errors that came back for earlier datagrams; returns the latest.
    fn take_queued_refusal(&self) -> Option<SendError>;
}

impl Datagram for UdpSocket {
    type Address = SocketAddr;

    fn untold() -> SendError {
        SendError::Untold
    }

    fn ip(to: SocketAddr) -> SocketAddr {
        to
    }

    #[inline]
    fn send(&self, payload: &[u8]) -> io::Result<usize> {
        Self::send(self, payload)
    }

    #[inline]
    fn send_to(&self, payload: &[u8], to: SocketAddr) -> io::Result<usize> {
        Self::send_to(self, payload, to)
    }

    #[inline]
    fn recv_from(&self, slot: &mut [u8]) -> io::Result<usize> {
        Self::recv_from(self, slot).map(|(received, _from)| received)
    }

    fn take_queued_refusal(&self) -> Option<SendError> {
        sys::take_queued_refusal(self)
    }
}
