//! Latency in legs where the two ends are two processes: what each knows of a sample comes together
//! at the client.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use common::serving::Serving;
use common::{cells, number, run};
use serde_json::Value;

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
    let sink = Serving::start("-B 127.0.0.1 --threads 1");
    for (words, samples) in [
        ("-e plain,gso/batch -P 3", true),
        ("-e batch --reverse", true),
        // Several senders share the sink's socket, so that a stamp is nobody's.
        ("-e plain --reverse -P 2 --threads 2", false),
    ] {
        let report =
            sink.blast(&format!("--warmup 5ms {words} -l 64 -n 600 -r 10k --timestamps kernel"));
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
    let sink = Serving::start("-B 127.0.0.1 --threads 1");
    let text = |words: &str| {
        let words = format!("blast 127.0.0.1:{} -q -e plain -l 64 -n 300 -r 5k {words}", sink.port);
        String::from_utf8(run(&words).stdout).unwrap()
    };
    if !has_stamps(&sink.blast("--warmup 5ms -e plain -l 64 -n 10 -r max")) {
        return;
    }
    let kernel = text("--timestamps kernel");
    assert!(kernel.contains("\nlatency   lag ") && kernel.contains(" + socket "), "{kernel}");
    let shared = text("--timestamps kernel --reverse -P 2 --threads 2");
    assert!(shared.contains("\nlatency   no breakdown for "), "{shared}");
    assert!(!text("").contains("\nlatency   "));
}
