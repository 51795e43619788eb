//! Presets: requests byte by byte as in their documents, and replies.

use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType};

use super::*;

fn of(preset: Preset) -> (Requests, Matching) {
    compiled(&super::preset(preset))
}

const ID: u64 = 0x0102_0304_0506_0708;

#[test]
fn ntp_returns_the_id_as_origin_timestamp() {
    let of = of(Preset::Ntp);
    let request = written(&of.0, 0, ID);
    let mut expected = [0; 48];
    expected[0] = 0x23;
    expected[40..].copy_from_slice(&ID.to_be_bytes());
    assert_eq!(request, expected, "RFC 5905 §7.3: LI 0, VN 4, mode 3");
    let mut reply = [0_u8; 48];
    (reply[0], reply[1]) = (0x24, 2);
    reply[24..32].copy_from_slice(&request[40..]);
    assert!(of.1.id_of(&reply) == Some(ID) && matched(&of, 0, ID, &reply));
    assert!(!matched(&of, 0, ID + 1, &reply) && of.1.id_of(&reply[..47]).is_none());
    assert_eq!(of.1.code_of(&reply), None);
    assert_eq!(of.1.id_of(&request), None, "mode 3 is a client's");
    let name = |reply: &[u8]| of.1.code_of(reply).map(|code| of.1.code_name(code));
    reply[0] |= 3 << 6;
    assert_eq!(name(&reply).unwrap(), "unsynchronised", "leap indicator 3");
    (reply[0], reply[1]) = (0x24, 16);
    assert_eq!(name(&reply).unwrap(), "unsynchronised", "stratum 16");
    (reply[0], reply[1]) = (0x24 | 3 << 6, 0);
    assert_eq!(name(&reply).unwrap(), "unsynchronised", "stratum 16 on the wire");
    reply[12..16].copy_from_slice(b"RATE");
    assert_eq!(name(&reply).unwrap(), "RATE", "RFC 5905 §7.4");
    reply[12..16].copy_from_slice(b"XYZ\0");
    assert_eq!(name(&reply).unwrap(), "KISS");
}

#[test]
fn stun_requests_a_binding_and_matches_its_transaction() {
    for fingerprint in [false, true] {
        let of = of(Preset::Stun(Stun { fingerprint }));
        let request = written(&of.0, 0, ID);
        let len = if fingerprint { 8 } else { 0 };
        assert_eq!(request.len(), 20 + usize::from(len));
        assert_eq!(request[..8], [0, 1, 0, len, 0x21, 0x12, 0xA4, 0x42], "RFC 8489 §5");
        assert_eq!(request[12..20], ID.to_be_bytes());
        if fingerprint {
            let sum = crc32fast::hash(&request[..20]) ^ 0x5354_554E;
            assert_eq!(request[20..24], [0x80, 0x28, 0, 4]);
            assert_eq!(request[24..], sum.to_be_bytes());
        }
        // XOR-MAPPED-ADDRESS of 192.0.2.1:32853, as in RFC 5769 §2.2.
        let mut reply = vec![1, 1, 0, 12];
        reply.extend(&request[4..20]);
        reply.extend([0, 0x20, 0, 8, 0, 1, 0xA1, 0x47, 0xE1, 0x12, 0xA6, 0x43]);
        assert!(of.1.id_of(&reply) == Some(ID) && matched(&of, 0, ID, &reply));
        assert_eq!(of.1.code_of(&reply), None);
        for bit in 4 * 8..20 * 8 {
            let mut other = reply.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!matched(&of, 0, ID, &other), "bit {bit}");
        }
        assert!(!matched(&of, 0, ID, &reply[..31]), "shorter than its length field");
        let mut error = vec![1, 0x11, 0, 20];
        error.extend(&request[4..20]);
        error.extend(b"\x80\x22\x00\x03abc\x00\x00\x09\x00\x08\x00\x00\x04\x01oops");
        let code = of.1.code_of(&error).unwrap();
        assert!(matched(&of, 0, ID, &error) && of.1.code_name(code) == "401");
        assert_eq!(of.1.code_of(&error[..20]), Some(0));
        assert!(!matched(&of, 0, ID, &request), "a request is no reply");
    }
}

