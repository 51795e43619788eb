//! A latency histogram, with exact count, minimum, maximum, mean and deviation; and jitter.

mod packed;

use hdrhistogram::Histogram;

use crate::unit::Nanos;

/// The highest latency in the histogram, in nanoseconds: 60 s; higher ones count as clamped, and
/// enter maximum, mean and deviation exactly. Arbitrary: longer than any drain waits.
pub const HIGHEST_NS: u64 = 60_000_000_000;
/// Significant digits: 3 keep every percentile within 0.1 %, in 216 KiB a histogram, of which
/// only the cells in use are touched.
const SIGNIFICANT_DIGITS: u8 = 3;

/// A latency distribution in nanoseconds: HdrHistogram with fixed bounds, so that recording never
/// allocates, and exact figures beside it.
#[derive(Debug, Clone)]
pub struct LatencyHistograms {
    histogram: Histogram<u64>,
    min_ns: u64,
    max_ns: u64,
    sum_ns: u128,
    sum_of_squares: u128,
    clamped: u64,
}

impl Default for LatencyHistograms {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_NS, SIGNIFICANT_DIGITS)
            .expect("1 ns to 60 s at 3 digits is within what HdrHistogram allows");
        Self { histogram, min_ns: u64::MAX, max_ns: 0, sum_ns: 0, sum_of_squares: 0, clamped: 0 }
    }
}

impl LatencyHistograms {
    /// Records one latency.
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

    /// Records `count` times the same latency.
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

    /// Adds another distribution.
    pub fn merge(&mut self, other: &Self) {
        if other.count() == 0 {
            return;
        }
        self.histogram.add(&other.histogram).expect("all latency histograms have equal bounds");
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        // A peer may report anything.
        add_counts!(self, other; sum_ns, sum_of_squares, clamped);
    }

    /// Clears it for the next phase, keeping the memory.
    pub fn reset(&mut self) {
        // An unused one was never mapped, and stays so.
        if self.count() == 0 {
            return;
        }
        self.histogram.reset();
        (self.min_ns, self.max_ns) = (u64::MAX, 0);
        (self.sum_ns, self.sum_of_squares) = (0, 0);
        self.clamped = 0;
    }

