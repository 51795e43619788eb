//! Every exit code that scripts rely on, by the program itself, in one place.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::kept::{at_rate, fresh, put};
use common::{stderr, udperf};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A run that takes neither system calls nor time.
const QUICK: [&str; 10] =
    ["bench", "-e", "null", "-l", "64", "-n", "2000", "-r", "max", "--warmup=0"];

/// So many runs a side tell a tenth from nothing.
const ENOUGH: usize = 10;

/// Delivered a second, as made up.
const RATE: u64 = 1_000_000;

/// Stored runs, and a place of its own for what the program learns.
struct Rig {
    folder: TempDir,
    fresh: Value,
}

impl Rig {
    fn new(trials: usize) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), fresh: fresh(trials) }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A document of runs that delivered so much.
    fn at(&self, pps: u64) -> String {
        put(self.path(), &format!("{pps}.json"), &at_rate(&self.fresh, pps))
    }

    /// One that was changed by hand.
    fn edited(&self, name: &str, edit: impl FnOnce(&mut Value)) -> String {
        let mut document = at_rate(&self.fresh, RATE);
        edit(&mut document);
        put(self.path(), name, &document)
    }

    fn udperf(&self) -> Command {
        let mut command = udperf();
        command.env("XDG_STATE_HOME", self.path());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.udperf().args(words).output().unwrap()
    }

    fn compare(&self, base: &str, new: &str, flags: &[&str]) -> Output {
        self.run(&[&["compare", "--metric", "rx_pps", base, new], flags].concat())
    }
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn zero_is_all_well() {
    let rig = Rig::new(ENOUGH);
    for words in [&["schema"][..], &["--help"], &["--version"], &["doctor"], &QUICK] {
        let output = rig.run(words);
        assert_eq!(code(&output), Some(0), "{words:?}: {}", stderr(&output));
        assert!(!output.stdout.is_empty(), "{words:?}");
    }
    let base = rig.at(RATE);
    for (new, verdict) in [(rig.at(RATE), "same"), (rig.at(RATE * 11 / 10), "better")] {
        for flags in [&[][..], &["--strict"]] {
            let output = rig.compare(&base, &new, flags);
            assert_eq!(code(&output), Some(0), "{verdict}: {}", stderr(&output));
            assert!(stdout(&output).contains(&format!("new is {verdict}")), "{output:?}");
        }
    }
}

