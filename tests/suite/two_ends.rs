//! What documents of two ends say that those of one host do not: directions, the other host, its
//! clock, flows, and what nobody knows.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use common::serving::Serving;
use common::{cells, ids, number, run, stderr};
use serde_json::Value;

#[test]
fn each_direction_is_a_cell_that_adds_up() {
    let sink = Serving::start("-4");
    let report = sink.blast("-e plain --warmup 0 -l 64 -r 2k -n 200 --bidir");
    assert_eq!(ids(&report), ["plain/64/2k", "plain/64/2k/reverse"]);
    for (cell, way) in cells(&report).iter().zip(["forward", "reverse"]) {
        common::check(cell, way);
        assert_eq!((&cell["direction"], &cell["ends"]), (&way.into(), &"together".into()));
        let elsewhere = if way == "forward" { "rx" } else { "tx" };
        assert_eq!(cell[elsewhere]["cores"], Value::Array(Vec::new()), "{way}");
        assert_eq!(cell["flows"], Value::Null, "{way}");
        assert_eq!(cell["workers"].as_array().unwrap().len(), 1, "{way}");
    }
    let peer = &report["host"]["peer"];
    assert_eq!(peer["hostname"], report["host"]["hostname"]);
    let clock = &report["clock"];
    assert_eq!(clock["same"], true);
    assert_eq!((number(clock, "bound_ns"), &clock["min_rtt_ns"]), (0, &Value::Null));
    // On one host, each thing is said once.
    let codes = |report: &Value| -> Vec<String> {
        let all = report["warnings"].as_array().unwrap();
        all.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    let all = codes(&report);
    let doubled = |code: &&String| all.contains(&format!("sink_{code}"));
    assert_eq!(all.iter().find(doubled), None, "{all:?}");
}

#[test]
fn flows_and_receivers_add_up_to_what_was_received() {
    let sink = Serving::start("-4");
    for words in ["-l 64 -r 2k -n 240 --streams 12", "-l 64 -r 2k -n 240 --streams 12 --reverse"] {
        let report = sink.blast(&format!("-e plain --warmup 0 {words}"));
        let cell = &cells(&report)[0];
        common::check(cell, words);
        let received = number(cell, "ledger.received");
        let workers = cell["workers"].as_array().unwrap();
        assert_eq!(workers.iter().filter_map(Value::as_u64).sum::<u64>(), received, "{words}");
        assert_eq!(number(cell, "flows.count"), 12, "{words}");
        assert_eq!(number(cell, "flows.starved"), 0, "{words}");
        assert_eq!(number(cell, "flows.received.min"), 20, "{words}");
        assert_eq!(cell["flows"]["fairness"], 1.0, "{words}");
    }
}

#[test]
fn without_a_peer_what_only_it_knows_is_null() {
    // Somebody who never reads: an open port, so that nothing is refused.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap();
    let words = format!("blast {target} --no-peer -e plain -l 64 -r 2k -n 50 --warmup 0 -q");
    let output = run(&format!("{words} -J"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cell = &cells(&report)[0];
    assert_eq!((number(cell, "ledger.sent"), number(cell, "tx.datagrams")), (50, 50));
    let unknown = ["rx", "latency", "from_send", "jitter_ns", "flows", "workers", "ends"];
    unknown.iter().for_each(|name| assert!(cell[name].is_null(), "{name}: {}", cell[name]));
    let known = ["attempted", "sent", "refused", "lost_at"];
    for (name, value) in cell["ledger"].as_object().unwrap() {
        assert_eq!(value.is_null(), !known.contains(&name.as_str()), "{name}: {value}");
    }
    let places = cell["ledger"]["lost_at"].as_object().unwrap();
    assert!(places.values().all(Value::is_null), "{places:?}");
    assert!(cell["stalls"]["rx"].is_null() && report["clock"].is_null());
    let failed = run(&format!("{words} --max-missed 100% --fail-if loss>1%"));
    assert_eq!(failed.status.code(), Some(3));
    assert!(stderr(&failed).contains("loss is unknown"), "{}", stderr(&failed));
    let text = String::from_utf8(failed.stdout).unwrap();
    assert!(text.contains("\nsent      only the sending side is known"), "{text}");
    assert!(!text.contains("received") && !text.contains("delivered"), "{text}");
}
