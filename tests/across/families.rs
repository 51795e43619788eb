//! IPv6, which is half of what a sink listens to by default: the same counts as over IPv4.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use serde_json::Value;

use crate::common::{cells, number, together};
use crate::nets::{Place, skip};
use crate::relay::{Orders, Relay, Way};
use crate::relay_faults::{compare, list, was_done};
use crate::rig::{Sink, any, clean, engines, of, only, report};

/// Datagrams of a measurement: enough for the list of `relay_faults`.
const COUNT: u64 = 2_000;

/// Whether this host speaks IPv6 to itself.
fn has_ipv6() -> bool {
    let bound = UdpSocket::bind("[::1]:0");
    if let Err(why) = &bound {
        skip(format!("no IPv6 here: {why}"));
    }
    bound.is_ok()
}

/// A direction that lost nothing but where the kernel counts it; and it came by IPv6, as the
/// counters of that say. Where super-packets arrive in one piece, they count each of those once.
#[track_caller]
fn came_by_six(cell: &Value, words: &str) {
    clean(cell, COUNT, words);
    let whole = words.contains("offload") || words.contains("gso");
    let least = if whole { 1 } else { number(cell, "ledger.received") };
    assert!(number(cell, "kernel.in_datagrams") >= least, "{words}: {}", cell["kernel"]);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn every_engine_counts_over_ipv6_as_over_ipv4() {
    let _together = together();
    if !has_ipv6() {
        return;
    }
    let sink = Sink::start(&Place::here(), "-B ::1 -p 0");
    assert!(sink.at.is_ipv6(), "{}", sink.at);
    for engine in engines() {
        for (direction, flag) in [("forward", ""), ("reverse", "--reverse")] {
            let words = format!("-e {engine} -n {COUNT} -r 5k {flag}");
            let report = report(&Place::here(), sink.at, &words);
            assert_eq!(only(&report)["direction"], direction);
            came_by_six(only(&report), &words);
        }
        let words = format!("-e {engine} -n {COUNT} -r 5k --bidir");
        let report = report(&Place::here(), sink.at, &words);
        assert_eq!(cells(&report).len(), 2);
        for way in ["forward", "reverse"] {
            came_by_six(of(&report, way), &format!("{words}: {way}"));
        }
    }
    sink.end();
}

#[test]
fn a_sink_of_both_families_serves_each_by_its_own() {
    let _together = together();
    if !has_ipv6() {
        return;
    }
    let mut sink = Sink::start(&Place::here(), "-p 0 --threads 2");
    let six = sink.proc.line("udperf: sink on ").parse::<SocketAddr>().unwrap();
    assert_eq!(sink.at, (Ipv4Addr::UNSPECIFIED, six.port()).into());
    assert_eq!(six.ip(), Ipv6Addr::UNSPECIFIED);
    for ip in ["::1", "127.0.0.1"] {
        let at = SocketAddr::new(ip.parse().unwrap(), sink.at.port());
        for words in ["-P 8", "-P 8 --spread hash", "-P 8 --reverse"] {
            let words = format!("-e plain -n {COUNT} -r 5k {words}");
            let report = report(&Place::here(), at, &words);
            let cell = only(&report);
            clean(cell, COUNT, &format!("{ip}: {words}"));
            assert_eq!(number(cell, "flows.count"), 8, "{ip}: {words}");
            assert_eq!(number(cell, "flows.starved"), 0, "{ip}: {words}");
        }
    }
    sink.end();
}

#[test]
fn what_a_relay_does_over_ipv6_is_what_the_report_says() {
    let _together = together();
    if !has_ipv6() {
        return;
    }
    let sink = Sink::start(&Place::here(), "-B ::1 -p 0");
    for (way, flag) in [(Way::Forward, ""), (Way::Back, "--reverse")] {
        let relay = Relay::start(any("::1"), sink.at, list(Orders::default(), way)).unwrap();
        let report = report(&Place::here(), relay.at, &format!("-e plain -n {COUNT} -r 5k {flag}"));
        let account = relay.stop().sound();
        was_done(&account, way);
        compare(only(&report), &account, way, &format!("IPv6 {flag}"));
    }
    sink.end();
}
