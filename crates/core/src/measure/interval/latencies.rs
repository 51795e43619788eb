//! Latencies of an interval, in few buckets.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::layout::{bucket_of, middle_of};
use crate::unit::sum_counts;

/// Latencies of an interval, each within 0.8 %.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    max_ns: u64,
    /// Bucket and count, by bucket; none with count 0.
    buckets: Vec<(u16, u64)>,
}

impl Latencies {
    /// Those of the buckets of a board.
    pub(super) fn read(max_ns: u64, buckets: &[AtomicU64]) -> Self {
        let counts = buckets.iter().zip(0_u16..);
        let counts = counts.map(|(count, bucket)| (bucket, count.load(Ordering::Relaxed)));
        Self { max_ns, buckets: counts.filter(|(_, count)| *count > 0).collect() }
    }

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

    /// The same in buckets four times a doubling of latency: their lower ends in ns, ascending, and
    /// how many lie in each.
    pub fn coarse(&self) -> Vec<(u64, u64)> {
        let mut coarse: Vec<(u64, u64)> = Vec::new();
        for (ns, count) in self.iter() {
            // A bucket of the board lies in one of these: 64 a doubling are a multiple of 4.
            let shift = ns.max(1).ilog2().saturating_sub(2);
            let low = ns >> shift << shift;
            match coarse.last_mut().filter(|last| last.0 == low) {
                Some(last) => last.1 = last.1.saturating_add(count),
                None => coarse.push((low, count)),
            }
        }
        coarse
    }

    /// Adds those of another worker or interval.
    pub(super) fn merge(&mut self, other: &Self) {
        self.max_ns = self.max_ns.max(other.max_ns);
        for &(bucket, count) in &other.buckets {
            match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
                Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
                Err(at) => self.buckets.insert(at, (bucket, count)),
            }
        }
    }

    /// The same, each longer by so many ns (shorter if negative); at least 0.
    pub fn shifted(&self, by_ns: i64) -> Self {
        let max_ns = self.max_ns.saturating_add_signed(by_ns);
        let mut shifted = Self { max_ns, buckets: Vec::new() };
        for (ns, count) in self.iter() {
            let bucket = bucket_of(ns.saturating_add_signed(by_ns)) as u16;
            shifted.merge(&Self { max_ns, buckets: vec![(bucket, count)] });
        }
        shifted
    }

    /// For tests: these.
    #[cfg(test)]
    pub(super) fn of(all: &[u64]) -> Self {
        let mut sum = Self::default();
        for &ns in all {
            sum.merge(&Self { max_ns: ns, buckets: vec![(bucket_of(ns) as u16, 1)] });
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_all_workers() {
        let all: Vec<u64> = (1..=1_000).map(|n| n * 1_000).collect();
        let mut one = Latencies::of(&all[..300]);
        one.merge(&Latencies::of(&all[300..]));
        assert_eq!((one.count(), one.max_ns()), (1_000, Some(1_000_000)));
        for (quantile, ns) in [(0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000), (0.0, 1_000)] {
            let at = one.quantile_ns(quantile).unwrap();
            assert!(at.abs_diff(ns) * 100 <= ns, "{quantile} {at}");
        }
        assert_eq!(Latencies::of(&[]).quantile_ns(0.5), None);
        // 2¹⁸ ns is a lower end, and 2¹⁶ more the next.
        let coarse = one.coarse();
        assert_eq!(sum_counts(coarse.iter().map(|one| one.1)), 1_000);
        let second = coarse.iter().position(|one| one.0 == 262_144).unwrap();
        assert_eq!(coarse[second].1.abs_diff(65), 0);
        assert_eq!((coarse[second + 1].0, coarse.len()), (327_680, 36));
        let shifted = one.shifted(-500_000);
        assert_eq!((shifted.count(), shifted.max_ns()), (1_000, Some(500_000)));
        assert_eq!(shifted.quantile_ns(0.4), Some(0));
    }
}
