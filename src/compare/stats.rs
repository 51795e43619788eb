//! Statistics of small samples without assumptions about their distribution: the Mann-Whitney test
//! (Annals of Mathematical Statistics 18, 1947) of whether values of one sample tend to be larger
//! than those of another, and bootstrap intervals (B. Efron, R. Tibshirani, An Introduction to the
//! Bootstrap, 1993).

use fastrand::Rng;

use super::document::{Effect, EffectKind, RESAMPLES};
use crate::unit::median;

/// Up to so many values, p is exact, ties included; beyond, it is a normal approximation.
/// Arbitrary: 30 per side take a few ms, and the approximation is then within 1 %.
const MAX_EXACT: usize = 60;

/// The two-sided p value; `None` if a sample is empty.
pub(crate) fn mann_whitney(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (ranks, ties) = doubled_ranks(a, b);
    let sum_a: usize = ranks[..a.len()].iter().sum();
    Some(if ranks.len() <= MAX_EXACT {
        exact(&ranks, a.len(), sum_a)
    } else {
        by_normal_curve(a.len() as f64, b.len() as f64, sum_a as f64 / 2.0, ties)
    })
}

/// Twice the rank of each value of `a`, then of `b`, which is an integer for ties, too; and the sum
/// of t³ − t over all groups of t equal values.
fn doubled_ranks(a: &[f64], b: &[f64]) -> (Vec<usize>, f64) {
    let values: Vec<f64> = a.iter().chain(b).copied().collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&left, &right| values[left].total_cmp(&values[right]));
    let (mut ranks, mut ties) = (vec![0; values.len()], 0.0);
    let mut first = 0;
    while first < order.len() {
        let equal = |&&at: &&usize| values[at] == values[order[first]];
        let count = order[first..].iter().take_while(equal).count();
        // Ranks first + 1 to first + count; their mean, doubled.
        let rank = 2 * first + count + 1;
        order[first..first + count].iter().for_each(|&at| ranks[at] = rank);
        ties += (count as f64).powi(3) - count as f64;
        first += count;
    }
    (ranks, ties)
}

/// The share of all choices of `count` ranks whose sum is at least as far from the center as `sum`.
fn exact(ranks: &[usize], count: usize, sum: usize) -> f64 {
    let total: usize = ranks.iter().sum();
    // ways[chosen][sum]: how many choices have that sum. Counts are below C(60, 30) = 1.2e17: as
    // doubles they are right to 1e-16.
    let mut ways = vec![vec![0.0; total + 1]; count + 1];
    ways[0][0] = 1.0;
    for &rank in ranks {
        for chosen in (0..count).rev() {
            let (fewer, more) = ways.split_at_mut(chosen + 1);
            let sums = more[0][rank..].iter_mut().zip(&fewer[chosen]);
            sums.for_each(|(into, from)| *into += from);
        }
    }
    // Multiplied by the number of ranks, so that the center is an integer.
    let distance = |sum: usize| (sum * ranks.len()).abs_diff(total * count);
    let as_far = ways[count].iter().enumerate().filter(|(at, _)| distance(*at) >= distance(sum));
    let as_far: f64 = as_far.map(|(_, ways)| ways).sum();
    (as_far / ways[count].iter().sum::<f64>()).min(1.0)
}

/// The normal approximation of p, corrected for ties and continuity.
fn by_normal_curve(count_a: f64, count_b: f64, rank_sum_a: f64, ties: f64) -> f64 {
    let all = count_a + count_b;
    let u = rank_sum_a - count_a * (count_a + 1.0) / 2.0;
    let mean = count_a * count_b / 2.0;
    let variance = count_a * count_b / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let z = ((u - mean).abs() - 0.5).max(0.0) / variance.sqrt();
    erfc(z / std::f64::consts::SQRT_2).min(1.0)
}

/// The complementary error function within 1.2e-7 (Numerical Recipes, 2nd edition, 6.2: erfcc).
fn erfc(x: f64) -> f64 {
    /// Coefficients of that approximation, from the highest power down.
    const COEFFICIENTS: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let z = x.abs();
    let t = 1.0 / (1.0 + 0.5 * z);
    let sum = COEFFICIENTS.iter().fold(0.0, |sum, coefficient| sum * t + coefficient);
    let result = t * (-z * z + sum).exp();
    if x >= 0.0 { result } else { 2.0 - result }
}

