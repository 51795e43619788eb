//! From specifications to matched replies.

mod capture;
mod computed;
mod dns;
mod edns;
mod encapsulation;
mod hints;
mod large;
mod protocols;
mod rules;
mod second;

use super::*;
use crate::document::InputSummary;

/// Seed of random fields. Arbitrary.
const SEED: u64 = 7;
/// 2023-11-14T22:13:20.123456789Z.
const NOW_NS: u64 = 1_700_000_000_123_456_789;

#[derive(Debug)]
struct Compiled(Requests, Matching);

impl Compiled {
    /// Request number `n` with this id, which is the same whenever it is written.
    fn written(&self, n: u64, id: u64) -> Vec<u8> {
        let [slot, again] = [0xAA, 0x55].map(|fill| {
            let mut slot = vec![fill; self.0.largest];
            let len = self.0.write(n, id, NOW_NS, &mut slot);
            slot.truncate(len);
            slot
        });
        assert_eq!(slot, again);
        slot
    }

    fn matches(&self, n: u64, id: u64, reply: &[u8]) -> bool {
        self.1.answers(&self.0, n, id, NOW_NS, reply, &mut vec![0; self.0.largest])
    }

    fn input(&self) -> &InputSummary {
        self.0.input.as_ref().unwrap()
    }

    fn error(&self, reply: &[u8]) -> Option<String> {
        self.1.code_of(reply).map(|code| self.1.code_name(code))
    }
}

fn text(text: &str) -> Spec {
    Spec::of(RequestSource::Text(text.to_owned()))
}

fn lines(bytes: &[u8]) -> Spec {
    Spec::of(RequestSource::Lines(bytes.to_vec().into()))
}

fn preset(preset: Preset) -> Spec {
    Spec::of(RequestSource::Preset(preset))
}

fn with_id_at(spec: Spec, at: &str) -> Spec {
    Spec { id_at: Some(at.parse().unwrap()), ..spec }
}

fn compiled(spec: &Spec) -> Compiled {
    let (requests, matching) = spec.compile(SEED).unwrap();
    Compiled(requests, matching)
}

fn error(spec: &Spec) -> PayloadError {
    spec.compile(SEED).unwrap_err()
}

#[test]
fn writes_fields_in_place() {
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
        let of = compiled(&text(template));
        assert_eq!(of.written(5, 9), bytes, "{template}");
        assert_eq!(of.0.same_len, Some(bytes.len()));
    }
    let of = compiled(&text("{random}{random}{random:alnum:5}"));
    let (first, second) = (of.written(0, 0), of.written(1, 0));
    assert!(first != second && first[..8] != first[8..16]);
    assert!(first[16..].iter().all(u8::is_ascii_alphanumeric) && first.len() == 21);
    let hex = |text: &str| Spec::of(RequestSource::Hex(text.to_owned()));
    let of = compiled(&hex("01 02{id}{choice:03|0405} ff"));
    assert_eq!(of.written(0, 9), [1, 2, 0, 0, 0, 9, 3, 0xFF]);
    assert_eq!(of.written(1, 9), [1, 2, 0, 0, 0, 9, 4, 5, 0xFF]);
    assert_eq!((of.0.same_len, of.0.mean_len), (None, 8.5));
    assert_eq!(error(&hex("01{id}0")), PayloadError::HexHalf { found: '0', position: 7 });
}

#[test]
fn encodes_text_and_reads_braces_as_text_without_fields() {
    let encoded = |label: &str, text: Spec| Spec { encoding: label.parse().unwrap(), ..text };
    assert_eq!(compiled(&encoded("latin1", text("é{id:u8}"))).written(0, 1), [0xE9, 1]);
    assert_eq!(compiled(&encoded("utf-16le", text("é{id:u8}"))).written(0, 1), [0xE9, 0, 1]);
    let error_of = error(&encoded("utf-16be", text("a{id}")));
    assert!(matches!(error_of, PayloadError::FieldEncoding { column: 2, .. }), "{error_of}");
    let json = Spec { fields: false, ..text("{\"a\": {}}") };
    assert_eq!(compiled(&json).written(0, 1), b"{\"a\": {}}");
    let file = Spec::of(RequestSource::File(vec![0xFF, b'{', 0]));
    assert_eq!(error(&file), PayloadError::Unclosed { column: 2 });
    assert_eq!(compiled(&Spec { fields: false, ..file }).written(0, 1), [0xFF, b'{', 0]);
}

