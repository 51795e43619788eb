//! Requests of protocols, byte by byte as in their documents, and replies.

use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType};

use super::*;

const ID: u64 = 0x0102_0304_0506_0708;

fn of(preset: Preset) -> Compiled {
    compiled(&super::preset(preset))
}

/// Whether a reply has [`ID`] and answers request 0, and no other id does.
fn answers(of: &Compiled, reply: &[u8]) -> bool {
    assert!(!of.matches(0, ID ^ 1, reply));
    of.1.id_of(reply) == Some(ID) && of.matches(0, ID, reply)
}

#[test]
fn ntp_returns_the_id_as_origin_timestamp() {
    let of = of(Preset::Ntp);
    let request = of.written(0, ID);
    let mut expected = [0; 48];
    expected[0] = 0x23;
    expected[40..].copy_from_slice(&ID.to_be_bytes());
    assert_eq!(request, expected, "RFC 5905 §7.3: LI 0, VN 4, mode 3");
    let mut reply = [0_u8; 48];
    (reply[0], reply[1]) = (0x24, 2);
    reply[24..32].copy_from_slice(&request[40..]);
    assert!(answers(&of, &reply) && of.error(&reply).is_none());
    assert_eq!([of.1.id_of(&reply[..47]), of.1.id_of(&request)], [None; 2], "mode 3 is a client's");
    // RFC 5905 §7.3 and §7.4: leap indicator 3, stratum 16, the same on the wire, and kisses.
    for (first, stratum, kiss, name) in [
        (0xE4, 2, &[0; 4], "unsynchronised"),
        (0x24, 16, &[0; 4], "unsynchronised"),
        (0xE4, 0, &[0; 4], "unsynchronised"),
        (0xE4, 0, b"RATE", "RATE"),
        (0xE4, 0, b"XYZ\0", "KISS"),
    ] {
        (reply[0], reply[1]) = (first, stratum);
        reply[12..16].copy_from_slice(kiss);
        assert_eq!(of.error(&reply).unwrap(), name);
    }
}

#[test]
fn stun_requests_a_binding_and_matches_its_transaction() {
    for fingerprint in [false, true] {
        let of = of(Preset::Stun { fingerprint });
        let request = of.written(0, ID);
        let len = if fingerprint { 8 } else { 0 };
        assert_eq!(request.len(), 20 + usize::from(len));
        assert_eq!(request[..8], [0, 1, 0, len, 0x21, 0x12, 0xA4, 0x42], "RFC 8489 §5");
        assert_eq!(request[12..20], ID.to_be_bytes());
        if fingerprint {
            let sum = crc32fast::hash(&request[..20]) ^ 0x5354_554E;
            assert_eq!(request[20..], [[0x80, 0x28, 0, 4], sum.to_be_bytes()].concat());
        }
        // XOR-MAPPED-ADDRESS of 192.0.2.1:32853, as in RFC 5769 §2.2.
        let mapped = [0, 0x20, 0, 8, 0, 1, 0xA1, 0x47, 0xE1, 0x12, 0xA6, 0x43];
        let reply = [&[1, 1, 0, 12], &request[4..20], &mapped].concat();
        assert!(answers(&of, &reply) && of.error(&reply).is_none());
        for bit in 4 * 8..20 * 8 {
            let mut other = reply.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!of.matches(0, ID, &other), "bit {bit}");
        }
        assert!(!of.matches(0, ID, &reply[..31]), "shorter than its length field");
        assert!(!of.matches(0, ID, &request), "a request is no reply");
        let attributes = b"\x80\x22\x00\x03abc\x00\x00\x09\x00\x08\x00\x00\x04\x01oops";
        let error = [&[1, 0x11, 0, 20], &request[4..20], attributes].concat();
        assert!(of.matches(0, ID, &error));
        assert_eq!(of.error(&error).unwrap(), "401");
        assert_eq!(of.error(&error[..20]).unwrap(), "error without a code");
    }
}

#[test]
fn memcached_answers_in_one_datagram_or_in_several() {
    let get = |key: &str| preset(Preset::Memcached { key: key.to_owned() });
    let of = compiled(&get("k{counter:dec2}"));
    assert_eq!(of.written(7, 0x1234), b"\x12\x34\0\0\0\x01\0\0get k07\r\n");
    assert_eq!(of.0.id_bits, 16);
    let frame = |number: u8, total: u8, body: &[u8]| {
        [&[0x12, 0x34, 0, number, 0, total, 0, 0], body].concat()
    };
    let complete = frame(0, 1, b"VALUE k07 0 3\r\nabc\r\nEND\r\n");
    assert!(of.1.id_of(&complete) == Some(0x1234) && of.matches(7, 0x1234, &complete));
    assert_eq!((of.1.role_of(&complete), of.error(&complete)), (Role::Whole, None));
    assert!(!of.matches(8, 0x1234, &complete), "another key");
    assert!(!of.matches(7, 0x1234, &frame(0, 1, b"VALUE k077 0 3\r\n")), "a longer key");
    let (first, second) = (frame(0, 2, b"VALUE k07 0 2000\r\nabc"), frame(1, 2, b"END\r\n"));
    assert!(of.matches(7, 0x1234, &first) && !of.matches(7, 0x1234, &second));
    let roles = [&first, &second].map(|part| of.1.role_of(part));
    assert_eq!(roles, [0, 1].map(|index| Role::Part { index, of: 2 }));
    assert_eq!(of.error(&second), None, "the end of a value is no miss");
    assert_eq!(of.1.id_of(&frame(2, 2, b"")), None, "number 2 of 0 and 1");
    for (body, name) in [
        (&b"END\r\n"[..], "miss"),
        (b"ERROR\r\n", "ERROR"),
        (b"CLIENT_ERROR x\r\n", "CLIENT_ERROR"),
        (b"SERVER_ERROR out of memory\r\n", "SERVER_ERROR"),
    ] {
        let reply = frame(0, 1, body);
        assert!(of.matches(7, 0x1234, &reply));
        assert_eq!(of.error(&reply).unwrap(), name);
    }
    for key in ["", "a b", "a\n", "{choice:a|b c}", "{random:u8}", &"k".repeat(251)] {
        assert!(matches!(error(&get(key)), PayloadError::Key { .. }), "{key}");
    }
}

