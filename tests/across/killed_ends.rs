//! One end is killed at a moment that a seed chooses: by what the relay between them has seen, not
//! by a clock. The other end has to notice, say so, and go on where it can.

use std::time::Instant;

use fastrand::Rng;

use crate::common::together;
use crate::nets::Place;
use crate::proc::{PATIENCE, Proc};
use crate::relay::{Account, Orders, Relay};
use crate::rig::{NOTICED, Sink, any, blast, moments, soak, still_serves};

/// Datagrams within which everything happens: a second's worth.
const DATA: u64 = 5_000;

/// A moment of a run.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// After so many control messages, both ways; or with the last of [`DATA`], where there are
    /// never so many.
    Control(u64),
    /// After so many datagrams, both ways.
    Data(u64),
}

impl Moment {
    /// Half of them while things are arranged, half while data flows.
    fn any(random: &mut Rng) -> Self {
        match random.u64(..2) {
            0 => Self::Control(1 + random.u64(..8)),
            _ => Self::Data(1 + random.u64(..DATA)),
        }
    }

    fn has_come(self, account: &Account) -> bool {
        let control = account.forward.control + account.back.control;
        let data = account.forward.came + account.back.came;
        match self {
            Self::Control(count) => control >= count || data >= DATA,
            Self::Data(count) => data >= count,
        }
    }
}

/// A client whose traffic passes through a relay. Its run is longer than anything before a moment
/// takes, and not much: to its end, both ends take a silence for an outage.
fn running(sink: &Sink, way: &str, moment: Moment) -> (Relay, Proc) {
    let relay = Relay::start(any("127.0.0.1"), sink.at, Orders::default()).unwrap();
    let client = blast(&Place::here(), relay.at, &format!("-e plain -t 8 -r 5k {way}"));
    let came = relay.wait_for(PATIENCE, |account| moment.has_come(account));
    assert!(came, "{moment:?} never came: {:?}", relay.account());
    (relay, client)
}

/// Ways to run, by turns.
const WAYS: [&str; 3] = ["", "--reverse", "--bidir"];