#[test]
fn lines_and_choices_take_turns() {
    let mut spec = lines(b"\xEF\xBB\xBFa{choice:1|2}\n\r\n\nb\r\nc");
    let of = compiled(&spec);
    let sent: Vec<_> = (0..6).map(|n| of.written(n, 0)).collect();
    assert_eq!(sent, [&b"a1"[..], b"b", b"c", b"a2", b"b", b"c"]);
    assert!(of.0.variants() == 4 && (of.0.mean_len - 4.0 / 3.0).abs() < 1e-9 && of.1.by_order());
    spec.order = RequestOrder::Random;
    let of = compiled(&spec);
    let mut count = std::collections::BTreeMap::new();
    for n in 0..6_000 {
        *count.entry(of.written(n, 0)).or_insert(0) += 1;
    }
    assert_eq!(count.len(), 4);
    assert!(count[&b"b"[..]] > 1_500 && count[&b"a1"[..]] > 700, "{count:?}");
}

#[test]
fn errors_in_fields_have_their_position() {
    let of = |template: &str| error(&text(template)).to_string();
    assert!(of("é {ip}").ends_with("{{ and }} stand for braces themselves"));
    for (template, start) in [
        ("é {ip}", "'{ip}', character 3, is not a field; did you mean {id}? fields are {id}"),
        (
            "{id:u40be}",
            "'{id:u40be}', character 1, has no such format; did you mean {id:u48be}? numbers are \
             u8",
        ),
        ("{random:alnum:0}", "'{random:alnum:0}', character 1, has no such format"),
        ("{time:min}", "'{time:min}', character 1, has no such format"),
        ("ab{id", "the brace at character 3 begins a field without an end"),
        ("ab{\"x\": {id}", "the brace at character 3 begins a field without an end"),
        ("ab}", "the brace at character 3 does not close a field"),
        ("{choice:}", "'{choice}', character 1, has no choices"),
        ("{choice}", "'{choice}', character 1, has no choices"),
        ("{}", "'{}', character 1, is not a field"),
    ] {
        assert!(of(template).starts_with(start), "{}", of(template));
    }
    let in_line = error(&lines(b"a\n\n{x}")).to_string();
    assert!(in_line.starts_with("line 3: '{x}', character 1"), "{in_line}");
}

#[test]
fn requests_have_limits() {
    let ways = |count| text(&"{choice:a|b}".repeat(count));
    let pcap = |bytes: &[u8]| capture::capture(bytes, None);
    let (least, most) = (16, 65_507);
    let size = |what, requested| PayloadError::Size { what, requested, least, most };
    for (spec, expected) in [
        (ways(13), PayloadError::TooManyWays { most: 4_096 }),
        (ways(200), PayloadError::TooManyWays { most: 4_096 }),
        (text(&"a".repeat(65_508)), PayloadError::TooLong { bytes: 65_508 }),
        (lines(b""), PayloadError::Nothing),
        (lines(b"\n\r\n"), PayloadError::Nothing),
        (lines(b"a\n\xFF"), PayloadError::NotText { number: 2 }),
        (pcap(b""), PayloadError::NoCapture),
        (pcap(b"\x1F\x8B\x08"), PayloadError::NoCapture),
        (pcap(b"GET / HTTP/1.1"), PayloadError::NoCapture),
        (pcap(&[0xD4, 0xC3, 0xB2, 0xA1]), PayloadError::NoCapture),
        (preset(Preset::Echo { size: 15 }), size("an echo", 15)),
        (preset(Preset::Ping { size: 65_508 }), size("a ping", 65_508)),
    ] {
        assert_eq!(error(&spec), expected);
    }
    assert_eq!(compiled(&text(&"a".repeat(65_507))).0.largest, 65_507);
    let Compiled(requests, matching) = compiled(&text("{id:u16be}abc"));
    let mut slot = [7; 4];
    assert_eq!((requests.write(0, 0, 0, &mut slot), slot), (0, [7; 4]), "too short");
    assert!(matching.answers(&requests, 0, 1, 0, &[0, 1], &mut slot), "needs no scratch");
}

#[test]
fn puts_ids_over_other_bytes() {
    let spec = with_id_at(lines(b"abcd{counter:dec1}\nxyzw!"), "1:u16be");
    let of = compiled(&spec);
    assert_eq!([of.written(2, 0x3132), of.written(1, 0x3132)], [b"a12d2", b"x12w!"]);
    assert_eq!(of.1.id_of(b"?12"), Some(0x3132));
    let beyond = PayloadError::IdBeyond { offset: 4, width: 2, len: 5 };
    assert_eq!(error(&with_id_at(spec, "4:u16be")), beyond.clone().in_line(1));
    let spec = lines(b"abcdefgh\n\nabcde\nabcdef\nabcde");
    assert_eq!(error(&with_id_at(spec, "4:u16be")), beyond.clone().in_line(3));
    assert_eq!(error(&with_id_at(text("abcde"), "4:u16be")), beyond);
    assert_eq!(error(&with_id_at(text("{id}"), "0:u8")), PayloadError::TwoIds);
    for word in ["", "1", "1:", "a:u8", "-1:u8", "1:u9"] {
        assert!(word.parse::<IdAt>().is_err(), "{word}");
    }
    // A query for a. A without its id; RFC 1035 §4.1.
    let query = "0000 0100 0001 0000 0000 0000 0161 00 0001 0001".to_owned();
    let spec = Spec { rule: "dns".parse().unwrap(), ..Spec::of(RequestSource::Hex(query)) };
    assert_eq!(compiled(&spec).written(0, 0x1234)[..2], [0x12, 0x34]);
    let (rule, place) = ("dns".to_owned(), "0:u16be".to_owned());
    assert_eq!(error(&with_id_at(spec, "0:u8")), PayloadError::OtherId { rule, place });
}

