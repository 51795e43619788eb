use super::super::{HELLO_LEN, Key};
use super::*;

fn seals() -> [Seal; 3] {
    let key = |text: &[u8]| Seal::new(Some(&Key::from_bytes(text).unwrap()));
    [Seal::new(None), key(b"one"), key(b"other")]
}

#[test]
fn messages_decode_only_with_the_same_seal() {
    let long = vec![0xA5; LONGEST];
    let bodies = [
        Body::Hello,
        Body::Challenge([7; COOKIE_LEN]),
        Body::Open([8; COOKIE_LEN]),
        Body::Opened(9),
        Body::Request(b""),
        Body::Request(&long[..LONGEST_BODY]),
        Body::Working,
        Body::Answer(b"so"),
        Body::Large(u32::MAX),
        Body::Pull(1_159),
        Body::Chunk(0, &long[..CHUNK_LEN]),
        Body::Sync(1, &long[..LONGEST_NOTE]),
        Body::Sync(u64::MAX, b""),
        Body::SyncReply([1, 2, 3]),
        Body::Close,
        Body::Closed(CloseReason::GoingDown),
        Body::Refused(RejectReason::Other(77)),
    ];
    let seals = seals();
    for (at, seal) in seals.iter().enumerate() {
        for body in bodies {
            let is_reason = matches!(body, Body::Closed(_) | Body::Refused(_));
            let number = if is_reason { 0 } else { 0x0102_0304 };
            let message = Message { session: 0xFEED, number, body };
            let bytes = encode(&message, seal);
            assert!(bytes.len() <= LONGEST);
            assert_eq!(decode(&bytes, seal), Ok(message));
            for (other, seal) in seals.iter().enumerate().filter(|(other, _)| *other != at) {
                let expected = if at * other == 0 { Fault::Keyed } else { Fault::Mac };
                assert_eq!(decode(&bytes, seal), Err(expected));
            }
        }
    }
}

#[test]
fn the_layout_is_the_documented_one() {
    let [public, keyed, _] = seals();
    let message = Message { session: 0x1122_3344_5566_7788, number: 5, body: Body::Hello };
    let bytes = encode(&message, &public);
    assert_eq!(bytes.len(), HELLO_LEN);
    assert_eq!(&bytes[..9], [0, 1, b'u', b'd', b'p', b'C', VERSION, 1, 0]);
    assert_eq!(&bytes[9..17], [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
    assert_eq!(&bytes[17..21], [0, 0, 0, 5]);
    assert_eq!(encode(&message, &keyed)[8], 1);
    let refused = Message { session: 3, number: 0, body: Body::Refused(RejectReason::Busy) };
    let bytes = encode(&refused, &public);
    assert_eq!(bytes.len(), HEAD_LEN + MAC_LEN);
    assert_eq!((bytes[7], &bytes[17..21]), (255, [0, 0, 0, 5].as_slice()));
}

#[test]
fn changed_and_truncated_messages_are_refused() {
    for seal in seals() {
        let body = Body::Sync(17, b"note");
        let bytes = encode(&Message { session: 1, number: 2, body }, &seal);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&changed, &seal).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len], &seal).is_err(), "{len} bytes");
        }
        assert_eq!(decode(&[&bytes[..], &[0]].concat(), &seal), Err(Fault::Mac));
    }
}

#[test]
fn sealed_but_malformed_messages_are_refused() {
    let [public, ..] = seals();
    let close = encode(&Message { session: 1, number: 2, body: Body::Close }, &public);
    let altered = |at: usize, value: u8, extra: usize| {
        let mut bytes = close[..HEAD_LEN].to_vec();
        bytes[at] = value;
        bytes.resize(HEAD_LEN + extra, 1);
        let mac = public.tagger.tag(&[&bytes]);
        bytes.extend_from_slice(&mac);
        bytes
    };
    for kind in 0..=255 {
        for extra in [0, 1, 15, 16, 17, 1_163] {
            let bytes = altered(7, kind, extra);
            if let Ok(message) = decode(&bytes, &public) {
                assert_eq!(encode(&message, &public), bytes, "kind {kind}, {extra}");
            }
        }
    }
    assert_eq!(decode(&altered(8, 0x80, 0), &public), Err(Fault::Body));
    assert_eq!(decode(&altered(8, 0, LONGEST - HEAD_LEN), &public), Err(Fault::Length));
}

#[test]
fn other_versions_are_recognised() {
    let [public, ..] = seals();
    let hello = Message { session: 42, number: 0, body: Body::Hello };
    let mut bytes = encode(&hello, &public);
    bytes[6] = 9;
    assert_eq!(decode(&bytes, &public), Err(Fault::Version));
    let seen = peek(&bytes).unwrap();
    assert_eq!((seen.version, seen.session, seen.hello, seen.refusal), (9, 42, true, None));
    let refused = Message { body: Body::Refused(RejectReason::Version), ..hello };
    let seen = peek(&encode(&refused, &public)).unwrap();
    assert_eq!((seen.hello, seen.refusal), (false, Some(RejectReason::Version)));
    assert_eq!(peek(b"\0\x01udp!"), None);
    assert_eq!(decode(b"", &public), Err(Fault::NotControl));
    assert_eq!(decode(b"\0\x01udpC", &public), Err(Fault::Length));
}
