//! Ids that are searched for in replies, and replies that are errors by rules.

use super::*;
use crate::unit::ErrorName;

fn matched(source: Spec, rule: &str) -> Spec {
    let spec = Spec { rule: rule.parse().unwrap(), ..source };
    assert_eq!(spec.rule.to_string(), rule);
    spec
}

fn judged(expected: &[&str], errors: &[&str]) -> Compiled {
    compiled(&Spec {
        expected: expected.iter().map(|rule| rule.parse().unwrap()).collect(),
        errors: errors.iter().map(|rule| rule.parse().unwrap()).collect(),
        ..text("a")
    })
}

#[test]
fn the_id_is_found_wherever_it_stands() {
    let reply =
        b"SIP/2.0 404 Not Found\r\nFrom: <sip:a@b>\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK\r\n\
        Via: SIP/2.0/UDP h;branch=z9hG4bK0000000042;rport\r\n\r\n";
    for rule in [
        "after:branch=z9hG4bK",
        "after-hex:7a 39 68 47 34 62 4b",
        "regex:branch=z9hG4bK(\\d+)",
        "regex:(?s)^SIP/2.0 (?:[0-9]{3}) .*K([0-9]{10});",
    ] {
        let of = compiled(&matched(text("OPTIONS branch=z9hG4bK{id} x"), rule));
        assert_eq!(of.1.id_of(reply), Some(42), "{rule}");
        assert!(of.matches(0, 42, reply) && !of.matches(0, 43, reply) && !of.1.by_order());
        // What is cut before the end of the id has none.
        for len in 0..reply.len() - 10 {
            assert_eq!(of.1.id_of(&reply[..len]), None, "{rule}, {len} bytes");
        }
    }
    let of = compiled(&matched(text("{id:hex4}"), "after:\u{e9}="));
    assert_eq!(of.1.id_of("x\u{e9}=001fg".as_bytes()), Some(0x1F));
    assert_eq!(of.1.to_string(), "id (hex4) after \"\u{e9}=\"");
    let latin1 =
        Spec { encoding: "latin1".parse().unwrap(), ..matched(text("{id:hex4}"), "after:\u{e9}=") };
    assert_eq!(compiled(&latin1).1.id_of(b"\xE9=001f"), Some(0x1F));
    let of = compiled(&matched(text("{id:dec2}"), "after:=="));
    assert_eq!(of.1.id_of(b"== ===42"), Some(42), "the text may overlap itself");
    let of = compiled(&matched(text("{id:u16le}"), "after-hex:00 ff"));
    assert_eq!((of.1.id_of(b"\0\xFF\x01"), of.1.id_of(b"?\0\0\xFF\x01\x02?")), (None, Some(0x201)));
    // A group that holds more than the id, or is no part of the match, holds none.
    let of = compiled(&matched(text("{id:dec3}"), "regex:id=(\\d+)|none"));
    let ids = [&b"id=017"[..], b"id=0170", b"none", b"id=17"].map(|reply| of.1.id_of(reply));
    assert_eq!(ids, [Some(17), None, None, None]);
    assert_eq!(of.1.to_string(), "id (dec3) in \"id=(\\\\d+)|none\"");
    // Decimals without leading zeros take as many bytes as they need, in requests and replies.
    for rule in ["after:\"id\":", "regex:\"id\":(\\d+)[,}]"] {
        let source = text("{{\"n\":{counter:dec},\"id\":{id:dec}}}");
        let of = compiled(&matched(source, rule));
        assert_eq!(of.written(100, 7), b"{\"n\":100,\"id\":7}");
        let ids = [&b"{\"id\":7}"[..], b"{\"id\":1234,", b"{\"id\":}"];
        assert_eq!(ids.map(|reply| of.1.id_of(reply)), [Some(7), Some(1_234), None], "{rule}");
    }
    // No request has an id that large: of three digits, nine bits are used.
    assert_eq!([of.1.id_of(b"id=511"), of.1.id_of(b"id=512")], [Some(511), None]);
}

