//! Responders: ways of returning each datagram to whoever sent it, behind one shape, so that the
//! loop of an echo server sees no difference.
//!
//! An answer leaves from the address that its request was sent to, also where the socket is bound
//! to any address; only where the system cannot tell that address, it leaves from the one that
//! routing chooses.

mod many;
pub(super) mod plain;
pub(super) mod post;

pub use many::ManyEcho;
pub use plain::{PlainEcho, PlainEchoAnywhere};

use std::net::SocketAddr;

use mio::net::UdpSocket;

pub use crate::measure::EchoCounters;
use crate::sys::{LocalAddr, Reply, Request, SendError};

/// Bytes of a buffer: what the longest UDP payload and so the longest super-packet takes.
pub(super) const SLOT_LEN: usize = 65_536;

/// Datagrams of one turn where the queue does not run empty, so that the loop gets to look at its
/// clock; as many as share a clock read in the receiving engine of that name.
const PLAIN_TURN: usize = super::plain::RX_BATCH;

/// Who decides what becomes of what was received.
pub trait ReplyFilter {
    /// Takes note that something was read just now, before it is judged.
    fn read(&mut self);

    /// How many bytes of this packet are to be returned at once, from its beginning; `None`: none
    /// of it is. Segments that are not to be returned are taken out from between the others.
    fn judge(&mut self, request: &mut Request<'_>) -> Option<usize>;
}

impl EchoCounters {
    /// Counts a packet that came.
    #[inline]
    pub(super) fn came(&mut self, request: &Request<'_>) {
        let len = request.payload.len();
        self.received +=
            if len > request.segment { len.div_ceil(request.segment) as u64 } else { 1 };
        self.received_bytes += len as u64;
        self.packets += 1;
        self.truncated += u64::from(request.truncated);
    }

    /// Counts a packet that went.
    #[inline]
    pub(super) fn went(&mut self, reply: &Reply<'_>) {
        self.returned += reply.datagrams() as u64;
        self.returned_bytes += reply.payload.len() as u64;
    }

    // cold: a refusal
    pub(super) fn refuse(&mut self, error: SendError, reply: &Reply<'_>) {
        let refused = &mut self.refused;
        let counter = match error {
            SendError::WouldBlock => &mut refused.would_block,
            SendError::NoBuffers => &mut refused.no_buffers,
            SendError::Unreachable(_) => &mut refused.unreachable,
            SendError::TooBig => &mut refused.too_big,
            SendError::Interrupted | SendError::Untold | SendError::Other(_) => &mut refused.other,
        };
        *counter += reply.datagrams() as u64;
    }
}

/// A way of returning datagrams.
pub trait Responder {
    /// Receives what there is, up to a batch, and returns at once what `judge` says; whether the
    /// queue was found empty.
    fn turn(&mut self, judge: &mut impl ReplyFilter, moved: &mut EchoCounters) -> bool;

    /// Returns what was held back.
    fn send<'a>(
        &mut self,
        replies: impl Iterator<Item = Reply<'a>> + Clone,
        moved: &mut EchoCounters,
    );

    /// The socket, for waiting and for its drop counter.
    fn sockets(&mut self) -> &mut [UdpSocket];
}

/// A packet of a batch that is to be returned.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingReply {
    /// Its number in the batch.
    pub(super) message: usize,
    /// How much of it.
    pub(super) len: usize,
    /// Bytes of a datagram.
    pub(super) segment: usize,
    pub(super) to: SocketAddr,
    pub(super) local: Option<LocalAddr>,
}

impl PendingReply {
    /// Room for as many as a batch has.
    // cold: set-up
    pub(super) fn room(batch: usize) -> Box<[Self]> {
        let to = SocketAddr::from(([0, 0, 0, 0], 0));
        let nothing = Self { message: 0, len: 0, segment: 1, to, local: None };
        vec![nothing; batch].into_boxed_slice()
    }

    /// The answer, with this payload.
    #[inline]
    pub(super) const fn reply<'a>(&self, payload: &'a [u8]) -> Reply<'a> {
        Reply { payload, segment: self.segment, to: self.to, local: self.local }
    }
}
