//! `udperf bench` over loopback: every family of flags, for real, by what it counts.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::net::UdpSocket;

use common::{bench, cells, ids, number, run, stderr};
use serde_json::Value;

#[test]
fn sizes_come_as_lists_ranges_and_mixes() {
    let sizes = |words: &str| -> Vec<u64> {
        let report = bench(&format!("-e plain -r max -n 50 -l {words}"));
        cells(&report).iter().map(|cell| number(cell, "size")).collect()
    };
    assert_eq!(sizes("16,65507"), [16, 65_507]);
    assert_eq!(sizes("64..256"), [64, 128, 256]);
    assert_eq!(sizes("64..128+32,64"), [64, 96, 128]);
    assert_eq!(sizes("rfc2544"), [18, 82, 210, 466, 978, 1234, 1472]);
}

#[test]
fn a_mix_sends_its_sizes_in_their_proportion() {
    let report = bench("-r 20k -n 1200 -l imix");
    let cell = &cells(&report)[0];
    assert_eq!(cell["id"], "plain/imix/20k");
    assert_eq!(number(cell, "tx.bytes"), 100 * (7 * 18 + 4 * 548 + 1_472));
    assert_eq!(number(cell, "ledger.received"), 1_200);
    assert_eq!(number(cell, "rx.bytes"), number(cell, "tx.bytes"));
}

#[test]
fn a_count_is_sent_exactly() {
    for words in ["-r max", "-r 50k", "-r 20k --pace poisson", "-P 3 --threads 2 -r max", "-e null"]
    {
        let report = bench(&format!("-l 64 -n 1001 {words}"));
        for cell in cells(&report) {
            assert_eq!(number(cell, "ledger.sent"), 1_001, "{words} {}", cell["id"]);
        }
    }
}

