//! Runs the program and checks what every document must fulfil.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod kept;
pub mod ports;
pub mod serving;
pub mod signals;
pub mod skip;

use std::process::{Command, Output};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::Value;
use udperf::document::Ledger;
use udperf::measure::ledger_identities;

/// The program, without the environment's say in colours.
pub fn udperf() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udperf"));
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// Tests of this program that may share the cores with each other read it; others write it.
static CORES: RwLock<()> = RwLock::new(());

/// For a test that sends at full rate or whose result depends on delays: no other test runs.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    CORES.write().unwrap_or_else(PoisonError::into_inner)
}

/// For a test at a low rate, which mostly waits: runs beside others of its kind.
pub fn together() -> RwLockReadGuard<'static, ()> {
    CORES.read().unwrap_or_else(PoisonError::into_inner)
}

/// Runs it with these words, separated by blanks.
pub fn run(words: &str) -> Output {
    udperf().args(words.split_whitespace()).output().unwrap()
}

/// What it said on standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The codes of all warnings of a document.
pub fn codes(report: &Value) -> Vec<String> {
    let of = |value: &Value| value["warnings"].as_array().unwrap().clone();
    let all = cells(report).iter().chain([report]).flat_map(of);
    all.map(|warning| warning["code"].as_str().unwrap().to_owned()).collect()
}

