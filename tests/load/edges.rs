//! Where figures run out: ids that come round, requests that are empty, large or of many lengths,
//! captures whose packets have one moment, and what a warm-up leaves behind.

use std::net::{SocketAddr, UdpSocket};

use tempfile::NamedTempFile;

use crate::actions::Counts;
use crate::common::serving::Serving;
use crate::common::{number, together};
use crate::protocols::Protocol;
use crate::rig::{counts, engines, load, only, ping, run, start};
use crate::shim::Shim;

fn all(count: u64) -> Counts {
    Counts { requests: count, replies: count, matched: count, ..Counts::default() }
}

fn echo() -> (Serving, SocketAddr) {
    let echo = Serving::of("echo", "-B 127.0.0.1");
    let at = SocketAddr::from(([127, 0, 0, 1], echo.port));
    (echo, at)
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn ids_come_round_in_every_format() {
    let _together = together();
    let (_echo, at) = echo();
    // Past 10^3 and 2^9, past 2^8, and past the 16 of a single digit.
    for (text, rate) in [("{id:dec3}", "5k"), ("{id:u8}", "2k"), ("{id:hex1}", "200")] {
        for match_rule in ["echo", "preset"] {
            let words =
                format!("--text {text} --match {match_rule} -n 1200 -r {rate} -P 1 --timeout 20s");
            let report = load(at, &words);
            let cell = only(&report);
            // No id is used again before its reply has come, or cannot come any more.
            assert_eq!(counts(cell), all(1_200), "{words}: {cell}");
        }
    }
}

#[test]
fn requests_may_be_empty_and_as_large_as_datagrams_get() {
    let _together = together();
    let (_echo, at) = echo();
    let file = NamedTempFile::new().unwrap();
    let empty = format!("--file {} --match any", file.path().display());
    for engine in engines() {
        let report = load(at, &format!("{empty} -n 100 -r 1k -e {engine}"));
        assert_eq!(counts(only(&report)), all(100), "{engine}");
        assert_eq!(number(only(&report), "tx.bytes"), 0, "{engine}");
        let report = ping(at, &format!("-l 8972 -n 100 -e {engine}"));
        assert_eq!(counts(only(&report)), all(100), "{engine}");
        assert_eq!(number(only(&report), "tx.bytes"), 100 * 8_972, "{engine}");
    }
    let report = ping(at, "-l 65507 -n 10");
    assert_eq!(counts(only(&report)), all(10));
}

#[test]
fn requests_of_many_lengths_are_counted_to_the_byte() {
    let _together = together();
    let (_echo, at) = echo();
    let lines = NamedTempFile::new().unwrap();
    std::fs::write(lines.path(), "{id} short\n{id} a longer one\n").unwrap();
    for engine in ["plain", "batch"] {
        let words = format!("--lines {} -n 400 -r 2k -e {engine}", lines.path().display());
        let report = load(at, &words);
        let cell = only(&report);
        assert_eq!(counts(cell), all(400), "{words}");
        let expected = 200 * ("0123456789 short".len() + "0123456789 a longer one".len()) as u64;
        assert_eq!(number(cell, "tx.bytes"), expected, "{words}");
        assert_eq!(number(cell, "rx.bytes"), expected, "{words}");
    }
}

/// A capture of one datagram of UDP at each of these moments in milliseconds, holding its number.
fn capture(moments_ms: &[u32]) -> Vec<u8> {
    let numbered = moments_ms.iter().zip(0_u32..);
    pcap(numbered.map(|(ms, number)| (*ms, number.to_be_bytes().to_vec())))
}

/// A capture of these datagrams, a millisecond apart.
pub fn capture_of(payloads: &[Vec<u8>]) -> Vec<u8> {
    pcap((0..).zip(payloads.iter().cloned()))
}

/// A capture in the format of libpcap: raw IPv4, datagrams of UDP at moments in milliseconds.
fn pcap(datagrams: impl Iterator<Item = (u32, Vec<u8>)>) -> Vec<u8> {
    let mut file = Vec::new();
    // Magic, version 2.4, zone, accuracy, length, LINKTYPE_RAW.
    for word in [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        file.extend(word.to_le_bytes());
    }
    for (ms, payload) in datagrams {
        let len = (20 + 8 + payload.len()) as u32;
        for word in [ms / 1_000, ms % 1_000 * 1_000, len, len] {
            file.extend(word.to_le_bytes());
        }
        let ip = [0x45, 0, 0, len as u8, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        file.extend(ip);
        file.extend([0, 9, 0, 9, 0, 8 + payload.len() as u8, 0, 0]);
        file.extend(payload);
    }
    file
}

#[test]
fn captures_are_asked_as_they_were_recorded() {
    let _together = together();
    let file = NamedTempFile::new().unwrap();
    let path = file.path();
    std::fs::write(path, capture(&[0, 30, 40])).unwrap();
    let shim = Shim::well(Protocol::Echo);
    let done = run(
        "load",
        &shim.at.to_string(),
        &format!("--pcap {} --pace recorded -n 6 --match none", path.display()),
    );
    done.expect(0);
    let account = shim.end();
    let order: Vec<u8> = account.first.iter().map(|request| request[3]).collect();
    assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    // All at one moment, or alone, there is no pace to follow.
    for (moments, why) in [(&[7; 5][..], "the same time"), (&[7], "a single packet")] {
        std::fs::write(path, capture(moments)).unwrap();
        let words = format!("--pcap {} --pace recorded -n 50 --match any", path.display());
        let done = run("load", "127.0.0.1:9", &words).expect(1);
        assert!(done.stderr.contains(why) && done.stderr.contains("use --rate"), "{done:?}");
    }
}

#[test]
fn what_a_warm_up_leaves_behind_is_no_reply_of_the_cell() {
    let _together = together();
    // It answers the first requests only once others come, whose number is above theirs.
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap();
    let words = "--text {id:dec6} -r 50 -t 300ms --timeout 50ms --match echo";
    let mut command = crate::common::udperf();
    command.args(["load", &at.to_string(), "-J", "-q", "--warmup", "100ms"]);
    command.args(words.split_whitespace());
    let client = crate::proc::Proc::start(command);
    let mut slot = [0; 64];
    let (mut held, mut late): (Vec<Vec<u8>>, u64) = (Vec::new(), 0);
    server.set_read_timeout(Some(crate::proc::PATIENCE)).unwrap();
    // 5 in the warm-up, 15 measured; a stall may miss some of them, and the rest ends the loop.
    while let Ok((len, from)) = server.recv_from(&mut slot) {
        held.push(slot[..len].to_vec());
        if held.len() > 12 {
            for reply in held.drain(..) {
                server.send_to(&reply, from).unwrap();
                late += 1;
            }
            break;
        }
    }
    let done = client.finish(crate::proc::PATIENCE).expect(0);
    let report = crate::rig::adds_up(&done, "load");
    let cell = only(&report);
    let n = |name: &str| number(cell, &format!("exchange.{name}"));
    assert!(n("stale") >= 1, "{cell}");
    assert_eq!(n("stale") + n("late") + n("matched"), late, "{cell}");
    assert_eq!(n("duplicate") + n("unmatched"), 0, "{cell}");
}

#[test]
fn an_interrupted_client_waits_no_longer_than_it_has_to() {
    let _together = together();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(crate::proc::PATIENCE)).unwrap();
    let at = server.local_addr().unwrap().to_string();
    // Nobody waits ten minutes for a test.
    let client = start("load", &at, "--preset echo -r 100 -t 10m --timeout 10m");
    server.recv_from(&mut [0; 64]).unwrap();
    client.interrupt();
    let done = client.finish(crate::proc::PATIENCE).expect(130);
    let report = crate::rig::adds_up(&done, "load");
    let n = |name: &str| number(only(&report), &format!("exchange.{name}"));
    assert!(n("requests") >= 1);
    assert_eq!((n("timeouts"), n("given_up")), (n("requests"), n("requests")));
}

#[test]
fn what_would_never_end_is_refused() {
    for (words, what) in [
        ("--preset echo --outstanding 1 --threads 2 -P 2", "threads"),
        ("--preset echo --timeout 0", "--timeout 0"),
        ("--preset statsd --outstanding 5", "--outstanding"),
        ("--text {id:u8} --outstanding 200 -P 1", "--streams"),
        ("--preset dns --name a.test --outstanding 70000 -P 2", "--streams"),
    ] {
        let done = run("load", "127.0.0.1:9", &format!("{words} -n 10")).expect(2);
        assert!(done.stderr.contains(what), "{words}: {done:?}");
    }
}
