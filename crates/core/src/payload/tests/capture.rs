//! Captures, made by hand after draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

use super::*;

/// Words of 4 bytes in either byte order.
pub(super) fn words(is_big: bool, words: &[u32]) -> Vec<u8> {
    let bytes = |word: &u32| if is_big { word.to_be_bytes() } else { word.to_le_bytes() };
    words.iter().flat_map(bytes).collect()
}

pub(super) fn halves(is_big: bool, halves: &[u16]) -> Vec<u8> {
    let bytes = |half: &u16| if is_big { half.to_be_bytes() } else { half.to_le_bytes() };
    halves.iter().flat_map(bytes).collect()
}

pub(super) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    [&halves(true, &[40_000, port, 8 + payload.len() as u16, 0])[..], payload].concat()
}

pub(super) fn ip4(port: u16, payload: &[u8]) -> Vec<u8> {
    let udp = udp(port, payload);
    let len = 20 + udp.len() as u8;
    [&[0x45, 0, 0, len, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..], &udp].concat()
}

pub(super) fn ip6(port: u16, payload: &[u8]) -> Vec<u8> {
    let udp = udp(port, payload);
    [&[0x60, 0, 0, 0, 0, udp.len() as u8, 17, 64][..], &[0xFD; 32], &udp].concat()
}

pub(super) fn ethernet(kind: u16, packet: &[u8]) -> Vec<u8> {
    [&[2; 12], &kind.to_be_bytes()[..], packet].concat()
}

pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ip4(53, payload))
}

/// A pcap in either byte order, of frames with seconds and a fraction.
fn pcap(magic: u32, is_big: bool, link: u32, frames: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let version = halves(is_big, &[2, 4]);
    let mut bytes =
        [words(is_big, &[magic]), version, words(is_big, &[0, 0, 65_535, link])].concat();
    for (seconds, fraction, frame) in frames {
        let len = frame.len() as u32;
        bytes.extend(words(is_big, &[*seconds, *fraction, len, len]));
        bytes.extend(frame);
    }
    bytes
}

pub(super) fn little(link: u32, frames: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    pcap(0xA1B2_C3D4, false, link, frames)
}

/// A block of a pcapng, with padding.
fn block(is_big: bool, kind: u32, head: &[u8], data: &[u8]) -> Vec<u8> {
    let mut body = [head, data].concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = 12 + body.len() as u32;
    [words(is_big, &[kind, len]), body, words(is_big, &[len])].concat()
}

/// The first blocks of a pcapng: a section, and interfaces of these link types.
fn section(is_big: bool, links: &[u16], options: &[u8]) -> Vec<u8> {
    let header = [words(is_big, &[0x1A2B_3C4D]), halves(is_big, &[1, 0])].concat();
    let mut bytes = block(is_big, 0x0A0D_0D0A, &header, &[0xFF; 8]);
    for link in links {
        bytes.extend(block(is_big, 1, &halves(is_big, &[*link, 0, 0, 0]), options));
    }
    bytes
}

