//! Bootstrap intervals (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993).

use fastrand::Rng;

use super::mean;
use crate::unit::median;

/// Number of resamples; Efron and Tibshirani, section 13.3, recommend at least 1,000.
pub(crate) const RESAMPLES: usize = 2_000;

/// A fixed seed, so that equal runs give equal intervals. Arbitrary.
const SEED: u64 = 0x7564_7065_7266;

/// Number of random splits. Arbitrary: 5 % of them are 50.
const SPLITS: usize = 1_000;

/// A value with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub(crate) value: f64,
    /// 2.5th percentile of the resamples.
    pub(crate) low: f64,
    /// 97.5th percentile of the resamples.
    pub(crate) high: f64,
}

/// Median of `b` over that of `a`; `None` if either is empty, or a resampled median of `a` is 0:
/// skipping such resamples would narrow the interval.
pub(crate) fn ratio_of_medians(a: &[f64], b: &[f64]) -> Option<Interval> {
    let (a, b) = (super::sorted(a.to_vec()), super::sorted(b.to_vec()));
    let value = ratio(median(a.iter().copied())?, median(b.iter().copied())?)?;
    let mut rng = Rng::with_seed(SEED);
    let mut counts = vec![0_u32; a.len().max(b.len())];
    let resample = |_| {
        let a = resampled_median(&a, &mut counts, &mut rng);
        ratio(a, resampled_median(&b, &mut counts, &mut rng))
    };
    interval(value, (0..RESAMPLES).map(resample).collect::<Option<_>>()?)
}

/// Mean of `b` less that of `a`; `None` if either is empty.
pub(crate) fn difference_of_means(a: &[f64], b: &[f64]) -> Option<Interval> {
    let value = mean(b)? - mean(a)?;
    let mut rng = Rng::with_seed(SEED);
    let resample = |_| resampled_mean(b, &mut rng) - resampled_mean(a, &mut rng);
    interval(value, (0..RESAMPLES).map(resample).collect())
}

/// The 95th percentile of `distance` between random halves of equal runs.
pub(crate) fn split_noise(
    runs: &[f64],
    distance: impl Fn(&[f64], &[f64]) -> Option<f64>,
) -> Option<f64> {
    let mut runs = runs.to_vec();
    let mut rng = Rng::with_seed(SEED);
    let mut distances = Vec::with_capacity(SPLITS);
    for _ in 0..SPLITS {
        rng.shuffle(&mut runs);
        let (a, b) = runs.split_at(runs.len() / 2);
        distances.extend(distance(a, b));
    }
    distances.sort_unstable_by(f64::total_cmp);
    percentile(&distances, 0.95)
}

fn ratio(a: f64, b: f64) -> Option<f64> {
    (a > 0.0).then_some(b / a)
}

/// The median of a resample; counts positions of sorted values to avoid sorting it.
fn resampled_median(sorted: &[f64], counts: &mut [u32], rng: &mut Rng) -> f64 {
    let counts = &mut counts[..sorted.len()];
    counts.fill(0);
    for _ in 0..sorted.len() {
        counts[rng.usize(..sorted.len())] += 1;
    }
    let (lower, upper) = ((sorted.len() as u32 - 1) / 2, sorted.len() as u32 / 2);
    let (mut passed, mut at_lower) = (0, None);
    for (&count, &value) in counts.iter().zip(sorted) {
        passed += count;
        if passed > lower {
            at_lower.get_or_insert(value);
        }
        if passed > upper {
            return f64::midpoint(at_lower.unwrap_or(value), value);
        }
    }
    f64::NAN
}

fn resampled_mean(values: &[f64], rng: &mut Rng) -> f64 {
    let sum: f64 = values.iter().map(|_| values[rng.usize(..values.len())]).sum();
    sum / values.len() as f64
}

fn interval(value: f64, mut found: Vec<f64>) -> Option<Interval> {
    found.sort_unstable_by(f64::total_cmp);
    Some(Interval { value, low: percentile(&found, 0.025)?, high: percentile(&found, 0.975)? })
}

fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((share * last as f64).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_do_not_differ_have_no_doubt() {
        let found = ratio_of_medians(&[100.0; 6], &[90.0; 6]).unwrap();
        assert_eq!((found.value, found.low, found.high), (0.9, 0.9, 0.9));
        assert_eq!(ratio_of_medians(&[0.0], &[1.0]), None);
        assert_eq!(ratio_of_medians(&[], &[1.0]), None);
        // In some resamples, the median of these is 0.
        let some = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert_eq!(ratio_of_medians(&some, &[1.0; 9]), None);
        assert_eq!(split_noise(&[7.0; 10], |a, b| Some(mean(a)? - mean(b)?)), Some(0.0));
    }

    #[test]
    fn the_same_runs_give_the_same_interval() {
        let (a, b) = ([1.0, 1.1, 1.3, 0.9, 1.0], [1.2, 1.1, 1.4, 1.0, 1.3]);
        let found = ratio_of_medians(&a, &b).unwrap();
        assert_eq!(ratio_of_medians(&a, &b), Some(found));
        assert_eq!(found.value, 1.2);
        assert!(found.low < 1.2 && found.high > 1.2 && found.low >= 1.0 / 1.3);
        let found = difference_of_means(&a, &b).unwrap();
        assert!((found.value - 0.14).abs() < 1e-12 && found.low < 0.14 && found.high > 0.14);
    }

    #[test]
    fn a_resampled_median_is_that_of_what_was_drawn() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        let mut rng = Rng::with_seed(3);
        let mut twin = rng.clone();
        for _ in 0..100 {
            let drawn = (0..4).map(|_| sorted[twin.usize(..4)]);
            let expected = median(drawn).unwrap();
            assert_eq!(resampled_median(&sorted, &mut [0; 4], &mut rng), expected);
        }
    }
}
