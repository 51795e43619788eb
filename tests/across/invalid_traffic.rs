//! A sink is sent what nobody should send: random bytes, and recorded control, cut, changed and
//! repeated, from where it came and from elsewhere. It has to live, to answer with no more bytes
//! than it got, to keep its size, and to serve its clients all the while.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::NamedTempFile;

use crate::common::{alone, number};
use crate::nets::Place;
use crate::proc::PATIENCE;
use crate::relay::{Orders, Relay, Way};
use crate::rig::{Sink, any, blast, located, only, report, settled, soak, still_serves};

/// How much a sink may grow by abuse, in KiB. Arbitrary: a leak of a hundred bytes a datagram is
/// several times as much within seconds.
const GROWTH_KIB: u64 = 16 << 10;

/// Sockets that the abuse comes from.
const SOURCES: usize = 8;

/// A victim: a sink, and how its clients have to be started.
struct Victim {
    sink: Sink,
    /// Words of its clients.
    client: String,
    /// Holds the key.
    _key: Option<NamedTempFile>,
}

impl Victim {
    fn start(keyed: bool, words: &str) -> Self {
        let key = keyed.then(|| {
            let mut file = NamedTempFile::new().unwrap();
            file.write_all(b"what only clients know").unwrap();
            file
        });
        let path = key.iter().map(|file| file.path().to_str().unwrap());
        let client: String = path.map(|path| format!("--key-file {path}")).collect();
        Self { sink: Sink::here(&format!("{client} {words}")), client, _key: key }
    }

    fn still_serves(&self) {
        let words = format!("-e plain -n 500 -r 5k {}", self.client);
        let report = report(&Place::here(), self.sink.at, &words);
        let cell = only(&report);
        assert_eq!(number(cell, "ledger.received") + located(cell), 500, "{}", cell["ledger"]);
    }
}

/// What clients have said to a sink.
pub(super) struct Recorded {
    pub(super) messages: Vec<Vec<u8>>,
    /// From where, as the sink knows it.
    from: Vec<SocketAddr>,
}

impl Recorded {
    /// Two whole runs.
    fn of(victim: &Victim) -> Self {
        Self::through("127.0.0.1", victim.sink.at, &victim.client)
    }

    /// Two whole runs through a relay at this address.
    pub(super) fn through(relay_ip: &str, sink: SocketAddr, client: &str) -> Self {
        let (mut messages, mut from) = (Vec::new(), Vec::new());
        for way in ["", "--reverse"] {
            let relay = Relay::start(any(relay_ip), sink, Orders::default()).unwrap();
            let words = format!("-e plain -n 500 -r 5k --max-missed 100% {way} {client}");
            report(&Place::here(), relay.at, &words);
            let account = relay.stop().sound();
            // The first source is that of the first words; others show themselves, or send data.
            from.push(account.upstream[0]);
            let forward = account.messages.into_iter().filter(|(way, _)| *way == Way::Forward);
            messages.extend(forward.map(|message| message.1));
        }
        assert!(messages.len() > 5, "there was some control to record");
        Self { messages, from }
    }

    /// A socket at an address that these messages came from, which is free again; `None` where
    /// somebody was faster.
    fn socket_there(&self, which: usize) -> Option<UdpSocket> {
        UdpSocket::bind(self.from.get(which)?).ok()
    }
}

/// One datagram of abuse.
pub(super) fn abuse(random: &mut Rng, recorded: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = if random.u64(..3) == 0 {
        let len = random.usize(..1_400);
        let mut bytes: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
        // Some look like control, some like data of ours.
        if len >= 2 && random.u64(..2) == 0 {
            bytes[..2].copy_from_slice(&[0, 1]);
        }
        bytes
    } else {
        recorded[random.usize(..recorded.len())].clone()
    };
    match random.u64(..4) {
        0 => bytes.truncate(random.usize(..=bytes.len())),
        1 if !bytes.is_empty() => {
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u64(..8);
        }
        _ => {}
    }
    bytes
}

