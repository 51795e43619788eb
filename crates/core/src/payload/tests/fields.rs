//! Templates, and the rules of matching that go with them.

use super::*;

#[test]
fn fields_are_written_where_they_stand() {
    for (template, bytes) in [
        ("a{id:u16be}b", &b"a\x00\x09b"[..]),
        ("{id}", b"0000000009"),
        ("{counter:hex2}|{counter}", b"05|0000000005"),
        ("{time:s}", b"1700000000"),
        ("{time:ms} {time:us}", b"1700000000123 1700000000123456"),
        ("{time}", b"1700000000123456789"),
        ("{time:s:hex8}", b"6553f100"),
        ("{time:u8}", &[NOW_NS as u8]),
        ("{time:rfc3339}", b"2023-11-14T22:13:20.123456Z"),
        ("{{id}} {{{id:dec1}}}", b"{id} {9}"),
        ("", b""),
        ("{choice:one}", b"one"),
    ] {
        let (requests, _) = compiled(&text(template));
        assert_eq!(written(&requests, 5, 9), bytes, "{template}");
        assert_eq!(requests.same_len(), Some(bytes.len()));
    }
}

#[test]
fn hex_has_fields_between_its_digits() {
    let hex = |text: &str| Spec::of(RequestSource::Hex(text.to_owned()));
    let (requests, _) = compiled(&hex("01 02{id}{choice:03|0405} ff"));
    assert_eq!(written(&requests, 0, 9), [1, 2, 0, 0, 0, 9, 3, 0xFF]);
    assert_eq!(written(&requests, 1, 9), [1, 2, 0, 0, 0, 9, 4, 5, 0xFF]);
    assert_eq!((requests.same_len(), requests.mean_len()), (None, 8.5));
    let error = hex("01{id}0").compile(SEED).unwrap_err();
    assert_eq!(error, PayloadError::HexHalf { found: '0', position: 7 });
}

#[test]
fn text_is_encoded_and_braces_are_text_where_fields_are_off() {
    let mut spec = text("é{id:u8}");
    spec.encoding = Encoding::parse("latin1").unwrap();
    assert_eq!(written(&compiled(&spec).0, 0, 1), [0xE9, 1]);
    spec.encoding = Encoding::parse("utf-16le").unwrap();
    assert_eq!(written(&compiled(&spec).0, 0, 1), [0xE9, 0, 1]);
    let mut json = text("{\"a\": {}}");
    json.fields = false;
    assert_eq!(written(&compiled(&json).0, 0, 1), b"{\"a\": {}}");
    let mut spec = text("a{id}");
    spec.encoding = Encoding::parse("utf-16be").unwrap();
    let error = spec.compile(SEED).unwrap_err();
    assert!(matches!(error, PayloadError::FieldEncoding { column: 2, .. }), "{error}");
}

#[test]
fn files_are_bytes() {
    let mut spec = Spec::of(RequestSource::File(vec![0xFF, b'{', 0]));
    assert_eq!(spec.compile(SEED).unwrap_err(), PayloadError::Unclosed { column: 2 });
    spec.fields = false;
    assert_eq!(written(&compiled(&spec).0, 0, 1), [0xFF, b'{', 0]);
}

#[test]
fn lines_and_choices_take_turns() {
    let lines = b"a{choice:1|2}\n\r\n\nb\r\nc".to_vec();
    let mut spec = Spec::of(RequestSource::Lines(lines));
    let (requests, matching) = compiled(&spec);
    let sent: Vec<_> = (0..6).map(|n| written(&requests, n, 0)).collect();
    assert_eq!(sent, [&b"a1"[..], b"b", b"c", b"a2", b"b", b"c"]);
    assert_eq!(requests.variants(), 4);
    assert!((requests.mean_len() - 4.0 / 3.0).abs() < 1e-9);
    assert!(matching.by_order());
    spec.order = RequestOrder::Random;
    let (requests, _) = compiled(&spec);
    let mut count = std::collections::BTreeMap::new();
    for n in 0..6_000 {
        *count.entry(written(&requests, n, 0)).or_insert(0) += 1;
    }
    assert_eq!(count.len(), 4);
    assert!(count[&b"b"[..]] > 1_500 && count[&b"a1"[..]] > 700, "{count:?}");
}

