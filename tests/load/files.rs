//! Files of requests, right and wrong: names, and captures with whatever links, packets and clocks;
//! and replies of DNS that only their raw bytes show.

use std::net::{SocketAddr, UdpSocket};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::actions::Counts;
use crate::common::{number, together};
use crate::proc::PATIENCE;
use crate::protocols::Protocol;
use crate::rig::{adds_up, counts, only, run, run_aloud};
use crate::shim::{Shim, heard};

/// One of the inputs in `tests/cases`.
fn case(name: &str) -> String {
    format!("{}/tests/cases/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What a server got of a file, what was said, and the document.
fn sent(protocol: Protocol, words: &str) -> (Vec<Vec<u8>>, String, Value) {
    let shim = Shim::well(protocol);
    let done = run_aloud("load", &shim.at.to_string(), words).expect(0);
    (shim.end().first, done.stderr.clone(), adds_up(&done, "load"))
}

/// The cause of each record that is left out, in the document, with its count.
fn left_out(report: &Value) -> Vec<(&str, u64)> {
    let causes = report["input"]["left_out"].as_object().unwrap();
    causes.iter().map(|(cause, count)| (cause.as_str(), count.as_u64().unwrap())).collect()
}

#[test]
fn a_bad_line_of_names_is_skipped_and_named() {
    let _together = together();
    let names = case("type99999999");
    let words = format!("--preset dns --names {names} -n 2 -r 100");
    let (first, said, report) = sent(Protocol::Dns, &words);
    assert!(first[0][12..].starts_with(b"\x04good\x07example\0\0\x01"), "{first:?}");
    assert!(first[1][12..].starts_with(b"\x04last\x07example\0\0\x0F"), "{first:?}");
    assert!(said.contains("1 of 3 lines of names are skipped"), "{said}");
    assert!(said.contains("line 2: 'google.com TYPE99999999 ignored' is not a question"), "{said}");
    assert_eq!(left_out(&report), [("unknown_type", 1)]);
    let input = &report["input"];
    assert_eq!((number(input, "records"), number(input, "used")), (3, 2));
    let strict = run("load", "127.0.0.1:9", &format!("{words} --names-strict")).expect(1);
    assert!(strict.stderr.contains("line 2: 'google.com TYPE99999999 ignored'"), "{strict:?}");
}

#[test]
fn a_clock_that_steps_back_is_no_burst() {
    let _together = together();
    let pcap = case("stepback.pcap");
    let words = format!("--pcap {pcap} --pace recorded -n 250 --match none");
    let (first, said, report) = sent(Protocol::Echo, &words);
    assert!(first[0].starts_with(b"s0000"), "{first:?}");
    assert!(said.contains("clock stepped back 1 time, by 3600 s at most"), "{said}");
    assert!(said.contains("at the mean gap of 10.0 ms"), "{said}");
    assert_eq!(number(&report, "input.clock.steps_back"), 1);
    let cell = only(&report);
    let pps = cell["rate_pps"].as_f64().unwrap();
    assert!((99.9..100.1).contains(&pps), "{pps}");
    assert_eq!(number(cell, "exchange.requests"), 250);
    // The last one is due 2.49 s behind the first: it cannot have left before.
    assert!(number(cell, "elapsed_ns") >= 2_490_000_000, "{cell}");
}

#[test]
fn captures_without_a_pace_are_refused_for_recorded() {
    let _together = together();
    let pcap = case("ng_spb.pcapng");
    let words = format!("--pcap {pcap} --pace recorded -t 2 --match none");
    let done = run("load", "127.0.0.1:9", &words).expect(1);
    assert!(done.stderr.contains("its packets have no times; use --rate"), "{done:?}");
    assert!(done.stdout.is_empty(), "{done:?}");
    // At a rate it is sent.
    let (first, _, report) =
        sent(Protocol::Echo, &format!("--pcap {pcap} -r 100 -n 3 --match none"));
    assert!(first[0].starts_with(b"pay0000-"), "{first:?}");
    assert_eq!(number(&report, "input.clock.untimed"), 3);
    assert_eq!(report["input"]["clock"]["mean_gap_ns"], Value::Null);
}

#[test]
fn what_is_left_out_of_a_capture_is_named() {
    let _together = together();
    for (name, says) in [
        ("cut.pcap", "none of the 3 packets is sent; left out: 3 cut by the snap length"),
        ("nflog239.pcap", "pcap of link type NFLOG: none of the 3 packets is sent"),
    ] {
        let done = run("load", "127.0.0.1:9", &format!("--pcap {}", case(name))).expect(1);
        assert!(done.stderr.contains(says), "{done:?}");
        assert!(!done.stderr.contains("port"), "none was given: {done:?}");
    }
    let words = |name| format!("--pcap {} -n 3 -r 100 --match none", case(name));
    let (first, _, report) = sent(Protocol::Echo, &words("ppp9.pcap"));
    let starts: Vec<_> = first.iter().map(|payload| &payload[..8]).collect();
    assert_eq!(starts, [b"pay0000-", b"pay0001-", b"pay0002-"]);
    assert_eq!(report["input"]["link_types"], serde_json::json!(["PPP"]));
    let (first, said, report) = sent(Protocol::Echo, &words("one_jumbogram.pcap"));
    assert_eq!(first, [&b"query one"[..], b"query two", b"query one"]);
    assert!(said.contains("2 of 3 packets are sent; left out: 1 too large"), "{said}");
    assert_eq!(left_out(&report), [("too_large", 1)]);
}

#[test]
fn replies_in_a_capture_are_refused_with_what_to_type() {
    let _together = together();
    let words = format!("--pcap {} --id-at 0:u16be -n 10 -r 100", case("bothdir.pcap"));
    let done = run("load", "127.0.0.1:9", &words).expect(2);
    assert!(done.stdout.is_empty(), "{done:?}");
    let why = "half of the packets (5 of 10) come from port 53 and may be replies";
    assert!(done.stderr.contains(why), "{done:?}");
    let typed = format!("udperf load 127.0.0.1:9 -J -q --warmup 0 {words} --pcap-port 53");
    assert!(done.stderr.contains(&typed), "{done:?}");
    let (_, said, report) = sent(Protocol::Echo, &format!("{words} --pcap-port 53"));
    assert!(!said.contains("half of the packets"), "{said}");
    assert_eq!(left_out(&report), [("other_port", 5)]);
}

/// What a server makes of a request.
type Answer = fn(&[u8]) -> Vec<u8>;

/// A server that answers so many requests, each by what `reply` makes of it.
fn server(count: usize, reply: Answer) -> (SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = socket.local_addr().unwrap();
    let serve = move || {
        let mut slot = [0; 512];
        for _ in 0..count {
            let (len, from) = heard(&socket, &mut slot).unwrap();
            socket.send_to(&reply(&slot[..len]), from).unwrap();
        }
    };
    (at, std::thread::spawn(serve))
}

#[test]
fn raw_replies_of_dns_are_matched_and_named() {
    let _together = together();
    // A header and a question of 17 bytes, and OPT with extended RCODE 1; RFC 6891 §6.1.3.
    let badvers = |request: &[u8]| {
        let head = [&request[..2], &[0x81, 0, 0, 1, 0, 0, 0, 0, 0, 1]].concat();
        let opt = [0, 0, 41, 0x04, 0xD0, 1, 0, 0, 0, 0, 0];
        [&head, &request[12..12 + 17 + 4], &opt[..]].concat()
    };
    // Cut short before the question.
    let truncated = |request: &[u8]| [&request[..2], &[0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    // A reply to NOTIFY (OPCODE 4, RFC 1996) with our id.
    let notify = |request: &[u8]| {
        let mut reply = request.to_vec();
        reply[2] = 0xA0;
        reply
    };
    let all = |error: &str| Counts {
        requests: 20,
        replies: 20,
        matched: 20,
        errors: [(error.to_owned(), 20)].into(),
        ..Counts::default()
    };
    let unmatched =
        Counts { requests: 20, replies: 20, unmatched: 20, timeouts: 20, ..Counts::default() };
    let cases: [(Answer, Counts, i32); 3] =
        [(badvers, all("BADVERS"), 3), (truncated, all("TRUNCATED"), 3), (notify, unmatched, 5)];
    for (reply, expected, code) in cases {
        let (at, serving) = server(20, reply);
        let words = "--preset dns --name www.example.com -n 20 -r 1k --timeout 300ms \
                     --fail-if errors>0 --max-missed 100%";
        let done = run("load", &at.to_string(), words).expect(code);
        assert_eq!(counts(only(&adds_up(&done, "load"))), expected);
        serving.join().unwrap();
    }
}
