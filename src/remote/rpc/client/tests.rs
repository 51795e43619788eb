//! Exact events and outcomes; `tests/suite/control_model.rs` tries bad networks.

use std::net::SocketAddr;

use super::super::{AnswerError, Ignored, Limits, RpcServer, ServerEvent, ServerOutcome};
use super::*;
use crate::remote::protocol::{CloseReason, RejectReason, VERSION};

type Events = (Vec<ClientEvent>, Vec<ServerEvent>);

const PATIENCE: Nanos = Nanos::from_millis(10_000);

fn address() -> SocketAddr {
    "192.0.2.7:4000".parse().unwrap()
}

/// A client and a server.
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

    /// The event of a datagram at the client.
    fn receive(&mut self, bytes: &[u8], now: Nanos) -> Option<ClientEvent> {
        self.client.on_datagram(bytes, now, &mut Vec::new())
    }

    /// Datagrams of the client that are due.
    fn poll(&mut self, now: Nanos) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        assert_eq!(self.client.poll(now, &mut out), None);
        out
    }

    /// Exchanges datagrams over a perfect path without delay until both ends are silent.
    fn exchange(&mut self, now: Nanos) -> Events {
        let (mut client_events, mut events, mut to_server) = (vec![], vec![], vec![]);
        client_events.extend(self.client.poll(now, &mut to_server));
        while !to_server.is_empty() {
            let mut to_client = Vec::new();
            for bytes in std::mem::take(&mut to_server) {
                let outcome = self.server.on_datagram(address(), &bytes, now, &mut to_client);
                if let ServerOutcome::Event(_, event) = outcome {
                    events.push(event);
                }
            }
            for (to, bytes) in to_client {
                assert_eq!(to, address());
                client_events.extend(self.client.on_datagram(&bytes, now, &mut to_server));
            }
        }
        (client_events, events)
    }

    /// Runs the client on time until it fails; returns why, and when.
    fn failure(&mut self) -> (CallError, Nanos) {
        self.client.request(vec![], Nanos(0)).unwrap();
        loop {
            let now = self.client.deadline().unwrap();
            let (client_events, events) = self.exchange(now);
            assert!(!events.iter().any(|event| matches!(event, ServerEvent::Requested(..))));
            if let Some(ClientEvent::Failed(error)) = client_events.into_iter().next() {
                return (error, now);
            }
        }
    }
}

#[test]
fn a_sync_has_four_times_and_only_a_newer_note_is_reported() {
    let (mut pair, session) = Pair::opened("k");
    let mut syncs = Vec::new();
    assert!(pair.client.sync(b"old", Nanos(10), &mut syncs));
    assert!(pair.client.sync(b"new", Nanos(11), &mut syncs));
    let noted = ServerOutcome::Event(session, ServerEvent::Noted(b"new".to_vec()));
    let (outcome, newer) = pair.serve(&syncs[1], Nanos(500));
    assert_eq!(outcome, noted);
    let (outcome, older) = pair.serve(&syncs[0], Nanos(501));
    assert_eq!(outcome, ServerOutcome::Done);
    let (outcome, again) = pair.serve(&syncs[1], Nanos(502));
    assert_eq!(outcome, ServerOutcome::Done);
    let synced = |t1_ns, t2_ns, t4_ns| {
        Some(ClientEvent::Synced(Sample { t1_ns, t2_ns, t3_ns: t2_ns, t4_ns }))
    };
    assert_eq!(pair.receive(&newer[0], Nanos(20)), synced(11, 500, 20));
    assert_eq!(pair.receive(&older[0], Nanos(30)), synced(10, 501, 30));
    assert_eq!(pair.receive(&again[0], Nanos(40)), None);
    assert_eq!(pair.receive(&newer[0], Nanos(40)), None);
}

