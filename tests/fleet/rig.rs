//! Runs on hosts of one machine, and what holds of every document of them.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use serde_json::Value;

use crate::common::{cells, check_identities, skip};
use crate::proc::{Done, PATIENCE, Proc};

/// The program.
pub const UDPERF: &str = env!("CARGO_BIN_EXE_udperf");

/// The server, at the port that servers have by default.
pub const SERVER: &str = "10.99.0.2:7788";

/// Marks the processes of a run in their environment.
const MARK: &str = "UDPERF_TEST_FLEET";

fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/fleet-netns"))
}

/// Whether this machine can; reports what is missing.
pub fn can_run() -> bool {
    static WHY_NOT: OnceLock<Option<String>> = OnceLock::new();
    let why_not = WHY_NOT.get_or_init(|| {
        let output = script().args(["1", "--", "true"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (!output.status.success()).then_some(text)
    });
    if let Some(why_not) = why_not {
        skip::missing(why_not);
    }
    why_not.is_none()
}

/// A run of the program in several processes.
pub struct Fleet {
    pub proc: Proc,
    mark: String,
}

impl Fleet {
    /// Starts a command on this many hosts, with options of the script.
    pub fn start(hosts: u16, options: &[&str], command: &[&str]) -> Self {
        let mut script = script();
        let mark = format!("{}-{}", std::process::id(), fastrand::u64(..));
        script.env(MARK, &mark).arg(hosts.to_string()).args(options).arg("--").args(command);
        // After a failure, the leader has this time to write its report (orterun(1), MCA). The
        // default of 1 s may be short for a debug build on a busy machine.
        script.env("OMPI_MCA_odls_base_sigkill_timeout", "2");
        Self { proc: Proc::start(script), mark }
    }

    /// Its processes that still run: their number, environment and command.
    pub fn processes(&self) -> Vec<(u32, String, String)> {
        left(&self.mark)
    }

    /// The process of this rank, once it is there.
    pub fn process_of(&self, rank: u16) -> u32 {
        let rank = format!("OMPI_COMM_WORLD_RANK={rank}");
        loop {
            let all = self.processes();
            let is_of = |environment: &str| environment.split('\0').any(|one| one == rank);
            let found = all.iter().find(|(_, environment, command)| {
                is_of(environment) && command.starts_with(UDPERF)
            });
            if let Some((process, ..)) = found {
                return *process;
            }
            std::thread::yield_now();
        }
    }

    /// Returns once the host of this rank has sent more datagrams than control messages need: the
    /// cell, which has no warm-up, has begun.
    pub fn await_cell(&self, rank: u16) {
        let snmp = format!("/proc/{}/net/snmp", self.process_of(rank));
        let sent = || {
            let text = std::fs::read_to_string(&snmp).ok()?;
            let counts = text.lines().filter_map(|line| line.strip_prefix("Udp: ")).nth(1)?;
            // InDatagrams, NoPorts, InErrors, OutDatagrams (proc_net_snmp(5)).
            counts.split(' ').nth(3)?.parse::<u64>().ok()
        };
        let begin = Instant::now();
        while sent().is_none_or(|sent| sent < 200) {
            assert!(begin.elapsed() < PATIENCE, "rank {rank} sends nothing");
            std::thread::yield_now();
        }
    }

    /// Its end with such an exit code, which leaves no process.
    #[track_caller]
    pub fn end(self, is_expected: impl Fn(i32) -> bool) -> Done {
        let Self { proc, mark } = self;
        let done = proc.finish(PATIENCE);
        assert!(done.code.is_some_and(is_expected), "{done:?}");
        assert_eq!(left(&mark), [], "{done:?}");
        done
    }
}

fn left(mark: &str) -> Vec<(u32, String, String)> {
    let mark = format!("{MARK}={mark}");
    let of = |entry: std::fs::DirEntry| {
        let process = entry.file_name().to_str()?.parse().ok()?;
        let text = |name| {
            let bytes = std::fs::read(entry.path().join(name)).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let environment: String = text("environ")?;
        let is_ours = environment.split('\0').any(|one| one == mark);
        is_ours.then(|| Some((process, environment, text("cmdline")?)))?
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(of).collect()
}

/// The document of `udperf COMMAND SERVER -J -q --warmup 0` and these words, with these options of
/// the script; it and its members must add up.
#[track_caller]
pub fn measure(hosts: u16, options: &[&str], words: &str) -> Value {
    let (kind, words) = words.split_once(' ').unwrap();
    let mut command = vec![UDPERF, kind, SERVER, "-J", "-q", "--warmup", "0"];
    command.extend(words.split_whitespace());
    let report = Fleet::start(hosts, options, &command).end(|code| code == 0).document();
    check_members(&report);
    report
}

/// The members of a document.
pub fn members(report: &Value) -> &[Value] {
    report["members"].as_array().unwrap()
}

/// Each member adds up, and all of them to the whole.
#[track_caller]
pub fn check_members(report: &Value) {
    for (index, cell) in cells(report).iter().enumerate() {
        let id = cell["id"].as_str().unwrap();
        check_identities(cell, id);
        let parts: Vec<_> = members(report).iter().map(|member| &member["cells"][index]).collect();
        for part in &parts {
            check_identities(part, &format!("{id} of a member"));
            assert_eq!(part["id"], cell["id"]);
        }
        check_sums(cell, &parts);
    }
}

#[track_caller]
fn check_sums(cell: &Value, parts: &[&Value]) {
    let of = |cell: &Value, path: &str| {
        path.split('.').fold(cell, |value, name| &value[name]).as_u64().unwrap_or(0)
    };
    for path in [
        "ledger.attempted",
        "ledger.sent",
        "ledger.received",
        "ledger.lost",
        "ledger.unaccounted",
        "ledger.arrived",
        "ledger.duplicate",
        "ledger.late",
        "schedule.scheduled",
        "schedule.missed",
        "exchange.requests",
        "exchange.matched",
        "exchange.timeouts",
        "latency.count",
    ] {
        let sum: u64 = parts.iter().map(|part| of(part, path)).sum();
        assert_eq!(of(cell, path), sum, "{}: {path}", cell["id"]);
    }
    for (path, choose) in
        [("latency.min_ns", u64::min as fn(u64, u64) -> u64), ("latency.max_ns", u64::max)]
    {
        let all = parts.iter().map(|part| of(part, path));
        assert_eq!(Some(of(cell, path)), all.reduce(choose), "{}: {path}", cell["id"]);
    }
}

/// The document of a server that the script ended.
#[track_caller]
pub fn read(file: &Path) -> Value {
    let text = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&text).unwrap()
}
