//! Round trips: to who returns what it gets, in closed and open loops.

use std::net::SocketAddr;

use crate::actions::Counts;
use crate::common::serving::Serving;
use crate::common::{cells, ids, number, together};
use crate::protocols::Protocol;
use crate::rig::{counts, engines, load, only, ping};
use crate::shim::{Orders, Shim};

/// What is counted where all is well.
fn all(count: u64) -> Counts {
    Counts { requests: count, replies: count, matched: count, ..Counts::default() }
}

fn here(echo: &Serving) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], echo.port))
}

#[test]
fn one_at_a_time_is_the_default() {
    let _together = together();
    for engine in engines() {
        let shim = Shim::well(Protocol::Echo);
        let report = ping(shim.at, &format!("-n 500 -e {engine}"));
        let account = shim.end();
        assert_eq!((account.came, account.ports), (500, 1), "{engine}");
        let cell = only(&report);
        assert_eq!(counts(cell), all(500), "{engine}");
        assert_eq!(number(cell, "exchange.in_flight_max"), 1, "{engine}");
        assert_eq!(number(cell, "exchange.outstanding"), 1, "{engine}");
        assert_eq!(cell["exchange"]["loop"], "closed", "{engine}");
        assert_eq!(cell["latency"]["kind"], "round_trip", "{engine}");
        assert!(cell["schedule"].is_null(), "{engine}");
    }
}

#[test]
fn as_many_wait_as_may() {
    let _together = together();
    for engine in engines() {
        for words in ["", "-P 5", "-P 2"] {
            // Nothing is answered before all that may wait do.
            let shim = Shim::start(Orders { gather: 5, ..Orders::new(Protocol::Echo, &[]) });
            let words = format!("-n 500 -e {engine} --outstanding 5 {words}");
            let report = ping(shim.at, &words);
            assert_eq!(shim.end().came, 500, "{words}");
            let cell = only(&report);
            assert_eq!(counts(cell), all(500), "{words}");
            assert_eq!(number(cell, "exchange.in_flight_max"), 5, "{words}");
        }
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_rate_opens_the_loop() {
    let _together = together();
    let shim = Shim::well(Protocol::Echo);
    let report = ping(shim.at, "-n 300 -r 1k");
    assert_eq!(shim.end().came, 300);
    let cell = only(&report);
    assert_eq!(counts(cell), all(300));
    assert_eq!(cell["exchange"]["loop"], "open");
    assert!(cell["exchange"]["outstanding"].is_null());
    assert!(number(cell, "schedule.scheduled") >= 300);
}

#[test]
fn echo_returns_each_size() {
    let _together = together();
    let echo = Serving::of("echo", "-B 127.0.0.1");
    let report = ping(here(&echo), "-n 400 -l 16,1472");
    let found = ids(&report);
    assert_eq!(found.len(), 2, "{found:?}");
    for (cell, size) in cells(&report).iter().zip([16, 1_472]) {
        assert_eq!(number(cell, "size"), size);
        assert_eq!(counts(cell), all(400));
        assert_eq!(number(cell, "exchange.in_flight_max"), 1);
        assert_eq!(number(cell, "tx.bytes"), 400 * size);
        assert_eq!(number(cell, "rx.bytes"), 400 * size);
    }
    let report = ping(here(&echo), "-n 400 --outstanding 5");
    assert_eq!(counts(only(&report)), all(400));
    assert!(number(only(&report), "exchange.in_flight_max") <= 5);
    let document = echo.end();
    assert_eq!((number(&document, "received"), number(&document, "returned")), (1_200, 1_200));
}

#[test]
fn a_sink_returns_them_too() {
    let _together = together();
    let sink = Serving::start("-B 127.0.0.1");
    let report = ping(here(&sink), "-n 300");
    assert_eq!(counts(only(&report)), all(300));
}

#[test]
fn what_echo_drops_times_out() {
    let _together = together();
    for engine in engines() {
        for words in ["-n 200 -r 2k", "-n 200 -r 2k -P 4", "-n 100 --outstanding 20"] {
            let echo = Serving::of("echo", "-B 127.0.0.1 --drop 1/10");
            let words = format!("--preset echo --timeout 250ms -e {engine} {words}");
            let report = load(here(&echo), &words);
            let document = echo.end();
            let cell = only(&report);
            let count = number(cell, "exchange.requests");
            assert_eq!(number(&document, "dropped"), count / 10, "{words}");
            let kept = count - count / 10;
            let expected = Counts { timeouts: count / 10, requests: count, ..all(kept) };
            assert_eq!(counts(cell), expected, "{words}");
        }
    }
}
