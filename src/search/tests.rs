//! Searches against targets that are made up: what is found holds the truth.

use super::*;
use crate::document::{Found, LimitedBy, TrialCount};
use crate::unit::SplitMix64;

/// Pseudorandom numbers, the same in each run.
struct Random(SplitMix64);

impl Random {
    /// Even, from 0 to 1.
    fn share(&mut self) -> f64 {
        (self.0.next_u64() >> 40) as f64 / (1_u64 << 24) as f64
    }

    /// About normal, of mean 0 and deviation 1: twelve even ones.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }
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

/// Made up, as what happens in a trial.
fn said(held: bool, ask: TrialRequest) -> TrialOutcome {
    TrialOutcome { held: Some(held), sent_pps: ask.rate_pps, ..TrialOutcome::default() }
}

/// Searches to the end.
fn run(
    settings: Settings,
    from: SearchPoint,
    mut target: impl FnMut(TrialRequest) -> TrialOutcome,
) -> Search {
    let mut search = Search::new(settings, from);
    while let Some(ask) = search.next() {
        assert!(ask.rate_pps > 0.0 && ask.time <= settings_time(&search), "{ask:?}");
        search.record(target(ask)).unwrap();
    }
    search
}

fn settings_time(search: &Search) -> Nanos {
    search.settings().time
}

fn result(search: &Search) -> Found {
    found(search, "plain/64", 64)
}

#[test]
fn a_capacity_is_found_from_wherever_the_search_begins() {
    for capacity in [150.0, 20_202.0, 243_500.0, 9.9e6] {
        for from in [0.1, 0.5, 0.97, 1.0, 1.3, 6.0] {
            let search =
                run(settings(), probe(capacity * from), |ask| said(ask.rate_pps <= capacity, ask));
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
    let search = run(settings(), probe(100e3), |ask| said(ask.rate_pps <= 80e3, ask));
    let times: Vec<_> = search
        .trials()
        .iter()
        .filter(|trial| trial.ask.purpose != Purpose::Curve)
        .map(|trial| trial.ask.time)
        .collect();
    assert!(times.is_sorted());
    assert_eq!(times[0], Nanos::from_millis(250));
    let of_final = search.trials().iter().filter(|trial| trial.ask.purpose == Purpose::Final);
    let held: Vec<_> = of_final.map(|trial| trial.outcome.held == Some(true)).collect();
    assert_eq!(held[..4], [true, false, true, false]);
}

/// The share of a hundred seeds whose result is within 2 % of the truth.
fn hits(mut target: impl FnMut(&mut Random, TrialRequest) -> TrialOutcome) -> usize {
    let mut hit = |seed: u64| {
        let mut random = Random(SplitMix64(seed));
        let search = run(settings(), probe(110e3), |ask| target(&mut random, ask));
        let found = result(&search);
        found.low_pps.is_some_and(|low| (98e3..=102e3).contains(&low))
    };
    (0..100).filter(|seed| hit(*seed)).count()
}

#[test]
fn a_capacity_that_varies_is_found_within_two_percent() {
    let hits = hits(|random, ask| {
        // The shorter, the more it varies: half a percent of two seconds.
        let deviation = 0.005 * (2.0 / ask.time.as_secs_f64()).sqrt();
        said(ask.rate_pps <= 100e3 * (1.0 + deviation * random.normal()), ask)
    });
    assert!(hits >= 95, "{hits}");
}

#[test]
fn trials_that_are_wrong_now_and_then_are_corrected_by_longer_ones() {
    let hits = hits(|random, ask| {
        let chance = if ask.purpose.is_final() { 0.03 } else { 0.10 };
        said(ask.rate_pps <= 100e3 && random.share() >= chance, ask)
    });
    assert!(hits >= 95, "{hits}");
}

#[test]
fn disturbed_trials_are_repeated_and_counted() {
    let mut disturbed = 0;
    let hits = hits(|random, ask| {
        let stalled = random.share() < 0.25;
        disturbed += u32::from(stalled);
        TrialOutcome { stalled, ..said(ask.rate_pps <= 100e3 && !stalled, ask) }
    });
    assert!(hits >= 95 && disturbed > 0, "{hits}");
}

#[test]
fn a_short_trial_that_lied_does_not_bind_the_long_ones() {
    for (lie, capacity) in [(70e3, 100e3), (140e3, 100e3)] {
        let search = run(settings(), probe(100e3), |ask| {
            let limit = if ask.purpose == Purpose::Short { lie } else { capacity };
            said(ask.rate_pps <= limit, ask)
        });
        let found = result(&search);
        let (low, high) = (found.low_pps.unwrap(), found.high_pps.unwrap());
        assert!(low <= capacity && capacity < high && high / low < 1.0102, "{low} to {high}");
    }
}

#[test]
fn a_target_that_suffers_from_overload_is_not_overrated() {
    let mut hurt = false;
    let search = run(settings(), probe(60e3), |ask| {
        let held = ask.rate_pps <= if hurt { 97e3 } else { 100e3 };
        hurt = !held;
        said(held, ask)
    });
    let low = result(&search).low_pps.unwrap();
    assert!((96e3..=100e3).contains(&low), "{low}");
}

#[test]
fn a_generator_that_cannot_go_on_is_named() {
    let search = run(settings(), probe(500e3), |ask| TrialOutcome {
        generator_limited: ask.rate_pps > 400e3,
        sent_pps: ask.rate_pps.min(400e3),
        ..said(true, ask)
    });
    let found = result(&search);
    assert_eq!(found.limited_by, LimitedBy::Generator);
    assert!((396e3..=400e3).contains(&found.low_pps.unwrap()), "{found:?}");
    assert_eq!(found.generator_pps, Some(400e3));
    // Where it is late, latency is too long: that is not the target's fault either.
    let search = run(settings(), probe(500e3), |ask| {
        let generator_limited = ask.rate_pps > 400e3;
        TrialOutcome { generator_limited, ..said(!generator_limited, ask) }
    });
    let found = result(&search);
    assert_eq!(found.limited_by, LimitedBy::Generator);
    assert!(found.disturbed > 0);
}

#[test]
fn a_target_that_never_passes_has_no_rate() {
    let search = run(settings(), probe(0.0), |ask| said(false, ask));
    let found = result(&search);
    assert_eq!((found.low_pps, found.limited_by), (None, LimitedBy::Target));
    assert_eq!(found.high_pps, Some(40.0));
    assert!(found.curve.iter().all(|point| point.passed == 0) && found.verified.is_none());
    assert!(found.trials.len() <= 15, "{}", found.trials.len());
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
    assert!(error.to_string().starts_with("goal 'p99<=1ms': its figure is not known"));
    assert_eq!(search.next(), None);
}

#[test]
fn the_highest_rate_is_never_exceeded() {
    let settings = Settings { max_pps: Some(50e3), start_pps: Some(5e3), ..settings() };
    let search = run(settings, probe(80e3), |ask| {
        assert!(ask.rate_pps <= 50e3, "{ask:?}");
        said(ask.rate_pps <= 100e3, ask)
    });
    assert_eq!(search.trials()[0].ask.rate_pps, 5e3);
    let found = result(&search);
    assert_eq!((found.low_pps, found.limited_by), (Some(50e3), LimitedBy::MaxRate));
    assert_eq!(found.high_pps, None);
}

#[test]
fn a_rate_below_the_result_has_to_hold_too() {
    // It holds by itself above a gap: nothing above the gap is the answer.
    let search = run(settings(), probe(100e3), |ask| {
        said(ask.rate_pps <= 60e3 || (92e3..=100e3).contains(&ask.rate_pps), ask)
    });
    let found = result(&search);
    let low = found.low_pps.unwrap();
    assert!((59e3..=60e3).contains(&low), "{low}");
    assert_eq!(found.limited_by, LimitedBy::Target);
}

#[test]
fn what_never_settles_ends_and_says_so() {
    // Whatever is asked, no two trials of full length agree with what a shorter one said.
    let mut random = Random(SplitMix64(7));
    let search = run(settings(), probe(100e3), |ask| {
        let held = match ask.purpose {
            Purpose::Verify => false,
            Purpose::Final => random.share() < 0.5,
            _ => ask.rate_pps <= 100e3,
        };
        said(held, ask)
    });
    let found = result(&search);
    assert!(found.trials.len() <= 95);
    assert!(found.limited_by == LimitedBy::NotSettled || found.low_pps.is_none(), "{found:?}");
}

#[test]
fn a_machine_that_stands_still_is_not_taken_for_a_target() {
    let mut trials = 0;
    let search = run(settings(), probe(100e3), |ask| {
        trials += 1;
        let stalled = trials > 12;
        TrialOutcome {
            stalled,
            generator_limited: stalled,
            ..said(!stalled && ask.rate_pps <= 90e3, ask)
        }
    });
    let found = result(&search);
    assert_eq!(found.limited_by, LimitedBy::NotSettled);
    assert!(found.low_pps.is_none_or(|low| low >= 89e3), "{found:?}");
    assert!(found.trials.len() <= 40, "{}", found.trials.len());
}

#[test]
fn the_curve_rises_to_the_result() {
    let search = run(settings(), probe(100e3), |ask| said(ask.rate_pps <= 80e3, ask));
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
    let search = run(Settings { curve: false, ..settings() }, probe(100e3), |ask| {
        said(ask.rate_pps <= 80e3, ask)
    });
    assert!(search.trials().iter().all(|trial| trial.ask.purpose != Purpose::Curve));
}

#[test]
fn a_goal_that_is_unknown_below_the_result_only_thins_the_curve() {
    let unknown = |ask: TrialRequest| {
        let is_low = ask.purpose == Purpose::Curve && ask.rate_pps < 30e3;
        let unknown = is_low.then(|| "p99<=1ms".to_owned());
        let held = (!is_low).then_some(ask.rate_pps <= 80e3);
        TrialOutcome { held, unknown, ..said(true, ask) }
    };
    let search = run(settings(), probe(100e3), unknown);
    assert!(search.is_settled());
    let drawn = search.trials().iter().filter(|trial| trial.ask.purpose == Purpose::Curve);
    // At half, three quarters and 95 % of it.
    assert_eq!(drawn.count(), 3);
}

#[test]
fn as_many_trials_are_made_as_repeats_take() {
    let settings = Settings { repeat: (25, 25), ..settings() };
    let search = run(settings, probe(100e3), |ask| said(ask.rate_pps <= 80e3, ask));
    assert!(search.is_settled());
    let found = result(&search);
    assert_eq!(found.passed, Some(TrialCount { k: 25, n: 25 }));
    assert_eq!(found.verified.unwrap().of, 25);
}

#[test]
fn the_lowest_rate_has_none_below_to_verify_it() {
    let search = run(settings(), probe(50.0), |ask| said(ask.rate_pps <= 40.0, ask));
    let found = result(&search);
    assert_eq!((found.low_pps, found.verified), (Some(40.0), None));
}

#[test]
fn what_the_generator_sent_is_told_of_the_rate_that_failed() {
    let mut hiccups = 0;
    let search = run(settings(), probe(100e3), |ask| {
        let hiccup = ask.purpose == Purpose::Short && hiccups == 0;
        hiccups += 1;
        let sent_pps = if hiccup { 90e3 } else { ask.rate_pps };
        TrialOutcome {
            generator_limited: hiccup,
            sent_pps,
            ..said(hiccup || ask.rate_pps <= 80e3, ask)
        }
    });
    let found = result(&search);
    assert!(found.trials.iter().any(|trial| trial.verdict == TrialVerdict::GeneratorLimited));
    assert_eq!((found.limited_by, found.generator_pps), (LimitedBy::Target, None));
}

#[test]
fn the_curve_is_of_trials_that_count() {
    let mut at = 0;
    let search = run(settings(), probe(100e3), |ask| {
        at += 1;
        let stalled = ask.purpose.is_final() && at % 2 == 0;
        let figures =
            TrialFigures { p99_ns: Some(if stalled { 9 } else { 1 }), ..Default::default() };
        TrialOutcome { stalled, figures, ..said(!stalled && ask.rate_pps <= 80e3, ask) }
    });
    let found = result(&search);
    assert!(found.disturbed > 0);
    assert!(found.curve.iter().all(|point| point.p99_ns == Some(1)), "{:?}", found.curve);
    let at_low = found.curve.iter().find(|point| Some(point.rate_pps) == found.low_pps).unwrap();
    assert_eq!((at_low.passed, at_low.trials), (2, 2));
}
