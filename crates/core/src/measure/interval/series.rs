//! The intervals of all workers of one side, added up.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::latencies::Latencies;
use super::layout::{COUNTS, Count};
use super::scale::IntervalScale;
use crate::unit::Nanos;

/// What one side counted in an interval.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::Interval` describes the other fields")]
pub struct IntervalCounts {
    pub sent: u64,
    pub refused: u64,
    pub missed: u64,
    pub received: u64,
    pub duplicate: u64,
    pub late: u64,
    pub reordered: u64,
    pub timeouts: u64,
    pub errors: u64,
    pub stalls: u64,
    pub stalled: Nanos,
    pub cpu: Nanos,
    /// Payload of what was received, by arrival.
    pub bytes: u64,
    /// Drops at the sockets of a server.
    pub socket_drops: u64,
    /// Of a receiver, the datagrams that sequence numbers showed to be sent.
    pub expected: u64,
    /// Of exchanges of several requests.
    pub steps: [StepCounts; 2],
    /// Cells whose losses in this interval are unknown. A sink counts them; it does not send this.
    #[serde(skip)]
    pub losses_unknown: u64,
    /// Of a sender, how late datagrams left; of a receiver, their latency from the schedule.
    pub latency: Latencies,
}

/// Replies to one step of exchanges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepCounts {
    /// How many.
    pub answered: u64,
    /// The sum of their latencies in ns.
    pub ns: u64,
    /// The longest one.
    pub max_ns: u64,
}

impl IntervalCounts {
    /// The counters of an interval of a board, in the order of [`Count`], then of buckets.
    pub(super) fn read(counters: &[AtomicU64]) -> Self {
        let of = |what: Count| counters[what as usize].load(Ordering::Relaxed);
        let mut read = Self {
            sent: of(Count::Sent),
            refused: of(Count::Refused),
            missed: of(Count::Missed),
            received: of(Count::Received),
            duplicate: of(Count::Duplicate),
            late: of(Count::Late),
            reordered: of(Count::Reordered),
            timeouts: of(Count::Timeouts),
            errors: of(Count::Errors),
            stalls: of(Count::Stalls),
            stalled: Nanos(of(Count::StalledNs)),
            cpu: Nanos(of(Count::CpuNs)),
            bytes: of(Count::Bytes),
            socket_drops: of(Count::SocketDrops),
            expected: of(Count::Expected),
            steps: Count::STEPS.map(|[answered, ns, max_ns]| StepCounts {
                answered: of(answered),
                ns: of(ns),
                max_ns: of(max_ns),
            }),
            losses_unknown: 0,
            latency: Latencies::default(),
        };
        // Without datagrams, the memory of the buckets is not touched.
        if read.sent > 0 || read.received > 0 {
            read.latency = Latencies::read(of(Count::MaxNs), &counters[COUNTS..]);
        }
        read
    }

