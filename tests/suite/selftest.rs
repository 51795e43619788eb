//! `udperf selftest`: all checks pass here, and each deliberate fault fails its own check only.
#![cfg(all(target_os = "linux", not(udperf_portable)))]

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::common::signals::ended_by;
use crate::common::{self, alone, skip, stderr, udperf};

/// Checks, each with the fault of its name.
const CHECKS: [&str; 11] = [
    "ledger",
    "tail",
    "window",
    "receive_buffer",
    "delay",
    "stall",
    "pacing",
    "clock",
    "overhead",
    "compare_same",
    "compare_worse",
];

/// The exit code and the document.
fn selftest(words: &str) -> (Option<i32>, Value) {
    let output = common::run(&format!("selftest --quick -J -q {words}"));
    let document = serde_json::from_slice(&output.stdout);
    let document = document.unwrap_or_else(|error| panic!("{words}: {error}: {}", stderr(&output)));
    (output.status.code(), document)
}

/// The ids of the checks with this result.
fn ids(document: &Value, ok: &Value) -> BTreeSet<String> {
    let checks = document["checks"].as_array().unwrap().iter();
    let with = checks.filter(|check| check["ok"] == *ok);
    with.map(|check| check["id"].as_str().unwrap().to_owned()).collect()
}

/// A busy host leaves a check undecided, but does not fail it.
#[track_caller]
fn passes(document: &Value, code: Option<i32>, all: &[&str]) {
    assert_eq!(ids(document, &false.into()), BTreeSet::new(), "{document:#}");
    let (mut found, undecided) = (ids(document, &true.into()), ids(document, &Value::Null));
    assert!(undecided.len() <= 3 && !undecided.contains("clock"), "{document:#}");
    found.extend(undecided);
    assert_eq!(found, all.iter().map(|id| (*id).to_owned()).collect(), "{document:#}");
    assert_eq!(code, Some(0));
    assert_eq!(document["interrupted"], false);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn every_report_is_true_on_this_host() {
    let _alone = alone();
    let (code, document) = selftest("");
    passes(&document, code, &CHECKS);
    assert_eq!(document["kind"], "selftest");
    // The delay of one side changes no rate.
    let worse =
        document["checks"].as_array().unwrap().iter().find(|one| one["id"] == "compare_worse");
    assert!(!worse.unwrap()["seen"].as_str().unwrap().contains("rx_pps"), "{worse:?}");
    let engines = document["checks"].as_array().unwrap().iter().filter(|one| one["id"] == "ledger");
    let engines: BTreeSet<_> = engines.map(|one| one["engine"].as_str().unwrap()).collect();
    let here = common::available(&[
        ("plain", &["plain"]),
        ("batch", &["batch"]),
        ("gso+batch", &["gso", "batch"]),
        ("offload", &["gso", "gro"]),
        ("uring", &["uring"]),
    ]);
    assert_eq!(engines, here.into_iter().collect());
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn each_fault_fails_its_check_and_no_other() {
    let _alone = alone();
    for fault in CHECKS {
        // A busy host may leave the check of the fault undecided: then it is made again.
        let made = (0..3).map(|_| selftest(&format!("--fault {fault}")));
        let mut decided = made.filter(|(_, document)| !ids(document, &Value::Null).contains(fault));
        let (code, document) = decided.next().unwrap_or_else(|| panic!("{fault} was undecided"));
        let failed = ids(&document, &false.into());
        assert_eq!(failed, BTreeSet::from([fault.to_owned()]), "{document:#}");
        assert_eq!((code, &document["fault"]), (Some(3), &fault.into()));
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_firewall_and_a_queue_agree_with_reports() {
    let _alone = alone();
    let made = std::process::Command::new("unshare").args(["-n", "nft", "list", "tables"]).output();
    if !made.is_ok_and(|output| output.status.success()) {
        return skip::missing("no network namespace, or no nft");
    }
    let all: Vec<_> = CHECKS.into_iter().chain(["netfilter", "queue"]).collect();
    let (code, document) = selftest("--netns");
    passes(&document, code, &all);
    for fault in ["netfilter", "queue"] {
        let (code, document) = selftest(&format!("--netns --fault {fault}"));
        assert_eq!(ids(&document, &false.into()), BTreeSet::from([fault.to_owned()]));
        assert_eq!(code, Some(3));
    }
}

#[test]
fn namespaces_that_cannot_be_made_are_refused_before_any_check() {
    let output = udperf().args(["selftest", "--netns"]).env("PATH", "/nonexistent").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let error = stderr(&output);
    assert!(error.contains("--netns: there is no unshare; install util-linux, or omit"), "{error}");
}

#[test]
fn a_fault_without_its_check_is_refused() {
    for fault in ["netfilter", "queue"] {
        let output = common::run(&format!("selftest --quick --fault {fault}"));
        assert_eq!(output.status.code(), Some(2));
        let error = stderr(&output);
        assert!(error.contains(&format!("--fault {fault}: only --netns makes")), "{error}");
    }
}

#[test]
fn checks_that_cannot_run_are_undecided() {
    let _alone = alone();
    // Loopback of a new namespace is down.
    let mut command = std::process::Command::new("unshare");
    if !command.args(["-n", "true"]).status().is_ok_and(|status| status.success()) {
        return skip::missing("network namespaces");
    }
    let mut command = std::process::Command::new("unshare");
    command.args(["-n", env!("CARGO_BIN_EXE_udperf"), "selftest", "--quick", "-J", "-q"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot connect"), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(ids(&document, &false.into()), BTreeSet::new(), "{document:#}");
    assert!(ids(&document, &Value::Null).contains("ledger"), "{document:#}");
}

#[test]
fn a_signal_ends_it_with_the_checks_so_far() {
    let _alone = alone();
    let mut command = udperf();
    command.args(["selftest", "-J", "-q"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let threads = format!("/proc/{}/task", child.id());
    let is_relay = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        name.trim_end() == "udperf-relay"
    };
    while !fs::read_dir(&threads).unwrap().flatten().any(is_relay) {
        std::thread::yield_now();
    }
    let output = ended_by(child, "INT");
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["interrupted"], true);
    assert!(document["checks"].as_array().unwrap().len() < CHECKS.len());
}
