//! Extraction of UDP datagrams from captured packets: the headers of each link type before IP.

use etherparse::{
    EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, SlicedPacket, TransportSlice, UdpSlice,
    ip_number,
};
use pcap_parser::Linktype;

use super::fragments::Fragment;
use super::skip::{PacketFilter, SkipCause};

/// Raw IP of BSDs; PPP, alone and in HDLC-like framing (RFC 1662), and after a PPPoE header (RFC
/// 2516); <https://www.tcpdump.org/linktypes.html>.
const RAW_OF_BSD: [i32; 2] = [12, 14];
const PPP: [i32; 2] = [9, 50];
const PPP_ETHER: i32 = 51;
/// PPP after a byte of its direction, and MPLS; as above.
const PPP_WITH_DIR: i32 = 204;
const MPLS: i32 = 219;
/// Bytes of an Ethernet header (IEEE 802.3 §3.1.1) and of a PPPoE header (RFC 2516 §4).
const ETHERNET_LEN: usize = 14;
const PPPOE_LEN: usize = 6;
/// EtherTypes of VLAN tags, PPPoE and MPLS; IEEE's registry, RFC 2516 §3, RFC 5332 §2.
const VLAN: [EtherType; 3] = [EtherType(0x8100), EtherType(0x88A8), EtherType(0x9100)];
const PPPOE_SESSION: EtherType = EtherType(0x8864);
const MPLS_TYPES: [EtherType; 2] = [EtherType(0x8847), EtherType(0x8848)];
/// Protocols of IP with packets inside: IPv4 (RFC 2003), IPv6 (RFC 2473) and GRE.
const TUNNELS: [IpNumber; 3] = [ip_number::IPV4, ip_number::IPV6, ip_number::GRE];
/// Maximum number of tunnels in each other. Arbitrary.
const MAX_DEPTH: u32 = 4;
/// Flags of GRE: those with a field of four bytes (checksum, key, sequence number), and the bits of
/// another version or of routing; RFC 2784 §2, RFC 2890 §2. The EtherType of Ethernet in it;
/// RFC 7637 §3.2.
const GRE_FIELDS: u16 = 0xB000;
const GRE_UNKNOWN: u16 = 0x4007;
const GRE_ETHERNET: EtherType = EtherType(0x6558);
/// Ports, bytes, and first bytes of the header of VXLAN; RFC 7348 §5. Linux uses the second port
/// by default (drivers/net/vxlan).
const VXLAN_PORTS: [u16; 2] = [4_789, 8_472];
const VXLAN_LEN: usize = 8;
const VXLAN_FLAGS: [u8; 4] = [0x08, 0, 0, 0];
/// Address and control of HDLC-like framing; RFC 1662 §3.1.
const HDLC: [u8; 2] = [0xFF, 0x03];
/// Protocol numbers of PPP for IPv4 (RFC 1332), IPv6 (RFC 5072) and MPLS (RFC 3032 §4.3).
const PPP_IP: [u16; 2] = [0x0021, 0x0057];
const PPP_MPLS: u16 = 0x0281;
/// Bytes of the address family before the packet on a loopback device of BSD; LINKTYPE_NULL.
const FAMILY_LEN: usize = 4;
/// Bytes of Linux' cooked headers, and where their EtherTypes are; LINKTYPE_LINUX_SLL and SLL2.
const SLL: (usize, usize) = (16, 14);
const SLL2: (usize, usize) = (20, 0);

/// Link types by name, without their prefix LINKTYPE_; <https://www.tcpdump.org/linktypes.html>.
const NAMES: &str = "\
    NULL=0 ETHERNET=1 AX25=3 IEEE802_5=6 ARCNET_BSD=7 SLIP=8 PPP=9 FDDI=10 RAW=12 RAW=14 \
    PPP_HDLC=50 PPP_ETHER=51 ATM_RFC1483=100 RAW=101 C_HDLC=104 IEEE802_11=105 FRELAY=107 LOOP=108 \
    LINUX_SLL=113 LTALK=114 PFLOG=117 IEEE802_11_PRISM=119 IP_OVER_FC=122 SUNATM=123 \
    IEEE802_11_RADIOTAP=127 ARCNET_LINUX=129 APPLE_IP_OVER_IEEE1394=138 LINUX_IRDA=144 \
    IEEE802_11_AVS=163 PPP_PPPD=166 GPRS_LLC=169 BLUETOOTH_HCI_H4=187 USB_LINUX=189 PPI=192 \
    IEEE802_15_4_WITHFCS=195 BLUETOOTH_HCI_H4_WITH_PHDR=201 PPP_WITH_DIR=204 MPLS=219 \
    USB_LINUX_MMAPPED=220 FC_2=224 CAN_SOCKETCAN=227 IPV4=228 IPV6=229 IEEE802_15_4_NOFCS=230 \
    DBUS=231 NFLOG=239 IPOIB=242 MPEG_2_TS=243 USBPCAP=249 BLUETOOTH_LE_LL=251 \
    WIRESHARK_UPPER_PDU=252 NETLINK=253 BLUETOOTH_LINUX_MONITOR=254 PKTAP=258 VSOCK=271 \
    NORDIC_BLE=272 LINUX_SLL2=276";