/// The smallest possible two-sided p value: 2 / C(a + b, a), at most 1.
pub(crate) fn smallest_p(a: usize, b: usize) -> f64 {
    let ways = (1..=a).fold(1.0, |ways, k| ways * (b + k) as f64 / k as f64);
    (2.0 / ways).min(1.0)
}

/// Minimum runs per side so that one of `family` comparisons can be significant at `alpha`.
pub(crate) fn runs_needed(family: usize, alpha: f64) -> usize {
    let family = family.max(1) as f64;
    // 60 per side reach 1e-34, enough for any family.
    (1..60).find(|&runs| smallest_p(runs, runs) * family < alpha).unwrap_or(60)
}

/// A fixed seed, so that equal runs give equal intervals. Arbitrary.
const SEED: u64 = 0x7564_7065_7266;
/// Number of random splits. Arbitrary: 5 % of them are 50.
const SPLITS: usize = 1_000;

/// Median of `b` over that of `a`; `None` if either is empty, or a resampled median of `a` is 0:
/// skipping such resamples would narrow the interval.
pub(crate) fn ratio_of_medians(a: &[f64], b: &[f64]) -> Option<Effect> {
    let (a, b) = (sorted(a), sorted(b));
    let value = ratio(median(a.iter().copied())?, median(b.iter().copied())?)?;
    let mut rng = Rng::with_seed(SEED);
    let mut drawn = Vec::new();
    let resample = |_| {
        let a = resampled_median(&a, &mut drawn, &mut rng);
        ratio(a, resampled_median(&b, &mut drawn, &mut rng))
    };
    with_interval(EffectKind::Ratio, value, (0..RESAMPLES).map(resample).collect::<Option<_>>()?)
}

/// Mean of `b` less that of `a`; `None` if either is empty.
pub(crate) fn difference_of_means(a: &[f64], b: &[f64]) -> Option<Effect> {
    let value = mean(b)? - mean(a)?;
    let mut rng = Rng::with_seed(SEED);
    let resample = |_| resampled_mean(b, &mut rng) - resampled_mean(a, &mut rng);
    with_interval(EffectKind::Difference, value, (0..RESAMPLES).map(resample).collect())
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
    percentile(&sorted(&distances), 0.95)
}

fn ratio(a: f64, b: f64) -> Option<f64> {
    (a > 0.0).then_some(b / a)
}

/// The median of a resample; `drawn` is a buffer for indices.
fn resampled_median(sorted: &[f64], drawn: &mut Vec<usize>, rng: &mut Rng) -> f64 {
    let count = sorted.len();
    drawn.clear();
    drawn.extend((0..count).map(|_| rng.usize(..count)));
    drawn.sort_unstable();
    f64::midpoint(sorted[drawn[(count - 1) / 2]], sorted[drawn[count / 2]])
}

fn resampled_mean(values: &[f64], rng: &mut Rng) -> f64 {
    let sum: f64 = values.iter().map(|_| values[rng.usize(..values.len())]).sum();
    sum / values.len() as f64
}

/// An effect and its 95 % confidence interval.
fn with_interval(kind: EffectKind, value: f64, resamples: Vec<f64>) -> Option<Effect> {
    let sorted = sorted(&resamples);
    let (low, high) = (percentile(&sorted, 0.025)?, percentile(&sorted, 0.975)?);
    Some(Effect { kind, value, low, high })
}

fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((share * last as f64).round() as usize).copied()
}

pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Corrects p values for multiple comparisons (S. Holm, Scandinavian Journal of Statistics 6,
/// 1979): by chance, any of them is below `alpha` in at most `alpha` of all families.
pub(crate) fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&left, &right| values[left].total_cmp(&values[right]));
    let mut corrected = vec![0.0; values.len()];
    let mut largest = 0.0_f64;
    for (rank, &at) in order.iter().enumerate() {
        largest = largest.max(values[at] * (values.len() - rank) as f64).min(1.0);
        corrected[at] = largest;
    }
    corrected
}

