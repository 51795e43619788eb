//! Payloads of UDP in captures: pcap and pcapng, as tcpdump, Wireshark and their kin write them.

use etherparse::{EtherType, SlicedPacket, TransportSlice};
use pcap_parser::pcapng::{Block, parse_block_be, parse_block_le, parse_sectionheaderblock};
use pcap_parser::{
    Linktype, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};

use super::PayloadError;

/// Raw IP as BSDs number it, beside the number that is the same everywhere;
/// <https://www.tcpdump.org/linktypes.html>.
const RAW_OF_BSD: [i32; 2] = [12, 14];

/// Bytes before the packet: an address family, as a loopback device of BSD has it; LINKTYPE_NULL.
const FAMILY_LEN: usize = 4;

/// Bytes of Linux' cooked headers, and where their EtherTypes are; LINKTYPE_LINUX_SLL.
const SLL: (usize, usize) = (16, 14);
/// The same of the second version; LINKTYPE_LINUX_SLL2.
const SLL2: (usize, usize) = (20, 0);

/// Bits of the number of a link type; those above tell of checksums at the end of frames;
/// draft-ietf-opsawg-pcap §4.
const LINK_BITS: i32 = 0xFFFF;

/// Nanoseconds of a second.
const SECOND_NS: u128 = 1_000_000_000;

/// What is in a capture.
#[derive(Debug, Default)]
pub(super) struct Capture<'a> {
    /// Payloads, with their time in nanoseconds since the first of them.
    pub(super) payloads: Vec<(u64, &'a [u8])>,
    pub(super) packets: u64,
    /// Not UDP over IP, in fragments, or not to be read.
    pub(super) others: u64,
    /// Not captured to their end.
    pub(super) cut: u64,
    /// To other ports.
    pub(super) elsewhere: u64,
    /// Whether the file ends in the middle of a packet, or goes on as nothing that is known.
    pub(super) is_open: bool,
    port: Option<u16>,
    /// When the first payload was captured.
    first_ns: Option<u128>,
}

/// A packet of a capture.
struct Packet<'a> {
    time_ns: u128,
    link: Linktype,
    /// As much of it as was captured.
    bytes: &'a [u8],
    /// How long it was.
    len: usize,
}

impl<'a> Capture<'a> {
    /// Reads a capture; with a port, what goes to it.
    ///
    /// # Errors
    /// [`PayloadError::NoCapture`] if it begins like none, and [`PayloadError::NoUdp`] if there is
    /// nothing to send in it.
    pub(super) fn read(bytes: &'a [u8], port: Option<u16>) -> Result<Self, PayloadError> {
        let mut capture = Self { port, ..Self::default() };
        if parse_sectionheaderblock(bytes).is_ok() {
            capture.blocks(bytes);
        } else {
            capture.frames(bytes).ok_or(PayloadError::NoCapture)?;
        }
        if capture.payloads.is_empty() {
            let (packets, elsewhere) = (capture.packets, capture.elsewhere);
            return Err(PayloadError::NoUdp { packets, elsewhere });
        }
        Ok(capture)
    }

    /// A pcap; `None` if it is none.
    fn frames(&mut self, bytes: &'a [u8]) -> Option<()> {
        let (mut rest, header) = parse_pcap_header(bytes).ok()?;
        let link = Linktype(header.network.0 & LINK_BITS);
        let fraction_ns = if header.is_nanosecond_precision() { 1 } else { 1_000 };
        let parse = match (header.is_modified_format(), header.is_bigendian()) {
            (true, _) => parse_pcap_frame_modified,
            (_, true) => parse_pcap_frame_be,
            (_, false) => parse_pcap_frame,
        };
        while !rest.is_empty() {
            let Ok((behind, frame)) = parse(rest) else {
                self.is_open = true;
                break;
            };
            rest = behind;
            let seconds = u128::from(frame.ts_sec) * SECOND_NS;
            let time_ns = seconds + u128::from(frame.ts_usec) * fraction_ns;
            let (bytes, len) = (frame.data, frame.origlen as usize);
            self.take(Packet { time_ns, link, bytes, len });
        }
        Some(())
    }

