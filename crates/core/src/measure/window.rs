//! The sequence window of one flow: which numbers are new, repeated, reordered or too old; and the
//! numbers of a source that sends udperf's header.

use crate::document::SinkSequences;
use crate::unit::Nanos;

/// Sequence numbers a window remembers. At 64 segments a GRO read and a receive buffer of 4 MiB a
/// few thousand datagrams are under way at most; 65,536 leaves room for a path that reorders by a
/// whole buffer, in 8 KiB, which stay in L1. Otherwise arbitrary.
pub const WINDOW: u64 = 65_536;
/// Bits in a word of the bitmap.
const WORD: u64 = u64::BITS as u64;

/// The classification of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Seen for the first time, and higher than all before.
    InOrder,
    /// Seen for the first time, after a number this much higher (reordered, RFC 4737 section 3).
    Reordered(u64),
    /// Seen before.
    Duplicate,
    /// Too old for the window: new or repeated is unknown.
    Late,
    /// Further ahead than the window: a later number has to confirm it. It was not recorded.
    Ahead,
}

/// A sliding bitmap over the last [`WINDOW`] numbers of one flow, in fixed memory. Nothing is ever
/// decremented, so that a repeated datagram cannot undo a loss.
///
/// While numbers are consecutive, only `next` is written; otherwise the bits follow, 64 at a time.
#[derive(Debug, Clone)]
pub struct Window {
    next: u64,
    /// From here to `next`, all have been seen, and are not in the bits yet.
    written: u64,
    bits: Box<[u64]>,
}

impl Default for Window {
    // cold: set-up
    fn default() -> Self {
        let bits = vec![0; (WINDOW / WORD) as usize].into_boxed_slice();
        Self { next: 0, written: 0, bits }
    }
}

impl Window {
    /// The window of a flow that other receivers get: it takes no memory; any arrival is late.
    // cold: set-up
    pub fn closed() -> Self {
        Self { next: u64::MAX, written: u64::MAX, bits: Box::default() }
    }

    /// Clears it for the next phase.
    pub fn reset(&mut self) {
        if self.bits.is_empty() {
            return;
        }
        // If all numbers were consecutive, no bit was written, and its pages stay unmapped.
        if self.written > 0 {
            self.bits.fill(0);
        }
        (self.next, self.written) = (0, 0);
    }

    /// One more than the highest number seen.
    #[inline]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Records an arrival.
    #[inline]
    pub fn arrive(&mut self, sequence: u64) -> Arrival {
        if sequence == self.next {
            self.next += 1;
            return Arrival::InOrder;
        }
        self.write();
        let arrival = self.arrive_out_of_line(sequence);
        self.written = self.next;
        arrival
    }

    /// Records the next `count` numbers.
    #[inline]
    pub const fn advance(&mut self, count: u64) {
        self.next += count;
    }

    /// Records a number any distance ahead that later ones have confirmed.
    pub fn jump(&mut self, sequence: u64) {
        self.write();
        for (word, mask) in Self::masks(self.next, sequence) {
            self.bits[word] &= !mask;
        }
        self.next = sequence + 1;
        let (word, bit) = Self::place(sequence);
        self.bits[word] |= bit;
        self.written = self.next;
    }

    fn write(&mut self) {
        for (word, mask) in Self::masks(self.written, self.next) {
            self.bits[word] |= mask;
        }
    }

    fn arrive_out_of_line(&mut self, sequence: u64) -> Arrival {
        if sequence > self.next {
            if sequence - self.next > WINDOW {
                return Arrival::Ahead;
            }
            self.jump(sequence);
            return Arrival::InOrder;
        }
        let behind = self.next - 1 - sequence;
        if behind >= WINDOW {
            return Arrival::Late;
        }
        let (word, bit) = Self::place(sequence);
        if self.bits[word] & bit != 0 {
            return Arrival::Duplicate;
        }
        self.bits[word] |= bit;
        Arrival::Reordered(behind)
    }

    #[inline]
    fn place(sequence: u64) -> (usize, u64) {
        (((sequence % WINDOW) / WORD) as usize, 1 << (sequence % WORD))
    }

