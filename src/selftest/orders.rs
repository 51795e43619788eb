//! What a relay is to do with each datagram, and what a receiver behind it must count.

use std::collections::HashSet;

use fastrand::Rng;

use crate::measure::WINDOW;
use crate::unit::Nanos;
use crate::wire::{self, Header};

/// What a relay does with a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Pass,
    Drop,
    /// It is passed on twice.
    Repeat,
    /// It is passed on after the datagram of this index.
    Hold(usize),
    /// It is passed on with this bit of the header flipped.
    Damage(usize),
    /// It is passed on, and before it a copy with this bit of the header flipped.
    Copy(usize),
    /// It is passed on, and before it a copy with another tag.
    Foreign,
}

/// Everything that a relay is to do.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    /// The action for each datagram in the order in which they come.
    pub(super) list: Vec<Action>,
    /// The action for later ones.
    pub(super) rest: Action,
    /// From the datagram of this index on, this is added to sequence numbers, and the relay numbers
    /// the datagrams that come from 0.
    pub(super) renumber: Option<(usize, u64)>,
    /// How long each datagram is kept.
    pub(super) delay: Nanos,
    /// The receiver stalls from the datagram of the first index to that of the second.
    pub(super) stall: Option<(usize, usize)>,
}

impl Default for Orders {
    fn default() -> Self {
        let (list, rest, delay) = (Vec::new(), Action::Pass, Nanos::ZERO);
        Self { list, rest, renumber: None, delay, stall: None }
    }
}

/// Datagrams at the end of a list that are passed on, so that no loss is at the end. Arbitrary.
const LAST: usize = 4;
/// Most datagrams that overtake another one. Arbitrary.
const OVERTAKEN_BY: usize = 20;
/// The first bit of a header behind the tag, whose damage makes a datagram foreign; see `wire`.
const BEHIND_TAG: usize = 16;
/// Datagrams before the gap in sequence numbers of [`Orders::at_window`]. Arbitrary: so many take
/// more ns than the gap has numbers, faster than which no sender is believed to be.
const BEFORE_GAP: usize = 400;
/// Datagrams of the list of [`Orders::at_window`]. Arbitrary: 20 follow the gap.
const AROUND_GAP: usize = BEFORE_GAP + 20;

impl Orders {
    /// A list from a seed for `count` datagrams: drops, copies, reordering, damage.
    pub(super) fn of_seed(seed: u64, count: usize) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut action = |at: usize| {
            let bit = random.usize(BEHIND_TAG..wire::HEADER_LEN * 8);
            let behind = at + random.usize(1..=OVERTAKEN_BY);
            // Percent of all datagrams; arbitrary.
            match random.u8(0..100) {
                _ if at + LAST >= count => Action::Pass,
                0..10 => Action::Drop,
                10..14 => Action::Repeat,
                14..19 if behind + LAST < count => Action::Hold(behind),
                19..21 => Action::Damage(bit),
                21..23 => Action::Copy(bit),
                23..25 => Action::Foreign,
                _ => Action::Pass,
            }
        };
        Self { list: (0..count).map(&mut action).collect(), ..Self::default() }
    }

    /// Drops the last ones of `count`, which no later sequence number shows to be missing.
    pub(super) fn without_tail(count: usize, tail: usize) -> Self {
        let passed = vec![Action::Pass; count - tail];
        Self { list: passed, rest: Action::Drop, ..Self::default() }
    }

    /// One datagram arrives at the edge of the reorder window, and the next one just behind it. So
    /// that it takes few datagrams, the relay leaves a gap in the sequence numbers.
    pub(super) fn at_window() -> Self {
        let mut list = vec![Action::Pass; AROUND_GAP];
        let gap = WINDOW - 1 - BEFORE_GAP as u64;
        // As old as the highest number less WINDOW - 1, and less WINDOW.
        let (edge, behind) = (10, 11);
        list[edge] = Action::Hold(edge + BEFORE_GAP);
        list[behind] = Action::Hold(behind + BEFORE_GAP + 1);
        Self { list, rest: Action::Drop, renumber: Some((BEFORE_GAP, gap)), ..Self::default() }
    }

    pub(super) fn action(&self, index: usize) -> Action {
        self.list.get(index).copied().unwrap_or(self.rest)
    }

    /// Writes the sequence number that the datagram of this index gets.
    pub(super) fn renumber(&self, index: usize, bytes: &mut [u8]) {
        let Some((from, gap)) = self.renumber else { return };
        if let Some(header) = wire::decode_own(bytes, tag_of(bytes)) {
            let sequence = index as u64 + if index < from { 0 } else { gap };
            wire::encode(Header { sequence, ..header }, bytes);
        }
    }
}

