//! Error rates of the rules over simulated runs, and p compared with that of another library.

use fastrand::Rng;
use statrs::stats_tests::Alternative;
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};

use super::document::Rules;
use super::document::Verdict::{self, Better, Same, Worse};
use super::judge::{Pair, judge};
use super::stats::mann_whitney;
use crate::report::checks::metric::Metric;

/// Runs per side.
const RUNS: usize = 10;

/// A normally distributed number (G. Box, M. Muller, 1958).
fn normal(rng: &mut Rng) -> f64 {
    let (u, v) = (1.0 - rng.f64(), rng.f64());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// The pair of samples that `make` draws for side 0 and 1.
fn pair(name: &str, rng: &mut Rng, make: impl Fn(usize, &mut Rng) -> f64) -> Pair {
    let metric = Metric::named(name).unwrap();
    let mut side = |side| (0..RUNS).map(|_| make(side, rng)).collect();
    let (base, new, rates) = (side(0), side(1), crate::unit::RateUnit::Packets);
    Pair { metric, base, new, withheld: 0, noise: Vec::new(), rates }
}

/// How many comparisons of such pairs have each of these verdicts.
fn count<const N: usize>(
    trials: u64,
    verdicts: [Verdict; N],
    name: &str,
    make: impl Fn(usize, &mut Rng) -> f64,
) -> [u64; N] {
    let judged = (0..trials).map(|trial| {
        let pair = pair(name, &mut Rng::with_seed(trial), &make);
        judge(&[pair], &Rules::default()).0[0].verdict
    });
    let judged: Vec<_> = judged.collect();
    verdicts.map(|verdict| judged.iter().filter(|&&one| one == verdict).count() as u64)
}

fn equal_runs(trials: u64) {
    let is_rare = |name: &str, make: &dyn Fn(usize, &mut Rng) -> f64| {
        let changes = count(trials, [Better, Worse], name, make);
        assert!(changes.iter().all(|&count| count <= trials / 20), "{name}: {changes:?}");
    };
    for noise in [0.005, 0.03, 0.2] {
        is_rare("rx_pps", &|_, rng| 250e3 * (1.0 + noise * normal(rng)));
    }
    // A stolen CPU slows down a few runs.
    is_rare("p99", &|_, rng| {
        let slow = if rng.f64() < 0.2 { 10.0 } else { 1.0 };
        40e3 * slow * (1.0 + 0.1 * normal(rng)).abs()
    });
    is_rare("loss", &|_, rng| occasional_loss(rng));
}

/// Three runs of ten lose a little.
fn occasional_loss(rng: &mut Rng) -> f64 {
    if rng.f64() < 0.3 { 0.02 * rng.f64() } else { 0.0 }
}

fn different_runs(trials: u64) {
    let is_usual = |name: &str, verdict: Verdict, make: &dyn Fn(usize, &mut Rng) -> f64| {
        let [found] = count(trials, [verdict], name, make);
        assert!(found >= trials * 95 / 100, "{name}: {found}");
    };
    let less = |side: usize| if side == 1 { 0.9 } else { 1.0 };
    is_usual("rx_pps", Worse, &|side, rng| 250e3 * less(side) * (1.0 + 0.03 * normal(rng)));
    is_usual("p50", Better, &|side, rng| 4e3 * less(side) * (1.0 + 0.03 * normal(rng)));
    is_usual("loss", Worse, &|side, rng| occasional_loss(rng) + 0.02 * side as f64);
    // On a quiet machine, equal runs are the same.
    let quiet = |_: usize, rng: &mut Rng| 250e3 * (1.0 + 0.005 * normal(rng));
    is_usual("rx_pps", Same, &quiet);
    assert_eq!(count(trials, [Worse], "rx_pps", quiet), [0]);
}

/// Of 40 equal cells, any is flagged in at most one of twenty comparisons.
fn many_cells(trials: u64) {
    let is_flagged = |&trial: &u64| {
        let mut rng = Rng::with_seed(trial);
        let mut one = || pair("rx_pps", &mut rng, |_, rng| 250e3 * (1.0 + 0.05 * normal(rng)));
        let pairs: Vec<Pair> = (0..40).map(|_| one()).collect();
        let (judged, _) = judge(&pairs, &Rules::default());
        judged.iter().any(|one| matches!(one.verdict, Worse | Better))
    };
    let count = (0..trials).filter(is_flagged).count() as u64;
    assert!(count <= trials / 20, "{count}");
}

/// Compares p with that of statrs, for so many seeds.
fn check_p(
    seeds: u64,
    method: fn() -> MannWhitneyUMethod,
    tolerance: f64,
    samples: impl Fn(&mut Rng) -> [Vec<f64>; 2],
) {
    for seed in 0..seeds {
        let [a, b] = samples(&mut Rng::with_seed(seed));
        let (_, theirs) = mannwhitneyu(&a, &b, method(), Alternative::TwoSided).unwrap();
        let ours = mann_whitney(&a, &b).unwrap();
        assert!((ours - theirs).abs() < tolerance, "{seed}: {ours} {theirs}");
    }
}

// The seeds are fixed, so a result is repeatable.
#[test]
#[ignore = "long: scripts/check runs it"]
fn many_comparisons_have_the_error_rates_of_the_rules() {
    equal_runs(1_000);
    different_runs(1_000);
    many_cells(100);
    exact_p(200);
}

#[test]
fn p_of_small_samples_equals_that_of_another_library() {
    exact_p(40);
}

fn exact_p(seeds: u64) {
    let samples = |rng: &mut Rng| {
        // statrs 0.19 takes the wrong tail where its first sample is not the larger one.
        let count_b = rng.usize(3..11);
        let count_a = rng.usize(count_b + 1..12);
        let shift = rng.f64();
        let a = (0..count_a).map(|_| normal(rng)).collect();
        [a, (0..count_b).map(|_| normal(rng) + shift).collect()]
    };
    check_p(seeds, || MannWhitneyUMethod::Exact, 1e-9, samples);
}

#[test]
fn p_of_large_and_tied_samples_equals_that_of_another_library() {
    let samples = |rng: &mut Rng| {
        [50, 60].map(|count| (0..count).map(|_| (normal(rng) * 5.0).round()).collect())
    };
    check_p(50, || MannWhitneyUMethod::AsymptoticInclContinuityCorrection, 1e-6, samples);
}