#[test]
fn another_library_reads_coap() {
    let path = format!("/temperature/{}?u=c&x", "p".repeat(255));
    let of = of(Preset::Coap { path, confirmable: true, blocks: 1 });
    let request = of.written(0, ID);
    assert_eq!(of.0.id_bits, 64);
    assert_eq!(request[..4], [0x48, 1, 7, 8], "RFC 7252 §3: CON, GET, message id");
    assert_eq!(request[12..24], *b"\xBBtemperature", "option 11 of 11 bytes, as in its figure 16");
    let packet = Packet::from_bytes(&request).unwrap();
    assert_eq!(packet.get_token(), ID.to_be_bytes());
    assert_eq!(packet.header.message_id, 0x0708);
    assert_eq!(packet.header.code, MessageClass::Request(RequestType::Get));
    assert_eq!(packet.header.get_type(), MessageType::Confirmable);
    let parts = |option| -> Vec<_> {
        packet.get_option(option).unwrap().iter().map(|part| part.len()).collect()
    };
    assert_eq!(parts(CoapOption::UriPath), [11, 255]);
    assert_eq!(parts(CoapOption::UriQuery), [3, 1]);
    let reply = |first: u8, code: u8, message: [u8; 2]| {
        [&[first, code][..], &message, &ID.to_be_bytes()].concat()
    };
    let not_found = reply(0x68, 4 << 5 | 4, [7, 8]);
    assert!(answers(&of, &not_found));
    assert_eq!(of.error(&not_found).unwrap(), "4.04");
    let other = reply(0x68, 4 << 5 | 4, [0, 9]);
    assert!(!of.matches(0, ID, &other), "acknowledges another message");
    let content = reply(0x58, 2 << 5 | 5, [0, 9]);
    assert!(answers(&of, &content), "a separate reply has its own message id");
    assert_eq!(of.error(&content), None);
    assert_eq!(of.1.short_id_of(&[0x70, 0, 7, 8, 9]), None, "an empty message ends there");
    assert_eq!(of.1.id_of(&request), None, "a request is no reply");
    let coap = |path: String| preset(Preset::Coap { path, confirmable: false, blocks: 1 });
    let long = error(&coap("p".repeat(256)));
    assert!(matches!(long, PayloadError::Size { requested: 256, .. }));
    assert_eq!(compiled(&coap("/".to_owned())).written(0, 0)[0], 0x58);
}

#[test]
fn quic_exchanges_connection_ids() {
    let of = of(Preset::QuicVn);
    let request = of.written(0, ID);
    assert_eq!((request.len(), of.0.same_len), (1_200, Some(1_200)));
    assert_eq!(request[0] & 0xC0, 0xC0, "RFC 9000 §17.2");
    assert!(request[1..5].iter().all(|byte| byte & 0xF == 0xA), "RFC 9000 §15");
    assert_eq!((request[5], request[14]), (8, 8));
    assert_eq!(request[15..23], ID.to_be_bytes());
    let rest = u16::from_be_bytes([request[24], request[25]]) & 0x3FFF;
    assert_eq!((request[23], usize::from(rest)), (0, 1_200 - 26), "no token, then the length");
    assert_ne!(request[6..14], of.written(1, ID)[6..14], "another destination");
    let (dcid, scid) = (&request[6..14], &request[15..23]);
    let reply = [&[0x80 | 0x2A, 0, 0, 0, 0, 8], scid, &[8], dcid, &[0, 0, 0, 1]].concat();
    assert!(answers(&of, &reply) && of.error(&reply).is_none());
    assert!(!of.matches(1, ID, &reply), "another source");
    assert!(!of.matches(0, ID, &reply[..23]) && !of.matches(0, ID, &reply[..25]));
    assert_eq!(of.1.id_of(&request), None);
}

#[test]
fn descriptions_do_not_have_secrets_but_differ_by_key() {
    let memcached = |key: &str| preset(Preset::Memcached { key: key.to_owned() }).to_string();
    let radius = preset(Preset::Radius { secret: "plugh".to_owned() }).to_string();
    let (community, oid) = ("plugh".to_owned(), "1.3.6.1".to_owned());
    let snmp = preset(Preset::Snmp { community, oid }).to_string();
    for shown in [memcached("plugh"), radius, snmp] {
        assert!(!shown.contains("plugh"), "{shown}");
    }
    assert_ne!(memcached("plugh"), memcached("xyzzy"));
}

#[test]
fn statsd_and_syslog_get_lines_and_do_not_answer() {
    let statsd = of(Preset::Statsd("udperf.requests:{counter:dec3}|g".to_owned()));
    assert_eq!(statsd.written(5, 0), b"udperf.requests:005|g");
    let syslog = of(Preset::Syslog("request {counter:dec1}".to_owned()));
    let expected = b"<134>1 2023-11-14T22:13:20.123456Z - udperf - - - request 5";
    assert_eq!(syslog.written(5, 0), expected, "RFC 5424 §6");
    assert!(!statsd.1.expects_reply() && !syslog.1.expects_reply());
    let spec = preset(Preset::Statsd("{id} x".to_owned()));
    let echo = compiled(&Spec { rule: MatchRule::Echo, ..spec });
    assert!(echo.1.expects_reply(), "unless requested");
}
