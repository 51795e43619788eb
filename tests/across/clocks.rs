//! Two ends with clocks that differ by a known offset, by time namespaces (time_namespaces(7)),
//! and two ends that share one.

use serde_json::Value;

use crate::common::{cells, number};
use crate::nets::{Place, has, shell, skip};
use crate::rig::{Sink, alone, located, report};

/// Ways to run.
const WAYS: [&str; 3] = ["", "--reverse", "--bidir"];

/// How far the client's clock is ahead of the sink's.
const AHEAD_S: i64 = 100_000;

/// A place whose clocks are ahead; `None`, aloud, where there are no time namespaces.
fn ahead() -> Option<Place> {
    if !has(&["unshare"]) {
        return None;
    }
    let words = format!("unshare -T --monotonic {AHEAD_S} --boottime {AHEAD_S}");
    let place = Place::here().behind(&words);
    let uptime = |place: &Place| -> Result<f64, String> {
        let text = shell(place, "cut -d ' ' -f 1 /proc/uptime")?;
        text.trim().parse().map_err(|error| format!("{text}: {error}"))
    };
    match (uptime(&Place::here()), uptime(&place)) {
        (Ok(here), Ok(there)) if there - here > AHEAD_S as f64 - 1.0 => Some(place),
        (Err(why), _) | (_, Err(why)) => {
            skip(&why);
            None
        }
        (here, there) => {
            skip(&format!("the clock of a time namespace is not ahead: {here:?}, {there:?}"));
            None
        }
    }
}

fn offset(report: &Value) -> i64 {
    report["clock"]["offset_ns"]
        .as_i64()
        .unwrap_or_else(|| panic!("no offset: {}", report["clock"]))
}

#[test]
fn one_clock_for_both_ends_is_exact() {
    let _alone = alone();
    let sink = Sink::here("");
    for way in WAYS {
        let report = report(&Place::here(), sink.at, &format!("-e plain -n 2000 -r 5k {way}"));
        assert_eq!(cells(&report).len(), 1 + usize::from(way == "--bidir"));
        for cell in cells(&report) {
            assert_eq!(number(cell, "latency.bound_ns"), 0, "{way}");
        }
        assert_eq!(offset(&report), 0, "{way}");
    }
    sink.end();
}

/// A direction between clocks that differ: it has a bound of its own, and no latency that the
/// difference is in.
#[track_caller]
fn is_known_within_a_bound(cell: &Value, way: &str) {
    assert_eq!(number(cell, "ledger.received") + located(cell), 5_000, "{way}");
    let bound = number(cell, "latency.bound_ns");
    assert!(bound > 0, "{way}: {}", cell["latency"]);
    // A percentile that is printed is above its bound, and none is as far off as the clocks.
    for name in ["min_ns", "p50_ns", "p90_ns", "p99_ns", "p99_9_ns", "p99_99_ns"] {
        let value = &cell["latency"][name];
        let sound = |value: u64| value >= bound && value < 60_000_000_000;
        assert!(value.is_null() || value.as_u64().is_some_and(sound), "{way} {name}: {value}");
    }
    let max = number(cell, "latency.max_ns");
    assert!(max < 60_000_000_000, "{way}: {max}");
}

#[test]
fn clocks_that_differ_are_told_within_their_bound() {
    let _alone = alone();
    let Some(ahead) = ahead() else { return };
    let sink = Sink::here("");
    for way in WAYS {
        let report = report(&ahead, sink.at, &format!("-e plain -n 5000 -r 5k {way}"));
        // Whichever end it is counted from.
        let error = offset(&report).unsigned_abs().abs_diff(AHEAD_S.unsigned_abs() * 1_000_000_000);
        let known = number(&report["clock"], "bound_ns");
        assert!(error <= known, "{way}: off by {error} ns, said to be within {known}");
        assert_eq!(cells(&report).len(), 1 + usize::from(way == "--bidir"));
        for cell in cells(&report) {
            is_known_within_a_bound(cell, &format!("{way}: {}", cell["direction"]));
        }
    }
    sink.end();
}
