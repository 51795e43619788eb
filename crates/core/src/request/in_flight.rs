//! Requests in flight: a table of fixed slots, found by arithmetic, without allocation.
//!
//! The socket of a reply identifies its port, so that a few bits of the index identify the request.
//! Slot and id of a request are reused only after its reply, or long enough after a timeout.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::request::streams::StreamMap;
use crate::unit::Nanos;

/// States of a slot.
const FREE: u64 = 0;
const OPEN: u64 = 1;
const ANSWERED: u64 = 2;
const TIMED_OUT: u64 = 3;
/// Bits of the state, below those of the intended time; the rest lasts 146 years.
const STATE_BITS: u32 = 2;
const STATE: u64 = (1 << STATE_BITS) - 1;
/// Maximum requests that one call expires or releases: below 0.1 ms, which is no stall. Arbitrary
/// within that.
const MAX_WALK: u64 = 8_192;

#[derive(Debug, Default)]
struct Slot {
    /// Its intended time and state.
    word: AtomicU64,
    sent: AtomicU64,
    /// Its turn, which selects its content.
    turn: AtomicU64,
}

/// The times of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRequest {
    /// When it was due.
    pub intended: Nanos,
    /// When it was sent.
    pub sent: Nanos,
}

/// The class of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// The first reply to an open request.
    Answer(PendingRequest),
    /// A reply to an answered request.
    Duplicate,
    /// A reply to a request that had timed out.
    Late,
}

/// The requests in flight of one worker. One thread sends and one receives; they may be the same.
#[derive(Debug)]
pub struct InFlightTable {
    slots: Box<[Slot]>,
    stream_map: StreamMap,
    head: AtomicU64,
    /// The oldest that may still be open.
    tail: AtomicU64,
    /// The oldest request whose slot and id must not be reused yet; at most `tail`.
    oldest_unreleased: AtomicU64,
}

impl InFlightTable {
    /// A table for at least `wanted` requests, or as many as `id_bits` distinguish.
    pub fn new(stream_map: StreamMap, wanted: u64, id_bits: u32) -> Self {
        let distinct = stream_map.distinct(id_bits);
        let most = if distinct.is_power_of_two() {
            distinct
        } else {
            distinct.checked_next_power_of_two().map_or(1 << 63, |above| above >> 1)
        };
        let slots = wanted.next_power_of_two().min(most);
        // Written now, so that memory is not mapped during the measurement.
        let slots = (0..slots)
            .map(|_| Slot { word: FREE.into(), sent: u64::MAX.into(), turn: u64::MAX.into() })
            .collect();
        let zero = || AtomicU64::new(0);
        Self { slots, stream_map, head: zero(), tail: zero(), oldest_unreleased: zero() }
    }

    /// Maximum requests in flight.
    pub fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    /// The distribution of requests over source ports.
    pub const fn stream_map(&self) -> StreamMap {
        self.stream_map
    }

    #[inline]
    fn slot(&self, number: u64) -> &Slot {
        // A power of two.
        &self.slots[number as usize & (self.slots.len() - 1)]
    }

    /// The next request to send.
    #[inline]
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// How many more requests may be sent without reusing the id of one that may still be answered.
    #[inline]
    pub fn free_slots(&self) -> u64 {
        self.capacity()
            - (self.head.load(Ordering::Relaxed) - self.oldest_unreleased.load(Ordering::Acquire))
    }

    /// Enters a request before it is sent; it counts once [`Self::set_head`] is past it.
    #[inline]
    pub fn insert(&self, number: u64, pending: PendingRequest) {
        let slot = self.slot(number);
        slot.sent.store(pending.sent.0, Ordering::Relaxed);
        slot.word.store(pending.intended.0 << STATE_BITS | OPEN, Ordering::Relaxed);
    }

    /// Stores the turn of a request, to write it again.
    #[inline]
    pub fn set_turn(&self, number: u64, turn: u64) {
        self.slot(number).turn.store(turn, Ordering::Relaxed);
    }

    /// The turn of this request; `None` if its slot was reused.
    #[inline]
    pub fn turn(&self, number: u64, head: u64) -> Option<u64> {
        let is_here = head - number <= self.capacity();
        is_here.then(|| self.slot(number).turn.load(Ordering::Relaxed))
    }

    /// When the oldest open request was sent, if there may be one.
    #[inline]
    pub fn oldest_sent(&self) -> Option<Nanos> {
        let tail = self.tail.load(Ordering::Relaxed);
        let sent = || Nanos(self.slot(tail).sent.load(Ordering::Relaxed));
        (tail < self.head.load(Ordering::Relaxed)).then(sent)
    }

