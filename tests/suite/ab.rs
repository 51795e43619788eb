//! Two settings in turns: what is run, what is set up and undone, what is learned and kept.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::signals::ended_by;
use common::{stderr, udperf};
use serde_json::Value;
use tempfile::TempDir;

/// A run that takes no system call and no time.
const QUICK: [&str; 10] =
    ["bench", "-e", "null", "-l", "64", "-n", "2000", "-r", "max", "--warmup=0"];

/// The program, with a place of its own for what it learns.
fn in_folder(folder: &TempDir) -> Command {
    let mut command = udperf();
    command.env("XDG_STATE_HOME", folder.path());
    command
}

fn ab(folder: &TempDir, flags: &[&str], command: &[&str]) -> Output {
    let mut program = in_folder(folder);
    program.arg("ab").args(flags).arg("--").args(command).output().unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_alike_is_the_same_and_teaches_the_noise() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join("runs");
    let flags =
        ["--trials", "5", "--metric", "loss,duplicate", "-J", "--keep", keep.to_str().unwrap()];
    let output = ab(&folder, &flags, &QUICK);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let found = document(&output);
    assert_eq!((found["kind"].as_str(), found["verdict"].as_str()), (Some("ab"), Some("same")));
    assert_eq!(
        (found["base"]["documents"].as_u64(), found["interleaved"].as_bool()),
        (Some(5), Some(true))
    );
    let schema = in_folder(&folder).args(["schema", "comparison"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&found));
    let cell = &found["cells"][0];
    assert_eq!(cell["metrics"].as_array().unwrap().len(), 2);
    for metric in cell["metrics"].as_array().unwrap() {
        assert_eq!(metric["base"]["runs"].as_array().unwrap().len(), 5);
        assert_eq!(metric["p"].as_f64(), Some(1.0));
    }
    let floors = found["learned"]["floors"].as_array().unwrap();
    assert_eq!(floors.len(), 2);
    assert!(floors.iter().all(|floor| floor["runs"] == 10 && floor["noise"] == 0.0));
    assert!(folder.path().join("udperf/noise.json").is_file());
    // What was kept is compared by itself, with the noise that was learned.
    let [a, b] = ["a", "b"].map(|side| keep.join(side));
    assert_eq!(files(&a), ["001.json", "002.json", "003.json", "004.json", "005.json"]);
    let output = in_folder(&folder)
        .args(["compare", "--metric", "loss", "-J"])
        .args([&a, &b])
        .output()
        .unwrap();
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let found = document(&output);
    assert_eq!(
        (found["kind"].as_str(), found["verdict"].as_str()),
        (Some("compare"), Some("same"))
    );
    assert_eq!(found["cells"][0]["metrics"][0]["noise"], 0.0);
    // A book of its own is begun where there is none.
    let book = folder.path().join("book.json");
    let named = ["--trials", "5", "--metric", "loss", "-J", "--noise", book.to_str().unwrap()];
    let output = ab(&folder, &named, &QUICK);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(document(&output)["learned"]["kept_in"].as_str(), book.to_str());
    // Runs of another time do not mix with these.
    let output = ab(&folder, &flags, &QUICK);
    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("the folder is not empty"), "{}", stderr(&output));
}

#[test]
fn more_system_calls_are_worse() {
    let folder = tempfile::tempdir().unwrap();
    let metric = ["--metric", "syscalls_per_datagram", "--trials", "4", "--pin=off"];
    let command = ["bench", "-l", "64", "-n", "2000", "-r", "max", "--warmup=0"];
    let flags = [&metric[..4], &["--a", "-e null", "--b", "-e plain"]].concat();
    let output = ab(&folder, &flags, &command);
    assert_eq!(code(&output), Some(3), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("null/64/max → plain/64/max"), "{text}");
    assert!(text.contains("B is worse"), "{text}");
    // The other way round it is better, which is well.
    let flags = [&metric[..4], &["--a", "-e plain", "--b", "-e null"]].concat();
    let output = ab(&folder, &flags, &command);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(String::from_utf8(output.stdout).unwrap().contains("B is better"));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn too_few_runs_tell_nothing_and_say_how_many_would() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--trials", "2", "--metric", "loss"];
    let output = ab(&folder, &flags, &QUICK);
    assert_eq!(code(&output), Some(4), "{}", stderr(&output));
    let text =
        String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("at least 4 runs per side are needed, got 2; use --trials 4"), "{text}");
    let output = ab(&folder, &[&flags[..], &["--strict"]].concat(), &QUICK);
    assert_eq!(code(&output), Some(4));
    let output = ab(&folder, &[&flags[..], &["--allow-undecided"]].concat(), &QUICK);
    assert_eq!(code(&output), Some(0));
    let output = ab(&folder, &[&flags[..], &["--strict", "--allow-undecided"]].concat(), &QUICK);
    assert_eq!(code(&output), Some(2), "they contradict each other");
}

#[test]
fn setups_come_before_each_run_and_are_undone_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let say = |word: &str| format!("echo {word} >> '{}'", log.display());
    let (up_a, down_a, up, down) = (say("a"), say("-a"), say("b"), say("-b"));
    let flags = [
        "--trials",
        "3",
        "--metric",
        "loss",
        "--allow-undecided",
        "--setup-a",
        &up_a,
        "--undo-a",
        &down_a,
        "--setup-b",
        &up,
        "--undo-b",
        &down,
    ];
    let output = ab(&folder, &flags, &QUICK);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let log = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = log.lines().collect();
    // Three each, and a warm one.
    assert_eq!(lines.len(), 16);
    assert!(lines.chunks(2).all(|pair| pair[1] == format!("-{}", pair[0])), "{log}");
    assert!(lines.chunks(4).all(|block| block[0] != block[2]), "{log}");
}

