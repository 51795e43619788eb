//! Runs the program and checks what every document must fulfil.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod kept;
pub mod serving;
pub mod signals;
pub mod skip;

use std::process::{Command, Output};

use serde_json::Value;
use udperf::document::Ledger;
use udperf::report::checks::ledger_identities;

/// The program, without the environment's say in colours.
pub fn udperf() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udperf"));
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
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
}

/// The identities of the ledger, and what must agree with it.
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