pub(super) fn name(link: Linktype) -> String {
    let number = link.0.to_string();
    let mut all = NAMES.split(' ').filter_map(|entry| entry.split_once('='));
    let found = all.find(|(_, known)| *known == number);
    found.map_or_else(|| number.clone(), |(name, _)| name.to_owned())
}

/// A datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct CapturedDatagram<'a> {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) payload: &'a [u8],
}

/// What a packet holds.
#[derive(Debug)]
pub(super) enum PacketContent<'a> {
    Datagram(CapturedDatagram<'a>),
    Fragment(Fragment<'a>),
}

/// A packet from its IP header or another EtherType on.
type Start<'a> = (EtherType, &'a [u8]);

/// What is sent of a packet of `link`, or why it is not sent.
pub(super) fn datagram(
    link: Linktype,
    bytes: &[u8],
    is_cut: bool,
    filter: PacketFilter,
) -> Result<PacketContent<'_>, SkipCause> {
    let short = if is_cut { SkipCause::Cut } else { SkipCause::Malformed };
    in_packet(start(link, bytes).ok_or(short)??, is_cut, filter, 0)
}

fn in_packet(
    start: Start<'_>,
    is_cut: bool,
    filter: PacketFilter,
    depth: u32,
) -> Result<PacketContent<'_>, SkipCause> {
    let short = if is_cut { SkipCause::Cut } else { SkipCause::Malformed };
    let packet = SlicedPacket::from_ether_type(start.0, start.1)
        .map_err(|_| cause_of_truncated(start, filter).unwrap_or(short))?;
    let Some(net) = &packet.net else { return Err(SkipCause::NotUdp) };
    let payload = net.ip_payload_ref().ok_or(SkipCause::NotUdp)?;
    match Fragment::of(net, depth) {
        Some(fragment) => {
            is_read(payload.ip_number, filter).map(|()| PacketContent::Fragment(fragment))
        }
        None => in_ip((payload.ip_number, payload.payload), is_cut, filter, depth),
    }
}

/// Whether datagrams may be in a packet of IP of this protocol.
fn is_read(protocol: IpNumber, filter: PacketFilter) -> Result<(), SkipCause> {
    match protocol {
        ip_number::UDP => Ok(()),
        protocol if !TUNNELS.contains(&protocol) => Err(SkipCause::NotUdp),
        _ if filter.inner => Ok(()),
        _ => Err(SkipCause::Tunnel),
    }
}

/// What is sent of the payload of an IP packet, inside `depth` tunnels.
pub(super) fn in_ip(
    (protocol, payload): (IpNumber, &[u8]),
    is_cut: bool,
    filter: PacketFilter,
    depth: u32,
) -> Result<PacketContent<'_>, SkipCause> {
    let short = if is_cut { SkipCause::Cut } else { SkipCause::Malformed };
    is_read(protocol, filter)?;
    if depth > MAX_DEPTH {
        return Err(SkipCause::Tunnel);
    }
    let inner = match protocol {
        ip_number::UDP => {
            let udp = UdpSlice::from_slice(payload).map_err(|_| short)?;
            match in_vxlan(&udp, filter) {
                Some(frame) if filter.inner => ethernet(frame).ok_or(short)?,
                Some(_) => return Err(SkipCause::Tunnel),
                None => return in_udp(&udp, is_cut, filter),
            }
        }
        ip_number::GRE => in_gre(payload).ok_or(short)?,
        _ => Ok(ip(payload)),
    };
    in_packet(inner?, is_cut, filter, depth + 1)
}

fn in_udp<'a>(
    udp: &UdpSlice<'a>,
    is_cut: bool,
    filter: PacketFilter,
) -> Result<PacketContent<'a>, SkipCause> {
    let (from, to) = (udp.source_port(), udp.destination_port());
    if filter.port.is_some_and(|port| port != to) {
        return Err(SkipCause::OtherPort);
    }
    // A jumbogram has no length of its own; RFC 2675 §4.
    if is_cut && udp.length() == 0 {
        return Err(SkipCause::Cut);
    }
    Ok(PacketContent::Datagram(CapturedDatagram { from, to, payload: udp.payload() }))
}

/// The frame in a datagram of VXLAN, unless datagrams to its port are what is sent.
fn in_vxlan<'a>(udp: &UdpSlice<'a>, filter: PacketFilter) -> Option<&'a [u8]> {
    let to = udp.destination_port();
    let (header, frame) = udp.payload().split_at_checked(VXLAN_LEN)?;
    let is_header = header.starts_with(&VXLAN_FLAGS) && header.ends_with(&[0]);
    let is_requested = filter.port == Some(to);
    (VXLAN_PORTS.contains(&to) && is_header && frame.len() >= ETHERNET_LEN && !is_requested)
        .then_some(frame)
}

