//! The offset between two clocks, on virtual clocks whose truth is known: it is within the bound
//! under any delays, and only the fastest exchanges count.
#![allow(missing_docs, clippy::unwrap_used)]

use proptest::prelude::*;
use udperf::clock::{MAX_DRIFT_PPB, Offset, OffsetEstimator, Sample};

/// What one billionth is of.
const BILLION: i128 = 1_000_000_000;

/// Two clocks: the server's is ahead by `offset_ns` at `start_ns`, and by `drift_ppb` more later.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    start_ns: u64,
    offset_ns: i64,
    drift_ppb: i64,
}

impl Clocks {
    /// The true offset in billionths of a nanosecond.
    fn truth(self, client_ns: u64) -> i128 {
        let since = i128::from(client_ns) - i128::from(self.start_ns);
        i128::from(self.offset_ns) * BILLION + i128::from(self.drift_ppb) * since
    }

    fn server(self, client_ns: u64) -> u64 {
        u64::try_from(i128::from(client_ns) + self.truth(client_ns).div_euclid(BILLION)).unwrap()
    }

    fn sample(self, t1_ns: u64, way: Way) -> Sample {
        let (at, back) = (t1_ns + way.out, t1_ns + way.out + way.hold);
        let t4_ns = back + way.back;
        Sample { t1_ns, t2_ns: self.server(at), t3_ns: self.server(back), t4_ns }
    }

    fn holds(self, offset: &Offset, client_ns: u64) -> bool {
        let wrong = i128::from(offset.at(client_ns)) * BILLION - self.truth(client_ns);
        wrong.abs() <= i128::from(offset.bound_ns) * BILLION
    }
}

fn clocks() -> impl Strategy<Value = Clocks> {
    let far = 1_000_000_000_000_000_000_i64;
    let drift = prop_oneof![
        3 => -MAX_DRIFT_PPB..=MAX_DRIFT_PPB,
        1 => Just(0),
        1 => Just(MAX_DRIFT_PPB),
        1 => Just(-MAX_DRIFT_PPB),
    ];
    (2 * far as u64..4 * far as u64, -far..=far, drift)
        .prop_map(|(start_ns, offset_ns, drift_ppb)| Clocks { start_ns, offset_ns, drift_ppb })
}

/// One exchange on its way.
#[derive(Debug, Clone, Copy)]
struct Way {
    gap: u64,
    out: u64,
    hold: u64,
    back: u64,
}

/// Queueing with a heavy tail.
fn queue() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..500_u64, 3 => 0..100_000_u64, 1 => 0..50_000_000_u64]
}

/// Exchanges of a run: unequal least delays either way, queueing, and gaps where some were lost.
fn ways() -> impl Strategy<Value = Vec<Way>> {
    let gap = prop_oneof![3 => 0..20_000_000_u64, 1 => 0..3_000_000_000_u64];
    let one = (gap, queue(), 0..5_000_u64, queue());
    let all = prop::collection::vec(one, 1..120);
    (0..80_000_u64, 0..80_000_u64, all).prop_map(|(out, back, all)| {
        let way = |(gap, more, hold, again)| Way { gap, out: out + more, hold, back: back + again };
        all.into_iter().map(way).collect()
    })
}

/// The samples of a run, in the order of departure; those whose exchange looks impossible by
/// drift are left out, as the estimator leaves them out.
fn run(clocks: Clocks, ways: &[Way]) -> Vec<Sample> {
    let mut now = clocks.start_ns;
    let samples = ways.iter().map(|way| {
        now += way.gap;
        clocks.sample(now, *way)
    });
    samples.filter(|sample| sample.rtt_ns().is_some()).collect()
}

fn estimator(samples: &[Sample]) -> OffsetEstimator {
    let mut estimator = OffsetEstimator::default();
    assert!(samples.iter().all(|sample| estimator.push(*sample)));
    estimator
}

fn span(samples: &[Sample]) -> (u64, u64) {
    let first = samples.iter().map(|sample| sample.t1_ns).min().unwrap();
    (first, samples.iter().map(|sample| sample.t4_ns).max().unwrap())
}