#[test]
fn a_setup_that_fails_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let undo = format!("echo undone >> '{}'", log.display());
    let flags =
        ["--trials", "3", "--setup-b", "echo no such device >&2; exit 9", "--undo-b", &undo];
    let output = ab(&folder, &flags, &QUICK);
    assert_eq!(code(&output), Some(1));
    let said = stderr(&output);
    assert!(said.contains("the setup of B") && said.contains("no such device"), "{said}");
    assert!(said.contains("it was undone"), "{said}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "undone\n");
}

#[test]
fn a_run_that_fails_is_named_and_what_was_set_up_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let undo = format!("echo undone >> '{}'", log.display());
    let flags =
        ["--trials", "3", "--setup-b", "true", "--undo-b", &undo, "--b", "--port-range 1-1 -P 2"];
    let output = ab(&folder, &flags, &["bench", "-e", "plain", "-n", "10"]);
    assert_eq!(code(&output), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("udperf: run 1 of B: "), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "undone\n");
}

#[test]
fn what_cannot_be_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str], &str); 10] = [
        (&[], &["sink"], "ab cannot run 'sink'"),
        (&["--b", "--no-such-flag"], &QUICK, "B: unexpected argument '--no-such-flag'"),
        (&["--b", "-w 'x"], &QUICK, "unclosed quote"),
        (&[], &["bench", "--trials", "3"], "give ab its own --trials"),
        (&["--b", "-J"], &["bench"], "give ab its own --trials"),
        (&["--setup-b", "ethtool -K eth0 gro off"], &QUICK, "add --undo-b"),
        (&["--metric", "sent"], &QUICK, "neither better nor worse"),
        (&[], &["bench", "--html", "x.html"], "give ab its own --trials"),
        (&["--b", "--size=128"], &QUICK, "--size=128 is in the command and in --b"),
        (&["--bin-b", "/bin/true", "--b", "-q"], &QUICK, "give ab its own --trials"),
    ];
    for (flags, command, expected) in cases {
        let output = ab(&folder, flags, command);
        assert_eq!(code(&output), Some(2), "{flags:?}");
        assert!(stderr(&output).contains(expected), "{flags:?}: {}", stderr(&output));
    }
    let output = ab(&folder, &["--bin-b", "/no/such/udperf"], &QUICK);
    assert_eq!(code(&output), Some(1));
    assert!(stderr(&output).contains("cannot run /no/such/udperf"), "{}", stderr(&output));
    assert!(!folder.path().join("udperf").exists());
}

#[test]
fn another_program_must_give_documents() {
    let folder = tempfile::tempdir().unwrap();
    let output = ab(&folder, &["--trials", "2", "--bin-b", "/bin/true"], &QUICK);
    assert_eq!(code(&output), Some(1));
    assert!(stderr(&output).contains("of B: its document: not JSON"), "{}", stderr(&output));
}

/// Sends it a signal as soon as something is set up; returns how it ended, and the log of set-ups
/// once that has been undone.
fn signalled(signal: &str) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::fs::write(&log, "").unwrap();
    let [up, down] = ["up", "down"].map(|word| format!("echo {word} >> '{}'", log.display()));
    let both = ["--setup-a", &up, "--undo-a", &down, "--setup-b", &up, "--undo-b", &down];
    let child = in_folder(&folder)
        .args(["ab", "--warm", "0"])
        .args(both)
        .args(["--", "bench", "-e", "plain", "-l", "64", "-r", "max", "-t", "60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until = |word: &str| {
        let said = || std::fs::read_to_string(&log).unwrap();
        while !said().contains(word) {
            std::thread::yield_now();
        }
        said()
    };
    until("up");
    let output = ended_by(child, signal);
    (output, until("down"))
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn an_interrupted_one_undoes_what_was_set_up() {
    let (output, log) = signalled("INT");
    assert_eq!(code(&output), Some(130), "{}", stderr(&output));
    assert_eq!(log, "up\ndown\n");
}

#[test]
fn what_was_set_up_is_undone_although_the_program_was_killed() {
    let (output, log) = signalled("KILL");
    assert_eq!(code(&output), None, "{}", stderr(&output));
    assert_eq!(log, "up\ndown\n");
}

#[test]
#[cfg(target_os = "linux")]
fn what_sysctl_set_is_put_back_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    // Of a network namespace, so that nobody else sees it.
    let script = format!(
        "ip link set lo up && sysctl -qw net.unix.max_dgram_qlen=21 && '{}' ab --trials 2 -J \
         --allow-undecided --metric loss --setup-b 'sysctl -w net.unix.max_dgram_qlen=77' -- {} > '{}' && \
         sysctl -n net.unix.max_dgram_qlen",
        env!("CARGO_BIN_EXE_udperf"),
        QUICK.join(" "),
        folder.path().join("ab.json").display(),
    );
    let output = Command::new("unshare")
        .args(["-rn", "sh", "-c", &script])
        .env("XDG_STATE_HOME", folder.path())
        .output();
    let output = match output {
        Ok(output) if !stderr(&output).contains("unshare") => output,
        _ => {
            return common::skip::missing("no network namespace can be made here");
        }
    };
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "21\n");
    let text = std::fs::read_to_string(folder.path().join("ab.json")).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    let differences = found["differences"].as_array().unwrap();
    let queue = differences.iter().find(|found| found["what"] == "host.max_dgram_qlen").unwrap();
    assert_eq!((queue["base"][0].as_str(), queue["new"][0].as_str()), (Some("21"), Some("77")));
}
