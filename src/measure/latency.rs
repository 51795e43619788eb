//! A latency histogram with the exact figures that buckets blur.

mod packed;

use hdrhistogram::Histogram;

/// The highest latency a histogram tells apart, in nanoseconds: 60 s; what is above is counted as
/// clamped, and its exact value still enters maximum, mean and deviation. Arbitrary: longer than
/// any drain waits.
pub const HIGHEST_NS: u64 = 60_000_000_000;

/// Significant digits: 3 keep every percentile within 0.1 %, in 216 KiB a histogram, of which
/// only the cells in use are touched.
const SIGNIFICANT_DIGITS: u8 = 3;

/// A latency distribution in nanoseconds: HdrHistogram with fixed bounds, so recording never
/// allocates, and exact count, minimum, maximum, mean and standard deviation beside it.
#[derive(Debug, Clone)]
pub struct Latency {
    histogram: Histogram<u64>,
    min_ns: u64,
    max_ns: u64,
    sum_ns: u128,
    sum_of_squares: u128,
    clamped: u64,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_NS, SIGNIFICANT_DIGITS)
            .expect("1 ns to 60 s at 3 digits is within what HdrHistogram allows");
        Self { histogram, min_ns: u64::MAX, max_ns: 0, sum_ns: 0, sum_of_squares: 0, clamped: 0 }
    }
}