#[test]
fn memcached_answers_in_one_datagram_or_in_several() {
    let of = of(Preset::Memcached(Memcached { key: "k{counter:dec2}".to_owned() }));
    let request = written(&of.0, 7, 0x1234);
    assert_eq!(request, b"\x12\x34\0\0\0\x01\0\0get k07\r\n");
    assert_eq!(of.0.id_bits(), 16);
    let frame = |number: u8, total: u8, body: &[u8]| {
        [&[0x12, 0x34, 0, number, 0, total, 0, 0], body].concat()
    };
    let whole = frame(0, 1, b"VALUE k07 0 3\r\nabc\r\nEND\r\n");
    assert!(of.1.id_of(&whole) == Some(0x1234) && matched(&of, 7, 0x1234, &whole));
    assert!(of.1.role_of(&whole) == Role::Whole && of.1.code_of(&whole).is_none());
    assert!(!matched(&of, 8, 0x1234, &whole), "another key");
    assert!(!matched(&of, 7, 0x1235, &whole), "another id");
    assert!(!matched(&of, 7, 0x1234, &frame(0, 1, b"VALUE k077 0 3\r\n")), "a longer key");
    let (first, second) = (frame(0, 2, b"VALUE k07 0 2000\r\nabc"), frame(1, 2, b"END\r\n"));
    assert!(matched(&of, 7, 0x1234, &first) && !matched(&of, 7, 0x1234, &second));
    let roles = [&first, &second].map(|part| of.1.role_of(part));
    assert_eq!(roles, [0, 1].map(|index| Role::Part { index, of: 2 }));
    assert_eq!(of.1.code_of(&second), None, "the end of a value is no miss");
    assert_eq!(of.1.id_of(&frame(2, 2, b"")), None, "number 2 of 0 and 1");
    for (body, name) in [
        (&b"END\r\n"[..], "miss"),
        (b"ERROR\r\n", "ERROR"),
        (b"CLIENT_ERROR x\r\n", "CLIENT_ERROR"),
        (b"SERVER_ERROR out of memory\r\n", "SERVER_ERROR"),
    ] {
        let reply = frame(0, 1, body);
        assert!(matched(&of, 7, 0x1234, &reply));
        assert_eq!(of.1.code_name(of.1.code_of(&reply).unwrap()), name);
    }
    for key in ["", "a b", "a\n", "{choice:a|b c}", "{random:u8}", &"k".repeat(251)] {
        let spec = preset(Preset::Memcached(Memcached { key: key.to_owned() }));
        assert!(matches!(spec.compile(SEED), Err(PayloadError::Key { .. })), "{key}");
    }
}

#[test]
fn another_library_reads_coap() {
    let path = format!("/temperature/{}?u=c&x", "p".repeat(255));
    let of = of(Preset::Coap(Coap { path, confirmable: true }));
    let request = written(&of.0, 0, ID);
    assert_eq!(of.0.id_bits(), 64);
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
    assert!(of.1.id_of(&not_found) == Some(ID) && matched(&of, 0, ID, &not_found));
    assert_eq!(of.1.code_name(of.1.code_of(&not_found).unwrap()), "4.04");
    assert!(!matched(&of, 0, ID ^ 1 << 40, &not_found));
    let other = reply(0x68, 4 << 5 | 4, [0, 9]);
    assert!(!matched(&of, 0, ID, &other), "acknowledges another message");
    let content = reply(0x58, 2 << 5 | 5, [0, 9]);
    assert!(matched(&of, 0, ID, &content), "a separate reply has its own message id");
    assert_eq!(of.1.code_of(&content), None);
    // RFC 7252 §4.2 and §5.2.2: an acknowledgement alone is no reply yet, and a reset is the end.
    let (ack, reset) = ([0x60, 0, 7, 8], [0x70, 0, 7, 8]);
    assert_eq!((of.1.id_of(&ack), of.1.short_id_of(&ack)), (None, Some(0x0708)));
    assert_eq!((of.1.role_of(&ack), of.1.code_of(&ack)), (Role::Acknowledgement, None));
    assert_eq!((of.1.role_of(&reset), of.1.short_id_of(&reset)), (Role::Whole, Some(0x0708)));
    assert!(matched(&of, 0, ID, &ack) && matched(&of, 0, ID, &reset));
    assert!(!matched(&of, 0, 9, &reset));
    assert_eq!(of.1.code_name(of.1.code_of(&reset).unwrap()), "RST");
    assert_eq!(of.1.short_id_of(&[0x70, 0, 7, 8, 9]), None, "an empty message ends there");
    assert_eq!(of.1.id_of(&request), None, "a request is no reply");
    let coap = |path: String| preset(Preset::Coap(Coap { path, confirmable: false }));
    let long = coap("p".repeat(256)).compile(SEED);
    assert!(matches!(long, Err(PayloadError::Size { asked: 256, .. })));
    assert_eq!(written(&compiled(&coap("/".to_owned())).0, 0, 0)[0], 0x58);
}

