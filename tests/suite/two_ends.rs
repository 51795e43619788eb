//! What documents of two ends say that those of one host do not: directions, the other host, its
//! clock, flows, and what nobody knows.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use common::{cells, ids, number, run, stderr, udperf};
use serde_json::Value;

/// A sink that ends with the test.
struct Sink {
    child: Child,
    port: String,
}

impl Sink {
    fn start() -> Self {
        let mut command = udperf();
        command.args("sink -q -4 -p 0".split(' '));
        Self::of(command)
    }

    /// One that this command starts.
    fn of(mut command: std::process::Command) -> Self {
        command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().to_owned();
        Self { child, port }
    }

    /// The document of a run with these words, which must end well.
    fn blast(&self, words: &str) -> Value {
        let target = format!("127.0.0.1:{}", self.port);
        let output = run(&format!("blast {target} -J -q -e plain --warmup 0 {words}"));
        assert_eq!(output.status.code(), Some(0), "{words}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_direction_is_a_cell_that_adds_up() {
    let sink = Sink::start();
    let report = sink.blast("-l 64 -r 2k -n 200 --bidir");
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
    let sink = Sink::start();
    for words in ["-l 64 -r 2k -n 240 --streams 12", "-l 64 -r 2k -n 240 --streams 12 --reverse"] {
        let report = sink.blast(words);
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

/// Two network namespaces with a wire between them, which end with the test. `None`, and it says
/// why, where there is no right or no program to make them.
#[cfg(target_os = "linux")]
struct Wire {
    names: [String; 2],
}

#[cfg(target_os = "linux")]
impl Wire {
    fn lay() -> Option<Self> {
        let names = ["a", "b"].map(|end| format!("udperf-{}-{end}", std::process::id()));
        let wire = Self { names };
        let [a, b] = &wire.names;
        let laid = [
            format!("ip netns add {a}"),
            format!("ip netns add {b}"),
            format!("ip link add wire netns {a} type veth peer name wire netns {b}"),
            format!("ip -n {a} address add 10.77.88.1/24 dev wire"),
            format!("ip -n {b} address add 10.77.88.2/24 dev wire"),
            // Engines are tried over loopback.
            format!("ip -n {a} link set lo up"),
            format!("ip -n {b} link set lo up"),
            format!("ip -n {a} link set wire up"),
            format!("ip -n {b} link set wire up"),
        ];
        let all = laid.iter().all(|words| does(words));
        if !all {
            common::skip::missing("no network namespaces can be made here (root, iproute2)");
        }
        all.then_some(wire)
    }

    /// A command in one of them.
    fn within(&self, end: usize) -> std::process::Command {
        let mut command = std::process::Command::new("ip");
        command.args(["netns", "exec", &self.names[end], env!("CARGO_BIN_EXE_udperf")]);
        command
    }
}

#[cfg(target_os = "linux")]
impl Drop for Wire {
    fn drop(&mut self) {
        for name in &self.names {
            does(&format!("ip netns delete {name}"));
        }
    }
}

/// Whether that command did well.
#[cfg(target_os = "linux")]
fn does(words: &str) -> bool {
    let mut words = words.split(' ');
    let mut command = std::process::Command::new(words.next().unwrap());
    command.args(words).stderr(Stdio::null()).stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
#[cfg(target_os = "linux")]
fn what_the_senders_queue_dropped_is_charged_to_it() {
    let Some(wire) = Wire::lay() else { return };
    let shape = format!("tc -n {} qdisc add dev wire root tbf", wire.names[0]);
    if !does(&format!("{shape} rate 20mbit burst 16k limit 40k")) {
        return common::skip::missing("no qdisc can be put to a device here (tc, sch_tbf)");
    }
    let mut command = wire.within(1);
    command.args("sink -q -4 -p 0".split(' '));
    let sink = Sink::of(command);
    let words = "-e gso+batch -l 1472 -r max -n 2k --warmup 0 -J -q";
    let mut command = wire.within(0);
    command.args(["blast", &format!("10.77.88.2:{}", sink.port)]).args(words.split(' '));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cell = &cells(&report)[0];
    // Adds up, and nothing is unaccounted.
    common::check(cell, words);
    assert_eq!(cell["ends"], "apart");
    let (drops, refused) =
        (number(cell, "kernel.qdisc_drops"), number(cell, "ledger.refused.no_buffers"));
    let lost = number(cell, "ledger.lost");
    assert!(lost > 0, "the queue was too long: {cell}");
    assert_eq!(number(cell, "ledger.lost_at.qdisc"), lost, "{}", cell["ledger"]);
    // Not equal: control messages passed through the same queue, and of a super-packet that is no
    // longer than the burst, which is dropped whole, the queue counts one. Where neither is so,
    // tests/across/queues.rs has them equal.
    assert!(lost <= drops - refused, "{lost} of {drops} less {refused}");
}

#[test]
fn a_client_does_not_wait_for_itself() {
    let free = common::ports::free();
    let output = run(&format!("blast 127.0.0.1:{free} -p {free} -t 1"));
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("is the port of this client itself"), "{}", stderr(&output));
}

#[test]
fn what_a_client_waits_for_is_named_meanwhile() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap();
    let mut command = udperf();
    command.args(["blast", &at.to_string()]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with(&format!("udperf: no answer of {at} yet; waiting")), "{line}");
}
