//! Queries, read by another library, their replies, and files of names.

use simple_dns::{Packet, PacketFlag, TYPE};

use super::*;

pub(super) fn dns(change: impl FnOnce(&mut Dns)) -> Spec {
    let mut dns = Dns::of("www.example.com");
    change(&mut dns);
    preset(Preset::Dns(dns))
}

pub(super) fn www() -> Compiled {
    compiled(&dns(|_| {}))
}

pub(super) fn names(lines: impl AsRef<[u8]>) -> Names {
    Names::Lines { bytes: lines.as_ref().to_vec().into(), strict: false }
}

fn of_names(lines: impl AsRef<[u8]>) -> Compiled {
    compiled(&dns(|dns| dns.names = names(lines)))
}

fn reply_to(query: &[u8]) -> Vec<u8> {
    let mut reply = Packet::parse(query).unwrap().into_reply();
    reply.set_flags(PacketFlag::RESPONSE);
    reply.build_bytes_vec().unwrap()
}

#[test]
fn queries_are_those_of_rfc_1035_and_6891() {
    let query = |change: fn(&mut Dns)| compiled(&dns(change)).written(3, 0xABCD);
    let name = b"\x03www\x07example\x03com\0";
    let plain = query(|dns| {
        (dns.edns, dns.recursion, dns.rtype) = (None, false, "TYPE65280".to_owned());
    });
    let header = b"\xAB\xCD\0\0\0\x01\0\0\0\0\0\0";
    assert_eq!(plain, [&header[..], name, b"\xFF\0\0\x01"].concat());
    let edns = query(|dns| {
        (dns.edns, dns.dnssec, dns.rtype) = (Some(4_096), true, "aaaa".to_owned());
    });
    let header = b"\xAB\xCD\x01\0\0\x01\0\0\0\0\0\x01";
    // Root, OPT, size; RCODE and version are 0, DO is set, and there are no options.
    let opt = [0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0];
    assert_eq!(edns, [&header[..], name, b"\0\x1C\0\x01", &opt].concat());
}

#[test]
fn a_reply_needs_id_bit_and_question() {
    let of = www();
    let query = of.written(0, 0x1234);
    let reply = reply_to(&query);
    assert_eq!((of.1.id_of(&reply), of.1.id_of(&query)), (Some(0x1234), None));
    assert!(of.matches(0, 0x1234, &reply) && !of.matches(0, 0x1235, &reply));
    let question = 12..12 + 17 + 4;
    for (at, bit) in question.flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut other = reply.clone();
        other[at] ^= 1 << bit;
        let only_case = other[at].is_ascii_alphabetic() && bit == 5 && at < 29;
        assert_eq!(of.matches(0, 0x1234, &other), only_case, "byte {at}, bit {bit}");
    }
    for len in 0..33 {
        assert!(!of.matches(0, 0x1234, &reply[..len]), "{len} bytes");
    }
}

/// A reply to `query` with these two bytes of flags, counts of sections, and what follows.
pub(super) fn raw(query: &[u8], flags: [u8; 2], counts: [u8; 4], rest: &[&[u8]]) -> Vec<u8> {
    let counts: Vec<_> = counts.iter().flat_map(|count| [0, *count]).collect();
    [&query[..2], &flags, &counts, &rest.concat()].concat()
}

/// The record OPT with these upper bits of RCODE; RFC 6891 §6.1.2.
fn opt(upper: u8) -> Vec<u8> {
    vec![0, 0, 41, 4, 0xD0, upper, 0, 0, 0, 0, 0]
}

