//! Frames: Ethernet, IPv4 or IPv6, and UDP, as they are written and read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// Bytes before each payload in its slot: a cache line, so that a payload begins with one. The
/// headers end there: 14 of Ethernet, 20 or 40 of IP, 8 of UDP.
pub(super) const HEADROOM: usize = 64;

const ETHERNET_LEN: usize = 14;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
pub(super) const UDP_LEN: usize = 8;

/// Where the headers of UDP and the two of IP begin in the headroom.
const UDP_AT: usize = HEADROOM - UDP_LEN;
const IPV4_AT: usize = UDP_AT - IPV4_LEN;
const IPV6_AT: usize = UDP_AT - IPV6_LEN;

// Of `include/uapi/linux/if_ether.h`; RFC 791 and RFC 8200 for the rest.
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;
const ETHERTYPE_VLAN: [u16; 2] = [0x8100, 0x88A8];
const VLAN_LEN: usize = 4;
const PROTOCOL_UDP: u8 = 17;
/// The flags of an IPv4 header: don't fragment; and those of a fragment, with its offset.
const DONT_FRAGMENT: u16 = 0x4000;
const FRAGMENT: u16 = 0x3FFF;

/// The 16-bit words of `bytes`, in the byte order of this host, added up; a last odd byte is the
/// first of its word (RFC 1071). Sums of parts that begin at even offsets may be added.
#[inline]
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let last = u64::from(u32::from_ne_bytes(last));
    words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).fold(last, |sum, word| sum + word)
}

/// The ones' complement sum in 16 bits.
#[inline]
pub(super) const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xFFFF_FFFF) + (sum >> 32);
    let sum = (sum & 0xFFFF) + (sum >> 16);
    let sum = (sum & 0xFFFF) + (sum >> 16);
    let sum = (sum & 0xFFFF) + (sum >> 16);
    sum as u16
}

/// A number of the wire as a term of a sum.
#[inline]
const fn term(value: u16) -> u64 {
    u16::from_ne_bytes(value.to_be_bytes()) as u64
}

/// From which MAC address to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) from: [u8; 6],
    pub(super) to: [u8; 6],
}

/// The headers of a flow.
#[derive(Debug, Clone)]
pub(super) struct Template {
    headers: [u8; HEADROOM],
    is_ipv6: bool,
    /// The sum of the IPv4 header without its length and checksum.
    ip_sum: u64,
    /// The sum of pseudo-header and UDP header without lengths and checksum.
    udp_sum: u64,
}

impl Template {
    /// The headers of datagrams from `from` to `to`, which have one family.
    // cold: set-up
    pub(super) fn new(hop: Hop, from: SocketAddr, to: SocketAddr, ttl: u8, tos: u8) -> Self {
        let mut headers = [0; HEADROOM];
        let is_ipv6 = to.is_ipv6();
        let ip_at = if is_ipv6 { IPV6_AT } else { IPV4_AT };
        let ethertype = if is_ipv6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 };
        headers[ip_at - 2..ip_at].copy_from_slice(&ethertype.to_be_bytes());
        headers[ip_at - 8..ip_at - 2].copy_from_slice(&hop.from);
        headers[ip_at - ETHERNET_LEN..ip_at - 8].copy_from_slice(&hop.to);
        headers[UDP_AT..UDP_AT + 2].copy_from_slice(&from.port().to_be_bytes());
        headers[UDP_AT + 2..UDP_AT + 4].copy_from_slice(&to.port().to_be_bytes());
        let ip = &mut headers[ip_at..UDP_AT];
        match (from.ip(), to.ip()) {
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                (ip[0], ip[1]) = (0x60 | tos >> 4, tos << 4);
                (ip[6], ip[7]) = (PROTOCOL_UDP, ttl);
                ip[8..24].copy_from_slice(&from.octets());
                ip[24..40].copy_from_slice(&to.octets());
            }
            (from, to) => {
                let octets = |ip: IpAddr| match ip {
                    IpAddr::V4(ip) => ip.octets(),
                    IpAddr::V6(ip) => ip.to_ipv4().unwrap_or(Ipv4Addr::UNSPECIFIED).octets(),
                };
                (ip[0], ip[1]) = (0x45, tos);
                // An atomic datagram needs no identification (RFC 6864).
                ip[6..8].copy_from_slice(&DONT_FRAGMENT.to_be_bytes());
                (ip[8], ip[9]) = (ttl, PROTOCOL_UDP);
                ip[12..16].copy_from_slice(&octets(from));
                ip[16..20].copy_from_slice(&octets(to));
            }
        }
        let ip_sum = sum(&headers[ip_at..UDP_AT]);
        let addresses = &headers[if is_ipv6 { IPV6_AT + 8 } else { IPV4_AT + 12 }..UDP_AT];
        let udp_sum = sum(addresses) + term(PROTOCOL_UDP.into()) + sum(&headers[UDP_AT..]);
        Self { headers, is_ipv6, ip_sum, udp_sum }
    }

    /// Sends to another MAC address from now on.
    // cold: the next hop has changed
    pub(super) fn set_next_hop(&mut self, to: [u8; 6]) {
        let ip_at = if self.is_ipv6 { IPV6_AT } else { IPV4_AT };
        self.headers[ip_at - ETHERNET_LEN..ip_at - 8].copy_from_slice(&to);
    }

    /// Writes the headers of a payload of this length and [`sum`]; returns where they begin.
    #[inline]
    pub(super) fn write(&self, to: &mut [u8; HEADROOM], len: usize, payload_sum: u64) -> usize {
        *to = self.headers;
        let udp_len = (UDP_LEN + len) as u16;
        to[UDP_AT + 4..UDP_AT + 6].copy_from_slice(&udp_len.to_be_bytes());
        // The pseudo-header has the length, too.
        let checksum = !fold(self.udp_sum + 2 * term(udp_len) + payload_sum);
        // 0 stands for none.
        let checksum = if checksum == 0 { !0 } else { checksum };
        to[UDP_AT + 6..].copy_from_slice(&checksum.to_ne_bytes());
        if self.is_ipv6 {
            to[IPV6_AT + 4..IPV6_AT + 6].copy_from_slice(&udp_len.to_be_bytes());
            return IPV6_AT - ETHERNET_LEN;
        }
        let total = IPV4_LEN as u16 + udp_len;
        to[IPV4_AT + 2..IPV4_AT + 4].copy_from_slice(&total.to_be_bytes());
        let checksum = !fold(self.ip_sum + term(total));
        to[IPV4_AT + 10..IPV4_AT + 12].copy_from_slice(&checksum.to_ne_bytes());
        IPV4_AT - ETHERNET_LEN
    }
}

