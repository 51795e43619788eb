//! Engines: ways of sending and receiving, behind one shape each, so that loops and probes see
//! single datagrams only.
//!
//! An engine is one file here and one line in `run/dispatch.rs`.

mod arena;
mod null;
mod plain;

pub use null::{NullLink, NullRx, NullTx};
pub use plain::{PlainRx, PlainTx};

use crate::sys::SendError;

/// What one push did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Push {
    /// Datagrams that left, the first ones of the lease.
    pub sent: usize,
    /// Why the one after those did not; those behind it were not tried.
    pub refused: Option<SendError>,
    /// System calls made.
    pub syscalls: u64,
}

/// What one pull did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pull {
    /// Datagrams to visit.
    pub datagrams: usize,
    /// System calls made.
    pub syscalls: u64,
    /// Calls that failed for another reason than an empty queue.
    pub errors: u64,
    /// Whether the queue was found empty.
    pub drained: bool,
}

/// A way of sending: lease slots, stamp them, push, reclaim.
pub trait Tx {
    /// The most datagrams that one push takes; `paced`: where each has a moment of its own.
    fn batch(&self, paced: bool) -> usize;

    /// Up to `want` slots to stamp, each [`Tx::stride`] bytes apart, filled with payload already.
    fn lease(&mut self, want: usize) -> &mut [u8];

    /// Distance of slots in bytes.
    fn stride(&self) -> usize;

    /// Sends the first `count` leased slots on `flow` (dense, from 0), the first of which has this
    /// sequence number: it decides the payload's size.
    fn push(&mut self, flow: usize, first_sequence: u64, count: usize) -> Push;

    /// Takes back slots that have left, where the kernel borrows them.
    fn reclaim(&mut self) {}

    /// The sockets by flow, for waiting; none where there are none.
    fn sockets(&mut self) -> &mut [mio::net::UdpSocket] {
        &mut []
    }
}

/// A way of receiving: pull, visit each, release.
pub trait Rx {
    /// Receives what there is, up to a batch.
    fn pull(&mut self) -> Pull;

    /// Shows each datagram of the latest pull, in order of arrival.
    fn each(&self, visit: impl FnMut(&[u8]));

    /// Begins a new phase, in which every flow counts from 0.
    fn restart(&mut self) {}

    /// Gives the buffers of the latest pull back.
    fn release(&mut self) {}

    /// The socket, for waiting and for its drop counter; none where there is none.
    fn sockets(&mut self) -> &mut [mio::net::UdpSocket] {
        &mut []
    }
}
