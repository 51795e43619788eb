//! Exchanges of two requests: against scripted servers that lose, repeat and reorder the replies to
//! either request, and against a test double of A2S_INFO.
//!
//! The double follows <https://developer.valvesoftware.com/wiki/Server_queries>: a request without
//! the challenge is answered by a challenge, one with it by the information.

use std::net::UdpSocket;

use serde_json::Value;

use crate::actions::Counts;
use crate::common::{number, together};
use crate::recorder::Recorder;
use crate::rig::{adds_up, counts, engines, load, only, run};

/// A text protocol: `HELLO id`, answered by `TOKEN id TTTT`; then `GET id TTTT`, by `VAL id`.
const WORDS: &[&str] = &["--text", "HELLO {id}", "--then", "GET {id} {reply@17:4}"];

/// Sent, answered, timeouts and refused of both steps.
fn steps(cell: &Value) -> [[Option<u64>; 4]; 2] {
    let step = |at: usize| {
        let step = &cell["exchange"]["steps"][at];
        ["sent", "answered", "timeouts", "refused"].map(|name| step[name].as_u64())
    };
    let all = [step(0), step(1)];
    assert_eq!(all[0][0], Some(number(cell, "exchange.requests")), "{cell}");
    for [sent, answered, timeouts, _] in all {
        let known = answered.zip(timeouts).map(|(answered, timeouts)| answered + timeouts);
        assert!(known.is_none_or(|known| Some(known) == sent), "{cell}");
    }
    let lost: u64 = all.iter().filter_map(|step| step[2]).sum();
    let refused = if all[1][1].is_some() { all[1][3].unwrap() } else { 0 };
    assert_eq!(lost + refused, number(cell, "exchange.timeouts"), "{cell}");
    all
}

/// Sent, answered and timeouts of a step that was never refused.
fn step(sent: u64, answered: u64, timeouts: u64) -> [Option<u64>; 4] {
    [Some(sent), Some(answered), Some(timeouts), Some(0)]
}

/// Runs `udperf load` with a template that holds blanks.
#[track_caller]
fn load_words(server: &Recorder, template: &[&str], words: &str) -> Value {
    let mut command = crate::common::udperf();
    command.args(["load", &server.at.to_string(), "-J", "-q", "--warmup", "0"]);
    command.args(template).args(words.split_whitespace());
    adds_up(&crate::proc::Proc::start(command).finish(crate::proc::PATIENCE).expect(0), "load")
}

/// The kind of a request, and its id.
fn parse(request: &[u8]) -> (&str, u64, &str) {
    let words: Vec<_> = std::str::from_utf8(request).unwrap().split(' ').collect();
    (words[0], words[1].parse().unwrap(), words.get(2).copied().unwrap_or_default())
}

/// The token of an id, which the second request must return.
fn token(id: u64) -> String {
    format!("{:04}", id * 7 % 10_000)
}

/// The reply to a request of the text protocol.
fn reply_to(request: &[u8]) -> Vec<u8> {
    match parse(request) {
        ("HELLO", id, "") => format!("TOKEN {id:010} {}", token(id)).into_bytes(),
        ("GET", id, returned) => {
            assert_eq!(returned, token(id));
            format!("VAL {id:010}").into_bytes()
        }
        _ => panic!("{}", String::from_utf8_lossy(request)),
    }
}

/// How often a request of this id is answered, by the rest of a division: losses and duplicates of
/// either reply. Ids of consecutive requests are consecutive.
fn times(kind: &str, id: u64) -> usize {
    match (kind, id % 10) {
        ("HELLO", 3) | ("GET", 5) => 0,
        ("HELLO", 7) => 2,
        ("GET", 8) => 3,
        _ => 1,
    }
}

