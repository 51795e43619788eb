//! `--pace-by`: refusals with the command that helps, and departures by fq in own namespaces.

use std::process::Command;

use serde_json::Value;

use crate::common::{self, run, skip, stderr};

#[test]
fn what_the_kernel_cannot_pace_is_refused() {
    for (words, code, reason) in [
        ("bench --pace-by txtime -e plain -r max", 2, "--pace-by txtime needs a rate"),
        ("bench --pace-by fq -r 1k --pace poisson", 2, "--pace-by fq keeps an even rate"),
        ("bench --pace-by txtime -r 1k -e gso/batch", 2, "gso+batch cannot give each datagram"),
        ("bench --pace-by txtime -r 1k -e uring", 2, "uring cannot give each datagram"),
        ("bench --pace-by fq -r 1k -e null", 2, "use --engine plain, batch"),
        ("bench --pace-by txtime -r 1k -e plain -B unix:", 2, "--pace-by txtime is for"),
        // Before the sink is asked: none is there.
        ("blast 127.0.0.1:9 --pace-by txtime -r 1k --reverse", 2, "--pace-by txtime is for"),
        ("blast 127.0.0.1:9 --pace-by fq -r 1k --bidir", 2, "--pace-by fq is for"),
        ("load 127.0.0.1:9 --pace-by fq -r 1k --text x", 2, "--pace-by fq is for"),
    ] {
        let output = run(words);
        let told = stderr(&output);
        assert!(told.contains(reason), "{words}: {told}");
        assert_eq!(output.status.code(), Some(code), "{words}");
    }
}

/// Runs these words in a network namespace of its own, whose loopback device has this queueing
/// discipline, if any; `None`: that is not possible here.
fn on_loopback_with(qdisc: &str, words: &str) -> Option<std::process::Output> {
    let program = env!("CARGO_BIN_EXE_udperf");
    let add = if qdisc.is_empty() {
        String::new()
    } else {
        format!("tc qdisc replace dev lo root {qdisc} || exit 77;")
    };
    let script = format!("ip link set lo up || exit 77; {add} exec {program} {words}");
    let output = Command::new("unshare").args(["--net", "sh", "-c", &script]).output().ok()?;
    (output.status.code() != Some(77) && !stderr(&output).starts_with("unshare:")).then_some(output)
}

#[test]
fn a_device_without_fq_names_the_command() {
    for by in ["txtime", "fq"] {
        let words = format!("bench --pace-by {by} -l 64 -e plain -r 1k -n 10 --warmup 0");
        let Some(output) = on_loopback_with("", &words) else {
            return skip::missing("a network namespace");
        };
        let told = stderr(&output);
        assert!(told.contains("tc qdisc replace dev lo root fq"), "{told}");
        assert!(told.contains(&format!("--pace-by {by}: device lo sends by")), "{told}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn fq_releases_every_datagram() {
    for by in ["txtime", "fq"] {
        let words =
            format!("bench --pace-by {by} -l 64 -e plain,batch -r 2k -n 500 --warmup 0 -q -J");
        let Some(output) = on_loopback_with("fq", &words) else {
            return skip::unavailable("no network namespace with sch_fq");
        };
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
        assert_eq!(report["scenario"]["pace_by"], by);
        for cell in common::cells(&report) {
            common::check(cell, by);
            let ledger = &cell["ledger"];
            assert_eq!((&ledger["received"], &ledger["unaccounted"]), (&500.into(), &0.into()));
        }
    }
}
