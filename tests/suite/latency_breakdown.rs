//! Latency in legs where the two ends are two processes: what each knows of a sample comes together
//! at the client.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use common::{cells, number, run, stderr, udperf};
use serde_json::Value;

/// A sink on a port of its own, ended with its owner.
struct Sink {
    child: Child,
    port: String,
}

impl Sink {
    fn start() -> Self {
        let mut child = udperf()
            .args(["sink", "-q", "-B", "127.0.0.1", "-p", "0", "--threads", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines().next();
        let said = said.unwrap().unwrap();
        let port = said.rsplit(':').next().unwrap().to_owned();
        Self { child, port }
    }

    /// The document of a run against it.
    fn blast(&self, words: &str) -> Value {
        let output = run(&format!("blast 127.0.0.1:{} -J -q --warmup 5ms {words}", self.port));
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

/// Whether both ends, which are one host, have timestamps.
fn has_stamps(report: &Value) -> bool {
    let all = report["host"]["capabilities"].as_array().unwrap();
    let lacks = |name: &str| all.iter().any(|one| one["name"] == name && one["available"] == false);
    let missing = lacks("rx_timestamps") || lacks("tx_timestamps");
    if missing {
        common::skip::unavailable(format_args!("there are no timestamps of the kernel here"));
    }
    !missing
}

#[test]
fn legs_of_two_processes_add_up_each_way() {
    let sink = Sink::start();
    for (words, samples) in [
        ("-e plain,gso/batch -P 3", true),
        ("-e batch --reverse", true),
        // Several senders share the sink's socket, so that a stamp is nobody's.
        ("-e plain --reverse -P 2 --threads 2", false),
    ] {
        let report = sink.blast(&format!("{words} -l 64 -n 600 -r 10k --timestamps kernel"));
        if !has_stamps(&report) {
            return;
        }
        for cell in cells(&report) {
            assert_eq!(cell["legs"].is_object(), samples, "{words}: {}", cell["legs"]);
            if !samples {
                continue;
            }
            let n = |path: &str| number(cell, &format!("legs.{path}"));
            assert!(n("samples") <= number(cell, "ledger.received"), "{words}");
            let legs = ["lag", "system_call", "path", "in_socket"];
            let sum = legs.iter().map(|leg| n(&format!("{leg}.mean_ns"))).sum::<u64>();
            // Of five means, each is off by half a nanosecond at most.
            assert!(n("total.mean_ns").abs_diff(sum) <= 2, "{words}: {}", cell["legs"]);
            assert_eq!(n("bound_ns"), 0, "one host has one clock");
            assert!(n("total.max_ns") <= number(cell, "latency.max_ns"), "{words}");
        }
    }
}

#[test]
fn the_text_says_the_legs_or_why_there_are_none() {
    let sink = Sink::start();
    let text = |words: &str| {
        let words = format!("blast 127.0.0.1:{} -q -e plain -l 64 -n 300 -r 5k {words}", sink.port);
        String::from_utf8(run(&words).stdout).unwrap()
    };
    if !has_stamps(&sink.blast("-e plain -l 64 -n 10 -r max")) {
        return;
    }
    let kernel = text("--timestamps kernel");
    assert!(kernel.contains("\nlatency   lag ") && kernel.contains(" + socket "), "{kernel}");
    let shared = text("--timestamps kernel --reverse -P 2 --threads 2");
    assert!(shared.contains("\nlatency   not told in legs, for "), "{shared}");
    assert!(!text("").contains("\nlatency   "));
}
