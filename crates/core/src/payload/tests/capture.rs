//! Captures, made by hand after draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

use super::*;

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

/// A pcap in either byte order, of frames with seconds and a fraction.
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
    Spec::of(RequestSource::Capture { bytes: bytes.to_vec(), port })
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
        (9, vec![0xFF, 3, 0, 0x21]),
        (9, vec![0, 0x21]),
        (50, vec![0xFF, 3, 0x21]),
        (51, vec![0x11, 0, 0, 1, 0, 33, 0, 0x21]),
    ] {
        let frame = [&header[..], &packet].concat();
        let (requests, matching) = compiled(&capture(&little(link, &[(1, 0, frame)]), None));
        assert_eq!(written(&requests, 0, 0), b"abc", "link type {link}");
        assert!(matching.by_order() && requests.id_bits() == 0 && requests.notes().is_empty());
    }
    let frames = [(1, 0, ethernet(0x86DD, &ip6(53, b"six")))];
    assert_eq!(written(&compiled(&capture(&little(1, &frames), None)).0, 0, 0), b"six");
    let arp = [&[0xFF, 3, 0x80, 0x21][..], &[1, 1, 0, 4]].concat();
    let other = capture(&little(9, &[(1, 0, arp)]), None).compile(SEED).unwrap_err().to_string();
    assert!(other.contains("PPP: none of the 1 packets is sent; left out: 1 not UDP"), "{other}");
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
        assert_eq!(requests.recorded(), Some(&[0, second, 2 * second][..]), "no step back");
        assert_eq!(written(&requests, 0, 0), b"a", "without the padding of the frame");
        assert_eq!(written(&requests, 4, 0), b"bc", "and again from the first");
        let [note] = requests.notes() else { panic!("{:?}", requests.notes()) };
        let sent = "pcap of link type ETHERNET: 3 of 4 packets are sent; left out: 1 not UDP";
        assert_eq!(note, sent);
    }
    let frames = [(5, ethernet(0x0800, &ip4(53, b"a"))), (77, ethernet(0x0800, &ip4(53, b"b")))];
    let mut spec = capture(&pcapng(&frames), None);
    assert_eq!(compiled(&spec).0.recorded(), Some(&[0, 72][..]));
    spec.order = RequestOrder::Random;
    assert_eq!(compiled(&spec).0.recorded(), None, "times of random packets have no meaning");
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
fn packets_that_are_not_sent_are_counted_by_cause() {
    let whole = ethernet(0x0800, &ip4(53, b"whole"));
    let mut fragment = ethernet(0x0800, &ip4(53, b"part"));
    fragment[14 + 6] = 0x20; // more fragments, RFC 791 §3.1
    let mut bytes = little(1, &[(1, 0, whole.clone()), (1, 0, fragment)]);
    let mut tcp = ethernet(0x0800, &ip4(53, &[0; 40]));
    tcp[14 + 9] = 6; // TCP, RFC 9293
    tcp[14 + 20 + 12] = 0x50; // its header's length
    bytes.extend(&little(1, &[(1, 0, tcp.clone())])[24..]);
    // Cut: one that is not UDP, one to another port, and two without their end.
    let other = ethernet(0x0800, &ip4(80, b"whole"));
    for (frame, len) in [(&tcp, 50), (&other, 44), (&whole, whole.len() - 2), (&whole, 30)] {
        bytes.extend([1, 0, len as u32, frame.len() as u32].map(u32::to_le_bytes).concat());
        bytes.extend(&frame[..len]);
    }
    let mut broken = whole.clone();
    broken[14] = 0x4F; // a header of 60 bytes, RFC 791 §3.1
    bytes.extend(&little(1, &[(1, 0, broken)])[24..]);
    let (requests, _) = compiled(&capture(&bytes, Some(53)));
    let note = "pcap of link type ETHERNET: 1 of 8 packets are sent; left out: 2 cut by the snap \
                length (tcpdump -s 0 captures all), 1 fragments of IP, 2 not UDP, 1 to other ports \
                than 53, 1 malformed";
    assert_eq!(requests.notes(), [note]);
    let input = requests.input().unwrap();
    assert_eq!((input.format, input.records, input.used), ("pcap", 8, 1));
    let causes: Vec<_> = input.left_out.iter().map(|(word, n)| format!("{word} {n}")).collect();
    assert_eq!(
        causes.join(", "),
        "cut_by_snaplen 2, fragment 1, malformed 1, not_udp 2, other_port 1"
    );
}

