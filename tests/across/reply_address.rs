//! A sink that listens at every address of its host: it answers from the one that was called, and
//! not at all what others got as well.

use std::net::{SocketAddr, UdpSocket};

use crate::common::{number, together};
use crate::nets::Place;
use crate::relay::{Orders, Relay, Way};
use crate::rig::{NOTICED, Sink, any, blast, located, of, report, settled};

fn everywhere() -> Sink {
    Sink::start(&Place::here(), "-B 0.0.0.0 -p 0")
}

/// This sink by another address of its host.
fn by(sink: &Sink, ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), sink.at.port())
}

#[test]
fn answers_come_from_the_address_that_was_called() {
    let _together = together();
    let sink = everywhere();
    // The system itself would answer from 127.0.0.1.
    let target = by(&sink, "127.0.0.2");
    for (way, directions) in [
        ("", &["forward"][..]),
        ("--reverse", &["reverse"]),
        ("--bidir -P 3", &["forward", "reverse"]),
    ] {
        let words = format!("-e plain -n 500 -r 5k {way}");
        let report = settled(&blast(&Place::here(), target, &words).finish(NOTICED).expect(0));
        for direction in directions {
            let cell = of(&report, direction);
            assert_eq!(number(cell, "ledger.sent"), 500);
            let found = number(cell, "ledger.received") + located(cell);
            assert_eq!(found, 500, "{way}: {}", cell["ledger"]);
        }
    }
    sink.end();
}

#[test]
fn what_many_got_is_answered_by_none_of_them() {
    let _together = together();
    let sink = everywhere();
    let relay = Relay::start(any("127.0.0.1"), by(&sink, "127.0.0.1"), Orders::default()).unwrap();
    report(&Place::here(), relay.at, "-e plain -n 500 -r 5k");
    let messages = relay.stop().sound().messages;
    let (_, hello) = messages.into_iter().find(|(way, _)| *way == Way::Forward).unwrap();

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_broadcast(true).unwrap();
    for _ in 0..3 {
        socket.send_to(&hello, by(&sink, "127.255.255.255")).unwrap();
    }
    // Behind those, so that their answers would be there before this one.
    socket.send_to(&hello, by(&sink, "127.0.0.1")).unwrap();
    let mut buffer = [0; 2_048];
    let (_, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(from, by(&sink, "127.0.0.1"));
    sink.end();
    socket.set_nonblocking(true).unwrap();
    let error = socket.recv_from(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "one answer, to the one call");
}