    /// Adds those of another worker or interval.
    pub fn merge(&mut self, other: &Self) {
        add_counts!(self, other; sent, refused, missed, received, duplicate, late, reordered);
        add_counts!(self, other; timeouts, errors, stalls, bytes, socket_drops, expected);
        add_counts!(self, other; losses_unknown);
        for (step, other) in self.steps.iter_mut().zip(&other.steps) {
            add_counts!(step, other; answered, ns);
            step.max_ns = step.max_ns.max(other.max_ns);
        }
        self.stalled += other.stalled;
        self.cpu += other.cpu;
        self.latency.merge(&other.latency);
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The intervals of one side; empty where none were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntervalSeries {
    scale: Option<IntervalScale>,
    /// By index of the scale.
    counts: Vec<IntervalCounts>,
}

impl IntervalSeries {
    /// Adds the interval of this index of a board.
    pub(super) fn add(&mut self, index: usize, scale: IntervalScale, more: &IntervalCounts) {
        self.scale = Some(scale);
        if more.is_empty() {
            return;
        }
        if self.counts.len() <= index {
            self.counts.resize(index + 1, IntervalCounts::default());
        }
        self.counts[index].merge(more);
    }

    /// The intervals of unknown senders: they have sent what was received, and what sequence
    /// numbers showed to be lost.
    #[must_use]
    pub(in crate::measure) fn sent_at_least(&self, lost: u64) -> Self {
        let of = |one: &IntervalCounts| IntervalCounts {
            received: one.received,
            expected: one.expected,
            ..IntervalCounts::default()
        };
        let mut sums = Self { scale: self.scale, counts: self.counts.iter().map(of).collect() };
        sums.divide_losses(lost);
        let sent = |one: &IntervalCounts| one.expected;
        let counts = sums.counts.iter().map(sent);
        let counts = counts.map(|sent| IntervalCounts { sent, ..IntervalCounts::default() });
        Self { scale: self.scale, counts: counts.collect() }
    }

    /// Divides `lost` datagrams among the intervals, as sequence numbers showed them: then
    /// `expected` is the sum of what was received and lost. What arrived in a later interval is not
    /// lost in an earlier one. The rest, of which no later datagram arrived, counts in the last
    /// one.
    pub fn divide_losses(&mut self, lost: u64) {
        if lost > 0 && self.counts.is_empty() {
            self.counts.push(IntervalCounts::default());
        }
        let missing = |one: &IntervalCounts| i128::from(one.expected) - i128::from(one.received);
        let mut balance: i128 = self.counts.iter().map(missing).sum();
        // Lost up to the end of the interval: the least that was missing from there on.
        let mut up_to_end = lost;
        for counts in self.counts.iter_mut().rev() {
            let at_end = balance;
            balance -= missing(counts);
            let up_to_begin = u64::try_from(balance.min(at_end)).unwrap_or(0).min(up_to_end);
            counts.expected = counts.received.saturating_add(up_to_end - up_to_begin);
            up_to_end = up_to_begin;
        }
    }

    /// Marks losses in all intervals as unknown, those of a cell that was cut short.
    pub fn mark_losses_unknown(&mut self) {
        if self.counts.is_empty() {
            self.counts.push(IntervalCounts::default());
        }
        self.counts.iter_mut().for_each(|counts| counts.losses_unknown = 1);
    }

    /// Adds those of a cell that began at `began` and ended by `ended`, each to the interval of
    /// `scale` that has its middle; without latencies.
    pub fn add_cell(&mut self, scale: IntervalScale, (began, ended): (Nanos, Nanos), cell: &Self) {
        for ((start, end), counts) in cell.iter() {
            let middle = (began + Nanos(start.0.midpoint(end.0))).min(ended);
            let counts = IntervalCounts { latency: Latencies::default(), ..counts.clone() };
            self.add(scale.index(middle), scale, &counts);
        }
    }

    /// The same of a process that started so much later, which is a multiple of their width; none
    /// if it is not.
    #[must_use]
    pub fn delayed(mut self, by: Nanos) -> Self {
        let Some(scale) = self.scale.filter(|_| by > Nanos::ZERO) else { return self };
        let width = |index| scale.bounds(index).1 - scale.bounds(index).0;
        // Intervals of an open end double.
        let is_even = (0..self.counts.len()).all(|index| width(index) == width(0));
        match by.0.checked_rem(width(0).0) {
            Some(0) if is_even => {
                let later = vec![IntervalCounts::default(); (by.0 / width(0).0) as usize];
                self.counts.splice(0..0, later);
                self
            }
            _ => Self::default(),
        }
    }

    /// Adds those of another process on the same scale, or of the only one with any.
    pub fn merge(&mut self, other: &Self) {
        let Some(scale) = other.scale else { return };
        for (index, counts) in other.counts.iter().enumerate() {
            self.add(index, scale, counts);
        }
    }

    /// Those of a peer, as far as they can be of the same cell: on the same scale.
    #[must_use]
    pub fn of_peer(mut self, own: &Self) -> Self {
        match self.scale {
            Some(scale) if self.scale == own.scale => self.counts.truncate(scale.len(Nanos::NEVER)),
            _ => self = Self::default(),
        }
        self
    }

    /// The same with latencies longer by so many ns.
    #[must_use]
    pub fn shifted(mut self, by_ns: i64) -> Self {
        for counts in &mut self.counts {
            counts.latency = counts.latency.shifted(by_ns);
        }
        self
    }

    /// Each interval up to the last one in use, with its start and end.
    pub fn iter(&self) -> impl Iterator<Item = ((Nanos, Nanos), &IntervalCounts)> {
        let bounds = |index| self.scale.map(|scale| scale.bounds(index));
        self.counts.iter().enumerate().filter_map(move |(at, counts)| Some((bounds(at)?, counts)))
    }

    /// The scale; `None` where no intervals were asked for.
    pub const fn scale(&self) -> Option<IntervalScale> {
        self.scale
    }

    /// The number of intervals up to the last one in use.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// `len` intervals of one width, that of the last of them; shorter ones are added up.
    pub fn of_equal_width(&self, len: usize) -> (Nanos, Vec<IntervalCounts>) {
        let Some(scale) = self.scale.filter(|_| len > 0) else {
            return (Nanos::ZERO, Vec::new());
        };
        let (start, end) = scale.bounds(len - 1);
        let width = end - start;
        let mut equal = vec![IntervalCounts::default(); (end.0 / width.0.max(1)) as usize];
        for ((start, _), counts) in self.iter() {
            if let Some(sum) = equal.get_mut((start.0 / width.0.max(1)) as usize) {
                sum.merge(counts);
            }
        }
        (width, equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::sum_counts;

    #[test]
    fn losses_have_the_interval_in_which_numbers_showed_them() {
        let scale = IntervalScale::new(Nanos(10), Nanos::NEVER);
        let of = |counts: &[(u64, u64)]| {
            let mut series = IntervalSeries::default();
            for (index, &(expected, received)) in counts.iter().enumerate() {
                let counts = IntervalCounts { expected, received, ..IntervalCounts::default() };
                series.add(index, scale, &counts);
            }
            series
        };
        for (counts, lost, by_interval) in [
            // The last two were lost behind the latest arrival.
            (&[(10, 10), (13, 10), (9, 9)][..], 5, &[0, 3, 2][..]),
            // One that was late arrived in the next interval; it is not lost.
            (&[(10, 9), (10, 11)], 0, &[0, 0]),
            (&[(10, 9), (10, 11), (10, 4), (10, 10)], 6, &[0, 0, 6, 0]),
            (&[(10, 10), (10, 6), (10, 10), (10, 9)], 5, &[0, 4, 0, 1]),
            // A client that reports fewer than numbers showed.
            (&[(10, 0), (10, 0)], 3, &[3, 0]),
            (&[(10, 0)], u64::MAX, &[u64::MAX]),
        ] {
            let mut series = of(counts);
            series.divide_losses(lost);
            let divided = series.iter().map(|(_, one)| one.expected - one.received);
            assert_eq!(divided.collect::<Vec<_>>(), by_interval, "{counts:?}");
        }
        let mut none = IntervalSeries::default();
        none.add(3, scale, &IntervalCounts::default());
        none.divide_losses(7);
        assert_eq!(none.iter().map(|(_, one)| one.expected).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn a_cell_counts_in_the_intervals_with_its_middles() {
        let scale = |width| IntervalScale::new(Nanos(width), Nanos::NEVER);
        let mut cell = IntervalSeries::default();
        for (index, received) in [(0, 1), (1, 2), (2, 4)] {
            let latency = Latencies::of(&[5]);
            let counts = IntervalCounts { received, latency, ..IntervalCounts::default() };
            cell.add(index, scale(10), &counts);
        }
        let mut sums = IntervalSeries::default();
        // From 12 to 41; the last interval was cut short.
        sums.add_cell(scale(20), (Nanos(12), Nanos(33)), &cell);
        let mut twice = IntervalSeries::default();
        twice.merge(&sums);
        twice.merge(&sums);
        let received = twice.iter().map(|(_, one)| (one.received, one.latency.count()));
        assert_eq!(received.collect::<Vec<_>>(), [(2, 0), (12, 0)]);
    }

    #[test]
    fn doubled_intervals_add_up_to_one_width() {
        let scale = IntervalScale::new(Nanos(10), Nanos::NEVER);
        let mut series = IntervalSeries::default();
        let last = scale.index(Nanos(50_000));
        for index in 0..=last {
            series.add(index, scale, &IntervalCounts { sent: 1, ..IntervalCounts::default() });
        }
        let mut twice = series.clone();
        for (at, (_, counts)) in series.iter().enumerate() {
            twice.add(at, scale, counts);
        }
        let other = IntervalSeries::default();
        assert_eq!(series.clone().of_peer(&other), other);
        assert_eq!(series.clone().of_peer(&twice), series);
        let (width, equal) = twice.of_equal_width(last + 1);
        assert_eq!(width, Nanos(80));
        assert_eq!(sum_counts(equal.iter().map(|one| one.sent)), 2 * (last as u64 + 1));
        assert_eq!(equal[0].sent, 16);
        assert_eq!(equal.last().unwrap().sent, 2);
        let bounds = twice.iter().last().unwrap().0;
        assert_eq!(bounds.1.0, equal.len() as u64 * 80);
    }
}
