//! `--realtime`: the policy of workers as the kernel reports it, locked memory, and refusals.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::common::{self, signals::ended_by, skip};

/// `SCHED_FIFO` of `include/uapi/linux/sched.h`, and the priority in the manual.
const FIFO: (&str, &str) = ("1", "10");

fn udperf(words: &str) -> Command {
    let mut command = common::udperf();
    command.args(words.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Policy and real-time priority of the threads of this process, by name (proc_pid_stat(5)).
fn policies(child: &Child) -> Vec<(String, String, String)> {
    let folder = format!("/proc/{}/task", child.id());
    let tasks = fs::read_dir(folder).into_iter().flatten().flatten();
    let policy = |stat: String| {
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        // Fields 40 and 41, of which the first two precede `rest`.
        Some((name.to_owned(), (*fields.get(38)?).to_owned(), (*fields.get(37)?).to_owned()))
    };
    tasks.filter_map(|task| policy(fs::read_to_string(task.path().join("stat")).ok()?)).collect()
}

/// The lines of a process that holds this thread, once there is one.
fn with_thread(child: &mut Child, name: &str) -> Vec<(String, String, String)> {
    while child.try_wait().unwrap().is_none() {
        let found = policies(child);
        if found.iter().any(|(thread, policy, _)| thread == name && policy == FIFO.0) {
            return found;
        }
        std::thread::yield_now();
    }
    Vec::new()
}

fn json(stdout: &[u8]) -> Value {
    serde_json::from_slice(stdout).unwrap()
}

fn is_permitted() -> bool {
    let doctor = udperf("doctor -J").output().unwrap();
    let document = json(&doctor.stdout);
    let capabilities = document["host"]["capabilities"].as_array().unwrap().clone();
    capabilities.iter().any(|can| can["name"] == "realtime" && can["available"] == true)
        && document["host"]["cores"].as_u64() >= Some(2)
}

#[test]
fn pinned_workers_have_the_policy_fifo() {
    if !is_permitted() {
        return skip::missing("SCHED_FIFO and two CPUs");
    }
    let mut child = udperf("bench --realtime -e plain -l 64 -r 1k -t 60 -q -J").spawn().unwrap();
    let found = with_thread(&mut child, "udperf-tx-0");
    let locked = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let output = ended_by(child, "INT");
    let of = |name: &str| found.iter().find(|(thread, ..)| thread == name).cloned();
    let fifo = |name: &str| Some((name.to_owned(), FIFO.0.to_owned(), FIFO.1.to_owned()));
    assert_eq!(of("udperf-tx-0"), fifo("udperf-tx-0"), "{found:?}");
    assert_eq!(of("udperf").map(|(_, policy, _)| policy).as_deref(), Some("0"), "the main thread");
    let locked = locked.lines().find(|line| line.starts_with("VmLck:")).map(str::to_owned);
    assert!(locked.is_some_and(|line| !line.ends_with(" 0 kB")));
    let document = json(&output.stdout);
    let realtime = &document["realtime"];
    assert_eq!((&realtime["asked"], &realtime["priority"]), (&2.into(), &10.into()));
    // With two CPUs, the receiver leaves one free.
    let cpus = document["host"]["cores"].as_u64().unwrap();
    assert_eq!(realtime["granted"].as_u64(), Some(2.min(cpus - 1)));
    assert!(realtime["locked_bytes"].as_u64() > Some(0));
}

#[test]
fn workers_of_servers_have_the_policy_fifo() {
    if !is_permitted() {
        return skip::missing("SCHED_FIFO and two CPUs");
    }
    let mut child = udperf("echo --realtime -B 127.0.0.1 -p 0 -q -J").spawn().unwrap();
    let found = with_thread(&mut child, "udperf-echo-0");
    let output = ended_by(child, "INT");
    assert!(found.iter().any(|(name, ..)| name == "udperf-echo-0"), "{found:?}");
    let document = json(&output.stdout);
    assert_eq!(document["realtime"]["granted"], 1, "{document}");
}

#[test]
fn a_run_without_it_has_no_such_field() {
    let output = udperf("bench -e plain -l 64 -r 1k -n 10 -q -J").output().unwrap();
    let document = json(&output.stdout);
    assert!(document["realtime"].is_null() && document["scenario"]["realtime"] == false);
}

#[test]
fn refuses_what_would_make_the_host_unreachable() {
    for (words, reason) in [
        ("bench --realtime --pin off -r 1k", "--realtime needs pinned workers"),
        ("bench --realtime --wait spin --threads 500 -P 500 -r 1k", "a core for each worker"),
        ("echo --realtime --pin off", "--realtime needs pinned workers"),
        ("sink --realtime --threads 500", "a core for each worker"),
    ] {
        let output = udperf(words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        // With one CPU, that is the reason.
        assert!(told.contains(reason) || told.contains("needs a second CPU"), "{words}: {told}");
        assert_eq!(output.status.code(), Some(2), "{words}");
    }
}

#[test]
fn tells_the_command_where_it_is_not_permitted() {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_nice", "--inh-caps=-sys_nice", "--"]);
    command.arg(env!("CARGO_BIN_EXE_udperf")).args("bench --realtime -l 64 -r 1k -n 1".split(' '));
    let Ok(output) = command.output() else { return skip::missing("setpriv") };
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if told.contains("setpriv:") {
        return skip::missing("root");
    }
    // A limit of the user may permit it, and one CPU never does.
    if output.status.success() || told.contains("needs a second CPU") {
        return skip::missing("a refusal of SCHED_FIFO");
    }
    assert!(told.contains("SCHED_FIFO priority 10 is not permitted"), "{told}");
    assert!(told.contains("setcap cap_sys_nice,cap_ipc_lock=ep"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}