#[test]
fn quic_exchanges_connection_ids() {
    let of = of(Preset::QuicVn);
    let request = written(&of.0, 0, ID);
    assert_eq!((request.len(), of.0.same_len()), (1_200, Some(1_200)));
    assert_eq!(request[0] & 0xC0, 0xC0, "RFC 9000 §17.2");
    assert!(request[1..5].iter().all(|byte| byte & 0xF == 0xA), "RFC 9000 §15");
    assert_eq!((request[5], request[14]), (8, 8));
    assert_eq!(request[15..23], ID.to_be_bytes());
    let rest = u16::from_be_bytes([request[24], request[25]]) & 0x3FFF;
    assert_eq!((request[23], usize::from(rest)), (0, 1_200 - 26), "no token, then the length");
    assert_ne!(request[6..14], written(&of.0, 1, ID)[6..14], "another destination");
    let mut reply = vec![0x80 | 0x2A, 0, 0, 0, 0, 8];
    reply.extend(&request[15..23]);
    reply.push(8);
    reply.extend(&request[6..14]);
    reply.extend([0, 0, 0, 1]);
    assert!(of.1.id_of(&reply) == Some(ID) && matched(&of, 0, ID, &reply));
    assert!(!matched(&of, 1, ID, &reply), "another source");
    assert!(!matched(&of, 0, ID, &reply[..23]) && !matched(&of, 0, ID, &reply[..25]));
    assert_eq!(of.1.id_of(&request), None);
    assert_eq!(of.1.code_of(&reply), None);
}

#[test]
fn statsd_and_syslog_get_lines_and_do_not_answer() {
    let statsd = of(Preset::Statsd("udperf.requests:{counter:dec3}|g".to_owned()));
    assert_eq!(written(&statsd.0, 5, 0), b"udperf.requests:005|g");
    let syslog = of(Preset::Syslog("request {counter:dec1}".to_owned()));
    let expected = b"<134>1 2023-11-14T22:13:20.123456Z - udperf - - - request 5";
    assert_eq!(written(&syslog.0, 5, 0), expected, "RFC 5424 §6");
    assert!(!statsd.1.expects_reply() && !syslog.1.expects_reply());
    let mut spec = preset(Preset::Statsd("{id} x".to_owned()));
    spec.rule = MatchRule::Echo;
    assert!(compiled(&spec).1.expects_reply(), "unless asked for");
}

#[test]
fn fingerprints_are_those_of_the_test_vectors() {
    // RFC 5769 §2.2, up to FINGERPRINT.
    let text = "010100 3c2112a442 b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220 \
                002000080001a147e112a643 000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7";
    let mut message = hex::parse(text).unwrap();
    let offset = message.len();
    message.resize(offset + 8, 0);
    let patch = patch::Patch { offset: offset as u32, what: patch::What::Fingerprint };
    patch.apply(patch::Moment { n: 0, unique: 0, id: 0, now_ns: 0 }, &mut message);
    assert_eq!(message[offset..], [0x80, 0x28, 0, 4, 0xC0, 0x7D, 0x4C, 0x96]);
}