#[test]
fn a_searched_id_may_move_in_requests_but_has_one_format() {
    let after = |source| matched(source, "after:id=");
    let of = compiled(&after(lines(b"{choice:a|bcd} id={id:hex4}\nid={id:hex4}\nxy id={id:hex4}")));
    assert_eq!((of.0.id_bits, of.written(2, 0xAB)), (16, b"xy id=00ab".to_vec()));
    assert_eq!(of.1.id_of(b"id=00ab"), Some(0xAB));
    let moving = |spec: Spec| matches!(error(&spec), PayloadError::MovingId { format: None, .. });
    assert!(moving(after(lines(b"{id:hex4}\nid={id:hex8}"))));
    assert!(moving(after(lines(b"{id:hex4}\nid={id:hex4}\nid={id:hex8}"))));
    assert_eq!(error(&after(lines(b"a\n{id}"))), PayloadError::SomeIds.in_line(2));
    for (spec, start) in [
        (after(text("a")), "--match after:id= needs an id in the requests; write {id} into them"),
        (matched(text("{id}"), "regex:x"), "--match regex:x has no group; put ( and ) around"),
        (matched(text("{id}"), "after:"), "rule 'after:' is empty"),
        (matched(text("{id}"), "after-hex:"), "rule 'after-hex:' is empty"),
    ] {
        assert!(error(&spec).to_string().starts_with(start), "{}", error(&spec));
    }
}

#[test]
fn replies_are_judged_by_the_first_rule_that_fits() {
    let of = judged(
        &["prefix:OK", "hex@4:00 ff", "byte@0=0x49"],
        &["gone=text:404", "regex:code=(?<name>[45]..)?", "busy=hex:de ad", "big=byte@3=200"],
    );
    for (reply, name) in [
        (&b"OK"[..], None),
        (b"abcd\0\xFF", None),
        (b"I", None),
        (b"OK 404", Some("gone")),
        (b"404 code=500", Some("gone")),
        (b"OK code=500", Some("500")),
        (b"code=200", Some("unnamed")),
        (b"OK \xDE\xAD", Some("busy")),
        (b"abc\xC8", Some("big")),
        // Missing bytes fit no rule.
        (b"", Some("unexpected")),
        (b"O", Some("unexpected")),
        (b"abcd\0", Some("unexpected")),
        (b"\xDE", Some("unexpected")),
        (b" OK", Some("unexpected")),
    ] {
        assert_eq!(of.error(reply).as_deref(), name, "{reply:?}");
    }
    let shown = of.1.rules();
    assert_eq!(shown[0], "expecting \"prefix:OK or hex@4:00 ff or byte@0=0x49\"");
    let start = "errors \"gone=text:404 or regex:code=(?<name>[45]..)? or \"… of 81 bytes";
    assert!(shown.len() == 2 && shown[1].starts_with(start), "{shown:?}");
    let of = judged(&[], &["crlf=text:a\r\n"]);
    assert_eq!((of.error(b"a"), of.error(b"a\r\n").as_deref()), (None, Some("crlf")));
    assert_eq!(of.1.rules(), ["errors \"crlf=text:a\\r\\n\""]);
    // Names that replies give have no control characters, and a limited length.
    let of = judged(&[], &["regex:(?s)^x(?<name>.*)"]);
    assert_eq!(of.error(b"xa\x1b[31mb\n\xFF").unwrap(), "a [31mb \u{FFFD}");
    assert_eq!(of.error(&[b"x".repeat(99), vec![]].concat()).unwrap(), "x".repeat(31));
}

