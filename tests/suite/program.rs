//! How the program behaves as a program: files, exit codes, signals, closed pipes, bad input.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::process::Stdio;

use common::{cells, number, run, stderr, udperf};
use serde_json::Value;

#[test]
fn files_are_written_beside_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let output = udperf()
        .args("bench -q -e plain -l 64 -r max,10k -n 100 --warmup 0".split(' '))
        .arg(format!("--json={}", path("run.json").display()))
        .arg(format!("--csv={}", path("run.csv").display()))
        .arg(format!("--hdr={}", path("run.hlog").display()))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(String::from_utf8(output.stdout).unwrap().contains("unaccounted 0"));
    let report: Value = serde_json::from_slice(&std::fs::read(path("run.json")).unwrap()).unwrap();
    assert_eq!(cells(&report).len(), 2);
    let csv = std::fs::read_to_string(path("run.csv")).unwrap();
    assert_eq!(csv.lines().count(), 3);
    assert!(csv.lines().nth(1).unwrap().starts_with("plain/64/max,"));
    let hdr = std::fs::read_to_string(path("run.hlog")).unwrap();
    assert_eq!(hdr.lines().filter(|line| line.starts_with("Tag=plain/64/")).count(), 2);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left behind");
}

#[test]
fn a_file_that_cannot_be_written_is_found_before_anything_is_sent() {
    for flag in ["--json", "--csv", "--hdr"] {
        // A day of measuring that never starts.
        let output = run(&format!("bench -t 24h {flag}=/no/such/folder/file"));
        assert_eq!(output.status.code(), Some(1));
        let error = stderr(&output);
        assert!(error.starts_with("udperf: cannot write /no/such/folder/file: "), "{error}");
        assert!(error.contains(&format!("choose another path for {flag}")), "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_was_measured_is_shown_though_a_file_fails() {
    let folder = tempfile::tempdir().unwrap();
    let bench = |files: &str| {
        let words = format!("bench -q -e plain -l 64 -r max -n 100 --warmup 0 {files}");
        let words = words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let output = udperf().args(words).env("TMPDIR", folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        output
    };
    let output = bench("--json=/dev/full --csv=/dev/null");
    assert!(stderr(&output).contains("cannot write /dev/full"), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("sent 100 = received 100"), "{text}");
    let kept = || {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect::<Vec<_>>()
    };
    let [path] = &kept()[..] else { panic!("{:?}", kept()) };
    let said = format!("the document is saved in {}", path.display());
    assert!(stderr(&output).contains(&said), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(number(&cells(&report)[0], "ledger.sent"), 100);
    // With the document on standard output, nothing is lost.
    let output = bench("-J --csv=/dev/full");
    assert_eq!(kept().len(), 1, "{}", stderr(&output));
}

#[test]
#[cfg(target_os = "linux")]
fn every_file_that_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status();
    assert!(made.unwrap().success());
    let output = udperf()
        .args("bench -q -e plain -l 64 -r max -n 100 --warmup 0 --json=/dev/full".split(' '))
        .args(["--csv", "pipe", "--html=page"])
        .current_dir(folder.path())
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    for name in ["/dev/full", "pipe"] {
        assert!(stderr(&output).contains(&format!("cannot write {name}: ")), "{}", stderr(&output));
    }
    assert!(folder.path().join("page").is_file(), "the others are written");
}

#[test]
#[cfg(unix)]
fn outputs_do_not_replace_links_and_dashes_are_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink("/proc/self/fd/1", at("stdout")).unwrap();
    std::os::unix::fs::symlink("real", at("link")).unwrap();
    let bench = |files: &[&str]| {
        let words = "bench -q -e plain -l 64 -r max -n 100 --warmup 0".split(' ');
        udperf().args(words).args(files).current_dir(folder.path()).output().unwrap()
    };
    let output = bench(&["--csv", "stdout", "--html=link"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(at("stdout").is_symlink() && at("link").is_symlink());
    assert!(String::from_utf8(output.stdout).unwrap().contains("\nid,trial,"));
    assert!(std::fs::read_to_string(at("real")).unwrap().contains("<html"));
    for files in [
        &["--csv", "-"][..],
        &["--html=-"],
        &["--hdr", "-"],
        &["--junit", "-", "--fail-if", "loss>0"],
        &["--csv", "./x", "--html", "x"],
        &["--csv", "link", "--html", "real"],
    ] {
        let output = bench(files);
        assert_eq!(output.status.code(), Some(2), "{files:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
    for path in ["x/", &"x".repeat(300)] {
        let output = bench(&["--csv", path]);
        assert_eq!(output.status.code(), Some(1), "{path}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{path}");
    }
    assert!(!at("-").exists() && !at("x").exists());
}

#[test]
fn a_closed_standard_error_takes_nothing_along() {
    let mut child = udperf()
        .args("bench -J -e plain -l 64 -r max -n 100 --warmup 0 --fail-if received>=100".split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(number(&cells(&report)[0], "ledger.sent"), 100);
}

#[test]
fn conditions_decide_the_exit_code() {
    let judged = |conditions: &[&str]| {
        let mut command = udperf();
        command.args("bench -q -e plain -l 64 -r max,10k -n 100 --warmup 0".split(' '));
        // Whatever this machine misses of the schedule: the conditions alone decide.
        command.args(["--max-missed", "100%"]);
        conditions.iter().for_each(|condition| {
            command.args(["--fail-if", condition]);
        });
        command.output().unwrap()
    };
    let passed = judged(&["unaccounted>0", "received<100", "sent>100", "p50>60s"]);
    assert_eq!(passed.status.code(), Some(0), "{}", stderr(&passed));
    let held = judged(&["unaccounted>0", "received>=100"]);
    assert_eq!(held.status.code(), Some(3));
    assert_eq!(stderr(&held).lines().count(), 2, "once a cell: {}", stderr(&held));
    assert!(stderr(&held).contains("plain/64/max"));
    assert!(!held.stdout.is_empty(), "the report is printed all the same");
    assert_eq!(judged(&["speed>9"]).status.code(), Some(2));
}

#[test]
fn what_cannot_be_is_refused_with_what_mends_it() {
    for (words, code, says) in [
        ("-l 15", 2, "16 bytes"),
        ("-l 65508", 2, "65507"),
        ("-l 64,x", 2, "not a payload size"),
        ("-r 0", 2, "0 sends nothing"),
        ("-r 5G", 2, "100M datagrams"),
        ("-r 1bit -l 65507", 2, "out of range"),
        ("-t 0", 2, "is too short"),
        ("-t 48h", 2, "24 hours"),
        ("--warmup 48h", 2, "24 hours"),
        ("-n 0", 2, "not a number of datagrams"),
        ("--trials 0", 2, "at least 1"),
        ("--trials 400000000", 2, "too many"),
        ("-n 100 -r 0.001", 2, "24 hours"),
        ("--json=x --csv=x", 2, "two files"),
        ("--threads 0", 2, "at least 1"),
        ("-P 0", 2, "at least 1"),
        ("--threads 4 -P 2", 2, "at least as many flows"),
        ("--threads 2 -p 65535", 2, "lower --port"),
        ("--pin 0:999", 2, "allowed are"),
        ("--pin 0", 2, "TX:RX"),
        ("-e warp", 2, "plain, batch, gso, uring, xdp"),
        ("-e gso", 2, "only sends"),
        ("-e gro", 2, "only receives"),
        ("--batch 0", 2, "at least 1"),
        ("--batch 1025", 2, "at most 1024"),
        ("-e null/plain", 2, "both sides"),
        ("--pace odd", 2, "poisson"),
        ("--pace poisson -r max", 2, "needs a rate"),
        ("--pace ramp:1k..2k -r 5k", 2, "defines its own rates"),
        ("-t 1 -n 5", 2, "cannot be used with"),
        ("-b 1G -r max", 2, "cannot be used with"),
        ("-4 -6", 2, "cannot be used with"),
        ("-6 -B 127.0.0.1", 2, "contradict"),
        ("-4 -B ::1", 2, "contradict"),
        ("-B 224.0.0.1", 2, "not a host address"),
        ("--pairs", 2, "mpirun -np 2 --bind-to none udperf bench --pairs"),
        ("--incast", 2, "mpirun -np 3 --bind-to none udperf bench --incast"),
        ("--pairs --incast", 2, "cannot be used with"),
        ("--pairs -B 127.0.0.1", 2, "cannot be used with"),
        ("--net 10.9.0.0/16", 2, "<--pairs|--incast>"),
        ("--pairs --net 10.9.0.0", 2, "not a network; use such as 10.9.0.0/16"),
        ("-w 0", 2, "bytes"),
        ("--ttl 0", 2, "0 is not in 1"),
        ("--dscp 64", 2, "0 to 63"),
        ("--wait never", 2, "possible values"),
        ("-B 192.0.2.1", 1, "ip addr"),
        ("--dev no-such-device", 1, "ip link"),
        ("--fail-if loss", 2, "loss"),
    ] {
        let output = run(&format!("bench {words}"));
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{words}: {error}");
        assert!(error.contains(says), "{words}: {error}");
        assert!(output.stdout.is_empty(), "{words}");
    }
}

#[test]
fn a_closed_standard_output_ends_quietly() {
    for words in ["schema", "bench -q -l 64 -n 10 --warmup 0", "bench -q -J -l 64 -n 10", "doctor"]
    {
        let mut child = udperf()
            .args(words.split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words}");
        assert_eq!(stderr(&output), "", "{words}");
    }
}

#[test]
fn colours_come_only_where_asked() {
    let escapes = |words: &str| {
        let output = run(&format!("{words} bench").split(' ').rev().collect::<Vec<_>>().join(" "));
        output.stdout.contains(&0x1B)
    };
    assert!(!escapes("10 -n 64 -l -q"));
    assert!(!escapes("never --color 10 -n 64 -l -q"));
    assert!(escapes("always --color 10 -n 64 -l -q"));
}

/// Command lines that are invalid for a word with control characters: of C0, a title of the
/// terminal, a colour, C1, and one that reverses text.
const CONTROLS: [&[&str]; 4] = [
    &["bench", "--\x1b]0;title\x07\x1b[31m"],
    &["bench", "--rate", "\x1b[2J\u{9b}2J\u{202e}9"],
    &["\x1b[1A\r\u{9d}x"],
    &["bench", "-t", "1", "--label", "\x1b[8m"],
];

#[test]
fn invalid_arguments_do_not_control_the_terminal() {
    for words in CONTROLS {
        let output = udperf().args(words).output().unwrap();
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{error:?}");
        let is_control = |c: char| udperf::unit::is_control(c) && c != '\n';
        assert!(!error.contains(is_control), "{error:?}");
    }
}

#[cfg(all(unix, feature = "live"))]
#[test]
fn invalid_arguments_do_not_control_a_terminal_that_has_colours() {
    for words in CONTROLS {
        let mut command = udperf();
        command.args(words);
        let mut terminal = crate::pty::OnTerminal::start(command, 80, 24);
        // The last line.
        terminal.until_text("try '--help'");
        let written = String::from_utf8(terminal.written.clone()).unwrap();
        let is_control = |c: char| udperf::unit::is_control(c) && !"\r\n".contains(c);
        assert!(!written.contains(is_control), "{written:?}");
        assert_eq!(terminal.gave_back().0.status.code(), Some(2));
    }
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used)]
mod signals {
    use super::common::signals::{ended_by, sender_ticks};
    use super::*;

    #[test]
    fn an_interrupt_ends_the_run_and_reports_what_there_is() {
        let child = udperf()
            .args("bench -J -q -e plain -l 64,128 -r max -t 1h --warmup 0".split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It is measuring once its sender has worked for three ticks.
        while sender_ticks(child.id()) < 3 {
            std::thread::yield_now();
        }
        let output = ended_by(child, "INT");
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(cells(&report).len(), 1);
        let cell = &cells(&report)[0];
        assert_eq!(cell["cut_short"], true);
        assert!(number(cell, "ledger.sent") > 0);
        common::check(cell, "interrupted");
    }
}

#[cfg(not(feature = "live"))]
#[test]
fn a_view_that_is_not_built_in_is_refused() {
    for command in ["bench", "sink", "echo"] {
        let output = run(&format!("{command} --live"));
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(stderr(&output).contains("cargo build --release --features live"), "{command}");
    }
}