#[test]
fn random_fields_differ_by_request_and_by_place() {
    let (requests, _) = compiled(&text("{random}{random}{random:alnum:5}"));
    let (first, second) = (written(&requests, 0, 0), written(&requests, 1, 0));
    assert_ne!(first, second);
    assert_ne!(first[..8], first[8..16]);
    assert!(first[16..].iter().all(u8::is_ascii_alphanumeric) && first.len() == 21);
}

#[test]
fn errors_in_fields_have_their_position() {
    let error = |template: &str| text(template).compile(SEED).unwrap_err().to_string();
    assert!(error("é {ip}").ends_with("{{ and }} stand for braces themselves"));
    for (template, start) in [
        ("é {ip}", "'{ip}', character 3, is not a field; fields are {id}"),
        ("{id:u24be}", "'{id:u24be}', character 1, has no such format; numbers are u8"),
        ("{random:alnum:0}", "'{random:alnum:0}', character 1, has no such format"),
        ("{time:min}", "'{time:min}', character 1, has no such format"),
        ("ab{id", "the brace at character 3 begins a field without an end"),
        ("ab{\"x\": {id}", "the brace at character 3 begins a field without an end"),
        ("ab}", "the brace at character 3 does not close a field"),
        ("{choice:}", "'{choice}', character 1, has no choices"),
        ("{choice}", "'{choice}', character 1, has no choices"),
        ("{}", "'{}', character 1, is not a field"),
    ] {
        let error = error(template);
        assert!(error.starts_with(start), "{error}");
    }
    let lines = Spec::of(RequestSource::Lines(b"a\n\n{x}".to_vec())).compile(SEED).unwrap_err();
    assert!(lines.to_string().starts_with("line 3: '{x}', character 1"), "{lines}");
    let bytes = Spec::of(RequestSource::Lines(b"a\n\xFF".to_vec())).compile(SEED).unwrap_err();
    assert_eq!(bytes, PayloadError::NotText { number: 2 });
}

#[test]
fn requests_have_limits() {
    let error = |template: &str| text(template).compile(SEED).unwrap_err();
    assert_eq!(error(&"{choice:a|b}".repeat(13)), PayloadError::TooManyWays { most: 4_096 });
    assert_eq!(error(&"{choice:a|b}".repeat(200)), PayloadError::TooManyWays { most: 4_096 });
    assert_eq!(error(&"a".repeat(65_508)), PayloadError::TooLong { bytes: 65_508 });
    assert_eq!(compiled(&text(&"a".repeat(65_507))).0.largest(), 65_507);
    for empty in [&b""[..], b"\n\r\n"] {
        let error = Spec::of(RequestSource::Lines(empty.to_vec())).compile(SEED).unwrap_err();
        assert_eq!(error, PayloadError::Nothing);
    }
}

#[test]
fn an_id_matches_where_it_was_sent() {
    let of = compiled(&text("ab{id:hex4}c"));
    assert_eq!(of.0.id_bits(), 16);
    assert_eq!(of.1.id_of(b"xx00ffwhatever"), Some(255));
    assert!(matched(&of, 0, 255, b"xx00FF"));
    assert!(!matched(&of, 0, 254, b"xx00ff"));
    assert_eq!(of.1.id_of(b"xx00f"), None);
    assert_eq!(of.1.id_of(b"xx00fg"), None);
    let mut spec = text("ab{id:dec3}c");
    spec.rule = "id@1".parse().unwrap();
    let of = compiled(&spec);
    assert_eq!((of.0.id_bits(), of.1.id_of(b"x511")), (9, Some(511)));
}