#[test]
fn rules_go_before_the_protocol() {
    let dns = |expected: &[&str], errors: &[&str]| {
        compiled(&Spec {
            expected: expected.iter().map(|rule| rule.parse().unwrap()).collect(),
            errors: errors.iter().map(|rule| rule.parse().unwrap()).collect(),
            ..preset(Preset::Dns(Dns::of("a")))
        })
    };
    // Flags of a reply, and the RCODE, RFC 1035 §4.1.1; 3 is NXDOMAIN.
    let reply = |rcode| [0, 0, 0x80, rcode, 0, 0, 0, 0, 0, 0, 0, 0];
    let names = |of: &Compiled| [0, 3].map(|rcode| of.error(&reply(rcode)));
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(names(&dns(&[], &[])), [None, some("NXDOMAIN")]);
    assert_eq!(names(&dns(&["byte@3=3"], &[])), [some("unexpected"), None]);
    assert_eq!(names(&dns(&["text:x"], &[])), [some("unexpected"), some("NXDOMAIN")]);
    assert_eq!(names(&dns(&["byte@3=3"], &["no=byte@3=3"])), [some("unexpected"), some("no")]);
}

#[test]
fn errors_in_rules_have_their_position() {
    let of = |word: &str| match word.split_once(' ') {
        Some(("match", rule)) => rule.parse::<MatchRule>().unwrap_err().to_string(),
        Some(("expect", rule)) => rule.parse::<ReplyRule>().unwrap_err().to_string(),
        Some(("error", rule)) => rule.parse::<ErrorRule>().unwrap_err().to_string(),
        _ => panic!("{word}"),
    };
    let many = format!("match regex:{}", "((a{99}){99}){99}");
    let long = format!("error {}=text:a", "x".repeat(32));
    for (word, start) in [
        ("match regex:é(a", "'é(a', character 2: unclosed group"),
        ("match regex:a(?=b)", "'a(?=b)', character 2: look-around"),
        ("match regex:(a)\\1", "'(a)\\1', character 4: backreferences are not supported"),
        ("match regex:\\pL", "'\\pL', character 1: "),
        ("match regex:a**[", "'a**[', character 4: unclosed character class"),
        (&many, "'((a{99}){99}){99}' has more than 262144 bytes when compiled; shorten it"),
        ("match after-hex:0a 0", "rule 'after-hex:0a 0': the hex digit '0', character 14,"),
        ("expect hex@4:0x", "rule 'hex@4:0x'"),
        ("expect hex:0a g", "rule 'hex:0a g': 'g', character 8, is not a hex digit"),
        ("expect hex@:00", "unknown rule 'hex@:00'; use prefix:TEXT"),
        ("expect hex@-1:00", "unknown rule"),
        ("expect hex@4", "unknown rule"),
        ("expect byte@1=256", "unknown rule"),
        ("expect byte@1=0x100", "unknown rule"),
        ("expect byte@1", "unknown rule"),
        ("expect suffix:x", "unknown rule 'suffix:x'"),
        ("expect prefix:", "rule 'prefix:' is empty"),
        ("expect text:", "rule 'text:' is empty"),
        ("expect hex:", "rule 'hex:' is empty"),
        ("expect regex:", "rule 'regex:' is empty"),
        ("error text:a", "--error text:a has no name; write NAME=text:a, or use regex: with"),
        ("error regex:(?<nam>a)", "--error regex:(?<nam>a) has no name"),
        ("error byte@4=0x41", "--error byte@4=0x41 has no name"),
        ("error a=regex:(?<name>a)", "--error a=regex:(?<name>a) has two names"),
        ("error =text:a", "'' is not a name of an error; use 1 to 31 bytes"),
        ("error a\tb=text:a", "'a\tb' is not a name of an error"),
        (&long, "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' is not a name of an error"),
        ("error a=b", "unknown rule 'b'; use prefix:TEXT"),
    ] {
        assert!(of(word).starts_with(start), "{word}: {}", of(word));
    }
    let unmappable = Spec {
        encoding: "latin1".parse().unwrap(),
        expected: vec!["text:a\u{4f60}".parse().unwrap()],
        ..text("a")
    };
    let start = "rule 'text:a\u{4f60}': '\u{4f60}' (U+4F60), character 7, cannot be written in";
    assert!(error(&unmappable).to_string().starts_with(start), "{}", error(&unmappable));
    let silent = Spec { expected: vec!["text:a".parse().unwrap()], ..matched(text("a"), "none") };
    assert_eq!(error(&silent), PayloadError::NoReplies);
}

