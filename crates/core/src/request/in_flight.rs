//! Requests in flight: a table of fixed slots. The socket of a reply identifies its port, so that a
//! few bits of the index identify the request. A slot and id are reused only after the reply, or
//! long enough after a timeout.

mod second;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::unit::Nanos;

/// States of a slot.
const FREE: u64 = 0;
const OPEN: u64 = 1;
const ANSWERED: u64 = 2;
const TIMED_OUT: u64 = 3;
const CONTINUING: u64 = 4;
/// Bits of the state, below those of the intended time, which last 73 years.
const STATE_BITS: u32 = 3;
const STATE: u64 = (1 << STATE_BITS) - 1;
/// Maximum requests that one call expires or releases. Arbitrary: takes below 0.1 ms.
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
    /// The oldest request that may be open.
    tail: AtomicU64,
    /// The oldest request whose slot and id must not be reused yet; at most `tail`.
    oldest_unreleased: AtomicU64,
}

impl InFlightTable {
    /// A table for at least `wanted` requests, or as many as `id_bits` distinguish.
    pub fn new(stream_map: StreamMap, wanted: u64, id_bits: u32) -> Self {
        // The largest power of two; there is at least one id.
        let most = 1 << stream_map.distinct(id_bits).ilog2();
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

    /// Inserts a request before it is sent; it counts once [`Self::set_head`] is past it.
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

    /// When request `number` was sent, if it is below `end`.
    #[inline]
    fn sent_before(&self, number: &AtomicU64, end: &AtomicU64) -> Option<Nanos> {
        let number = number.load(Ordering::Relaxed);
        let sent = || Nanos(self.slot(number).sent.load(Ordering::Relaxed));
        (number < end.load(Ordering::Relaxed)).then(sent)
    }

    /// When the oldest open request was sent, if there may be one.
    #[inline]
    pub fn oldest_sent(&self) -> Option<Nanos> {
        self.sent_before(&self.tail, &self.head)
    }

    /// When the oldest request that blocks a slot was sent, if it was given up; otherwise `None`.
    #[inline]
    pub fn unreleased_sent(&self) -> Option<Nanos> {
        self.sent_before(&self.oldest_unreleased, &self.tail)
    }

    /// Moves the origin of time `later` than before; no request may be in flight.
    // cold: between phases
    pub fn rebase(&self, later: Nanos) {
        let first = self.oldest_unreleased.load(Ordering::Relaxed);
        for number in first..self.head.load(Ordering::Relaxed) {
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

    /// Cancels `count` requests from `first` on; replies to earlier ones in their slots are late.
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

    /// When this request was due; `None` if its slot was reused.
    // cold: behind a duplicate
    pub fn intended(&self, number: u64, head: u64) -> Option<Nanos> {
        let is_here = head - number <= self.capacity();
        is_here.then(|| Nanos(self.slot(number).word.load(Ordering::Relaxed) >> STATE_BITS))
    }

    /// Gives up requests sent at or before `before`, and returns their number. Frees answered
    /// requests, and given-up ones sent at or before `released_before`.
    #[inline]
    pub fn expire(
        &self,
        before: Option<Nanos>,
        released_before: Option<Nanos>,
        mut on_timeout: impl FnMut(Nanos),
    ) -> u64 {
        let sent_by = |slot: &Slot, moment: Option<Nanos>| {
            moment.is_some_and(|moment| slot.sent.load(Ordering::Relaxed) <= moment.0)
        };
        let (head, first) = (self.head.load(Ordering::Acquire), self.tail.load(Ordering::Relaxed));
        let (mut tail, mut given_up) = (first, 0);
        while tail < head && tail - first < MAX_WALK {
            let slot = self.slot(tail);
            let word = slot.word.load(Ordering::Relaxed);
            if word & STATE == OPEN {
                if !sent_by(slot, before) {
                    break;
                }
                slot.word.store(word & !STATE | TIMED_OUT, Ordering::Relaxed);
                given_up += 1;
                on_timeout(Nanos(word >> STATE_BITS));
            }
            tail += 1;
        }
        if tail != first {
            self.tail.store(tail, Ordering::Release);
        }
        let first = self.oldest_unreleased.load(Ordering::Relaxed);
        let mut oldest = first;
        while oldest < tail && oldest - first < MAX_WALK {
            let slot = self.slot(oldest);
            let state = slot.word.load(Ordering::Relaxed) & STATE;
            if state == CONTINUING || state == TIMED_OUT && !sent_by(slot, released_before) {
                break;
            }
            oldest += 1;
        }
        if oldest != first {
            self.oldest_unreleased.store(oldest, Ordering::Release);
        }
        given_up
    }

    /// Whether no request is open.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.load(Ordering::Acquire) == self.tail.load(Ordering::Relaxed)
    }
}

/// Distribution of requests over source ports: blocks go to the ports in turn, and each request has
/// an index on its port, from 0. Its id is as many low bits of that index as the protocol allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamMap {
    streams: u64,
    block: u64,
}

impl StreamMap {
    /// Blocks of `block` requests, in turn to each of `streams` ports.
    pub fn new(streams: usize, block: usize) -> Self {
        Self { streams: streams.max(1) as u64, block: block.max(1) as u64 }
    }

