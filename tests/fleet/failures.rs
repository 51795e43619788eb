//! Runs that fail: they end soon, not as if they had succeeded, and leave no process.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::signals::signal;
use crate::common::{number, only, together};
use crate::rig::{Fleet, SERVER, UDPERF, can_run, members, read};

/// Sends this signal to rank 2 of 4 in the middle of a run of this length. The run must fail, and
/// must end though rank 2 does not; its document.
fn disturb_rank_2(time: &str, name: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let words = format!(
        "{UDPERF} load {SERVER} --preset echo -e plain -r 2k -t {time} --warmup 0 -i 100ms -q \
         --json={}",
        report.display()
    );
    let echo = format!("{UDPERF} echo -q");
    let command: Vec<_> = words.split_whitespace().collect();
    let fleet = Fleet::start(2, &["--ranks", "2", "--with", &echo], &command);
    fleet.await_cell(2);
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

/// Runs a command in which the second process of two has no io_uring: seccomp(2) refuses
/// io_uring_setup, the system call 425, with ENOSYS.
const WITHOUT_URING: &str = r#"
import ctypes, os, struct, sys
if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050026), (0x06, 0, 0, 0x7FFF0000)]
    steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(steps)))
    numbers = [ctypes.c_ulong(number) for number in (0, 1, 2)]
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(38, numbers[1], numbers[0], numbers[0], numbers[0])
    filtered = prctl(22, numbers[2], program, numbers[0], numbers[0])
    assert filtered == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"#;

/// Otherwise it would measure other engines under the same names.
#[test]
fn a_host_that_lacks_an_engine_is_named() {
    if !can_run() || !cfg!(feature = "uring") {
        return;
    }
    let _together = together();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("without-uring.py");
    std::fs::write(&script, WITHOUT_URING).unwrap();
    for engines in ["uring", "all"] {
        let words = format!("{UDPERF} bench -e {engines} -l 64 -n 100 -r 1k --warmup 0 -q");
        let mut command = vec!["python3", script.to_str().unwrap()];
        command.extend(words.split(' '));
        let done = Fleet::start(2, &[], &command).end(|code| code != 0);
        let is_cause = |line: &str| {
            line.starts_with("udperf: rank 1 on host2: --engine ")
                && line.contains("uring is not available")
        };
        assert!(done.stderr.lines().any(is_cause), "{done:?}");
    }
}

/// The same that a run alone says of a target that answers nothing.
#[test]
fn a_host_whose_requests_are_dropped_is_named() {
    if !can_run() {
        return;
    }
    let _together = together();
    let drop_all = "ip netns exec host2 nft 'table ip t { chain c { \
        type filter hook prerouting priority -450; iifname udperf0 udp sport 7788 drop; }; }'";
    let options = ["--setup", drop_all, "--with", &format!("{UDPERF} echo -q")];
    let words = "-e plain -n 100 -r 1k --warmup 0 --timeout 200ms --max-missed 100% -J -q";
    let mut command = vec![UDPERF, "load", SERVER, "--preset", "echo"];
    command.extend(words.split(' '));
    let report = Fleet::start(2, &options, &command).end(|code| code == 5).document();
    let [reason] = &report["invalid_because"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!(reason["code"], "nothing_answered");
    let message = reason["message"].as_str().unwrap();
    assert!(message.starts_with("rank 1 on host2: none of 50 requests"), "{message}");
    // What the other measured is kept.
    assert_eq!(number(only(&report), "exchange.matched"), 50);
}

/// An outage is a result: the run is valid, and says whose it was.
#[test]
fn a_host_that_loses_the_target_in_mid_run_is_named() {
    if !can_run() {
        return;
    }
    let _together = together();
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let words = format!(
        "{UDPERF} load {SERVER} --preset echo -e plain -r 1k -t 4 --warmup 0 --timeout 500ms \
         --max-missed 100% -i 100ms -q --json={}",
        report.display()
    );
    let command: Vec<_> = words.split_whitespace().collect();
    let fleet = Fleet::start(2, &["--with", &format!("{UDPERF} echo -q")], &command);
    fleet.await_cell(1);
    let enter = ["-t", &fleet.process_of(1).to_string(), "-n"].map(str::to_owned);
    let down = ["ip", "link", "set", "udperf0", "down"];
    assert!(Command::new("nsenter").args(enter).args(down).status().unwrap().success());
    fleet.end(|code| code == 0);
    let report = read(&report);
    assert_eq!((&report["valid"], &report["invalid_because"]), (&true.into(), &json!([])));
    let outages = |member: &Value| member["cells"][0]["outages"].as_array().unwrap().len();
    let of_members: Vec<_> = members(&report).iter().map(outages).collect();
    assert!(of_members[0] == 0 && of_members[1] > 0, "{of_members:?}");
    let warnings = only(&report)["warnings"].as_array().unwrap();
    let warning = warnings.iter().find(|one| one["code"] == "member_outage").unwrap();
    assert!(warning["message"].as_str().unwrap().starts_with("rank 1 on host2: "), "{warning}");
    assert_eq!(number(&members(&report)[0]["cells"][0], "ledger.refused.unreachable"), 0);
}

/// The launcher takes its exit code 0 for a success, and MPI waits for it.
#[test]
#[ignore = "long: scripts/check runs it"]
fn a_process_that_ends_before_it_joins_is_reported() {
    if !can_run() {
        return;
    }
    let _together = together();
    let words = format!("test $OMPI_COMM_WORLD_RANK = 0 || exit 0; exec {UDPERF} fleet-check");
    let mut fleet = Fleet::start(2, &[], &["sh", "-c", &words]);
    fleet.proc.line("udperf: waiting for the other processes");
    signal(fleet.proc.id(), "TERM");
    fleet.end(|code| code == 130);
}

/// The launcher then ends the others.
#[test]
fn a_process_that_fails_before_it_joins_ends_the_run() {
    if !can_run() {
        return;
    }
    let _together = together();
    let words = format!("test $OMPI_COMM_WORLD_RANK = 0 || exit 3; exec {UDPERF} fleet-check");
    Fleet::start(2, &[], &["sh", "-c", &words]).end(|code| code == 3);
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
