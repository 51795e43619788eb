//! Replies that are large, that come without what was asked for, and replies to requests from a
//! capture that are matched as their protocol has it.

use tempfile::NamedTempFile;

use crate::actions::Counts;
use crate::common::{codes, number, together};
use crate::edges::capture_of;
use crate::protocols::Protocol;
use crate::recorder::Recorder;
use crate::rig::{adds_up, counts, engines, load, only, run};

#[test]
fn replies_keep_their_length() {
    let _together = together();
    for engine in engines() {
        for more in [4_096 + 7, 9_000, 60_000] {
            let server = Recorder::start(move |_, request| {
                let mut reply = Protocol::Dns.answer(request);
                reply.extend(vec![0; more]);
                vec![reply]
            });
            let words =
                format!("--preset dns --name a.test -n 50 -r 500 --timeout 10s -e {engine}");
            let report = load(server.at, &words);
            let lens: usize = server.end().iter().map(|(_, request)| request.len() + more).sum();
            let cell = only(&report);
            assert_eq!(counts(cell).matched, 50, "{words}");
            assert_eq!(number(cell, "rx.bytes"), lens as u64, "{words}");
            assert_eq!(number(cell, "packets.truncated"), 0, "{words}");
            assert!(!codes(&report).contains(&"truncated".to_owned()), "{words}");
        }
    }
}

#[test]
fn resets_and_empty_acknowledgements_of_coap_are_named() {
    let _together = together();
    // RFC 7252 §5.2.1 to §5.2.3 and §4.2: an answer within the acknowledgement; one apart, behind an
    // acknowledgement or without; an acknowledgement alone; a reset; one to nothing that was asked.
    let server = Recorder::start(|number, request| {
        let empty = |kind: u8| vec![0x40 | kind << 4, 0, request[2], request[3]];
        let apart = [&[0x58, 0x45, 0xAB, 0xCD], &request[4..12]].concat();
        let within = [&[0x68, 0x45], &request[2..12]].concat();
        let mut other = empty(3);
        other[2] ^= 0x80;
        match number % 6 {
            0 => vec![within],
            1 => vec![empty(2), apart],
            2 => vec![empty(2)],
            3 => vec![empty(3)],
            4 => vec![other, apart],
            _ => vec![apart, empty(2)],
        }
    });
    let report = load(server.at, "--preset coap -n 120 -r 500 --timeout 2s -P 1");
    server.end();
    let expected = Counts {
        requests: 120,
        replies: 160 + 20,
        matched: 100,
        unmatched: 20,
        continued: 60,
        timeouts: 20,
        errors: [("RST".to_owned(), 20)].into(),
        ..Counts::default()
    };
    let cell = only(&report);
    assert_eq!(counts(cell), expected);
    assert_eq!(number(cell, "exchange.acknowledged"), 60);
}

#[test]
fn replies_to_a_capture_are_matched_as_the_protocol_has_it() {
    let _together = together();
    let server = Recorder::start(|number, request| {
        let code = if number % 2 == 0 { 3 } else { 0 };
        vec![if number % 10 == 9 {
            Protocol::Dns.other_question(request)
        } else {
            Protocol::Dns.error(request, code)
        }]
    });
    // A query for www.example.test, type A, and one for another name; RFC 1035 §4.1.
    let query = |name: &[u8]| {
        [&b"\xEE\xEE\x01\0\0\x01\0\0\0\0\0\0"[..], name, b"\x04test\0\0\x01\0\x01"].concat()
    };
    let file = NamedTempFile::new().unwrap();
    let queries = [query(b"\x03www"), query(b"\x05other")];
    std::fs::write(file.path(), capture_of(&queries)).unwrap();
    let words = format!("--pcap {} -n 100 -r 500 --timeout 2s", file.path().display());
    let report = load(server.at, &format!("{words} --match dns"));
    let cell = only(&report);
    let expected = Counts {
        requests: 100,
        replies: 100,
        matched: 90,
        unmatched: 10,
        timeouts: 10,
        errors: [("NXDOMAIN".to_owned(), 50)].into(),
        ..Counts::default()
    };
    assert_eq!(counts(cell), expected);
    let done = run(
        "load",
        &server.at.to_string(),
        &format!("{words} --match dns --fail-if errors>0 --max-missed 100%"),
    );
    adds_up(&done.expect(3), "load");
    let requests = server.end();
    // The ids of the capture are replaced, so that each reply can be told from all others.
    let ids: std::collections::BTreeSet<_> =
        requests[..100].iter().map(|one| &one.1[..2]).collect();
    assert_eq!(ids.len(), 100);
    let done = run("load", "127.0.0.1:9", &format!("{words} --match dns --id-at 4:u16be"));
    assert!(done.expect(2).stderr.contains("--id-at 0:u16be"));
}