    /// The port of a request.
    #[inline]
    pub const fn stream(&self, number: u64) -> usize {
        if self.streams == 1 { 0 } else { ((number / self.block) % self.streams) as usize }
    }

    /// Zero-based index of the request on its port.
    #[inline]
    pub const fn place(&self, number: u64) -> u64 {
        if self.streams == 1 {
            return number;
        }
        number / (self.block * self.streams) * self.block + number % self.block
    }

    /// The request that is the `place`-th of its port.
    #[inline]
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
    pub const fn in_row(&self, number: u64) -> u64 {
        if self.streams == 1 { u64::MAX } else { self.block - number % self.block }
    }

    /// How many of the first `count` requests go to this port.
    #[inline]
    pub fn places(&self, stream: usize, count: u64) -> u64 {
        if self.streams == 1 {
            return count;
        }
        let round = self.block * self.streams;
        let rest = (count % round).saturating_sub(stream as u64 * self.block);
        count / round * self.block + rest.min(self.block)
    }

    /// Number of consecutive requests whose ids of so many bits are unique on each port.
    pub fn distinct(&self, id_bits: u32) -> u64 {
        let ids = 1_u64.checked_shl(id_bits).unwrap_or(u64::MAX);
        if self.streams == 1 {
            ids
        } else {
            // A row may start within a block; as many requests as ids may all be of one port.
            ids.saturating_sub(self.block).saturating_mul(self.streams).max(ids)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_of_one_port() {
        for (streams, block) in [(1, 64), (3, 1), (3, 4), (7, 64)] {
            let map = StreamMap::new(streams, block);
            for number in 0..1_000 {
                let row = map.in_row(number).min(10_000);
                assert!((0..row).all(|more| map.stream(number + more) == map.stream(number)));
                assert!(streams == 1 || map.stream(number + row) != map.stream(number));
            }
        }
    }

    #[test]
    fn reports_and_rebases_the_oldest_send_times() {
        let table = InFlightTable::new(StreamMap::new(1, 1), 4, 16);
        for number in 0..4 {
            let sent = Nanos(number * 10 + 1);
            table.insert(number, PendingRequest { intended: sent, sent });
        }
        table.set_head(4);
        let oldest = || [table.oldest_sent(), table.unreleased_sent()].map(|at| at.map(|at| at.0));
        assert_eq!(oldest(), [Some(1), None]);
        assert_eq!(
            (table.expire(Some(Nanos(25)), None, |_| {}), oldest()),
            (3, [Some(31), Some(1)])
        );
        assert_eq!(
            (table.expire(Some(Nanos(31)), Some(Nanos(20)), |_| {}), table.free_slots()),
            (1, 2)
        );
        table.rebase(Nanos(25));
        assert_eq!(oldest(), [None, Some(0)], "sent before the new origin");
        assert_eq!((table.expire(None, Some(Nanos(6)), |_| {}), table.free_slots()), (0, 4));
    }
}
