//! A sink is sent what nobody should send: random bytes, and recorded control, cut, changed and
//! repeated. It has to live, to answer with no more bytes than it got, to keep its size, and to
//! serve its clients all the while.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::common::number;
use crate::nets::Place;
use crate::proc::PATIENCE;
use crate::relay::{Orders, Relay, Seeded, Way};
use crate::rig::{Sink, alone, any, blast, report, settled, still_serves};

/// How much a sink may grow by abuse, in KiB. Arbitrary: a leak of a hundred bytes a datagram is
/// several times as much within seconds.
const GROWTH_KIB: u64 = 16 << 10;

/// Sockets that the abuse comes from.
const SOURCES: usize = 8;

/// Seconds of abuse: `UDPERF_SOAK`, else 3.
fn soak() -> Duration {
    let asked = std::env::var("UDPERF_SOAK").ok();
    Duration::from_secs(asked.map_or(3, |asked| asked.parse().unwrap()))
}

/// What clients have said to this sink, in two whole runs.
fn recorded(sink: &Sink) -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    for way in ["", "--reverse"] {
        let relay = Relay::start(any("127.0.0.1"), sink.at, Orders::default()).unwrap();
        report(&Place::here(), relay.at, &format!("-e plain -n 500 -r 5k {way}"));
        let messages = relay.stop().sound().messages;
        said.extend(messages.into_iter().filter(|(way, _)| *way == Way::Forward).map(|m| m.1));
    }
    assert!(said.len() > 5, "there was some control to record");
    said
}

/// One datagram of abuse.
fn abuse(random: &mut Seeded, recorded: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = if random.below(3) == 0 {
        let len = random.below(1_400) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        // Some look like control, some like data of ours.
        if len >= 2 && random.below(2) == 0 {
            bytes[..2].copy_from_slice(&[0, 1]);
        }
        bytes
    } else {
        recorded[random.below(recorded.len() as u64) as usize].clone()
    };
    match random.below(4) {
        0 => bytes.truncate(random.below(bytes.len() as u64 + 1) as usize),
        1 if !bytes.is_empty() => {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        _ => {}
    }
    bytes
}

/// Abuses until `end`; bytes that went and that came back, and how many datagrams went.
fn abuse_until(end: Instant, seed: u64, sink: &Sink, recorded: &[Vec<u8>]) -> (u64, u64, u64) {
    let mut random = Seeded(seed);
    let sockets: Vec<_> = (0..SOURCES)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(sink.at).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect();
    let (mut went, mut came, mut datagrams) = (0, 0, 0);
    let mut buffer = [0; 1 << 16];
    let mut collect = |came: &mut u64| {
        for socket in &sockets {
            while let Ok(len) = socket.recv(&mut buffer) {
                *came += len as u64;
            }
        }
    };
    while Instant::now() < end {
        for socket in &sockets {
            let bytes = abuse(&mut random, recorded);
            // An ICMP error of an earlier one would show here: then there is no sink any more.
            if let Ok(len) = socket.send(&bytes) {
                went += len as u64;
                datagrams += 1;
            }
        }
        collect(&mut came);
        assert!(came <= went, "{came} bytes came back for {went}");
    }
    // Once the sink has served a client that came later, it has answered all that it will.
    still_serves(&Place::here(), sink.at);
    collect(&mut came);
    (went, came, datagrams)
}

#[test]
fn abuse_makes_a_sink_neither_die_nor_grow_nor_shout() {
    let _alone = alone();
    let mut sink = Sink::here("");
    let recorded = recorded(&sink);
    // What it needs at all it has now.
    let second = abuse_until(Instant::now() + Duration::from_millis(500), 1, &sink, &recorded);
    assert!(second.2 > 100, "{second:?}");
    let before = sink.proc.memory_kib("VmRSS").unwrap();
    let (went, came, datagrams) = abuse_until(Instant::now() + soak(), 2, &sink, &recorded);
    assert!(sink.proc.is_alive());
    assert!(came <= went, "{came} bytes came back for {went}");
    let after = sink.proc.memory_kib("VmRSS").unwrap();
    eprintln!("{datagrams} datagrams, {went} bytes there, {came} back, {before} to {after} KiB");
    assert!(after <= before + GROWTH_KIB, "{before} KiB became {after} by {datagrams} datagrams");
    sink.end();
}

#[test]
fn a_client_is_served_amid_abuse() {
    let _alone = alone();
    let sink = Sink::here("");
    let recorded = recorded(&sink);
    let client = blast(&Place::here(), sink.at, "-e plain -n 2000 -r 2k");
    abuse_until(Instant::now() + Duration::from_millis(700), 3, &sink, &recorded);
    let report = settled(&client.finish(2 * PATIENCE).expect(0));
    // Abuse may fill the queue that they share; the identities hold, and nothing is invented. One
    // random datagram in 65,536 has the tag of the session, and is corrupt then.
    let cell = crate::rig::only(&report);
    assert_eq!(number(cell, "ledger.sent"), 2_000);
    assert!(number(cell, "ledger.received") > 0, "{}", cell["ledger"]);
    assert!(number(cell, "ledger.received") <= 2_000, "{}", cell["ledger"]);
    assert_eq!(number(cell, "ledger.duplicate"), 0);
    sink.end();
}

#[test]
fn what_was_recorded_moves_nothing_when_played_again() {
    let _alone = alone();
    let sink = Sink::here("");
    let recorded = recorded(&sink);
    // In its order, from one source, as the relay had it: a session that is over stays over.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(sink.at).unwrap();
    let mut went = 0;
    for bytes in &recorded {
        went += socket.send(bytes).unwrap();
    }
    still_serves(&Place::here(), sink.at);
    socket.set_nonblocking(true).unwrap();
    let (mut came, mut buffer) = (0, [0; 1 << 16]);
    while let Ok(len) = socket.recv(&mut buffer) {
        assert!(buffer.starts_with(&[0, 1]), "the sink was made to send data");
        came += len;
    }
    assert!(came <= went, "{came} bytes came back for {went}");
    sink.end();
}

/// Files that a sink has open with one client, whatever it asks for. Arbitrary: a listener, a slot,
/// the duplicates of both, pipes and event queues are some twenty.
const FILES: usize = 64;

#[test]
fn many_streams_back_take_no_more_files_and_the_next_are_served() {
    let _alone = alone();
    let sink = Sink::here("");
    let relay = Relay::start(any("127.0.0.1"), sink.at, Orders::default()).unwrap();
    let words = "-e plain -t 600 -r 5k --reverse -P 10000";
    let client = blast(&Place::here(), relay.at, words);
    let came = relay.wait_for(PATIENCE, |account| account.back.came > 100);
    assert!(came, "{:?}", relay.account());
    assert!(sink.proc.files() < FILES, "{} files", sink.proc.files());
    client.interrupt();
    let report = settled(&client.finish(2 * PATIENCE).expect(130));
    assert!(number(crate::rig::only(&report), "ledger.sent") > 100);
    still_serves(&Place::here(), sink.at);
    sink.end();
}