    /// The words of the numbers from `from` up to, not including, `to`, with the bits of these; as
    /// far back as the bits reach.
    fn masks(from: u64, to: u64) -> impl Iterator<Item = (usize, u64)> {
        let mut at = from.max(to.saturating_sub(WINDOW));
        std::iter::from_fn(move || {
            let (word, bit) = (((at % WINDOW) / WORD) as usize, at % WORD);
            let here = (WORD - bit).min(to - at);
            at += here;
            (here > 0).then(|| (word, (u64::MAX >> (WORD - here)) << bit))
        })
    }
}

/// The shortest plausible mean gap between datagrams of a flow, in ns. Arbitrary: ten times the
/// rate that one socket of a fast host reaches with super-packets.
const LEAST_GAP_NS: u64 = 4;
/// Datagrams that may share the first moment of a phase. From `UIO_MAXIOV`, messages of a system
/// call, times `UDP_MAX_SEGMENTS`, datagrams of a message.
const AT_ONCE: u64 = 1_024 * 128;

/// The header fields of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// Tag and flow: numbers begin at 0 with each.
    pub phase: u32,
    /// Its number.
    pub sequence: u64,
    /// When it was due, since the phase began.
    pub intended: Nanos,
}

impl Numbered {
    /// Whether a sender can have reached this number by then; random bytes mostly fail here.
    const fn is_plausible(&self) -> bool {
        self.sequence <= AT_ONCE + self.intended.0 / LEAST_GAP_NS
    }
}

impl SinkSequences {
    /// All datagrams that carried a number.
    pub const fn arrived(&self) -> u64 {
        self.unique + self.duplicate + self.late
    }

