//! Captures with links, tunnels and fragments, encoded by hand after their RFCs.

use super::capture::{capture, ethernet, ip4, ip6, little, udp, words};
use super::*;

/// An IPv4 header and this payload: protocol, identification, and flags with the offset in units
/// of 8 bytes; RFC 791 §3.1.
fn v4(protocol: u8, id: u16, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len() as u16).to_be_bytes();
    let (id, fragment) = (id.to_be_bytes(), fragment.to_be_bytes());
    let start = [0x45, 0, len[0], len[1], id[0], id[1], fragment[0], fragment[1]];
    [&start[..], &[64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], payload].concat()
}

/// The same of IPv6, with a fragment header; RFC 8200 §4.5.
fn v6(id: u32, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let len = (8 + payload.len() as u16).to_be_bytes();
    let header = [&[0x60, 0, 0, 0, len[0], len[1], 44, 64][..], &[0xFD; 32]].concat();
    let (fragment, id) = (fragment.to_be_bytes(), id.to_be_bytes());
    [&header, &[17, 0][..], &fragment, &id, payload].concat()
}

/// More fragments follow; RFC 791 §3.1.
const MORE: u16 = 0x2000;

/// The fragments of a datagram to port 53 with this payload, of 16 bytes each, in IPv4.
fn fragments(id: u16, payload: &[u8]) -> Vec<Vec<u8>> {
    let whole = udp(53, payload);
    let last = (whole.len() - 1) / 16;
    let part = |(n, bytes): (usize, &[u8])| {
        let more = if n < last { MORE } else { 0 };
        v4(17, id, (n as u16 * 2) | more, bytes)
    };
    whole.chunks(16).enumerate().map(part).collect()
}

/// A capture of raw IP, a packet a second.
fn raw(packets: &[Vec<u8>]) -> Vec<u8> {
    let frames: Vec<_> = (1..).zip(packets).map(|(at, packet)| (at, 0, packet.clone())).collect();
    little(101, &frames)
}

fn inner(bytes: &[u8], port: Option<u16>) -> Spec {
    Spec::of(RequestSource::Capture { bytes: bytes.to_vec(), port, inner: true })
}

/// What is sent, and what is left out.
fn read(spec: &Spec) -> (Vec<Vec<u8>>, String) {
    let of = compiled(spec);
    let sent = (0..of.0.variants() as u64).map(|n| of.written(n, 0)).collect();
    let causes = of.input().left_out.iter().map(|(word, n)| format!("{word} {n}"));
    (sent, causes.collect::<Vec<_>>().join(", "))
}

#[test]
fn reads_what_is_inside_links() {
    let (four, six) = (ip4(53, b"abc"), ip6(53, b"abc"));
    // Version and type 1, code 0, session 7, length; RFC 2516 §4.
    let pppoe = |packet: &[u8]| {
        let len = (packet.len() as u16 + 2).to_be_bytes();
        [&[0x11, 0, 0, 7][..], &len, &[0, 0x21], packet].concat()
    };
    // Label 16, its bottom bit, TTL 64; RFC 3032 §2.1.
    let label = |is_last: u8| [0, 1, is_last, 64];
    let two = |packet: &[u8]| [&label(0)[..], &label(1), packet].concat();
    let tagged = |kind: u16, packet: &[u8]| {
        let kind = kind.to_be_bytes();
        ethernet(0x88A8, &[&[0, 7, 0x81, 0, 0, 8][..], &kind, packet].concat())
    };
    for (link, packet) in [
        (1, ethernet(0x8864, &pppoe(&four))),
        (1, tagged(0x8864, &pppoe(&four))),
        (1, tagged(0x0800, &four)),
        (1, ethernet(0x8847, &[&label(1)[..], &four].concat())),
        (1, ethernet(0x8848, &two(&six))),
        (1, tagged(0x8847, &two(&four))),
        (219, two(&six)),
        (9, [&[0x02, 0x81][..], &two(&four)].concat()),
        (9, [&[0, 0x57][..], &six].concat()),
        (204, [&[1, 0xFF, 3, 0, 0x21][..], &four].concat()),
        (113, [&[0; 14][..], &[0x88, 0x47], &two(&four)].concat()),
    ] {
        let of = read(&capture(&little(link, &[(1, 0, packet.clone())]), None));
        assert_eq!(of, (vec![b"abc".to_vec()], String::new()), "link type {link}: {packet:x?}");
        // Cut anywhere, it is not sent, and nothing panics.
        for len in 0..packet.len() {
            assert!(
                capture(&little(link, &[(1, 0, packet[..len].to_vec())]), None).compile(0).is_err()
            );
        }
    }
    // A pseudowire, and the discovery of PPPoE.
    let pseudowire = ethernet(0x8847, &[&label(1)[..], &[0; 4], &ethernet(0x0800, &four)].concat());
    for frame in [pseudowire, ethernet(0x8863, &pppoe(&four))] {
        let error = error(&capture(&little(1, &[(1, 0, frame)]), None)).to_string();
        assert!(error.contains("left out: 1 not UDP"), "{error}");
    }
}

