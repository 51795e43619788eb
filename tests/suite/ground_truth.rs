//! Losses made on purpose, counted by the kernel's own rules: the report must equal them exactly.
//! Each test makes a network namespace of its own, which needs `unshare`, `ip`, and `iptables` or
//! `tc`; where one is missing or refused, it says so loudly and passes.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::process::Command;

use common::{cells, number};
use serde_json::Value;

/// Runs `set_up`, a benchmark and `count` in a new namespace; gives the document and what `count`
/// printed, or `None` where such a namespace cannot be had.
fn in_namespace(set_up: &str, words: &str, count: &str) -> Option<(Value, String)> {
    let udperf = env!("CARGO_BIN_EXE_udperf");
    let script = format!(
        "set -e; ip link set lo up; {set_up}; {udperf} bench -J -q --warmup 0 -r max {words}; \
         echo; echo =====; {count}"
    );
    let output = Command::new("unshare").args(["-rn", "sh", "-c", &script]).output();
    let skip = |why: String| {
        common::skip::missing(format_args!("no namespace for '{set_up}': {why}"));
        None
    };
    let output = match output {
        Ok(output) => output,
        Err(error) => return skip(error.to_string()),
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    // Where the set-up failed, the benchmark never ran.
    let Some((document, counted)) = text.split_once("\n=====\n") else {
        assert!(text.is_empty(), "udperf failed: {error}");
        return skip(error);
    };
    Some((serde_json::from_str(document).unwrap(), counted.to_owned()))
}

/// The first number behind `word` in what a program printed.
fn number_behind(text: &str, word: &str) -> u64 {
    let rest = text.split_once(word).unwrap().1.trim_start();
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn what_a_firewall_drops_is_unaccounted_to_the_datagram() {
    // Only what is measured: what is tried out before is shorter.
    let rule = "iptables -A INPUT -p udp -m length --length 228: -m statistic --mode nth --every 7 \
                --packet 0 -j DROP";
    // A firewall counts a super-packet as one: 70 of 100 datagrams each.
    for (engine, each, cut) in [
        ("plain -P 3", 1, true),
        ("batch -P 3", 1, true),
        ("gso/batch --batch 100", 100, true),
        ("offload --batch 100", 100, false),
    ] {
        let words = format!("-l 200 -n 7000 -e {engine}");
        let count = "iptables -L INPUT -v -x -n | tail -1";
        let Some((report, counted)) = in_namespace(rule, &words, count) else {
            return;
        };
        let cell = &cells(&report)[0];
        let dropped: u64 = counted.split_whitespace().next().unwrap().parse().unwrap();
        assert_eq!(dropped * each, 1_000, "{engine}");
        assert_eq!(number(cell, "packets.sent"), 7_000 / each, "{engine}");
        assert_eq!(number(cell, "ledger.lost"), dropped * each, "{engine}");
        assert_eq!(number(cell, "ledger.unaccounted"), dropped * each, "{engine}");
        assert_eq!(number(cell, "ledger.received"), 6_000, "{engine}");
        let read = if cut { 6_000 } else { 60 };
        assert_eq!(number(cell, "kernel.in_datagrams"), read, "{engine}");
        assert_eq!(number(cell, "packets.received"), read, "{engine}");
        let warnings = cell["warnings"].as_array().unwrap();
        let codes: Vec<_> = warnings.iter().map(|warning| &warning["code"]).collect();
        assert!(codes.iter().any(|code| *code == "unaccounted"), "{codes:?}");
    }
}

#[test]
fn what_a_full_queue_refuses_is_refused_to_the_datagram() {
    // Only what is measured passes through the narrow class: what is tried out before goes
    // elsewhere.
    let queue = "tc qdisc add dev lo root handle 1: htb; \
                 tc class add dev lo parent 1: classid 1:3 htb rate 8mbit burst 5kb; \
                 tc qdisc add dev lo parent 1:3 handle 30: pfifo limit 100; \
                 tc filter add dev lo parent 1: protocol ip u32 match ip dport 7788 0xffff \
                 flowid 1:3";
    for engine in ["plain", "batch"] {
        let words = format!("-l 64 -t 100ms -p 7788 -e {engine}");
        let count = "tc -s qdisc show dev lo | grep -A1 pfifo";
        let Some((report, counted)) = in_namespace(queue, &words, count) else {
            return;
        };
        let cell = &cells(&report)[0];
        let dropped = number_behind(&counted, "dropped");
        assert!(dropped > 0);
        // A batch call may swallow why it was refused, never that it was.
        let known = number(cell, "ledger.refused.no_buffers");
        assert_eq!(known + number(cell, "ledger.refused.other"), dropped, "{engine}");
        assert!(engine == "batch" || known == dropped);
        assert_eq!(number(cell, "ledger.sent"), number_behind(&counted, "bytes"), "{engine}");
        common::check(cell, "queue");
    }
}

#[test]
fn what_is_refused_in_the_middle_of_a_push_leaves_no_gap() {
    for engine in common::available(&[("plain", &["plain"]), ("uring", &["uring"])]) {
        // The queue is full, and refuses datagrams for want of buffers.
        let queue = "tc qdisc add dev lo root tbf rate 8mbit burst 5kb limit 20kb";
        let words = format!("-e {engine} -l 64 -t 100ms --connect off");
        let Some((report, _)) = in_namespace(queue, &words, "true") else { return };
        let cell = &cells(&report)[0];
        assert!(number(cell, "ledger.sent") > 0);
        assert!(number(cell, "ledger.refused.no_buffers") > 0);
        common::check(cell, engine);
        // The queue has room, and what waits in it fills the socket.
        let queue = "tc qdisc add dev lo root tbf rate 50mbit burst 20kb limit 4mb";
        let words = format!("-e {engine} -l 1472 -t 100ms -w 16K");
        let (report, _) = in_namespace(queue, &words, "true").unwrap();
        let cell = &cells(&report)[0];
        assert!(number(cell, "ledger.sent") > 0);
        assert!(number(cell, "ledger.refused.would_block") > 0);
        assert_eq!(number(cell, "ledger.refused.no_buffers"), 0);
        common::check(cell, engine);
    }
}

#[test]
fn what_exceeds_the_path_is_too_big_and_leaves_no_number_behind() {
    // Of the larger size, nothing can be sent: the run is invalid.
    let words = "-e plain -l 1252,1253 --df -t 20ms || test $? = 5";
    let Some((report, _)) = in_namespace("ip link set lo mtu 1280", words, "true") else {
        return;
    };
    assert_eq!(report["invalid_because"][0]["code"], "nothing_sent");
    let [fits, exceeds] = cells(&report) else { panic!("two cells") };
    // 1280 bytes less 20 of IPv4 and 8 of UDP header.
    assert_eq!(number(fits, "ledger.refused.too_big"), 0);
    assert!(number(fits, "ledger.received") > 0);
    assert_eq!(number(exceeds, "ledger.sent"), 0);
    assert_eq!(number(exceeds, "ledger.refused.too_big"), number(exceeds, "ledger.attempted"));
    assert!(exceeds["latency"].is_null());
    cells(&report).iter().for_each(|cell| common::check(cell, "mtu"));
}

#[test]
fn a_share_of_nothing_is_no_rate() {
    let udperf = env!("CARGO_BIN_EXE_udperf");
    // A new namespace has its loopback down: nothing can be sent.
    let run = format!("{udperf} bench -q -l 64 -t 200ms --warmup 0 --connect off");
    let Ok(output) = Command::new("unshare").args(["-rn", "sh", "-c", &run]).output() else {
        return common::skip::missing("there is no unshare");
    };
    let error = common::stderr(&output);
    if error.contains("unshare") {
        return common::skip::missing(error);
    }
    assert_eq!(output.status.code(), Some(5));
    assert!(error.contains("max delivered no datagrams"), "{error}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("unreachable"));
    // Nor can a count be reached there, which is said after the report.
    let run = format!("{udperf} bench -q -l 64 -n 5 -r max --warmup 0 --connect off");
    let output = Command::new("unshare").args(["-rn", "sh", "-c", &run]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let error = common::stderr(&output);
    assert!(error.contains("target is unreachable"), "{error}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("cut short"));
}
