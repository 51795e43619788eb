//! Error rates of the rules over many comparisons of simulated runs whose truth is known, and the
//! statistics compared with those of another library.

use fastrand::Rng;
use statrs::stats_tests::Alternative;
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};

use super::document::Verdict;
use super::judge::{Pair, Rules, judge};
use super::stats::mann_whitney;
use crate::report::checks::metric::Metric;

/// Comparisons that are simulated, of each kind. The seeds are fixed, so a result is repeatable.
const FEW: u64 = 40;

/// The same in long tests.
const MANY: u64 = 1_000;

/// Runs per side.
const RUNS: usize = 10;

/// A normally distributed number (G. Box, M. Muller, 1958).
fn normal(rng: &mut Rng) -> f64 {
    let (u, v) = (1.0 - rng.f64(), rng.f64());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Counts the verdicts of comparisons of runs that `make` draws for side 0 or 1.
fn verdicts(trials: u64, name: &str, make: impl Fn(usize, &mut Rng) -> f64) -> [u64; 4] {
    let metric = Metric::named(name).unwrap();
    let mut counts = [0; 4];
    for trial in 0..trials {
        let mut rng = Rng::with_seed(trial);
        let mut side = |side| (0..RUNS).map(|_| make(side, &mut rng)).collect();
        let pair = Pair { metric, base: side(0), new: side(1), withheld: 0, noise: Vec::new() };
        let at = match judge(&[pair], &Rules::default()).0[0].verdict {
            Verdict::Better => 0,
            Verdict::Same => 1,
            Verdict::Worse => 2,
            Verdict::Undecided | Verdict::CannotCompare => 3,
        };
        counts[at] += 1;
    }
    counts
}

fn equal_runs(trials: u64) {
    for noise in [0.005, 0.03, 0.2] {
        let [better, _, worse, _] =
            verdicts(trials, "rx_pps", |_, rng| 250e3 * (1.0 + noise * normal(rng)));
        assert!(worse <= trials / 20 && better <= trials / 20, "{noise}: {better} {worse}");
    }
    // Nothing but a few slow runs now and then, as a stolen CPU makes them.
    let [better, _, worse, _] = verdicts(trials, "p99", |_, rng| {
        let slow = if rng.f64() < 0.2 { 10.0 } else { 1.0 };
        40e3 * slow * (1.0 + 0.1 * normal(rng)).abs()
    });
    assert!(worse <= trials / 20 && better <= trials / 20, "{better} {worse}");
}

fn a_tenth_less(trials: u64) {
    let slower = |side: usize| if side == 1 { 0.9 } else { 1.0 };
    let [_, _, worse, _] =
        verdicts(trials, "rx_pps", |side, rng| 250e3 * slower(side) * (1.0 + 0.03 * normal(rng)));
    assert!(worse >= trials * 95 / 100, "{worse}");
    let [better, ..] =
        verdicts(trials, "p50", |side, rng| 4e3 * slower(side) * (1.0 + 0.03 * normal(rng)));
    assert!(better >= trials * 95 / 100, "{better}");
}

fn quiet_machines(trials: u64) {
    let [_, same, worse, _] =
        verdicts(trials, "rx_pps", |_, rng| 250e3 * (1.0 + 0.005 * normal(rng)));
    assert!(same >= trials * 95 / 100 && worse == 0, "{same} {worse}");
}

fn occasional_loss(trials: u64) {
    // Three runs of ten lose a little, on either side.
    let some = |rng: &mut Rng| if rng.f64() < 0.3 { 0.02 * rng.f64() } else { 0.0 };
    let [better, _, worse, _] = verdicts(trials, "loss", |_, rng| some(rng));
    assert!(worse <= trials / 20 && better <= trials / 20, "{better} {worse}");
    // All new runs lose a little more than that.
    let [_, _, worse, _] =
        verdicts(trials, "loss", |side, rng| some(rng) + if side == 1 { 0.02 } else { 0.0 });
    assert!(worse >= trials * 95 / 100, "{worse}");
}

fn many_cells(trials: u64) {
    // 40 cells, all alike: in at most one of twenty comparisons is any of them flagged.
    let metric = Metric::named("rx_pps").unwrap();
    let flagged = |trial: u64| {
        let mut rng = Rng::with_seed(trial);
        let mut runs = || (0..RUNS).map(|_| 250e3 * (1.0 + 0.05 * normal(&mut rng))).collect();
        let pairs: Vec<Pair> = (0..40)
            .map(|_| Pair { metric, base: runs(), new: runs(), withheld: 0, noise: Vec::new() })
            .collect();
        let (judged, _) = judge(&pairs, &Rules::default());
        judged.iter().any(|one| matches!(one.verdict, Verdict::Worse | Verdict::Better))
    };
    let count = (0..trials).filter(|&trial| flagged(trial)).count() as u64;
    assert!(count <= trials / 20, "{count}");
}

fn exact_p(trials: u64) {
    for seed in 0..trials {
        let mut rng = Rng::with_seed(seed);
        // statrs 0.19 takes the wrong tail where its first sample is not the larger one.
        let count_b = rng.usize(3..11);
        let count_a = rng.usize(count_b + 1..12);
        let shift = rng.f64();
        let a: Vec<f64> = (0..count_a).map(|_| normal(&mut rng)).collect();
        let b: Vec<f64> = (0..count_b).map(|_| normal(&mut rng) + shift).collect();
        let exact = MannWhitneyUMethod::Exact;
        let (_, theirs) = mannwhitneyu(&a, &b, exact, Alternative::TwoSided).unwrap();
        let ours = mann_whitney(&a, &b).unwrap();
        assert!((ours - theirs).abs() < 1e-9, "{seed}: {ours} {theirs}");
    }
}

#[test]
fn few_simulated_comparisons_have_the_error_rates_of_the_rules() {
    simulate(FEW, 20, 40);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn many_simulated_comparisons_have_the_same_error_rates() {
    simulate(MANY, 100, 200);
}

fn simulate(trials: u64, of_many_cells: u64, of_exact_p: u64) {
    for check in [equal_runs, quiet_machines, a_tenth_less, occasional_loss] {
        check(trials);
    }
    many_cells(of_many_cells);
    exact_p(of_exact_p);
}

/// The example of scipy.stats.mannwhitneyu: U = 17, p = 1/9.
#[test]
fn p_is_what_scipy_finds() {
    let (males, females) = ([19.0, 22.0, 16.0, 29.0, 24.0], [20.0, 11.0, 17.0, 12.0]);
    let p = mann_whitney(&males, &females).unwrap();
    assert!((p - 0.111_111_111_111_111_1).abs() < 1e-12, "{p}");
}

#[test]
fn p_of_large_and_tied_samples_is_what_another_library_finds() {
    for seed in 0..50 {
        let mut rng = Rng::with_seed(seed);
        let mut some = |count: usize| -> Vec<f64> {
            (0..count).map(|_| (normal(&mut rng) * 5.0).round()).collect()
        };
        let (a, b) = (some(50), some(60));
        let method = MannWhitneyUMethod::AsymptoticInclContinuityCorrection;
        let (_, theirs) = mannwhitneyu(&a, &b, method, Alternative::TwoSided).unwrap();
        let ours = mann_whitney(&a, &b).unwrap();
        assert!((ours - theirs).abs() < 1e-6, "{seed}: {ours} {theirs}");
    }
}