#[test]
fn obsolete_packet_blocks_are_read() {
    for is_big in [false, true] {
        let word = |word: u32| if is_big { word.to_be_bytes() } else { word.to_le_bytes() };
        let half = |half: u16| if is_big { half.to_be_bytes() } else { half.to_le_bytes() };
        let block = |kind: u32, body: &[u8]| {
            let len = word(12 + body.len() as u32);
            [&word(kind)[..], &len, body, &len].concat()
        };
        let section = [&word(0x1A2B_3C4D)[..], &half(1), &half(0), &[0xFF; 8]].concat();
        let mut bytes = block(0x0A0D_0D0A, &section);
        bytes.extend(block(1, &[&half(101)[..], &half(0), &word(0)].concat()));
        for (micros, payload) in [(5, b"one"), (9, b"two")] {
            let packet = ip4(53, payload);
            let len = word(packet.len() as u32);
            let head = [&half(0)[..], &half(7), &word(0), &word(micros), &len, &len].concat();
            let padded = packet.len().next_multiple_of(4);
            let mut body = [&head[..], &packet].concat();
            body.resize(head.len() + padded, 0);
            bytes.extend(block(2, &body));
        }
        let (requests, _) = compiled(&capture(&bytes, None));
        assert_eq!(requests.recorded(), Some(&[0, 4_000][..]), "big endian: {is_big}");
        assert_eq!(written(&requests, 1, 0), b"two");
        assert_eq!(requests.input().unwrap().link_types, ["RAW"]);
    }
}

#[test]
fn link_types_are_named_up_to_a_number_and_counted() {
    let half = u16::to_le_bytes;
    let section = [&0x1A2B_3C4D_u32.to_le_bytes()[..], &half(1), &half(0), &[0xFF; 8]].concat();
    let mut bytes = block(0x0A0D_0D0A, &section);
    let links: Vec<u16> = std::iter::once(101).chain(1_001..1_020).collect();
    for link in &links {
        bytes.extend(block(1, &[&half(*link)[..], &[0; 6]].concat()));
    }
    let mut packet = ip4(53, b"one");
    let len = packet.len() as u32;
    packet.resize(packet.len().next_multiple_of(4), 0);
    // Each twice, to be counted once.
    for id in (0..links.len() as u32).chain(0..links.len() as u32) {
        let head = [id, 0, 0, len, len].map(u32::to_le_bytes).concat();
        bytes.extend(block(6, &[&head[..], &packet].concat()));
    }
    let (requests, _) = compiled(&capture(&bytes, None));
    let input = requests.input().unwrap();
    assert_eq!((input.records, input.used, input.left_out.get("link_type")), (40, 2, Some(&38)));
    let named: Vec<_> = (1_001..1_016).map(|link: u16| link.to_string()).collect();
    assert_eq!((input.link_types[0].as_str(), &input.link_types[1..]), ("RAW", &named[..]));
    assert_eq!(input.more_link_types, 4);
    let [note] = requests.notes() else { panic!("{:?}", requests.notes()) };
    let kind = format!("pcapng of link types RAW, {}, and 4 more: 2 of 40", named.join(", "));
    assert!(note.starts_with(&kind), "{note}");
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
    let note =
        "pcap of link type ETHERNET: 2 of 3 packets are sent; left out: 1 that end before the id";
    assert_eq!(of.0.notes(), [note]);
    spec.id_at = Some("3:u16be".parse().unwrap());
    let beyond = PayloadError::IdBeyond { offset: 3, width: 2, len: 4 };
    assert_eq!(spec.compile(SEED).unwrap_err(), beyond);
}

#[test]
fn other_files_are_no_captures() {
    for bytes in [&b""[..], b"\x1F\x8B\x08", b"GET / HTTP/1.1", &[0xD4, 0xC3, 0xB2, 0xA1]] {
        assert_eq!(capture(bytes, None).compile(SEED).unwrap_err(), PayloadError::NoCapture);
    }
}
