//! Queries, read by another library, and their replies.

use simple_dns::{Packet, PacketFlag, TYPE};

use super::*;

pub(super) fn dns(change: impl FnOnce(&mut Dns)) -> Spec {
    let mut dns = Dns::of("www.example.com");
    change(&mut dns);
    preset(Preset::Dns(dns))
}

pub(super) fn names(lines: &[u8]) -> Names {
    Names::Lines { bytes: lines.to_vec(), strict: false }
}

fn reply_to(query: &[u8]) -> Vec<u8> {
    let mut reply = Packet::parse(query).unwrap().into_reply();
    reply.set_flags(PacketFlag::RESPONSE);
    reply.build_bytes_vec().unwrap()
}

#[test]
fn queries_are_those_of_rfc_1035_and_6891() {
    let query = |change: fn(&mut Dns)| written(&compiled(&dns(change)).0, 3, 0xABCD);
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
    let of = compiled(&dns(|_| {}));
    let query = written(&of.0, 0, 0x1234);
    let reply = reply_to(&query);
    assert_eq!(of.1.id_of(&reply), Some(0x1234));
    assert!(matched(&of, 0, 0x1234, &reply));
    assert!(!matched(&of, 0, 0x1235, &reply), "another id");
    assert_eq!(of.1.id_of(&query), None, "a query is no reply");
    assert!(!matched(&of, 0, 0x1234, &query));
    let question = 12..12 + 17 + 4;
    for (at, bit) in question.flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut other = reply.clone();
        other[at] ^= 1 << bit;
        let only_case = other[at].is_ascii_alphabetic() && bit == 5 && at < 29;
        assert_eq!(matched(&of, 0, 0x1234, &other), only_case, "byte {at}, bit {bit}");
    }
    for len in 0..33 {
        assert!(!matched(&of, 0, 0x1234, &reply[..len]), "{len} bytes");
    }
}

#[test]
fn errors_of_the_protocol_have_their_names() {
    let of = compiled(&dns(|_| {}));
    let query = written(&of.0, 0, 1);
    let name = |flags| {
        let code = of.1.code_of(&raw(&query, flags, [1, 0, 0, 0], &query[12..33]))?;
        Some(of.1.code_name(code))
    };
    assert_eq!(name([0x81, 0]), None);
    assert_eq!(name([0x81, 3]).unwrap(), "NXDOMAIN");
    assert_eq!(name([0x83, 0]).unwrap(), "TRUNCATED");
    for entry in
        "1=FORMERR 2=SERVFAIL 11=DSOTYPENI 12=12 16=BADVERS 22=BADTRUNC 23=BADCOOKIE".split(' ')
    {
        let (code, name) = entry.split_once('=').unwrap();
        assert_eq!(of.1.code_name(code.parse().unwrap()), name, "IANA, DNS RCODEs");
    }
}

/// A reply to `query` with these two bytes of flags, counts of sections, and what follows.
fn raw(query: &[u8], flags: [u8; 2], counts: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let counts: Vec<_> = counts.iter().flat_map(|count| [0, *count]).collect();
    [&query[..2], &flags, &counts, rest].concat()
}

/// The record OPT with these upper bits of RCODE; RFC 6891 §6.1.2.
fn opt(upper: u8) -> Vec<u8> {
    vec![0, 0, 41, 4, 0xD0, upper, 0, 0, 0, 0, 0]
}

#[test]
fn the_rcode_of_edns_has_twelve_bits() {
    let of = compiled(&dns(|_| {}));
    let query = written(&of.0, 0, 1);
    let question = &query[12..33];
    // An answer and an authority before it, the first with a compressed name, and one behind.
    let record = [&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4][..], &[10, 0, 0, 1]].concat();
    for (flags, upper, name) in [
        ([0x81, 0], 1, "BADVERS"),
        ([0x81, 7], 1, "BADCOOKIE"),
        ([0x81, 5], 0, "REFUSED"),
        ([0x83, 0], 1, "BADVERS"),
    ] {
        let rest = [question, &record, &record, &opt(upper), &record].concat();
        for reply in [
            raw(&query, flags, [1, 1, 1, 2], &rest),
            raw(&query, flags, [1, 0, 0, 1], &[question, &opt(upper)].concat()),
            raw(&query, flags, [0, 0, 0, 1], &opt(upper)),
        ] {
            assert!(matched(&of, 0, 1, &reply), "{reply:?}");
            assert_eq!(of.1.code_name(of.1.code_of(&reply).unwrap()), name, "{reply:?}");
        }
    }
    let whole =
        raw(&query, [0x81, 0], [1, 1, 1, 1], &[question, &record, &record, &opt(0)].concat());
    assert_eq!(of.1.code_of(&whole), None);
    // An OPT elsewhere, or beyond the end, does not count.
    let astray = raw(&query, [0x81, 0], [1, 1, 0, 1], &[question, &opt(1), &record].concat());
    assert_eq!(of.1.code_of(&astray), None);
    for len in 0..whole.len() {
        assert_eq!(of.1.code_of(&whole[..len]), None, "{len} bytes");
    }
}

