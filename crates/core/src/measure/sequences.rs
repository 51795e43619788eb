//! Counts datagrams of a source that sends udperf's header, by sequence number.

use super::window::{Arrival, WINDOW, Window};
use crate::unit::Nanos;

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

/// Datagrams of one source by sequence number, all phases together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "`document::SinkSequences` describes the fields")]
pub struct SequenceCounts {
    pub unique: u64,
    pub lost: u64,
    pub duplicate: u64,
    pub late: u64,
    pub reordered: u64,
}

impl SequenceCounts {
    /// All datagrams that carried a number.
    pub const fn arrived(&self) -> u64 {
        self.unique + self.duplicate + self.late
    }

    /// Adds those of another phase, or of another listener.
    pub(super) const fn add(&mut self, other: &Self) {
        // Forged numbers make up any loss.
        add_counts!(self, other; unique, lost, duplicate, late, reordered);
    }
}

/// Follows the numbers of one source.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequences {
    /// Phases that have ended.
    ended: SequenceCounts,
    /// The current phase, without its missing numbers.
    counts: SequenceCounts,
    phase: u32,
    /// The previous phase: its further arrivals are late.
    previous: Option<u32>,
    /// The first number that counts: 0, or the first one seen if the socket was opened later.
    first: u64,
    /// One more than the highest number seen.
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

    pub(super) fn counts(&self) -> SequenceCounts {
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
        self.counts = SequenceCounts::default();
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

    fn numbered(phase: u32, sequence: u64) -> Numbered {
        Numbered { phase, sequence, intended: Nanos(sequence * 1_000) }
    }

    /// Counts of these numbers at a socket that has listened for so long.
    fn counted(all: &[(u32, u64)], listened: Nanos) -> SequenceCounts {
        let (first, rest) = all.split_first().unwrap();
        let mut sequences = Sequences::begin(numbered(first.0, first.1), listened).unwrap();
        rest.iter().for_each(|one| sequences.count(numbered(one.0, one.1), listened));
        sequences.counts()
    }

    #[test]
    fn numbers_far_ahead_count_once_another_is_near() {
        let far = 3 * WINDOW;
        let counts = |lost, unique| SequenceCounts { lost, unique, ..SequenceCounts::default() };
        // Intended late enough for these numbers.
        let listened = Nanos::from_millis(1);
        assert_eq!(counted(&[(2, 0), (2, far), (2, 1)], listened), counts(0, 2));
        for ahead in [[far, far + 1], [far + 1, far]] {
            let all = [(2, 0), (2, ahead[0]), (2, ahead[1]), (2, far + 2)];
            assert_eq!(counted(&all, listened), counts(far - 1, 4), "{ahead:?}");
        }
    }

    #[test]
    fn each_number_has_its_outcome() {
        let (long, short) = (Nanos::from_millis(1), Nanos(1_000));
        for (all, listened, expected) in [
            // Missing, reordered, repeated.
            (&[(2, 1), (2, 0), (2, 4), (2, 4), (2, 3)][..], long, [4, 1, 1, 0, 2]),
            // Each phase begins at 0, and further arrivals of the previous one are late.
            (&[(2, 0), (2, 2), (3, 1), (2, 1), (3, 2)], long, [4, 2, 0, 1, 0]),
            // Numbers sent before the socket was opened are not lost.
            (&[(2, 500), (2, 499), (2, 503)], short, [2, 2, 0, 1, 0]),
            (&[(2, 500), (2, 499), (2, 503)], long, [3, 501, 0, 0, 1]),
        ] {
            let SequenceCounts { unique, lost, duplicate, late, reordered } =
                counted(all, listened);
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