proptest! {
    #![proptest_config(crate::cases::cases())]

    #[test]
    fn the_truth_is_within_the_bound(clocks in clocks(), ways in ways()) {
        let samples = run(clocks, &ways);
        prop_assume!(!samples.is_empty());
        let offset = estimator(&samples).estimate().unwrap();
        let (first, last) = span(&samples);
        for step in 0..=16 {
            let at = first + (last - first) / 16 * step;
            prop_assert!(clocks.holds(&offset, at), "{offset:?} at {at}");
        }
        prop_assert!(clocks.holds(&offset, last));
        prop_assert_eq!(offset.samples, samples.len());
        let fastest = samples.iter().filter_map(Sample::rtt_ns).min();
        prop_assert_eq!(Some(offset.min_rtt_ns), fastest);
    }

    #[test]
    fn the_bound_is_half_the_fastest_and_what_drift_explains(
        clocks in clocks(), ways in ways(),
    ) {
        let samples = run(clocks, &ways);
        prop_assume!(!samples.is_empty());
        let offset = estimator(&samples).estimate().unwrap();
        let (first, last) = span(&samples);
        let drift = i128::from(last - first) * i128::from(2 * MAX_DRIFT_PPB) / BILLION;
        let most = i128::from(offset.min_rtt_ns / 2) + drift + 5;
        prop_assert!(i128::from(offset.bound_ns) <= most, "{offset:?}, at most {most}");
    }

    #[test]
    fn slow_exchanges_never_widen_it(
        clocks in clocks(), ways in ways(),
        slow in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64), 1..40),
    ) {
        let samples = run(clocks, &ways);
        prop_assume!(!samples.is_empty());
        let mut estimator = estimator(&samples);
        let mut before = estimator.estimate().unwrap();
        let (first, last) = span(&samples);
        // The middle of a line moves by what its drift is rounded by, and its own rounding.
        let rounding = (last - first) / 1_000_000_000 + 4;
        for (at, length, part) in slow {
            let t1_ns = first + ((last - first) as f64 * at) as u64;
            let length = ((last - t1_ns) as f64 * length) as u64;
            let out = (length as f64 * part) as u64;
            let way = Way { gap: 0, out, hold: 0, back: length - out };
            prop_assert!(estimator.push(clocks.sample(t1_ns, way)));
            let after = estimator.estimate().unwrap();
            prop_assert!(after.bound_ns <= before.bound_ns + rounding, "{before:?} {after:?}");
            prop_assert!(clocks.holds(&after, first) && clocks.holds(&after, last));
            before = after;
        }
    }

    #[test]
    fn the_order_of_samples_does_not_matter(clocks in clocks(), ways in ways()) {
        let mut samples = run(clocks, &ways);
        prop_assume!(!samples.is_empty());
        let forward = estimator(&samples).estimate().unwrap();
        samples.reverse();
        let backward = estimator(&samples).estimate().unwrap();
        prop_assert!(forward.bound_ns.abs_diff(backward.bound_ns) <= 2);
        prop_assert!(forward.offset_ns.abs_diff(backward.offset_ns) <= 2);
    }

    #[test]
    fn a_drift_that_changes_stays_within_the_bound(
        bends in prop::collection::vec(-MAX_DRIFT_PPB..=MAX_DRIFT_PPB, 2..12),
        delays in prop::collection::vec((queue(), queue()), 60),
    ) {
        // The drift is another in each part of a run of a minute, an exchange a second.
        let part = 60_000_000_000 / bends.len() as u64 + 1;
        let truth = |at: u64| -> i128 {
            let whole = (at / part) as usize;
            let past: i64 = bends.iter().take(whole).sum();
            i128::from(past) * i128::from(part) + i128::from(bends[whole.min(bends.len() - 1)])
                * i128::from(at % part)
        };
        let ahead = 1_000_000_000_000_i128;
        let server = |at: u64| {
            u64::try_from(i128::from(at) + ahead + truth(at).div_euclid(BILLION)).unwrap()
        };
        let mut estimator = OffsetEstimator::default();
        let mut taken = Vec::new();
        for (step, (out, back)) in delays.into_iter().enumerate() {
            let t1_ns = step as u64 * 900_000_000;
            let (at, t4_ns) = (server(t1_ns + out), t1_ns + out + back);
            if estimator.push(Sample { t1_ns, t2_ns: at, t3_ns: at, t4_ns }) {
                taken.extend([t1_ns, t4_ns]);
            }
        }
        let offset = estimator.estimate().unwrap();
        let (first, last) = (taken[0], *taken.iter().max().unwrap());
        for step in 0..=400 {
            let at = first + (last - first) / 400 * step;
            let wrong = (i128::from(offset.at(at)) - ahead) * BILLION - truth(at);
            prop_assert!(wrong.abs() <= i128::from(offset.bound_ns) * BILLION, "{offset:?} {at}");
        }
    }

    #[test]
    fn any_sample_is_taken_or_refused_without_panic(
        all in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()), 9),
        at in any::<u64>(),
    ) {
        let mut estimator = OffsetEstimator::default();
        let mut taken = 0;
        for (t1_ns, t2_ns, t3_ns, t4_ns) in all {
            let sample = Sample { t1_ns, t2_ns, t3_ns, t4_ns };
            let refused = t4_ns < t1_ns || t3_ns < t2_ns || t4_ns - t1_ns < t3_ns - t2_ns;
            let took = estimator.push(sample);
            prop_assert!(!(took && refused));
            taken += usize::from(took);
        }
        let offset = estimator.estimate();
        prop_assert_eq!(offset.map_or(0, |offset| offset.samples), taken);
        let _ = offset.map(|offset| offset.at(at));
    }
}

