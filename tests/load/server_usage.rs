//! What the processes of a server use, as `--server-pid` and `--server-unit` report it.

use std::process::Command;

use serde_json::Value;

use crate::common::serving::Serving;
use crate::common::signals::signal;
use crate::common::{codes, number, together, udperf};
use crate::proc::{PATIENCE, Proc};
use crate::rig::{adds_up, only, run, skip};

fn echo() -> (Serving, String) {
    let echo = Serving::of("echo", "-B 127.0.0.1");
    let at = format!("127.0.0.1:{}", echo.port);
    (echo, at)
}

#[test]
fn a_process_is_reported_by_cell_and_by_interval() {
    let _together = together();
    let (echo, at) = echo();
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let pid = echo.process().to_string();
    let words =
        format!("--preset echo -r 2k -t 2 -i 1 --server-pid {pid} --html {}", page.display());
    let report = adds_up(&run("load", &at, &words).expect(0), "load");
    let cell = only(&report);
    let server = &cell["server"];
    assert_eq!((number(server, "processes"), number(server, "socket_drops")), (1, 0), "{server}");
    for field in ["threads", "cpu_ns", "rss_bytes", "context_switches.voluntary"] {
        assert!(number(server, field) > 0, "{field}: {server}");
    }
    assert!(number(server, "busiest_thread_ns") <= number(server, "cpu_ns"), "{server}");
    assert!(number(server, "time_ns") >= number(cell, "elapsed_ns"), "{server}");
    // Intervals that were read at both ends add up to the cell.
    let parts: Vec<_> =
        cell["intervals"].as_array().unwrap().iter().map(|one| &one["server"]).collect();
    if parts.iter().all(|part| part.is_object()) {
        for field in ["time_ns", "cpu_ns"] {
            let sum: u64 = parts.iter().map(|part| number(part, field)).sum();
            assert_eq!(sum, number(server, field), "{field}: {parts:?}");
        }
    }
    // A column of the table, and a panel of the chart over time.
    let is_over_time = parts.iter().any(|part| part.is_object());
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches(">server CPU<").count(), 1 + usize::from(is_over_time), "{page}");
    let mut command = udperf();
    let file = folder.path().join("cells.csv");
    command.args(["load", &at, "--preset", "echo", "-r", "2k", "-n", "100", "--csv"]).arg(&file);
    command.args(["--server-pid", &pid, "-q"]);
    Proc::start(command).finish(PATIENCE).expect(0);
    let csv = std::fs::read_to_string(&file).unwrap();
    let (titles, row) = csv.split_once('\n').unwrap();
    let at_title = titles.split(',').position(|title| title == "server_cpu_ns").unwrap();
    let cpu = row.split(',').nth(at_title).unwrap();
    assert!(cpu.parse::<u64>().is_ok(), "{csv}");
    let mut command = udperf();
    command.args(["ping", &at, "-n", "100", "--server-pid", &pid]);
    let done = Proc::start(command).finish(PATIENCE).expect(0);
    assert!(done.stdout.contains("\nserver    "), "{}", done.stdout);
    assert!(done.stdout.contains("CPU  server CPU  "), "{}", done.stdout);
    assert!(done.stdout.replace('\u{a0}', " ").contains(" context switches, RSS "));
}

/// A control group as systemd makes one for a unit; removed with the test.
struct Unit(std::path::PathBuf);

