//! Runs that fail: they end soon, not as if they had succeeded, and leave no process.

use serde_json::Value;

use crate::common::signals::signal;
use crate::common::{number, only, together};
use crate::rig::{Fleet, SERVER, UDPERF, can_run, members};

/// Sends this signal to rank 2 of 4 in the middle of a run of this length. The run must fail, and
/// must end though rank 2 does not; its document.
fn disturb_rank_2(time: &str, name: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (events, report) = (folder.path().join("events"), folder.path().join("report"));
    let words = format!(
        "{UDPERF} load {SERVER} --preset echo -e plain -r 2k -t {time} --warmup 0 -i 100ms -q \
         --json={} --events {}",
        report.display(),
        events.display()
    );
    let echo = format!("{UDPERF} echo -q");
    let command: Vec<_> = words.split_whitespace().collect();
    let fleet = Fleet::start(2, &["--ranks", "2", "--with", &echo], &command);
    let has_begun = || {
        let text = std::fs::read_to_string(&events).unwrap_or_default();
        text.contains(r#""event":"interval""#)
    };
    while !has_begun() {
        std::thread::yield_now();
    }
    signal(fleet.process_of(2), name);
    fleet.end(|code| code != 0);
    serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap()
}

/// The run is invalid for the loss of rank 2, which is named, and has what the others measured.
#[track_caller]
fn check_without_rank_2(report: &Value) {
    let reasons = report["invalid_because"].as_array().unwrap();
    let lost = reasons.iter().find(|reason| reason["code"] == "member_lost").unwrap();
    assert!(lost["message"].as_str().unwrap().starts_with("rank 2 on host2"), "{lost}");
    assert_eq!(report["valid"], false);
    assert_eq!(only(report)["cut_short_because"], "member_lost");
    let ranks = members(report).iter().map(|member| number(member, "rank"));
    assert!(ranks.clone().all(|rank| rank != 2) && ranks.clone().any(|rank| rank == 0));
}

#[test]
fn a_killed_rank_makes_the_run_invalid() {
    if !can_run() {
        return;
    }
    let _together = together();
    check_without_rank_2(&disturb_rank_2("10m", "KILL"));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_run_does_not_wait_for_a_rank_that_hangs() {
    if !can_run() {
        return;
    }
    let _together = together();
    let report = disturb_rank_2("2", "STOP");
    check_without_rank_2(&report);
    assert_eq!(members(&report).len(), 3);
}

#[test]
fn a_host_that_cannot_reach_the_target_is_named() {
    if !can_run() {
        return;
    }
    let _together = together();
    let options =
        ["--setup", "ip -n host2 link set udperf0 down", "--with", &format!("{UDPERF} sink -q")];
    for words in ["load --preset echo -r 1k", "blast -r 1k"] {
        let (kind, words) = words.split_once(' ').unwrap();
        let mut command = vec![UDPERF, kind, SERVER, "-e", "plain", "-t", "10m", "-q"];
        command.extend(words.split(' '));
        let done = Fleet::start(2, &options, &command).end(|code| code == 1);
        let cause = "udperf: rank 1 on host2: cannot connect";
        assert!(done.stderr.lines().any(|line| line.starts_with(cause)), "{done:?}");
    }
}

#[test]
fn an_ended_script_leaves_nothing() {
    if !can_run() {
        return;
    }
    let _together = together();
    for name in ["TERM", "INT"] {
        let command = ["sh", "-c", "echo begun >&2; exec sleep 600"];
        let mut fleet = Fleet::start(2, &["--with", &format!("{UDPERF} echo -q")], &command);
        for _ in 0..2 {
            fleet.proc.line("begun");
        }
        signal(fleet.proc.id(), name);
        fleet.end(|code| code == 130);
    }
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    if !can_run() {
        return;
    }
    let _together = together();
    // Two at once do not disturb each other, though their hosts have the same names and addresses.
    let runs = [3, 7].map(|code| {
        let command = format!("test $(cat /proc/sys/kernel/hostname) != host2 || exit {code}");
        (code, Fleet::start(2, &[], &["sh", "-c", &command]))
    });
    for (expected, fleet) in runs {
        fleet.end(|code| code == expected);
    }
}
