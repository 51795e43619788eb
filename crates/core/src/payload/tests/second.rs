//! Second requests with fields of the first reply, and the presets of game servers, SIP, SNMP and
//! TFTP, byte by byte.

use coap_lite::{CoapOption, Packet};

use crate::payload::{ExchangeProgress, MessageOf};

use super::*;

const ID: u64 = 0x0102_0304_0506_0708;

/// The first requests, and the second one.
fn both(spec: &Spec) -> (Compiled, SecondRequest) {
    let Compiled(mut requests, mut matching) = compiled(spec);
    let second = spec.compile_second(SEED, &mut requests, &mut matching).unwrap().unwrap();
    (Compiled(requests, matching), second)
}

fn written(second: &SecondRequest, reply: &[u8], n: u64, id: u64) -> Option<Vec<u8>> {
    let mut slot = vec![0xAA; second.largest()];
    let len = second.write((reply, 0), n.into(), id, NOW_NS, &mut slot)?;
    slot.truncate(len);
    Some(slot)
}

fn with_then(first: &str, then: &str, is_hex: bool, only_if: Option<&str>) -> Spec {
    let only_if = only_if.map(|bytes| bytes.parse().unwrap());
    Spec { then: Some(Then { template: then.into(), is_hex, only_if }), ..text(first) }
}

#[test]
fn fields_of_a_reply_are_copied() {
    let (first, second) =
        both(&with_then("a{id:u16be}", "{reply@1:2}|{counter:dec2}|{id:u16be}", false, None));
    assert_eq!(first.written(3, 0x4142), b"aAB");
    assert_eq!(written(&second, b"xyz", 3, 0x4142).unwrap(), b"yz|03|AB");
    assert_eq!(written(&second, b"xy", 3, 0), None, "one byte is missing");
    assert!(second.follows(b"", 0) && !second.is_conditional());
    // Replies to both have the id where the request has it.
    assert_eq!(second.matching().id_of(b"123456AB"), Some(0x4142));
    let (_, second) = both(&with_then("{id}", "00 {reply@0:1} ff", true, Some("41@4")));
    assert_eq!(written(&second, b"z", 0, 0).unwrap(), b"\0z\xFF");
    assert!(
        second.follows(b"????A?", 0)
            && !second.follows(b"????", 0)
            && !second.follows(b"?????A", 0)
    );
    assert_eq!(second.matching().id_of(b"0000000007"), Some(7), "as in the first request");
}

#[test]
fn ids_fit_both_requests() {
    let (first, second) = both(&with_then("{id:u32be}", "{reply@0:1}{id:u16be}", false, None));
    assert_eq!((first.0.id_bits, first.0.largest, first.0.same_len), (16, 4, None));
    let id = 0x1_4142 & first.0.id_mask();
    assert_eq!(first.written(0, id), b"\0\0AB");
    assert_eq!([first.1.id_of(b"\0\0AB"), first.1.id_of(b"\0\x01AB")], [Some(0x4142), None]);
    assert_eq!(written(&second, b"x", 0, id).unwrap(), b"xAB");
}

#[test]
fn another_library_reads_the_requests_for_blocks() {
    for (path, len) in [("big", 4), ("big?a", 6), ("/", 0)] {
        let (path, confirmable) = (path.to_owned(), true);
        let (first, second) = both(&preset(Preset::Coap { path, confirmable, blocks: 4 }));
        let request = first.written(0, ID);
        assert_eq!(request.len(), 12 + len);
        assert_eq!(request[2..4], [0x1C, 0x20], "two bits tell four requests apart");
        let reply = |kind: u8, block: &[u8]| {
            let head = [kind | 8, 0x45, 0x1C, 0x20];
            let option = [0xD0 | block.len() as u8, 10];
            [&head[..], &ID.to_be_bytes(), &option, block, b"\xFFx"].concat()
        };
        for (block, next) in [(&[0x0E][..], &[0x16][..]), (&[0xFE], &[1, 0x06]), (&[], &[0x10])] {
            let reply = reply(0x60, block);
            assert_eq!(second.follows(&reply, 0), !block.is_empty());
            let asked = written(&second, &reply, 0, ID).unwrap();
            let packet = Packet::from_bytes(&asked).unwrap();
            assert_eq!(packet.header.message_id, 0x1C21);
            assert_eq!(packet.get_token(), ID.to_be_bytes());
            let found = packet.get_option(CoapOption::Block2).unwrap();
            assert_eq!(found.iter().map(|value| &value[..]).collect::<Vec<_>>(), [next]);
            let at_end = asked.len() - next.len() - if len == 0 { 2 } else { 1 };
            assert_eq!(asked[4..at_end], request[4..], "the same options precede it");
        }
        assert!(!second.follows(&reply(0x60, &[0x06]), 0), "the last block");
        assert!(!second.follows(&reply(0x60, &[0x0E]), 3), "as many as requested");
        assert!(!second.follows(&reply(0x60, &[0x0F]), 0), "a reserved size");
        let messages = second.messages().unwrap();
        let answer = messages.acknowledgement_of(&reply(0x40, &[0x0E]));
        assert_eq!(answer, Some([0x60, 0, 0x1C, 0x20]));
        assert_eq!(messages.acknowledgement_of(&reply(0x50, &[0x0E])), None);
        let (start, after) = (ExchangeProgress::default(), second.after(&reply(0x60, &[0x0E]), 0));
        for (message, progress, expected) in [
            (reply(0x60, &[0x0E]), start, MessageOf::Latest),
            (reply(0x60, &[0x0E]), after, MessageOf::Earlier),
            (reply(0x50, &[0x0E]), after, MessageOf::Earlier),
            (reply(0x50, &[0x16]), after, MessageOf::Latest),
            (reply(0x50, &[0x15]), after, MessageOf::Earlier),
            (reply(0x50, &[0x16]), start, MessageOf::Other),
            (vec![0x60, 0, 0x1C, 0x21], after, MessageOf::Latest),
            (vec![0x70, 0, 0x1C, 0x20], after, MessageOf::Earlier),
            (vec![0x60, 0, 0x1C, 0x22], after, MessageOf::Other),
            (vec![0x60, 0, 0x2C, 0x21], after, MessageOf::Other),
        ] {
            assert_eq!(messages.place(&message, ID, progress), expected, "{message:02x?}");
        }
    }
}

