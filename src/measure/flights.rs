//! Requests in flight: one fixed slot each, found by arithmetic alone, so that a table of any size
//! costs the same and nothing is allocated while a run goes on.
//!
//! Requests are numbered from 0 on. Blocks of them go to the source ports in turn, and a request is
//! the `place`-th of its own: that is the id that it carries, as many bits of it as the protocol
//! has room for. A reply tells its port by the socket it comes by, and so a few bits of a place are
//! enough to tell which of the latest requests it answers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::unit::Nanos;

/// How requests go to source ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    streams: u64,
    block: u64,
}

impl Lanes {
    /// Blocks of `block` requests, in turn to each of `streams` ports.
    #[must_use]
    pub fn new(streams: usize, block: usize) -> Self {
        Self { streams: streams.max(1) as u64, block: block.max(1) as u64 }
    }

    /// The port of a request.
    #[inline]
    #[must_use]
    pub const fn stream(&self, number: u64) -> usize {
        if self.streams == 1 { 0 } else { ((number / self.block) % self.streams) as usize }
    }

    /// The how-manieth of its port a request is, from 0.
    #[inline]
    #[must_use]
    pub const fn place(&self, number: u64) -> u64 {
        if self.streams == 1 {
            return number;
        }
        number / (self.block * self.streams) * self.block + number % self.block
    }

    /// The request that is the `place`-th of its port.
    #[inline]
    #[must_use]
    pub const fn number(&self, stream: usize, place: u64) -> u64 {
        if self.streams == 1 {
            return place;
        }
        place / self.block * self.block * self.streams
            + stream as u64 * self.block
            + place % self.block
    }

    /// How many requests from this one on go to the same port.
    #[inline]
    #[must_use]
    pub const fn in_row(&self, number: u64) -> u64 {
        if self.streams == 1 { u64::MAX } else { self.block - number % self.block }
    }

    /// How many of the first `count` requests go to this port.
    #[inline]
    #[must_use]
    pub fn places(&self, stream: usize, count: u64) -> u64 {
        if self.streams == 1 {
            return count;
        }
        let round = self.block * self.streams;
        let rest = (count % round).saturating_sub(stream as u64 * self.block);
        count / round * self.block + rest.min(self.block)
    }

    /// How many requests in a row have ids of so many bits, none of them twice at one port.
    #[must_use]
    pub fn distinct(&self, id_bits: u32) -> u64 {
        let ids = 1_u64.checked_shl(id_bits).unwrap_or(u64::MAX);
        if self.streams == 1 {
            ids
        } else {
            // A row may begin in the middle of a block; as many as there are ids may all be of one
            // port.
            ids.saturating_sub(self.block).saturating_mul(self.streams).max(ids)
        }
    }
}

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
pub struct Flight {
    /// When it was meant to leave.
    pub intended: Nanos,
    /// When it left.
    pub sent: Nanos,
}

/// What a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing {
    /// The first one to a request that was waited for.
    Answer(Flight),
    /// To one that was answered before.
    Duplicate,
    /// To one that had been given up.
    Late,
}

/// The requests of one worker. One thread asks, one hears; they may be the same.
#[derive(Debug)]
pub struct Flights {
    slots: Box<[Slot]>,
    lanes: Lanes,
    /// The next request to leave.
    head: AtomicU64,
    /// The oldest that may still be open.
    tail: AtomicU64,
}

impl Flights {
    /// For at least `wanted` requests at once, as far as `id_bits` can tell so many apart.
    #[must_use]
    pub fn new(lanes: Lanes, wanted: u64, id_bits: u32) -> Self {
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
        Self { slots, lanes, head: AtomicU64::new(0), tail: AtomicU64::new(0) }
    }

