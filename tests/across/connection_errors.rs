//! Nobody there, nobody who answers, the wrong key: a clear error, exit code 1, in bounded time.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};

use tempfile::NamedTempFile;

use crate::common::together;
use crate::nets::{Nets, Place, SINK, Side};
use crate::proc::{Done, Proc};
use crate::relay::{Orders, Relay};
use crate::rig::{NOTICED, Sink, any, blast, still_serves};

fn trying(place: &Place, target: SocketAddr, words: &str) -> Proc {
    blast(place, target, &format!("-e plain -n 500 -r 5k {words}"))
}

#[track_caller]
fn try_to(place: &Place, target: SocketAddr, words: &str) -> Done {
    trying(place, target, words).finish(NOTICED)
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn where_no_sink_listens_that_is_said() {
    let _together = together();
    let closed = crate::common::ports::closed();
    let ways = ["", "--reverse", "--bidir"].map(|way| trying(&Place::here(), closed, way));
    for done in ways.map(|client| client.finish(NOTICED)) {
        done.expect_error(&["sink", &closed.port().to_string()]);
        assert!(done.stdout.trim().is_empty(), "nothing was measured: {done:?}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn where_no_sink_listens_across_a_network_that_is_said() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    let trying = |target| trying(&nets.place(Side::B), target, "");
    let no_sink = trying(SINK);
    // No such host, and no route at all.
    let nobody = ["10.78.0.99", "10.99.0.1"];
    let clients = nobody.map(|ip| (ip, trying(SocketAddr::new(ip.parse().unwrap(), 7_788))));
    no_sink.finish(NOTICED).expect_error(&["sink", "7788"]);
    for (ip, client) in clients {
        client.finish(NOTICED).expect_error(&[ip]);
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn where_nobody_answers_that_is_said() {
    let _together = together();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let done = try_to(&Place::here(), silent.local_addr().unwrap(), "");
    done.expect_error(&["answer", "sink"]);
}

/// A file with this in it.
fn key(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn flag(key: &NamedTempFile) -> String {
    format!("--key-file {}", key.path().to_str().unwrap())
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn keys_have_to_agree() {
    let _together = together();
    let (one, same, other) =
        (key("a long shared secret\n"), key("a long shared secret"), key("another one\n"));
    let keyed = Sink::here(&flag(&one));
    for way in ["", "--reverse"] {
        for good in [&one, &same] {
            try_to(&Place::here(), keyed.at, &format!("{} {way}", flag(good))).expect(0);
        }
        try_to(&Place::here(), keyed.at, way).expect_error(&["key"]);
        try_to(&Place::here(), keyed.at, &format!("{} {way}", flag(&other))).expect_error(&["key"]);
    }
    keyed.end();
    let open = Sink::here("");
    try_to(&Place::here(), open.at, &flag(&one)).expect_error(&["key"]);
    still_serves(&Place::here(), open.at);
    open.end();
}

#[test]
fn a_key_is_not_told_to_anybody() {
    let _together = together();
    let secret = "fourteen green bottles";
    let file = key(secret);
    let sink = Sink::here(&flag(&file));
    let relay = Relay::start(any("127.0.0.1"), sink.at, Orders::default()).unwrap();
    let done = try_to(&Place::here(), relay.at, &flag(&file)).expect(0);
    let account = relay.stop().sound();
    let has = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(!account.messages.is_empty() && account.messages.iter().all(|(_, m)| !has(m)));
    let ended = sink.end();
    for text in [&done.stdout, &done.stderr, &ended.stdout, &ended.stderr] {
        assert!(!has(text.as_bytes()));
    }
}

#[test]
fn a_key_that_is_none_is_refused() {
    let _together = together();
    let sink = Sink::here("");
    let empty = key("");
    try_to(&Place::here(), sink.at, &flag(&empty)).expect_error(&["key"]);
    try_to(&Place::here(), sink.at, "--key-file /nowhere/at/all").expect_error(&["/nowhere"]);
    sink.end();
}
