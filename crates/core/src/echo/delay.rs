//! Delayed replies: a FIFO queue of fixed size, as all have the same delay.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::engine::echo::{EchoCounters, Responder};
use crate::measure::LatencyHistograms;
use crate::sys::{LocalAddr, Reply, Request};
use crate::unit::Nanos;

/// Bytes of payload and packets in the queue of each worker. Arbitrary: a quarter of a second at 1
/// Gbit/s, and a tenth of a second at 650 kpps, in 7 MiB.
const MAX_BYTES: usize = 32 << 20;
const MAX_PACKETS: usize = 65_536;
/// Packets sent before the socket is read again; the size of a batch.
const MAX_RELEASED: usize = 64;

#[derive(Debug, Clone, Copy)]
struct DelayedReply {
    due: Nanos,
    at: usize,
    len: usize,
    segment: usize,
    to: SocketAddr,
    local: Option<LocalAddr>,
}

impl DelayedReply {
    #[inline]
    fn reply<'a>(&self, bytes: &'a [u8]) -> Reply<'a> {
        let Self { at, len, segment, to, local, .. } = *self;
        Reply { payload: &bytes[at..at + len], segment, to, local }
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    delay: Nanos,
    /// A ring of payloads; each is contiguous.
    bytes: Box<[u8]>,
    next: usize,
    /// Oldest first; never more than its capacity.
    replies: VecDeque<DelayedReply>,
    pub(super) lateness: LatencyHistograms,
}

impl Queue {
    pub(super) fn new(delay: Nanos) -> Self {
        Self::with_capacity(delay, MAX_BYTES, MAX_PACKETS)
    }

    // cold: set-up
    fn with_capacity(delay: Nanos, bytes: usize, packets: usize) -> Self {
        let to = SocketAddr::from(([0, 0, 0, 0], 0));
        let empty = DelayedReply { due: Nanos::NEVER, at: 0, len: 0, segment: 1, to, local: None };
        // Not zeros: zero pages are mapped only at first touch.
        let bytes = vec![0xFF; bytes].into_boxed_slice();
        let mut replies = VecDeque::from(vec![empty; packets]);
        replies.clear();
        Self { delay, bytes, replies, ..Self::default() }
    }

    /// Queues the first `len` bytes of a request read at `now`; `false` if the queue is full.
    #[inline]
    pub(super) fn push(&mut self, request: &Request<'_>, len: usize, now: Nanos) -> bool {
        let (Some(to), Some(at)) = (request.from, self.free_offset(len)) else { return false };
        let (due, segment, local) = (now + self.delay, request.segment, request.local);
        self.replies.push_back(DelayedReply { due, at, len, segment, to, local });
        self.bytes[at..at + len].copy_from_slice(&request.payload[..len]);
        self.next = at + len;
        true
    }

    fn free_offset(&self, len: usize) -> Option<usize> {
        let Some(&DelayedReply { at: oldest, .. }) = self.replies.front() else {
            return (len <= self.bytes.len()).then_some(0);
        };
        if self.replies.len() == self.replies.capacity() {
            return None;
        }
        if self.next < oldest {
            // Never up to the oldest: a full ring would look empty.
            return (self.next + len < oldest).then_some(self.next);
        }
        if self.next + len <= self.bytes.len() {
            return Some(self.next);
        }
        (len < oldest).then_some(0)
    }

    #[inline]
    pub(super) fn due(&self) -> Option<Nanos> {
        self.replies.front().map(|oldest| oldest.due)
    }

    /// Sends replies due at `now`, up to a batch; returns whether any was due.
    #[inline]
    pub(super) fn release(
        &mut self,
        now: Nanos,
        responder: &mut impl Responder,
        counters: &mut EchoCounters,
    ) -> bool {
        let due = self.replies.iter().take(MAX_RELEASED).take_while(|one| one.due <= now);
        let count = due.clone().count();
        if count == 0 {
            return false;
        }
        responder.send(due.map(|one| one.reply(&self.bytes)), counters);
        for sent in self.replies.drain(..count) {
            self.lateness.record(now.since(sent.due).0);
        }
        true
    }

    pub(super) fn datagrams(&self) -> u64 {
        self.replies.iter().map(|one| one.reply(&self.bytes).datagrams() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::engine::echo::ReplyFilter;

    #[derive(Default)]
    struct SentReplies(VecDeque<Vec<u8>>);

    impl Responder for SentReplies {
        fn turn(&mut self, _: &mut impl ReplyFilter, _: &mut EchoCounters) -> bool {
            true
        }

        fn send<'a>(
            &mut self,
            replies: impl Iterator<Item = Reply<'a>> + Clone,
            _: &mut EchoCounters,
        ) {
            self.0.extend(replies.map(|reply| reply.payload.to_vec()));
        }

        fn sockets(&mut self) -> &mut [mio::net::UdpSocket] {
            &mut []
        }
    }

    fn push(queue: &mut Queue, payload: &mut [u8], now: u64) -> bool {
        let len = payload.len();
        let from = Some(SocketAddr::from(([192, 0, 2, 1], 5)));
        let (segment, truncated, to_many) = (len.max(1), false, false);
        let request =
            Request { payload, segment, truncated, from, local: None, to_many, group: None };
        queue.push(&request, len, Nanos(now))
    }

    #[test]
    fn a_full_queue_corrupts_no_reply() {
        let mut queue = Queue::with_capacity(Nanos(0), 100, 7);
        let (mut sent, mut counters) = (SentReplies::default(), EchoCounters::default());
        let (mut expected, mut random) = (VecDeque::new(), fastrand::Rng::with_seed(1));
        let mut full = 0;
        for step in 0..20_000_u64 {
            let len = random.usize(..60);
            let mut payload: Vec<u8> = (0..len).map(|at| (step as usize + at) as u8).collect();
            if push(&mut queue, &mut payload, step) {
                expected.push_back(payload);
            } else {
                full += 1;
            }
            assert_eq!(queue.datagrams(), expected.len() as u64);
            if random.u8(..4) == 0 {
                queue.release(Nanos(step - step % 3), &mut sent, &mut counters);
                assert!(sent.0.drain(..).all(|sent| Some(sent) == expected.pop_front()));
            }
        }
        assert!(full > 1_000 && full < 19_000, "{full}");
        let mut one = Queue::with_capacity(Nanos(10), 100, 7);
        let fits = [101, 100, 1, 0].map(|len| push(&mut one, &mut vec![0; len], 0));
        assert_eq!(fits, [false, true, false, true]);
        assert!(!one.release(Nanos(9), &mut sent, &mut counters));
        assert!(one.due() == Some(Nanos(10)) && one.release(Nanos(12), &mut sent, &mut counters));
        assert_eq!((one.due(), one.lateness.count(), one.lateness.max_ns()), (None, 2, Some(2)));
    }
}
