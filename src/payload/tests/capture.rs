//! Captures, made by hand after draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

use super::*;

/// A datagram over IPv4.
fn ip4(port: u16, payload: &[u8]) -> Vec<u8> {
    let udp = 8 + payload.len() as u16;
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + udp).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    for field in [40_000, port, udp, 0] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend(payload);
    bytes
}

/// A datagram over IPv6.
fn ip6(port: u16, payload: &[u8]) -> Vec<u8> {
    let udp = 8 + payload.len() as u16;
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(udp.to_be_bytes());
    bytes.extend([17, 64]);
    bytes.extend([0xFD; 32]);
    for field in [40_000, port, udp, 0] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend(payload);
    bytes
}

fn ethernet(kind: u16, packet: &[u8]) -> Vec<u8> {
    [&[2; 12], &kind.to_be_bytes()[..], packet].concat()
}

/// A pcap in either order of bytes, of frames with seconds and a fraction.
fn pcap(magic: u32, is_big: bool, link: u32, frames: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let word = |word: u32| if is_big { word.to_be_bytes() } else { word.to_le_bytes() };
    let half = |half: u16| if is_big { half.to_be_bytes() } else { half.to_le_bytes() };
    let mut bytes = word(magic).to_vec();
    bytes.extend([half(2), half(4)].concat());
    bytes.extend([0, 0, 65_535, link].map(word).concat());
    for (seconds, fraction, frame) in frames {
        let len = frame.len() as u32;
        bytes.extend([*seconds, *fraction, len, len].map(word).concat());
        bytes.extend(frame);
    }
    bytes
}

fn little(link: u32, frames: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    pcap(0xA1B2_C3D4, false, link, frames)
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = 12 + body.len() as u32;
    [&kind.to_le_bytes(), &len.to_le_bytes(), body, &len.to_le_bytes()].concat()
}

/// A pcapng of Ethernet with nanoseconds.
fn pcapng(frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut section = 0x1A2B_3C4D_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    section.extend([0xFF; 8]);
    let mut bytes = block(0x0A0D_0D0A, &section);
    bytes.extend(block(1, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]));
    for (time, frame) in frames {
        let (high, low, len) = ((time >> 32) as u32, *time as u32, frame.len() as u32);
        let mut body = [0, high, low, len, len].map(u32::to_le_bytes).concat();
        body.extend(frame);
        body.resize(body.len().next_multiple_of(4), 0);
        bytes.extend(block(6, &body));
    }
    bytes
}

fn capture(bytes: &[u8], port: Option<u16>) -> Spec {
    Spec::of(Source::Capture { bytes: bytes.to_vec(), port })
}

#[test]
fn every_link_has_its_header() {
    let packet = ip4(53, b"abc");
    let sll2 = [&[8, 0][..], &[0; 18]].concat();
    let sll = [&[0, 0, 3, 4, 0, 6][..], &[0; 8], &[8, 0]].concat();
    for (link, header) in [
        (1, ethernet(0x0800, &[])),
        (1, [&[2; 12][..], &[0x81, 0, 0, 7, 8, 0]].concat()),
        (0, vec![2, 0, 0, 0]),
        (108, vec![0, 0, 0, 2]),
        (12, vec![]),
        (101, vec![]),
        (228, vec![]),
        (113, sll),
        (276, sll2),
    ] {
        let frame = [&header[..], &packet].concat();
        let (requests, matching) = compiled(&capture(&little(link, &[(1, 0, frame)]), None));
        assert_eq!(written(&requests, 0, 0), b"abc", "link type {link}");
        assert!(matching.by_order() && requests.id_bits() == 0 && requests.notes().is_empty());
    }
    let frames = [(1, 0, ethernet(0x86DD, &ip6(53, b"six")))];
    assert_eq!(written(&compiled(&capture(&little(1, &frames), None)).0, 0, 0), b"six");
    let unknown = capture(&little(105, &[(1, 0, packet)]), None).compile(SEED).unwrap_err();
    assert_eq!(unknown, PayloadError::NoUdp { packets: 1, elsewhere: 0 });
}

