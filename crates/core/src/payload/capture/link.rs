//! Extraction of UDP datagrams from captured packets: the headers of each link type before IP.

use etherparse::{
    EtherType, LaxNetSlice, LaxSlicedPacket, SlicedPacket, TransportSlice, UdpSlice, ip_number,
};
use pcap_parser::Linktype;

use crate::unit::MAX_PAYLOAD;

/// Raw IP of BSDs; PPP, alone and in HDLC-like framing (RFC 1662), and after a PPPoE header (RFC
/// 2516); <https://www.tcpdump.org/linktypes.html>.
const RAW_OF_BSD: [i32; 2] = [12, 14];
const PPP: [i32; 2] = [9, 50];
const PPP_ETHER: i32 = 51;
/// Bytes of a PPPoE header; RFC 2516 §4.
const PPPOE_LEN: usize = 6;
/// Address and control of HDLC-like framing; RFC 1662 §3.1.
const HDLC: [u8; 2] = [0xFF, 0x03];
/// Protocol numbers of PPP for IPv4 (RFC 1332) and IPv6 (RFC 5072).
const PPP_IP: [u16; 2] = [0x0021, 0x0057];
/// Bytes of the address family before the packet on a loopback device of BSD; LINKTYPE_NULL.
const FAMILY_LEN: usize = 4;
/// Bytes of Linux' cooked headers, and where their EtherTypes are; LINKTYPE_LINUX_SLL and SLL2.
const SLL: (usize, usize) = (16, 14);
const SLL2: (usize, usize) = (20, 0);

/// Link types by name, without their prefix LINKTYPE_; <https://www.tcpdump.org/linktypes.html>.
const NAMES: &str = "\
    NULL=0 ETHERNET=1 AX25=3 IEEE802_5=6 ARCNET_BSD=7 SLIP=8 PPP=9 FDDI=10 RAW=12 RAW=14 \
    PPP_HDLC=50 PPP_ETHER=51 ATM_RFC1483=100 RAW=101 C_HDLC=104 IEEE802_11=105 FRELAY=107 \
    LOOP=108 LINUX_SLL=113 LTALK=114 PFLOG=117 IEEE802_11_PRISM=119 IP_OVER_FC=122 SUNATM=123 \
    IEEE802_11_RADIOTAP=127 ARCNET_LINUX=129 APPLE_IP_OVER_IEEE1394=138 LINUX_IRDA=144 \
    IEEE802_11_AVS=163 PPP_PPPD=166 GPRS_LLC=169 BLUETOOTH_HCI_H4=187 USB_LINUX=189 PPI=192 \
    IEEE802_15_4_WITHFCS=195 BLUETOOTH_HCI_H4_WITH_PHDR=201 PPP_WITH_DIR=204 \
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

/// A packet from its Ethernet header on, or, with its type, from what follows that header.
type Start<'a> = (Option<EtherType>, &'a [u8]);

/// The datagram in a packet of `link`, to this port if there is one, or why it is not sent.
pub(super) fn datagram(
    link: Linktype,
    bytes: &[u8],
    is_cut: bool,
    port: Option<u16>,
) -> Result<UdpSlice<'_>, SkipCause> {
    let short = if is_cut { SkipCause::Cut } else { SkipCause::Malformed };
    let start = start(link, bytes).ok_or(short)??;
    let packet = match start {
        (None, bytes) => SlicedPacket::from_ethernet(bytes),
        (Some(kind), bytes) => SlicedPacket::from_ether_type(kind, bytes),
    };
    let packet = packet.map_err(|_| cause_of_truncated(start, port).unwrap_or(short))?;
    let udp = match packet.transport {
        Some(TransportSlice::Udp(udp)) => udp,
        _ if packet.is_ip_payload_fragmented() => return Err(SkipCause::Fragment),
        _ => return Err(SkipCause::NotUdp),
    };
    is_for(&udp, port)?;
    // A jumbogram has no length of its own; RFC 2675 §4.
    if is_cut && udp.length() == 0 {
        return Err(SkipCause::Cut);
    }
    Ok(udp)
}

fn is_for(udp: &UdpSlice<'_>, port: Option<u16>) -> Result<(), SkipCause> {
    match port {
        Some(port) if port != udp.destination_port() => Err(SkipCause::OtherPort),
        _ => Ok(()),
    }
}

