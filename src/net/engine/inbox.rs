//! What a `recvmmsg` brings, whoever calls it.

use super::{Datagram, Pull, count, nothing};
use crate::sys::{self, Message, RecvBatch, Wants};
use crate::unit::Nanos;

/// The buffers of one recvmmsg(2), and when it returned.
#[derive(Debug)]
pub(super) struct Inbox {
    calls: RecvBatch,
    /// When the latest call returned, on the calendar clock; read where there are timestamps.
    read_ns: Option<u64>,
}

impl Inbox {
    /// So many buffers of `slot_len` bytes, with what is wanted beside the payload.
    // cold: set-up
    pub(super) fn new(slots: usize, slot_len: usize, wants: Wants) -> Self {
        let calls = RecvBatch::new(slots, slot_len, wants);
        Self { calls, read_ns: wants.stamps.then_some(0) }
    }

    /// Receives what there is, by one call.
    #[inline]
    pub(super) fn pull(&mut self, socket: &impl Datagram) -> Pull {
        let received = match self.calls.recv(socket) {
            Ok(received) => received,
            Err(error) => return nothing(&error),
        };
        self.read_ns = self.read_ns.map(|_| sys::realtime_ns());
        let drained = received < self.calls.slots();
        Pull { syscalls: 1, drained, ..count(self.calls.messages()) }
    }

    /// What the latest call brought, in order of arrival, and how long each has waited.
    #[inline]
    pub(super) fn messages(&self) -> impl Iterator<Item = (Message<'_>, Option<Nanos>)> {
        let read_ns = self.read_ns.unwrap_or(0);
        self.calls.messages().map(move |message| {
            let waited = super::waited(message.stamp_ns, read_ns);
            (message, waited)
        })
    }
}