#[test]
fn the_rcode_of_edns_has_twelve_bits() {
    let of = www();
    let query = of.written(0, 1);
    let question = &query[12..33];
    // An answer and an authority before it, the first with a compressed name, and one after.
    let record = [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1];
    for (flags, upper, name) in [
        ([0x81, 0], 1, "BADVERS"),
        ([0x81, 7], 1, "BADCOOKIE"),
        ([0x81, 3], 0, "NXDOMAIN"),
        ([0x83, 0], 1, "BADVERS"),
        ([0x83, 0], 0, "TRUNCATED"),
    ] {
        let opt = opt(upper);
        for reply in [
            raw(&query, flags, [1, 1, 1, 2], &[question, &record, &record, &opt, &record]),
            raw(&query, flags, [1, 0, 0, 1], &[question, &opt]),
            raw(&query, flags, [0, 0, 0, 1], &[&opt]),
        ] {
            assert!(of.matches(0, 1, &reply), "{reply:?}");
            assert_eq!(of.error(&reply).unwrap(), name, "{reply:?}");
        }
    }
    // An OPT elsewhere, or beyond the end, does not count.
    let misplaced = raw(&query, [0x81, 0], [1, 1, 0, 1], &[question, &opt(1), &record]);
    let full = raw(&query, [0x81, 0], [1, 1, 1, 1], &[question, &record, &record, &opt(0)]);
    let truncated = (0..=full.len()).map(|len| &full[..len]);
    for reply in truncated.chain([&misplaced[..]]) {
        assert_eq!(of.error(reply), None, "{} bytes", reply.len());
    }
    for entry in
        "1=FORMERR 2=SERVFAIL 11=DSOTYPENI 12=12 16=BADVERS 22=BADTRUNC 23=BADCOOKIE".split(' ')
    {
        let (code, name) = entry.split_once('=').unwrap();
        assert_eq!(of.1.code_name(code.parse::<u16>().unwrap().into()), name, "IANA, DNS RCODEs");
    }
}

#[test]
fn replies_without_a_question_match_by_id() {
    let of = www();
    let query = of.written(0, 1);
    let truncated = raw(&query, [0x83, 0], [0; 4], &[]);
    assert!(of.matches(0, 1, &truncated) && !of.matches(0, 2, &truncated));
    let record = [0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1];
    let record = |name: &[u8]| raw(&query, [0x83, 0], [0, 1, 0, 0], &[name, &record]);
    for (reply, expected, why) in [
        (raw(&query, [0x80, 0], [0; 4], &[]), false, "without an error the question must be there"),
        (raw(&query, [0x80, 1], [1, 0, 0, 1], &[]), true, "counts copied from the query"),
        (record(b"\x03WWW\x07example\x03com\0"), true, "an answer to the question"),
        (record(b"\x03www\x07example\x03net\0"), false, "an answer to another one"),
    ] {
        assert_eq!(of.matches(0, 1, &reply), expected, "{why}");
    }
}

#[test]
fn replies_have_the_opcode_of_their_request() {
    let mut query = compiled(&dns(|dns| dns.edns = None)).written(0, 1);
    // All of IANA's registry "DNS OpCodes": NOTIFY is 4, UPDATE is 5.
    for opcode in 0..16 {
        query[2] = opcode << 3;
        let file = Spec::of(RequestSource::File(query.clone()));
        let of = compiled(&Spec { rule: MatchRule::Protocol(Protocol::Dns), ..file });
        for other in 0..16 {
            let mut reply = query.clone();
            reply[2] = 0x80 | other << 3;
            assert_eq!(of.1.id_of(&reply), Some(1), "OPCODE {other}");
            assert_eq!(of.matches(0, 1, &reply), other == opcode, "{opcode}: {other}");
        }
    }
}

#[test]
fn follows_a_compressed_question() {
    let of = www();
    let query = of.written(0, 1);
    let reply = |rest: &[&[u8]]| raw(&query, [0x81, 3], [1, 0, 0, 0], rest);
    let (a, mx) = (&[0, 1, 0, 1][..], &[0, 15, 0, 1][..]);
    // www and a pointer after the question, where the rest is.
    let www = b"\x03www\xC0\x16";
    assert!(of.matches(0, 1, &reply(&[www, a, b"\x07Example\x03com\0"])));
    assert!(!of.matches(0, 1, &reply(&[www, mx, b"\x07Example\x03com\0"])), "another type");
    assert!(!of.matches(0, 1, &reply(&[www, a, b"\x07Example\x03cox\0"])), "another name");
    // Pointers beyond the end, or in a circle.
    for target in [12, 16, 17, 255] {
        assert!(!of.matches(0, 1, &reply(&[b"\x03www\xC0", &[target], a])), "{target}");
    }
}