    /// A pcapng.
    fn blocks(&mut self, mut rest: &'a [u8]) {
        let mut is_big = false;
        // Link type, ticks of the clock in a second, and seconds to add.
        let mut interfaces: Vec<(Linktype, u128, i64)> = Vec::new();
        let mut last_ns = 0;
        while !rest.is_empty() {
            let parse = if is_big { parse_block_be } else { parse_block_le };
            let Ok((behind, block)) = parse(rest) else {
                self.is_open = true;
                break;
            };
            rest = behind;
            match block {
                Block::SectionHeader(header) => {
                    is_big = header.big_endian();
                    interfaces.clear();
                }
                Block::InterfaceDescription(about) => {
                    let link = Linktype(about.linktype.0 & LINK_BITS);
                    interfaces.push((link, ticks(about.if_tsresol), about.if_tsoffset));
                }
                Block::EnhancedPacket(packet) => {
                    let Some(bytes) = packet.data.get(..packet.caplen as usize) else {
                        self.skip();
                        continue;
                    };
                    let Some((link, ticks, offset)) = interfaces.get(packet.if_id as usize) else {
                        self.skip();
                        continue;
                    };
                    let time = u128::from(packet.ts_high) << 32 | u128::from(packet.ts_low);
                    let added = u128::try_from(*offset).unwrap_or_default() * SECOND_NS;
                    last_ns = time * SECOND_NS / ticks + added;
                    let (link, len) = (*link, packet.origlen as usize);
                    self.take(Packet { time_ns: last_ns, link, bytes, len });
                }
                Block::SimplePacket(packet) => {
                    let Some((link, ..)) = interfaces.first() else {
                        self.skip();
                        continue;
                    };
                    // It has no time of its own, and may be padded.
                    let len = packet.origlen as usize;
                    let bytes = packet.data.get(..len).unwrap_or(packet.data);
                    self.take(Packet { time_ns: last_ns, link: *link, bytes, len });
                }
                _ => {}
            }
        }
    }

    const fn skip(&mut self) {
        self.packets += 1;
        self.others += 1;
    }

    /// Takes the payload of a packet, or counts why not.
    fn take(&mut self, packet: Packet<'a>) {
        self.packets += 1;
        let is_cut = packet.bytes.len() < packet.len;
        let Some(sliced) = sliced(packet.link, packet.bytes) else {
            *if is_cut { &mut self.cut } else { &mut self.others } += 1;
            return;
        };
        let Some(TransportSlice::Udp(udp)) = sliced.transport else {
            self.others += 1;
            return;
        };
        if self.port.is_some_and(|port| port != udp.destination_port()) {
            self.elsewhere += 1;
            return;
        }
        let first_ns = *self.first_ns.get_or_insert(packet.time_ns);
        let since = u64::try_from(packet.time_ns.saturating_sub(first_ns)).unwrap_or(u64::MAX);
        // Several devices, or a clock that was set, may put packets out of order.
        let before = self.payloads.last().map_or(0, |(time, _)| *time);
        self.payloads.push((since.max(before), udp.payload()));
    }

    /// What the user should know of it.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_open {
            let (last, whole) = (self.packets + 1, self.packets);
            notes.push(format!(
                "the capture ends in the middle of packet {last}; the {whole} before it are read"
            ));
        }
        let reasons = [
            (self.others, "no whole datagram of UDP over IP"),
            (self.cut, "cut short in the capture (tcpdump -s 0 keeps all)"),
            (self.elsewhere, "to other ports"),
        ];
        let reasons = reasons.iter().filter(|(count, _)| *count > 0);
        let reasons: Vec<_> = reasons.map(|(count, why)| format!("{count} {why}")).collect();
        if !reasons.is_empty() {
            let (used, packets) = (self.payloads.len(), self.packets);
            notes.push(format!(
                "{used} of {packets} packets are sent; left out: {}",
                reasons.join(", ")
            ));
        }
        notes
    }
}

/// Ticks in a second by the option if_tsresol: a negative power of 10, or with the highest bit set,
/// of 2; draft-ietf-opsawg-pcapng §4.2. Finer ones than are possible are taken as nanoseconds.
const fn ticks(resolution: u8) -> u128 {
    let ticks = match resolution & 0x80 {
        0 => 10_u128.checked_pow(resolution as u32),
        _ => 1_u128.checked_shl((resolution & 0x7F) as u32),
    };
    match ticks {
        Some(ticks) => ticks,
        None => SECOND_NS,
    }
}

/// The packet by its layers.
fn sliced(link: Linktype, bytes: &[u8]) -> Option<SlicedPacket<'_>> {
    match link {
        Linktype::ETHERNET => SlicedPacket::from_ethernet(bytes).ok(),
        Linktype::LINUX_SLL => cooked(SLL, bytes),
        Linktype::LINUX_SLL2 => cooked(SLL2, bytes),
        Linktype::NULL | Linktype::LOOP => SlicedPacket::from_ip(bytes.get(FAMILY_LEN..)?).ok(),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => SlicedPacket::from_ip(bytes).ok(),
        Linktype(raw) if RAW_OF_BSD.contains(&raw) => SlicedPacket::from_ip(bytes).ok(),
        _ => None,
    }
}

/// A packet behind a cooked header.
fn cooked((len, kind_at): (usize, usize), bytes: &[u8]) -> Option<SlicedPacket<'_>> {
    let (header, rest) = bytes.split_at_checked(len)?;
    let kind = header.get(kind_at..)?.first_chunk()?;
    SlicedPacket::from_ether_type(EtherType(u16::from_be_bytes(*kind)), rest).ok()
}
