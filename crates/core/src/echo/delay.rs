//! Delayed replies: a FIFO queue of fixed size, as all have the same delay.

use std::net::SocketAddr;

use crate::engine::echo::{EchoCounters, Responder};
use crate::measure::LatencyHistograms;
use crate::sys::{LocalAddr, Reply, Request};
use crate::unit::Nanos;

/// Payload in the queue of each worker, in bytes. Arbitrary: a quarter of a second at 1 Gbit/s.
const MAX_BYTES: usize = 32 << 20;
/// Packets in the queue of each worker. Arbitrary: a tenth of a second at 650 kpps, in 7 MiB.
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

#[derive(Debug, Default)]
pub(super) struct Queue {
    delay: Nanos,
    /// A ring of payloads; each is contiguous.
    bytes: Box<[u8]>,
    /// Offset for the next payload.
    next: usize,
    replies: Box<[DelayedReply]>,
    first: usize,
    waiting: usize,
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
        // Not zeroes: zero pages are mapped only at first touch.
        let bytes = vec![0xFF; bytes].into_boxed_slice();
        let replies = vec![empty; packets].into_boxed_slice();
        Self { delay, bytes, replies, ..Self::default() }
    }

    /// Queues the first `len` bytes of a request read at `now`; `false` if the queue is full.
    #[inline]
    pub(super) fn push(&mut self, request: &Request<'_>, len: usize, now: Nanos) -> bool {
        let (Some(to), Some(at)) = (request.from, self.free_offset(len)) else { return false };
        let index = (self.first + self.waiting) % self.replies.len();
        let (segment, local) = (request.segment, request.local);
        self.replies[index] = DelayedReply { due: now + self.delay, at, len, segment, to, local };
        self.bytes[at..at + len].copy_from_slice(&request.payload[..len]);
        self.next = at + len;
        self.waiting += 1;
        true
    }

    fn free_offset(&self, len: usize) -> Option<usize> {
        if self.waiting == 0 {
            return (len <= self.bytes.len()).then_some(0);
        }
        if self.waiting == self.replies.len() {
            return None;
        }
        let oldest = self.replies[self.first].at;
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
        (self.waiting > 0).then(|| self.replies[self.first].due)
    }

    /// Sends replies due at `now`, up to a batch; returns whether any was due.
    #[inline]
    pub(super) fn release(
        &mut self,
        now: Nanos,
        responder: &mut impl Responder,
        counters: &mut EchoCounters,
    ) -> bool {
        let replies = (0..self.waiting.min(MAX_RELEASED))
            .map(|index| self.replies[(self.first + index) % self.replies.len()])
            .take_while(|reply| reply.due <= now);
        let mut count = 0;
        for reply in replies.clone() {
            self.lateness.record(now.since(reply.due).0);
            count += 1;
        }
        if count == 0 {
            return false;
        }
        let replies = replies.map(|reply| Reply {
            payload: &self.bytes[reply.at..reply.at + reply.len],
            segment: reply.segment,
            to: reply.to,
            local: reply.local,
        });
        responder.send(replies, counters);
        self.first = (self.first + count) % self.replies.len();
        self.waiting -= count;
        true
    }

    /// Datagrams in the queue.
    pub(super) fn datagrams(&self) -> u64 {
        let replies =
            (0..self.waiting).map(|index| self.replies[(self.first + index) % self.replies.len()]);
        let each = |reply: DelayedReply| reply.len.div_ceil(reply.segment).max(1) as u64;
        replies.map(each).sum()
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
        fn turn(&mut self, _judge: &mut impl ReplyFilter, _moved: &mut EchoCounters) -> bool {
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
        let request = Request { payload, segment, truncated, from, local: None, to_many };
        queue.push(&request, len, Nanos(now))
    }

    #[test]
    fn replies_leave_in_order_and_not_before_they_are_due() {
        let mut queue = Queue::with_capacity(Nanos(10), 1_000, 8);
        let (mut sent, mut counters) = (SentReplies::default(), EchoCounters::default());
        assert_eq!(queue.due(), None);
        for at in 0..5 {
            assert!(push(&mut queue, &mut [at; 3], at.into()));
        }
        assert_eq!((queue.due(), queue.datagrams()), (Some(Nanos(10)), 5));
        assert!(!queue.release(Nanos(9), &mut sent, &mut counters));
        assert!(queue.release(Nanos(12), &mut sent, &mut counters));
        assert!(sent.0.iter().eq([[0; 3], [1; 3], [2; 3]].iter()));
        assert_eq!((queue.due(), queue.datagrams()), (Some(Nanos(13)), 2));
        assert_eq!((queue.lateness.count(), queue.lateness.max_ns()), (3, Some(2)));
    }

    #[test]
    fn a_full_queue_refuses_and_corrupts_nothing() {
        let mut queue = Queue::with_capacity(Nanos(0), 100, 7);
        let (mut sent, mut counters) = (SentReplies::default(), EchoCounters::default());
        let (mut expected, mut full, mut random) =
            (VecDeque::new(), 0, fastrand::Rng::with_seed(1));
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
                for sent in sent.0.drain(..) {
                    assert_eq!(Some(sent), expected.pop_front());
                }
            }
        }
        assert!(full > 1_000 && full < 19_000, "{full}");
        let mut one = Queue::with_capacity(Nanos(0), 100, 7);
        assert!(!push(&mut one, &mut [0; 101], 0) && push(&mut one, &mut [0; 100], 0));
        assert!(!push(&mut one, &mut [0; 1], 0) && push(&mut one, &mut [], 0));
    }
}
