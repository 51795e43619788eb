//! Exact events and outcomes; `tests/suite/control_model.rs` tries bad networks.

use std::net::SocketAddr;

use super::super::{AnswerError, Limits, RpcServer, ServerEvent, ServerOutcome};
use super::*;
use crate::remote::protocol::{CloseReason, VERSION};

const PATIENCE: Nanos = Nanos::from_millis(10_000);

fn address() -> SocketAddr {
    "192.0.2.7:4000".parse().unwrap()
}

struct Pair {
    client: RpcClient,
    server: RpcServer,
}

impl Pair {
    /// With these keys; empty: none.
    fn new(client: &str, server: &str) -> Self {
        let key = |text: &str| Key::from_bytes(text.as_bytes()).ok();
        let client = RpcClient::new(key(client).as_ref(), 0xC0FFEE, 1, PATIENCE);
        let server = RpcServer::new(&[3; 32], key(server).as_ref(), Limits::default());
        Self { client, server }
    }

    /// With an open session, and its id.
    fn opened(key: &str) -> (Self, u64) {
        let mut pair = Self::new(key, key);
        pair.client.open(Nanos(0));
        pair.exchange(Nanos(0));
        let session = pair.client.session().unwrap();
        (pair, session)
    }

    /// The server's outcome for a datagram of the client, and its replies.
    fn serve(&mut self, bytes: &[u8], now: Nanos) -> (ServerOutcome, Vec<Vec<u8>>) {
        let mut out = Vec::new();
        let outcome = self.server.on_datagram(address(), bytes, now, &mut out);
        (outcome, out.into_iter().map(|(_, bytes)| bytes).collect())
    }

    fn receive(&mut self, bytes: &[u8], now: Nanos) -> Option<ClientEvent> {
        self.client.on_datagram(bytes, now, &mut Vec::new())
    }

    fn poll(&mut self, now: Nanos) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        assert_eq!(self.client.poll(now, &mut out), None);
        out
    }

    /// Exchanges datagrams over a perfect path without delay until both ends are silent.
    fn exchange(&mut self, now: Nanos) -> Vec<ClientEvent> {
        let mut to_server = Vec::new();
        let mut events: Vec<_> = self.client.poll(now, &mut to_server).into_iter().collect();
        while let Some(bytes) = to_server.pop() {
            for bytes in self.serve(&bytes, now).1 {
                events.extend(self.client.on_datagram(&bytes, now, &mut to_server));
            }
        }
        events
    }
}

#[test]
fn a_sync_has_four_times_and_only_a_newer_note_is_reported() {
    let (mut pair, session) = Pair::opened("k");
    let mut syncs = Vec::new();
    assert!(pair.client.sync(b"old", Nanos(10), &mut syncs));
    assert!(pair.client.sync(b"new", Nanos(11), &mut syncs));
    let noted = ServerOutcome::Event(session, ServerEvent::Noted(b"new".to_vec()));
    let mut reply = |sync: usize, now, expected| {
        let (outcome, mut replies) = pair.serve(&syncs[sync], Nanos(now));
        assert_eq!(outcome, expected);
        replies.remove(0)
    };
    let newer = reply(1, 500, noted);
    let older = reply(0, 501, ServerOutcome::Done);
    let repeated = reply(1, 502, ServerOutcome::Done);
    let synced = |t1_ns, t2_ns, t4_ns| {
        Some(ClientEvent::Synced(Sample { t1_ns, t2_ns, t3_ns: t2_ns, t4_ns }))
    };
    assert_eq!(pair.receive(&newer, Nanos(20)), synced(11, 500, 20));
    assert_eq!(pair.receive(&older, Nanos(30)), synced(10, 501, 30));
    assert_eq!(pair.receive(&repeated, Nanos(40)), None);
}

#[test]
fn refused_sessions_fail_within_a_second() {
    for (client, sink, refusal) in [
        ("", "a", RejectReason::KeyNeeded),
        ("a", "", RejectReason::KeyUnknown),
        ("a", "b", RejectReason::KeyDiffers),
        ("", "", RejectReason::Busy),
    ] {
        let mut pair = Pair::new(client, sink);
        pair.server.stop_admitting();
        pair.client.request(vec![], Nanos(0)).unwrap();
        let (events, now) = loop {
            let now = pair.client.deadline().unwrap();
            let events = pair.exchange(now);
            if !events.is_empty() {
                break (events, now);
            }
        };
        assert_eq!(events, [ClientEvent::Failed(CallError::Refused(refusal))]);
        assert!(now < Nanos::from_millis(1_000), "{now}");
        assert_eq!(pair.server.sessions(), 0);
    }
}

#[test]
fn forged_refusals_do_not_end_a_session() {
    let mut pair = Pair::new("a", "a");
    pair.client.open(Nanos(0));
    let hello = pair.poll(Nanos(0));
    for _ in 0..10 {
        let (_, forged) = Pair::new("", "").serve(&hello[0], Nanos(0));
        assert_eq!(pair.receive(&forged[0], Nanos(1)), None);
    }
    let now = pair.client.deadline().unwrap();
    let events = pair.exchange(now);
    assert!(matches!(events[..], [ClientEvent::Opened(_)]), "{events:?}");
}