#[test]
fn replies_without_a_question_match_by_id_where_nothing_contradicts() {
    let of = compiled(&dns(|_| {}));
    let query = written(&of.0, 0, 1);
    let truncated = raw(&query, [0x83, 0], [0; 4], &[]);
    assert!(matched(&of, 0, 1, &truncated) && !matched(&of, 0, 2, &truncated));
    assert_eq!(of.1.code_name(of.1.code_of(&truncated).unwrap()), "TRUNCATED");
    let silent = raw(&query, [0x80, 0], [0; 4], &[]);
    assert!(!matched(&of, 0, 1, &silent), "without an error the question must be there");
    // The header alone, whose counts were copied from the query.
    assert!(matched(&of, 0, 1, &raw(&query, [0x80, 1], [1, 0, 0, 1], &[])));
    // If the reply has an answer, it must be to the question.
    let record = |name: &[u8]| [name, &[0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1]].concat();
    let ours = raw(&query, [0x83, 0], [0, 1, 0, 0], &record(b"\x03WWW\x07example\x03com\0"));
    assert!(matched(&of, 0, 1, &ours));
    let other = raw(&query, [0x83, 0], [0, 1, 0, 0], &record(b"\x03www\x07example\x03net\0"));
    assert!(!matched(&of, 0, 1, &other));
}

#[test]
fn replies_have_the_opcode_of_their_request() {
    let mut query = written(&compiled(&dns(|dns| dns.edns = None)).0, 0, 1);
    // All of IANA's registry "DNS OpCodes": NOTIFY is 4, UPDATE is 5.
    for opcode in 0..16 {
        query[2] = opcode << 3;
        let mut spec = Spec::of(RequestSource::File(query.clone()));
        spec.rule = MatchRule::Protocol(MatchProtocol::Dns);
        let of = compiled(&spec);
        for other in 0..16 {
            let mut reply = query.clone();
            reply[2] = 0x80 | other << 3;
            assert_eq!(of.1.id_of(&reply), Some(1), "OPCODE {other}");
            assert_eq!(matched(&of, 0, 1, &reply), other == opcode, "{opcode}: {other}");
        }
    }
}

#[test]
fn a_compressed_question_is_followed() {
    let of = compiled(&dns(|_| {}));
    let query = written(&of.0, 0, 1);
    let kind = [0, 1, 0, 1];
    // www and a pointer behind the question, where the rest is.
    let rest = [b"\x03www\xC0\x16", &kind[..], b"\x07Example\x03com\0"].concat();
    let reply = raw(&query, [0x81, 3], [1, 0, 0, 0], &rest);
    assert!(matched(&of, 0, 1, &reply));
    let mut other = reply.clone();
    other[20] = 2;
    assert!(!matched(&of, 0, 1, &other), "another type");
    other = reply.clone();
    *other.iter_mut().nth_back(1).unwrap() = b'x';
    assert!(!matched(&of, 0, 1, &other), "another name");
    // Pointers that lead nowhere, or in a circle.
    for target in [12, 16, 17, 255] {
        let rest = [b"\x03www\xC0", &[target][..], &kind].concat();
        assert!(!matched(&of, 0, 1, &raw(&query, [0x81, 3], [1, 0, 0, 0], &rest)), "{target}");
    }
}

