//! The engines as the program offers them: lists, pairs, the choice of `auto`, batches, timestamps,
//! and what the report says of super-packets.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::sync::LazyLock;

use common::{bench, cells, ids, number, run, stderr};
use serde_json::Value;
use udperf::engine::{ENGINES, EngineRow};

/// Codes of the warnings of a cell, or of a report.
fn codes(of: &Value) -> Vec<&str> {
    of["warnings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

/// Whether the host of this report has that; says so where not.
fn has(report: &Value, capability: &str) -> bool {
    let all = report["host"]["capabilities"].as_array().unwrap();
    let found = all.iter().find(|one| one["name"] == capability).unwrap();
    let available = found["available"] == true;
    if !available {
        common::skip::unavailable(format_args!("{capability}: {}", found["detail"]));
    }
    available
}

#[test]
fn the_default_compares_three() {
    let report = bench("-l 64 -n 200 -r max");
    if ["batch", "gso"].into_iter().all(|engine| has(&report, engine)) {
        assert_eq!(ids(&report), ["plain/64/max", "batch/64/max", "gso+batch/64/max"]);
        // Of single datagrams, each of them: nothing arrives in super-packets.
        for cell in cells(&report) {
            assert_eq!(number(cell, "packets.uncut"), 0, "{}", cell["id"]);
            assert_eq!(number(cell, "packets.received"), 200, "{}", cell["id"]);
        }
    }
}

#[test]
fn all_is_every_way_of_sending_with_every_way_of_receiving() {
    let report = bench("-e all -l 64,1472 -n 3000 -r max");
    let found = |words: &[&str]| words.iter().filter(|word| has(&report, word)).count();
    let words = |test: fn(&EngineRow) -> bool| -> Vec<_> {
        // Engines of a device are chosen by name only.
        let is_here = |row: &&EngineRow| row.wire_id.is_some() && !row.by_device;
        let rows = ENGINES.iter().filter(is_here).filter(|row| row.word != "null");
        rows.filter(|row| test(row)).map(|row| row.word).collect()
    };
    let pairs = found(&words(|row| row.tx.is_some())) * found(&words(|row| row.rx.is_some()));
    assert_eq!(cells(&report).len(), 2 * pairs);
    for cell in cells(&report) {
        assert_eq!(number(cell, "ledger.sent"), 3_000, "{}", cell["id"]);
        assert_eq!(number(cell, "ledger.unaccounted"), 0, "{}", cell["id"]);
    }
    let left_out = codes(&report).iter().filter(|code| **code == "engine_left_out").count();
    let all = words(|_| true);
    assert_eq!(left_out, all.len() - found(&all));
}

#[test]
fn the_matrix_is_drawn_where_it_is_whole() {
    let text = |engines: &str| {
        let output = run(&format!("bench -q -e {engines} -l 64 -n 200 -r max --warmup 0"));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let title = "Delivered flat out, 64 bytes: senders in rows, receivers in columns";
    assert!(text("plain,plain/batch,batch/plain,batch").contains(title));
    assert!(!text("plain,batch").contains(title));
}

#[test]
fn auto_says_what_it_tried() {
    let report = bench("-e auto -l 512,64 -n 100 -r max");
    let choice = &report["choice"];
    assert_eq!(choice["asked"], "auto");
    assert_eq!(choice["size"], 64);
    let trials = choice["trials"].as_array().unwrap();
    let pps: Vec<_> = trials.iter().map(|one| one["pps"].as_f64().unwrap()).collect();
    assert!(pps.is_sorted_by(|a, b| a >= b), "{pps:?}");
    assert_eq!(choice["engine"], trials[0]["engine"]);
    let engine = choice["engine"].as_str().unwrap();
    assert_eq!(ids(&report), [format!("{engine}/512/max"), format!("{engine}/64/max")]);
    assert!(bench("-e plain -l 64 -n 10 -r max")["choice"].is_null());
    if !(has(&report, "gso") && has(&report, "gro")) {
        return;
    }
    // Nobody splits on loopback, so the fastest is not the one.
    let [left_out] = &choice["left_out"].as_array().unwrap()[..] else { panic!("{choice}") };
    assert_eq!(left_out["engine"], "offload");
    assert!(left_out["pps"].as_f64().unwrap() > 0.0, "{choice}");
    assert!(left_out["why"].as_str().unwrap().contains("splits"), "{choice}");
    assert!(trials.iter().all(|one| one["engine"] != "offload"), "{choice}");
    let text = run("bench -q -e auto -l 64 -n 10 -r max --warmup 0");
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("left out"), "{text}");
}

#[test]
fn what_was_never_cut_is_named_and_what_was_is_not() {
    let report = bench("-e offload,gso/batch,batch -l 64 -n 6400 -r max");
    let [offload, cut, batch] = cells(&report) else { panic!("three cells") };
    assert!(codes(offload).contains(&"segments_never_cut"));
    assert_eq!(number(offload, "packets.uncut"), 6_400);
    assert_eq!(number(offload, "packets.sent"), number(offload, "packets.received"));
    assert!(number(offload, "packets.sent") <= 6_400 / 64);
    assert!(!codes(cut).contains(&"segments_never_cut"));
    assert_eq!(number(cut, "packets.uncut"), 0);
    assert_eq!(number(cut, "packets.received"), 6_400);
    assert!(number(cut, "packets.sent") <= 6_400 / 64);
    assert_eq!(number(batch, "packets.sent"), 6_400);
    assert!(batch["packets"]["segments_at_first"].is_null());
    let output = run("bench -q -e offload -l 64 -n 640 -r max --warmup 0");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("pps†"), "{text}");
    assert!(text.contains("†         up to "), "{text}");
}

#[test]
fn super_packets_fall_back_where_there_can_be_none() {
    let report = bench("-e gso/batch -l imix,40000,64 -n 120 -r max");
    let [mix, large, small] = cells(&report) else { panic!("three cells") };
    for cell in [mix, large] {
        assert_eq!(cell["engine"]["tx"], "gso");
        assert_eq!(cell["engine"]["tx_active"], "batch", "{}", cell["id"]);
        assert_eq!(number(cell, "packets.segments_at_first"), 1);
        assert_eq!(number(cell, "packets.sent"), 120);
        assert!(codes(cell).contains(&"engine_fell_back"));
    }
    assert_eq!(small["engine"]["tx_active"], "gso");
}

#[test]
fn a_batch_is_what_a_system_call_takes() {
    let report = bench("-e batch,gso/batch -l 64 -n 700 -r max --batch 7");
    for cell in cells(&report) {
        assert_eq!(number(cell, "tx.syscalls"), 100, "{}", cell["id"]);
    }
    assert_eq!(number(&cells(&report)[1], "packets.sent"), 100);
    assert_eq!(number(&cells(&report)[1], "packets.segments_at_last"), 7);
    assert_eq!(report["scenario"]["batch"], 7);
}

/// Every engine with timestamps of the kernel.
static KERNEL_TIMESTAMPS: LazyLock<Value> =
    LazyLock::new(|| bench("-e all -l 64 -n 500 -r 10k --timestamps kernel"));

#[test]
#[ignore = "long: scripts/check runs it"]
fn kernel_timestamps_split_the_latency_of_every_datagram() {
    let report = &*KERNEL_TIMESTAMPS;
    if !has(report, "rx_timestamps") {
        return;
    }
    assert_eq!(report["scenario"]["timestamps"], "kernel");
    for cell in cells(report) {
        let id = &cell["id"];
        assert_eq!(number(cell, "to_socket.count"), number(cell, "ledger.received"), "{id}");
        assert_eq!(number(cell, "in_socket.count"), number(cell, "ledger.received"), "{id}");
        assert_eq!(cell["in_socket"]["timestamp"], "kernel");
        assert_eq!(cell["in_socket"]["from"], "kernel");
        assert_eq!(cell["to_socket"]["from"], "schedule");
        // What is added up nanosecond by nanosecond differs by the roundings of three means.
        let mean = |part: &str| number(cell, &format!("{part}.mean_ns"));
        let sum = mean("to_socket") + mean("in_socket");
        assert!(mean("latency").abs_diff(sum) <= 2, "{id}: {} and {sum}", mean("latency"));
    }
    let without = bench("-e plain -l 64 -n 50 -r max");
    assert!(cells(&without)[0]["in_socket"].is_null() && cells(&without)[0]["legs"].is_null());
}

/// The legs of a cell add up, and are those of datagrams that were received.
#[track_caller]
fn check_legs(cell: &Value) {
    let n = |path: &str| number(cell, &format!("legs.{path}"));
    let id = &cell["id"];
    assert!(n("samples") > 0 && n("samples") <= number(cell, "ledger.received"), "{id}");
    let legs = ["lag", "system_call", "path", "in_socket"];
    let sum_of = |figure: &str| legs.iter().map(|leg| n(&format!("{leg}.{figure}"))).sum::<u64>();
    // Of five means, each is off by half a nanosecond at most.
    assert!(n("total.mean_ns").abs_diff(sum_of("mean_ns")) <= 2, "{id}: {}", cell["legs"]);
    // The longest of all is no longer than the longest of each together.
    assert!(n("total.max_ns") <= sum_of("max_ns") && n("total.min_ns") >= sum_of("min_ns"), "{id}");
    // One clock, and the same datagrams: they are among those of the whole distribution.
    assert_eq!(n("bound_ns"), 0);
    assert!(n("total.max_ns") <= number(cell, "latency.max_ns"), "{id}");
    assert!(n("total.min_ns") >= number(cell, "latency.min_ns"), "{id}");
    assert!(n("in_socket.max_ns") <= number(cell, "in_socket.max_ns"), "{id}");
    // The system call has to be entered at least.
    assert!(n("system_call.mean_ns") > 0, "{id}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn stamps_of_both_kernels_tell_the_way_in_legs_that_add_up() {
    let report = &*KERNEL_TIMESTAMPS;
    if !(has(report, "rx_timestamps") && has(report, "tx_timestamps")) {
        return;
    }
    for cell in cells(report) {
        match cell["engine"]["tx"].as_str() {
            Some("null") => assert!(cell["legs"].is_null()),
            _ => check_legs(cell),
        }
    }
    // Flat out nothing is late; several flows and sizes have one sample at a time too.
    for words in ["-e plain,gso/batch,uring -l 64 -n 30k -r max", "-l imix -P 7 -n 1k -r 20k"] {
        for cell in cells(&bench(&format!("{words} --timestamps kernel"))) {
            check_legs(cell);
            assert!(cell["pace"].is_string() || number(cell, "legs.lag.max_ns") == 0);
        }
    }
}

#[test]
fn a_missing_engine_is_an_error_only_where_it_was_named() {
    // Without io_uring in the build or the kernel, `uring` is the one that can be missing here.
    let report = bench("-e plain -l 64 -n 10 -r max");
    let output = run("bench -q -e uring -l 64 -n 10 -r max");
    if has(&report, "uring") {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    } else {
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("--engine uring: uring is not available here: "));
    }
}