#[test]
fn one_is_could_not_run() {
    let rig = Rig::new(1);
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let cases: [(&[&str], &str); 5] = [
        (&["sink", "-B", "127.0.0.1", "-p", &port], "choose another --port"),
        (&["echo", "-B", "127.0.0.1", "-p", &port], "choose another --port"),
        (&["bench", "-B", "192.0.2.1"], "192.0.2.1"),
        (&["bench", "--json=/no/such/folder/file"], "choose another path"),
        (&["report", "/no/such/file.json"], "/no/such/file.json"),
    ];
    for (words, says) in cases {
        let output = rig.run(words);
        assert_eq!(code(&output), Some(1), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{words:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    let failing = ["ab", "--trials", "2", "--bin-b", "/bin/false", "--"];
    let output = rig.run(&[&failing[..], &QUICK].concat());
    assert_eq!(code(&output), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("udperf: run 1 of B: "), "{}", stderr(&output));
}

#[test]
fn one_is_could_not_read_what_it_was_given() {
    let rig = Rig::new(ENOUGH);
    let good = rig.at(RATE);
    let write = |name: &str, text: &str| {
        let path = rig.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let whole = std::fs::read_to_string(&good).unwrap();
    let empty = rig.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let cases = [
        (rig.path().join("none.json").to_str().unwrap().to_owned(), "none.json"),
        (empty.to_str().unwrap().to_owned(), "empty"),
        (write("half.json", &whole[..whole.len() / 2]), "ends in the middle"),
        (write("nothing.json", ""), "it is empty"),
        (write("text.json", "sent 100 = received 100"), "not JSON"),
        (write("iperf.json", r#"{"start": {}, "end": {}}"#), "not a udperf document"),
        (rig.edited("newer.json", |it| it["schema"] = json!("udperf/2")), "udperf/2"),
        (rig.edited("sink.json", |it| it["kind"] = json!("sink")), "it is of kind 'sink'"),
        (
            rig.edited("sums.json", |it| it["cells"][7]["ledger"]["received"] = json!(1)),
            "cell null/64/max (trial 7): sent = received + lost does not hold",
        ),
        (
            rig.edited("rate.json", |it| it["cells"][0]["rx"]["pps"] = json!(9e9)),
            "rx.pps = rx.datagrams_in_window / elapsed_ns does not hold",
        ),
        (rig.edited("type.json", |it| it["cells"][0]["id"] = json!(3)), "it is damaged"),
        (
            rig.edited("other.json", |it| it["scenario"]["batch"] = json!(8)),
            "have different scenarios",
        ),
    ];
    for (bad, says) in &cases {
        for (base, new) in [(&good, bad), (bad, &good)] {
            let output = rig.compare(base, new, &[]);
            assert_eq!(code(&output), Some(1), "{bad}: {}", stderr(&output));
            assert!(stderr(&output).contains(says), "{bad}: {}", stderr(&output));
            assert!(output.stdout.is_empty(), "{bad}");
        }
    }
}

#[test]
fn two_is_not_understood() {
    let rig = Rig::new(ENOUGH);
    let good = rig.at(RATE);
    let both = ["-J", "--markdown"];
    let cases: [(&[&str], &str); 12] = [
        (&["no-such-command"], "unrecognized subcommand"),
        (&["bench", "--no-such-flag"], "unexpected argument"),
        (&["bench", "--fail-if", "speed>9"], "no metric 'speed'"),
        (&["bench", "--junit", "x.xml"], "--fail-if"),
        (&["compare", &good], "NEW"),
        (&["compare", &good, &good, "--tolerance", "much"], "invalid share"),
        (&["compare", &good, &good, "--metric", "speed"], "unknown metric"),
        (&["compare", &good, &good, "--junit=x", "--bmf=x"], "two results cannot both go to x"),
        (
            &["compare", &good, &good, "--benchmark=x", "--bmf=x-bigger.json"],
            "cannot both go to x-bigger.json",
        ),
        (&["ab", "--trials", "2"], "COMMAND"),
        (&["ab", "--trials", "2", "--", "sink"], "ab cannot run 'sink'"),
        (&["compare", &good, &good, both[0], both[1]], "cannot both go to standard output"),
    ];
    for (words, says) in cases {
        let output = rig.udperf().args(words).current_dir(rig.path()).output().unwrap();
        assert_eq!(code(&output), Some(2), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{words:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    assert!(!rig.path().join("x").exists());
    let output = rig.run(&[]);
    assert_eq!(code(&output), Some(2), "words alone say nothing to do");
}

#[test]
fn three_is_a_condition_that_held() {
    let rig = Rig::new(ENOUGH);
    let output = rig.run(&[&QUICK[..], &["--fail-if", "sent>=2000"]].concat());
    assert_eq!(code(&output), Some(3));
    let said = "null/64/max: failed: sent is 2000, limit 2000";
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
    let kept = rig.at(RATE);
    assert_eq!(code(&rig.run(&["report", &kept, "--fail-if", "rx_pps<2M"])), Some(3));
    assert_eq!(code(&rig.run(&["report", &kept, "--fail-if", "rx_pps<500k"])), Some(0));
}

#[test]
fn three_is_worse_in_any_cell() {
    let rig = Rig::new(ENOUGH);
    let (base, new) = (rig.at(RATE), rig.at(RATE * 9 / 10));
    for flags in [&[][..], &["--strict"], &["-J", "-q"]] {
        let output = rig.compare(&base, &new, flags);
        assert_eq!(code(&output), Some(3), "{}", stderr(&output));
        assert!(!output.stdout.is_empty(), "the verdict is printed all the same");
    }
    let text = stdout(&rig.compare(&base, &new, &[]));
    assert!(text.contains("new is worse"), "{text}");
    // What is tolerated is not worse.
    let output = rig.compare(&base, &new, &["--tolerance", "20%"]);
    assert_eq!(code(&output), Some(0), "{}", stdout(&output));
    // One cell among others.
    let mut two = at_rate(&rig.fresh, RATE);
    let mut cells = two["cells"].as_array().unwrap().clone();
    for cell in &mut cells {
        cell["id"] = json!("null/512/max");
    }
    two["cells"].as_array_mut().unwrap().extend(cells);
    let base = put(rig.path(), "two-before.json", &two);
    let slower = at_rate(&rig.fresh, RATE * 9 / 10)["cells"].as_array().unwrap().clone();
    two["cells"].as_array_mut().unwrap().splice(..ENOUGH, slower);
    let new = put(rig.path(), "two-after.json", &two);
    let output = rig.compare(&base, &new, &[]);
    assert_eq!(code(&output), Some(3), "{}", stderr(&output));
    assert!(stdout(&output).contains("of 2 cells 1 worse, 1 same"), "{}", stdout(&output));
}

#[test]
fn four_is_undecided_where_that_is_not_to_pass() {
    let rig = Rig::new(ENOUGH);
    // Just at the tolerance: the interval lies on both sides of it.
    let (base, new) = (rig.at(RATE), rig.at(RATE * 98 / 100));
    for flags in [&[][..], &["--strict"], &["-J", "-q"]] {
        let strict = rig.compare(&base, &new, flags);
        assert_eq!(code(&strict), Some(4), "{}", stdout(&strict));
    }
    let strict = rig.compare(&base, &new, &[]);
    assert!(stdout(&strict).contains("new is undecided"), "{}", stdout(&strict));
    let lenient = rig.compare(&base, &new, &["--allow-undecided"]);
    assert_eq!(code(&lenient), Some(0), "{}", stderr(&lenient));
    assert!(stdout(&lenient).contains("new is undecided"), "{}", stdout(&lenient));
}

#[test]
fn too_few_runs_name_the_number_needed() {
    let rig = Rig::new(3);
    // Halved: nobody could doubt it but for the number of runs.
    let (base, new) = (rig.at(RATE), rig.at(RATE / 2));
    let says = "at least 4 runs per side are needed, got 3; use --trials 4";
    for (flags, expected) in [(&[][..], 4), (&["--strict"], 4), (&["--allow-undecided"], 0)] {
        let output = rig.compare(&base, &new, flags);
        assert_eq!(code(&output), Some(expected), "{}", stderr(&output));
        assert!(stdout(&output).contains(says), "{}", stdout(&output));
    }
    // With as many as were named, there is a verdict.
    let rig = Rig::new(4);
    let (base, new) = (rig.at(RATE), rig.at(RATE / 2));
    assert_eq!(code(&rig.compare(&base, &new, &[])), Some(3));
}

/// A document of which nothing arrived.
fn silent(rig: &Rig) -> String {
    let mut document = at_rate(&rig.fresh, RATE);
    for cell in document["cells"].as_array_mut().unwrap() {
        let sent = cell["ledger"]["sent"].clone();
        let ledger = cell["ledger"].as_object_mut().unwrap();
        for name in ["received", "arrived"] {
            ledger[name] = json!(0);
        }
        (ledger["lost"], ledger["unaccounted"]) = (sent.clone(), sent);
        cell["latency"] = Value::Null;
    }
    put(rig.path(), "silent.json", &document)
}

#[test]
fn five_is_a_side_that_cannot_be_compared() {
    let rig = Rig::new(ENOUGH);
    let (fine, silent) = (rig.at(RATE), silent(&rig));
    for (base, new, sides) in [
        (&fine, &silent, "new is"),
        (&silent, &fine, "base is"),
        (&silent, &silent, "base and new are"),
    ] {
        for flags in [&[][..], &["--allow-undecided"]] {
            let output = rig.compare(base, new, flags);
            assert_eq!(code(&output), Some(5), "{} {}", stdout(&output), stderr(&output));
            let text = stdout(&output).split_whitespace().collect::<Vec<_>>().join(" ");
            // The last line names the sides, and the notes the reasons, each once.
            let verdict = format!("cannot compare new with base: {sides} invalid");
            assert!(text.ends_with(&verdict), "{text}");
            let reasons = text.matches(": null/64/max: none of").count();
            assert_eq!(reasons, sides.split(" and ").count(), "{text}");
            assert!(!text.contains("undecided"), "{text}");
        }
    }
    let output = rig.compare(&fine, &silent, &["-J"]);
    assert_eq!(code(&output), Some(5));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["verdict"], "cannot_compare");
    // So does the kept verdict.
    let kept = put(rig.path(), "verdict.json", &document);
    assert_eq!(code(&rig.run(&["report", "-q", &kept])), Some(5));
    assert_eq!(document["invalid"][0]["code"], "nothing_arrived");
    assert_eq!(document["invalid"][0]["runs"], ENOUGH);
    assert_eq!(document["invalid"].as_array().unwrap().len(), 1);
    let junit = rig.path().join("verdict.xml");
    let flag = format!("--junit={}", junit.display());
    rig.compare(&fine, &silent, &[&flag]);
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("<error") && xml.contains("nothing_arrived"), "{xml}");
}

/// A program that gives a stored document whatever it is asked to measure.
#[cfg(unix)]
fn player(rig: &Rig, name: &str, document: &str) -> PathBuf {
    let path = rig.path().join(name);
    // By another process: while this one has a file open for writing, processes that other tests
    // start have it open, too, and the kernel executes no such file (ETXTBSY, execve(2)).
    let script = "printf '#!/bin/sh\\nexec cat %s\\n' \"$1\" >\"$0\" && chmod +x \"$0\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(&path).arg(document);
    assert!(shell.status().unwrap().success());
    path
}

#[test]
#[cfg(unix)]
fn runs_in_turns_end_by_the_same_codes() {
    let rig = Rig::new(1);
    let [before, same, slower] = [RATE, RATE, RATE * 9 / 10].map(|pps| rig.at(pps));
    let before = player(&rig, "before", &before);
    let ab = |new: &Path, trials: &str, flags: &[&str]| {
        let mut command = rig.udperf();
        command.args(["ab", "--trials", trials, "--warm", "0", "--metric", "rx_pps"]);
        command.arg("--bin-a").arg(&before).arg("--bin-b").arg(new).args(flags).arg("--");
        code(&command.args(QUICK).output().unwrap())
    };
    let same = player(&rig, "same", &same);
    let slower = player(&rig, "slower", &slower);
    let dead = player(&rig, "dead", &silent(&rig));
    assert_eq!(ab(&dead, "2", &[]), Some(5), "nothing arrived in B");
    assert_eq!(ab(&same, "10", &["--strict"]), Some(0));
    assert_eq!(ab(&slower, "10", &[]), Some(3));
    assert_eq!(ab(&slower, "2", &[]), Some(4), "too few to tell");
    assert_eq!(ab(&slower, "2", &["--strict"]), Some(4));
    assert_eq!(ab(&slower, "2", &["--allow-undecided"]), Some(0));
    // Allowing undecided does not allow worse.
    assert_eq!(ab(&slower, "10", &["--allow-undecided"]), Some(3));
}

#[cfg(target_os = "linux")]
mod interrupted {
    use super::common::signals::{ended_by, sender_ticks};
    use super::*;

    #[test]
    fn one_hundred_and_thirty_is_interrupted_with_what_there_is() {
        let rig = Rig::new(1);
        let keep = rig.path().join("kept");
        let child = rig
            .udperf()
            .args(["ab", "-J", "-q", "--warm", "0", "--trials", "10000", "--metric", "loss"])
            .arg("--keep")
            .arg(&keep)
            .arg("--")
            .args(QUICK)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while !["a", "b"].iter().all(|side| keep.join(side).join("001.json").exists()) {
            std::thread::yield_now();
        }
        let output = ended_by(child, "INT");
        assert_eq!(code(&output), Some(130), "{}", stderr(&output));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["kind"], "ab");
        assert!(found["base"]["documents"].as_u64() >= Some(1));
    }

    /// A run of an hour, once it sends.
    fn running(words: &[&str]) -> std::process::Child {
        let child = udperf()
            .args(["bench", "-q", "-e", "plain", "-l", "64", "-r", "max", "-t", "1h"])
            .args(["--warmup", "0"])
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while sender_ticks(child.id()) < 3 {
            std::thread::yield_now();
        }
        child
    }

    #[test]
    fn signals_in_a_row_are_one_signal() {
        // A terminal that closes sends SIGHUP.
        for name in ["TERM", "INT", "HUP"] {
            let child = running(&["-J"]);
            let process = child.id().to_string();
            let words = [format!("-{name}")].into_iter().chain(vec![process; 8]);
            assert!(Command::new("kill").args(words).status().unwrap().success());
            let output = child.wait_with_output().unwrap();
            assert_eq!(code(&output), Some(130), "{name}: {}", stderr(&output));
            let found: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(found["cells"][0]["cut_short_because"], "interrupted");
        }
    }

    #[test]
    fn a_later_signal_ends_a_run_that_cannot_end_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        // A full pipe that nobody empties.
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut held = std::fs::File::options().read(true).write(true).open(&pipe).unwrap();
        std::io::Write::write_all(&mut held, &[b' '; 65_536]).unwrap();
        let mut child = running(&[&format!("--json={}", pipe.display())]);
        while child.try_wait().unwrap().is_none() {
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), Some(130), "{}", stderr(&output));
    }

    #[test]
    fn a_pipe_without_a_reader_does_not_keep_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let path = format!("--json={}", pipe.display());
        let output =
            udperf().args(QUICK).args([path.as_str(), "-q"]).env("TMPDIR", folder.path()).output();
        let output = output.unwrap();
        assert_eq!(code(&output), Some(1), "{}", stderr(&output));
        let said = format!("cannot write {}: no program reads it", pipe.display());
        assert!(stderr(&output).contains(&said), "{}", stderr(&output));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "the pipe, the document");
    }

    #[test]
    fn timeout_leaves_a_report() {
        // timeout(1) signals its child, then its group.
        let output = Command::new("timeout")
            .args(["1", env!("CARGO_BIN_EXE_udperf")])
            .args(["bench", "-l", "64", "-e", "plain", "-t", "10", "-r", "1k", "-J", "-q"])
            .output()
            .unwrap();
        assert_eq!(code(&output), Some(124), "{}", stderr(&output));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["cells"][0]["cut_short"], true);
    }

    #[test]
    fn a_signal_that_was_ignored_stays_ignored() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_udperf")]);
        command.args(["bench", "-e", "plain", "-l", "64", "-r", "max", "-t", "1h", "-J", "-q"]);
        command.args(["--warmup", "0"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        while sender_ticks(child.id()) < 3 {
            std::thread::yield_now();
        }
        common::signals::signal(child.id(), "HUP");
        let before = sender_ticks(child.id());
        while sender_ticks(child.id()) < before + 3 {
            std::thread::yield_now();
        }
        let output = ended_by(child, "INT");
        assert_eq!(code(&output), Some(130), "{}", stderr(&output));
    }
}