#[test]
fn a_schedule_has_exactly_its_slots() {
    for (words, slots) in [
        ("-l 64 -r 10k", 1_000),
        ("-l 64 -r 10k --threads 2 --pin off", 1_000),
        ("-l 64 -r 12345", 1_235),
        ("-l 64 -r 10k --pace burst:50", 1_000),
        ("-l 64 -b 5120k", 1_000),
        ("-l 625 -r 5Mbit", 100),
        ("-l 64 --pace ramp:5k..15k", 1_000),
    ] {
        let report = bench(&format!("-t 100ms {words}"));
        let cell = &cells(&report)[0];
        assert_eq!(number(cell, "schedule.scheduled"), slots, "{words}");
        // A stall at the very end may hold the last slots back, never bring them forward.
        assert!(number(cell, "elapsed_ns") >= 100_000_000, "{words}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn poisson_is_repeatable_by_its_seed() {
    let slots = |seed: u32| {
        let report = bench(&format!("-l 64 -t 200ms -r 5k --pace poisson --seed {seed}"));
        number(&cells(&report)[0], "schedule.scheduled")
    };
    let all: Vec<_> = (1..4).map(slots).collect();
    assert_eq!(slots(3), all[2]);
    assert!(all.iter().any(|&count| count != all[0]), "{all:?}");
}

#[test]
fn rates_relative_to_max_refer_to_what_max_delivered() {
    let report = bench("-e plain -l 64 -n 2000 -r 25%");
    assert_eq!(ids(&report), ["plain/64/max", "plain/64/25%"]);
    let (max, quarter) = (&cells(&report)[0], &cells(&report)[1]);
    assert_eq!(max["calibration"], true);
    assert_eq!(quarter["calibration"], false);
    let (max, rate) = (max["rx"]["pps"].as_f64().unwrap(), quarter["rate_pps"].as_f64().unwrap());
    assert!((rate - max / 4.0).abs() <= 0.001, "{rate} is a quarter of {max}");
}

#[test]
fn cells_are_the_product_of_the_lists_with_trials_interleaved() {
    let report = bench("-l 64,128 -e plain,null -r max,1k -n 20 --trials 2");
    let once = [
        "plain/64/max",
        "plain/64/1k",
        "null/64/max",
        "null/64/1k",
        "plain/128/max",
        "plain/128/1k",
        "null/128/max",
        "null/128/1k",
    ];
    assert_eq!(ids(&report), [once, once].concat());
    let trials: Vec<_> = cells(&report).iter().map(|cell| number(cell, "trial")).collect();
    assert_eq!(trials, [[0; 8], [1; 8]].concat());
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn sockets_are_connected_or_not_over_either_ip_version() {
    for words in [
        "--connect on -4",
        "--connect off -4",
        "--connect on -6",
        "--connect off -6",
        "-B 127.0.0.9",
        "-B ::1",
        "--ttl 7 --dscp ef",
        "-6 --ttl 7 --dscp af11",
        "--df",
        "-6 --df",
    ] {
        if (words.contains("-6") || words.contains("::")) && UdpSocket::bind("[::1]:0").is_err() {
            common::skip::unavailable(format_args!("{words}: this host has no IPv6"));
            continue;
        }
        let report = bench(&format!("-l 64 -r max,10k -n 200 {words}"));
        for cell in cells(&report) {
            assert_eq!(number(cell, "ledger.received"), 200, "{words}");
        }
    }
}

#[test]
fn a_fixed_port_is_used_and_one_in_use_is_refused() {
    let report = bench(&format!("-l 64 -r max -n 10 -p {}", common::ports::free()));
    assert_eq!(number(&cells(&report)[0], "ledger.received"), 10);
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = run(&format!("bench -l 64 -n 10 -p {port}"));
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "udperf: cannot bind 127.0.0.1:{port}: address in use; choose another --port or stop the other \
         process\n"
    );
    assert_eq!(stderr(&output), expected);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn flows_and_threads_share_the_work() {
    let same = common::one_core();
    // Not spinning on one core: two threads would take turns of whole time slices.
    for (words, waits) in [
        ("-P 7", &["spin", "hybrid", "epoll"][..]),
        ("-P 5 --threads 2", &["spin", "hybrid"]),
        ("--threads 3 --pin off", &["epoll"]),
        (&same, &["hybrid", "epoll"]),
        ("--pin off", &["spin"]),
    ] {
        for wait in waits {
            let report = bench(&format!("-l 64 -r 5k -n 300 {words} --wait {wait}"));
            let cell = &cells(&report)[0];
            assert_eq!(number(cell, "ledger.received"), 300, "{words} {wait}");
        }
    }
}

#[test]
fn a_starved_receiver_loses_in_its_buffer_and_nowhere_else() {
    // On one core, the sender fills a buffer of a few datagrams before the receiver gets its turn.
    let one_core = common::one_core();
    let report = bench(&format!("-l 64 -r max -t 50ms --wait epoll -w 4K {one_core}"));
    let cell = &cells(&report)[0];
    let lost = number(cell, "ledger.lost");
    assert!(lost > 0);
    assert_eq!(number(cell, "ledger.lost_at.receive_buffer"), lost);
    assert_eq!(number(cell, "kernel.socket_drops"), lost);
    assert_eq!(number(cell, "rx.socket_buffer.asked"), 4_096);
    let codes: Vec<_> = cell["warnings"].as_array().unwrap().iter().map(|w| &w["code"]).collect();
    assert!(codes.iter().any(|code| *code == "receive_buffer_loss"), "{codes:?}");
}

#[test]
fn latency_is_told_from_the_schedule_and_from_the_send() {
    let report = bench("-e plain -l 17,18 -r 10k -n 500");
    let [short, long] = cells(&report) else { panic!("two cells") };
    assert!(short["from_send"].is_null(), "17 bytes have no room for the second stamp");
    assert_eq!(number(long, "from_send.count"), 500);
    assert_eq!(long["latency"]["from"], "schedule");
    assert_eq!(long["from_send"]["from"], "send");
    // The lag is packed with an error of 2^-12, so a minimum can exceed by that much.
    assert!(number(long, "from_send.min_ns") <= number(long, "latency.min_ns") + 1_000);
    assert_eq!(number(long, "schedule.scheduled"), 500 + number(long, "schedule.missed"));
    assert!(!long["jitter_ns"].is_null());
}

#[test]
fn the_document_validates_against_its_schema() {
    let schema: Value = serde_json::from_slice(&run("schema").stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for words in ["-l 64 -n 100", "-l 17 -r max,1k,50% -n 50 --trials 2", "-e null -n 5 -l imix"] {
        let report = bench(words);
        let errors: Vec<_> =
            validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{words}");
        assert!(!report["command"].as_array().unwrap().is_empty());
        assert!(report["host"].is_object());
    }
    let mut broken = bench("-l 64 -n 10 -r max");
    broken["cells"][0]["ledger"]["sent"] = Value::from("many");
    assert!(!validator.is_valid(&broken));
}