#[test]
fn ids_are_put_over_what_is_there() {
    let mut spec = Spec::of(RequestSource::Lines(b"abcd{counter:dec1}\nxyzw!".to_vec()));
    spec.id_at = Some("1:u16be".parse().unwrap());
    let of = compiled(&spec);
    assert_eq!(written(&of.0, 2, 0x3132), b"a12d2");
    assert_eq!(written(&of.0, 1, 0x3132), b"x12w!");
    assert_eq!(of.1.id_of(b"?12"), Some(0x3132));
    spec.id_at = Some("4:u16be".parse().unwrap());
    let beyond = PayloadError::IdBeyond { offset: 4, width: 2, len: 5 };
    assert_eq!(spec.compile(SEED).unwrap_err(), beyond);
    let mut spec = text("{id}");
    spec.id_at = Some("0:u8".parse().unwrap());
    assert_eq!(spec.compile(SEED).unwrap_err(), PayloadError::TwoIds);
    for word in ["", "1", "1:", "a:u8", "-1:u8", "1:u9"] {
        assert!(word.parse::<IdAt>().is_err(), "{word}");
    }
}

#[test]
fn ids_must_be_at_one_place_in_all_requests() {
    let moving = text("{choice:a|bc}{id}");
    assert!(matches!(moving.compile(SEED), Err(PayloadError::MovingId { here: 1, there: 2, .. })));
    let some = Spec::of(RequestSource::Lines(b"a\n{id}".to_vec()));
    assert_eq!(some.compile(SEED).unwrap_err(), PayloadError::SomeIds);
    for mut spec in [moving, some] {
        spec.rule = MatchRule::Any;
        assert!(compiled(&spec).1.by_order());
    }
}

#[test]
fn a_rule_of_a_protocol_puts_the_id_at_its_place() {
    // A query for a. A without its id; RFC 1035 §4.1.
    let query = "0000 0100 0001 0000 0000 0000 0161 00 0001 0001";
    let mut spec = Spec::of(RequestSource::Hex(query.to_owned()));
    spec.rule = "dns".parse().unwrap();
    assert_eq!(written(&compiled(&spec).0, 0, 0x1234)[..2], [0x12, 0x34]);
    spec.id_at = Some("0:u8".parse().unwrap());
    let (rule, place) = ("dns".to_owned(), "0:u16be".to_owned());
    assert_eq!(spec.compile(SEED).unwrap_err(), PayloadError::OtherId { rule, place });
}

#[test]
fn rules_are_those_of_the_user() {
    let with = |template: &str, rule: &str| {
        let mut spec = text(template);
        spec.rule = rule.parse().unwrap();
        assert_eq!(spec.rule.to_string(), rule);
        spec.compile(SEED)
    };
    let none = with("{id}", "none").unwrap();
    assert!(!none.1.expects_reply());
    assert!(none.1.id_of(b"0000000001").is_none() && !matched(&none, 0, 1, b"0000000001"));
    let any = with("a", "preset").unwrap();
    assert!(any.1.by_order() && any.1.expects_reply());
    assert!(any.1.id_of(b"") == Some(0) && matched(&any, 3, 0, b"whatever"));
    let echo = with("{id} {time:us}", "echo").unwrap();
    assert!(matched(&echo, 0, 1, b"0000000001 0123456789abcdef"), "the time may be any");
    assert!(!matched(&echo, 0, 1, b"0000000001:0123456789abcdef"));
    let same = with("ping", "echo").unwrap();
    assert!(same.1.by_order() && matched(&same, 9, 0, b"ping") && !matched(&same, 9, 0, b"pong"));
    assert_eq!(with("{counter}", "echo").unwrap_err(), PayloadError::NoId { rule: "echo".into() });
    assert_eq!(with("a", "id@3").unwrap_err(), PayloadError::NoId { rule: "id@3".into() });
    assert!("id@".parse::<MatchRule>().is_err() && "dn".parse::<MatchRule>().is_err());
}