/// The tag of a datagram.
pub(super) fn tag_of(bytes: &[u8]) -> u16 {
    bytes.first_chunk().map_or(0, |tag| u16::from_be_bytes(*tag))
}

/// What a receiver must count after all that was passed on, by a model of its own: a set of the
/// numbers seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Truth {
    seen: HashSet<u64>,
    highest: Option<u64>,
    pub(super) arrived: u64,
    pub(super) received: u64,
    pub(super) duplicate: u64,
    pub(super) late: u64,
    pub(super) reordered: u64,
    pub(super) extent: u64,
    pub(super) foreign: u64,
    pub(super) corrupt: u64,
}

impl Truth {
    /// Counts a datagram that was passed on; `tag`: that of all that belong to the run.
    pub(super) fn count(&mut self, bytes: &[u8], tag: u16) {
        self.arrived += 1;
        if tag_of(bytes) != tag {
            self.foreign += 1;
            return;
        }
        let Some(Header { sequence, .. }) = wire::decode_own(bytes, tag) else {
            self.corrupt += 1;
            return;
        };
        let behind = self.highest.and_then(|highest| highest.checked_sub(sequence));
        match behind {
            Some(behind) if behind >= WINDOW => self.late += 1,
            Some(_) if self.seen.contains(&sequence) => self.duplicate += 1,
            Some(behind) => {
                self.reordered += 1;
                self.extent = self.extent.max(behind);
                self.received += 1;
            }
            None => {
                self.highest = Some(sequence);
                self.received += 1;
            }
        }
        self.seen.insert(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_depend_on_their_seed_and_end_with_passed_datagrams() {
        let one = Orders::of_seed(7, 500).list;
        assert_eq!(one, Orders::of_seed(7, 500).list);
        assert_ne!(one, Orders::of_seed(8, 500).list);
        assert!(one[500 - LAST..].iter().all(|action| *action == Action::Pass));
        for (at, action) in one.iter().enumerate() {
            if let Action::Hold(behind) = action {
                assert!(*behind > at && behind + LAST < 500);
            }
        }
        for is in [
            |one: &Action| *one == Action::Drop,
            |one: &Action| *one == Action::Repeat,
            |one: &Action| matches!(one, Action::Hold(_)),
            |one: &Action| matches!(one, Action::Damage(_)),
            |one: &Action| matches!(one, Action::Copy(_)),
            |one: &Action| *one == Action::Foreign,
        ] {
            assert!(one.iter().any(is));
        }
    }

    #[test]
    fn the_model_tells_the_edge_of_the_window() {
        let mut truth = Truth::default();
        let orders = Orders::at_window();
        let mut bytes = [0; 16];
        let mut pass = |index: usize| {
            wire::encode(Header { tag: 9, ..Header::default() }, &mut bytes);
            orders.renumber(index, &mut bytes);
            truth.count(&bytes, 9);
        };
        let mut held = Vec::new();
        for index in 0..AROUND_GAP {
            match orders.action(index) {
                Action::Hold(behind) => held.push((behind, index)),
                _ => pass(index),
            }
            held.iter().filter(|(behind, _)| *behind == index).for_each(|(_, one)| pass(*one));
        }
        assert_eq!((truth.reordered, truth.extent, truth.late), (1, WINDOW - 1, 1));
        assert_eq!(truth.received, AROUND_GAP as u64 - 1);
    }
}
