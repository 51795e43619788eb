//! The Mann-Whitney test (Annals of Mathematical Statistics 18, 1947): whether values of one sample
//! tend to be larger than those of another.

use std::collections::HashMap;

/// Up to so many values, p is exact, ties included; beyond, it is a normal approximation.
/// Arbitrary: 30 per side take a few ms, and the approximation is then within 1 %.
const MAX_EXACT: usize = 60;

/// The two-sided p value; `None` if a sample is empty.
pub(crate) fn mann_whitney(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (ranks, ties) = doubled_ranks(a, b);
    let sum_a: u64 = ranks[..a.len()].iter().sum();
    Some(if ranks.len() <= MAX_EXACT {
        exact(&ranks, a.len(), sum_a)
    } else {
        by_normal_curve(a.len() as f64, b.len() as f64, sum_a as f64 / 2.0, ties)
    })
}

/// Twice the rank of each value of `a`, then of `b`, which is an integer for ties, too; and the sum
/// of t³ − t over all groups of t equal values.
fn doubled_ranks(a: &[f64], b: &[f64]) -> (Vec<u64>, f64) {
    let values: Vec<f64> = a.iter().chain(b).copied().collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&left, &right| values[left].total_cmp(&values[right]));
    let (mut ranks, mut ties) = (vec![0; values.len()], 0.0);
    let mut first = 0;
    while first < order.len() {
        let equal = |&&at: &&usize| values[at] == values[order[first]];
        let count = order[first..].iter().take_while(equal).count();
        // Ranks first + 1 to first + count; their mean, doubled.
        let rank = (2 * first + count + 1) as u64;
        order[first..first + count].iter().for_each(|&at| ranks[at] = rank);
        ties += (count as f64).powi(3) - count as f64;
        first += count;
    }
    (ranks, ties)
}

/// The share of all choices of `count` ranks whose sum is at least as far from the center as `sum`.
fn exact(ranks: &[u64], count: usize, sum: u64) -> f64 {
    // ways[chosen]: how many ways lead to each sum. Counts are below C(60, 30) = 1.2e17: as
    // doubles they are right to 1e-16.
    let mut ways: Vec<HashMap<u64, f64>> = vec![HashMap::new(); count + 1];
    ways[0].insert(0, 1.0);
    for (taken, &rank) in ranks.iter().enumerate() {
        for chosen in (0..count.min(taken + 1)).rev() {
            let from: Vec<(u64, f64)> = ways[chosen].iter().map(|(&s, &n)| (s, n)).collect();
            for (sum, number) in from {
                *ways[chosen + 1].entry(sum + rank).or_default() += number;
            }
        }
    }
    let total: u64 = ranks.iter().sum();
    // Multiplied by the number of ranks, so that the center is an integer.
    let all = ranks.len() as u64;
    let middle = total * count as u64;
    let distance = (sum * all).abs_diff(middle);
    let all_ways: f64 = ways[count].values().sum();
    let as_far: f64 = ways[count]
        .iter()
        .filter(|(sum, _)| (**sum * all).abs_diff(middle) >= distance)
        .map(|(_, number)| number)
        .sum();
    (as_far / all_ways).min(1.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-6 * expected.max(1e-3), "{found} for {expected}");
    }

    #[test]
    fn small_samples_are_counted_out() {
        let p = |a: &[f64], b: &[f64]| mann_whitney(a, b).unwrap();
        close(p(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 0.1);
        close(p(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]), 2.0 / 70.0);
        close(p(&[1.0, 3.0, 5.0], &[2.0, 4.0, 6.0]), 0.7);
        // All equal: nothing is farther from the middle.
        close(p(&[0.0; 8], &[0.0; 8]), 1.0);
        assert_eq!(mann_whitney(&[], &[1.0]), None);
    }

    #[test]
    fn ties_are_counted_out_as_they_are() {
        // Zeroes but for two: of C(10, 5) ways, those with both on one side are 2 C(8, 3).
        let (a, b) = ([0.0; 5], [0.0, 0.0, 0.0, 1.0, 2.0]);
        close(mann_whitney(&a, &b).unwrap(), 2.0 * 56.0 / 252.0);
    }

    #[test]
    fn the_normal_curve_is_close_to_what_is_counted_out() {
        let a: Vec<f64> = (0..30).map(|i| f64::from(i) * 1.7 % 7.0).collect();
        let b: Vec<f64> = (0..30).map(|i| f64::from(i) * 2.3 % 7.5 + 0.4).collect();
        let (ranks, ties) = doubled_ranks(&a, &b);
        let sum: u64 = ranks[..30].iter().sum();
        let (exact, curve) =
            (exact(&ranks, 30, sum), by_normal_curve(30.0, 30.0, sum as f64 / 2.0, ties));
        assert!((exact - curve).abs() < 0.01, "{exact} {curve}");
    }

    #[test]
    fn it_takes_some_runs_to_tell_anything() {
        close(smallest_p(3, 3), 0.1);
        close(smallest_p(10, 10), 2.0 / 184_756.0);
        assert_eq!(runs_needed(1, 0.05), 4);
        assert_eq!(runs_needed(96, 0.05), 8);
        assert!((1..200).all(|family| {
            let runs = runs_needed(family, 0.05);
            smallest_p(runs, runs) * (family as f64) < 0.05
        }));
    }
}