    pub(super) const fn add(&mut self, other: &Self) {
        // Forged numbers make up any loss.
        add_counts!(self, other; unique, lost, duplicate, late, reordered);
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Sequences {
    ended: SinkSequences,
    /// The current phase, without its missing numbers.
    counts: SinkSequences,
    phase: u32,
    previous: Option<u32>,
    /// The first number that counts: 0, or the first one seen if the socket was opened later.
    first: u64,
    next: u64,
    /// A number too far ahead to be believed before a later one confirms it.
    ahead: Option<u64>,
    window: Window,
}

impl Sequences {
    /// Begins with the first datagram of a source; `None` if its number is not plausible.
    pub(super) fn begin(numbered: Numbered, listened: Nanos) -> Option<Self> {
        if !numbered.is_plausible() {
            return None;
        }
        let mut begun = Self::default();
        begun.begin_phase(numbered, listened);
        begun.arrive(numbered.sequence);
        Some(begun)
    }

    /// Counts one if its number is plausible.
    pub(super) fn count(&mut self, numbered: Numbered, listened: Nanos) {
        if !numbered.is_plausible() {
            return;
        }
        if self.previous == Some(numbered.phase) {
            self.ended.late += 1;
            return;
        }
        if self.phase != numbered.phase {
            self.ended = self.counts();
            self.previous = Some(self.phase);
            self.begin_phase(numbered, listened);
        }
        self.arrive(numbered.sequence);
    }

    pub(super) fn counts(&self) -> SinkSequences {
        let mut sum = self.ended;
        sum.add(&self.counts);
        let missing = (self.next - self.first).saturating_sub(self.counts.unique);
        sum.lost = sum.lost.saturating_add(missing);
        sum
    }

    fn begin_phase(&mut self, numbered: Numbered, listened: Nanos) {
        let from_its_start = numbered.intended <= listened;
        self.first = if from_its_start { 0 } else { numbered.sequence };
        (self.phase, self.next) = (numbered.phase, self.first);
        self.counts = SinkSequences::default();
        self.ahead = None;
        self.window.reset();
    }

    fn arrive(&mut self, sequence: u64) {
        let Some(number) = sequence.checked_sub(self.first) else {
            self.counts.late += 1;
            return;
        };
        match self.window.arrive(number) {
            Arrival::InOrder => {
                self.counts.unique += 1;
                self.ahead = None;
            }
            Arrival::Reordered(_) => {
                self.counts.unique += 1;
                self.counts.reordered += 1;
            }
            Arrival::Duplicate => self.counts.duplicate += 1,
            Arrival::Late => self.counts.late += 1,
            Arrival::Ahead => return self.arrive_ahead(number),
        }
        self.next = self.next.max(sequence + 1);
    }

    /// A number far ahead counts with another one near it; one that stays alone is damaged.
    fn arrive_ahead(&mut self, number: u64) {
        match self.ahead.replace(number) {
            Some(held) if number != held && number.abs_diff(held) <= WINDOW => {
                self.window.jump(number.min(held));
                self.counts.unique += 1;
                self.arrive(self.first + number.max(held));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Arrival::{Ahead, Duplicate, InOrder, Late, Reordered};

    #[test]
    fn classifies_arrivals_at_the_edges_of_the_window() {
        let mut window = Window::default();
        for (sequence, expected) in [
            (4 + WINDOW, Ahead),
            (4, InOrder),
            (4 + WINDOW, InOrder),
            (4, Late),
            (5, Reordered(WINDOW - 1)),
            (5, Duplicate),
            (6 + 2 * WINDOW, Ahead),
            (5 + WINDOW, InOrder),
        ] {
            assert_eq!(window.arrive(sequence), expected, "{sequence}");
        }
        window.reset();
        assert_eq!(window.arrive(0), InOrder);
    }

    #[test]
    fn any_arrival_is_late_in_a_closed_window() {
        let mut window = Window::closed();
        for sequence in [0, 1, 5, WINDOW, (1 << 48) - 1, 0] {
            assert_eq!(window.arrive(sequence), Late, "{sequence}");
            window.reset();
        }
    }

    #[test]
    fn a_row_equals_single_arrivals() {
        for (first, count) in [(0, 1), (0, 64), (3, 200), (63, 2), (WINDOW - 5, 70), (10, WINDOW)] {
            let [mut row, mut singly] = [first, first + count].map(|numbers| {
                let mut window = Window::default();
                assert!((0..numbers).all(|sequence| window.arrive(sequence) == InOrder));
                window
            });
            row.advance(count);
            row.write();
            singly.write();
            assert_eq!((row.next, row.bits), (singly.next, singly.bits), "{first} {count}");
        }
    }

    fn numbered(&(phase, sequence): &(u32, u64)) -> Numbered {
        Numbered { phase, sequence, intended: Nanos(sequence * 1_000) }
    }

    #[test]
    fn each_number_has_its_outcome() {
        let (long, short, far) = (Nanos::from_millis(1), Nanos(1_000), 3 * WINDOW);
        for (all, listened, expected) in [
            // Missing, reordered, repeated.
            (&[(2, 1), (2, 0), (2, 4), (2, 4), (2, 3)][..], long, [4, 1, 1, 0, 2]),
            // Each phase begins at 0, and further arrivals of the previous one are late.
            (&[(2, 0), (2, 2), (3, 1), (2, 1), (3, 2)], long, [4, 2, 0, 1, 0]),
            // Numbers sent before the socket was opened are not lost.
            (&[(2, 500), (2, 499), (2, 503)], short, [2, 2, 0, 1, 0]),
            (&[(2, 500), (2, 499), (2, 503)], long, [3, 501, 0, 0, 1]),
            // Numbers far ahead count once another is near.
            (&[(2, 0), (2, far), (2, 1)], long, [2, 0, 0, 0, 0]),
            (&[(2, 0), (2, far), (2, far + 1), (2, far + 2)], long, [4, far - 1, 0, 0, 0]),
            (&[(2, 0), (2, far + 1), (2, far), (2, far + 2)], long, [4, far - 1, 0, 0, 0]),
        ] {
            let mut sequences = Sequences::begin(numbered(&all[0]), listened).unwrap();
            all[1..].iter().for_each(|one| sequences.count(numbered(one), listened));
            let SinkSequences { unique, lost, duplicate, late, reordered, .. } = sequences.counts();
            assert_eq!([unique, lost, duplicate, late, reordered], expected, "{all:?}");
        }
    }

    #[test]
    fn a_query_that_looks_like_a_header_has_no_plausible_number() {
        // Id 17 of DNS, one question, and EDNS.
        let sequence = 0x0001_0000_0000;
        let query = Numbered { phase: 17 << 16, sequence, intended: Nanos(0x0001_0377_7777) };
        assert!(Sequences::begin(query, Nanos::from_millis(1)).is_none());
        let burst = Numbered { sequence: AT_ONCE, intended: Nanos::ZERO, ..query };
        assert!(Sequences::begin(burst, Nanos::ZERO).is_some());
    }
}