#[test]
fn times_count_from_the_first_payload() {
    let frames = |fraction: u32| {
        let arp = ethernet(0x0806, &[0; 28]);
        let padded = [ethernet(0x0800, &ip4(53, b"a")), vec![0; 17]].concat();
        let second = ethernet(0x0800, &ip4(53, b"bc"));
        let early = ethernet(0x0800, &ip4(53, b"d"));
        [(9, 0, arp), (10, fraction, padded), (11, 0, second), (10, 0, early)]
    };
    for (magic, is_big, unit) in [
        (0xA1B2_C3D4, false, 1_000),
        (0xA1B2_C3D4, true, 1_000),
        (0xA1B2_3C4D, false, 1),
        (0xA1B2_3C4D, true, 1),
    ] {
        let bytes = pcap(magic, is_big, 1, &frames(7));
        let (requests, _) = compiled(&capture(&bytes, None));
        let second = 1_000_000_000 - 7 * unit;
        assert_eq!(requests.recorded(), Some(&[0, second, second][..]), "never backwards");
        assert_eq!(written(&requests, 0, 0), b"a", "without the padding of the frame");
        assert_eq!(written(&requests, 4, 0), b"bc", "and again from the first");
        let [note] = requests.notes() else { panic!("{:?}", requests.notes()) };
        assert_eq!(note, "3 of 4 packets are sent; left out: 1 no whole datagram of UDP over IP");
    }
    let frames = [(5, ethernet(0x0800, &ip4(53, b"a"))), (77, ethernet(0x0800, &ip4(53, b"b")))];
    let mut spec = capture(&pcapng(&frames), None);
    assert_eq!(compiled(&spec).0.recorded(), Some(&[0, 72][..]));
    spec.order = Order::Random;
    assert_eq!(compiled(&spec).0.recorded(), None, "drawn at random, times mean nothing");
}

#[test]
fn a_capture_that_is_cut_short_gives_what_is_whole() {
    let frame = |payload: &[u8]| ethernet(0x0800, &ip4(53, payload));
    let frames = [(1, 0, frame(b"one")), (1, 1, frame(b"two")), (1, 2, frame(b"three"))];
    let ng = pcapng(&[(1, frame(b"one")), (2, frame(b"two")), (3, frame(b"three"))]);
    for bytes in [little(1, &frames), ng] {
        let (requests, _) = compiled(&capture(&bytes[..bytes.len() - 1], None));
        assert_eq!(requests.variants(), 2);
        let note = "the capture ends in the middle of packet 3; the 2 before it are read";
        assert_eq!(requests.notes(), [note]);
        for len in 0..bytes.len() {
            let _ = capture(&bytes[..len], None).compile(SEED);
        }
    }
}

#[test]
fn ports_choose() {
    let frame = |port, payload: &[u8]| (1, 0, ethernet(0x0800, &ip4(port, payload)));
    let bytes = little(1, &[frame(53, b"dns"), frame(123, b"ntp")]);
    let (requests, _) = compiled(&capture(&bytes, Some(123)));
    assert_eq!((written(&requests, 0, 0), requests.variants()), (b"ntp".to_vec(), 1));
    assert_eq!(requests.notes(), ["1 of 2 packets are sent; left out: 1 to other ports"]);
    let error = capture(&bytes, Some(80)).compile(SEED).unwrap_err();
    assert_eq!(error, PayloadError::NoUdp { packets: 2, elsewhere: 2 });
}

#[test]
fn what_is_not_whole_is_counted() {
    let whole = ethernet(0x0800, &ip4(53, b"whole"));
    let mut fragment = ethernet(0x0800, &ip4(53, b"part"));
    fragment[14 + 6] = 0x20; // more fragments, RFC 791 §3.1
    let mut bytes = little(1, &[(1, 0, whole.clone()), (1, 0, fragment)]);
    let cut = (whole.len() - 2) as u32;
    bytes.extend([1, 0, cut, cut + 2].map(u32::to_le_bytes).concat());
    bytes.extend(&whole[..cut as usize]);
    let (requests, _) = compiled(&capture(&bytes, None));
    assert_eq!(requests.variants(), 1);
    let note = "1 of 3 packets are sent; left out: 1 no whole datagram of UDP over IP, \
                1 cut short in the capture (tcpdump -s 0 keeps all)";
    assert_eq!(requests.notes(), [note]);
}

#[test]
fn ids_are_put_into_captures() {
    let frame = |payload: &[u8]| (1, 0, ethernet(0x0800, &ip4(53, payload)));
    let bytes = little(1, &[frame(b"abcd"), frame(b"x"), frame(b"efg")]);
    let mut spec = capture(&bytes, None);
    spec.id_at = Some("1:u16be".parse().unwrap());
    let of = compiled(&spec);
    assert_eq!(written(&of.0, 1, 0x3132), b"e12");
    assert!(matched(&of, 1, 0x3132, b"?12"));
    assert_eq!((of.0.id_bits(), of.0.recorded().unwrap().len()), (16, 2));
    assert_eq!(of.0.notes(), ["left out, too: 1 that end before the id"]);
    spec.id_at = Some("3:u16be".parse().unwrap());
    let beyond = PayloadError::IdBeyond { offset: 3, width: 2, len: 4 };
    assert_eq!(spec.compile(SEED).unwrap_err(), beyond);
}

#[test]
fn what_is_no_capture_is_told() {
    for bytes in [&b""[..], b"\x1F\x8B\x08", b"GET / HTTP/1.1", &[0xD4, 0xC3, 0xB2, 0xA1]] {
        assert_eq!(capture(bytes, None).compile(SEED).unwrap_err(), PayloadError::NoCapture);
    }
}
