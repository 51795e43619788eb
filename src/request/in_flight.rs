//! Requests in flight: one fixed slot each, found by arithmetic alone, so that a table of any size
//! costs the same and nothing is allocated while a run goes on.
//!
//! The socket of a reply identifies its port, so a few bits of the index identify the request among
//! the latest ones of that port. The slot and the id of a request are reused only after it was
//! answered, or given up so long ago that no answer is expected any more.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::request::streams::StreamMap;
use crate::unit::Nanos;

/// What became of a request.
const FREE: u64 = 0;
const OPEN: u64 = 1;
const ANSWERED: u64 = 2;
const TIMED_OUT: u64 = 3;

/// Bits that say so, below those of the intended moment; what is left lasts 146 years.
const STATE_BITS: u32 = 2;
const STATE: u64 = (1 << STATE_BITS) - 1;

/// The most requests that one call gives up or passes over: under 0.1 ms of work, so that it is not
/// taken for a stall. Arbitrary within that.
const WALK_MOST: u64 = 8_192;

/// One request.
#[derive(Debug, Default)]
struct Slot {
    /// Its intended moment, and what became of it.
    word: AtomicU64,
    /// When it left.
    sent: AtomicU64,
    /// What it asks.
    asked: AtomicU64,
}

/// A request's two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRequest {
    /// When it was meant to leave.
    pub intended: Nanos,
    /// When it left.
    pub sent: Nanos,
}

/// What a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// The first one to a request that was waited for.
    Answer(PendingRequest),
    /// To one that was answered before.
    Duplicate,
    /// To one that had been given up.
    Late,
}

/// The requests of one worker. One thread asks, one hears; they may be the same.
#[derive(Debug)]
pub struct InFlightTable {
    slots: Box<[Slot]>,
    lanes: StreamMap,
    /// The next request to leave.
    head: AtomicU64,
    /// The oldest that may still be open.
    tail: AtomicU64,
    /// The oldest request whose slot and id must not be reused yet; at most `tail`.
    resting: AtomicU64,
}

impl InFlightTable {
    /// For at least `wanted` requests at once, as far as `id_bits` can tell so many apart.
    #[must_use]
    pub fn new(lanes: StreamMap, wanted: u64, id_bits: u32) -> Self {
        let distinct = lanes.distinct(id_bits);
        let most = if distinct.is_power_of_two() {
            distinct
        } else {
            distinct.checked_next_power_of_two().map_or(1 << 63, |above| above >> 1)
        };
        let slots = wanted.next_power_of_two().min(most);
        // Written now: memory is mapped at first touch, and that would be in the middle of a
        // measurement.
        let slots = (0..slots)
            .map(|_| Slot { word: FREE.into(), sent: u64::MAX.into(), asked: u64::MAX.into() })
            .collect();
        let zero = || AtomicU64::new(0);
        Self { slots, lanes, head: zero(), tail: zero(), resting: zero() }
    }

    /// How many can be in flight at once.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    /// How requests go to source ports.
    #[must_use]
    pub const fn lanes(&self) -> StreamMap {
        self.lanes
    }

    #[inline]
    fn slot(&self, number: u64) -> &Slot {
        // A power of two.
        &self.slots[number as usize & (self.slots.len() - 1)]
    }

    /// The next request to leave.
    #[inline]
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// How many more requests may leave now without reusing the id of one that may still be
    /// answered.
    #[inline]
    #[must_use]
    pub fn room(&self) -> u64 {
        self.capacity() - (self.head.load(Ordering::Relaxed) - self.resting.load(Ordering::Acquire))
    }

    /// This request is about to leave; it counts once [`Self::set_head`] is past it.
    #[inline]
    pub fn insert(&self, number: u64, flight: PendingRequest) {
        let slot = self.slot(number);
        slot.sent.store(flight.sent.0, Ordering::Relaxed);
        slot.word.store(flight.intended.0 << STATE_BITS | OPEN, Ordering::Relaxed);
    }

    /// What a request asks, for whoever has to write it again.
    #[inline]
    pub fn set_asked(&self, number: u64, asked: u64) {
        self.slot(number).asked.store(asked, Ordering::Relaxed);
    }

    /// What this request asks; `None` where its place is another's by now.
    #[inline]
    #[must_use]
    pub fn asked(&self, number: u64, head: u64) -> Option<u64> {
        let is_here = head - number <= self.capacity();
        is_here.then(|| self.slot(number).asked.load(Ordering::Relaxed))
    }