#[test]
fn sends_what_is_inside_tunnels_only_on_request() {
    let (four, six) = (ip4(53, b"abc"), ip6(53, b"abc"));
    let frame = ethernet(0x0800, &four);
    let gre = |flags: u16, kind: u16, fields: &[u8], packet: &[u8]| {
        let start = [flags.to_be_bytes(), kind.to_be_bytes()].concat();
        v4(47, 0, 0, &[&start[..], fields, packet].concat())
    };
    // Flags, reserved, VNI 5; RFC 7348 §5.
    let vxlan = |port| ip4(port, &[&[8, 0, 0, 0, 0, 0, 5, 0][..], &frame].concat());
    let nested = |packet: &[u8]| v4(4, 0, 0, packet);
    for packet in [
        gre(0, 0x0800, &[], &four),
        gre(0, 0x86DD, &[], &six),
        gre(0x3000, 0x0800, &[9; 8], &four),
        gre(0xB000, 0x6558, &[9; 12], &frame),
        vxlan(4_789),
        vxlan(8_472),
        nested(&four),
        v4(41, 0, 0, &six),
        nested(&vxlan(4_789)),
    ] {
        let bytes = raw(&[packet.clone(), ip4(53, b"outer")]);
        let left_out = read(&capture(&bytes, None));
        assert_eq!(left_out, (vec![b"outer".to_vec()], "tunnel 1".to_owned()), "{packet:x?}");
        let both = (vec![b"abc".to_vec(), b"outer".to_vec()], String::new());
        assert_eq!(read(&inner(&bytes, None)), both, "{packet:x?}");
        assert_eq!(read(&inner(&bytes, Some(53))), both);
        for len in 0..packet.len() {
            let cut = raw(&[packet[..len].to_vec(), ip4(53, b"outer")]);
            assert_eq!(read(&inner(&cut, None)).0, [b"outer"], "{len} bytes");
        }
    }
    let note = &compiled(&capture(&raw(&[vxlan(4_789), four.clone()]), None)).0.input.unwrap();
    assert!(note.notes[0].contains("1 in tunnels (GRE, VXLAN, IP in IP; --pcap-inner sends"));
    // Who asks for the port of VXLAN wants its datagrams; others to that port have no header.
    let sent = read(&capture(&raw(&[vxlan(4_789)]), Some(4_789))).0;
    assert_eq!(sent, [[&[8, 0, 0, 0, 0, 0, 5, 0][..], &frame].concat()]);
    assert_eq!(read(&inner(&raw(&[ip4(4_789, b"no header at all")]), None)).0.len(), 1);
    // Of another version, with routing, and in more tunnels than are read.
    let deep = (0..6).fold(four.clone(), |packet, _| nested(&packet));
    let sent = |packet: Vec<u8>| read(&inner(&raw(&[packet, four.clone()]), None));
    assert_eq!(sent(gre(1, 0x0800, &[], &four)).1, "not_udp 1");
    assert_eq!(sent(gre(0x4000, 0x0800, &[0; 4], &four)).1, "not_udp 1");
    assert_eq!(sent(deep).1, "tunnel 1");
}