/// Runs a benchmark to its document, which must add up.
pub fn bench(words: &str) -> Value {
    let output = run(&format!("bench -J -q --warmup 5ms {words}"));
    assert_eq!(output.status.code(), Some(0), "{words}: {}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], "udperf/1");
    cells(&report).iter().for_each(|cell| check(cell, words));
    report
}

/// The cells of a document.
pub fn cells(report: &Value) -> &[Value] {
    report["cells"].as_array().unwrap()
}

/// Names of all cells, in the order they ran.
pub fn ids(report: &Value) -> Vec<&str> {
    cells(report).iter().map(|cell| cell["id"].as_str().unwrap()).collect()
}

/// A number of a cell, by path: `ledger.sent`.
pub fn number(cell: &Value, path: &str) -> u64 {
    let found = path.split('.').fold(cell, |value, name| &value[name]);
    found.as_u64().unwrap_or_else(|| panic!("{path} is {found}"))
}

/// The identities of the ledger, all known where there is a receiver, and of the schedule.
#[track_caller]
pub fn check_identities(cell: &Value, id: &str) {
    let ledger: Ledger = serde_json::from_value(cell["ledger"].clone()).unwrap();
    for identity in ledger_identities(&ledger) {
        assert!(identity.holds(), "{id}: {identity:?}: {}", cell["ledger"]);
        assert!(identity.left.is_some() || cell["rx"].is_null(), "{id}: {identity:?}");
    }
    let n = |path: &str| number(cell, path);
    assert_eq!(n("tx.datagrams"), n("ledger.sent"), "{id}");
    if !cell["rx"].is_null() {
        assert_eq!(n("rx.datagrams"), n("ledger.received"), "{id}");
    }
    if !cell["schedule"].is_null() {
        assert_eq!(n("schedule.scheduled"), n("ledger.attempted") + n("schedule.missed"), "{id}");
    }
    check_intervals(cell, id);
}

/// The sum of a field over the intervals of a cell; unknown ones count as 0.
pub fn interval_sum(cell: &Value, field: &str) -> u64 {
    let intervals = cell["intervals"].as_array().unwrap();
    intervals.iter().filter_map(|interval| interval[field].as_u64()).sum()
}

/// Intervals, where there are any, follow each other without a gap and add up to the cell.
#[track_caller]
fn check_intervals(cell: &Value, id: &str) {
    let Some(intervals) = cell["intervals"].as_array().filter(|all| !all.is_empty()) else {
        return;
    };
    let ends = intervals.iter().map(|interval| number(interval, "end_ns"));
    let starts = intervals.iter().map(|interval| number(interval, "start_ns"));
    assert!(starts.eq([0].into_iter().chain(ends).take(intervals.len())), "{id}");
    let requests = !cell["exchange"].is_null();
    let is_mixed_up =
        requests && cell["exchange"]["in_order"] == true && number(cell, "exchange.timeouts") > 0;
    // Which requests were answered is not known then.
    let is_unknown =
        |field| is_mixed_up && ["received", "lost", "timeouts", "errors"].contains(&field);
    for (field, whole) in [
        ("sent", "ledger.sent"),
        ("received", "ledger.received"),
        ("lost", "ledger.lost"),
        ("duplicate", "ledger.duplicate"),
        ("late", "ledger.late"),
        ("reordered", "ledger.reordered"),
        ("missed", "schedule.missed"),
        ("timeouts", "exchange.timeouts"),
    ] {
        let Some(whole) = whole.split('.').fold(cell, |value, name| &value[name]).as_u64() else {
            continue;
        };
        match is_unknown(field) {
            true => assert!(intervals.iter().all(|one| one[field].is_null()), "{id}: {field}"),
            false => assert_eq!(interval_sum(cell, field), whole, "{id}: {field}"),
        }
    }
    assert_eq!(interval_sum(cell, "refused"), sum(cell, "ledger.refused"), "{id}");
    for interval in intervals {
        let received = interval["received"].as_u64().filter(|received| *received > 0);
        assert_eq!(sum_if_any(&latencies(interval)), received, "{id}: {interval}");
    }
    if requests && !is_unknown("errors") {
        assert_eq!(interval_sum(cell, "errors"), sum(cell, "exchange.errors"), "{id}");
    }
}

fn sum_if_any(counts: &[u64]) -> Option<u64> {
    (!counts.is_empty()).then(|| counts.iter().sum())
}

/// The counts of the latency histogram of an interval.
pub fn latencies(interval: &Value) -> Vec<u64> {
    let text = interval["latency_histogram"].as_str().unwrap_or_default();
    let counts = text.split_whitespace().map(|bucket| bucket.split_once(':').unwrap().1);
    counts.map(|count| count.parse().unwrap()).collect()
}

/// The only cell.
#[track_caller]
pub fn only(report: &Value) -> &Value {
    let [cell] = cells(report) else { panic!("one cell, not {}", cells(report).len()) };
    cell
}

/// The sum of all numbers of an object of a cell; unknown ones are left out.
pub fn sum(cell: &Value, path: &str) -> u64 {
    let fields = path.split('.').fold(cell, |value, name| &value[name]).as_object().unwrap();
    fields.values().filter_map(Value::as_u64).sum()
}

/// The engines of a list of words and needed capabilities that this host has; reports the others.
pub fn available(needs: &[(&'static str, &[&str])]) -> Vec<&'static str> {
    let facts = udperf::host::host_info(udperf::host::Depth::Quick);
    let has = |name: &&str| {
        let found = facts.capabilities.iter().find(|found| found.name == *name);
        let has = found.is_some_and(|found| found.available);
        if !has {
            let detail = found.map(|found| &found.detail);
            skip::unavailable(format_args!("no {name} here: {detail:?}"));
        }
        has
    };
    let here = needs.iter().filter(|(_, needs)| needs.iter().all(has));
    here.map(|(word, _)| *word).collect()
}

/// The identities of a bench cell: of its ledger, and of what must agree with it.
#[track_caller]
pub fn check(cell: &Value, context: &str) {
    let n = |path: &str| number(cell, path);
    let id = format!("{context}: {}", cell["id"]);
    check_identities(cell, &id);
    assert_eq!(n("ledger.unaccounted"), 0, "{id}: {}", cell["ledger"]);
    if n("ledger.received") > 0 {
        assert_eq!(n("latency.count"), n("ledger.received"), "{id}");
        assert!(n("latency.min_ns") <= n("latency.p50_ns"), "{id}");
        assert!(n("latency.p99_ns") <= n("latency.max_ns"), "{id}");
    }
}

/// The flag that puts both ends on one core, whichever this process may use.
pub fn one_core() -> String {
    let core = udperf::sys::affinity().and_then(|cores| cores.first().copied()).unwrap_or(0);
    format!("--pin {core}:{core}")
}

/// Runs a set-up and a script in new namespaces (`unshare -rmn`); what the script prints, split at
/// lines of `====`, and its standard error. `$U` is the program, `$T` a temporary folder. `None`,
/// reported as skipped, where the set-up fails.
pub fn in_namespaces(set_up: &str, script: &str) -> Option<(Vec<String>, String)> {
    in_namespaces_of("-rmn", set_up, script)
}

/// The same with the capabilities of root outside, which bpf(2) needs.
pub fn in_namespaces_as_root(set_up: &str, script: &str) -> Option<(Vec<String>, String)> {
    in_namespaces_of("-mn", set_up, script)
}

fn in_namespaces_of(flags: &str, set_up: &str, script: &str) -> Option<(Vec<String>, String)> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args([flags, "sh", "-c", &format!("{set_up}\necho READY\n{script}")])
        .env("U", env!("CARGO_BIN_EXE_udperf"))
        .env("T", folder.path())
        .output();
    let skip = |why: String| {
        skip::missing(format_args!("no namespaces: {why}"));
        None
    };
    let output = match output {
        Ok(output) => output,
        Err(error) => return skip(error.to_string()),
    };
    let (text, error) = (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output));
    let Some((_, text)) = text.split_once("READY\n") else { return skip(error) };
    assert!(output.status.success(), "{text}\n{error}");
    Some((text.split("====\n").map(str::to_owned).collect(), error))
}
