//! The state of exchanges of several requests: those that wait for the reply to a later one, and
//! later requests to send.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::measure::StepResult;
use crate::payload::{ExchangeProgress, RequestNumber, SecondRequest};
use crate::unit::{Nanos, hash_u64};

/// Bytes of second requests that wait for the send buffer, and the fewest and most of them.
/// Arbitrary: a batch is far below the fewest.
const QUEUE_LEN: usize = 4 << 20;
const QUEUED: std::ops::RangeInclusive<usize> = 256..=8_192;
/// Bytes of an empty message of CoAP; RFC 7252 §4.1.
const ACKNOWLEDGEMENT_LEN: usize = 4;

/// An exchange whose first reply has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstReply {
    /// Its number, counted from 1; 0: none.
    number: u64,
    /// When its first request was sent.
    pub(super) first_sent: Nanos,
    /// When the latest reply was read.
    pub(super) at: Nanos,
    /// What the exchange waits for.
    pub(super) progress: ExchangeProgress,
    /// Of the latest reply.
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

/// A datagram to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub(super) what: Waiting,
    pub(super) stream: usize,
    len: usize,
    /// The destination; `None` on a connected socket.
    pub(super) to: Option<SocketAddr>,
}

impl Queued {
    #[inline]
    pub(super) const fn is_request_of(&self, stream: usize) -> bool {
        self.stream == stream && matches!(self.what, Waiting::Request { .. })
    }
}

/// What waits to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Waiting {
    /// The request `step` of an exchange.
    Request { number: u64, step: u16 },
    /// An empty acknowledgement of CoAP.
    Acknowledgement,
}

/// The later steps of all exchanges of a worker.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) second: SecondRequest,
    first_replies: Box<[FirstReply]>,
    /// Exchanges and their steps by when that was sent; finished ones leave at the front.
    sent: VecDeque<(u64, u16)>,
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
        let stride = second.largest().max(ACKNOWLEDGEMENT_LEN);
        let slots = (QUEUE_LEN / stride).clamp(*QUEUED.start(), *QUEUED.end());
        Self {
            second,
            first_replies: (0..capacity).map(|_| FirstReply::default()).collect(),
            // A table holds as many unfinished ones at most.
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

    /// Keeps when the latest reply of this exchange came, what it was, and what follows it.
    #[inline]
    pub(super) fn note_reply(
        &mut self,
        number: u64,
        reply: &[u8],
        progress: ExchangeProgress,
        first_sent: Nanos,
        at: Nanos,
    ) {
        let slot = self.slot(number);
        self.first_replies[slot] =
            FirstReply { number: number + 1, first_sent, at, progress, digest: digest(reply) };
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

    /// Whether a datagram equals the latest reply of this exchange.
    #[inline]
    pub(super) fn is_first_reply(&self, number: u64, reply: &[u8]) -> bool {
        self.first_reply(number).is_some_and(|first| first.digest == digest(reply))
    }

    /// Writes and queues what follows this reply to the request `step` of an exchange, which was
    /// read at `now`.
    #[inline]
    pub(super) fn push(
        &mut self,
        exchange: ExchangeNumbers,
        (reply, step): (&[u8], u16),
        from: Option<SocketAddr>,
        now: Nanos,
    ) -> Result<(), NotQueued> {
        let ExchangeNumbers { number, stream, n, id } = exchange;
        let at = self.free_slot().ok_or(NotQueued::Full)?;
        let slot = &mut self.bytes[at..at + self.stride];
        let len = self.second.write((reply, step), n, id, self.calendar_ns + now.0, slot);
        let len = len.ok_or(NotQueued::ShortReply)?;
        let to = from.filter(|_| self.server.is_some());
        let what = Waiting::Request { number, step: step + 1 };
        self.queue.push_back(Queued { what, stream, len, to });
        Ok(())
    }

    /// Queues an acknowledgement; without a free slot, the server repeats what it is for.
    #[inline]
    pub(super) fn push_acknowledgement(
        &mut self,
        stream: usize,
        bytes: [u8; ACKNOWLEDGEMENT_LEN],
        from: Option<SocketAddr>,
    ) {
        let Some(at) = self.free_slot() else { return };
        self.bytes[at..at + bytes.len()].copy_from_slice(&bytes);
        let to = from.filter(|_| self.server.is_some());
        let what = Waiting::Acknowledgement;
        self.queue.push_back(Queued { what, stream, len: bytes.len(), to });
    }

    /// The first byte of the slot behind the queue, if there is one.
    #[inline]
    fn free_slot(&self) -> Option<usize> {
        let slots = self.bytes.len() / self.stride;
        let at = (self.front + self.queue.len()) % slots * self.stride;
        (self.queue.len() < slots).then_some(at)
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
    pub(super) fn pop(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        self.front = (self.front + 1) % (self.bytes.len() / self.stride);
        Some(queued)
    }

    /// Records that a later request of an exchange left.
    #[inline]
    pub(super) fn note_sent(
        &mut self,
        sent: (u64, u16),
        expects_reply: bool,
        is_open: impl Fn(u64) -> bool,
    ) {
        self.results[1].sent += 1;
        if !expects_reply {
            return;
        }
        if self.sent.len() == self.sent.capacity() {
            // At least half of them have finished behind one that has not.
            let mut all = std::mem::take(&mut self.sent);
            all.retain(|(number, step)| self.waits(*number, *step) && is_open(*number));
            self.sent = all;
        }
        self.sent.push_back(sent);
    }

    /// Whether an exchange, if it is open, waits for the reply to this step.
    #[inline]
    fn waits(&self, number: u64, step: u16) -> bool {
        self.first_reply(number).is_some_and(|first| first.progress.step == step)
    }

    /// The exchange whose later request was sent first of those that `is_open`.
    #[inline]
    pub(super) fn oldest_sent(&mut self, is_open: impl Fn(u64) -> bool) -> Option<u64> {
        while let Some(&(number, step)) = self.sent.front() {
            if self.waits(number, step) && is_open(number) {
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
                steps.push(exchange, (&reply[..len], 0), None, Nanos::ZERO)
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
                assert!(front.is_request_of(0) && bytes.len() == 40_008);
                assert_eq!(bytes[..8], number.to_be_bytes());
                assert!(steps.pop().is_some());
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
