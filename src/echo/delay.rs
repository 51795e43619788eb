//! Answers that wait for their moment: a queue of fixed size, first in, first out, since all wait
//! equally long.

use std::net::SocketAddr;

use crate::engine::echo::{EchoCounters, Responder};
use crate::measure::LatencyHistograms;
use crate::sys::{LocalAddr, Reply, Request};
use crate::unit::Nanos;

/// Payload that can wait at a time, in bytes, of each worker. Arbitrary: 22 thousand datagrams of
/// 1472 bytes, a quarter of a second of a Gbit/s.
const BYTES: usize = 32 << 20;

/// Packets that can wait at a time, of each worker. Arbitrary: a tenth of a second at 650 kpps, in
/// 7 MiB.
const PACKETS: usize = 65_536;

/// Packets that leave before the socket is read again; as many as a batch has.
const AT_ONCE: usize = 64;

/// One that waits.
#[derive(Debug, Clone, Copy)]
struct DelayedReply {
    due: Nanos,
    /// Where its payload begins.
    at: usize,
    len: usize,
    segment: usize,
    to: SocketAddr,
    local: Option<LocalAddr>,
}

/// Those that wait.
#[derive(Debug)]
pub(super) struct Queue {
    delay: Nanos,
    /// Payloads, in a ring; each in one piece.
    bytes: Box<[u8]>,
    /// Where the next payload goes.
    next: usize,
    /// In a ring.
    parcels: Box<[DelayedReply]>,
    /// Which is the oldest.
    first: usize,
    waiting: usize,
    /// How much later than their moment they left.
    pub(super) lateness: LatencyHistograms,
}

impl Queue {
    /// Holds each back for so long.
    pub(super) fn new(delay: Nanos) -> Self {
        Self::with_room(delay, BYTES, PACKETS)
    }

    // cold: set-up
    fn with_room(delay: Nanos, bytes: usize, packets: usize) -> Self {
        let nothing = DelayedReply {
            due: Nanos::NEVER,
            at: 0,
            len: 0,
            segment: 1,
            to: SocketAddr::from(([0, 0, 0, 0], 0)),
            local: None,
        };
        Self {
            delay,
            // Not zeroes: those would be mapped at first touch.
            bytes: vec![0xFF; bytes].into_boxed_slice(),
            next: 0,
            parcels: vec![nothing; packets].into_boxed_slice(),
            first: 0,
            waiting: 0,
            lateness: LatencyHistograms::default(),
        }
    }

    /// Takes the first `len` bytes of what was read at `now`; `false`: there is no room.
    #[inline]
    pub(super) fn push(&mut self, request: &Request<'_>, len: usize, now: Nanos) -> bool {
        let (Some(to), Some(at)) = (request.from, self.room(len)) else { return false };
        let index = (self.first + self.waiting) % self.parcels.len();
        let (segment, local) = (request.segment, request.local);
        self.parcels[index] = DelayedReply { due: now + self.delay, at, len, segment, to, local };
        self.bytes[at..at + len].copy_from_slice(&request.payload[..len]);
        self.next = at + len;
        self.waiting += 1;
        true
    }

    /// Where a payload of this length can go.
    fn room(&self, len: usize) -> Option<usize> {
        if self.waiting == 0 {
            return (len <= self.bytes.len()).then_some(0);
        }
        if self.waiting == self.parcels.len() {
            return None;
        }
        let oldest = self.parcels[self.first].at;
        if self.next < oldest {
            // It never gets as far as the oldest: that would look as if all were free.
            return (self.next + len < oldest).then_some(self.next);
        }
        if self.next + len <= self.bytes.len() {
            return Some(self.next);
        }
        (len < oldest).then_some(0)
    }

    /// When the next one is due.
    #[inline]
    pub(super) fn due(&self) -> Option<Nanos> {
        (self.waiting > 0).then(|| self.parcels[self.first].due)
    }

    /// Sends those that are due at `now`, or some of them; whether there were any.
    #[inline]
    pub(super) fn release(
        &mut self,
        now: Nanos,
        responder: &mut impl Responder,
        moved: &mut EchoCounters,
    ) -> bool {
        let parcels = (0..self.waiting.min(AT_ONCE))
            .map(|index| self.parcels[(self.first + index) % self.parcels.len()])
            .take_while(|parcel| parcel.due <= now);
        let mut count = 0;
        for parcel in parcels.clone() {
            self.lateness.record(now.since(parcel.due).0);
            count += 1;
        }
        if count == 0 {
            return false;
        }
        let replies = parcels.map(|parcel| Reply {
            payload: &self.bytes[parcel.at..parcel.at + parcel.len],
            segment: parcel.segment,
            to: parcel.to,
            local: parcel.local,
        });
        responder.send(replies, moved);
        self.first = (self.first + count) % self.parcels.len();
        self.waiting -= count;
        true
    }

    /// How many datagrams wait.
    pub(super) fn datagrams(&self) -> u64 {
        let parcels =
            (0..self.waiting).map(|index| self.parcels[(self.first + index) % self.parcels.len()]);
        let each = |parcel: DelayedReply| parcel.len.div_ceil(parcel.segment).max(1) as u64;
        parcels.map(each).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::engine::echo::ReplyFilter;

    /// Keeps what it is to send.
    #[derive(Default)]
    struct Kept(VecDeque<Vec<u8>>);

    impl Responder for Kept {
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
    fn nothing_leaves_before_its_moment_and_all_in_order() {
        let mut queue = Queue::with_room(Nanos(10), 1_000, 8);
        let (mut kept, mut moved) = (Kept::default(), EchoCounters::default());
        assert_eq!(queue.due(), None);
        for at in 0..5 {
            assert!(push(&mut queue, &mut [at; 3], at.into()));
        }
        assert_eq!((queue.due(), queue.datagrams()), (Some(Nanos(10)), 5));
        assert!(!queue.release(Nanos(9), &mut kept, &mut moved));
        assert!(queue.release(Nanos(12), &mut kept, &mut moved));
        assert!(kept.0.iter().eq([[0; 3], [1; 3], [2; 3]].iter()));
        assert_eq!((queue.due(), queue.datagrams()), (Some(Nanos(13)), 2));
        assert_eq!((queue.lateness.count(), queue.lateness.max_ns()), (3, Some(2)));
    }

    #[test]
    fn what_has_no_room_is_told_and_what_has_stays_whole() {
        let mut queue = Queue::with_room(Nanos(0), 100, 7);
        let (mut kept, mut moved) = (Kept::default(), EchoCounters::default());
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
                // Some of them: those that are due.
                queue.release(Nanos(step - step % 3), &mut kept, &mut moved);
                for sent in kept.0.drain(..) {
                    assert_eq!(Some(sent), expected.pop_front());
                }
            }
        }
        assert!(full > 1_000 && full < 19_000, "{full}");
        let mut one = Queue::with_room(Nanos(0), 100, 7);
        assert!(!push(&mut one, &mut [0; 101], 0) && push(&mut one, &mut [0; 100], 0));
        assert!(!push(&mut one, &mut [0; 1], 0) && push(&mut one, &mut [], 0));
    }
}
