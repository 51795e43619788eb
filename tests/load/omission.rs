//! A server that stands still: latency counts from the moment that each request was due, so that an
//! open loop sees all who would have waited, and a closed one a single request.

use std::time::Duration;

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use serde_json::Value;

use crate::common::{alone, number};
use crate::protocols::Protocol;
use crate::rig::{engines, load, only};
use crate::shim::{Orders, Shim};

/// How long the server stands still.
const HOLD: Duration = Duration::from_millis(300);

/// Requests a second.
const RATE: u64 = 1_000;

/// Requests in all, and that at which it stops.
const COUNT: u64 = 1_000;
const FIRST: usize = 300;

/// The histogram of a cell, which has to have all that were matched.
fn histogram(cell: &Value, name: &str) -> Histogram<u64> {
    let text = cell[name]["histogram"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
    assert_eq!(histogram.len(), number(cell, "exchange.matched"));
    histogram
}

/// How many took at least so long, to the width of a bucket, which reaches below it.
fn at_least(histogram: &Histogram<u64>, ns: u64) -> u64 {
    histogram.count_between(histogram.lowest_equivalent(ns), u64::MAX)
}

fn held(words: &str) -> (Value, u64) {
    let orders = Orders { hold: Some((FIRST, HOLD)), ..Orders::new(Protocol::Dns, &[]) };
    let shim = Shim::start(orders);
    let words = format!("--preset dns --name www.example.test --timeout 10s -n {COUNT} -e {words}");
    let report = load(shim.at, &words);
    let account = shim.end();
    assert_eq!(account.came as u64, COUNT, "{words}");
    let cell = only(&report).clone();
    assert_eq!(number(&cell, "exchange.matched"), COUNT, "{words}");
    (cell, account.held as u64)
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn an_open_loop_sees_all_who_would_have_waited() {
    let _alone = alone();
    let hold_ns = HOLD.as_nanos() as u64;
    for engine in engines() {
        let (cell, _) = held(&format!("{engine} -r {RATE}"));
        // What was due while nothing was answered has waited from that moment on, sent or not; a
        // slot that was missed altogether is told as such.
        let missed = number(&cell, "schedule.missed");
        let latency = histogram(&cell, "latency");
        for left_ms in [300, 299, 250, 200, 150, 100, 50, 10] {
            let due = (hold_ns / 1_000_000 - left_ms) * RATE / 1_000 + 1;
            let waited = at_least(&latency, left_ms * 1_000_000);
            assert!(waited + missed >= due, "{engine}: {waited} + {missed} waited {left_ms} ms");
        }
        assert!(number(&cell, "latency.max_ns") >= hold_ns, "{engine}");
        // One in a hundred and the first behind it.
        let worst = COUNT / 100 + 1 + missed;
        let at_p99 = hold_ns.saturating_sub(worst * 1_000_000_000 / RATE);
        let p99 = number(&cell, "latency.p99_ns");
        assert!(p99 >= latency.lowest_equivalent(at_p99), "{engine}: {p99} below {at_p99}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_closed_loop_asks_one_meanwhile() {
    let _alone = alone();
    let hold_ns = HOLD.as_nanos() as u64;
    for engine in engines() {
        let (cell, asked) = held(&format!("{engine} --outstanding 1"));
        assert_eq!(asked, 1, "{engine}: one waited, and nobody asked more");
        assert!(number(&cell, "latency.max_ns") >= hold_ns, "{engine}");
        assert!(at_least(&histogram(&cell, "latency"), hold_ns) >= 1, "{engine}");
        let (_, asked) = held(&format!("{engine} --outstanding 5"));
        assert_eq!(asked, 5, "{engine}: all that may wait");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_a_closed_loop_omits_from_its_schedule_is_told() {
    let _alone = alone();
    let (cell, asked) = held(&format!("plain --outstanding 1 -r {RATE}"));
    assert_eq!(asked, 1);
    // All that was due meanwhile, but the last of it, which is not missed before the next is due.
    let due = HOLD.as_millis() as u64 * RATE / 1_000;
    let missed = number(&cell, "schedule.missed");
    assert!(missed >= due - 2, "{missed} of {due}");
}