#[test]
fn a_lost_reply_is_of_its_step_and_duplicates_are_not_answered() {
    let _together = together();
    for engine in engines().into_iter().filter(|engine| !engine.starts_with("gso")) {
        for words in ["-n 200 -r 2k", "-n 200 --outstanding 20 -P 4 --threads 2"] {
            // Ids of the first requests are consecutive by port, so that each rest comes as often
            // as the server counts it.
            let server = Recorder::start(|_, request| {
                let (kind, id, _) = parse(request);
                vec![reply_to(request); times(kind, id)]
            });
            let words = format!("{words} -e {engine} --timeout 300ms");
            let report = load_words(&server, WORDS, &words);
            let replies = "id at 6:dec10, then by id at 4:dec10";
            assert_eq!(report["scenario"]["asking"]["replies"], replies);
            let requests = server.end();
            let of = |kind: &'static str| {
                requests.iter().map(|(_, request)| parse(request)).filter(move |one| one.0 == kind)
            };
            let lost =
                |kind: &'static str| of(kind).filter(|one| times(one.0, one.1) == 0).count() as u64;
            let again = |kind: &'static str| {
                of(kind).map(|one| times(one.0, one.1).saturating_sub(1) as u64).sum::<u64>()
            };
            let (lost, again) = (["HELLO", "GET"].map(lost), ["HELLO", "GET"].map(again));
            assert!(lost.iter().chain(&again).all(|count| *count > 0), "{lost:?} {again:?}");
            let cell = only(&report);
            let begun = 200 - lost[0];
            let expected = [step(200, begun, lost[0]), step(begun, begun - lost[1], lost[1])];
            assert_eq!(steps(cell), expected, "{words}: {cell}");
            // No second request was sent twice.
            assert_eq!(of("GET").count() as u64, begun, "{words}");
            let expected = Counts {
                requests: 200,
                replies: 2 * begun - lost[1] + again[0] + again[1],
                matched: begun - lost[1],
                duplicate: again[0] + again[1],
                continued: begun,
                timeouts: lost[0] + lost[1],
                ..Counts::default()
            };
            assert_eq!(counts(cell), expected, "{words}");
            let latency = |at: usize| &cell["exchange"]["steps"][at]["latency"];
            assert!(latency(0)["p50_ns"].as_u64() > Some(0) && !latency(1).is_null(), "{cell}");
        }
    }
}

#[test]
fn replies_of_either_step_may_come_in_any_order() {
    let _together = together();
    // Each kind of request is answered four at a time, in reverse.
    let held = std::sync::Mutex::new([Vec::new(), Vec::new()]);
    let server = Recorder::start(move |_, request| {
        let mut held = held.lock().unwrap();
        let at = usize::from(parse(request).0 == "GET");
        held[at].push(reply_to(request));
        if held[at].len() < 4 {
            return Vec::new();
        }
        held[at].drain(..).rev().collect()
    });
    let report = load_words(&server, WORDS, "-n 200 --outstanding 8 --timeout 20s");
    server.end();
    let cell = only(&report);
    assert_eq!(steps(cell), [step(200, 200, 0), step(200, 200, 0)]);
    assert_eq!((counts(cell).matched, counts(cell).continued), (200, 200));
}

#[test]
fn a_reply_without_the_bytes_of_a_field_is_an_error() {
    let _together = together();
    let server = Recorder::start(|at, request| {
        let mut reply = reply_to(request);
        if at == 0 {
            reply.truncate(20);
        }
        vec![reply]
    });
    let report = load_words(&server, WORDS, "-n 10 -r 100 --timeout 2s");
    assert_eq!(server.end().len(), 10 + 9);
    let cell = only(&report);
    assert_eq!(steps(cell), [step(10, 10, 0), step(9, 9, 0)]);
    assert_eq!(counts(cell).errors, [("short reply".to_owned(), 1)].into());
}

#[test]
fn a_first_reply_that_is_an_error_by_a_rule_ends_the_exchange() {
    let _together = together();
    // An error that lacks the token, one that does not, and the token.
    let answer = |at: usize, request: &[u8]| match parse(request) {
        ("HELLO", id, _) if at == 0 => format!("BUSY  {id:010}").into_bytes(),
        ("HELLO", id, _) if at == 1 => format!("BUSY  {id:010} {}", token(id)).into_bytes(),
        _ => reply_to(request),
    };
    for (more, begun, errors) in [
        (&["--error", "busy=prefix:BUSY"][..], 8, Some(("busy".to_owned(), 2))),
        // A condition decides what ends an exchange; rules judge the reply that ends it.
        (&["--error", "token=prefix:TOKEN", "--then-if", "20@16"], 9, None),
    ] {
        let server = Recorder::start(move |at, request| vec![answer(at, request)]);
        let template = [WORDS, more].concat();
        let report = load_words(&server, &template, "-n 10 -r 100 --timeout 2s");
        assert_eq!(server.end().len(), 10 + begun as usize, "{more:?}");
        let cell = only(&report);
        assert_eq!(steps(cell), [step(10, 10, 0), step(begun, begun, 0)], "{more:?}");
        assert_eq!(counts(cell).errors, errors.into_iter().collect(), "{more:?}");
    }
}

