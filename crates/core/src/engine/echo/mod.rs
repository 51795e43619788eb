//! Responders: ways of returning each datagram to its sender, behind one trait.
//!
//! A reply leaves from the address that its request was sent to, even on a socket bound to any
//! address. Where the system does not report that address, routing chooses one.

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

/// Most datagrams of one turn, so that the loop reads its clock; as in the receiving engine.
const PLAIN_TURN: usize = super::plain::RX_BATCH;

/// Decides what to return of each request.
pub trait ReplyFilter {
    /// Is called after each receive call, before [`Self::judge`].
    fn read(&mut self);

    /// How many bytes to return now; `None`: nothing. Removes segments that are not returned.
    fn judge(&mut self, request: &mut Request<'_>) -> Option<usize>;
}

impl EchoCounters {
    #[inline]
    pub(super) fn count_request(&mut self, request: &Request<'_>) {
        let len = request.payload.len();
        self.received +=
            if len > request.segment { len.div_ceil(request.segment) as u64 } else { 1 };
        self.received_bytes += len as u64;
        self.packets += 1;
        self.truncated += u64::from(request.truncated);
    }

    #[inline]
    pub(super) fn count_reply(&mut self, reply: &Reply<'_>) {
        self.returned += reply.datagrams() as u64;
        self.returned_bytes += reply.payload.len() as u64;
    }

    // cold: a refusal
    pub(super) fn count_refusal(&mut self, error: SendError, reply: &Reply<'_>) {
        self.refused.count(error, reply.datagrams() as u64);
    }
}

/// A way of returning datagrams.
pub trait Responder {
    /// Receives up to a batch and returns what `filter` selects; whether the queue was empty.
    fn turn(&mut self, filter: &mut impl ReplyFilter, counters: &mut EchoCounters) -> bool;

    /// Sends delayed replies.
    fn send<'a>(
        &mut self,
        replies: impl Iterator<Item = Reply<'a>> + Clone,
        counters: &mut EchoCounters,
    );

    /// The socket, for waiting and for its drop counter.
    fn sockets(&mut self) -> &mut [UdpSocket];
}

/// A packet to return: its number in the batch, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingReply {
    pub(super) message: usize,
    pub(super) len: usize,
    pub(super) segment: usize,
    pub(super) to: SocketAddr,
    pub(super) local: Option<LocalAddr>,
}

impl PendingReply {
    // cold: set-up
    pub(super) fn buffers(batch: usize) -> Box<[Self]> {
        let to = SocketAddr::from(([0, 0, 0, 0], 0));
        let nothing = Self { message: 0, len: 0, segment: 1, to, local: None };
        vec![nothing; batch].into_boxed_slice()
    }

    #[inline]
    pub(super) fn to(
        mut request: Request<'_>,
        message: usize,
        filter: &mut impl ReplyFilter,
        counters: &mut EchoCounters,
    ) -> Option<Self> {
        counters.count_request(&request);
        let (len, to) = (filter.judge(&mut request)?, request.from?);
        Some(Self { message, len, segment: request.segment, to, local: request.local })
    }

    #[inline]
    pub(super) const fn reply<'a>(&self, payload: &'a [u8]) -> Reply<'a> {
        Reply { payload, segment: self.segment, to: self.to, local: self.local }
    }
}