/// Abuses until `end`; bytes that went and that came back, and how many datagrams went.
fn abuse_until(end: Instant, seed: u64, victim: &Victim, recorded: &Recorded) -> (u64, u64, u64) {
    let mut random = Rng::with_seed(seed);
    let sockets: Vec<_> = (0..SOURCES)
        .map(|number| {
            let there = recorded.socket_there(number);
            let socket = there.unwrap_or_else(|| UdpSocket::bind("127.0.0.1:0").unwrap());
            socket.connect(victim.sink.at).unwrap();
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
            let bytes = abuse(&mut random, &recorded.messages);
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
    victim.still_serves();
    collect(&mut came);
    (went, came, datagrams)
}

fn neither_dies_nor_grows_nor_shouts(keyed: bool, words: &str) {
    let _alone = alone();
    let mut victim = Victim::start(keyed, words);
    let recorded = Recorded::of(&victim);
    // What it needs at all it has now.
    let second = abuse_until(Instant::now() + Duration::from_millis(500), 1, &victim, &recorded);
    assert!(second.2 > 100, "{second:?}");
    let before = victim.sink.proc.memory_kib("VmRSS").unwrap();
    // Three seconds, where nobody asks for more.
    let end = Instant::now() + Duration::from_secs(soak().unwrap_or(3));
    let (went, came, datagrams) = abuse_until(end, 2, &victim, &recorded);
    assert!(victim.sink.proc.is_alive());
    assert!(came <= went, "{came} bytes came back for {went}");
    let after = victim.sink.proc.memory_kib("VmRSS").unwrap();
    eprintln!("{datagrams} datagrams, {went} bytes there, {came} back, {before} to {after} KiB");
    assert!(after <= before + GROWTH_KIB, "{before} KiB became {after} by {datagrams} datagrams");
    victim.sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn abuse_makes_a_sink_neither_die_nor_grow_nor_shout() {
    neither_dies_nor_grows_nor_shouts(false, "");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn abuse_does_no_more_to_a_sink_with_a_key() {
    neither_dies_nor_grows_nor_shouts(true, "");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn abuse_does_no_more_to_a_sink_of_two_threads() {
    neither_dies_nor_grows_nor_shouts(false, "--threads 2");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_client_is_served_amid_abuse() {
    let _alone = alone();
    for (keyed, words) in [(false, ""), (true, "--threads 2")] {
        let victim = Victim::start(keyed, words);
        let recorded = Recorded::of(&victim);
        let words = format!("-e plain -n 2000 -r 2k {}", victim.client);
        let client = blast(&Place::here(), victim.sink.at, &words);
        abuse_until(Instant::now() + Duration::from_millis(700), 3, &victim, &recorded);
        let report = settled(&client.finish(2 * PATIENCE).expect(0));
        // Abuse may fill the queue that they share; the identities hold, and nothing is invented.
        // One random datagram in 65,536 has the tag of the session, and is corrupt then.
        let cell = only(&report);
        assert_eq!(number(cell, "ledger.sent"), 2_000);
        assert!(number(cell, "ledger.received") > 0, "{}", cell["ledger"]);
        assert!(number(cell, "ledger.received") <= 2_000, "{}", cell["ledger"]);
        assert_eq!(number(cell, "ledger.duplicate"), 0);
        victim.sink.end();
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_was_recorded_moves_nothing_when_played_again() {
    let _alone = alone();
    for (keyed, words) in [(false, ""), (true, ""), (false, "--threads 2")] {
        let victim = Victim::start(keyed, &format!("-J {words}"));
        let recorded = Recorded::of(&victim);
        // In its order, from one source, as the relay had it: a session that is over stays over.
        // From where it was, too, whose address is proved.
        let elsewhere = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let there: Vec<_> = (0..2).filter_map(|which| recorded.socket_there(which)).collect();
        assert!(!there.is_empty(), "somebody has the ports of a relay that is gone: {words}");
        let sources = there.len() + 1;
        for socket in there.into_iter().chain([elsewhere()]) {
            socket.connect(victim.sink.at).unwrap();
            let mut went = 0;
            for bytes in &recorded.messages {
                went += socket.send(bytes).unwrap();
            }
            victim.still_serves();
            socket.set_nonblocking(true).unwrap();
            let (mut came, mut buffer) = (0, [0; 1 << 16]);
            while let Ok(len) = socket.recv(&mut buffer) {
                assert!(buffer.starts_with(&[0, 1]), "the sink was made to send data");
                came += len;
            }
            assert!(came <= went, "{came} bytes came back for {went}");
        }
        // Two runs that were recorded, and one after each time that they were played again.
        let document = victim.sink.end().document();
        let cells = document["clients"].as_array().unwrap().iter().map(|one| number(one, "cells"));
        assert_eq!(cells.collect::<Vec<_>>(), vec![1; 2 + sources], "{}", document["clients"]);
    }
}

/// Files that a sink has open with one client, whatever it asks for. Arbitrary: a listener, a slot,
/// the duplicates of both, pipes and event queues are some twenty.
const FILES: usize = 64;

#[test]
#[ignore = "long: scripts/check runs it"]
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
    assert!(number(only(&report), "ledger.sent") > 100);
    still_serves(&Place::here(), sink.at);
    sink.end();
}
