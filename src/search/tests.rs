//! Searches against simulated targets whose capacity is known.

use fastrand::Rng;

use super::*;
use crate::document::{Found, LimitedBy, ProbeFigures, TrialCount};

/// Approximately normal, of mean 0 and deviation 1: the sum of twelve uniform values.
fn normal(random: &mut Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

fn settings() -> Settings {
    let time = Nanos::from_millis(2_000);
    Settings { time, precision: 0.01, repeat: (2, 3), curve: true, ..Settings::default() }
}

fn outcome_of(held: bool, request: TrialRequest) -> TrialOutcome {
    TrialOutcome { held: Some(held), sent_pps: request.rate_pps, ..TrialOutcome::default() }
}

fn up_to(limit_pps: f64) -> impl Fn(TrialRequest) -> TrialOutcome {
    move |request| outcome_of(request.rate_pps <= limit_pps, request)
}

fn run_with(
    settings: Settings,
    delivered_pps: f64,
    mut target: impl FnMut(TrialRequest) -> TrialOutcome,
) -> (Search, Found) {
    let probe = ProbeFigures { delivered_pps: Some(delivered_pps), sent_pps: 1e6 };
    let mut search = Search::new(settings, probe);
    while let Some(request) = search.next() {
        assert!(request.rate_pps > 0.0 && request.time <= search.settings.time, "{request:?}");
        search.record(target(request)).unwrap();
    }
    let found = found(&search, "plain/64", 64);
    (search, found)
}

fn run(delivered_pps: f64, target: impl FnMut(TrialRequest) -> TrialOutcome) -> Found {
    run_with(settings(), delivered_pps, target).1
}

#[track_caller]
fn assert_between(found: &Found, capacity: f64) {
    let (low, high) = (found.low_pps.unwrap(), found.high_pps.unwrap());
    assert!(low <= capacity && capacity < high, "{low} {capacity} {high}");
    assert!(high / low < 1.0102, "{low} to {high}");
}

#[test]
fn finds_a_capacity_from_any_start() {
    for capacity in [150.0, 20_202.0, 243_500.0, 9.9e6] {
        for from in [0.1, 0.5, 0.97, 1.0, 1.3, 6.0] {
            let found = run(capacity * from, up_to(capacity));
            assert_between(&found, capacity);
            assert_eq!(found.limited_by, LimitedBy::Target);
            assert_eq!(found.verified.unwrap().passed, 2);
            let (passed, failed) = (found.passed.unwrap(), found.failed.unwrap());
            assert_eq!((passed.k, passed.n, failed.k, failed.n), (2, 2, 0, 2));
            assert!(found.trials.len() <= 35, "{}", found.trials.len());
        }
    }
}

#[test]
fn trials_grow_longer_and_ends_alternate() {
    let (search, _) = run_with(settings(), 100e3, up_to(80e3));
    let trials = || search.trials.iter().filter(|trial| trial.request.purpose != Purpose::Curve);
    let times: Vec<_> = trials().map(|trial| trial.request.time).collect();
    assert!(times.is_sorted());
    assert_eq!(times[0], Nanos::from_millis(250));
    let of_final = trials().filter(|trial| trial.request.purpose == Purpose::Final);
    let held: Vec<_> = of_final.map(|trial| trial.outcome.held == Some(true)).collect();
    assert_eq!(held[..4], [true, false, true, false]);
}

/// How many of a hundred seeds give a result within 2 % of the truth.
fn count_hits(mut target: impl FnMut(&mut Rng, TrialRequest) -> TrialOutcome) -> usize {
    let mut hit = |seed: u64| {
        let mut random = Rng::with_seed(seed);
        let found = run(110e3, |request| target(&mut random, request));
        found.low_pps.is_some_and(|low| (98e3..=102e3).contains(&low))
    };
    (0..100).filter(|seed| hit(*seed)).count()
}

#[test]
fn noise_wrong_trials_and_disturbances_move_few_results() {
    let varies = count_hits(|random, request| {
        // Short trials vary more: half a percent for two seconds.
        let deviation = 0.005 * (2.0 / request.time.as_secs_f64()).sqrt();
        outcome_of(request.rate_pps <= 100e3 * (1.0 + deviation * normal(random)), request)
    });
    // Longer trials correct wrong ones.
    let wrong = count_hits(|random, request| {
        let chance = if request.purpose.is_final() { 0.03 } else { 0.10 };
        outcome_of(request.rate_pps <= 100e3 && random.f64() >= chance, request)
    });
    let disturbed = count_hits(|random, request| {
        let stalled = random.f64() < 0.25;
        TrialOutcome { stalled, ..outcome_of(request.rate_pps <= 100e3 && !stalled, request) }
    });
    let hits = [varies, wrong, disturbed];
    assert!(hits.iter().all(|&hits| hits >= 95), "{hits:?}");
}

#[test]
fn wrong_short_trials_do_not_bind_long_ones() {
    for wrong in [70e3, 140e3] {
        let found = run(100e3, |request| {
            let limit = if request.purpose == Purpose::Short { wrong } else { 100e3 };
            outcome_of(request.rate_pps <= limit, request)
        });
        assert_between(&found, 100e3);
    }
}

#[test]
fn a_target_that_suffers_from_overload_is_not_overrated() {
    let mut overloaded = false;
    let found = run(60e3, |request| {
        let held = request.rate_pps <= if overloaded { 97e3 } else { 100e3 };
        overloaded = !held;
        outcome_of(held, request)
    });
    let low = found.low_pps.unwrap();
    assert!((96e3..=100e3).contains(&low), "{low}");
}

#[test]
fn a_limited_generator_is_named() {
    let found = run(500e3, |request| TrialOutcome {
        generator_limited: request.rate_pps > 400e3,
        sent_pps: request.rate_pps.min(400e3),
        ..outcome_of(true, request)
    });
    assert_eq!(found.limited_by, LimitedBy::Generator);
    assert!((396e3..=400e3).contains(&found.low_pps.unwrap()), "{found:?}");
    assert_eq!(found.generator_pps, Some(400e3));
    // A late generator causes latency, which is not the target's fault either.
    let found = run(500e3, |request| {
        let generator_limited = request.rate_pps > 400e3;
        TrialOutcome { generator_limited, ..outcome_of(!generator_limited, request) }
    });
    assert_eq!(found.limited_by, LimitedBy::Generator);
    assert!(found.disturbed > 0);
    // Limited only at another rate.
    let mut trials = 0;
    let found = run(100e3, |request| {
        trials += 1;
        let generator_limited = trials == 1;
        let sent_pps = if generator_limited { 90e3 } else { request.rate_pps };
        let outcome = outcome_of(generator_limited || request.rate_pps <= 80e3, request);
        TrialOutcome { generator_limited, sent_pps, ..outcome }
    });
    assert!(found.trials.iter().any(|trial| trial.verdict == TrialVerdict::GeneratorLimited));
    assert_eq!((found.limited_by, found.generator_pps), (LimitedBy::Target, None));
}

#[test]
fn a_target_that_never_passes_has_no_rate() {
    let found = run(0.0, |request| outcome_of(false, request));
    assert_eq!((found.low_pps, found.limited_by), (None, LimitedBy::Target));
    assert_eq!(found.high_pps, Some(40.0));
    assert!(found.curve.iter().all(|point| point.passed == 0) && found.verified.is_none());
    assert!(found.trials.len() <= 15, "{}", found.trials.len());
    // No rate below the lowest one verifies it.
    let found = run(50.0, up_to(40.0));
    assert_eq!((found.low_pps, found.verified), (Some(40.0), None));
}

#[test]
fn an_unknown_goal_is_an_error_and_on_the_curve_a_gap() {
    let probe = ProbeFigures { delivered_pps: Some(1e3), sent_pps: 1e6 };
    let mut search = Search::new(settings(), probe);
    let unknown = || Some("p99<=1ms".to_owned());
    let outcome = TrialOutcome { unknown: unknown(), ..TrialOutcome::default() };
    let first = search.next();
    assert_eq!(search.record(outcome.clone()), Ok(()));
    assert_eq!(search.next(), first);
    let error = search.record(outcome).unwrap_err();
    assert!(error.to_string().starts_with("goal 'p99<=1ms': its figure is unknown"));
    assert_eq!(search.next(), None);
    let (search, _) = run_with(settings(), 100e3, |request| {
        let is_low = request.purpose == Purpose::Curve && request.rate_pps < 30e3;
        let held = (!is_low).then_some(request.rate_pps <= 80e3);
        TrialOutcome { held, unknown: unknown().filter(|_| is_low), ..outcome_of(true, request) }
    });
    assert!(search.converged);
    let curve = search.trials.iter().filter(|trial| trial.request.purpose == Purpose::Curve);
    assert_eq!(curve.count(), 3);
}

#[test]
fn never_exceeds_the_maximum_rate() {
    let settings = Settings { max_pps: Some(50e3), start_pps: Some(5e3), ..settings() };
    let (search, found) = run_with(settings, 80e3, |request| {
        assert!(request.rate_pps <= 50e3, "{request:?}");
        outcome_of(request.rate_pps <= 100e3, request)
    });
    assert_eq!(search.trials[0].request.rate_pps, 5e3);
    assert_eq!((found.low_pps, found.limited_by), (Some(50e3), LimitedBy::MaxRate));
    assert_eq!(found.high_pps, None);
}

#[test]
fn a_rate_below_the_result_has_to_hold_too() {
    // Rates above a gap are not the answer.
    let found = run(100e3, |request| {
        let above_gap = (92e3..=100e3).contains(&request.rate_pps);
        outcome_of(request.rate_pps <= 60e3 || above_gap, request)
    });
    let low = found.low_pps.unwrap();
    assert!((59e3..=60e3).contains(&low), "{low}");
    assert_eq!(found.limited_by, LimitedBy::Target);
}

#[test]
fn ends_if_results_never_settle() {
    // Final trials do not agree with each other.
    let mut random = Rng::with_seed(7);
    let found = run(100e3, |request| {
        let held = match request.purpose {
            Purpose::Verify => false,
            Purpose::Final => random.f64() < 0.5,
            _ => request.rate_pps <= 100e3,
        };
        outcome_of(held, request)
    });
    assert!(found.trials.len() <= 95);
    assert!(found.limited_by == LimitedBy::NotSettled || found.low_pps.is_none(), "{found:?}");
    // The machine stalls all the time.
    let mut trials = 0;
    let found = run(100e3, |request| {
        trials += 1;
        let stalled = trials > 12;
        let outcome = outcome_of(!stalled && request.rate_pps <= 90e3, request);
        TrialOutcome { stalled, generator_limited: stalled, ..outcome }
    });
    assert_eq!(found.limited_by, LimitedBy::NotSettled);
    assert!(found.low_pps.is_none_or(|low| low >= 89e3), "{found:?}");
    assert!(found.trials.len() <= 40, "{}", found.trials.len());
}

#[test]
fn curve_rises_to_the_result() {
    let found = run(100e3, up_to(80e3));
    let low = found.low_pps.unwrap();
    let shares = found.curve.iter().map(|point| (point.rate_pps / low * 100.0).round());
    let shares: Vec<_> = shares.filter(|share| *share <= 100.0).collect();
    assert!(found.curve.is_sorted_by(|a, b| a.rate_pps < b.rate_pps));
    for share in [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 100.0] {
        assert!(shares.contains(&share), "{share}: {shares:?}");
    }
    let (search, _) = run_with(Settings { curve: false, ..settings() }, 100e3, up_to(80e3));
    assert!(search.trials.iter().all(|trial| trial.request.purpose != Purpose::Curve));
}

#[test]
fn curve_omits_disturbed_trials() {
    let mut trials = 0;
    let found = run(100e3, |request| {
        trials += 1;
        let stalled = request.purpose.is_final() && trials % 2 == 0;
        let p99_ns = Some(if stalled { 9 } else { 1 });
        let figures = TrialFigures { p99_ns, ..TrialFigures::default() };
        let held = !stalled && request.rate_pps <= 80e3;
        TrialOutcome { stalled, figures, ..outcome_of(held, request) }
    });
    assert!(found.disturbed > 0);
    assert!(found.curve.iter().all(|point| point.p99_ns == Some(1)), "{:?}", found.curve);
    let at_low = found.curve.iter().find(|point| Some(point.rate_pps) == found.low_pps).unwrap();
    assert_eq!((at_low.passed, at_low.trials), (2, 2));
}

#[test]
fn makes_as_many_trials_as_requested() {
    let settings = Settings { repeat: (25, 25), ..settings() };
    let (search, found) = run_with(settings, 100e3, up_to(80e3));
    assert!(search.converged);
    assert_eq!(found.passed, Some(TrialCount { k: 25, n: 25 }));
    assert_eq!(found.verified.unwrap().of, 25);
}

/// A search in this time, with 250 ms per trial beyond its length; checks that no trial begins
/// that would end later.
fn run_within(budget_ms: u64, capacity: f64) -> (Search, Found) {
    let extra = Nanos::from_millis(250);
    let probe = ProbeFigures { delivered_pps: Some(100e3), sent_pps: 1e6 };
    let mut search = Search::new(settings(), probe);
    let mut left = Nanos::from_millis(budget_ms);
    loop {
        search.fit_into(left, extra);
        let Some(request) = search.next() else { break };
        let took = request.time + extra;
        assert!(took <= left, "{took} {left}");
        left = left - took;
        search.record(up_to(capacity)(request)).unwrap();
    }
    let found = found(&search, "plain/64", 64);
    (search, found)
}

#[test]
fn a_budget_ends_a_search_with_the_interval_so_far() {
    for budget_ms in (0..120_000).step_by(250) {
        let (search, found) = run_within(budget_ms, 70e3);
        let cut_short = found.cut_short_because.as_deref();
        assert_eq!(cut_short, search.cut_short, "{budget_ms}");
        assert!(cut_short == Some("budget") || search.converged, "{budget_ms}");
        // Two trials of 2 s, and a few short ones before them.
        assert!(found.low_pps.is_some() || budget_ms < 7_000, "{budget_ms} {found:?}");
        assert!(found.high_pps.is_some() || budget_ms < 12_000, "{budget_ms} {found:?}");
        let low = found.low_pps.or(found.tentative_low_pps);
        let high = found.high_pps.or(found.tentative_high_pps);
        assert!(low.is_none_or(|low| low <= 70e3), "{budget_ms} {found:?}");
        assert!(high.is_none_or(|high| high > 70e3), "{budget_ms} {found:?}");
        assert!(found.low_pps.is_none() || found.tentative_low_pps.is_none());
        assert!(found.high_pps.is_none() || found.tentative_high_pps.is_none());
    }
    let none = run_within(0, 70e3).1;
    assert_eq!((none.trials.len(), none.limited_by), (0, LimitedBy::NotSettled));
    // Only short trials fit, and they state what they found.
    let short = run_within(3_000, 70e3).1;
    assert_eq!((short.low_pps, short.high_pps), (None, None));
    assert!(short.tentative_low_pps.is_some() && short.tentative_high_pps.is_some(), "{short:?}");
    // Without the end of the budget, nothing differs.
    let enough = run_within(600_000, 70e3).1;
    assert_eq!(enough, run(100e3, up_to(70e3)));
    assert_eq!((enough.cut_short_because, enough.tentative_low_pps), (None, None));
}