impl Unit {
    /// `None`, reported as skipped, where no group can be made.
    fn of(name: &str, processes: &[u32]) -> Option<Self> {
        let roots = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup"].map(std::path::Path::new);
        let unit = roots.into_iter().map(|root| root.join(name));
        let unit = unit.into_iter().find(|unit| std::fs::create_dir(unit).is_ok()).map(Self);
        let joins = |unit: &Self, process: &u32| {
            std::fs::write(unit.0.join("cgroup.procs"), process.to_string()).is_ok()
        };
        let unit = unit.filter(|unit| processes.iter().all(|process| joins(unit, process)));
        if unit.is_none() {
            skip("no control group can be made");
        }
        unit
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_unit_has_the_sums_of_its_processes() {
    let _together = together();
    let ((echo, at), (other, _)) = (echo(), echo());
    let name = format!("udperf-test-{}.service", std::process::id());
    let Some(unit) = Unit::of(&name, &[echo.process(), other.process()]) else { return };
    let short = name.strip_suffix(".service").unwrap();
    let report = run("load", &at, &format!("--preset echo -r 2k -n 400 --server-unit {short}"));
    let report = adds_up(&report.expect(0), "load");
    let server = &only(&report)["server"];
    let of_one = |serving: &Serving| {
        std::fs::read_dir(format!("/proc/{}/task", serving.process())).unwrap().count() as u64
    };
    assert_eq!(number(server, "processes"), 2, "{server}");
    assert_eq!(number(server, "threads"), of_one(&echo) + of_one(&other), "{server}");
    assert_eq!(number(server, "socket_drops"), 0, "{server}");
    echo.end();
    other.end();
    drop(unit);
}

#[test]
fn a_process_that_ends_makes_its_figures_unknown() {
    let _together = together();
    let (echo, at) = echo();
    let mut command = udperf();
    let pid = echo.process().to_string();
    command.args(["load", &at, "--preset", "echo", "-r", "1k", "-t", "2", "-i", "100ms", "-J"]);
    command.args(["--warmup", "0", "--timeout", "100ms", "--server-pid", &pid]);
    let mut client = Proc::start(command);
    // The title, then a line for the first interval.
    client.line("cell");
    signal(echo.process(), "KILL");
    let report = client.finish(PATIENCE).document();
    let server = &only(&report)["server"];
    assert_eq!(number(server, "processes"), 0, "{server}");
    for field in ["cpu_ns", "busiest_thread_ns", "rss_bytes", "socket_drops"] {
        assert_eq!(server[field], Value::Null, "{field}");
    }
    assert!(codes(&report).contains(&"server_ended".to_owned()), "{:?}", codes(&report));
}

#[test]
fn processes_that_are_not_the_server_are_refused() {
    let _together = together();
    let (echo, at) = echo();
    let (other, parent) = (free_number().to_string(), std::process::id());
    let mut idle = Command::new("sleep").arg("60").spawn().unwrap();
    let this = idle.id().to_string();
    for (words, says) in [
        (format!("--server-pid {other}"), "there is no such process"),
        (format!("--server-pid {this}"), "has no UDP socket on port"),
        (format!("--server-pid {},{other}", echo.process()), "there is no such process"),
        ("--server-unit no-such-unit".to_owned(), "no control group of that name"),
        ("--server-unit ../x".to_owned(), "no control group of that name"),
    ] {
        let done = run("load", &at, &format!("--preset echo -n 1 {words}")).expect(1);
        assert!(done.stderr.contains(says) && done.stdout.is_empty(), "{done:?}");
    }
    idle.kill().unwrap();
    idle.wait().unwrap();
    let mut shell = Command::new("sh");
    let load = format!("exec $UDPERF load {at} --preset echo -n 1 -q --server-pid $$");
    shell.args(["-c", &load]).env("UDPERF", env!("CARGO_BIN_EXE_udperf"));
    let done = Proc::start(shell).finish(PATIENCE).expect(1);
    assert!(done.stderr.contains("that is udperf itself"), "{done:?}");
    // A dry check: an address that is not of this host, and no rate, so that nothing is sent.
    let words = format!("--preset echo -n 1 --server-pid {}", echo.process());
    run("load", "192.0.2.1:9", &words).expect(2);
    // What a process has started belongs to it, as this one has started the server.
    let words = format!("--preset echo -n 1 -r 1k --server-pid {parent}");
    let report = adds_up(&run("load", &at, &words).expect(0), "load");
    assert!(number(&only(&report)["server"], "processes") > 1, "{report}");
    let document = echo.end();
    assert_eq!(number(&document, "received"), 1, "what was refused sent nothing");
}

/// The number of a process that has ended.
fn free_number() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}
