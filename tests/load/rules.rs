//! Ids that are found by search, and replies that are errors by rules.

use std::collections::BTreeMap;

use crate::actions::Counts;
use crate::common::{codes, number, sum, together};
use crate::edges::capture_of;
use crate::protocols::{Protocol, SIP};
use crate::recorder::Recorder;
use crate::relay::{Action, Orders, Relay, Way};
use crate::rig::{adds_up, counts, engines, load, only, run};

#[test]
fn a_sip_server_without_the_user_is_an_error_by_its_status() {
    let _together = together();
    // Its headers come in another order than those of the request.
    let server = Recorder::start(|number, request| {
        vec![match number % 4 {
            3 => Protocol::Sip.error(request, 4),
            _ => Protocol::Sip.answer(request),
        }]
    });
    let words = format!("{SIP} --match after:branch=z9hG4bK -n 200 -r 1k");
    let done = run(
        "load",
        &server.at.to_string(),
        &format!("{words} --max-missed 100% --fail-if errors>0"),
    );
    let report = adds_up(&done.expect(3), "load");
    let requests = server.end();
    let cell = only(&report);
    let errors: BTreeMap<_, _> = [("404".to_owned(), 50)].into();
    let expected =
        Counts { requests: 200, replies: 200, matched: 200, errors, ..Counts::default() };
    assert_eq!(counts(cell), expected);
    let ids: std::collections::BTreeSet<_> = requests.iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(ids.len(), 200);
    assert!(codes(&report).contains(&"error_replies".to_owned()), "{:?}", codes(&report));
    let rules = report["scenario"]["asking"]["rules"].as_array().unwrap();
    assert_eq!(rules[0], "expecting \"prefix:SIP/2.0 200 \"");
    assert!(rules[1].as_str().unwrap().starts_with("errors \"regex:^SIP/2.0 (?<name>"));
}

#[test]
fn captured_requests_of_coap_are_matched_by_own_tokens() {
    let _together = together();
    // CON GET with tokens of two bytes and of none, and an acknowledgement; RFC 7252 §3.
    let packets =
        [&b"\x42\x01\xAA\xBB\x01\x02\xB1a"[..], b"\x40\x01\xAA\xBB\xB1b", b"\x60\0\0\x01"];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), capture_of(&packets.map(<[u8]>::to_vec))).unwrap();
    let server = Recorder::start(|_, request| {
        // What is at b is not there (4.04), and each reply acknowledges its request.
        let code = if request[13] == b'a' { 0x45 } else { 0x84 };
        vec![[&[0x68, code][..], &request[2..12]].concat()]
    });
    let words = format!("--pcap {} --match coap -n 100 -r 500 -P 1", file.path().display());
    let report = load(server.at, &words);
    let requests = server.end();
    let ids: std::collections::BTreeSet<_> =
        requests.iter().map(|(_, request)| &request[2..12]).collect();
    assert_eq!((requests.len(), ids.len()), (100, 100));
    let errors = [("4.04".to_owned(), 50)].into();
    let expected =
        Counts { requests: 100, replies: 100, matched: 100, errors, ..Counts::default() };
    assert_eq!(counts(only(&report)), expected);
    assert_eq!(report["input"]["left_out"]["not_request"], 1);
}

#[test]
fn a_path_that_drops_repeats_and_reorders_replies_is_counted_exactly() {
    let _together = together();
    let server = Recorder::start(|_, request| vec![[b"re: ", request].concat()]);
    let orders = Orders::default()
        .every(Way::Forward, 13, 5, Action::Drop)
        .every(Way::Back, 11, 3, Action::Drop)
        .every(Way::Back, 7, 1, Action::Repeat(1))
        .every(Way::Back, 5, 2, Action::Delay(3));
    let relay = Relay::start(([127, 0, 0, 1], 0).into(), server.at, orders).unwrap();
    // The 256 ids come round nine times.
    let words = "--hex '00 00 69 64 3d {id:u8}' --match 'after:id=' --outstanding 32 -n 2400 -P 1 \
        --timeout 500ms";
    let words = words.replace("00 00", "78 79");
    let report = load(relay.at, &words);
    let account = relay.stop().sound();
    let came = server.end().len() as u64;
    let (forward, back) = (account.forward, account.back);
    assert_eq!((forward.came, forward.came - forward.dropped, back.came), (2_400, came, came));
    assert!(back.dropped > 100 && back.repeated > 100 && back.delayed > 100, "{back:?}");
    let lost = forward.dropped + back.dropped;
    let counted = counts(only(&report));
    // A busy host may keep a reply for longer than the timeout.
    let late = counted.late;
    let expected = Counts {
        requests: 2_400,
        replies: came - back.dropped + back.repeated,
        matched: 2_400 - lost - late,
        duplicate: back.repeated,
        late,
        timeouts: lost + late,
        ..Counts::default()
    };
    assert_eq!(counted, expected);
}