    /// The oldest request that is waited for left at this moment; `None` where none may be.
    #[inline]
    #[must_use]
    pub fn oldest_sent(&self) -> Option<Nanos> {
        let tail = self.tail.load(Ordering::Relaxed);
        let sent = || Nanos(self.slot(tail).sent.load(Ordering::Relaxed));
        (tail < self.head.load(Ordering::Relaxed)).then(sent)
    }

    /// When the oldest request that blocks a slot was sent, if it was given up; `None` if it is
    /// still awaited, or no slot is blocked.
    #[inline]
    #[must_use]
    pub fn resting_sent(&self) -> Option<Nanos> {
        let resting = self.resting.load(Ordering::Relaxed);
        let sent = || Nanos(self.slot(resting).sent.load(Ordering::Relaxed));
        (resting < self.tail.load(Ordering::Relaxed)).then(sent)
    }

    /// Moves the origin of time `later` than before; no request may be in flight.
    // cold: between phases
    pub fn rebase(&self, later: Nanos) {
        for number in self.resting.load(Ordering::Relaxed)..self.head.load(Ordering::Relaxed) {
            let sent = &self.slot(number).sent;
            // What left before the new beginning counts as having left then.
            sent.store(sent.load(Ordering::Relaxed).saturating_sub(later.0), Ordering::Relaxed);
        }
    }

    /// All below this number have left, or are about to; what is from it on has not.
    #[inline]
    pub fn set_head(&self, head: u64) {
        self.head.store(head, Ordering::Release);
    }

    /// So many from `first` on were about to leave and have not: nothing waits at their places.
    /// A reply to whoever had such a place before is late, whatever it was.
    // cold: the system refused them
    pub fn cancel(&self, first: u64, count: u64) {
        for number in first..first + count {
            self.slot(number).word.store(FREE, Ordering::Relaxed);
        }
        self.set_head(first);
    }

    /// The latest request of this port whose place ends in `id`; `None` before there was one.
    #[inline]
    #[must_use]
    pub fn find(&self, stream: usize, id: u64, id_bits: u32, head: u64) -> Option<u64> {
        let last = self.lanes.places(stream, head).checked_sub(1)?;
        let mask = 1_u64.checked_shl(id_bits).map_or(u64::MAX, |ids| ids - 1);
        let place = last.checked_sub(last.wrapping_sub(id) & mask)?;
        Some(self.lanes.number(stream, place))
    }

    /// Whether this request waits for its reply.
    #[inline]
    #[must_use]
    pub fn is_open(&self, number: u64) -> bool {
        self.slot(number).word.load(Ordering::Relaxed) & STATE == OPEN
    }

    /// A reply to this request has come; `head` as it was when the reply was read.
    #[inline]
    pub fn complete(&self, number: u64, head: u64) -> Completion {
        if head - number > self.capacity() {
            return Completion::Late;
        }
        let slot = self.slot(number);
        let word = slot.word.load(Ordering::Relaxed);
        match word & STATE {
            OPEN => {
                slot.word.store(word & !STATE | ANSWERED, Ordering::Relaxed);
                let sent = Nanos(slot.sent.load(Ordering::Relaxed));
                Completion::Answer(PendingRequest { intended: Nanos(word >> STATE_BITS), sent })
            }
            ANSWERED => Completion::Duplicate,
            _ => Completion::Late,
        }
    }

    /// Gives up requests sent at or before `before`, and returns their number. Frees the slots and
    /// ids of answered requests, and of given-up requests sent at or before `rested`.
    #[inline]
    pub fn expire(&self, before: Option<Nanos>, rested: Option<Nanos>) -> u64 {
        let left_by = |slot: &Slot, moment: Option<Nanos>| {
            moment.is_some_and(|moment| slot.sent.load(Ordering::Relaxed) <= moment.0)
        };
        let (head, first) = (self.head.load(Ordering::Acquire), self.tail.load(Ordering::Relaxed));
        let (mut tail, mut given_up) = (first, 0);
        while tail < head && tail - first < WALK_MOST {
            let slot = self.slot(tail);
            let word = slot.word.load(Ordering::Relaxed);
            if word & STATE == OPEN {
                if !left_by(slot, before) {
                    break;
                }
                slot.word.store(word & !STATE | TIMED_OUT, Ordering::Relaxed);
                given_up += 1;
            }
            tail += 1;
        }
        if tail != first {
            self.tail.store(tail, Ordering::Release);
        }
        let first = self.resting.load(Ordering::Relaxed);
        let mut resting = first;
        while resting < tail && resting - first < WALK_MOST {
            let slot = self.slot(resting);
            let is_given_up = slot.word.load(Ordering::Relaxed) & STATE == TIMED_OUT;
            if is_given_up && !left_by(slot, rested) {
                break;
            }
            resting += 1;
        }
        if resting != first {
            self.resting.store(resting, Ordering::Release);
        }
        given_up
    }