#[test]
fn names_of_errors_fit_or_are_refused() {
    for (name, fits) in [("a", true), ("Not Found", true), (&"x".repeat(31), true), ("", false)] {
        assert_eq!(
            ErrorName::parse(name).map(|name| name.to_string()),
            fits.then(|| name.to_owned())
        );
    }
}

#[test]
fn coap_requests_of_others_get_own_ids_and_keep_the_rest() {
    // CON GET with a token of 2 bytes, NON POST without one, CON with 8; RFC 7252 §3.
    let get = b"\x42\x01\xAA\xBB\x01\x02\xB1a";
    let post = b"\x50\x02\xAA\xBB\xB1a\xFFbody";
    let put = b"\x48\x03\xAA\xBB12345678\xB1a";
    let (ack, reply, long, short) =
        (b"\x60\0\0\x01", b"\x60\x45\0\x01", b"\x49\x01\0\x01123456789", b"\x42\x01\0\x01?");
    let packets: [&[u8]; 8] = [get, post, ack, put, reply, long, short, b"x"];
    let frames: Vec<_> = packets.iter().map(|packet| (0, 0, capture::frame(packet))).collect();
    let of = compiled(&matched(capture::capture(&capture::little(1, &frames), None), "coap"));
    let id = 0x0102_0304_0506_0708_u64;
    let written: Vec<_> = (0..3).map(|n| of.written(n, id)).collect();
    let expected = [
        [&b"\x48\x01\x07\x08"[..], &id.to_be_bytes(), b"\xB1a"].concat(),
        [&b"\x58\x02\x07\x08"[..], &id.to_be_bytes(), b"\xB1a\xFFbody"].concat(),
        [&b"\x48\x03\x07\x08"[..], &id.to_be_bytes(), b"\xB1a"].concat(),
    ];
    assert_eq!(written, expected);
    let left_out = [("not_request".to_owned(), 5)].into();
    assert_eq!((of.input().used, &of.input().left_out), (3, &left_out));
    assert_eq!((of.0.id_bits, of.0.message_id_bits), (64, Some(16)));
    // The second implementation reads what is sent, and answers it.
    let packet = coap_lite::Packet::from_bytes(&written[1]).unwrap();
    assert_eq!((packet.get_token(), &packet.payload[..]), (&id.to_be_bytes()[..], &b"body"[..]));
    let not_found = [&b"\x58\x84\0\x09"[..], &id.to_be_bytes()].concat();
    assert!(of.matches(1, id, &not_found) && !of.matches(1, id ^ 1, &not_found));
    assert_eq!(of.error(&not_found).unwrap(), "4.04");
    let hex = |digits: &str| matched(Spec::of(RequestSource::Hex(digits.to_owned())), "coap");
    let bytes = compiled(&hex("40 01 00 01 b1 61")).written(0, id);
    assert_eq!(bytes, expected[0]);
    let placed = compiled(&hex("48 01 00 01 {id:u64be} b1 61")).written(0, id);
    assert_eq!(placed[2..12], [&[0, 1][..], &id.to_be_bytes()].concat());
    let with_field = compiled(&hex("40 01 00 01 b1 61 ff {counter:u8}")).written(3, id);
    assert_eq!(with_field[12..], *b"\xB1a\xFF\x03");
    for digits in ["60 00 00 01", "40 45 00 01", "40 01 00", "{counter:u8} 01 00 01"] {
        assert_eq!(error(&hex(digits)), PayloadError::NotCoap, "{digits}");
    }
    let none = error(&matched(capture::capture(&capture::little(1, &frames[2..3]), None), "coap"));
    let text = none.to_string();
    assert!(text.contains("left out: 1 that are no requests of the protocol"), "{text}");
}