#[test]
fn second_requests_that_cannot_be_matched_are_refused() {
    let error = |spec: &Spec| {
        let (mut requests, mut matching) = spec.compile(SEED).unwrap();
        spec.compile_second(SEED, &mut requests, &mut matching).unwrap_err()
    };
    assert_eq!(error(&with_then("a", "b", false, None)), PayloadError::EqualSteps);
    assert_eq!(error(&with_then("a", "{id}", false, Some("41@0"))), PayloadError::SecondId);
    let echo = Spec { rule: MatchRule::Echo, ..with_then("{id}", "b", false, None) };
    assert_eq!(error(&echo), PayloadError::ThenRule { rule: "echo".to_owned() });
    // A preset has its second request from the protocol, not from --then.
    let coap = Preset::Coap { path: "a".to_owned(), confirmable: true, blocks: 4 };
    for (preset, rule) in [
        (coap.clone(), MatchRule::Any),
        (coap.clone(), MatchRule::None),
        (coap, MatchRule::Echo),
        (Preset::A2s, MatchRule::None),
    ] {
        let text = error(&Spec { rule, ..super::preset(preset) }).to_string();
        assert!(text.contains("omit --match") && !text.contains("--then"), "{text}");
    }
    let unknown = with_then("{id}", "ab{reply@1}", false, None);
    assert!(matches!(error(&unknown), PayloadError::Field { column: 3, .. }));
    assert_eq!(super::error(&text("{reply@0:1}")), PayloadError::EarlyReply);
    for word in ["", "@1", "4@1", "41", "41@x", "41@-1"] {
        assert!(word.parse::<BytesAt>().is_err(), "{word}");
    }
}

#[test]
fn a2s_returns_the_challenge() {
    let (first, second) = both(&preset(Preset::A2s));
    let request = b"\xFF\xFF\xFF\xFFTSource Engine Query\0";
    assert_eq!(first.written(0, ID), request);
    let challenge = b"\xFF\xFF\xFF\xFFA\x0b\x8d\xfe\x37";
    assert!(first.1.by_order() && second.follows(challenge, 0));
    let expected = [&request[..], b"\x0b\x8d\xfe\x37"].concat();
    assert_eq!(written(&second, challenge, 0, ID).unwrap(), expected);
    assert_eq!(written(&second, &challenge[..8], 0, ID), None);
    for (reply, is_reply) in [
        (&b"\xFF\xFF\xFF\xFFI\x11"[..], true),
        (b"\xFF\xFF\xFF\xFFm", true),
        (b"\xFF\xFF\xFF\xFFD", false),
        (b"\xFE\xFF\xFF\xFFI", false),
        (b"\xFF\xFF\xFF\xFF", false),
    ] {
        assert_eq!(first.1.id_of(reply), is_reply.then_some(0));
        assert!(!second.follows(reply, 0));
    }
}

#[test]
fn tftp_acknowledges_the_last_block_and_ends_longer_transfers() {
    let (first, second) = both(&preset(Preset::Tftp { path: "a/b.bin".into() }));
    assert_eq!(first.written(0, ID), b"\0\x01a/b.bin\0octet\0");
    let data = |len| [&b"\0\x03\0\x01"[..], &vec![7; len]].concat();
    assert_eq!(written(&second, &data(511), 0, ID).unwrap(), b"\0\x04\0\x01");
    assert_eq!(written(&second, &data(512), 0, ID).unwrap(), b"\0\x05\0\0first block read\0");
    assert!(second.follows(&data(0), 0) && !second.matching().expects_reply());
    let not_found = b"\0\x05\0\x01File not found\0";
    assert!(!second.follows(not_found, 0));
    assert_eq!(first.error(not_found).unwrap(), "file not found");
    for (reply, is_reply) in [
        (&data(3)[..], true),
        (not_found, true),
        (b"\0\x03\0\x02x", false),
        (b"\0\x04\0\x01", false),
    ] {
        assert_eq!(first.1.id_of(reply), is_reply.then_some(0), "{reply:?}");
    }
    for path in ["", "a\0b", &"a".repeat(501)] {
        let spec = preset(Preset::Tftp { path: path.into() });
        assert!(matches!(error(&spec), PayloadError::Size { .. }), "{path}");
    }
}