#[test]
fn files_of_names_are_those_of_dnsperf() {
    let lines =
        b"; comment\n# another\nexample.com A\n\n \t\nexample.org\tMX ignored\r\nexample.net\n";
    let of = compiled(&dns(|dns| {
        dns.names = names(lines);
        dns.rtype = "TXT".to_owned();
    }));
    let asked = |n| {
        let query = written(&of.0, n, 0);
        let packet = Packet::parse(&query).unwrap();
        format!("{} {:?}", packet.questions[0].qname, packet.questions[0].qtype)
    };
    assert_eq!(asked(0), "example.com TYPE(A)");
    assert_eq!(asked(1), "example.org TYPE(MX)");
    assert_eq!(asked(2), "example.net TYPE(TXT)");
    assert_eq!(asked(3), asked(0));
    let reply = reply_to(&written(&of.0, 1, 5));
    assert!(matched(&of, 1, 5, &reply) && !matched(&of, 2, 5, &reply));
}

#[test]
fn random_labels_are_patched_in() {
    let of = compiled(&dns(|dns| dns.random_subdomain = Some(8)));
    let (first, second) = (written(&of.0, 0, 7), written(&of.0, 1, 7));
    assert_ne!(first, second);
    assert!(first[12] == 8 && first[13..21].iter().all(u8::is_ascii_lowercase), "{first:?}");
    let reply = reply_to(&first);
    assert!(matched(&of, 0, 7, &reply) && !matched(&of, 1, 7, &reply));
    let root = compiled(&dns(|dns| {
        (dns.names, dns.random_subdomain) = (Names::One(".".to_owned()), Some(63));
    }));
    assert_eq!(written(&root.0, 0, 0)[12..].split(|byte| *byte == 0).next().unwrap().len(), 64);
}

#[test]
fn all_types_of_the_registry_have_their_mnemonics() {
    let number = |word: &str| {
        let (requests, _) = compiled(&dns(|dns| dns.rtype = word.to_owned()));
        u16::from_be_bytes(*written(&requests, 0, 0)[29..].first_chunk().unwrap())
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
        assert_eq!(number(&word), expected, "{word}");
        assert_eq!(number(&word.to_ascii_lowercase()), expected, "{word}");
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
fn names_are_encoded_as_rfc_1035_says() {
    let question = |name: &str| {
        let of = dns(|dns| dns.names = Names::One(name.to_owned())).compile(SEED).ok()?;
        written(&of.0, 0, 0)[12..].split(|byte| *byte == 0).next().map(<[u8]>::to_vec)
    };
    let label = "x".repeat(63);
    let longest = [&label[..], &label, &label, &label[..61]].join(".");
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
    for name in ["", "..", ".a", "a..", "a\\", "a\\25", "a\\256", "a\\2x5", "\u{7F}"] {
        assert_eq!(question(name), None, "{name}");
    }
    assert_eq!((question(&format!("{label}x")), question(&format!("{longest}x"))), (None, None));
}

#[test]
fn impossible_queries_are_errors() {
    let error = |change: fn(&mut Dns)| dns(change).compile(SEED).unwrap_err().to_string();
    let said = error(|dns| dns.names = Names::One("a..b".to_owned()));
    assert!(said.starts_with("'a..b' is not a DNS name: "), "{said}");
    let said = error(|dns| dns.names = Names::One("bücher.example".to_owned()));
    assert!(said.contains("Punycode"), "{said}");
    let said = error(|dns| dns.rtype = "NONSENSE".to_owned());
    assert!(said.contains("TYPE65280"), "{said}");
    let said =
        error(|dns| dns.names = Names::Lines { bytes: b"a A\nb B c".to_vec(), strict: true });
    assert!(said.starts_with("line 2: 'b B c' is not a question: the record type is"), "{said}");
    let said = error(|dns| dns.names = names(b" a\n\n a..b\n"));
    let start =
        "none of the 2 lines is a question; line 1: ' a' is not a question: it begins with a blank";
    assert!(said.starts_with(start), "{said}");
    let said = error(|dns| {
        dns.dnssec = true;
        dns.edns = None;
    });
    assert!(said.contains("--no-edns"), "{said}");
    for count in [0, 64] {
        let spec = dns(|dns| dns.random_subdomain = Some(count));
        assert!(matches!(spec.compile(SEED), Err(PayloadError::Size { .. })));
    }
}