/// Ends that are killed: five, or as many as take about as long as is asked for, at two seconds each
/// (measured: killing, and serving one more client).
fn turns() -> u16 {
    soak().map_or(5, |seconds| (seconds / 2).clamp(5, 100) as u16)
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_sink_outlives_its_clients() {
    let _together = together();
    let mut sink = Sink::here("");
    let mut random = moments();
    for turn in 0..turns() {
        let moment = Moment::any(&mut random);
        let (_relay, client) = running(&sink, WAYS[usize::from(turn) % 3], moment);
        client.kill9();
        let done = client.finish(PATIENCE);
        assert_eq!(done.signal, Some(9));
        assert!(sink.proc.is_alive(), "{moment:?}");
        still_serves(&Place::here(), sink.at);
    }
    sink.end();
}

/// Errors that must come back to a sink for the test below: what fills a receive buffer of 64 KiB,
/// which the kernel doubles, several times over.
const UNREACHABLE: u64 = 1_000;

/// How often this host has told a sender that nobody is there.
fn told_unreachable() -> u64 {
    let snmp = std::fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Icmp: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut both = names.split(' ').zip(values.split(' '));
    both.find(|(name, _)| *name == "OutDestUnreachs").unwrap().1.parse().unwrap()
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_comes_back_from_the_dead_does_not_choke_a_sink() {
    let _together = together();
    let sink = Sink::here("-w 64k");
    // The kernel gives what comes back for one client to a socket that the client's port decides.
    for _ in 0..6 {
        let (relay, client) = running(&sink, "--reverse", Moment::Data(10));
        client.kill9();
        drop((relay, client));
        let (before, end) = (told_unreachable(), Instant::now() + PATIENCE);
        while told_unreachable() < before + UNREACHABLE {
            assert!(Instant::now() < end, "nothing comes back");
            std::thread::yield_now();
        }
        still_serves(&Place::here(), sink.at);
    }
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_sink_stops_sending_to_a_client_whose_host_says_that_it_is_gone() {
    let _together = together();
    let sink = Sink::here("-J --max-clients 1");
    // What comes back goes to a socket that the client's port decides, another one each time.
    const ROUNDS: usize = 4;
    for round in 0..ROUNDS {
        let (relay, client) = running(&sink, WAYS[1 + round % 2], Moment::Data(10));
        client.kill9();
        drop((relay, client));
        until_free(&sink);
    }
    let report = sink.end().document();
    let clients = report["clients"].as_array().unwrap();
    let gone = |client: &&serde_json::Value| {
        assert_ne!(client["why"], "the sink received nothing from the client for too long");
        client["why"] == "the client's host reported its port as unreachable"
    };
    assert_eq!(clients.iter().filter(gone).count(), ROUNDS, "{clients:?}");
}

/// Waits until a sink that takes one client has let go of the one before.
#[track_caller]
fn until_free(sink: &Sink) {
    let end = Instant::now() + NOTICED;
    loop {
        let done = blast(&Place::here(), sink.at, "-e plain -n 10 -r 1k").finish(NOTICED);
        if done.code == Some(0) {
            return;
        }
        done.expect_error(&[]);
        assert!(Instant::now() < end, "still busy with the dead: {done:?}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_sink_for_one_client_is_free_again_once_that_has_vanished() {
    let _together = together();
    let sink = Sink::here("--max-clients 1");
    let (relay, client) = running(&sink, "", Moment::Data(100));
    client.kill9();
    drop(client);
    // The sink gives up its client some time after its silence: until then it is busy, and says so.
    until_free(&sink);
    drop(relay);
    sink.end();
}

/// A sink at a port that stays free once it is gone.
fn at_fixed_port() -> Sink {
    let port = crate::common::ports::free();
    Sink::start(&Place::here(), &format!("-B 127.0.0.1 -p {port}"))
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_client_notices_that_its_sink_is_gone() {
    let _together = together();
    let mut random = moments();
    (0..turns() / 5).for_each(|_| five_are_noticed(&mut random));
}

/// Kills five sinks.
fn five_are_noticed(random: &mut Rng) {
    let mut left = Vec::new();
    for way in WAYS.into_iter().cycle().take(5) {
        let moment = Moment::any(random);
        let sink = at_fixed_port();
        let (relay, client) = running(&sink, way, moment);
        sink.proc.kill9();
        left.push((relay, client, sink.at, format!("{way} {moment:?}"), Instant::now()));
    }
    // They take their time, all at once.
    for (_relay, client, at, id, killed) in left {
        let done = client.finish(NOTICED.saturating_sub(killed.elapsed()));
        assert!(done.code == Some(1) && done.signal.is_none(), "{id}: {done:?}");
        done.expect_error(&[]);
        assert!(!done.stderr.contains("panicked"), "{done:?}");
        // Whatever it has to say of what was measured so far is a whole document or nothing.
        if !done.stdout.trim().is_empty() {
            assert_eq!(done.document()["schema"], "udperf/1");
        }
        // The port is free for the next one.
        let next = Sink::start(&Place::here(), &format!("-B 127.0.0.1 -p {}", at.port()));
        still_serves(&Place::here(), next.at);
        next.end();
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn an_interrupted_client_reports_and_leaves_its_sink_in_peace() {
    let _together = together();
    let sink = Sink::here("");
    for way in WAYS {
        // Sockets that show themselves count for the relay, and not for the report.
        let (_relay, client) = running(&sink, way, Moment::Data(1_000));
        client.interrupt();
        let done = client.finish(NOTICED).expect(130);
        let report = crate::rig::settled(&done);
        let sent: u64 = crate::common::cells(&report)
            .iter()
            .map(|cell| crate::common::number(cell, "ledger.sent"))
            .sum();
        assert!(sent >= 500, "{way}: {sent}");
        still_serves(&Place::here(), sink.at);
    }
    sink.end();
}

#[test]
fn an_interrupted_sink_tells_its_client() {
    let _together = together();
    for way in WAYS {
        let sink = Sink::here("");
        let (_relay, client) = running(&sink, way, Moment::Data(500));
        sink.end();
        let done = client.finish(NOTICED);
        done.expect_error(&[]);
    }
}