#[test]
fn different_keys_are_reported_within_a_second() {
    for (client, sink, refusal) in [
        ("", "a", RejectReason::KeyNeeded),
        ("a", "", RejectReason::KeyUnknown),
        ("a", "b", RejectReason::KeyDiffers),
    ] {
        let mut pair = Pair::new(client, sink);
        let (error, now) = pair.failure();
        assert_eq!(error, CallError::Refused(refusal));
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
    let (client_events, _) = pair.exchange(now);
    assert!(matches!(client_events[..], [ClientEvent::Opened(_)]), "{client_events:?}");
}

#[test]
fn another_version_is_reported_with_both_numbers() {
    let mut pair = Pair::new("a", "a");
    pair.client.open(Nanos(0));
    let error = loop {
        let now = pair.client.deadline().unwrap();
        if let Some(ClientEvent::Failed(error)) = pair.client.poll(now, &mut Vec::new()) {
            break error;
        }
        // The refusal of another nonce does not count.
        for (session, version) in [(0xC0FFEE, 9), (1, 8)] {
            let body = Body::Refused(RejectReason::Version);
            let mut bytes = encode(&Message { session, number: 0, body }, &Seal::new(None));
            bytes[6] = version;
            assert_eq!(pair.receive(&bytes, now), None);
        }
    };
    assert_eq!(error, CallError::Version(9));
    let says = |version: u8| error.to_string().contains(&format!("version {version}"));
    assert!(says(9) && says(VERSION));
}

#[test]
fn a_call_without_a_server_fails_after_its_patience() {
    let Pair { mut client, .. } = Pair::new("", "");
    client.request(vec![1], Nanos(5)).unwrap();
    let (mut now, mut out) = (Nanos(5), Vec::new());
    let event = loop {
        if let Some(event) = client.poll(now, &mut out) {
            break event;
        }
        now = client.deadline().unwrap();
    };
    assert_eq!(event, ClientEvent::Failed(CallError::NoSink(PATIENCE)));
    assert_eq!(now, Nanos(5) + PATIENCE);
    assert!((45..60).contains(&out.len()), "{} tries", out.len());
    assert_eq!(client.request(vec![], now), Err(CallError::Over));
}

#[test]
fn a_client_waits_while_its_server_works() {
    let mut pair = Pair::new("", "");
    pair.client.request(vec![1], Nanos(0)).unwrap();
    assert_eq!(pair.client.request(vec![], Nanos(0)), Err(CallError::Unanswered));
    let (mut requests, end) = (0, Nanos::from_millis(60_000));
    while pair.client.deadline().unwrap() < end {
        let now = pair.client.deadline().unwrap();
        let (client_events, events) = pair.exchange(now);
        let is_opened = |event: &ClientEvent| matches!(event, ClientEvent::Opened(_));
        assert!(client_events.iter().all(is_opened), "{client_events:?}");
        let is_request = |event: &&ServerEvent| matches!(event, ServerEvent::Requested(1, _));
        requests += events.iter().filter(is_request).count();
        assert!(pair.server.tick(now, &mut Vec::new()).is_empty());
    }
    assert_eq!(requests, 1);
    let (session, mut out) = (pair.client.session().unwrap(), Vec::new());
    let mut answer = |session, body| pair.server.answer(session, 1, body, &mut out);
    assert_eq!(answer(session, b"done".to_vec()), Ok(()));
    assert_eq!(answer(session, vec![]), Err(AnswerError::NotAsked));
    assert_eq!(answer(session + 1, vec![]), Err(AnswerError::Gone));
    assert_eq!(pair.receive(&out[0].1, end), Some(ClientEvent::Answer(b"done".to_vec())));
}

#[test]
fn limits_and_ends_are_reported() {
    // Later clients are refused, and open sessions continue.
    let (mut pair, session) = Pair::opened("");
    pair.server.stop_admitting();
    let first = std::mem::replace(&mut pair.client, RpcClient::new(None, 0xBEEF, 1, PATIENCE));
    assert_eq!(pair.failure().0, CallError::Refused(RejectReason::Busy));
    assert_eq!(pair.server.sessions(), 1);
    pair.client = first;
    let (end, mut out) = (pair.server.deadline().unwrap(), Vec::new());
    assert_eq!(pair.server.tick(end, &mut out), [session]);
    let failed = ClientEvent::Failed(CallError::Closed(CloseReason::Idle));
    assert_eq!(pair.receive(&out[0].1, end), Some(failed));
}

#[test]
fn messages_from_elsewhere_and_reflected_ones_are_ignored() {
    let (mut pair, _) = Pair::opened("k");
    pair.client.request(vec![1], Nanos(1)).unwrap();
    let sent = pair.poll(Nanos(1));
    let (elsewhere, mut out) = ("192.0.2.8:4000".parse().unwrap(), Vec::new());
    let outcome = pair.server.on_datagram(elsewhere, &sent[0], Nanos(2), &mut out);
    assert_eq!((outcome, out), (ServerOutcome::Ignored(Ignored::OtherAddress), vec![]));
    assert_eq!(pair.receive(&sent[0], Nanos(2)), None);
    let (outcome, replies) = pair.serve(&sent[0], Nanos(2));
    assert!(matches!(outcome, ServerOutcome::Event(..)) && replies.is_empty());
    let (_, working) = pair.serve(&sent[0], Nanos(3));
    let reflected = (ServerOutcome::Ignored(Ignored::Reflected), vec![]);
    assert_eq!(pair.serve(&working[0], Nanos(3)), reflected);
}

#[test]
fn a_session_opens_once_and_its_requests_follow_in_order() {
    let mut pair = Pair::new("", "");
    pair.client.open(Nanos(0));
    let hello = pair.poll(Nanos(0));
    let (_, challenge) = pair.serve(&hello[0], Nanos(0));
    let mut open = Vec::new();
    assert_eq!(pair.client.on_datagram(&challenge[0], Nanos(0), &mut open), None);
    let open = open.remove(0);
    let (outcome, opened) = pair.serve(&open, Nanos(0));
    assert!(matches!(outcome, ServerOutcome::Event(..)));
    assert_eq!(pair.serve(&open, Nanos(0)), (ServerOutcome::Done, opened.clone()));
    pair.receive(&opened[0], Nanos(0));
    let session = pair.client.session().unwrap();
    let mut request = |number| {
        let message = Message { session, number, body: Body::Request(b"x") };
        pair.serve(&encode(&message, &Seal::new(None)), Nanos(0)).0
    };
    for number in [0, 2, u32::MAX] {
        assert_eq!(request(number), ServerOutcome::Ignored(Ignored::OutOfTurn), "{number}");
    }
    assert!(matches!(request(1), ServerOutcome::Event(_, ServerEvent::Requested(1, _))));
    assert_eq!(request(2), ServerOutcome::Ignored(Ignored::OutOfTurn));

    let now = Nanos::from_millis(1);
    pair.server.close(session, CloseReason::Failed, now, &mut Vec::new());
    assert_eq!(pair.serve(&open, now).0, ServerOutcome::Refused(RejectReason::Ended));
    let late = now + PATIENCE;
    assert!(pair.server.tick(late, &mut Vec::new()).is_empty());
    assert_eq!((pair.server.remembered(), pair.server.deadline()), (0, None));
    assert_eq!(pair.serve(&open, late).0, ServerOutcome::Refused(RejectReason::Stale));
}
