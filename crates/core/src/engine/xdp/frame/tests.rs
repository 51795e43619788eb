use etherparse::{NetHeaders, PacketBuilder, PacketHeaders, TransportHeader};

use super::*;

const HOP: Hop = Hop { from: [2, 0, 0, 0, 0, 1], to: [2, 0, 0, 0, 0, 2] };
const V4: [&str; 2] = ["10.78.0.1:40000", "10.78.0.2:7788"];
const V6: [&str; 2] = ["[fd78::1]:40000", "[fd78::2]:7788"];

fn addresses([from, to]: [&str; 2]) -> (SocketAddr, SocketAddr) {
    (from.parse().unwrap(), to.parse().unwrap())
}

/// A frame as the engine writes it.
fn written(ends: [&str; 2], payload: &[u8]) -> Vec<u8> {
    let (from, to) = addresses(ends);
    let mut headers = [0; HEADROOM];
    let template = Template::new(HOP, from, to, 9, 46 << 2);
    let start = template.write(&mut headers, payload.len(), sum(payload));
    [&headers[start..], payload].concat()
}

/// The same frame by another implementation.
fn built(ends: [&str; 2], payload: &[u8]) -> Vec<u8> {
    let (from, to) = addresses(ends);
    let builder = PacketBuilder::ethernet2(HOP.from, HOP.to);
    let builder = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => builder.ipv4(from.octets(), to.octets(), 9),
        (IpAddr::V6(from), IpAddr::V6(to)) => builder.ipv6(from.octets(), to.octets(), 9),
        _ => unreachable!("one family"),
    };
    let mut frame = Vec::with_capacity(0);
    builder.udp(from.port(), to.port()).write(&mut frame, payload).unwrap();
    frame
}

#[test]
fn written_frames_are_those_of_another_implementation() {
    let payload: Vec<u8> = (0..1_472_u32).map(|i| (i * 31 + 7) as u8).collect();
    for len in [0, 1, 2, 3, 16, 17, 18, 19, 64, 1_471, 1_472] {
        for ends in [V4, V6] {
            let frame = written(ends, &payload[..len]);
            let parsed = PacketHeaders::from_ethernet_slice(&frame).unwrap();
            let Some(TransportHeader::Udp(udp)) = parsed.transport else { panic!("no UDP") };
            let (from, to) = addresses(ends);
            assert_eq!((udp.source_port, udp.destination_port), (from.port(), to.port()));
            match parsed.net.unwrap() {
                NetHeaders::Ipv4(ip, _) => {
                    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                    assert_eq!((ip.time_to_live, ip.dscp.value(), ip.dont_fragment), (9, 46, true));
                    let right = udp.calc_checksum_ipv4(&ip, &payload[..len]).unwrap();
                    assert_eq!(udp.checksum, right, "{len}");
                }
                NetHeaders::Ipv6(ip, _) => {
                    assert_eq!((ip.hop_limit, ip.traffic_class), (9, 46 << 2));
                    let right = udp.calc_checksum_ipv6(&ip, &payload[..len]).unwrap();
                    assert_eq!(udp.checksum, right, "{len}");
                }
                NetHeaders::Arp(_) => panic!("ARP"),
            }
            let received = parse(&frame).unwrap();
            assert!(received.is_intact, "{len}");
            assert_eq!(frame[received.payload], payload[..len]);
            assert_eq!(sender(&frame), Some(from));
        }
    }
}

#[test]
fn a_checksum_that_adds_up_to_none_is_sent_as_ones() {
    // Some two bytes make the sum of ones that would read as "no checksum".
    let found = (0..=u16::MAX).any(|word| {
        let frame = written(V4, &word.to_be_bytes());
        let checksum = &frame[40..42];
        assert_ne!(checksum, [0, 0], "{word}");
        checksum == [0xFF, 0xFF] && parse(&frame).unwrap().is_intact
    });
    assert!(found);
}