    /// When the oldest request that blocks a slot was sent, if it was given up; otherwise `None`.
    #[inline]
    pub fn unreleased_sent(&self) -> Option<Nanos> {
        let oldest_unreleased = self.oldest_unreleased.load(Ordering::Relaxed);
        let sent = || Nanos(self.slot(oldest_unreleased).sent.load(Ordering::Relaxed));
        (oldest_unreleased < self.tail.load(Ordering::Relaxed)).then(sent)
    }

    /// Moves the origin of time `later` than before; no request may be in flight.
    // cold: between phases
    pub fn rebase(&self, later: Nanos) {
        for number in
            self.oldest_unreleased.load(Ordering::Relaxed)..self.head.load(Ordering::Relaxed)
        {
            let sent = &self.slot(number).sent;
            // Earlier times count as the new origin.
            sent.store(sent.load(Ordering::Relaxed).saturating_sub(later.0), Ordering::Relaxed);
        }
    }

    /// Sets the next request to send.
    #[inline]
    pub fn set_head(&self, head: u64) {
        self.head.store(head, Ordering::Release);
    }

    /// Cancels `count` requests from `first` on; replies to earlier ones in their slots are then
    /// late.
    // cold: the system refused them
    pub fn cancel(&self, first: u64, count: u64) {
        for number in first..first + count {
            self.slot(number).word.store(FREE, Ordering::Relaxed);
        }
        self.set_head(first);
    }

    /// The latest request of this port whose place ends in `id`; `None` before there was one.
    #[inline]
    pub fn find(&self, stream: usize, id: u64, id_bits: u32, head: u64) -> Option<u64> {
        let last = self.stream_map.places(stream, head).checked_sub(1)?;
        let mask = 1_u64.checked_shl(id_bits).map_or(u64::MAX, |ids| ids - 1);
        let place = last.checked_sub(last.wrapping_sub(id) & mask)?;
        Some(self.stream_map.number(stream, place))
    }

    /// Whether this request is open.
    #[inline]
    pub fn is_open(&self, number: u64) -> bool {
        self.slot(number).word.load(Ordering::Relaxed) & STATE == OPEN
    }

    /// Completes a request by a reply; `head` is that at the time of the read.
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

    /// Gives up requests sent at or before `before`, and returns their number. Frees answered
    /// requests, and given-up ones sent at or before `released_before`.
    #[inline]
    pub fn expire(&self, before: Option<Nanos>, released_before: Option<Nanos>) -> u64 {
        let left_by = |slot: &Slot, moment: Option<Nanos>| {
            moment.is_some_and(|moment| slot.sent.load(Ordering::Relaxed) <= moment.0)
        };
        let (head, first) = (self.head.load(Ordering::Acquire), self.tail.load(Ordering::Relaxed));
        let (mut tail, mut given_up) = (first, 0);
        while tail < head && tail - first < MAX_WALK {
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
        let first = self.oldest_unreleased.load(Ordering::Relaxed);
        let mut oldest_unreleased = first;
        while oldest_unreleased < tail && oldest_unreleased - first < MAX_WALK {
            let slot = self.slot(oldest_unreleased);
            let is_given_up = slot.word.load(Ordering::Relaxed) & STATE == TIMED_OUT;
            if is_given_up && !left_by(slot, released_before) {
                break;
            }
            oldest_unreleased += 1;
        }
        if oldest_unreleased != first {
            self.oldest_unreleased.store(oldest_unreleased, Ordering::Release);
        }
        given_up
    }

    /// Whether no request is open.
    #[inline]
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
    fn a_given_up_request_keeps_its_slot_until_it_is_released() {
        let table = InFlightTable::new(StreamMap::new(1, 1), 4, 16);
        (0..4).for_each(|number| table.insert(number, at(number * 10)));
        table.set_head(4);
        assert_eq!(table.complete(1, 4), Completion::Answer(at(10)));
        // The oldest is awaited, and keeps its slot and those after it.
        assert_eq!((table.expire(None, None), table.free_slots()), (0, 0));
        assert_eq!((table.oldest_sent(), table.unreleased_sent()), (Some(Nanos(1)), None));
        assert_eq!((table.expire(Some(Nanos(25)), None), table.free_slots()), (2, 0));
        assert_eq!(
            (table.oldest_sent(), table.unreleased_sent()),
            (Some(Nanos(31)), Some(Nanos(1)))
        );
        assert_eq!(table.complete(0, 4), Completion::Late);
        // Answered requests are released at once.
        assert_eq!((table.expire(None, Some(Nanos(20))), table.free_slots()), (0, 2));
        assert_eq!((table.expire(Some(Nanos(31)), Some(Nanos(20))), table.free_slots()), (1, 2));
        table.rebase(Nanos(25));
        assert_eq!(table.unreleased_sent(), Some(Nanos(0)), "it left before the new beginning");
        assert_eq!((table.expire(None, Some(Nanos(6))), table.free_slots()), (0, 4));
    }
}
