//! Processes that are told to end, or to stand still, and when.

use std::fs;
use std::process::{Child, Command, Output};

/// Sends it a signal of this name: `INT`.
pub fn signal(process: u32, name: &str) {
    let words = [format!("-{name}"), process.to_string()];
    assert!(Command::new("kill").args(words).status().unwrap().success());
}

/// Stops a process, and waits until none of its threads runs.
pub fn stop(process: u32) {
    signal(process, "STOP");
    until_stopped(process);
}

/// Waits until no thread of a process runs.
pub fn until_stopped(process: u32) {
    // Field 3 of proc(5).
    let is_stopped = |task: &fs::DirEntry| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        assert!(!state.starts_with('Z'), "process {process} has ended and was not stopped");
        state.starts_with('T')
    };
    let folder = format!("/proc/{process}/task");
    while !fs::read_dir(&folder).unwrap().flatten().all(|task| is_stopped(&task)) {
        std::thread::yield_now();
    }
}

/// What it came to behind this signal.
pub fn ended_by(child: Child, name: &str) -> Output {
    signal(child.id(), name);
    child.wait_with_output().unwrap()
}

/// CPU time in clock ticks that the sending thread of a process has used; 0 before there is one.
pub fn sender_ticks(process: u32) -> u64 {
    let of = |task: fs::DirEntry| {
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once(") ")?;
        // Fields 14 and 15 of proc(5); the rest begins with the third.
        let ticks = rest.split(' ').skip(11).take(2).filter_map(|it| it.parse::<u64>().ok());
        name.contains("udperf-tx").then(|| ticks.sum::<u64>())
    };
    fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten().filter_map(of).sum()
}
