//! Many clients on one sink, and many flows of one client.

use std::net::UdpSocket;

use crate::common::{alone, number, together};
use crate::nets::Place;
use crate::proc::PATIENCE;
use crate::rig::{Sink, blast, located, only, report, settled};

/// Clients at once.
const CLIENTS: usize = 20;

/// The most resident memory of either end with 10,000 flows, in KiB: 256 MiB.
const MEMORY_KIB: u64 = 256 << 10;

fn a_crowd(sink_words: &str, words: &str) {
    let _alone = alone();
    let sink = Sink::here(sink_words);
    let count = 250;
    let words = format!("-e plain -n {count} -r 500 {words}");
    let clients: Vec<_> = (0..CLIENTS).map(|_| blast(&Place::here(), sink.at, &words)).collect();
    for (number_of, client) in clients.into_iter().enumerate() {
        let report = settled(&client.finish(2 * PATIENCE).expect(0));
        let cell = only(&report);
        let id = format!("client {number_of}: {}", cell["ledger"]);
        assert_eq!(number(cell, "ledger.sent"), count, "{id}");
        // All of one host: what is missing, if anything, was dropped where the kernel counts it.
        assert_eq!(number(cell, "ledger.received") + located(cell), count, "{id}");
        assert_eq!(number(cell, "ledger.unaccounted"), 0, "{id}");
        assert!(number(cell, "ledger.received") > count / 2, "{id}: starved");
        for none in ["duplicate", "late", "reordered", "foreign", "corrupt"] {
            assert_eq!(number(cell, &format!("ledger.{none}")), 0, "{id}");
        }
    }
    sink.end();
}

#[test]
fn twenty_clients_at_once_each_receive_what_they_sent() {
    a_crowd("", "");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn twenty_clients_at_once_are_each_sent_to() {
    a_crowd("", "--reverse");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn twenty_clients_at_once_on_a_sink_of_two_threads() {
    a_crowd("--threads 2", "");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn ten_thousand_streams_fit_into_memory() {
    let _alone = alone();
    let sink = Sink::here("");
    for way in ["", "--reverse"] {
        let words = format!("-e plain -P 10000 -n 30000 -r 10k {way}");
        let done = blast(&Place::here(), sink.at, &words).finish(2 * PATIENCE).expect(0);
        let report = settled(&done);
        let cell = only(&report);
        let id = format!("{way}: {}", cell["ledger"]);
        assert_eq!(number(cell, "streams"), 10_000);
        assert_eq!(number(cell, "ledger.sent"), 30_000, "{id}");
        assert_eq!(number(cell, "ledger.received") + located(cell), 30_000, "{id}");
        assert!((1..=MEMORY_KIB).contains(&done.peak_kib), "client {way}: {} KiB", done.peak_kib);
    }
    let peak = sink.proc.memory_kib("VmHWM").unwrap();
    assert!(peak <= MEMORY_KIB, "sink: {peak} KiB");
    sink.end();
}

#[test]
fn without_a_peer_exactly_so_many_leave() {
    let _together = together();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = receiver.local_addr().unwrap();
    let words = "--no-peer -e plain -n 100 -r 10k";
    let done = blast(&Place::here(), at, words).finish(PATIENCE).expect(0);
    for _ in 0..100 {
        assert_eq!(receiver.recv(&mut [0; 100]).unwrap(), 64);
    }
    receiver.set_nonblocking(true).unwrap();
    assert!(receiver.recv(&mut [0; 100]).is_err(), "more than asked for");
    let document = done.document();
    let cell = only(&document);
    assert_eq!(number(cell, "ledger.sent"), 100);
    assert!(cell["ledger"]["received"].is_null(), "nobody knows: {}", cell["ledger"]);
}

#[test]
fn a_sink_for_one_ends_after_it() {
    let _together = together();
    let sink = Sink::here("--once -J");
    let report = report(&Place::here(), sink.at, "-e plain -n 500 -r 5k");
    assert_eq!(number(only(&report), "ledger.sent"), 500);
    let done = sink.proc.finish(PATIENCE).expect(0);
    assert_eq!(done.document()["kind"], "sink");
}