#[test]
fn knows_all_types_of_the_registry() {
    let number = |word: &str| {
        let of = compiled(&dns(|dns| dns.rtype = word.to_owned()));
        u16::from_be_bytes(*of.written(0, 0)[29..].first_chunk().unwrap())
    };
    // Those that the other library has.
    let others = (0..=u16::MAX).map(|number| (TYPE::from(number), number));
    let known: Vec<_> = others.filter(|(kind, _)| !matches!(kind, TYPE::Unknown(_))).collect();
    assert!(known.len() > 30, "{}", known.len());
    for (kind, expected) in known {
        let word = match kind {
            TYPE::NSAP_PTR => "NSAP-PTR".to_owned(),
            TYPE::RouteThrough => "RT".to_owned(),
            kind => format!("{kind:?}"),
        };
        assert_eq!([number(&word), number(&word.to_lowercase())], [expected; 2], "{word}");
    }
    // The last of each row of consecutive numbers, and other spellings; IANA, "Resource Record (RR)
    // TYPEs".
    for entry in "NSAPPTR=23 GPOS=27 NXT=30 ATMA=34 A6=38 SINK=40 APL=42 SMIMEA=53 RKEY=57 \
                  ZONEMD=63 BRID=68 UNSPEC=103 EUI64=109 NXNAME=128 MAILA=254 *=255 any=255 \
                  IPN=264 DLV=32769 type65535=65535"
        .split(' ')
    {
        let (word, expected) = entry.split_once('=').unwrap();
        assert_eq!(number(word).to_string(), expected, "{word}");
    }
}

#[test]
fn encodes_names_as_in_rfc_1035() {
    let label = "x".repeat(63);
    let longest = [&label[..], &label, &label, &label[..61]].join(".");
    let question = |name: &str| {
        let (requests, matching) =
            dns(|dns| dns.names = Names::One(name.to_owned())).compile(SEED).ok()?;
        let query = Compiled(requests, matching).written(0, 0);
        query[12..].split(|byte| *byte == 0).next().map(<[u8]>::to_vec)
    };
    for (name, expected) in [
        (".", &b""[..]),
        ("a", b"\x01a"),
        ("a.b.", b"\x01a\x01b"),
        ("a\\.b", b"\x03a.b"),
        ("\\\\\\0651.b", b"\x03\\A1\x01b"),
        ("\\[x", b"\x02[x"),
    ] {
        assert_eq!(question(name).unwrap(), expected, "{name}");
    }
    assert_eq!(question(&longest).unwrap().len(), 254);
    let root = dns(|dns| (dns.names, dns.random_subdomain) = (names("."), Some(63)));
    let root = compiled(&root).written(0, 0);
    assert!(root[12] == 63 && root[13..76].iter().all(u8::is_ascii_lowercase) && root[76] == 0);
    let too_long = [format!("{label}x"), format!("{longest}x")];
    let invalid = ["", "..", ".a", "a..", "a\\", "a\\25", "a\\256", "a\\2x5", "\u{7F}"];
    for name in invalid.into_iter().chain(too_long.iter().map(String::as_str)) {
        assert_eq!(question(name), None, "{name}");
    }
}