    /// How many latencies were taken.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// How many lay above [`HIGHEST_NS`].
    pub const fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The exact smallest, in ns; `None` when empty.
    pub fn min_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.min_ns)
    }

    /// The exact largest, in ns; `None` when empty.
    pub fn max_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max_ns)
    }

    /// The exact mean, rounded to whole ns; `None` when empty.
    pub fn mean_ns(&self) -> Option<u64> {
        let count = u128::from(self.count());
        (count > 0).then(|| (self.sum_ns.saturating_add(count / 2) / count) as u64)
    }

    /// The exact standard deviation of the population, rounded to whole ns; `None` when empty.
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
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        let at = self.histogram.value_at_quantile(quantile);
        // Not `clamp`, which panics where a peer's figures do not ascend.
        self.max_ns().map(|max_ns| at.max(self.min_ns).min(max_ns))
    }

    /// The same, with `lost` more datagrams that took infinitely long; `None` where the quantile
    /// falls among them, or when empty.
    pub fn quantile_with_lost_ns(&self, quantile: f64, lost: u64) -> Option<u64> {
        let count = self.count();
        let rank = (count.saturating_add(lost) as f64 * quantile).ceil();
        if count == 0 || rank > count as f64 {
            return None;
        }
        self.quantile_ns(rank / count as f64)
    }

    /// The histogram itself, for export.
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// What is left after taking `part` out, for percentiles; minimum and maximum are those of
    /// the buckets, or of this where all that is left was clamped. `None` where `part` is not
    /// contained in this.
    pub fn without(&self, part: &Self) -> Option<Self> {
        let mut rest = self.clone();
        rest.histogram.subtract(&part.histogram).ok()?;
        rest.sum_ns = self.sum_ns.checked_sub(part.sum_ns)?;
        rest.sum_of_squares = self.sum_of_squares.checked_sub(part.sum_of_squares)?;
        rest.clamped = self.clamped.checked_sub(part.clamped)?;
        rest.max_ns = match rest.clamped {
            0 => rest.histogram.max().min(self.max_ns),
            // Its own place above the histogram is not known, but that of the whole is.
            _ => self.max_ns,
        };
        rest.min_ns = rest.histogram.min().max(self.min_ns).min(rest.max_ns);
        Some(rest)
    }

    /// The same latencies, each longer by so many ns (shorter if negative), for a clock offset that
    /// became known at the end. Negative results are 0; clamped ones stay clamped.
    ///
    /// Minimum and maximum stay exact, and without such zeros mean and deviation; all else is as
    /// exact as the buckets before.
    pub fn shifted(&self, by_ns: i64) -> Self {
        if by_ns == 0 || self.count() == 0 {
            return self.clone();
        }
        let by = i128::from(by_ns);
        let mut shifted = Self { clamped: self.clamped, ..Self::default() };
        shifted.min_ns = self.min_ns.saturating_add_signed(by_ns);
        shifted.max_ns = self.max_ns.saturating_add_signed(by_ns);
        let (mut sum, mut squares) = self.moments_shifted(by);
        // Those beyond the histogram are in its last bucket, and their own place is not known.
        shifted.histogram.saturating_record_n(HIGHEST_NS, self.clamped);
        for bucket in self.histogram.iter_recorded() {
            // Not below its minimum, so that no latency counts as negative if the minimum is not.
            let highest = bucket.value_iterated_to().min(HIGHEST_NS);
            let top = self.histogram.equivalent(highest, HIGHEST_NS);
            let clamped = if top { self.clamped } else { 0 };
            let count = bucket.count_at_value().saturating_sub(clamped);
            let to = i128::from(highest) + by;
            if to < 0 {
                let lowest = i128::from(self.histogram.lowest_equivalent(highest));
                // At least what they took from the sum, and at most what they gave the squares.
                sum = sum.saturating_sub((lowest + by).saturating_mul(i128::from(count)));
                squares = squares.map(|all| all - (to * to).saturating_mul(count.into()));
            }
            let to = u64::try_from(to.max(0)).unwrap_or(u64::MAX);
            shifted.histogram.saturating_record_n(to, count);
            shifted.clamped += if to > HIGHEST_NS { count } else { 0 };
        }
        shifted.sum_ns = sum.max(0).unsigned_abs();
        shifted.sum_of_squares = squares.map_or(u128::MAX, |all| all.max(0).unsigned_abs());
        shifted
    }

    /// Sum and sum of squares with each value shifted, below zero too: Σ(x+b)² = Σx² + 2bΣx + nb².
    /// No squares where they do not fit.
    fn moments_shifted(&self, by: i128) -> (i128, Option<i128>) {
        let count = i128::from(self.count());
        let before = i128::try_from(self.sum_ns).unwrap_or(i128::MAX);
        let sum = before.saturating_add(by.saturating_mul(count));
        let squares = || {
            let cross = before.checked_mul(by)?.checked_mul(2)?;
            let own = by.checked_mul(by)?.checked_mul(count)?;
            i128::try_from(self.sum_of_squares).ok()?.checked_add(cross)?.checked_add(own)
        };
        (sum, squares())
    }
}

/// The jitter of one flow: J += (|D| − J) / 16, RFC 3550 section 6.4.1, where D is the change in
/// transit time from one received datagram to the next in order of arrival.
#[derive(Debug, Clone, Copy, Default)]
pub struct InterarrivalJitter {
    last_transit_ns: Option<u64>,
    /// Sixteen times the estimate, as in appendix A.8, so that integers lose no precision.
    scaled_ns: u64,
    /// Whether there were two to compare.
    compared: bool,
}

impl InterarrivalJitter {
    /// Takes the transit time of a datagram.
    #[inline]
    pub fn record(&mut self, transit_ns: u64) {
        if let Some(last) = self.last_transit_ns.replace(transit_ns) {
            let change = transit_ns.abs_diff(last);
            self.compared = true;
            self.scaled_ns = (self.scaled_ns + change).saturating_sub((self.scaled_ns + 8) >> 4);
        }
    }

    /// Takes `count` more datagrams with the transit time of the latest one.
    #[inline]
    pub fn repeat(&mut self, count: u64) {
        if self.last_transit_ns.is_none() || count == 0 {
            return;
        }
        self.compared = true;
        for _ in 0..count {
            // Below 8 it stays, by the rounding of appendix A.8.
            if self.scaled_ns < 8 {
                break;
            }
            self.scaled_ns -= (self.scaled_ns + 8) >> 4;
        }
    }