    /// How many can be in flight at once.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    /// How requests go to source ports.
    #[must_use]
    pub const fn lanes(&self) -> Lanes {
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

    /// How many more may leave now.
    #[inline]
    #[must_use]
    pub fn room(&self) -> u64 {
        self.capacity() - (self.head.load(Ordering::Relaxed) - self.tail.load(Ordering::Acquire))
    }

    /// This request is about to leave; it counts once [`Self::set_head`] is past it.
    #[inline]
    pub fn depart(&self, number: u64, flight: Flight) {
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

    /// All below this number have left, or are about to; what is from it on has not.
    #[inline]
    pub fn set_head(&self, head: u64) {
        self.head.store(head, Ordering::Release);
    }

    /// So many from `first` on were about to leave and have not: nothing waits at their places.
    /// A reply to whoever had such a place before is late, whatever it was.
    // cold: the system refused them
    pub fn withdraw(&self, first: u64, count: u64) {
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
    pub fn land(&self, number: u64, head: u64) -> Landing {
        if head - number > self.capacity() {
            return Landing::Late;
        }
        let slot = self.slot(number);
        let word = slot.word.load(Ordering::Relaxed);
        match word & STATE {
            OPEN => {
                slot.word.store(word & !STATE | ANSWERED, Ordering::Relaxed);
                let sent = Nanos(slot.sent.load(Ordering::Relaxed));
                Landing::Answer(Flight { intended: Nanos(word >> STATE_BITS), sent })
            }
            ANSWERED => Landing::Duplicate,
            _ => Landing::Late,
        }
    }

    /// Gives up what left at or before `before`, and as much more of the oldest as `spare` slots
    /// take; `(given up, of those before their time)`.
    #[inline]
    pub fn expire(&self, before: Option<Nanos>, spare: u64) -> (u64, u64) {
        let (head, first) = (self.head.load(Ordering::Acquire), self.tail.load(Ordering::Relaxed));
        let (mut tail, mut given_up, mut early) = (first, 0, 0);
        while tail < head && tail - first < WALK_MOST {
            let slot = self.slot(tail);
            let word = slot.word.load(Ordering::Relaxed);
            if word & STATE == OPEN {
                let due =
                    before.is_some_and(|before| slot.sent.load(Ordering::Relaxed) <= before.0);
                if !due && self.capacity() - (head - tail) >= spare {
                    break;
                }
                slot.word.store(word & !STATE | TIMED_OUT, Ordering::Relaxed);
                given_up += 1;
                early += u64::from(!due);
            }
            tail += 1;
        }
        if tail != first {
            self.tail.store(tail, Ordering::Release);
        }
        (given_up, early)
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

    fn at(ns: u64) -> Flight {
        Flight { intended: Nanos(ns), sent: Nanos(ns + 1) }
    }

    #[test]
    fn lanes_are_a_bijection() {
        for (streams, block) in [(1, 1), (1, 64), (3, 1), (3, 4), (7, 64)] {
            let lanes = Lanes::new(streams, block);
            let mut next = vec![0; streams];
            for number in 0..1_000 {
                let (stream, place) = (lanes.stream(number), lanes.place(number));
                assert_eq!(place, next[stream], "{lanes:?} {number}");
                assert_eq!(lanes.places(stream, number), place);
                assert_eq!(lanes.number(stream, place), number);
                let row = lanes.in_row(number).min(10_000);
                assert!((0..row).all(|more| lanes.stream(number + more) == stream));
                next[stream] += 1;
            }
        }
    }

    #[test]
    fn ids_tell_all_that_fit_apart() {
        for (streams, block, bits) in [(1, 1, 4), (3, 2, 4), (5, 4, 3), (2, 64, 8), (4, 4, 1)] {
            let lanes = Lanes::new(streams, block);
            let flights = Flights::new(lanes, u64::MAX >> 40, bits);
            let head = 10_000;
            for number in head - flights.capacity()..head {
                let id = lanes.place(number) & ((1 << bits) - 1);
                let found = flights.find(lanes.stream(number), id, bits, head);
                assert_eq!(found, Some(number), "{lanes:?}");
            }
        }
        let whole = Flights::new(Lanes::new(1, 1), 8, 64);
        assert_eq!(whole.find(0, 3, 64, 5), Some(3));
        assert_eq!(whole.find(0, 7, 64, 5), None, "not asked yet");
        assert_eq!(whole.find(0, 0, 64, 0), None, "nothing asked yet");
    }

    #[test]
    fn a_request_has_one_answer() {
        let flights = Flights::new(Lanes::new(1, 1), 4, 16);
        (0..3).for_each(|number| flights.depart(number, at(number * 10)));
        flights.set_head(3);
        assert_eq!((flights.room(), flights.capacity()), (1, 4));
        assert_eq!(flights.land(1, 3), Landing::Answer(at(10)));
        assert_eq!(flights.land(1, 3), Landing::Duplicate);
        // Sent at 1: given up; 1 is answered; 2 was sent at 21.
        assert_eq!(flights.expire(Some(Nanos(20)), 0), (1, 0));
        assert_eq!(flights.land(0, 3), Landing::Late);
        assert_eq!((flights.is_open(2), flights.is_empty(), flights.room()), (true, false, 3));
        assert_eq!(flights.expire(Some(Nanos(21)), 0), (1, 0));
        assert!(flights.is_empty());
    }

    #[test]
    fn what_was_refused_answers_for_nobody() {
        let flights = Flights::new(Lanes::new(1, 1), 4, 16);
        (0..4).for_each(|number| flights.depart(number, at(number)));
        flights.set_head(4);
        assert_eq!(flights.expire(Some(Nanos(1)), 0), (1, 0));
        flights.depart(4, at(40));
        flights.set_head(5);
        flights.withdraw(4, 1);
        assert_eq!((flights.head(), flights.room()), (4, 1));
        assert_eq!(flights.land(0, 4), Landing::Late, "not the answer to 4, which never left");
        assert!(!flights.is_open(0));
    }

    #[test]
    fn what_is_given_up_for_want_of_room_is_told() {
        let flights = Flights::new(Lanes::new(1, 1), 4, 16);
        (0..4).for_each(|number| flights.depart(number, at(number)));
        flights.set_head(4);
        assert_eq!(flights.expire(None, 0), (0, 0));
        assert_eq!(flights.expire(None, 2), (2, 2));
        assert_eq!(flights.room(), 2);
        (4..6).for_each(|number| flights.depart(number, at(number)));
        flights.set_head(6);
        assert_eq!(flights.land(0, 6), Landing::Late, "its slot is another's by now");
        assert_eq!(flights.land(4, 6), Landing::Answer(at(4)));
    }
}
