//! Labels, ids, tokens and ports are new to a server in all phases, cells, trials, search steps and
//! runs, as recorded by a server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::common::{codes, number, together};
use crate::proc::{Done, PATIENCE, Proc};
use crate::protocols::Protocol;
use crate::recorder::{Recorder, Request};
use crate::rig::{load, only};

/// Runs the program with these words, warm-up included.
fn run(words: &str) -> Done {
    let mut command = crate::common::udperf();
    command.args(words.split_whitespace());
    Proc::start(command).finish(PATIENCE)
}

/// A server that answers queries of DNS.
fn dns() -> Recorder {
    Recorder::start(|_, request| vec![Protocol::Dns.answer(request)])
}

/// Two cells, twice each, all with a warm-up.
const CELLS: &str = "-J -q --warmup 40ms -r 300,301 -t 100ms --trials 2 --timeout 50ms";

/// The random labels of these queries, 8 letters each.
fn labels(requests: &[Request]) -> Vec<&[u8]> {
    requests.iter().map(|(_, request)| &request[13..21]).collect()
}

/// All of these differ; their number.
#[track_caller]
fn distinct<T: Ord + std::fmt::Debug>(all: impl IntoIterator<Item = T>) -> usize {
    let mut seen = BTreeSet::new();
    for one in all {
        let text = format!("{one:?}");
        assert!(seen.insert(one), "again: {text}");
    }
    seen.len()
}

#[test]
fn labels_are_new_in_every_phase_cell_trial_and_run() {
    let _together = together();
    let server = dns();
    let words = "--preset dns --name example.test --random-subdomain 8";
    for words in [words.to_owned(), format!("{words} -P 3 --threads 2"), words.to_owned()] {
        run(&format!("load {} {words} {CELLS}", server.at)).expect(0);
    }
    let requests = server.end();
    // Each run has four warm-ups and four cells.
    assert!(requests.len() > 3 * 4 * 2, "{}", requests.len());
    assert_eq!(distinct(labels(&requests)), requests.len());
}

#[test]
fn labels_are_new_in_every_step_of_a_search() {
    let _together = together();
    let server = dns();
    let words = "--preset dns --name example.test --random-subdomain 8 --warmup 10ms";
    let search = "search -q --time 40ms --start 200 --max-rate 800 loss<=50%";
    run(&format!("{search} -- load {} {words}", server.at));
    let requests = server.end();
    assert!(requests.len() > 20, "{}", requests.len());
    assert_eq!(distinct(labels(&requests)), requests.len());
}

#[test]
fn a_seed_brings_the_same_requests_again() {
    let _together = together();
    let server = dns();
    let words = "-n 40 -r 500 --preset dns --name example.test --random-subdomain 8 -P 1";
    for seed in [5, 5, 6] {
        load(server.at, &format!("{words} --seed {seed}"));
    }
    let requests = server.end();
    let bytes: Vec<_> = requests.iter().map(|(_, request)| request).collect();
    assert_eq!(bytes.len(), 120);
    assert_eq!(bytes[..40], bytes[40..80]);
    assert_eq!(distinct(labels(&requests[40..])), 80, "another seed, other labels");
    assert_ne!(bytes[0][..2], bytes[80][..2], "and other ids");
}

#[test]
fn a_label_that_has_come_round_is_reported() {
    let _together = together();
    let server = dns();
    let words = "--preset dns --name example.test -n 40 -r 500 --random-subdomain";
    let report = load(server.at, &format!("{words} 1"));
    assert_eq!(number(only(&report), "exchange.repeated_labels"), 40 - 26);
    assert!(codes(&report).contains(&"labels_repeated".to_owned()), "{:?}", codes(&report));
    let report = load(server.at, &format!("{words} 2"));
    assert_eq!(number(only(&report), "exchange.repeated_labels"), 0);
    server.end();
}

/// What came of two runs of a preset, over two ports.
fn two_runs(preset: &str) -> Vec<Request> {
    let server = Recorder::silent();
    for _ in 0..2 {
        run(&format!("load {} --preset {preset} {CELLS} -P 2", server.at));
    }
    let requests = server.end();
    assert!(requests.len() > 2 * 4 * 2, "{preset}: {}", requests.len());
    requests
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn ids_are_new_in_every_phase_cell_trial_and_run() {
    let _together = together();
    // Where each has what must be new: RFC 5905 §7.3, RFC 8489 §5, RFC 7252 §3, RFC 8999 §5.1.
    for (preset, fresh) in
        [("ntp", 40..48), ("stun", 8..20), ("coap", 4..12), ("quic-vn", 6..23), ("echo", 0..8)]
    {
        let requests = two_runs(preset);
        let ids = requests.iter().map(|(_, request)| &request[fresh.clone()]);
        assert!(ids.clone().all(|id| id.iter().any(|byte| *byte != 0)), "{preset}: 0");
        assert_eq!(distinct(ids), requests.len(), "{preset}");
        if preset == "coap" {
            // By port, RFC 7252 §4.4.
            let ids = requests.iter().map(|(port, request)| (*port, &request[2..4]));
            assert_eq!(distinct(ids), requests.len(), "message ids");
        }
    }
}

#[test]
fn ports_and_sequences_of_ids_are_new_in_every_cell() {
    let _together = together();
    let server = dns();
    run(&format!("load {} --preset dns --name a.test {CELLS} -P 3", server.at)).expect(0);
    let mut by_port: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
    for (port, request) in server.end() {
        let id = u16::from_be_bytes([request[0], request[1]]);
        by_port.entry(port).or_default().push(id);
    }
    assert_eq!(by_port.len(), 4 * 3, "each cell has three ports of its own");
    for ids in by_port.values() {
        assert!(ids.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{ids:?}");
    }
    let firsts: BTreeSet<_> = by_port.values().map(|ids| ids[0]).collect();
    assert_eq!(firsts.len(), 4, "the ports of a cell begin alike, and each cell elsewhere");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn message_ids_that_come_again_too_early_are_reported() {
    let _together = together();
    let server = Recorder::start(|_, request| {
        // A response 2.05 that acknowledges the request; RFC 7252 §5.2.1.
        let mut reply = request[..12].to_vec();
        (reply[0], reply[1]) = (0x68, 0x45);
        vec![reply]
    });
    let ask = |at: SocketAddr, words: &str| {
        load(at, &format!("--preset coap --outstanding 100 -n 66000 {words}"))
    };
    let report = ask(server.at, "-P 1");
    let cell = only(&report);
    assert_eq!(number(cell, "exchange.reused_message_ids"), 66_000 - 65_536);
    assert!(codes(&report).contains(&"message_ids_reused".to_owned()));
    // By itself it takes ports enough.
    let report = ask(server.at, "");
    assert_eq!(number(only(&report), "exchange.reused_message_ids"), 0);
    assert!(number(only(&report), "streams") > 1);
    assert!(!codes(&report).contains(&"message_ids_reused".to_owned()));
    let requests = server.end();
    let by_itself = requests[66_000..].iter().map(|(port, request)| (*port, &request[2..4]));
    assert_eq!(distinct(by_itself), 66_000);
}

#[test]
fn a_rate_that_is_named_twice_is_refused() {
    let words = "load 127.0.0.1:9 --preset echo -n 1";
    let done = run(&format!("{words} -r 100,100")).expect(2);
    assert!(done.stderr.contains("--rate 100 is given twice"), "{done:?}");
    assert!(done.stderr.contains("--trials 2"), "{done:?}");
    let done = run("search loss<1% -- bench -l 64,64").expect(2);
    assert!(done.stderr.contains("--size 64 is given twice"), "{done:?}");
}
