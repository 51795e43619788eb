//! The state of exchanges of two requests: those that wait for the reply to the second one, and
//! second requests to send.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::measure::StepResult;
use crate::payload::{RequestNumber, SecondRequest};
use crate::unit::{Nanos, hash_u64};

/// Bytes of second requests that wait for the send buffer, and the fewest and most of them.
/// Arbitrary: a batch is far below the fewest.
const QUEUE_LEN: usize = 4 << 20;
const QUEUED: std::ops::RangeInclusive<usize> = 256..=8_192;

/// An exchange whose first reply has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstReply {
    /// Its number, counted from 1; 0: none.
    number: u64,
    /// When its first request was sent.
    pub(super) first_sent: Nanos,
    /// When the reply was read.
    pub(super) at: Nanos,
    digest: u64,
}

/// An exchange, to write its second request.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExchangeNumbers {
    pub(super) number: u64,
    pub(super) stream: usize,
    pub(super) n: RequestNumber,
    pub(super) id: u64,
}

/// Why a second request cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// The reply lacks bytes that are fields of it.
    ShortReply,
    /// Too many wait.
    Full,
}

/// A second request to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub(super) number: u64,
    pub(super) stream: usize,
    len: usize,
    /// The destination; `None` on a connected socket.
    pub(super) to: Option<SocketAddr>,
}

/// The second steps of all exchanges of a worker.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) second: SecondRequest,
    first_replies: Box<[FirstReply]>,
    /// Exchanges by when their second request was sent; finished ones leave at the front.
    sent: VecDeque<u64>,
    queue: VecDeque<Queued>,
    /// The bytes of the queue, a slot each.
    bytes: Box<[u8]>,
    stride: usize,
    /// The slot of the front of the queue.
    front: usize,
    /// For replies in order: index of the oldest request of each port that may have a second step.
    pub(super) oldest: Vec<u64>,
    /// The address of the server, if its replies may come from any port of it.
    pub(super) server: Option<IpAddr>,
    /// The start of the phase in ns since 1970.
    pub(super) calendar_ns: u64,
    pub(super) results: [StepResult; 2],
}

impl Steps {
    /// For a table of so many exchanges, and so many ports.
    // cold: set-up
    pub(super) fn new(
        second: SecondRequest,
        capacity: u64,
        streams: usize,
        server: Option<IpAddr>,
    ) -> Self {
        // Allocates the memory of expressions.
        let _ = second.matching().code_of(&[]);
        let stride = second.largest().max(1);
        let slots = (QUEUE_LEN / stride).clamp(*QUEUED.start(), *QUEUED.end());
        Self {
            second,
            first_replies: (0..capacity).map(|_| FirstReply::default()).collect(),
            // Those behind an unfinished one are at most as many as two tables hold.
            sent: VecDeque::with_capacity(2 * capacity as usize),
            queue: VecDeque::with_capacity(slots),
            bytes: vec![0xFF; slots * stride].into(),
            stride,
            front: 0,
            oldest: vec![0; streams],
            server,
            calendar_ns: 0,
            results: Default::default(),
        }
    }

    /// Starts a phase; nothing is in flight.
    // cold: between phases
    pub(super) fn start(&mut self, calendar_ns: u64) {
        self.calendar_ns = calendar_ns;
        self.sent.clear();
        self.queue.clear();
        self.results.iter_mut().for_each(StepResult::reset);
    }

    /// Keeps when the reply to the first request of this exchange came, and what it was.
    #[inline]
    pub(super) fn note_first_reply(
        &mut self,
        number: u64,
        reply: &[u8],
        first_sent: Nanos,
        at: Nanos,
    ) {
        let slot = self.slot(number);
        self.first_replies[slot] =
            FirstReply { number: number + 1, first_sent, at, digest: digest(reply) };
    }

    #[inline]
    fn slot(&self, number: u64) -> usize {
        // A power of two.
        number as usize & (self.first_replies.len() - 1)
    }

    #[inline]
    pub(super) fn first_reply(&self, number: u64) -> Option<FirstReply> {
        let found = self.first_replies[self.slot(number)];
        (found.number == number + 1).then_some(found)
    }

    /// Whether a datagram equals the first reply of this exchange.
    #[inline]
    pub(super) fn is_first_reply(&self, number: u64, reply: &[u8]) -> bool {
        self.first_reply(number).is_some_and(|first| first.digest == digest(reply))
    }

