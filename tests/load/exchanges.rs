//! Exchanges that the preset of a protocol continues: against real servers, and against doubles that
//! are written from the specification.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::actions::Counts;
use crate::common::{number, together};
use crate::daemons::Daemon;
use crate::recorder::Recorder;
use crate::rig::{counts, engines, load, only};

/// Sent, answered and timeouts of both steps.
fn steps(cell: &Value) -> [[u64; 3]; 2] {
    let step = |at: usize| {
        ["sent", "answered", "timeouts"].map(|name| number(&cell["exchange"]["steps"][at], name))
    };
    [step(0), step(1)]
}

/// A get of the root with an empty token; RFC 7252 section 3.
const COAP_GET: &[u8] = b"\x40\x01\x12\x34";

/// libcoap's server with a resource `/big` of 5,000 bytes.
fn coap_server() -> Option<Daemon> {
    let make = |_: &std::path::Path, port| {
        (format!("-A 127.0.0.1 -p {port} -d 4"), vec![("big", "x".repeat(5_000))])
    };
    let server = Daemon::start("coap-server-notls", make, COAP_GET)?;
    let uri = format!("coap://{}/big", server.at);
    let body = server.path("big");
    let mut client = Command::new("coap-client-notls");
    let put = client.args(["-m", "put", "-f"]).arg(body).arg(uri).stdout(Stdio::null()).status();
    assert!(put.unwrap().success());
    Some(server)
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn libcoap_sends_blocks_and_separate_responses() {
    let _together = together();
    let Some(server) = coap_server() else { return };
    for engine in engines().into_iter().filter(|engine| !engine.starts_with("gso")) {
        for words in ["-r 2k", "--outstanding 10 -P 4", "--outstanding 10 --non-confirmable"] {
            let words = format!("--preset coap --path big -e {engine} -n 100 {words}");
            // 5,000 bytes are five blocks of 1,024.
            let report = load(server.at, &format!("{words} --blocks 16"));
            let cell = only(&report);
            assert_eq!(steps(cell), [[100, 100, 0], [400, 400, 0]], "{words}: {cell}");
            let expected = Counts {
                requests: 100,
                replies: 500,
                matched: 100,
                continued: 400,
                ..Counts::default()
            };
            assert_eq!(counts(cell), expected, "{words}");
            assert!(!cell["exchange"]["steps"][1]["latency"].is_null());
            let report = load(server.at, &format!("{words} --blocks 3"));
            assert_eq!(steps(only(&report)), [[100, 100, 0], [200, 200, 0]]);
        }
        let report = load(server.at, &format!("--preset coap --path big -e {engine} -n 100 -r 2k"));
        let expected = Counts { requests: 100, replies: 100, matched: 100, ..Counts::default() };
        assert_eq!(counts(only(&report)), expected, "the first block");
        assert_eq!(only(&report)["exchange"]["steps"], Value::Array(Vec::new()));
    }
    // The server answers after a second, in a message of its own that it wants to be acknowledged.
    let report = load(server.at, "--preset coap --path async?1 -n 20 -r 1k --timeout 20s");
    let cell = only(&report);
    let expected =
        Counts { requests: 20, replies: 40, matched: 20, continued: 20, ..Counts::default() };
    assert_eq!(counts(cell), expected);
    let n = |name: &str| number(cell, &format!("exchange.{name}"));
    assert_eq!((n("acknowledged"), n("acknowledgements_sent")), (20, 20));
    assert!(number(cell, "latency.min_ns") >= 900_000_000, "an acknowledgement is no response");
}

/// A response in a message of its own: type, code 2.05, message id, the token of the request, and
/// options or payload.
fn response(kind: u8, message_id: u16, request: &[u8], rest: &[u8]) -> Vec<u8> {
    [&[kind | 8, 0x45][..], &message_id.to_be_bytes(), &request[4..12], rest].concat()
}

/// The types of messages with the version; RFC 7252 section 3.
const CON: u8 = 0x40;
const ACK: u8 = 0x60;

#[test]
fn each_confirmable_response_of_coap_is_acknowledged() {
    let _together = together();
    for engine in engines() {
        // A double of RFC 7252 section 5.2.2: an empty acknowledgement, then the response, twice, as
        // after a lost acknowledgement.
        let server = Recorder::start(|at, request| {
            if request.len() == 4 {
                return Vec::new();
            }
            let content = response(CON, 0x8000 | at as u16, request, b"\xFFwell");
            vec![[&[ACK, 0][..], &request[2..4]].concat(), content.clone(), content]
        });
        let words = format!("--preset coap -n 200 -e {engine} --outstanding 4 -P 2");
        let report = load(server.at, &words);
        let requests = server.end();
        let cell = only(&report);
        let expected = Counts {
            requests: 200,
            replies: 600,
            matched: 200,
            duplicate: 200,
            continued: 200,
            ..Counts::default()
        };
        assert_eq!(counts(cell), expected, "{engine}");
        assert_eq!(number(cell, "exchange.acknowledged"), 200);
        assert_eq!(number(cell, "exchange.acknowledgements_sent"), 400);
        for (at, (port, _)) in requests.iter().enumerate().filter(|one| one.1.1.len() > 4) {
            let id = (0x8000 | at as u16).to_be_bytes();
            let expected = (*port, [&[ACK, 0][..], &id].concat());
            assert_eq!(requests.iter().filter(|one| **one == expected).count(), 2, "{engine}");
        }
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn lost_and_repeated_blocks_are_of_their_step() {
    let _together = together();
    for engine in engines().into_iter().filter(|engine| !engine.starts_with("gso")) {
        // A double of RFC 7959 with three blocks of 16 bytes. It repeats the first block, and loses
        // the last one of one exchange in five.
        let server = Recorder::start(|_, request| {
            let (path, option) = request[12..].split_at(2);
            assert_eq!(path, b"\xB1a");
            let block = match *option {
                [] => 0,
                [0xC1, value] => value >> 4,
                _ => panic!("{request:02x?}"),
            };
            assert_eq!(request[3] & 3, block, "each request has its message id");
            let more = if block < 2 { 8 } else { 0 };
            let rest = [&[0xD1, 10, block << 4 | more, 0xFF][..], &[b'x'; 16]].concat();
            let message_id = u16::from_be_bytes([request[2], request[3]]);
            let content = response(ACK, message_id, request, &rest);
            match block {
                0 => vec![content.clone(), content],
                2 if request[11] % 5 == 0 => Vec::new(),
                _ => vec![content],
            }
        });
        let words = format!("--preset coap --path a --blocks 4 -n 200 -r 2k -i 50ms -e {engine}");
        let report = load(server.at, &format!("{words} --timeout 300ms"));
        let requests = server.end();
        let is_lost =
            |request: &[u8]| request.ends_with(&[0xC1, 0x20]) && request[11].is_multiple_of(5);
        let lost = requests.iter().filter(|(_, request)| is_lost(request)).count() as u64;
        assert!(lost > 0);
        let cell = only(&report);
        assert_eq!(steps(cell), [[200, 200, 0], [400, 400 - lost, lost]], "{engine}");
        let expected = Counts {
            requests: 200,
            replies: 800 - lost,
            matched: 200 - lost,
            duplicate: 200,
            continued: 400,
            timeouts: lost,
            ..Counts::default()
        };
        assert_eq!(counts(cell), expected, "{engine}");
        let intervals = cell["intervals"].as_array().unwrap();
        assert!(intervals.len() > 1, "{intervals:?}");
        for (step, answered) in [("first_step", 200), ("second_step", 400 - lost)] {
            let of = |name: &str| {
                intervals.iter().filter_map(|one| one[step][name].as_u64()).collect::<Vec<_>>()
            };
            assert_eq!(of("answered").iter().sum::<u64>(), answered, "{step}");
            assert!(of("mean_ns").iter().zip(&of("max_ns")).all(|(mean, max)| mean <= max));
        }
    }
}

/// An Initial of this version, as RFC 9000 section 17.2.2 has it, which is not protected.
fn initial(version: [u8; 4]) -> Vec<u8> {
    let head = [&[0xC0][..], &version, b"\x0812345678\x0887654321\0\x44\x96"].concat();
    let rest = 1_200 - head.len();
    [head, vec![7; rest]].concat()
}

/// ngtcp2's server, which requires clients to prove their address.
fn quic_server() -> Option<Daemon> {
    let make = |folder: &std::path::Path, port| {
        let (key, cert) = (folder.join("key"), folder.join("cert"));
        let made = Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split(' '))
            .args(["-subj", "/CN=udperf", "-out"])
            .arg(&cert)
            .arg("-keyout")
            .arg(&key)
            .stderr(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "openssl makes a key");
        let (key, cert) = (key.display(), cert.display());
        (format!("--quiet --validate-addr 127.0.0.1 {port} {key} {cert}"), Vec::new())
    };
    Daemon::start("gtlsserver", make, &initial([0x1A, 0x2A, 0x3A, 0x4A]))
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn ngtcp2_names_its_versions_and_sends_retry() {
    let _together = together();
    let Some(server) = quic_server() else { return };
    for engine in engines() {
        for preset in ["quic-vn", "quic-retry"] {
            for words in ["-r 2k", "--outstanding 10 -P 4"] {
                let words = format!("--preset {preset} -n 200 -e {engine} {words}");
                let report = load(server.at, &words);
                let expected =
                    Counts { requests: 200, replies: 200, matched: 200, ..Counts::default() };
                assert_eq!(counts(only(&report)), expected, "{words}");
            }
        }
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_retry_without_a_token_or_connection_id_is_no_answer() {
    let _together = together();
    // A double of RFC 9000 section 17.2.5: a Retry, one without a token, one with the connection id
    // of the client, one to another client, and Version Negotiation.
    let server = Recorder::start(|at, request| {
        let (dcid, scid) = (&request[6..14], &request[15..23]);
        let retry = |to: &[u8], from: &[u8], token: &[u8]| {
            [&b"\xF0\0\0\0\x01\x08"[..], to, &[from.len() as u8], from, token, &[0xAA; 16]].concat()
        };
        vec![match at % 5 {
            0 => retry(scid, b"server", b"token"),
            1 => retry(scid, b"server", b""),
            2 => retry(scid, dcid, b"token"),
            3 => retry(dcid, b"server", b"token"),
            _ => [&b"\x80\0\0\0\0\x08"[..], scid, b"\x08", dcid, b"\x6B\x33\x43\xCF"].concat(),
        }]
    });
    let words = "--preset quic-retry -n 200 -r 2k --timeout 1s";
    let report = load(server.at, words);
    let requests = server.end();
    assert!(requests.iter().all(|(_, request)| request.len() == 1_200));
    let expected = Counts {
        requests: 200,
        replies: 200,
        matched: 80,
        unmatched: 120,
        timeouts: 120,
        errors: [("version negotiation".to_owned(), 40)].into(),
        ..Counts::default()
    };
    assert_eq!(counts(only(&report)), expected);
}
