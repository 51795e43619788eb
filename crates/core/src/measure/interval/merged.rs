//! The intervals of all workers of one side, added up.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::layout::{COUNTS, Count, bucket_of, middle_of};
use super::scale::IntervalScale;
use crate::unit::{Nanos, sum_counts};

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
    /// Of a sender, how late datagrams left; of a receiver, their latency from the schedule.
    pub latency: Latencies,
}

/// Latencies of an interval, each within 0.8 %.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    max_ns: u64,
    /// Bucket and count, by bucket; none with count 0.
    buckets: Vec<(u16, u64)>,
}

impl Latencies {
    /// How many there are.
    pub fn count(&self) -> u64 {
        sum_counts(self.buckets.iter().map(|(_, count)| *count))
    }

    /// The longest one, exactly; `None` if there is none.
    pub fn max_ns(&self) -> Option<u64> {
        (!self.buckets.is_empty()).then_some(self.max_ns)
    }

    /// The latency that this share of all lie at or below, within 0.8 %; `None` if there is none.
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        let rank = (self.count() as f64 * quantile).ceil().max(1.0);
        let mut below = 0_u64;
        let bucket = self.buckets.iter().find(|(_, count)| {
            below = below.saturating_add(*count);
            below as f64 >= rank
        })?;
        Some(middle_of(bucket.0.into()).min(self.max_ns))
    }

    /// Bucket middles in ns, ascending, and how many lie in each.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets.iter().map(|&(bucket, count)| (middle_of(bucket.into()), count))
    }

    /// Adds those of another worker or interval.
    fn merge(&mut self, other: &Self) {
        self.max_ns = self.max_ns.max(other.max_ns);
        for &(bucket, count) in &other.buckets {
            match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
                Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
                Err(at) => self.buckets.insert(at, (bucket, count)),
            }
        }
    }

    /// The same, each longer by so many ns (shorter if negative); at least 0.
    fn shifted(&self, by_ns: i64) -> Self {
        let max_ns = self.max_ns.saturating_add_signed(by_ns);
        let mut shifted = Self { max_ns, buckets: Vec::new() };
        for (ns, count) in self.iter() {
            let bucket = bucket_of(ns.saturating_add_signed(by_ns)) as u16;
            shifted.merge(&Self { max_ns, buckets: vec![(bucket, count)] });
        }
        shifted
    }
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
            latency: Latencies { max_ns: of(Count::MaxNs), buckets: Vec::new() },
        };
        // Without datagrams, the memory of the buckets is not touched.
        if read.sent > 0 || read.received > 0 {
            let buckets = counters[COUNTS..].iter().zip(0_u16..);
            read.latency.buckets = buckets
                .map(|(count, bucket)| (bucket, count.load(Ordering::Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect();
        }
        read
    }

    /// Adds those of another worker or interval.
    pub fn merge(&mut self, other: &Self) {
        add_counts!(self, other; sent, refused, missed, received, duplicate, late, reordered);
        add_counts!(self, other; timeouts, errors, stalls);
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

    fn latencies(all: &[u64]) -> Latencies {
        let mut sum = Latencies::default();
        for &ns in all {
            sum.merge(&Latencies { max_ns: ns, buckets: vec![(bucket_of(ns) as u16, 1)] });
        }
        sum
    }

    #[test]
    fn quantiles_are_those_of_all_workers() {
        let all: Vec<u64> = (1..=1_000).map(|n| n * 1_000).collect();
        let mut one = latencies(&all[..300]);
        one.merge(&latencies(&all[300..]));
        assert_eq!((one.count(), one.max_ns()), (1_000, Some(1_000_000)));
        for (quantile, ns) in [(0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000), (0.0, 1_000)] {
            let at = one.quantile_ns(quantile).unwrap();
            assert!(at.abs_diff(ns) * 100 <= ns, "{quantile} {at}");
        }
        assert_eq!(latencies(&[]).quantile_ns(0.5), None);
        let shifted = one.shifted(-500_000);
        assert_eq!((shifted.count(), shifted.max_ns()), (1_000, Some(500_000)));
        assert_eq!(shifted.quantile_ns(0.4), Some(0));
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