#[test]
fn second_requests_are_sent_only_after_replies_with_their_bytes() {
    let _together = together();
    let server = Recorder::start(|_, request| {
        let (kind, id, _) = parse(request);
        match kind {
            "HELLO" if id % 2 == 0 => vec![format!("READY {id:010} 0000").into_bytes()],
            _ => vec![reply_to(request)],
        }
    });
    let template = [WORDS, &["--then-if", "544f4b454e@0"]].concat();
    let report = load_words(&server, &template, "-n 200 -r 2k -P 1");
    server.end();
    let cell = only(&report);
    assert_eq!(steps(cell), [step(200, 200, 0), step(100, 100, 0)], "{cell}");
    assert_eq!((counts(cell).matched, counts(cell).continued), (200, 100));
}

#[test]
fn a_run_without_second_requests_is_invalid() {
    let _together = together();
    for more in [&["--then-if", "ff@0"][..], &["--error", "token=prefix:TOKEN"]] {
        let server = Recorder::start(|_, request| vec![reply_to(request)]);
        let mut command = crate::common::udperf();
        command.args(["load", &server.at.to_string(), "-J", "-q", "--warmup", "0"]);
        command.args(WORDS).args(more).args(["-n", "20", "-r", "1k"]);
        let done = crate::proc::Proc::start(command).finish(crate::proc::PATIENCE).expect(5);
        assert_eq!(server.end().len(), 20);
        let report = adds_up(&done, "load");
        assert_eq!(steps(only(&report)), [step(20, 20, 0), step(0, 0, 0)], "{more:?}");
        assert_eq!(report["invalid_because"][0]["code"], "second_not_sent", "{more:?}");
    }
    // The server decides whether a second request of a preset follows.
    let server = Recorder::start(|_, _| vec![INFO.to_vec()]);
    let report = load(server.at, "--preset a2s -n 20 -r 1k");
    server.end();
    assert_eq!(steps(only(&report)), [step(20, 20, 0), step(0, 0, 0)]);
}

#[test]
fn ids_at_two_places_are_told_apart_by_the_bytes_of_first_replies() {
    let _together = together();
    // A second reply has the id of the next exchange, which may be open, where first replies have
    // theirs. First requests are answered three at a time.
    let held = std::sync::Mutex::new(Vec::new());
    let server = Recorder::start(move |_, request| match *request {
        [id] => {
            let mut held = held.lock().unwrap();
            held.push(vec![id, 0, 0xAA]);
            if held.len() < 3 { Vec::new() } else { std::mem::take(&mut *held) }
        }
        [0xAA, id] => vec![vec![id.wrapping_add(1), id, 0xBB]],
        _ => panic!("{request:?}"),
    });
    let template = ["--hex", "{id:u8}", "--then-hex", "{reply@2:1}{id:u8}", "--then-if", "aa@2"];
    let report = load_words(&server, &template, "-n 300 --outstanding 7 -P 1 --timeout 20s");
    server.end();
    assert_eq!(steps(only(&report)), [step(300, 300, 0), step(300, 300, 0)]);
}

/// The request of A2S_INFO without a challenge.
const A2S: &[u8] = b"\xFF\xFF\xFF\xFFTSource Engine Query\0";
/// The information that a server replies with; the fields after the protocol are shortened.
const INFO: &[u8] = b"\xFF\xFF\xFF\xFFI\x11udperf test double\0map\0folder\0game\0";

#[test]
fn a2s_completes_the_challenge() {
    let _together = together();
    for engine in engines().into_iter().filter(|engine| !engine.starts_with("gso")) {
        for words in ["-n 200 -r 2k", "-n 200 --outstanding 10 -P 4"] {
            // Every fifth request is answered at once, as servers without challenges do it.
            let server = Recorder::start(|at, request| {
                let challenge = (at as u32 / 7).to_be_bytes();
                match request.strip_prefix(A2S) {
                    Some(b"") if at % 5 == 4 => vec![INFO.to_vec()],
                    Some(b"") => vec![[&b"\xFF\xFF\xFF\xFFA"[..], &challenge].concat()],
                    Some(returned) => {
                        assert_eq!(returned.len(), 4, "{returned:?}");
                        vec![INFO.to_vec()]
                    }
                    None => panic!("{request:?}"),
                }
            });
            let report = load(server.at, &format!("--preset a2s -e {engine} {words}"));
            let requests = server.end();
            let firsts = requests.iter().filter(|(_, request)| request == A2S).count() as u64;
            let seconds = requests.len() as u64 - firsts;
            let cell = only(&report);
            assert_eq!(firsts, 200);
            assert!((1..200).contains(&seconds), "{seconds}");
            assert_eq!(steps(cell), [step(200, 200, 0), step(seconds, seconds, 0)], "{words}");
            let expected = Counts {
                requests: 200,
                replies: 200 + seconds,
                matched: 200,
                continued: seconds,
                ..Counts::default()
            };
            assert_eq!(counts(cell), expected, "{words}");
        }
    }
}