/// A packet after the header of the link; `None` where the packet ends before it.
fn start(link: Linktype, bytes: &[u8]) -> Option<Result<Start<'_>, SkipCause>> {
    Some(Ok(match link {
        Linktype::ETHERNET => (None, bytes),
        Linktype::LINUX_SLL => cooked(SLL, bytes)?,
        Linktype::LINUX_SLL2 => cooked(SLL2, bytes)?,
        Linktype::NULL | Linktype::LOOP => ip(bytes.get(FAMILY_LEN..)?),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => ip(bytes),
        Linktype(raw) if RAW_OF_BSD.contains(&raw) => ip(bytes),
        Linktype(ppp) if PPP.contains(&ppp) => return in_ppp(bytes),
        Linktype(PPP_ETHER) => return in_ppp(bytes.get(PPPOE_LEN..)?),
        _ => return Some(Err(SkipCause::LinkType)),
    }))
}

/// An IP packet; its version is in the first four bits (RFC 8200 §3).
fn ip(bytes: &[u8]) -> Start<'_> {
    let is_v6 = bytes.first().is_some_and(|first| first >> 4 == 6);
    (Some(if is_v6 { EtherType::IPV6 } else { EtherType::IPV4 }), bytes)
}

fn cooked((len, kind_at): (usize, usize), bytes: &[u8]) -> Option<Start<'_>> {
    let (header, rest) = bytes.split_at_checked(len)?;
    let kind = header.get(kind_at..)?.first_chunk()?;
    Some((Some(EtherType(u16::from_be_bytes(*kind))), rest))
}

/// A packet in a frame of PPP, with or without address and control; RFC 1661 §2 and §6.5.
fn in_ppp(bytes: &[u8]) -> Option<Result<Start<'_>, SkipCause>> {
    let frame = bytes.strip_prefix(&HDLC).unwrap_or(bytes);
    let (protocol, rest) = match frame {
        [short, rest @ ..] if short & 1 == 1 => (u16::from(*short), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return None,
    };
    Some(if PPP_IP.contains(&protocol) { Ok(ip(rest)) } else { Err(SkipCause::NotUdp) })
}

/// Why a truncated packet would not be sent even if it were complete, as far as its headers show.
fn cause_of_truncated(start: Start<'_>, port: Option<u16>) -> Option<SkipCause> {
    let packet = match start {
        (None, bytes) => LaxSlicedPacket::from_ethernet(bytes).ok()?,
        (Some(kind), bytes) => LaxSlicedPacket::from_ether_type(kind, bytes),
    };
    let ip = match packet.net.as_ref()? {
        LaxNetSlice::Arp(_) => return Some(SkipCause::NotUdp),
        net => net.ip_payload_ref()?,
    };
    if ip.fragmented {
        return Some(SkipCause::Fragment);
    }
    if ip.ip_number != ip_number::UDP {
        return Some(SkipCause::NotUdp);
    }
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { return None };
    is_for(udp, port).err()
}

/// Defines the causes in the order of reports, with their words in documents and the texts after a
/// count.
macro_rules! skip_causes {
    ($($cause:ident $word:literal $text:expr,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum SkipCause { $($cause),+ }

        impl SkipCause {
            /// Its word in documents.
            pub(super) const fn word(self) -> &'static str {
                match self { $(Self::$cause => $word),+ }
            }

            pub(super) fn text(self, port: Option<u16>) -> String {
                match (self, port) {
                    (Self::OtherPort, Some(port)) => format!("to other ports than {port}"),
                    $((Self::$cause, _) => $text.to_string()),+
                }
            }
        }
    };
}

skip_causes! {
    Cut "cut_by_snaplen" "cut by the snap length (tcpdump -s 0 captures all)",
    Fragment "fragment" "fragments of IP",
    NotUdp "not_udp" "not UDP",
    OtherPort "other_port" "to other ports",
    TooLarge "too_large" format_args!("too large for one datagram (over {MAX_PAYLOAD} bytes)"),
    LinkType "link_type" "of a link type that is not read (ETHERNET, LINUX_SLL, RAW, NULL, LOOP \
        and PPP are)",
    Malformed "malformed" "malformed",
    BeforeId "ends_before_id" "that end before the id",
}