#[test]
fn another_version_is_reported_with_both_numbers() {
    let Pair { mut client, .. } = Pair::new("a", "a");
    client.open(Nanos(0));
    let error = loop {
        let now = client.deadline().unwrap();
        if let Some(ClientEvent::Failed(error)) = client.poll(now, &mut Vec::new()) {
            break error.to_string();
        }
        // The refusal of another nonce does not count.
        for (session, version) in [(0xC0FFEE, VERSION + 1), (1, VERSION)] {
            let body = Body::Refused(RejectReason::Version);
            let mut bytes = encode(&Message { session, number: 0, body }, &Seal::new(None));
            bytes[6] = version;
            assert_eq!(client.on_datagram(&bytes, now, &mut Vec::new()), None);
        }
    };
    let other = VERSION + 1;
    let both = format!("version {other} of the control protocol and this end version {VERSION}");
    assert!(error.contains(&both) && error.ends_with("upgrade udperf on this host"), "{error}");
    let older = CallError::Version(VERSION - 1).to_string();
    assert!(older.ends_with("upgrade udperf on the sink's host"), "{older}");

    // A server refuses the Hello of another version by its own one.
    for (version, is_refused) in [(VERSION, false), (VERSION - 1, true), (VERSION + 1, true)] {
        let mut pair = Pair::new("a", "a");
        pair.client.open(Nanos(0));
        let mut hello = pair.poll(Nanos(0)).remove(0);
        hello[6] = version;
        let (_, replies) = pair.serve(&hello, Nanos(0));
        let head = peek(&replies[0]).unwrap();
        assert_eq!(head.version, VERSION);
        assert_eq!(head.refusal(), is_refused.then_some(RejectReason::Version));
    }
}

#[test]
fn a_client_waits_while_its_server_works() {
    let mut pair = Pair::new("", "");
    pair.client.request(vec![1], Nanos(0)).unwrap();
    assert_eq!(pair.client.request(vec![], Nanos(0)), Err(CallError::Unanswered));
    let end = Nanos::from_millis(60_000);
    while pair.client.deadline().unwrap() < end {
        let now = pair.client.deadline().unwrap();
        assert!(!pair.exchange(now).iter().any(|event| matches!(event, ClientEvent::Failed(_))));
        assert!(pair.server.tick(now, &mut Vec::new()).is_empty());
    }
    let (session, mut out) = (pair.client.session().unwrap(), Vec::new());
    let mut answer = |session, body| pair.server.answer(session, 1, body, &mut out);
    assert_eq!(answer(session, b"done".to_vec()), Ok(()));
    assert_eq!(answer(session, vec![]), Err(AnswerError::NoRequest));
    assert_eq!(answer(session + 1, vec![]), Err(AnswerError::NoRequest));
    assert_eq!(pair.receive(&out[0].1, end), Some(ClientEvent::Answer(b"done".to_vec())));
}

#[test]
fn rejects_messages_from_elsewhere_reflected_and_out_of_order() {
    let (mut pair, session) = Pair::opened("k");
    pair.client.request(vec![1], Nanos(1)).unwrap();
    let sent = pair.poll(Nanos(1));
    let (elsewhere, mut out) = ("192.0.2.8:4000".parse().unwrap(), Vec::new());
    let outcome = pair.server.on_datagram(elsewhere, &sent[0], Nanos(2), &mut out);
    let rejected = (ServerOutcome::Rejected, vec![]);
    assert_eq!((outcome, out), (ServerOutcome::Rejected, vec![]));
    assert_eq!(pair.receive(&sent[0], Nanos(2)), None);
    let request = |number| {
        let message = Message { session, number, body: Body::Request(b"x") };
        encode(&message, &Seal::new(Key::from_bytes(b"k").ok().as_ref()))
    };
    for number in [0, 2, u32::MAX] {
        assert_eq!(pair.serve(&request(number), Nanos(2)), rejected, "{number}");
    }
    let (outcome, replies) = pair.serve(&sent[0], Nanos(2));
    assert!(matches!(outcome, ServerOutcome::Event(_, ServerEvent::Requested(1, _))));
    assert!(replies.is_empty());
    let (_, working) = pair.serve(&sent[0], Nanos(3));
    assert_eq!(pair.serve(&working[0], Nanos(3)), rejected);
    assert_eq!(pair.serve(&request(2), Nanos(3)), rejected);
}

#[test]
fn a_session_opens_once() {
    let mut pair = Pair::new("", "");
    pair.client.open(Nanos(0));
    let hello = pair.poll(Nanos(0));
    let (_, challenge) = pair.serve(&hello[0], Nanos(0));
    let mut open = Vec::new();
    assert_eq!(pair.client.on_datagram(&challenge[0], Nanos(0), &mut open), None);
    let (outcome, opened) = pair.serve(&open[0], Nanos(0));
    let ServerOutcome::Event(session, _) = outcome else { panic!("{outcome:?}") };
    assert_eq!(pair.serve(&open[0], Nanos(0)), (ServerOutcome::Done, opened));
    let now = Nanos::from_millis(1);
    pair.server.close(session, CloseReason::Failed, now, &mut Vec::new());
    let mut refusal = |now| peek(&pair.serve(&open[0], now).1[0]).unwrap().refusal();
    assert_eq!(refusal(now), Some(RejectReason::Ended));
    let late = now + PATIENCE;
    assert_eq!(refusal(late), Some(RejectReason::Stale));
    assert!(pair.server.tick(late, &mut Vec::new()).is_empty());
    assert_eq!((pair.server.remembered(), pair.server.deadline()), (0, None));
}