#[test]
fn replies_without_ids_that_are_lost_are_of_their_step() {
    let _together = together();
    let server = Recorder::start(|at, request| match (request.len() == A2S.len(), at % 10) {
        (_, 3 | 8) => Vec::new(),
        (true, _) => vec![b"\xFF\xFF\xFF\xFFA1234".to_vec()],
        (false, _) => vec![INFO.to_vec()],
    });
    let words = "--preset a2s -n 100 --outstanding 1 --timeout 50ms \
                 --fail-if exchange.steps.1.timeouts>0";
    let report = adds_up(&run("load", &server.at.to_string(), words).expect(3), "load");
    let requests = server.end();
    let lost = |is_first: bool| {
        let all = requests.iter().enumerate().filter(|(at, _)| matches!(at % 10, 3 | 8));
        all.filter(|(_, (_, request))| (request.len() == A2S.len()) == is_first).count() as u64
    };
    let (lost, cell) = ([lost(true), lost(false)], only(&report));
    assert!(lost.iter().all(|lost| *lost > 0), "{lost:?}");
    let begun = 100 - lost[0];
    let expected = [step(100, begun, lost[0]), step(begun, begun - lost[1], lost[1])];
    assert_eq!(steps(cell), expected);
    assert!(cell["exchange"]["steps"][1]["latency"].is_null());
}

#[test]
fn second_requests_go_to_the_port_that_the_first_reply_came_from() {
    let _together = together();
    // A double that replies from a new port, and from another address once.
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let other = UdpSocket::bind("127.0.0.2:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut slot = [0; 64];
        for exchange in 0..50 {
            let (len, from) = socket.recv_from(&mut slot).unwrap();
            let reply = reply_to(&slot[..len]);
            if exchange == 7 {
                other.send_to(&reply, from).unwrap();
            }
            elsewhere.send_to(&reply, from).unwrap();
            let (len, again) = elsewhere.recv_from(&mut slot).unwrap();
            assert_eq!(again, from);
            elsewhere.send_to(&reply_to(&slot[..len]), from).unwrap();
        }
    });
    let mut command = crate::common::udperf();
    command.args(["load", &at.to_string(), "-J", "-q", "--warmup", "0", "--follow-port"]);
    command.args(WORDS).args("-n 50 --outstanding 1 --timeout 20s".split(' '));
    let done = crate::proc::Proc::start(command).finish(crate::proc::PATIENCE).expect(0);
    let report = adds_up(&done, "load");
    server.join().unwrap();
    let cell = only(&report);
    assert_eq!(steps(cell), [step(50, 50, 0), step(50, 50, 0)]);
    assert_eq!((counts(cell).matched, counts(cell).unmatched), (50, 1));
}

#[test]
fn second_requests_that_cannot_work_are_refused() {
    for (words, why) in [
        ("--text a --then b", "told apart"),
        ("--text a --then {id}", "the first one has none"),
        ("--text {id} --then b --match none", "--match none"),
        ("--text {id}{reply@0:2}", "--then"),
        ("--text {id} --then {reply@9:0}", "no such format"),
        ("--text {id} --then {reply@65507:1}", "no such format"),
        ("--text {id} --then-if 41@4", "add one of these"),
        ("--text {id} --then-hex zz", "--then-hex: 'z', character 1"),
        ("--text {id} --follow-port", "add one of these"),
        ("--text {id} --then b --then-if 4@1", "HEX@OFFSET"),
        ("--text {id} --then b -e gso/batch", "use batch"),
        ("--text {id} --then b --follow-port -e plain", "use --engine batch"),
        ("--preset a2s --then b", "cannot be used with"),
        ("--preset tftp-read", "--path"),
        ("--preset radius-status", "--secret"),
        ("--preset snmp-get --oid 1.77.x", "OID"),
        ("--preset sip-options --uri mailto:a", "SIP URI"),
    ] {
        let done = run("load", "127.0.0.1:9", words).expect(2);
        assert!(done.stderr.contains(why), "{words}: {}", done.stderr);
    }
}
