//! `--spread hash`: a hash of its source says which of the sink's workers gets a flow, so that no
//! sender knows how much each of them is to get.

use std::net::UdpSocket;

use serde_json::Value;

use crate::common::{codes, number, together};
use crate::nets::Place;
use crate::rig::{Sink, clean, only, report};

/// Datagrams of a measurement, and the flows that they are of.
const COUNT: u64 = 2_000;
/// See [`COUNT`].
const FLOWS: usize = 8;

/// Where source ports are looked for. Arbitrary: below those that the kernel gives to sockets
/// that ask for any (`ip_local_port_range`, ip(7): 32,768 and above).
const FIRST: u16 = 24_000;

/// The worker of two that the sink's program has the kernel choose for this source port of
/// 127.0.0.1: `SPREAD` and the order of operations as in src/net/steer.rs.
fn worker_of(port: u16) -> usize {
    let mix = |hash: u32, word: u32| (hash ^ word).wrapping_mul(0x9E37_79B1);
    let hash = mix(mix(0, 0x7F00_0001), port.into());
    ((hash >> 16 ^ hash) % 2) as usize
}

/// What each of the sink's workers received: all that was received, together.
#[track_caller]
fn workers(cell: &Value) -> Vec<u64> {
    let workers = cell["workers"].as_array().unwrap();
    let workers: Vec<_> = workers.iter().map(|count| count.as_u64().unwrap()).collect();
    assert_eq!(workers.len(), 2, "{workers:?}");
    assert_eq!(workers.iter().sum::<u64>(), number(cell, "ledger.received"), "{workers:?}");
    workers
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_hash_of_sources_loses_and_hides_nothing() {
    let _together = together();
    let sink = Sink::here("--threads 2");
    for words in ["-e plain", "-e batch", "-e plain --threads 2", "-e plain --bidir"] {
        let words = format!("{words} -n {COUNT} -r 5k -P {FLOWS} --spread hash");
        let report = report(&Place::here(), sink.at, &words);
        let forward = crate::rig::of(&report, "forward");
        clean(forward, COUNT, &words);
        workers(forward);
        assert_eq!(number(forward, "flows.count"), FLOWS as u64, "{words}");
        assert_eq!(number(forward, "flows.starved"), 0, "{words}");
        if words.contains("--bidir") {
            clean(crate::rig::of(&report, "reverse"), COUNT, &words);
        }
    }
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn flows_that_all_hash_to_one_worker_are_seen_to() {
    let _together = together();
    let sink = Sink::here("--threads 2");
    for wanted in [0, 1] {
        // Ports of the other worker are taken here, so that the client gets none of them; one that
        // somebody else has is left out by the client as well. Twice as many as flows are left.
        let (mut taken, mut left, mut last) = (Vec::new(), 0, FIRST - 1);
        while left < 2 * FLOWS {
            last += 1;
            let bound = UdpSocket::bind(("0.0.0.0", last));
            if worker_of(last) != wanted {
                taken.extend(bound);
            } else if bound.is_ok() {
                left += 1;
            }
        }
        let ports = format!("-P {FLOWS} --port-range {FIRST}-{last}");
        let words = format!("-e plain -n {COUNT} -r 5k --spread hash {ports}");
        let report = report(&Place::here(), sink.at, &words);
        let cell = only(&report);
        clean(cell, COUNT, &words);
        let workers = workers(cell);
        assert_eq!(workers[1 - wanted], 0, "{workers:?}");
        assert_eq!(workers[wanted], number(cell, "ledger.received"), "{workers:?}");
        assert!(codes(&report).contains(&"receiver_skew".to_owned()), "{:?}", codes(&report));
        drop(taken);
    }
    sink.end();
}