/// 200 exchanges in 10 s, 20 µs either way; all but each tenth waited in a queue.
fn ten_seconds(clocks: Clocks) -> Vec<Sample> {
    let way = |at: u64| {
        let wait = if at.is_multiple_of(10) { 0 } else { at * 7_919 % 3_000_000 };
        Way { gap: 50_000_000, out: 20_000 + wait, hold: 1_000, back: 20_000 + wait / 3 }
    };
    run(clocks, &(0..200).map(way).collect::<Vec<_>>())
}

const AHEAD: Clocks =
    Clocks { start_ns: 7_000_000_000, offset_ns: 123_456_789_000, drift_ppb: 50_000 };

#[test]
fn queueing_does_not_move_it() {
    let offset = estimator(&ten_seconds(AHEAD)).estimate().unwrap();
    // Without queueing, lines may tilt by 40 µs in 9.5 s, and are within 20 µs but for the ends.
    assert!(offset.drift_ppb.abs_diff(50_000) <= 100, "{offset:?}");
    assert!((20_000..24_000).contains(&offset.bound_ns), "{offset:?}");
    assert!(AHEAD.holds(&Offset { bound_ns: 1_000, ..offset }, offset.at_ns), "{offset:?}");
}

#[test]
fn little_shows_no_drift() {
    let few = estimator(&ten_seconds(Clocks { drift_ppb: 1_000, ..AHEAD })[..5]);
    assert_eq!(few.estimate().unwrap().drift_ppb, 0);
    // But these contradict each other without one.
    let forced = estimator(&[
        AHEAD.sample(7_000_000_000, Way { gap: 0, out: 10, hold: 0, back: 10 }),
        AHEAD.sample(9_000_000_000, Way { gap: 0, out: 10, hold: 0, back: 10 }),
    ]);
    assert!(forced.estimate().unwrap().drift_ppb.abs_diff(50_000) <= 20);
}

#[test]
fn a_clock_that_was_set_is_not_hidden() {
    let mut samples = ten_seconds(AHEAD);
    let later = Clocks { offset_ns: AHEAD.offset_ns + 100_000_000, ..AHEAD };
    samples.splice(100.., ten_seconds(later).split_off(100));
    let offset = estimator(&samples).estimate().unwrap();
    for sample in [&samples[0], &samples[99]] {
        assert!(AHEAD.holds(&offset, sample.t1_ns), "{offset:?}");
    }
    for sample in [&samples[100], &samples[199]] {
        assert!(later.holds(&offset, sample.t1_ns), "{offset:?}");
    }
}

#[test]
fn a_hundred_thousand_exchanges_are_as_good() {
    let many: Vec<_> = ten_seconds(AHEAD).into_iter().cycle().take(100_000).collect();
    let once = estimator(&ten_seconds(AHEAD)).estimate().unwrap();
    let offset = estimator(&many).estimate().unwrap();
    assert_eq!(offset, Offset { samples: 100_000, ..once });
}

#[test]
fn one_clock_is_not_off() {
    let same = Offset::same_clock();
    assert_eq!((same.at(0), same.at(u64::MAX), same.bound_ns), (0, 0, 0));
    assert_eq!(OffsetEstimator::default().estimate(), None);
    let furthest = Offset { offset_ns: i64::MAX, drift_ppb: MAX_DRIFT_PPB, ..same };
    assert_eq!(furthest.at(u64::MAX), i64::MAX);
}

#[test]
fn impossible_exchanges_are_refused() {
    let mut estimator = OffsetEstimator::default();
    let of = |t1_ns, t2_ns, t3_ns, t4_ns| Sample { t1_ns, t2_ns, t3_ns, t4_ns };
    for sample in [of(2, 5, 5, 1), of(1, 5, 4, 9), of(1, 5, 9, 4), of(0, u64::MAX, u64::MAX, 9)] {
        assert!(!estimator.push(sample), "{sample:?}");
    }
    assert_eq!(estimator.estimate(), None);
    assert!(estimator.push(of(1, 5, 5, 3)));
    let offset = estimator.estimate().unwrap();
    assert_eq!((offset.samples, offset.min_rtt_ns), (1, 2));
    assert!(offset.at(2).abs_diff(3) <= offset.bound_ns);
}
