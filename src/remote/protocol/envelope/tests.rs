use super::super::Key;
use super::*;

fn seals() -> [Seal; 3] {
    let key = |text: &[u8]| Seal::new(Some(&Key::from_bytes(text).unwrap()));
    [Seal::new(None), key(b"one"), key(b"other")]
}

fn bodies(long: &[u8]) -> Vec<Body<'_>> {
    vec![
        Body::Hello,
        Body::Challenge { cookie: [7; COOKIE_LEN] },
        Body::Open { cookie: [8; COOKIE_LEN] },
        Body::Opened { session: 9 },
        Body::Request(b""),
        Body::Request(&long[..LONGEST_BODY]),
        Body::Working,
        Body::Answer(b"so"),
        Body::Large { len: u32::MAX },
        Body::Pull { offset: 1_159 },
        Body::Chunk { offset: 0, bytes: &long[..CHUNK_LEN] },
        Body::Sync { t1: 1, note: &long[..LONGEST_NOTE] },
        Body::Sync { t1: u64::MAX, note: b"" },
        Body::SyncReply { t1: 1, t2: 2, t3: 3 },
        Body::Close,
        Body::Closed(CloseReason::GoingDown),
        Body::Refused(RejectReason::Other(77)),
    ]
}

fn number(body: &Body<'_>) -> u32 {
    if matches!(body, Body::Closed(_) | Body::Refused(_)) { 0 } else { 0x0102_0304 }
}

#[test]
fn what_is_written_is_read_and_only_with_the_same_seal() {
    let long = vec![0xA5; LONGEST];
    for (at, seal) in seals().iter().enumerate() {
        for body in bodies(&long) {
            let message = Message { session: 0xFEED, number: number(&body), body };
            let bytes = encode(&message, seal);
            assert!(bytes.len() <= LONGEST);
            assert_eq!(decode(&bytes, seal), Ok(message));
            for (other, seal) in seals().iter().enumerate().filter(|(other, _)| *other != at) {
                let expected = if at * other == 0 { Fault::Keyed } else { Fault::Mac };
                assert_eq!(decode(&bytes, seal), Err(expected));
            }
        }
    }
}

#[test]
fn the_layout_is_the_one_of_the_docs() {
    let [public, keyed, _] = seals();
    let message = Message { session: 0x1122_3344_5566_7788, number: 5, body: Body::Hello };
    let bytes = encode(&message, &public);
    assert_eq!(bytes.len(), HELLO_LEN);
    let head = [0, 1, b'u', b'd', b'p', b'C', VERSION, 1, 0];
    assert_eq!(&bytes[..9], head);
    assert_eq!(&bytes[9..17], [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
    assert_eq!(&bytes[17..21], [0, 0, 0, 5]);
    assert_eq!(encode(&message, &keyed)[8], 1);
    let refused = Message { session: 3, number: 0, body: Body::Refused(RejectReason::Busy) };
    let bytes = encode(&refused, &public);
    assert_eq!(bytes.len(), HEAD_LEN + MAC_LEN);
    assert_eq!((bytes[7], &bytes[17..21]), (255, [0, 0, 0, 5].as_slice()));
}

#[test]
fn every_changed_bit_and_every_missing_byte_shows() {
    for seal in seals() {
        let body = Body::Sync { t1: 17, note: b"note" };
        let bytes = encode(&Message { session: 1, number: 2, body }, &seal);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&changed, &seal).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len], &seal).is_err(), "{len} bytes");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(decode(&longer, &seal), Err(Fault::Mac));
    }
}

/// Bytes with a right code, whatever stands before it.
fn sealed(mut bytes: Vec<u8>, seal: &Seal) -> Vec<u8> {
    let mac = seal.tagger.tag(&[&bytes]);
    bytes.extend_from_slice(&mac);
    bytes
}

#[test]
fn well_sealed_nonsense_is_refused() {
    let [public, ..] = seals();
    let close = encode(&Message { session: 1, number: 2, body: Body::Close }, &public);
    let bare = &close[..HEAD_LEN];
    for kind in 0..=255 {
        for extra in [0, 1, 15, 16, 17, 1_163] {
            let mut bytes = bare.to_vec();
            bytes[7] = kind;
            bytes.resize(HEAD_LEN + extra, 1);
            let bytes = sealed(bytes, &public);
            if let Ok(message) = decode(&bytes, &public) {
                assert_eq!(encode(&message, &public), bytes, "kind {kind}, {extra}");
            }
        }
    }
    let mut flagged = bare.to_vec();
    flagged[8] = 0x80;
    assert_eq!(decode(&sealed(flagged, &public), &public), Err(Fault::Body));
    let mut long = bare.to_vec();
    long.resize(LONGEST, 0);
    assert_eq!(decode(&sealed(long, &public), &public), Err(Fault::Length));
}

#[test]
fn other_versions_can_be_peeked_at() {
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