    /// The estimate; `None` before the second datagram.
    pub const fn estimate(&self) -> Option<Nanos> {
        if self.compared { Some(Nanos(self.scaled_ns >> 4)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> LatencyHistograms {
        let mut latency = LatencyHistograms::default();
        values.iter().for_each(|&value| latency.record(value));
        latency
    }

    fn figures(latency: &LatencyHistograms) -> [Option<u64>; 4] {
        [latency.min_ns(), latency.max_ns(), latency.mean_ns(), latency.stdev_ns()]
    }

    #[test]
    fn figures_are_exact() {
        let latency = of(&[123_457, 2, 1_000_003]);
        assert_eq!(figures(&latency), [2, 1_000_003, 374_487, 445_169].map(Some));
        assert_eq!(latency.quantile_ns(1.0), Some(1_000_003));
        let none = of(&[]);
        assert_eq!(figures(&none), [None; 4]);
        assert_eq!([none.quantile_ns(0.5), none.quantile_with_lost_ns(0.99, 5)], [None; 2]);
        let mut clamped = of(&[HIGHEST_NS, HIGHEST_NS + 1, u64::MAX]);
        clamped.record_n(HIGHEST_NS + 1, 2);
        assert_eq!((clamped.clamped(), clamped.count()), (4, 5));
        assert_eq!(clamped.max_ns(), Some(u64::MAX));
        clamped.reset();
        assert_eq!(figures(&clamped), [None; 4]);
    }

    #[test]
    fn figures_of_clamped_latencies_stay_in_order() {
        let (low, high) = (HIGHEST_NS + 40_000_000_000, HIGHEST_NS + 50_000_000_000);
        let whole = of(&[low, high]);
        let without_low = whole.without(&of(&[low])).unwrap();
        for rest in [
            whole.without(&of(&[])).unwrap(),
            whole.without(&of(&[high])).unwrap(),
            whole.shifted(-1_000),
            whole.shifted(-(HIGHEST_NS as i64)),
            whole.shifted(1_000),
            without_low.shifted(-7),
            without_low,
            whole,
        ] {
            let (min, max) = (rest.min_ns().unwrap(), rest.max_ns().unwrap());
            assert!(min <= max, "{min} {max}");
            assert_eq!(rest.clamped(), rest.count());
            for quantile in [0.0, 0.5, 0.99, 1.0] {
                let at = rest.quantile_ns(quantile).unwrap();
                assert!((min..=max).contains(&at), "{at}");
            }
            assert_eq!(rest.quantile_with_lost_ns(0.99, u64::MAX), None);
        }
        // One within the histogram and one above: what is left is the one, or the other.
        let mixed = of(&[5, high]);
        for (part, clamped, max) in [(5, 1, high), (high, 0, 5)] {
            let rest = mixed.without(&of(&[part])).unwrap();
            assert_eq!((rest.clamped(), rest.max_ns()), (clamped, Some(max)));
            assert_eq!(rest.min_ns() == Some(5), clamped == 0);
        }
    }

    #[test]
    fn lost_datagrams_raise_percentiles() {
        let values: Vec<_> = (1..=99).collect();
        let latency = of(&values);
        assert_eq!(latency.quantile_with_lost_ns(0.99, 0), latency.quantile_ns(0.99));
        assert_eq!(latency.quantile_with_lost_ns(0.99, 1), Some(99));
        assert_eq!(latency.quantile_with_lost_ns(0.99, 2), None);
    }

    #[test]
    fn shifts_keep_parts_and_count_negative_latencies_as_zero() {
        let shifted = of(&[10, 200, 500]).shifted(-200);
        assert_eq!(figures(&shifted), [0, 300, 100, 141].map(Some));
        assert_eq!(shifted.count(), 3);
        assert_eq!(of(&[]).shifted(9).count(), 0);
        let whole = of(&[7, 70_000, 71_000, HIGHEST_NS, HIGHEST_NS + 5]);
        let shifted = whole.shifted(-1);
        assert_eq!((shifted.clamped(), shifted.max_ns()), (1, Some(HIGHEST_NS + 4)));
        assert_eq!(whole.shifted(1).clamped(), 2);
        let rest = whole.shifted(-69_999).without(&of(&[70_000]).shifted(-69_999)).unwrap();
        assert_eq!(rest.count(), 4);
        assert_eq!(whole.shifted(i64::MIN).max_ns(), Some(0));
        assert_eq!(whole.shifted(i64::MAX).clamped(), 5);
        let rest = of(&[10, 20, 30, 5_000]).without(&of(&[5_000])).unwrap();
        assert_eq!((rest.count(), rest.max_ns(), rest.mean_ns()), (3, Some(30), Some(20)));
        assert!(of(&[1]).without(&of(&[2])).is_none());
    }

    fn jitter(transits: impl IntoIterator<Item = u64>) -> InterarrivalJitter {
        let mut jitter = InterarrivalJitter::default();
        transits.into_iter().for_each(|transit_ns| jitter.record(transit_ns));
        jitter
    }

    #[test]
    fn estimates_converge() {
        assert_eq!(jitter([]).estimate(), None);
        assert_eq!(jitter([5_000]).estimate(), None);
        assert_eq!(jitter([5_000; 100]).estimate(), Some(Nanos(0)));
        let alternating = jitter((0..1_000).map(|i| if i % 2 == 0 { 1_000 } else { 4_000 }));
        assert!(alternating.estimate().unwrap().0.abs_diff(3_000) <= 1);
    }
}
