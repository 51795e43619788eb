//! Searches against simulated targets whose capacity is known.

use fastrand::Rng;

use super::*;
use crate::document::{Found, LimitedBy, TrialCount};

/// About normal, of mean 0 and deviation 1: twelve even ones.
fn normal(random: &mut Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

fn settings() -> Settings {
    Settings {
        time: Nanos::from_millis(2_000),
        precision: 0.01,
        repeat: (2, 3),
        start_pps: None,
        max_pps: None,
        curve: true,
    }
}

fn probe(delivered_pps: f64) -> SearchPoint {
    SearchPoint { delivered_pps: Some(delivered_pps), sent_pps: 1e6 }
}

fn outcome_of(held: bool, request: TrialRequest) -> TrialOutcome {
    TrialOutcome { held: Some(held), sent_pps: request.rate_pps, ..TrialOutcome::default() }
}

/// A target that passes up to this rate.
fn up_to(limit_pps: f64) -> impl Fn(TrialRequest) -> TrialOutcome {
    move |request| outcome_of(request.rate_pps <= limit_pps, request)
}

fn run(
    settings: Settings,
    from: SearchPoint,
    mut target: impl FnMut(TrialRequest) -> TrialOutcome,
) -> Search {
    let mut search = Search::new(settings, from);
    while let Some(request) = search.next() {
        assert!(request.rate_pps > 0.0 && request.time <= search.settings.time, "{request:?}");
        search.record(target(request)).unwrap();
    }
    search
}

fn result(search: &Search) -> Found {
    found(search, "plain/64", 64)
}

#[test]
fn a_capacity_is_found_from_wherever_the_search_begins() {
    for capacity in [150.0, 20_202.0, 243_500.0, 9.9e6] {
        for from in [0.1, 0.5, 0.97, 1.0, 1.3, 6.0] {
            let search = run(settings(), probe(capacity * from), up_to(capacity));
            let found = result(&search);
            let (low, high) = (found.low_pps.unwrap(), found.high_pps.unwrap());
            assert!(low <= capacity && capacity < high, "{low} {capacity} {high}");
            assert!(high / low < 1.0102, "{low} to {high}");
            assert_eq!(found.limited_by, LimitedBy::Target);
            assert_eq!(found.verified.unwrap().passed, 2);
            let (passed, failed) = (found.passed.unwrap(), found.failed.unwrap());
            assert_eq!((passed.k, passed.n, failed.k, failed.n), (2, 2, 0, 2));
            assert!(found.trials.len() <= 35, "{}", found.trials.len());
        }
    }
}

#[test]
fn trials_grow_longer_and_their_ends_take_turns() {
    let search = run(settings(), probe(100e3), up_to(80e3));
    let times: Vec<_> = search
        .trials
        .iter()
        .filter(|trial| trial.request.purpose != Purpose::Curve)
        .map(|trial| trial.request.time)
        .collect();
    assert!(times.is_sorted());
    assert_eq!(times[0], Nanos::from_millis(250));
    let of_final = search.trials.iter().filter(|trial| trial.request.purpose == Purpose::Final);
    let held: Vec<_> = of_final.map(|trial| trial.outcome.held == Some(true)).collect();
    assert_eq!(held[..4], [true, false, true, false]);
}

/// How many of a hundred seeds give a result within 2 % of the truth.
fn count_hits(mut target: impl FnMut(&mut Rng, TrialRequest) -> TrialOutcome) -> usize {
    let mut hit = |seed: u64| {
        let mut random = Rng::with_seed(seed);
        let search = run(settings(), probe(110e3), |request| target(&mut random, request));
        let found = result(&search);
        found.low_pps.is_some_and(|low| (98e3..=102e3).contains(&low))
    };
    (0..100).filter(|seed| hit(*seed)).count()
}

#[test]
fn a_capacity_that_varies_is_found_within_two_percent() {
    let count_hits = count_hits(|random, request| {
        // The shorter, the more it varies: half a percent of two seconds.
        let deviation = 0.005 * (2.0 / request.time.as_secs_f64()).sqrt();
        outcome_of(request.rate_pps <= 100e3 * (1.0 + deviation * normal(random)), request)
    });
    assert!(count_hits >= 95, "{count_hits}");
}

#[test]
fn trials_that_are_wrong_now_and_then_are_corrected_by_longer_ones() {
    let count_hits = count_hits(|random, request| {
        let chance = if request.purpose.is_final() { 0.03 } else { 0.10 };
        outcome_of(request.rate_pps <= 100e3 && random.f64() >= chance, request)
    });
    assert!(count_hits >= 95, "{count_hits}");
}

#[test]
fn disturbed_trials_are_repeated_and_counted() {
    let mut disturbed = 0;
    let count_hits = count_hits(|random, request| {
        let stalled = random.f64() < 0.25;
        disturbed += u32::from(stalled);
        TrialOutcome { stalled, ..outcome_of(request.rate_pps <= 100e3 && !stalled, request) }
    });
    assert!(count_hits >= 95 && disturbed > 0, "{count_hits}");
}

#[test]
fn a_short_trial_that_lied_does_not_bind_the_long_ones() {
    for (wrong, capacity) in [(70e3, 100e3), (140e3, 100e3)] {
        let search = run(settings(), probe(100e3), |request| {
            let limit = if request.purpose == Purpose::Short { wrong } else { capacity };
            outcome_of(request.rate_pps <= limit, request)
        });
        let found = result(&search);
        let (low, high) = (found.low_pps.unwrap(), found.high_pps.unwrap());
        assert!(low <= capacity && capacity < high && high / low < 1.0102, "{low} to {high}");
    }
}

#[test]
fn a_target_that_suffers_from_overload_is_not_overrated() {
    let mut overloaded = false;
    let search = run(settings(), probe(60e3), |request| {
        let held = request.rate_pps <= if overloaded { 97e3 } else { 100e3 };
        overloaded = !held;
        outcome_of(held, request)
    });
    let low = result(&search).low_pps.unwrap();
    assert!((96e3..=100e3).contains(&low), "{low}");
}

#[test]
fn a_generator_that_cannot_go_on_is_named() {
    let search = run(settings(), probe(500e3), |request| TrialOutcome {
        generator_limited: request.rate_pps > 400e3,
        sent_pps: request.rate_pps.min(400e3),
        ..outcome_of(true, request)
    });
    let found = result(&search);
    assert_eq!(found.limited_by, LimitedBy::Generator);
    assert!((396e3..=400e3).contains(&found.low_pps.unwrap()), "{found:?}");
    assert_eq!(found.generator_pps, Some(400e3));
    // Where it is late, latency is too long: that is not the target's fault either.
    let search = run(settings(), probe(500e3), |request| {
        let generator_limited = request.rate_pps > 400e3;
        TrialOutcome { generator_limited, ..outcome_of(!generator_limited, request) }
    });
    let found = result(&search);
    assert_eq!(found.limited_by, LimitedBy::Generator);
    assert!(found.disturbed > 0);
}

#[test]
fn a_target_that_never_passes_has_no_rate() {
    let search = run(settings(), probe(0.0), |request| outcome_of(false, request));
    let found = result(&search);
    assert_eq!((found.low_pps, found.limited_by), (None, LimitedBy::Target));
    assert_eq!(found.high_pps, Some(40.0));
    assert!(found.curve.iter().all(|point| point.passed == 0) && found.verified.is_none());
    assert!(found.trials.len() <= 15, "{}", found.trials.len());
    // No rate below the lowest one verifies it.
    let found = result(&run(settings(), probe(50.0), up_to(40.0)));
    assert_eq!((found.low_pps, found.verified), (Some(40.0), None));
}

#[test]
fn a_goal_that_is_never_known_is_an_error_that_names_it() {
    let mut search = Search::new(settings(), probe(1e3));
    let unknown =
        || TrialOutcome { unknown: Some("p99<=1ms".to_owned()), ..TrialOutcome::default() };
    let first = search.next();
    assert_eq!(search.record(unknown()), Ok(()));
    assert_eq!(search.next(), first);
    let error = search.record(unknown()).unwrap_err();
    assert_eq!(error, SearchError::Unknown { goal: "p99<=1ms".to_owned() });
    assert!(error.to_string().starts_with("goal 'p99<=1ms': its figure is unknown"));
    assert_eq!(search.next(), None);
}

#[test]
fn the_highest_rate_is_never_exceeded() {
    let settings = Settings { max_pps: Some(50e3), start_pps: Some(5e3), ..settings() };
    let search = run(settings, probe(80e3), |request| {
        assert!(request.rate_pps <= 50e3, "{request:?}");
        outcome_of(request.rate_pps <= 100e3, request)
    });
    assert_eq!(search.trials[0].request.rate_pps, 5e3);
    let found = result(&search);
    assert_eq!((found.low_pps, found.limited_by), (Some(50e3), LimitedBy::MaxRate));
    assert_eq!(found.high_pps, None);
}

#[test]
fn a_rate_below_the_result_has_to_hold_too() {
    // It holds by itself above a gap: nothing above the gap is the answer.
    let search = run(settings(), probe(100e3), |request| {
        outcome_of(request.rate_pps <= 60e3 || (92e3..=100e3).contains(&request.rate_pps), request)
    });
    let found = result(&search);
    let low = found.low_pps.unwrap();
    assert!((59e3..=60e3).contains(&low), "{low}");
    assert_eq!(found.limited_by, LimitedBy::Target);
}

#[test]
fn what_never_settles_ends_and_says_so() {
    // Whatever is asked, no two trials of full length agree with what a shorter one said.
    let mut random = Rng::with_seed(7);
    let search = run(settings(), probe(100e3), |request| {
        let held = match request.purpose {
            Purpose::Verify => false,
            Purpose::Final => random.f64() < 0.5,
            _ => request.rate_pps <= 100e3,
        };
        outcome_of(held, request)
    });
    let found = result(&search);
    assert!(found.trials.len() <= 95);
    assert!(found.limited_by == LimitedBy::NotSettled || found.low_pps.is_none(), "{found:?}");
}

#[test]
fn a_machine_that_stands_still_is_not_taken_for_a_target() {
    let mut trials = 0;
    let search = run(settings(), probe(100e3), |request| {
        trials += 1;
        let stalled = trials > 12;
        TrialOutcome {
            stalled,
            generator_limited: stalled,
            ..outcome_of(!stalled && request.rate_pps <= 90e3, request)
        }
    });
    let found = result(&search);
    assert_eq!(found.limited_by, LimitedBy::NotSettled);
    assert!(found.low_pps.is_none_or(|low| low >= 89e3), "{found:?}");
    assert!(found.trials.len() <= 40, "{}", found.trials.len());
}

#[test]
fn the_curve_rises_to_the_result() {
    let search = run(settings(), probe(100e3), up_to(80e3));
    let found = result(&search);
    let low = found.low_pps.unwrap();
    let shares: Vec<_> = found
        .curve
        .iter()
        .map(|point| (point.rate_pps / low * 100.0).round())
        .filter(|share| *share <= 100.0)
        .collect();
    assert!(found.curve.is_sorted_by(|a, b| a.rate_pps < b.rate_pps));
    for share in [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 100.0] {
        assert!(shares.contains(&share), "{share}: {shares:?}");
    }
    let search = run(Settings { curve: false, ..settings() }, probe(100e3), up_to(80e3));
    assert!(search.trials.iter().all(|trial| trial.request.purpose != Purpose::Curve));
}

#[test]
fn a_goal_that_is_unknown_below_the_result_only_thins_the_curve() {
    let unknown = |request: TrialRequest| {
        let is_low = request.purpose == Purpose::Curve && request.rate_pps < 30e3;
        let unknown = is_low.then(|| "p99<=1ms".to_owned());
        let held = (!is_low).then_some(request.rate_pps <= 80e3);
        TrialOutcome { held, unknown, ..outcome_of(true, request) }
    };
    let search = run(settings(), probe(100e3), unknown);
    assert!(search.converged);
    let drawn = search.trials.iter().filter(|trial| trial.request.purpose == Purpose::Curve);
    assert_eq!(drawn.count(), 3);
}

#[test]
fn as_many_trials_are_made_as_repeats_take() {
    let settings = Settings { repeat: (25, 25), ..settings() };
    let search = run(settings, probe(100e3), up_to(80e3));
    assert!(search.converged);
    let found = result(&search);
    assert_eq!(found.passed, Some(TrialCount { k: 25, n: 25 }));
    assert_eq!(found.verified.unwrap().of, 25);
}

#[test]
fn what_the_generator_sent_is_told_of_the_rate_that_failed() {
    let mut hiccups = 0;
    let search = run(settings(), probe(100e3), |request| {
        let hiccup = request.purpose == Purpose::Short && hiccups == 0;
        hiccups += 1;
        let sent_pps = if hiccup { 90e3 } else { request.rate_pps };
        TrialOutcome {
            generator_limited: hiccup,
            sent_pps,
            ..outcome_of(hiccup || request.rate_pps <= 80e3, request)
        }
    });
    let found = result(&search);
    assert!(found.trials.iter().any(|trial| trial.verdict == TrialVerdict::GeneratorLimited));
    assert_eq!((found.limited_by, found.generator_pps), (LimitedBy::Target, None));
}

#[test]
fn the_curve_is_of_trials_that_count() {
    let mut at = 0;
    let search = run(settings(), probe(100e3), |request| {
        at += 1;
        let stalled = request.purpose.is_final() && at % 2 == 0;
        let figures =
            TrialFigures { p99_ns: Some(if stalled { 9 } else { 1 }), ..Default::default() };
        TrialOutcome {
            stalled,
            figures,
            ..outcome_of(!stalled && request.rate_pps <= 80e3, request)
        }
    });
    let found = result(&search);
    assert!(found.disturbed > 0);
    assert!(found.curve.iter().all(|point| point.p99_ns == Some(1)), "{:?}", found.curve);
    let at_low = found.curve.iter().find(|point| Some(point.rate_pps) == found.low_pps).unwrap();
    assert_eq!((at_low.passed, at_low.trials), (2, 2));
}
