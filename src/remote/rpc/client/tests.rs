use std::net::SocketAddr;

use super::super::{AnswerError, Ignored, Limits, RpcServer, ServerEvent, ServerOutcome};
use super::*;
use crate::remote::protocol::{CloseReason, RejectReason, VERSION};

type Server = RpcServer<SocketAddr>;

const PATIENCE: Nanos = Nanos::from_millis(10_000);

fn key(text: &str) -> Option<Key> {
    (!text.is_empty()).then(|| Key::from_bytes(text.as_bytes()).unwrap())
}

fn pair(client: &str, server: &str) -> (RpcClient, Server) {
    let client = RpcClient::new(key(client).as_ref(), 0xC0FFEE, 1, PATIENCE);
    (client, RpcServer::new(&[3; 32], key(server).as_ref(), Limits::default()))
}

fn client_address() -> SocketAddr {
    "192.0.2.7:4000".parse().unwrap()
}

/// What an exchange over a perfect path without delay brings, until nobody has more to say.
fn exchange(
    client: &mut RpcClient,
    server: &mut Server,
    now: Nanos,
    mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> (Vec<ClientEvent>, Vec<ServerEvent<SocketAddr>>) {
    let (mut client_events, mut events) = (Vec::new(), Vec::new());
    let mut to_server = Vec::new();
    client_events.extend(client.poll(now, &mut to_server));
    while !to_server.is_empty() {
        let mut to_client = Vec::new();
        for bytes in std::mem::take(&mut to_server) {
            let ServerOutcome::Event(event) =
                server.on_datagram(client_address(), &bytes, now, &mut to_client)
            else {
                continue;
            };
            if let ServerEvent::Requested { session, number, body } = &event
                && let Some(body) = answer(body)
            {
                server.answer(*session, *number, body, &mut to_client).unwrap();
            }
            events.push(event);
        }
        for (to, bytes) in to_client {
            assert_eq!(to, client_address());
            client_events.extend(client.on_datagram(&bytes, now, &mut to_server));
        }
    }
    (client_events, events)
}

#[test]
fn a_session_from_hello_to_close() {
    for keys in ["", "secret"] {
        let (mut client, mut server) = pair(keys, keys);
        client.request(b"ping".to_vec(), Nanos(1)).unwrap();
        assert_eq!(client.request(vec![], Nanos(1)), Err(CallError::Unanswered));
        let long: Vec<u8> = (0..300_000).map(|at: u32| (at % 253) as u8).collect();
        let (client_events, events) =
            exchange(&mut client, &mut server, Nanos(1), |_| Some(long.clone()));
        let session = client.session().unwrap();
        assert_eq!(client_events, [ClientEvent::Opened { session }, ClientEvent::Answer(long)]);
        let asked = ServerEvent::Requested { session, number: 1, body: b"ping".to_vec() };
        assert_eq!(events, [ServerEvent::Opened { session, from: client_address() }, asked]);
        client.request(vec![], Nanos(2)).unwrap();
        let (client_events, _) = exchange(&mut client, &mut server, Nanos(2), |_| Some(vec![]));
        assert_eq!(client_events, [ClientEvent::Answer(vec![])]);
        client.close(Nanos(3));
        let (client_events, events) = exchange(&mut client, &mut server, Nanos(3), |_| None);
        assert_eq!(client_events, [ClientEvent::Closed]);
        assert_eq!(events, [ServerEvent::Closed { session, why: CloseReason::Asked }]);
        assert_eq!((server.sessions(), client.is_over(), client.deadline()), (0, true, None));
    }
}

#[test]
fn a_sync_tells_four_moments_and_applies_its_note_once() {
    let (mut client, mut server) = pair("k", "k");
    client.open(Nanos(0));
    exchange(&mut client, &mut server, Nanos(0), |_| None);
    let (mut first, mut second, mut out) = (Vec::new(), Vec::new(), Vec::new());
    assert!(client.sync(b"old", Nanos(10), &mut first));
    assert!(client.sync(b"new", Nanos(11), &mut second));
    let session = client.session().unwrap();
    let noted = ServerOutcome::Event(ServerEvent::Noted { session, note: b"new".to_vec() });
    assert_eq!(server.on_datagram(client_address(), &second[0], Nanos(500), &mut out), noted);
    assert_eq!(
        server.on_datagram(client_address(), &first[0], Nanos(501), &mut out),
        ServerOutcome::Done
    );
    assert_eq!(
        server.on_datagram(client_address(), &second[0], Nanos(502), &mut out),
        ServerOutcome::Done
    );
    let mut receive = |at: usize, now| client.on_datagram(&out[at].1, Nanos(now), &mut Vec::new());
    let synced = |t1, t2, t4| {
        Some(ClientEvent::Synced { t1: Nanos(t1), t2: Nanos(t2), t3: Nanos(t2), t4: Nanos(t4) })
    };
    assert_eq!(receive(0, 20), synced(11, 500, 20));
    assert_eq!(receive(1, 30), synced(10, 501, 30));
    assert_eq!(receive(2, 40), None);
    assert_eq!(receive(0, 40), None);
}

/// Runs a client on time against a server until it fails, and returns why, and when.
fn failure(client: &mut RpcClient, server: &mut Server) -> (CallError, Nanos) {
    client.request(vec![], Nanos(0)).unwrap();
    loop {
        let now = client.deadline().unwrap();
        let (client_events, events) = exchange(client, server, now, |_| None);
        assert!(events.iter().all(|event| !matches!(event, ServerEvent::Requested { .. })));
        if let Some(ClientEvent::Failed(error)) = client_events.into_iter().next() {
            return (error, now);
        }
    }
}

#[test]
fn keys_that_differ_are_told_apart_and_soon() {
    let cases = [
        ("", "a", RejectReason::KeyNeeded),
        ("a", "", RejectReason::KeyUnknown),
        ("a", "b", RejectReason::KeyDiffers),
    ];
    for (client, sink, refusal) in cases {
        let (mut client, mut server) = pair(client, sink);
        let (error, now) = failure(&mut client, &mut server);
        assert_eq!(error, CallError::Refused(refusal));
        assert!(now < Nanos::from_millis(1_000), "{now}");
        assert_eq!(server.sessions(), 0);
    }
}

#[test]
fn refusals_that_prove_nothing_do_not_outdo_the_server() {
    let (mut client, mut server) = pair("a", "a");
    let (_, mut forger) = pair("", "");
    client.open(Nanos(0));
    let (mut hello, mut forged) = (Vec::new(), Vec::new());
    assert_eq!(client.poll(Nanos(0), &mut hello), None);
    for _ in 0..10 {
        forger.on_datagram(client_address(), &hello[0], Nanos(0), &mut forged);
    }
    for (_, message) in &forged {
        assert_eq!(client.on_datagram(message, Nanos(1), &mut Vec::new()), None);
    }
    let now = client.deadline().unwrap();
    let (client_events, _) = exchange(&mut client, &mut server, now, |_| None);
    assert!(matches!(client_events[..], [ClientEvent::Opened { .. }]), "{client_events:?}");
}

#[test]
fn another_version_is_told_with_both_numbers() {
    let (mut client, server) = pair("a", "a");
    client.open(Nanos(0));
    let refused = Body::Refused(RejectReason::Version);
    let nonce = |session| Message { session, number: 0, body: refused };
    let error = loop {
        let now = client.deadline().unwrap();
        if let Some(ClientEvent::Failed(error)) = client.poll(now, &mut Vec::new()) {
            break error;
        }
        for session in [0xC0FFEE, 1] {
            let mut bytes = encode(&nonce(session), &Seal::new(None));
            bytes[6] = if session == 1 { 8 } else { 9 };
            assert_eq!(client.on_datagram(&bytes, now, &mut Vec::new()), None);
        }
    };
    assert_eq!(error, CallError::Version { ours: VERSION, theirs: 9 });
    let says = |version: u8| error.to_string().contains(&format!("version {version}"));
    assert!(says(9) && says(VERSION));
    assert_eq!(server.sessions(), 0);
}

#[test]
fn silence_ends_a_call_when_patience_does() {
    let (mut client, _) = pair("", "");
    client.request(vec![1], Nanos(5)).unwrap();
    let (mut now, mut out) = (Nanos(5), Vec::new());
    let error = loop {
        if let Some(ClientEvent::Failed(error)) = client.poll(now, &mut out) {
            break error;
        }
        now = client.deadline().unwrap();
    };
    assert_eq!((error, now), (CallError::NoSink { patience: PATIENCE }, Nanos(5) + PATIENCE));
    assert!((45..60).contains(&out.len()), "{} tries", out.len());
    assert_eq!(client.request(vec![], now), Err(CallError::Over));
}

#[test]
fn a_server_that_works_long_keeps_its_client_patient() {
    let (mut client, mut server) = pair("", "");
    client.request(vec![1], Nanos(0)).unwrap();
    let mut asked = Vec::new();
    while client.deadline().unwrap() < Nanos::from_millis(60_000) {
        let now = client.deadline().unwrap();
        let (client_events, events) = exchange(&mut client, &mut server, now, |_| None);
        assert!(
            client_events
                .iter()
                .all(|client_events| matches!(client_events, ClientEvent::Opened { .. })),
            "{client_events:?}"
        );
        asked.extend(events.into_iter().filter(|e| matches!(e, ServerEvent::Requested { .. })));
        assert_eq!(server.tick(now, &mut Vec::new()), []);
    }
    assert_eq!(asked.len(), 1);
    let (session, mut out, now) = (client.session().unwrap(), Vec::new(), Nanos(60_000_000_000));
    server.answer(session, 1, b"done".to_vec(), &mut out).unwrap();
    assert_eq!(server.answer(session, 1, vec![], &mut out), Err(AnswerError::NotAsked));
    assert_eq!(server.answer(session + 1, 1, vec![], &mut out), Err(AnswerError::Gone));
    let client_events = client.on_datagram(&out[0].1, now, &mut Vec::new());
    assert_eq!(client_events, Some(ClientEvent::Answer(b"done".to_vec())));
}

#[test]
fn limits_and_ends_are_told() {
    let (mut client, _) = pair("", "");
    let mut full: Server =
        RpcServer::new(&[1; 32], None, Limits { sessions: 0, ..Limits::default() });
    assert_eq!(failure(&mut client, &mut full).0, CallError::Refused(RejectReason::Busy));

    let (mut client, mut server) = pair("", "");
    client.open(Nanos(0));
    exchange(&mut client, &mut server, Nanos(0), |_| None);
    let session = client.session().unwrap();
    // Whoever comes later is told; who is there stays.
    server.stop_admitting();
    let mut later = RpcClient::new(None, 0xBEEF, 1, PATIENCE);
    assert_eq!(failure(&mut later, &mut server).0, CallError::Refused(RejectReason::Busy));
    assert_eq!(server.sessions(), 1);
    let mut out = Vec::new();
    let end = server.deadline().unwrap();
    let closed = ServerEvent::Closed { session, why: CloseReason::Idle };
    assert_eq!(server.tick(end, &mut out), [closed]);
    let client_events = client.on_datagram(&out[0].1, end, &mut Vec::new());
    assert_eq!(client_events, Some(ClientEvent::Failed(CallError::Closed(CloseReason::Idle))));
}

#[test]
fn messages_from_elsewhere_and_thrown_back_change_nothing() {
    let (mut client, mut server) = pair("k", "k");
    client.open(Nanos(0));
    exchange(&mut client, &mut server, Nanos(0), |_| None);
    client.request(vec![1], Nanos(1)).unwrap();
    let (mut sent, mut out) = (Vec::new(), Vec::new());
    assert_eq!(client.poll(Nanos(1), &mut sent), None);
    let elsewhere = "192.0.2.8:4000".parse().unwrap();
    let outcome = server.on_datagram(elsewhere, &sent[0], Nanos(2), &mut out);
    assert_eq!(outcome, ServerOutcome::Ignored(Ignored::OtherAddress));
    assert_eq!(client.on_datagram(&sent[0], Nanos(2), &mut Vec::new()), None);
    assert!(matches!(
        server.on_datagram(client_address(), &sent[0], Nanos(2), &mut out),
        ServerOutcome::Event(_)
    ));
    assert_eq!(out, []);
    server.on_datagram(client_address(), &sent[0], Nanos(3), &mut out);
    let working = std::mem::take(&mut out);
    let outcome = server.on_datagram(client_address(), &working[0].1, Nanos(3), &mut out);
    assert_eq!(outcome, ServerOutcome::Ignored(Ignored::Reflected));
    assert_eq!(out, []);
}

#[test]
fn nothing_is_opened_twice_and_no_number_is_skipped() {
    let (mut client, mut server) = pair("", "");
    let (mut out, mut replies) = (Vec::new(), Vec::new());
    client.open(Nanos(0));
    assert_eq!(client.poll(Nanos(0), &mut out), None);
    server.on_datagram(client_address(), &out[0], Nanos(0), &mut replies);
    assert_eq!(client.on_datagram(&replies[0].1, Nanos(0), &mut out), None);
    let open = out[1].clone();
    assert!(matches!(
        server.on_datagram(client_address(), &open, Nanos(0), &mut replies),
        ServerOutcome::Event(_)
    ));
    assert_eq!(
        server.on_datagram(client_address(), &open, Nanos(0), &mut replies),
        ServerOutcome::Done
    );
    assert_eq!(replies[1], replies[2]);
    client.on_datagram(&replies[1].1, Nanos(0), &mut out);
    let session = client.session().unwrap();

    let mut ask = |number| {
        let message = Message { session, number, body: Body::Request(b"x") };
        server.on_datagram(
            client_address(),
            &encode(&message, &Seal::new(None)),
            Nanos(0),
            &mut replies,
        )
    };
    for number in [0, 2, u32::MAX] {
        assert_eq!(ask(number), ServerOutcome::Ignored(Ignored::OutOfTurn), "{number}");
    }
    assert!(matches!(ask(1), ServerOutcome::Event(ServerEvent::Requested { number: 1, .. })));
    assert_eq!(ask(2), ServerOutcome::Ignored(Ignored::OutOfTurn));

    let now = Nanos::from_millis(1);
    server.close(session, CloseReason::Failed, now, &mut replies);
    let outcome = server.on_datagram(client_address(), &open, now, &mut replies);
    assert_eq!(outcome, ServerOutcome::Refused(RejectReason::Ended));
    let late = now + Nanos::from_millis(10_000);
    assert_eq!(server.tick(late, &mut replies), []);
    assert_eq!((server.remembered(), server.deadline()), (0, None));
    let outcome = server.on_datagram(client_address(), &open, late, &mut replies);
    assert_eq!(outcome, ServerOutcome::Refused(RejectReason::Stale));
}