    /// Whether none is waited for.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.load(Ordering::Acquire) == self.tail.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ns: u64) -> PendingRequest {
        PendingRequest { intended: Nanos(ns), sent: Nanos(ns + 1) }
    }

    #[test]
    fn ids_tell_all_that_fit_apart() {
        for (streams, block, bits) in [(1, 1, 4), (3, 2, 4), (5, 4, 3), (2, 64, 8), (4, 4, 1)] {
            let lanes = StreamMap::new(streams, block);
            let flights = InFlightTable::new(lanes, u64::MAX >> 40, bits);
            let head = 10_000;
            for number in head - flights.capacity()..head {
                let id = lanes.place(number) & ((1 << bits) - 1);
                let found = flights.find(lanes.stream(number), id, bits, head);
                assert_eq!(found, Some(number), "{lanes:?}");
            }
        }
        let whole = InFlightTable::new(StreamMap::new(1, 1), 8, 64);
        assert_eq!(whole.find(0, 3, 64, 5), Some(3));
        assert_eq!(whole.find(0, 7, 64, 5), None, "not asked yet");
        assert_eq!(whole.find(0, 0, 64, 0), None, "nothing asked yet");
    }

    #[test]
    fn a_request_has_one_answer() {
        let flights = InFlightTable::new(StreamMap::new(1, 1), 4, 16);
        (0..3).for_each(|number| flights.insert(number, at(number * 10)));
        flights.set_head(3);
        assert_eq!((flights.room(), flights.capacity()), (1, 4));
        assert_eq!(flights.complete(1, 3), Completion::Answer(at(10)));
        assert_eq!(flights.complete(1, 3), Completion::Duplicate);
        // Sent at 1: given up; 1 is answered; 2 was sent at 21.
        assert_eq!(flights.expire(Some(Nanos(20)), None), 1);
        assert_eq!(flights.complete(0, 3), Completion::Late);
        assert_eq!((flights.is_open(2), flights.is_empty(), flights.room()), (true, false, 1));
        assert_eq!(flights.expire(Some(Nanos(21)), Some(Nanos(1))), 1);
        assert_eq!((flights.is_empty(), flights.room()), (true, 3));
    }

    #[test]
    fn what_was_refused_answers_for_nobody() {
        let flights = InFlightTable::new(StreamMap::new(1, 1), 4, 16);
        (0..4).for_each(|number| flights.insert(number, at(number)));
        flights.set_head(4);
        assert_eq!(flights.expire(Some(Nanos(1)), Some(Nanos(1))), 1);
        flights.insert(4, at(40));
        flights.set_head(5);
        flights.cancel(4, 1);
        assert_eq!((flights.head(), flights.room()), (4, 1));
        assert_eq!(
            flights.complete(0, 4),
            Completion::Late,
            "not the answer to 4, which never left"
        );
        assert!(!flights.is_open(0));
    }

    #[test]
    fn an_id_rests_until_no_answer_is_expected_any_more() {
        let flights = InFlightTable::new(StreamMap::new(1, 1), 4, 16);
        (0..4).for_each(|number| flights.insert(number, at(number * 10)));
        flights.set_head(4);
        assert_eq!(flights.complete(1, 4), Completion::Answer(at(10)));
        // The oldest is waited for, and keeps its slot and those behind it.
        assert_eq!((flights.expire(None, None), flights.room()), (0, 0));
        assert_eq!((flights.oldest_sent(), flights.resting_sent()), (Some(Nanos(1)), None));
        assert_eq!((flights.expire(Some(Nanos(25)), None), flights.room()), (2, 0));
        assert_eq!(
            (flights.oldest_sent(), flights.resting_sent()),
            (Some(Nanos(31)), Some(Nanos(1)))
        );
        assert_eq!(flights.complete(0, 4), Completion::Late);
        // What was answered does not rest.
        assert_eq!((flights.expire(None, Some(Nanos(20))), flights.room()), (0, 2));
        assert_eq!((flights.expire(Some(Nanos(31)), Some(Nanos(20))), flights.room()), (1, 2));
        flights.rebase(Nanos(25));
        assert_eq!(flights.resting_sent(), Some(Nanos(0)), "it left before the new beginning");
        assert_eq!((flights.expire(None, Some(Nanos(6))), flights.room()), (0, 4));
    }
}