/// A packet in GRE of version 0; RFC 2784 §2, RFC 2890 §2.
fn in_gre(bytes: &[u8]) -> Option<Result<Start<'_>, SkipCause>> {
    let flags = u16::from_be_bytes(*bytes.first_chunk()?);
    let kind = EtherType(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?));
    if flags & GRE_UNKNOWN != 0 {
        return Some(Err(SkipCause::NotUdp));
    }
    let len = 4 + 4 * (flags & GRE_FIELDS).count_ones() as usize;
    let rest = bytes.get(len..)?;
    if kind == GRE_ETHERNET { ethernet(rest) } else { after_type(kind, rest) }
}

/// A packet after the header of the link; `None` where the packet ends before it.
fn start(link: Linktype, bytes: &[u8]) -> Option<Result<Start<'_>, SkipCause>> {
    Some(Ok(match link {
        Linktype::ETHERNET => return ethernet(bytes),
        Linktype::LINUX_SLL => return cooked(SLL, bytes),
        Linktype::LINUX_SLL2 => return cooked(SLL2, bytes),
        Linktype::NULL | Linktype::LOOP => ip(bytes.get(FAMILY_LEN..)?),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => ip(bytes),
        Linktype(raw) if RAW_OF_BSD.contains(&raw) => ip(bytes),
        Linktype(ppp) if PPP.contains(&ppp) => return in_ppp(bytes),
        Linktype(PPP_WITH_DIR) => return in_ppp(bytes.get(1..)?),
        Linktype(PPP_ETHER) => return in_ppp(bytes.get(PPPOE_LEN..)?),
        Linktype(MPLS) => return in_mpls(bytes),
        _ => return Some(Err(SkipCause::LinkType)),
    }))
}

/// An IP packet; its version is in the first four bits (RFC 8200 §3).
fn ip(bytes: &[u8]) -> Start<'_> {
    let is_v6 = bytes.first().is_some_and(|first| first >> 4 == 6);
    (if is_v6 { EtherType::IPV6 } else { EtherType::IPV4 }, bytes)
}

fn cooked((len, kind_at): (usize, usize), bytes: &[u8]) -> Option<Result<Start<'_>, SkipCause>> {
    let (header, rest) = bytes.split_at_checked(len)?;
    let kind = header.get(kind_at..)?.first_chunk()?;
    after_type(EtherType(u16::from_be_bytes(*kind)), rest)
}

fn ethernet(bytes: &[u8]) -> Option<Result<Start<'_>, SkipCause>> {
    cooked((ETHERNET_LEN, ETHERNET_LEN - 2), bytes)
}

/// A packet of this EtherType, without the headers of VLAN, PPPoE and MPLS.
fn after_type(mut kind: EtherType, mut rest: &[u8]) -> Option<Result<Start<'_>, SkipCause>> {
    while VLAN.contains(&kind) {
        let (tag, after) = rest.split_at_checked(4)?;
        (kind, rest) = (EtherType(u16::from_be_bytes([tag[2], tag[3]])), after);
    }
    match kind {
        PPPOE_SESSION => in_ppp(rest.get(PPPOE_LEN..)?),
        kind if MPLS_TYPES.contains(&kind) => in_mpls(rest),
        kind => Some(Ok((kind, rest))),
    }
}

/// A packet behind a stack of labels, the last of which has a bit set; RFC 3032 §2.1.
fn in_mpls(mut bytes: &[u8]) -> Option<Result<Start<'_>, SkipCause>> {
    loop {
        let (label, rest) = bytes.split_at_checked(4)?;
        bytes = rest;
        if label[2] & 1 == 1 {
            break;
        }
    }
    // What is not IP is a pseudowire (RFC 4385 §1).
    let is_ip = matches!(bytes.first()? >> 4, 4 | 6);
    Some(if is_ip { Ok(ip(bytes)) } else { Err(SkipCause::NotUdp) })
}

/// A packet in a frame of PPP, with or without address and control; RFC 1661 §2 and §6.5.
fn in_ppp(bytes: &[u8]) -> Option<Result<Start<'_>, SkipCause>> {
    let frame = bytes.strip_prefix(&HDLC).unwrap_or(bytes);
    let (protocol, rest) = match frame {
        [short, rest @ ..] if short & 1 == 1 => (u16::from(*short), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return None,
    };
    match protocol {
        PPP_MPLS => in_mpls(rest),
        protocol if PPP_IP.contains(&protocol) => Some(Ok(ip(rest))),
        _ => Some(Err(SkipCause::NotUdp)),
    }
}

/// Why a truncated packet would not be sent even if it were complete, as far as its headers show.
fn cause_of_truncated((kind, bytes): Start<'_>, filter: PacketFilter) -> Option<SkipCause> {
    let packet = LaxSlicedPacket::from_ether_type(kind, bytes);
    let ip = match packet.net.as_ref()? {
        LaxNetSlice::Arp(_) => return Some(SkipCause::NotUdp),
        net => net.ip_payload_ref()?,
    };
    if let Err(cause) = is_read(ip.ip_number, filter) {
        return Some(cause);
    }
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { return None };
    let is_other = filter.port.is_some_and(|port| port != udp.destination_port());
    match in_vxlan(udp, filter) {
        Some(_) => (!filter.inner).then_some(SkipCause::Tunnel),
        None => is_other.then_some(SkipCause::OtherPort),
    }
}