    /// Writes and queues the second request of an exchange after this reply, which was read at
    /// `now`.
    #[inline]
    pub(super) fn push(
        &mut self,
        exchange: ExchangeNumbers,
        reply: &[u8],
        from: Option<SocketAddr>,
        now: Nanos,
    ) -> Result<(), NotQueued> {
        let ExchangeNumbers { number, stream, n, id } = exchange;
        let slots = self.bytes.len() / self.stride;
        let at = (self.front + self.queue.len()) % slots * self.stride;
        let slot = self.bytes.get_mut(at..at + self.stride);
        let slot = slot.filter(|_| self.queue.len() < slots).ok_or(NotQueued::Full)?;
        let len = self.second.write(reply, n, id, self.calendar_ns + now.0, slot);
        let len = len.ok_or(NotQueued::ShortReply)?;
        let to = from.filter(|_| self.server.is_some());
        self.queue.push_back(Queued { number, stream, len, to });
        Ok(())
    }

    #[inline]
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The first second request to send, and its bytes.
    #[inline]
    pub(super) fn next(&self) -> Option<(Queued, &[u8])> {
        self.queued().next()
    }

    /// Second requests to send, in order.
    #[inline]
    pub(super) fn queued(&self) -> impl Iterator<Item = (Queued, &[u8])> {
        let slots = self.bytes.len() / self.stride;
        self.queue.iter().enumerate().map(move |(i, queued)| {
            let at = (self.front + i) % slots * self.stride;
            (*queued, &self.bytes[at..at + queued.len])
        })
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<u64> {
        let queued = self.queue.pop_front()?;
        self.front = (self.front + 1) % (self.bytes.len() / self.stride);
        Some(queued.number)
    }

    /// Records that the second request of this exchange left.
    #[inline]
    pub(super) fn note_sent(&mut self, number: u64, expects_reply: bool) {
        self.results[1].sent += 1;
        if expects_reply {
            self.sent.push_back(number);
        }
    }

    /// The exchange whose second request was sent first of those that `is_open`.
    #[inline]
    pub(super) fn oldest_sent(&mut self, is_open: impl Fn(u64) -> bool) -> Option<u64> {
        while let Some(&number) = self.sent.front() {
            if self.first_reply(number).is_some() && is_open(number) {
                return Some(number);
            }
            self.sent.pop_front();
        }
        None
    }
}

/// A number that differs for different datagrams, as far as chance allows.
#[inline]
fn digest(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words.fold(bytes.len() as u64, |sum, word| hash_u64(sum ^ word))
}

#[cfg(test)]
mod tests {
    use super::NotQueued::{Full, ShortReply};
    use super::*;
    use crate::payload::{RequestSource, Spec, Then};

    #[test]
    fn the_queue_is_bounded_and_keeps_bytes_in_order() {
        let template = "{reply@1:8}".to_owned() + &"x".repeat(40_000);
        let then = Then { template, is_hex: false, only_if: None };
        let first = Spec::of(RequestSource::Text("{id}".into()));
        let spec = Spec { then: Some(then), ..first };
        let (mut requests, mut matching) = spec.compile(1).unwrap();
        let second = spec.compile_second(1, &mut requests, &mut matching).unwrap().unwrap();
        let mut steps = Steps::new(second, 1 << 9, 1, None);
        let mut next = 0_u64;
        for round in 0..3 {
            let mut queued = 0;
            let mut push = |number: u64, len: usize| {
                let reply = [&b"?"[..], &number.to_be_bytes()].concat();
                let exchange = ExchangeNumbers { number, stream: 0, n: number.into(), id: number };
                steps.push(exchange, &reply[..len], None, Nanos::ZERO)
            };
            assert_eq!(push(0, 8), Err(ShortReply));
            while push(next + queued, 9).is_ok() {
                queued += 1;
            }
            assert_eq!(queued, if round == 0 { 256 } else { 100 });
            assert_eq!(push(0, 9), Err(Full));
            let first = next.saturating_sub(156);
            for number in first..first + 100 {
                let (front, bytes) = steps.next().unwrap();
                assert_eq!((front.number, bytes.len()), (number, 40_008));
                assert_eq!(bytes[..8], number.to_be_bytes());
                assert_eq!(steps.pop(), Some(number));
            }
            next += queued;
        }
    }

    #[test]
    fn datagrams_differ_by_length_and_content() {
        let all = [&b""[..], b"\0", b"12345678", b"12345678\0", b"123456789", b"23456781"];
        let digests: std::collections::BTreeSet<_> =
            all.iter().map(|bytes| digest(bytes)).collect();
        assert_eq!(digests.len(), all.len());
    }
}
