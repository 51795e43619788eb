//! A reply is never taken for that to a later request: where all ids may still be answered, nothing
//! more is asked, and that is reported.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::serving::Serving;
use crate::common::signals::{signal, stop};
use crate::common::{alone, codes, number, together};
use crate::proc::PATIENCE;
use crate::recorder::Recorder;
use crate::rig::{adds_up, counts, load, only, start};
use crate::shim::heard;

/// How long the server holds its replies back.
const HOLD: Duration = Duration::from_millis(250);

/// What is counted against a server that holds back the replies to all that comes within [`HOLD`],
/// and how long it has held that to the first request, by its own clock.
fn held(words: &str) -> (Value, Duration) {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let _ = socket2::SockRef::from(&server).set_recv_buffer_size(4 << 20);
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let client = start("load", &server.local_addr().unwrap().to_string(), words);
    let mut slot = [0; 64];
    let first = heard(&server, &mut slot).unwrap();
    let begun = Instant::now();
    let mut held = vec![(slot[..first.0].to_vec(), first.1)];
    while let Some(left) = HOLD.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        server.set_read_timeout(Some(left)).unwrap();
        if let Ok((len, from)) = heard(&server, &mut slot) {
            held.push((slot[..len].to_vec(), from));
        }
    }
    let held_for = begun.elapsed();
    let answering = std::thread::spawn(move || {
        for (reply, to) in held {
            server.send_to(&reply, to).unwrap();
        }
        // From now on at once, until the client has gone.
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        while let Ok((len, from)) = heard(&server, &mut slot) {
            if len == 0 {
                return;
            }
            server.send_to(&slot[..len], from).unwrap();
        }
    });
    let done = client.finish(PATIENCE).expect(0);
    let at: std::net::SocketAddr =
        done.words.split('"').find_map(|word| word.parse().ok()).unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"", at).unwrap();
    answering.join().unwrap();
    (adds_up(&done, "load"), held_for)
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_server_that_stands_still_is_seen_standing_still_flat_out() {
    let _alone = alone();
    // Ids of one byte come round 8 times, unless there are ports or time enough.
    for words in ["-P 1", "", "-P 2 --threads 2", "-e plain"] {
        let words = format!("--hex {{id:u8}}00 --match id@0 -r max -n 2000 --timeout 20s {words}");
        let (report, held_for) = held(&words);
        let cell = only(&report);
        let n = |name: &str| number(cell, &format!("exchange.{name}"));
        assert_eq!((n("matched"), n("timeouts"), n("late")), (2_000, 0, 0), "{words}: {cell}");
        let max_ns = number(cell, "latency.max_ns");
        assert!(u128::from(max_ns) >= held_for.as_nanos(), "{words}: {max_ns} {held_for:?}");
        let has_waited = n("no_room_ns") > 0;
        assert_eq!(codes(&report).contains(&"no_room".to_owned()), has_waited, "{words}");
        if words.contains("-P 1") {
            assert!(has_waited && n("in_flight_max") == 256, "{words}: {cell}");
        }
    }
}

#[test]
fn a_server_that_is_stopped_is_seen_stopped_flat_out() {
    let _together = together();
    for words in ["-P 1", ""] {
        let echo = Serving::of("echo", "-B 127.0.0.1");
        stop(echo.process());
        // Ids of one byte: more requests than there are ids of a port.
        let words = format!("--hex {{id:u8}}00 --match id@0 -r max -n 400 --timeout 20s {words}");
        let client = start("load", &format!("127.0.0.1:{}", echo.port), &words);
        let begun = Instant::now();
        while echo.waiting() == 0 {
            assert!(begun.elapsed() < PATIENCE, "{words}: nothing is sent");
            std::thread::yield_now();
        }
        // A request was due before this moment, and is not answered before the server goes on.
        let asked = Instant::now();
        std::thread::sleep(HOLD);
        let stopped_for = asked.elapsed();
        signal(echo.process(), "CONT");
        let report = adds_up(&client.finish(PATIENCE).expect(0), "load");
        let cell = only(&report);
        assert_eq!(counts(cell).matched, 400, "{words}: {cell}");
        let max_ns = number(cell, "latency.max_ns");
        assert!(u128::from(max_ns) >= stopped_for.as_nanos(), "{words}: {max_ns} {stopped_for:?}");
    }
}

#[test]
fn without_ids_a_schedule_is_missed_and_no_id_is_used_again() {
    let _together = together();
    let server = Recorder::silent();
    // 16 ids, each at rest for 125 ms: 128 a second.
    let words = "--text {id:hex1} -P 1 --timeout 100ms -r 1k -t 500ms --match id@0";
    let client = start("load", &server.at.to_string(), words);
    let report = adds_up(&client.finish(PATIENCE), "load");
    let cell = only(&report);
    let asked = number(cell, "exchange.requests");
    let rounds = number(cell, "elapsed_ns") / 125_000_000 + 1;
    assert!((16..=16 * rounds).contains(&asked), "{asked} in {rounds} rounds: {cell}");
    let (missed, no_room) = (number(cell, "schedule.missed"), number(cell, "exchange.no_room"));
    assert!(no_room > 0 && no_room <= missed, "{no_room} of {missed}");
    assert_eq!(number(cell, "exchange.given_up"), 0);
    assert_eq!(counts(cell).timeouts, asked);
    assert!(codes(&report).contains(&"no_room".to_owned()), "{:?}", codes(&report));
    let requests = server.end();
    assert_eq!(requests.len() as u64, asked);
    // Each id in its turn, so that each is at rest for as long as may be.
    let digit = |at: usize| char::from(requests[at].1[0]).to_digit(16).unwrap();
    assert!((1..requests.len()).all(|at| digit(at) == (digit(at - 1) + 1) % 16));
}

#[test]
fn a_rate_brings_the_ports_that_its_ids_need() {
    let _together = together();
    let server = Recorder::start(|_, request| vec![request.to_vec()]);
    let words = "--text {id:u8} --match id@0 -n 500 -r 400 --timeout 4s";
    let report = load(server.at, words);
    let ports = number(only(&report), "streams");
    assert!(ports > 4, "2,000 requests wait at once at most, in 256 ids a port: {ports}");
    assert_eq!(counts(only(&report)).matched, 500);
    assert_eq!(report["scenario"]["streams"], 1, "as it was asked");
    let report = load(server.at, &format!("{words} -P 3"));
    assert_eq!(number(only(&report), "streams"), 3, "as it was asked");
    server.end();
}