#[test]
fn reads_tags_padding_and_options() {
    for ends in [V4, V6] {
        let mut tagged = built(ends, b"payload");
        tagged.splice(12..12, [0x81, 0, 0, 7]);
        let mut padded = built(ends, b"payload");
        padded.resize(90, 0);
        for frame in [tagged, padded] {
            let received = parse(&frame).unwrap();
            assert!(received.is_intact);
            assert_eq!(&frame[received.payload], b"payload");
        }
    }
    let mut options = built(V4, b"payload");
    options.splice(34..34, [1, 1, 1, 1]);
    options[14] = 0x46;
    let total = u16_at(&options, 16).unwrap() + 4;
    options[16..18].copy_from_slice(&total.to_be_bytes());
    options[24..26].fill(0);
    let checksum = !fold(sum(&options[14..38]));
    options[24..26].copy_from_slice(&checksum.to_ne_bytes());
    let received = parse(&options).unwrap();
    assert!(received.is_intact);
    assert_eq!(&options[received.payload], b"payload");
}

#[test]
fn every_flipped_bit_of_a_datagram_is_noticed() {
    for ends in [V4, V6] {
        let frame = built(ends, b"some payload");
        for bit in 14 * 8..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // Traffic class, flow label and hop limit of IPv6 have no checksum.
            let is_unprotected = ends == V6 && (14..18).contains(&(bit / 8)) || bit / 8 == 21;
            let intact = parse(&damaged).is_some_and(|received| received.is_intact);
            assert!(!intact || is_unprotected, "bit {bit} of {ends:?}");
        }
    }
}

#[test]
fn incomplete_and_missing_checksums_are_not_wrong() {
    for ends in [V4, V6] {
        let mut frame = built(ends, b"payload");
        let at = frame.len() - b"payload".len() - 2;
        let address_len = if ends == V4 { 4 } else { 16 };
        let addresses_at = at + 2 - UDP_LEN - 2 * address_len;
        let pseudo = sum(&frame[addresses_at..addresses_at + 2 * address_len])
            + term(PROTOCOL_UDP.into())
            + term((UDP_LEN + b"payload".len()) as u16);
        frame[at..at + 2].copy_from_slice(&fold(pseudo).to_ne_bytes());
        assert!(parse(&frame).unwrap().is_intact, "{ends:?}");
        frame[at..at + 2].fill(0);
        // IPv6 has to have one.
        assert_eq!(parse(&frame).unwrap().is_intact, ends == V4);
    }
}

#[test]
fn what_is_no_whole_datagram_is_none() {
    for ends in [V4, V6] {
        let frame = built(ends, b"payload");
        (0..frame.len()).for_each(|len| assert_eq!(parse(&frame[..len]), None, "{len}"));
        let mut other = frame.clone();
        other[if ends == V4 { 23 } else { 20 }] = 6;
        assert_eq!(parse(&other), None, "TCP");
        let mut other = frame.clone();
        other[13] = 6;
        assert_eq!(parse(&other), None, "ARP");
        let mut short = frame.clone();
        let at = frame.len() - b"payload".len() - 4;
        short[at..at + 2].copy_from_slice(&7_u16.to_be_bytes());
        assert_eq!(parse(&short), None, "shorter than its header");
    }
    for flags in [0x2000_u16, 1] {
        let mut fragment = built(V4, b"payload");
        fragment[20..22].copy_from_slice(&flags.to_be_bytes());
        assert_eq!(parse(&fragment), None);
    }
}

#[test]
fn frames_go_to_a_new_next_hop() {
    for ends in [V4, V6] {
        let (from, to) = addresses(ends);
        let mut template = Template::new(HOP, from, to, 9, 46 << 2);
        let next = Hop { to: [2, 0, 0, 0, 0, 9], ..HOP };
        template.set_next_hop(next.to);
        assert_eq!(template.headers, Template::new(next, from, to, 9, 46 << 2).headers);
    }
}