/// Codes that are counted one by one; the rest are `other`.
const NAMES: usize = 32;

#[test]
fn each_reply_is_counted_by_the_first_rule_that_fits() {
    let _together = together();
    let kinds = |number: usize| match number % 4 {
        0 => ("OK".to_owned(), None),
        1 => ("CHALLENGE".to_owned(), Some("challenge".to_owned())),
        2 => ("?".to_owned(), Some("unexpected".to_owned())),
        _ => (format!("E:{} ", number % 160), Some((number % 160).to_string())),
    };
    let words = "--text 'get id={id}' --match after:id= --expect prefix:OK --expect text:fine \
        --error challenge=byte@0=0x43 --error 'regex:^E:(?<name>[0-9]+)' -n 800 -r 2k -P 1 -i 100ms";
    for engine in engines() {
        let server = Recorder::start(move |number, request| {
            vec![[kinds(number).0.as_bytes(), b" ", request].concat()]
        });
        let report = load(server.at, &format!("{words} -e {engine}"));
        server.end();
        let mut errors = BTreeMap::new();
        for (_, name) in (0..800).map(kinds) {
            let Some(name) = name else { continue };
            let is_counted = errors.len() < NAMES || errors.contains_key(&name);
            *errors.entry(if is_counted { name } else { "other".to_owned() }).or_insert(0) += 1;
        }
        // The names are 40, `challenge` and `unexpected`; ten of them are too many.
        assert_eq!((errors.len(), errors["other"]), (NAMES + 1, 50));
        let expected =
            Counts { requests: 800, replies: 800, matched: 800, errors, ..Counts::default() };
        let cell = only(&report);
        assert_eq!(counts(cell), expected, "{engine}");
        let intervals = cell["intervals"].as_array().unwrap();
        let of_intervals: u64 = intervals.iter().map(|one| one["errors"].as_u64().unwrap()).sum();
        assert_eq!((of_intervals, sum(cell, "exchange.errors")), (600, 600), "{engine}");
    }
}

#[test]
fn the_longest_reply_is_read_to_its_end() {
    let _together = together();
    // The longest payloads of UDP over IPv4 and IPv6 (RFC 768, RFC 8200).
    for (address, longest) in [("127.0.0.1:0", 65_507), ("[::1]:0", 65_527)] {
        for engine in engines() {
            let server = Recorder::bind(address, move |number, request| {
                // The id stands at the end, and half of the replies lack one byte before it.
                let mut reply = vec![b'.'; longest - request.len()];
                *reply.last_mut().unwrap() = if number % 2 == 0 { b'+' } else { b'-' };
                vec![[&reply, request].concat()]
            });
            let words = format!(
                "--text 'id={{id}}' --match after:id= --error minus=hex:2d69643d -n 40 -r 200 \
                 --timeout 10s -e {engine}"
            );
            let report = load(server.at, &words);
            server.end();
            let cell = only(&report);
            let errors = [("minus".to_owned(), 20)].into();
            let expected =
                Counts { requests: 40, replies: 40, matched: 40, errors, ..Counts::default() };
            assert_eq!(counts(cell), expected, "{words}");
            assert_eq!(number(cell, "rx.bytes"), 40 * longest as u64, "{words}");
            assert_eq!(number(cell, "packets.truncated"), 0, "{words}");
        }
    }
}

#[test]
fn rules_that_cannot_work_are_refused_before_anything_is_sent() {
    let _together = together();
    let server = Recorder::silent();
    for (words, part) in [
        ("--text a --match after:x=", "write {id} into them, or give --id-at"),
        ("--text a{id} --match 'regex:a(b'", "'a(b', character 2: unclosed group"),
        ("--text a{id} --match 'regex:((a{99}){99}){99}'", "when compiled; shorten it"),
        ("--text a{id} --match regex:a", "put ( and ) around the id"),
        ("--text a{id} --expect 'hex:0 0'", "the hex digit '0', character 5"),
        ("--text a{id} --error 'regex:a[z-a]'", "'a[z-a]', character 3"),
        ("--text a{id} --error text:a", "write NAME=text:a"),
        ("--text a{id} --error a=byte@65507=1", "is beyond the end of any reply"),
        ("--text a{id} --expect hex@65506:0a0b", "is beyond the end of any reply"),
        ("--text a{id} --match id@65498", "is beyond the end of any reply"),
        ("--text a{id} --then b --then-if 41@65507", "is beyond the end of any reply"),
        ("--text a --match none --expect text:a", "omit them, or --match none"),
        ("--preset statsd --expect text:a", "omit them, or --match none"),
    ] {
        let done = run("load", &server.at.to_string(), &format!("{words} -n 1")).expect(2);
        assert!(done.stderr.contains(part) && done.stdout.is_empty(), "{words}: {done:?}");
    }
    assert!(server.end().is_empty());
}