#[test]
fn snmp_gets_an_object_and_names_errors() {
    let get = |oid: &str| preset(Preset::Snmp { community: "public".into(), oid: oid.into() });
    let of = compiled(&get("1.3.6.1.2.1.1.3.0"));
    // As snmpget of net-snmp encodes it; X.690 section 8.
    let request = b"\x30\x29\x02\x01\x01\x04\x06public\xA0\x1C\x02\x04\x40\x06\x07\x08\x02\x01\0\
                    \x02\x01\0\x30\x0E\x30\x0C\x06\x08\x2B\x06\x01\x02\x01\x01\x03\0\x05\0";
    assert_eq!(of.written(0, ID), request);
    let mut reply = request.to_vec();
    reply[13] = 0xA2;
    assert_eq!(of.1.id_of(&reply), Some(0x06_0708));
    assert!(of.matches(0, 0x06_0708, &reply) && !of.matches(0, 0x06_0709, &reply));
    assert_eq!((of.error(&reply), of.1.id_of(request)), (None, None));
    for (at, byte, name) in [
        (23, 2, "noSuchName"),
        (23, 16, "authorizationError"),
        (23, 77, "77"),
        (41, 0x80, "noSuchObject"),
        (41, 0x82, "endOfMibView"),
    ] {
        let mut error = reply.clone();
        error[at] = byte;
        assert_eq!(of.error(&error).unwrap(), name);
    }
    // X.690 section 8.19.5: 2.39.3 would be 0x77 0x03; 840 is 0x86 0x48.
    let long = compiled(&get("1.2.840.113549")).written(0, 0);
    assert!(long.windows(8).any(|part| part == b"\x06\x06\x2A\x86\x48\x86\xF7\x0D"));
    for oid in ["", "1", "1.40", "3.1", "1.3.x", "1.3.4294967296", "1..3"] {
        assert!(matches!(error(&get(oid)), PayloadError::Oid { .. }), "{oid}");
    }
    let long = preset(Preset::Snmp { community: "c".repeat(200), oid: "1.3".into() });
    assert!(matches!(error(&long), PayloadError::Size { .. }));
}

#[test]
fn sip_has_the_id_in_the_branch_wherever_it_stands() {
    let of = compiled(&preset(Preset::Sip { uri: "sip:bob@example.test".into() }));
    let request = String::from_utf8(of.written(0, ID)).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let lines: Vec<_> = head.split("\r\n").collect();
    assert_eq!((lines[0], body), ("OPTIONS sip:bob@example.test SIP/2.0", ""));
    let via = "Via: SIP/2.0/UDP udperf.invalid;rport;branch=z9hG4bK0102030405060708";
    assert!(lines.contains(&via) && lines.contains(&"CSeq: 1 OPTIONS"), "{request}");
    assert!(lines.contains(&"Call-ID: 0102030405060708@udperf.invalid"), "{request}");
    // RFC 3261 section 8.1.1: what every request has.
    for name in ["To", "From", "CSeq", "Call-ID", "Max-Forwards", "Via", "Content-Length"] {
        let count = lines.iter().filter(|line| line.starts_with(&format!("{name}: "))).count();
        assert_eq!(count, 1, "{name}");
    }
    let reply = |status: &str| format!("SIP/2.0 {status}\r\nTo: x\r\n{via};received=::1\r\n\r\n");
    for (status, role, error) in [
        ("200 OK", Role::Whole, None),
        ("180 Ringing", Role::Acknowledgement, None),
        ("302 Moved", Role::Whole, Some("302")),
        ("404 Not Found", Role::Whole, Some("404")),
    ] {
        let reply = reply(status).into_bytes();
        assert_eq!(of.1.id_of(&reply), Some(ID), "{status}");
        assert!(of.matches(0, ID, &reply) && !of.matches(0, ID ^ 1, &reply));
        assert_eq!((of.1.role_of(&reply), of.error(&reply).as_deref()), (role, error));
    }
    for other in ["SIP/2.0 2000 OK", "SIP/2.0 200", "HTTP/1.1 200 OK", &request] {
        let other = format!("{other}\r\n{via}\r\n\r\n");
        assert_eq!(of.1.id_of(other.as_bytes()), None, "{other}");
    }
    for uri in ["", "sip:", "mailto:a", "sip:a b", "sip:a\r\n", "sip:<a>"] {
        assert!(matches!(
            error(&preset(Preset::Sip { uri: uri.into() })),
            PayloadError::Uri { .. }
        ));
    }
}
