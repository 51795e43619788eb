//! Buffers for `recvmmsg`, shared by the engines that call it.

use super::{Pull, count, failed_pull};
use crate::net::Datagram;
use crate::sys::{self, RecvBatch, RecvMessage, RecvMetadata};
use crate::unit::Nanos;

/// The buffers of one recvmmsg(2), and when it returned.
#[derive(Debug)]
pub(super) struct Inbox {
    calls: RecvBatch,
    /// When the latest call returned, on the calendar clock; read where there are timestamps.
    read_ns: Option<u64>,
}

impl Inbox {
    /// Buffers of `slot_len` bytes each, with this metadata.
    // cold: set-up
    pub(super) fn new(slots: usize, slot_len: usize, metadata: RecvMetadata) -> Self {
        let calls = RecvBatch::new(slots, slot_len, metadata);
        Self { calls, read_ns: metadata.stamps.then_some(0) }
    }

    /// Receives the available datagrams by one call. The socket is only known to be empty after a
    /// call that returns none: recvmmsg(2) also returns fewer messages than asked for where an
    /// error ends it, keeps that error for the next call, and leaves the rest in the queue. An
    /// edge-triggered epoll(7) reports those again only with the next datagram.
    #[inline]
    pub(super) fn pull(&mut self, socket: &impl Datagram) -> Pull {
        if let Err(error) = self.calls.recv(socket) {
            return failed_pull(&error);
        }
        self.read_ns = self.read_ns.map(|_| sys::realtime_ns());
        Pull { syscalls: 1, ..count(self.calls.messages()) }
    }

    /// What the latest call brought, in order of arrival, and how long each has waited.
    #[inline]
    pub(super) fn messages(&self) -> impl Iterator<Item = (RecvMessage<'_>, Option<Nanos>)> {
        let read_ns = self.read_ns.unwrap_or(0);
        self.calls.messages().map(move |message| {
            let waited = super::waited(message.stamp_ns, read_ns);
            (message, waited)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_that_finds_nothing_proves_the_queue_empty() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let to = socket.local_addr().unwrap();
        let socket = mio::net::UdpSocket::from_std(socket);
        let mut inbox = Inbox::new(8, 64, RecvMetadata::default());
        if inbox.calls.slots() < 2 {
            return eprintln!("SKIPPED: one message a call");
        }
        for _ in 0..3 {
            socket.send_to(b"datagram", to).unwrap();
        }
        // Fewer than a call takes: an error may have ended it early.
        let pull = inbox.pull(&socket);
        assert_eq!((pull.datagrams, pull.drained), (3, false));
        let pull = inbox.pull(&socket);
        assert_eq!((pull.datagrams, pull.drained, pull.errors), (0, true, 0));
    }
}
