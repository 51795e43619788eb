//! Sockets, waiting for them, and placement of threads on cores.

mod bound;
mod group;
mod options;
mod pacing;
mod passed;
mod realtime_workers;
mod socket;
pub mod steer;
pub mod stream;
mod thread;
pub mod unix;
mod wait;

pub use bound::{Bound, BoundSender, MAX_DATAGRAM};
pub use group::{Group, GroupOptions, Slot};
pub use options::{GroupJoin, Options, Ports};
pub use pacing::{PacingError, departure_clock, enable_departures, set_pacing_rate};
pub use passed::PassedSockets;
pub use realtime_workers::{
    REALTIME_PRIORITY, RealtimeError, RealtimeWorker, locked_bytes, may_be_realtime,
    prepare_realtime, realtime_workers,
};
pub use socket::{SocketError, Udp, max_queued, message_of};
pub use thread::{NetnsError, PinError, TIMER_SLACK_NS, enter_netns, pin_to};
pub use unix::{Unix, UnixError, UnixFile, UnixName};
pub use wait::{Waited, Waiter};

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;

use mio::event::Source;
use mio::net::UdpSocket;

use crate::sys::{self, Handle, SendError};

/// An error of sockets, waiting or thread placement.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum NetError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Unix(#[from] UnixError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Pacing(#[from] PacingError),
    #[error(transparent)]
    Realtime(#[from] RealtimeError),
    #[error(transparent)]
    Netns(#[from] NetnsError),
    #[error("cannot set up engine {engine}: {source}; run `udperf doctor` for details")]
    Engine { engine: &'static str, source: io::Error },
    #[error("cannot wait for sockets: {source}; raise the limit of open files (ulimit -n)")]
    Poll { source: io::Error },
}

/// A non-blocking datagram socket of any family; engines are generic over it.
pub trait Datagram: Source + Handle + Debug {
    /// The address type of sends from unconnected sockets.
    type Address: Copy + Debug;

    /// The error of a batch call that stopped after its first message without a reason.
    fn unreported() -> SendError;

    /// The address as a socket address.
    fn ip(to: Self::Address) -> SocketAddr;

    /// Sends to the peer that the socket is connected to.
    fn send(&self, payload: &[u8]) -> io::Result<usize>;

    /// Sends to this address.
    fn send_to(&self, payload: &[u8], to: Self::Address) -> io::Result<usize>;

    /// Receives a datagram with its sender's address; returns its length.
    fn recv_from(&self, slot: &mut [u8]) -> io::Result<usize>;

    /// Empties the error queue; returns the latest error.
    fn drain_error_queue(&self) -> Option<SendError>;

    /// Its drop counter, modulo 2³²; `None` if it has none.
    fn drops(&self) -> Option<u32>
    where
        Self: Sized,
    {
        sys::socket_drops(self)
    }
}

impl Datagram for UdpSocket {
    type Address = SocketAddr;

    fn unreported() -> SendError {
        SendError::Unexplained
    }

    fn ip(to: SocketAddr) -> SocketAddr {
        to
    }

    #[inline]
    fn send(&self, payload: &[u8]) -> io::Result<usize> {
        sys::send(self, payload)
    }

    #[inline]
    fn send_to(&self, payload: &[u8], to: SocketAddr) -> io::Result<usize> {
        sys::send_to(self, payload, to)
    }

    #[inline]
    fn recv_from(&self, slot: &mut [u8]) -> io::Result<usize> {
        sys::recv_from(self, slot).map(|(received, _from)| received)
    }

    fn drain_error_queue(&self) -> Option<SendError> {
        sys::drain_error_queue(self).1
    }
}