#[test]
fn reassembles_fragments() {
    let payload = b"a payload that takes five fragments of sixteen bytes, or six";
    let whole = fragments(7, payload);
    assert_eq!(whole.len(), 5);
    let pick = |order: &[usize]| order.iter().map(|&n| whole[n].clone()).collect::<Vec<_>>();
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
        let of = compiled(&capture(&raw(&pick(&order)), Some(53)));
        assert_eq!(of.written(0, 0), payload, "{order:?}");
        let input = of.input();
        let counts = (input.records, input.used, input.reassembled, input.fragments);
        assert_eq!((counts, input.notes.len()), ((5, 1, 1, 5), 0));
        // To another port, all of them are left out.
        let other = raw(&[pick(&order), vec![ip4(80, b"x")]].concat());
        assert_eq!(read(&capture(&other, Some(80))).1, "other_port 5");
        // Without the last one, they wait until the end.
        let part = raw(&[pick(&order[..4]), vec![ip4(53, b"x")]].concat());
        assert_eq!(read(&capture(&part, None)), (vec![b"x".to_vec()], "fragment 4".to_owned()));
    }
    // Repeated ones count once.
    let of = read(&capture(&raw(&pick(&[0, 1, 1, 2, 3, 0, 4])), None));
    assert_eq!(of, (vec![payload.to_vec()], "repeated_fragment 2".to_owned()));
    // The time is that of the last one, between other datagrams.
    let mixed = [pick(&[0, 1, 2, 3]), vec![ip4(53, b"x")], pick(&[4])].concat();
    let of = compiled(&capture(&raw(&mixed), None));
    assert_eq!((of.written(0, 0), of.written(1, 0)), (b"x".to_vec(), payload.to_vec()));
    assert_eq!(of.0.recorded, Some(vec![0, 1_000_000_000]));
    // Of two datagrams at once, each gets its own; also in IPv6.
    let other = fragments(8, b"another one of the same length, in as many fragments as it  ");
    let turns: Vec<_> =
        whole.iter().zip(&other).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    let (sent, left_out) = read(&capture(&raw(&turns), None));
    assert_eq!((sent.len(), &sent[0][..], left_out.as_str()), (2, &payload[..], ""));
    let parts = udp(53, payload);
    let six = [v6(9, 3 << 3, &parts[24..]), v6(9, 1, &parts[..24])];
    assert_eq!(read(&capture(&raw(&six), None)).0, [payload]);
}

#[test]
fn fragments_that_do_not_fit_together_are_left_out() {
    let rest = ip4(53, b"x");
    let of = |mut packets: Vec<Vec<u8>>| {
        packets.push(rest.clone());
        let (sent, left_out) = read(&inner(&raw(&packets), None));
        assert_eq!(sent, [b"x"]);
        left_out
    };
    let (a, b) = ([1; 16], [2; 16]);
    let head = v4(17, 1, MORE, &[&udp(53, &[0; 32])[..16]].concat());
    for (what, packets, expected) in [
        ("overlap", vec![head.clone(), v4(17, 1, 1 | MORE, &a)], "overlapping_fragment 2"),
        (
            "other bytes",
            vec![head.clone(), v4(17, 1, 2 | MORE, &a), v4(17, 1, 2 | MORE, &b)],
            "overlapping_fragment 3",
        ),
        (
            "and no later one helps",
            vec![head.clone(), v4(17, 1, 1 | MORE, &a), v4(17, 1, 2, &a)],
            "overlapping_fragment 3",
        ),
        ("a second end", vec![v4(17, 1, 2, &a), v4(17, 1, 4, &a)], "malformed 2"),
        ("an early end", vec![v4(17, 1, 4 | MORE, &a), v4(17, 1, 2, &a)], "malformed 2"),
        ("an odd length", vec![v4(17, 1, MORE, &a[..15])], "malformed 1"),
        ("not of UDP", vec![v4(6, 1, MORE, &a)], "not_udp 1"),
        ("too long", vec![v4(17, 1, 0x1FFF, &a), v4(17, 2, 0x1FFF, &a[..8])], "malformed 2"),
    ] {
        assert_eq!(of(packets), expected, "{what}");
    }
    // A datagram whose length field contradicts its fragments.
    let mut wrong = fragments(3, &[5; 40]);
    wrong[0][20 + 5] += 1;
    assert_eq!(of(wrong), "malformed 3");
    // One cut by the snap length, 36 bytes of which 30 are there, leaves the others waiting.
    let whole = fragments(4, &[5; 40]);
    let mut bytes = raw(&[whole[1].clone(), whole[2].clone(), rest.clone()]);
    bytes.extend(words(false, &[4, 0, 30, 36]));
    bytes.extend(&whole[0][..30]);
    let expected = (vec![b"x".to_vec()], "cut_by_snaplen 1, fragment 2".to_owned());
    assert_eq!(read(&capture(&bytes, None)), expected);
    // Fragments of a packet of a tunnel, and fragments inside one.
    let payload = [7; 40];
    let tunnel = ip4(53, &payload);
    let outer = [v4(4, 6, MORE, &tunnel[..32]), v4(4, 6, 4, &tunnel[32..])];
    let inside: Vec<_> = fragments(5, &payload).iter().map(|one| v4(4, 0, 0, one)).collect();
    for packets in [outer.to_vec(), inside] {
        assert_eq!(read(&inner(&raw(&packets), None)).0, [payload]);
        let count = packets.len();
        let bytes = raw(&[packets, vec![rest.clone()]].concat());
        assert_eq!(read(&capture(&bytes, None)).1, format!("tunnel {count}"));
    }
}