/// The bytes of an IP packet with a UDP datagram of this payload.
pub(super) const fn packet_len(is_ipv6: bool, payload: usize) -> usize {
    (if is_ipv6 { IPV6_LEN } else { IPV4_LEN }) + UDP_LEN + payload
}

/// A UDP datagram in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Received {
    /// Where its payload is.
    pub(super) payload: Range<usize>,
    /// Whether its checksums are right, as far as they are complete.
    pub(super) is_intact: bool,
}

/// A frame up to its UDP header.
struct Packet<'a> {
    /// Source and destination, 4 or 16 bytes each.
    addresses: &'a [u8],
    /// From the UDP header on, as far as the IP header says.
    datagram: &'a [u8],
    datagram_at: usize,
    is_intact: bool,
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*bytes))
}

#[inline]
fn packet(frame: &[u8]) -> Option<Packet<'_>> {
    let mut ip_at = ETHERNET_LEN;
    let mut ethertype = u16_at(frame, ip_at - 2)?;
    if ETHERTYPE_VLAN.contains(&ethertype) {
        ip_at += VLAN_LEN;
        ethertype = u16_at(frame, ip_at - 2)?;
    }
    let ip = frame.get(ip_at..)?;
    match ethertype {
        ETHERTYPE_IPV4 => {
            let header_len = usize::from(*ip.first()? & 0x0F) * 4;
            let header = ip.get(..header_len).filter(|header| header.len() >= IPV4_LEN)?;
            let total = usize::from(u16_at(header, 2)?);
            if header[0] >> 4 != 4
                || header[9] != PROTOCOL_UDP
                || u16_at(header, 6)? & FRAGMENT != 0
            {
                return None;
            }
            Some(Packet {
                addresses: &header[12..20],
                datagram: ip.get(header_len..total)?,
                datagram_at: ip_at + header_len,
                is_intact: fold(sum(header)) == !0,
            })
        }
        ETHERTYPE_IPV6 => {
            let header = ip.get(..IPV6_LEN)?;
            let len = usize::from(u16_at(header, 4)?);
            if header[0] >> 4 != 6 || header[6] != PROTOCOL_UDP {
                return None;
            }
            Some(Packet {
                addresses: &header[8..40],
                datagram: ip.get(IPV6_LEN..IPV6_LEN + len)?,
                datagram_at: ip_at + IPV6_LEN,
                is_intact: true,
            })
        }
        _ => None,
    }
}

/// The UDP datagram in a frame, with at most one VLAN tag; `None` if there is none, or a part of
/// one.
#[inline]
pub(super) fn parse(frame: &[u8]) -> Option<Received> {
    let packet = packet(frame)?;
    let len = usize::from(u16_at(packet.datagram, 4)?);
    let datagram = packet.datagram.get(..len).filter(|datagram| datagram.len() >= UDP_LEN)?;
    let payload = packet.datagram_at + UDP_LEN..packet.datagram_at + len;
    let is_intact = packet.is_intact && has_right_checksum(packet.addresses, datagram);
    Some(Received { payload, is_intact })
}

/// Whether the checksum of a UDP datagram is right, or is not there.
#[inline]
fn has_right_checksum(addresses: &[u8], datagram: &[u8]) -> bool {
    let field = u16::from_ne_bytes([datagram[6], datagram[7]]);
    if field == 0 {
        // Legal with IPv4 only (RFC 768, RFC 8200 section 8.1).
        return addresses.len() < IPV6_LEN - 8;
    }
    let pseudo = sum(addresses) + term(PROTOCOL_UDP.into()) + term(datagram.len() as u16);
    // A socket of this host leaves the sum of the pseudo-header alone, for a device to complete
    // (`CHECKSUM_PARTIAL`), and a veth(4) passes that on.
    fold(pseudo + sum(datagram)) == !0 || field == fold(pseudo)
}

/// The sender of the datagram in a frame.
pub(super) fn sender(frame: &[u8]) -> Option<SocketAddr> {
    let Packet { addresses, datagram, .. } = packet(frame)?;
    let port = u16_at(datagram, 0)?;
    let ip = match addresses.len() {
        8 => IpAddr::from(Ipv4Addr::from(*addresses.first_chunk::<4>()?)),
        _ => IpAddr::from(Ipv6Addr::from(*addresses.first_chunk::<16>()?)),
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests;