/// So many blocks of one run of side 0 and one of side 1, each in random order, so that drift and
/// periodic changes affect both sides equally.
pub(crate) fn block_order(blocks: u32, seed: u64) -> Vec<usize> {
    let mut rng = Rng::with_seed(seed);
    let block = |_| if rng.bool() { [0, 1] } else { [1, 0] };
    (0..blocks).flat_map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-6 * expected.max(1e-3), "{found} for {expected}");
    }

    #[test]
    fn exact_p_of_untied_and_tied_samples() {
        let samples: [(&[f64], &[f64], f64); 5] = [
            (&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 0.1),
            (&[1.0, 3.0, 5.0], &[2.0, 4.0, 6.0], 0.7),
            // The example of scipy.stats.mannwhitneyu: U = 17.
            (&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0], 1.0 / 9.0),
            (&[0.0; 8], &[0.0; 8], 1.0),
            // Of C(10, 5) ways, 2 C(8, 3) have both non-zero values on one side.
            (&[0.0; 5], &[0.0, 0.0, 0.0, 1.0, 2.0], 2.0 * 56.0 / 252.0),
        ];
        for (a, b, expected) in samples {
            close(mann_whitney(a, b).unwrap(), expected);
        }
        assert_eq!(mann_whitney(&[], &[1.0]), None);
    }

    #[test]
    fn significance_needs_some_runs() {
        close(smallest_p(3, 3), 0.1);
        close(smallest_p(10, 10), 2.0 / 184_756.0);
        assert_eq!(runs_needed(1, 0.05), 4);
        assert_eq!(runs_needed(96, 0.05), 8);
        assert!((1..200).all(|family| {
            let runs = runs_needed(family, 0.05);
            smallest_p(runs, runs) * (family as f64) < 0.05
        }));
    }
    #[test]
    fn equal_runs_have_no_interval() {
        let found = ratio_of_medians(&[100.0; 6], &[90.0; 6]).unwrap();
        assert_eq!((found.value, found.low, found.high), (0.9, 0.9, 0.9));
        // In some resamples, the median of the first sample is 0.
        let some = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        for (a, b) in [(&[0.0][..], &[1.0][..]), (&[], &[1.0]), (&some, &[1.0; 9])] {
            assert_eq!(ratio_of_medians(a, b), None);
        }
        assert_eq!(split_noise(&[7.0; 10], |a, b| Some(mean(a)? - mean(b)?)), Some(0.0));
    }

    #[test]
    fn intervals_are_repeatable() {
        let (a, b) = ([1.0, 1.1, 1.3, 0.9, 1.0], [1.2, 1.1, 1.4, 1.0, 1.3]);
        let found = ratio_of_medians(&a, &b).unwrap();
        assert_eq!(ratio_of_medians(&a, &b), Some(found));
        assert_eq!(found.value, 1.2);
        assert!(found.low < 1.2 && found.high > 1.2 && found.low >= 1.0 / 1.3);
        assert_eq!(difference_of_means(&[], &b), None);
        let found = difference_of_means(&a, &b).unwrap();
        assert!((found.value - 0.14).abs() < 1e-12 && found.low < 0.14 && found.high > 0.14);
    }

    #[test]
    fn resampled_median_equals_the_median_of_the_drawn_values() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        let mut rng = Rng::with_seed(3);
        let mut twin = rng.clone();
        for _ in 0..100 {
            let expected = median((0..4).map(|_| sorted[twin.usize(..4)])).unwrap();
            assert_eq!(resampled_median(&sorted, &mut Vec::new(), &mut rng), expected);
        }
    }
    #[test]
    fn holm_corrects_as_r_does() {
        // The example of R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn each_block_has_one_run_of_each_side() {
        for seed in 0..50 {
            let order = block_order(9, seed);
            assert_eq!(order.len(), 18);
            assert!(order.chunks(2).all(|block| block[0] != block[1]), "{seed}");
        }
        assert_eq!(block_order(9, 7), block_order(9, 7));
        let firsts: usize = (0..50).map(|seed| block_order(1, seed)[0]).sum();
        assert!((10..40).contains(&firsts), "{firsts}");
    }
}