#[test]
fn fragments_wait_a_minute_in_bounded_memory() {
    let payload = [3; 40];
    let whole = fragments(7, &payload);
    // The first one again, with the others: an id that came round.
    for (later, expected) in [(60, "repeated_fragment 1"), (61, "fragment 1")] {
        let frames = [(0, &whole[0]), (later, &whole[0]), (later, &whole[1]), (later, &whole[2])];
        let frames = frames.map(|(at, packet)| (at, 0, packet.clone()));
        let of = read(&capture(&little(101, &frames), None));
        assert_eq!(of, (vec![payload.to_vec()], expected.to_owned()), "{later} s");
    }
    // Each takes 64 KiB until its first fragment comes; the oldest of 300 are given up.
    let starts: Vec<_> = (0..300).map(|id| fragments(id, &payload)).collect();
    let far = |id: u16| v4(17, id, 8_100 | MORE, &[0; 8]);
    let packets: Vec<_> =
        (0..300).map(far).chain(starts.iter().map(|one| one[0].clone())).collect();
    let (sent, left_out) = read(&capture(&raw(&[packets, vec![ip4(53, b"x")]].concat()), None));
    assert_eq!((sent.len(), left_out.as_str()), (1, "fragment 600"));
}

#[test]
fn replies_in_a_capture_are_refused() {
    let to = |from: u16, to: u16| {
        let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
        v4(17, 0, 0, &[&ports[..], &[0, 11, 0, 0], b"abc"].concat())
    };
    let both: Vec<_> =
        (0..10).map(|n| if n % 2 == 0 { to(4_000, 53) } else { to(53, 4_000) }).collect();
    assert_eq!(
        error(&capture(&raw(&both), None)),
        PayloadError::BothWays { port: 53, from: 5, of: 10 }
    );
    let sent = |bytes: &[u8], port| read(&capture(bytes, port)).0.len();
    assert_eq!((sent(&raw(&both), Some(53)), sent(&raw(&both), Some(4_000))), (5, 5));
    // One port at both ends, as of NTP peers, shows no direction; nor do few of many.
    assert_eq!(sent(&raw(&[to(123, 123), to(123, 123)]), None), 2);
    let few = |count: usize| [vec![to(53, 4_000)], vec![to(4_000, 53); count]].concat();
    assert_eq!(sent(&raw(&few(20)), None), 21);
    assert!(capture(&raw(&few(19)), None).compile(0).is_err());
}

#[test]
fn what_is_left_out_by_protocol_counts_its_packets_and_no_replies() {
    let to = |ports: [u16; 2], payload: &[u8]| {
        let len = (8 + payload.len() as u16).to_be_bytes();
        let ports = ports.map(u16::to_be_bytes).concat();
        v4(17, 0, 0, &[&ports[..], &len, &[0, 0], payload].concat())
    };
    // A request of CoAP and its reply, RFC 7252 §3, and both directions of another protocol.
    let coap = [to([4_000, 5_683], b"\x40\x01\0\x01"), to([5_683, 4_000], b"\x60\x45\0\x01")];
    let other = [to([4_000, 53], b"query"), to([53, 4_000], b"reply")];
    let packets = [&coap[..], &other, &fragments(1, &[0xFF; 60])].concat();
    let spec = capture(&raw(&packets), None);
    let rule = MatchRule::Protocol(Protocol::Coap);
    let (sent, left_out) = read(&Spec { rule, ..spec.clone() });
    assert_eq!((sent.len(), left_out.as_str()), (1, "not_request 8"));
    assert!(matches!(error(&spec), PayloadError::BothWays { .. }));
}