#[test]
fn rejects_impossible_queries() {
    let strict = Names::Lines { bytes: b"a A\nb B c".to_vec().into(), strict: true };
    let specs: [(Spec, &str); 8] = [
        (dns(|dns| dns.names = Names::One("a..b".to_owned())), "'a..b' is not a DNS name: "),
        (dns(|dns| dns.names = Names::One("bücher.example".to_owned())), "Punycode"),
        (dns(|dns| dns.rtype = "NONSENSE".to_owned()), "TYPE65280"),
        (dns(|dns| dns.names = strict), "line 2: 'b B c' is not a question: the record type is"),
        (
            dns(|dns| dns.names = names(" a\n\n a..b\n")),
            "none of the 2 lines is a question; line 1: ' a' is not a question: it begins with a \
             blank",
        ),
        (dns(|dns| (dns.dnssec, dns.edns) = (true, None)), "--no-edns"),
        (dns(|dns| dns.random_subdomain = Some(0)), "a random label cannot have 0 bytes"),
        (dns(|dns| dns.random_subdomain = Some(64)), "a random label cannot have 64 bytes"),
    ];
    for (spec, part) in specs {
        let error = error(&spec).to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn files_of_names_are_those_of_dnsperf() {
    let lines = "\u{FEFF}; comment\n# another\nexample.com A\n\n \t\nexample.org\tMX ignored\r\n\
                 example.net\n";
    let of = compiled(&dns(|dns| {
        (dns.names, dns.rtype) = (names(lines), "TXT".to_owned());
    }));
    let question = |n| {
        let query = of.written(n, 0);
        let packet = Packet::parse(&query).unwrap();
        format!("{} {:?}", packet.questions[0].qname, packet.questions[0].qtype)
    };
    let expected = ["example.com TYPE(A)", "example.org TYPE(MX)", "example.net TYPE(TXT)"];
    assert_eq!([0, 1, 2].map(question), expected);
    assert_eq!(question(3), expected[0]);
    let reply = reply_to(&of.written(1, 5));
    assert!(of.matches(1, 5, &reply) && !of.matches(2, 5, &reply));
    // Only the first byte order mark is not part of a name.
    let of = of_names("\u{FEFF}a.example\n\u{FEFF}b.example\n");
    assert!(of.written(0, 0)[12..].starts_with(b"\x01a\x07example\0"));
    assert!(of.written(1, 0)[12..].starts_with(b"\x04\xEF\xBB\xBFb\x07example\0"));
}

#[test]
fn bad_lines_of_names_are_skipped_and_counted() {
    let long = format!("{}\u{1b}[31m A B C D", "x".repeat(90));
    let lines = [
        b"good.example A\n empty.example A\ngoogle.com TYPE99999999 ignored\n".to_vec(),
        b"caf\xC3\xA9.example TYPE65\nraw\xFF\\\xFE.example\n".to_vec(),
        format!("a..b\nno.example TYPE65536\nno.example TYPE+1\n{long}\n").into_bytes(),
    ];
    let of = of_names(lines.concat());
    assert!(of.written(1, 0)[12..].starts_with(b"\x05caf\xC3\xA9\x07example\0\0\x41"));
    assert!(of.written(2, 0)[12..].starts_with(b"\x05raw\xFF\xFE\x07example\0\0\x01"));
    let input = of.input();
    assert_eq!((input.format.as_str(), input.records, input.used), ("names", 9, 3));
    let words: Vec<_> = input.left_out.iter().map(|(word, n)| format!("{word} {n}")).collect();
    assert_eq!(words, ["bad_name 2", "empty_name 1", "unknown_type 3"]);
    let starts = [
        "6 of 9 lines of names are skipped; --names-strict refuses such a file; the first 5 are:",
        "line 2: ' empty",
        "line 3: 'google.com TYPE99999999 ignored'",
        "line 6: 'a..b'",
        "line 7: 'no.example TYPE65536'",
        "line 8: 'no.example TYPE+1'",
    ];
    assert_eq!(input.notes.len(), starts.len());
    assert!(input.notes.iter().zip(starts).all(|(note, start)| note.starts_with(start)));
    // Cut at 80 columns, and without control characters.
    let (x, nul) = ("x".repeat(80), "\\0".repeat(40));
    for (line, start) in [
        (long.as_bytes(), format!("'{x}…' is not a question")),
        (b"bad \x1b[31m\x00\xFF", "'bad \\u{1b}[31m\\0\u{FFFD}' is not a question".to_owned()),
        (
            &[0; 1_021],
            format!("'{nul}…' is not a question: the name has 1021 bytes, more than any"),
        ),
    ] {
        let of = of_names([b"good A\n", line].concat());
        let note = &of.input().notes[1];
        assert!(note.starts_with(&format!("line 2: {start}")), "{note}");
    }
}

#[test]
fn a_blank_behind_a_backslash_is_part_of_the_name() {
    let of = of_names("a\\ b.example AAAA\nc\\\\ AAAA\n");
    assert_eq!((of.0.variants(), of.input().notes.len()), (2, 0));
    assert!(of.written(0, 0)[12..].starts_with(b"\x03a b\x07example\0\0\x1C"));
    assert!(of.written(1, 0)[12..].starts_with(b"\x02c\\\0\0\x1C"));
}

#[test]
fn the_longest_names_are_good_lines() {
    // As long as a name can be, with four characters a byte.
    let as_text = [63, 63, 63, 61].map(|len| "\\255".repeat(len)).join(".");
    let of = of_names(&as_text);
    assert_eq!((of.0.variants(), of.input().notes.len()), (1, 0), "{}", as_text.len());
    // One that is too long with a random label is one bad line.
    let long = [63, 63, 63, 50].map(|len| "x".repeat(len)).join(".");
    let lines = format!("a.example\n{long}\nb.example\n");
    let plain = of_names(&lines);
    assert_eq!((plain.0.variants(), plain.input().notes.len()), (3, 0));
    let random = compiled(&dns(|dns| {
        (dns.names, dns.random_subdomain) = (names(&lines), Some(20));
    }));
    assert_eq!(random.0.variants(), 2);
    let note = &random.input().notes[1];
    assert!(note.contains(", with the random label"), "{note}");
}
