//! Runs of the program, and what holds of every document.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use crate::actions::Counts;
pub use crate::common::only;
use crate::common::{available, cells, check_identities, number, sum};
use crate::proc::{Done, PATIENCE, Proc};

/// The engine words that this host has; reports the others.
pub fn engines() -> Vec<&'static str> {
    available(&[("plain", &["plain"]), ("batch", &["batch"]), ("gso/batch", &["gso", "batch"])])
}

pub use crate::common::skip::missing as skip;

/// Words as a shell splits them.
fn split(words: &str) -> Vec<String> {
    shlex::split(words).unwrap()
}

/// Starts a client: `COMMAND TARGET -J -q --warmup 0`, and these words.
pub fn start(kind: &str, target: &str, words: &str) -> Proc {
    let mut command = crate::common::udperf();
    command.args([kind, target, "-J", "-q", "--warmup", "0"]).args(split(words));
    Proc::start(command)
}

/// Runs a client that says what it has to say on standard error, too.
#[track_caller]
pub fn run_aloud(kind: &str, target: &str, words: &str) -> Done {
    let mut command = crate::common::udperf();
    command.args([kind, target, "-J", "--warmup", "0"]).args(split(words));
    Proc::start(command).finish(PATIENCE)
}

/// Runs a client to its end, whatever that is.
#[track_caller]
pub fn run(kind: &str, target: &str, words: &str) -> Done {
    start(kind, target, words).finish(PATIENCE)
}

/// Runs `udperf load` to its document, which must add up.
#[track_caller]
pub fn load(target: SocketAddr, words: &str) -> Value {
    adds_up(&run("load", &target.to_string(), words).expect(0), "load")
}

/// Runs `udperf ping` to its document, which must add up.
#[track_caller]
pub fn ping(target: SocketAddr, words: &str) -> Value {
    adds_up(&run("ping", &target.to_string(), words).expect(0), "ping")
}

/// The document of a client that has ended.
#[track_caller]
pub fn adds_up(done: &Done, kind: &str) -> Value {
    let report = done.document();
    assert_eq!(report["schema"], "udperf/1", "{done:?}");
    assert_eq!(report["kind"], kind, "{done:?}");
    assert!(!cells(&report).is_empty(), "{done:?}");
    cells(&report).iter().for_each(|cell| settle(cell, &done.words));
    report
}

/// The identities of a cell of requests and replies.
#[track_caller]
pub fn settle(cell: &Value, context: &str) {
    let n = |path: &str| number(cell, path);
    let id = format!("{context}: {}: {} {}", cell["id"], cell["exchange"], cell["ledger"]);
    check_identities(cell, &id);
    assert_eq!(n("ledger.sent"), n("exchange.requests"), "{id}");
    if cell["rx"].is_null() {
        return;
    }
    check_identities(cell, &id);
    assert_eq!(n("exchange.requests"), n("exchange.matched") + n("exchange.timeouts"), "{id}");
    let fates = ["matched", "duplicate", "late", "continued", "stale", "unmatched"];
    let replies: u64 = fates.iter().map(|fate| n(&format!("exchange.{fate}"))).sum();
    assert_eq!(n("exchange.replies"), replies, "{id}");
    assert!(sum(cell, "exchange.errors") <= n("exchange.matched"), "{id}");
    let of_timeouts = [n("exchange.given_up"), n("exchange.incomplete")];
    assert!(of_timeouts.into_iter().all(|part| part <= n("exchange.timeouts")), "{id}");
    assert!(n("exchange.acknowledged") <= n("exchange.continued"), "{id}");
    assert_eq!(n("ledger.received"), n("exchange.matched"), "{id}");
    assert_eq!(n("rx.datagrams"), n("exchange.matched"), "{id}");
    let beside = n("exchange.continued") + n("exchange.stale");
    assert_eq!(n("ledger.arrived") + beside, n("exchange.replies"), "{id}");
    if cell["exchange"]["in_order"] == true && n("exchange.timeouts") > 0 {
        assert!(cell["latency"].is_null() && cell["from_send"].is_null(), "{id}");
    } else if n("exchange.matched") > 0 {
        assert_eq!(cell["latency"]["kind"], "round_trip", "{id}");
        assert_eq!(n("latency.count"), n("exchange.matched"), "{id}");
    }
}

/// What a cell counts.
pub fn counts(cell: &Value) -> Counts {
    let n = |name: &str| number(cell, &format!("exchange.{name}"));
    let errors = cell["exchange"]["errors"].as_object().unwrap();
    let errors: BTreeMap<_, _> =
        errors.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect();
    Counts {
        requests: n("requests"),
        replies: n("replies"),
        matched: n("matched"),
        unmatched: n("unmatched"),
        duplicate: n("duplicate"),
        late: n("late"),
        continued: n("continued"),
        timeouts: n("timeouts"),
        incomplete: n("incomplete"),
        errors,
    }
}