#[test]
fn ids_must_be_at_one_place_in_all_requests() {
    let [here, there] = ["1:dec10", "2:dec10"].map(str::to_owned);
    for (mut spec, expected) in [
        (
            text("{choice:a|bc}{id}"),
            PayloadError::MovingId { here, there, format: Some(Number::Dec(10)) },
        ),
        (lines(b"a\n{id}\n{id}"), PayloadError::SomeIds.in_line(2)),
    ] {
        assert_eq!(error(&spec), expected);
        spec.rule = MatchRule::Any;
        assert!(compiled(&spec).1.by_order());
    }
}

#[test]
fn rules_are_those_of_the_user() {
    let with = |template: &str, rule: &str| {
        let spec = Spec { rule: rule.parse().unwrap(), ..text(template) };
        assert_eq!(spec.rule.to_string(), rule);
        spec
    };
    assert!(!compiled(&with("{id}", "none")).1.expects_reply());
    let any = compiled(&with("a", "preset"));
    assert!(any.1.by_order() && any.matches(3, 0, b"any datagram"));
    let echo = compiled(&with("{id} {time:us}", "echo"));
    assert!(echo.matches(0, 1, b"0000000001 1700000000123456"));
    assert!(!echo.matches(0, 1, b"0000000001 1700000000123457"), "the time it was due");
    let id = compiled(&with("ab{id:dec3}c", "id@1"));
    assert_eq!((id.0.id_bits, id.1.id_of(b"x511"), id.1.id_of(b"x51")), (9, Some(511), None));
    let same = compiled(&with("ping", "echo"));
    assert!(same.1.by_order() && same.matches(9, 0, b"ping") && !same.matches(9, 0, b"pong"));
    for (template, rule) in [("{counter}", "echo"), ("a", "id@3")] {
        assert_eq!(error(&with(template, rule)), PayloadError::NoId { rule: rule.to_owned() });
    }
    assert!("id@".parse::<MatchRule>().is_err() && "dn".parse::<MatchRule>().is_err());
}

#[test]
fn descriptions_differ_for_different_specifications() {
    let long = |end: &str| text(&("x".repeat(99) + end)).to_string();
    assert!(long("x").contains("… of 100 bytes, CRC ") && long("x") != long("y"));
    let mut random =
        Spec::of(RequestSource::Capture { bytes: vec![], port: Some(53), inner: true });
    random.order = RequestOrder::Random;
    let dns = Dns { random_subdomain: Some(8), dnssec: true, ..Dns::of("a.example") };
    for (spec, shown) in [
        (text("a\x1b{id}"), "text \"a\\u{1b}{id}\""),
        (lines(b"a"), "lines of 1 bytes, CRC e8b7be43"),
        (Spec::of(RequestSource::File(vec![])), "0 bytes, CRC 00000000, fields on"),
        (
            with_id_at(random, "0:u16be"),
            "capture of 0 bytes, CRC 00000000, port 53, inside tunnels, id at 0:u16be, in random \
             order",
        ),
        (
            preset(Preset::Dns(dns)),
            "dns \"a.example\" A, 8 random letters before it, EDNS 1232, DO",
        ),
        (preset(Preset::Echo { size: 64 }), "echo of 64 bytes"),
    ] {
        assert_eq!(spec.to_string(), shown);
    }
    for (spec, rule, shown) in [
        (text("{id}"), MatchRule::Preset, "id at 0:dec10"),
        (text("{id}"), MatchRule::Echo, "the whole request"),
        (text("a"), MatchRule::Echo, "the whole request, in order"),
        (text("a"), MatchRule::Any, "any datagram, in order"),
        (text("a"), MatchRule::None, "no replies"),
        (preset(Preset::Ntp), MatchRule::Preset, "origin timestamp of NTP"),
    ] {
        assert_eq!(compiled(&Spec { rule, ..spec }).1.to_string(), shown);
    }
}