/// A pcapng of Ethernet with nanoseconds.
fn pcapng(frames: &[(u32, Vec<u8>)]) -> Vec<u8> {
    // if_tsresol of 10⁻⁹, and the end of options.
    let mut bytes = section(false, &[1], &[9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
    for (time, frame) in frames {
        let len = frame.len() as u32;
        bytes.extend(block(false, 6, &words(false, &[0, 0, *time, len, len]), frame));
    }
    bytes
}

pub(super) fn capture(bytes: &[u8], port: Option<u16>) -> Spec {
    Spec::of(RequestSource::Capture { bytes: bytes.to_vec(), port, inner: false })
}

#[test]
fn reads_every_link_type() {
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
        let of =
            compiled(&capture(&little(link, &[(1, 0, [&header[..], &packet].concat())]), None));
        assert_eq!(of.written(0, 0), b"abc", "link type {link}");
        assert!(of.1.by_order() && of.0.id_bits == 0 && of.input().notes.is_empty());
    }
    for (link, frame) in [(1, ethernet(0x86DD, &ip6(53, b"six"))), (101, ip6(53, b"six"))] {
        let of = compiled(&capture(&little(link, &[(1, 0, frame)]), None));
        assert_eq!(of.written(0, 0), b"six");
    }
    let ipcp = vec![0xFF, 3, 0x80, 0x21, 1, 1, 0, 4];
    let error = error(&capture(&little(9, &[(1, 0, ipcp)]), None)).to_string();
    assert!(error.contains("PPP: none of the 1 packets is sent; left out: 1 not UDP"), "{error}");
}

#[test]
fn times_count_from_the_first_payload() {
    for (magic, is_big, unit) in [
        (0xA1B2_C3D4, false, 1_000),
        (0xA1B2_C3D4, true, 1_000),
        (0xA1B2_3C4D, false, 1),
        (0xA1B2_3C4D, true, 1),
    ] {
        let arp = ethernet(0x0806, &[0; 28]);
        let padded = [frame(b"a"), vec![0; 17]].concat();
        let frames = [(9, 0, arp), (10, 7, padded), (11, 0, frame(b"bc")), (10, 0, frame(b"d"))];
        let of = compiled(&capture(&pcap(magic, is_big, 1, &frames), None));
        let second = 1_000_000_000 - 7 * unit;
        assert_eq!(of.0.recorded, Some(vec![0, second, 2 * second]), "no step back");
        assert_eq!(of.written(0, 0), b"a", "without the padding of the frame");
        assert_eq!(of.written(4, 0), b"bc", "and again from the first");
        let note = "pcap of link type ETHERNET: 3 of 4 packets are sent; left out: 1 not UDP";
        assert_eq!(of.input().notes, [note]);
    }
    let mut spec = capture(&pcapng(&[(5, frame(b"a")), (77, frame(b"b"))]), None);
    assert_eq!(compiled(&spec).0.recorded, Some(vec![0, 72]));
    spec.order = RequestOrder::Random;
    assert_eq!(compiled(&spec).0.recorded, None, "times of random packets have no meaning");
}

#[test]
fn reads_the_complete_packets_of_a_truncated_pcapng() {
    let bytes = pcapng(&[&b"one"[..], b"two", b"three"].map(|payload| (1, frame(payload))));
    let of = compiled(&capture(&bytes[..bytes.len() - 1], None));
    let note = "the capture is cut short or damaged at packet 3; the 2 before it are read";
    assert_eq!((of.0.variants(), &of.input().notes[..]), (2, &[note.to_owned()][..]));
    let bytes = pcapng(&[(1, frame(b"one"))]);
    let error = capture(&bytes[..bytes.len() - 1], None).compile(1).unwrap_err().to_string();
    assert!(error.contains("it is cut short or damaged at packet 1"), "{error}");
}

#[test]
fn counts_packets_that_are_not_sent_by_cause() {
    let complete = frame(b"whole");
    let mut fragment = frame(b"part one");
    fragment[14 + 6] = 0x20; // more fragments, RFC 791 §3.1
    let mut tcp = frame(&[0; 40]);
    tcp[14 + 9] = 6; // TCP, RFC 9293
    tcp[14 + 20 + 12] = 0x50; // its header's length
    let mut broken = complete.clone();
    broken[14] = 0x4F; // a header of 60 bytes, RFC 791 §3.1
    let frames = [&complete, &fragment, &tcp, &broken].map(|frame| (1, 0, frame.clone()));
    let mut bytes = little(1, &frames);
    // Cut: one that is not UDP, one to another port, and two without their end.
    let other = ethernet(0x0800, &ip4(80, b"whole"));
    for (frame, len) in [(&tcp, 50), (&other, 44), (&complete, complete.len() - 2), (&complete, 30)]
    {
        bytes.extend(words(false, &[1, 0, len as u32, frame.len() as u32]));
        bytes.extend(&frame[..len]);
    }
    let of = compiled(&capture(&bytes, Some(53)));
    let input = of.input();
    let note = "pcap of link type ETHERNET: 1 of 8 packets are sent; left out: 2 cut by the snap \
                length (tcpdump -s 0 captures all), 1 fragments of IP whose others are missing, \
                2 not UDP, 1 to other ports \
                than 53, 1 malformed";
    assert_eq!(input.notes, [note]);
    assert_eq!((input.format.as_str(), input.records, input.used), ("pcap", 8, 1));
    let causes: Vec<_> = input.left_out.iter().map(|(word, n)| format!("{word} {n}")).collect();
    let expected = "cut_by_snaplen 2, fragment 1, malformed 1, not_udp 2, other_port 1";
    assert_eq!(causes.join(", "), expected);
}

#[test]
fn reads_obsolete_packet_blocks() {
    for is_big in [false, true] {
        let mut bytes = section(is_big, &[101], &[]);
        for (micros, payload) in [(5, b"one"), (9, b"two")] {
            let packet = ip4(53, payload);
            let len = packet.len() as u32;
            let ids = halves(is_big, &[0, 7]);
            let head = [ids, words(is_big, &[0, micros, len, len])].concat();
            bytes.extend(block(is_big, 2, &head, &packet));
        }
        let of = compiled(&capture(&bytes, None));
        assert_eq!(of.0.recorded, Some(vec![0, 4_000]), "big endian: {is_big}");
        assert_eq!(of.written(1, 0), b"two");
        assert_eq!(of.input().link_types, ["RAW"]);
    }
}

#[test]
fn names_16_link_types_and_counts_the_others() {
    let links: Vec<u16> = std::iter::once(101).chain(1_001..1_020).collect();
    let mut bytes = section(false, &links, &[]);
    let packet = ip4(53, b"one");
    let len = packet.len() as u32;
    // Each twice, to be counted once.
    for id in (0..links.len() as u32).chain(0..links.len() as u32) {
        bytes.extend(block(false, 6, &words(false, &[id, 0, 0, len, len]), &packet));
    }
    let of = compiled(&capture(&bytes, None));
    let input = of.input();
    assert_eq!((input.records, input.used, input.left_out["link_type"]), (40, 2, 38));
    let named: Vec<_> = (1_001..1_016).map(|link: u16| link.to_string()).collect();
    assert_eq!((input.link_types[0].as_str(), &input.link_types[1..]), ("RAW", &named[..]));
    assert_eq!(input.more_link_types, 4);
    let kind = format!("pcapng of link types RAW, {}, and 4 more: 2 of 40", named.join(", "));
    assert!(input.notes.len() == 1 && input.notes[0].starts_with(&kind), "{:?}", input.notes);
}

#[test]
fn puts_ids_into_captures() {
    let frames = [&b"abcd"[..], b"x", b"efg"].map(|payload| (1, 0, frame(payload)));
    let mut spec = capture(&little(1, &frames), None);
    spec.id_at = Some("1:u16be".parse().unwrap());
    let of = compiled(&spec);
    assert_eq!(of.written(1, 0x3132), b"e12");
    assert!(of.matches(1, 0x3132, b"?12"));
    assert_eq!((of.0.id_bits, of.0.recorded.as_ref().unwrap().len()), (16, 2));
    let note =
        "pcap of link type ETHERNET: 2 of 3 packets are sent; left out: 1 that end before the id";
    assert_eq!(of.input().notes, [note]);
    spec.id_at = Some("3:u16be".parse().unwrap());
    assert_eq!(error(&spec), PayloadError::IdBeyond { offset: 3, width: 2, len: 4 });
}