impl Latency {
    /// Takes one latency.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.histogram.saturating_record(ns);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        self.sum_ns += u128::from(ns);
        // One u64::MAX squared nearly fills 128 bits; anything near a real latency never saturates.
        self.sum_of_squares = self.sum_of_squares.saturating_add(u128::from(ns) * u128::from(ns));
        self.clamped += u64::from(ns > HIGHEST_NS);
    }

    /// Takes the same latency so many times.
    #[inline]
    pub fn record_n(&mut self, ns: u64, count: u64) {
        match count {
            0 => return,
            1 => return self.record(ns),
            _ => {}
        }
        self.histogram.saturating_record_n(ns, count);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        let (wide, times) = (u128::from(ns), u128::from(count));
        self.sum_ns += wide * times;
        self.sum_of_squares =
            self.sum_of_squares.saturating_add((wide * wide).saturating_mul(times));
        self.clamped += if ns > HIGHEST_NS { count } else { 0 };
    }

    /// Adds all that `other` has taken.
    pub fn merge(&mut self, other: &Self) {
        if other.count() == 0 {
            return;
        }
        self.histogram.add(&other.histogram).expect("all latency histograms have equal bounds");
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.sum_ns += other.sum_ns;
        self.sum_of_squares = self.sum_of_squares.saturating_add(other.sum_of_squares);
        self.clamped += other.clamped;
    }

    /// Forgets all, for the next phase, keeping the memory.
    pub fn reset(&mut self) {
        // One that was never used was never mapped either, and stays so.
        if self.count() == 0 {
            return;
        }
        self.histogram.reset();
        (self.min_ns, self.max_ns) = (u64::MAX, 0);
        (self.sum_ns, self.sum_of_squares, self.clamped) = (0, 0, 0);
    }

    /// How many latencies were taken.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// How many lay above [`HIGHEST_NS`].
    #[must_use]
    pub const fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The exact smallest, in ns; `None` when empty.
    #[must_use]
    pub fn min_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.min_ns)
    }

    /// The exact largest, in ns; `None` when empty.
    #[must_use]
    pub fn max_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max_ns)
    }

    /// The exact mean, rounded to whole ns; `None` when empty.
    #[must_use]
    pub fn mean_ns(&self) -> Option<u64> {
        let count = u128::from(self.count());
        (count > 0).then(|| ((self.sum_ns + count / 2) / count) as u64)
    }

    /// The exact standard deviation of the population, rounded to whole ns; `None` when empty.
    #[must_use]
    pub fn stdev_ns(&self) -> Option<u64> {
        let count = u128::from(self.count());
        if count == 0 {
            return None;
        }
        // n·Σx² − (Σx)² in integers is exact; beyond 128 bits a double has to do.
        let scaled = count
            .checked_mul(self.sum_of_squares)
            .zip(self.sum_ns.checked_mul(self.sum_ns))
            .map(|(a, b)| a.saturating_sub(b) as f64 / (count as f64 * count as f64));
        let variance = scaled.unwrap_or_else(|| {
            let mean = self.sum_ns as f64 / count as f64;
            self.sum_of_squares as f64 / count as f64 - mean * mean
        });
        Some(variance.max(0.0).sqrt().round() as u64)
    }

    /// The latency in ns that this share (0.99 for p99) of all lie at or below, within 0.1 %, and
    /// never above the exact maximum; `None` when empty.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        let at = self.histogram.value_at_quantile(quantile);
        self.max_ns().map(|max_ns| at.clamp(self.min_ns, max_ns))
    }

    /// The same, with `lost` more datagrams that took infinitely long; `None` where the quantile
    /// falls among them, or when empty.
    #[must_use]
    pub fn quantile_with_lost_ns(&self, quantile: f64, lost: u64) -> Option<u64> {
        let count = self.count();
        let rank = ((count + lost) as f64 * quantile).ceil();
        if count == 0 || rank > count as f64 {
            return None;
        }
        self.quantile_ns(rank / count as f64)
    }

    /// The histogram itself, for export.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// What is left after taking `part` out, for percentiles; minimum and maximum are those of
    /// the buckets. `None` where `part` is not contained in this.
    #[must_use]
    pub fn without(&self, part: &Self) -> Option<Self> {
        let mut rest = self.clone();
        rest.histogram.subtract(&part.histogram).ok()?;
        rest.sum_ns = self.sum_ns.checked_sub(part.sum_ns)?;
        rest.sum_of_squares = self.sum_of_squares.checked_sub(part.sum_of_squares)?;
        rest.clamped = self.clamped.checked_sub(part.clamped)?;
        rest.min_ns = rest.histogram.min().max(self.min_ns);
        rest.max_ns = rest.histogram.max().min(self.max_ns);
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Latency {
        let mut latency = Latency::default();
        values.iter().for_each(|&value| latency.record(value));
        latency
    }

    #[test]
    fn exact_figures_stay_exact() {
        let latency = of(&[123_457, 2, 1_000_003]);
        assert_eq!(latency.min_ns(), Some(2));
        assert_eq!(latency.max_ns(), Some(1_000_003));
        assert_eq!(latency.mean_ns(), Some(374_487));
        assert_eq!(latency.stdev_ns(), Some(445_169));
        assert_eq!(latency.quantile_ns(1.0), Some(1_000_003));
    }

    #[test]
    fn an_empty_histogram_has_no_figures() {
        let latency = of(&[]);
        assert_eq!(latency.min_ns(), None);
        assert_eq!(latency.max_ns(), None);
        assert_eq!(latency.mean_ns(), None);
        assert_eq!(latency.stdev_ns(), None);
        assert_eq!(latency.quantile_ns(0.5), None);
        assert_eq!(latency.quantile_with_lost_ns(0.99, 5), None);
    }

    #[test]
    fn what_is_above_the_bound_is_clamped_and_counted() {
        let latency = of(&[HIGHEST_NS, HIGHEST_NS + 1, u64::MAX]);
        assert_eq!(latency.clamped(), 2);
        assert_eq!(latency.max_ns(), Some(u64::MAX));
        assert_eq!(latency.count(), 3);
    }

    #[test]
    fn lost_ones_push_percentiles_up() {
        let values: Vec<_> = (1..=99).collect();
        let latency = of(&values);
        assert_eq!(latency.quantile_with_lost_ns(0.99, 0), latency.quantile_ns(0.99));
        assert_eq!(latency.quantile_with_lost_ns(0.99, 1), Some(99));
        assert_eq!(latency.quantile_with_lost_ns(0.99, 2), None);
    }

    #[test]
    fn taking_a_part_out_leaves_the_rest() {
        let whole = of(&[10, 20, 30, 5_000]);
        let rest = whole.without(&of(&[5_000])).unwrap();
        assert_eq!(rest.count(), 3);
        assert_eq!(rest.max_ns(), Some(30));
        assert_eq!(rest.mean_ns(), Some(20));
        assert!(of(&[1]).without(&of(&[2])).is_none());
    }

    #[test]
    fn so_many_at_once_are_so_many_singly() {
        let (mut at_once, mut singly) = (Latency::default(), Latency::default());
        for (ns, count) in [(0, 3), (5_000, 64), (HIGHEST_NS + 1, 2), (9, 0)] {
            at_once.record_n(ns, count);
            (0..count).for_each(|_| singly.record(ns));
        }
        assert_eq!(at_once.histogram, singly.histogram);
        assert_eq!(at_once.stdev_ns(), singly.stdev_ns());
        assert_eq!((at_once.min_ns(), at_once.clamped()), (singly.min_ns(), singly.clamped()));
    }

    #[test]
    fn merging_is_recording_together() {
        let mut a = of(&[1, 500]);
        a.merge(&of(&[7, HIGHEST_NS + 9]));
        let b = of(&[1, 500, 7, HIGHEST_NS + 9]);
        assert_eq!(a.histogram, b.histogram);
        assert_eq!((a.min_ns(), a.max_ns(), a.stdev_ns()), (b.min_ns(), b.max_ns(), b.stdev_ns()));
        a.reset();
        assert_eq!(a.count(), 0);
    }
}
