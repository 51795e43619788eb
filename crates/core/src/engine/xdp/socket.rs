//! What a receiver waits for: the AF_XDP sockets of its queues, and signals of other threads.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::net::Datagram;
use crate::sys::SendError;

/// A file descriptor to wait for.
#[derive(Debug)]
pub struct XdpSocket(OwnedFd);

impl XdpSocket {
    /// The same file by another descriptor.
    // cold: set-up
    pub(super) fn of(file: &impl AsFd) -> io::Result<Self> {
        file.as_fd().try_clone_to_owned().map(Self)
    }
}

impl AsFd for XdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Source for XdpSocket {
    fn register(&mut self, to: &Registry, token: Token, of: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).register(to, token, of)
    }

    fn reregister(&mut self, to: &Registry, token: Token, of: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).reregister(to, token, of)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).deregister(from)
    }
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Frames come from the ring, so calls that send or receive are unsupported.
impl Datagram for XdpSocket {
    type Address = SocketAddr;

    fn unreported() -> SendError {
        SendError::Unexplained
    }

    fn ip(to: SocketAddr) -> SocketAddr {
        to
    }

    fn send(&self, _payload: &[u8]) -> io::Result<usize> {
        unsupported()
    }

    fn send_to(&self, _payload: &[u8], _to: SocketAddr) -> io::Result<usize> {
        unsupported()
    }

    fn recv_from(&self, _slot: &mut [u8]) -> io::Result<usize> {
        unsupported()
    }

    fn drain_error_queue(&self) -> Option<SendError> {
        None
    }

    /// Its ring counts: [`crate::engine::Rx::ring_counter`].
    fn drops(&self) -> Option<u32> {
        None
    }
}
