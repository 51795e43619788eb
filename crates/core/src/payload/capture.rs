//! UDP payloads of captures, pcap and pcapng: how many packets are sent, and why others are not.

mod fragments;
mod link;
mod skip;
mod times;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use pcap_parser::pcapng::{Block, parse_block_be, parse_block_le, parse_sectionheaderblock};
use pcap_parser::{
    Linktype, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};

use self::fragments::Fragments;
use self::link::PacketContent;
pub(super) use self::skip::PacketFilter;
use self::skip::SkipCause;
use super::PayloadError;
use crate::document::InputSummary;
use crate::unit::MAX_PAYLOAD;

/// Bits of the number of a link type, without flags of checksums; draft-ietf-opsawg-pcap §4.
const LINK_BITS: i32 = 0xFFFF;
/// Nanoseconds of a second.
const SECOND_NS: i128 = 1_000_000_000;
/// The number of the obsolete Packet Block, and its bytes before the packet;
/// draft-ietf-opsawg-pcapng, appendix A.
const PACKET_BLOCK: u32 = 2;
const PACKET_BLOCK_LEN: usize = 20;
/// Bytes of a block without a body: its type, and its length twice; draft-ietf-opsawg-pcapng §3.1.
const MIN_BLOCK_LEN: u32 = 12;
/// Maximum number of link types named. Arbitrary: a capture of several devices has few.
const NAMED: usize = 16;
/// Replies are refused if one of so many datagrams comes from the busiest port. Arbitrary.
const REPLIES_ONE_IN: u64 = 20;

/// The UDP payloads of a capture, and the number of packets that are left out.
#[derive(Debug, Default)]
pub(super) struct Capture<'a> {
    format: &'static str,
    filter: PacketFilter,
    payloads: Vec<Payload<'a>>,
    fragments: Fragments,
    left_out: BTreeMap<SkipCause, u64>,
    /// The first link types of packets, [`NAMED`] of them at most.
    links: Vec<Linktype>,
    other_links: BTreeSet<i32>,
    /// Whether the file ends in the middle of a packet, or continues with an unknown structure.
    is_cut_short: bool,
}

#[derive(Debug)]
struct Payload<'a> {
    /// In ns since 1970; `None` where the capture has no times.
    time_ns: Option<i128>,
    bytes: Cow<'a, [u8]>,
    /// Its source and destination port.
    ports: [u16; 2],
    /// Number of packets that it came in.
    packets: u64,
}

struct Packet<'a> {
    time_ns: Option<i128>,
    link: Linktype,
    bytes: &'a [u8],
    /// Its original length.
    len: usize,
}

struct Interface {
    link: Linktype,
    ticks: u128,
    /// Offset to add to its times, in seconds.
    offset: i64,
}

impl Interface {
    fn packet<'a>(&self, time: Option<[u32; 2]>, bytes: &'a [u8], len: u32) -> Packet<'a> {
        let time_ns = time.map(|[high, low]| {
            let ticks = u128::from(high) << 32 | u128::from(low);
            let since = (ticks * SECOND_NS as u128 / self.ticks) as i128;
            since + i128::from(self.offset) * SECOND_NS
        });
        Packet { time_ns, link: self.link, bytes, len: len as usize }
    }
}

impl<'a> Capture<'a> {
    pub(super) fn read(bytes: &'a [u8], filter: PacketFilter) -> Result<Self, PayloadError> {
        let is_ng = parse_sectionheaderblock(bytes).is_ok();
        let format = if is_ng { "pcapng" } else { "pcap" };
        let mut capture = Self { format, filter, ..Self::default() };
        if is_ng {
            capture.read_blocks(bytes);
        } else {
            capture.read_frames(bytes).ok_or(PayloadError::NoCapture)?;
        }
        capture.leave_out_fragments(true);
        Ok(capture)
    }

    /// Reads a pcap; `None` if it is not one.
    fn read_frames(&mut self, bytes: &'a [u8]) -> Option<()> {
        let (mut rest, header) = parse_pcap_header(bytes).ok()?;
        let link = Linktype(header.network.0 & LINK_BITS);
        let fraction_ns = if header.is_nanosecond_precision() { 1 } else { 1_000 };
        let parse = match (header.is_modified_format(), header.is_bigendian()) {
            (true, _) => parse_pcap_frame_modified,
            (_, true) => parse_pcap_frame_be,
            (_, false) => parse_pcap_frame,
        };
        while !rest.is_empty() {
            let Ok((after, frame)) = parse(rest) else {
                self.is_cut_short = true;
                break;
            };
            rest = after;
            let seconds = i128::from(frame.ts_sec) * SECOND_NS;
            let time_ns = Some(seconds + i128::from(frame.ts_usec) * fraction_ns);
            let (bytes, len) = (frame.data, frame.origlen as usize);
            self.add(Packet { time_ns, link, bytes, len });
        }
        Some(())
    }

    fn read_blocks(&mut self, mut rest: &'a [u8]) {
        let mut is_big = false;
        let mut interfaces: Vec<Interface> = Vec::new();
        while !rest.is_empty() {
            let Some((after, block)) = next_block(rest, is_big) else {
                self.is_cut_short = true;
                break;
            };
            rest = after;
            let packet = match block {
                Block::SectionHeader(header) => {
                    is_big = header.big_endian();
                    interfaces.clear();
                    continue;
                }
                Block::InterfaceDescription(about) => {
                    let link = Linktype(about.linktype.0 & LINK_BITS);
                    let (ticks, offset) = (ticks(about.if_tsresol), about.if_tsoffset);
                    interfaces.push(Interface { link, ticks, offset });
                    continue;
                }
                Block::EnhancedPacket(packet) => {
                    interfaces.get(packet.if_id as usize).and_then(|interface| {
                        let bytes = packet.data.get(..packet.caplen as usize)?;
                        let time = [packet.ts_high, packet.ts_low];
                        Some(interface.packet(Some(time), bytes, packet.origlen))
                    })
                }
                Block::SimplePacket(packet) => interfaces.first().map(|interface| {
                    // It may be padded.
                    let bytes = packet.data.get(..packet.origlen as usize);
                    interface.packet(None, bytes.unwrap_or(packet.data), packet.origlen)
                }),
                // The number is read as little endian, whatever the section has.
                Block::Unknown(block) => {
                    let kind = block.block_type;
                    if (if is_big { kind.swap_bytes() } else { kind }) != PACKET_BLOCK {
                        continue;
                    }
                    packet_block(block.data, is_big, &interfaces)
                }
                _ => continue,
            };
            match packet {
                Some(packet) => self.add(packet),
                None => self.leave_out(SkipCause::Malformed, 1),
            }
        }
    }

    fn add(&mut self, packet: Packet<'a>) {
        if !self.links.contains(&packet.link) {
            if self.links.len() < NAMED {
                self.links.push(packet.link);
            } else {
                self.other_links.insert(packet.link.0);
            }
        }
        let is_cut = packet.bytes.len() < packet.len;
        let found = link::datagram(packet.link, packet.bytes, is_cut, self.filter);
        self.take(found, packet.time_ns, 1, Cow::Borrowed);
        self.leave_out_fragments(false);
    }

    /// Adds a datagram that came in so many packets; `own` makes its bytes live as long as the
    /// capture.
    fn take<'f>(
        &mut self,
        found: Result<PacketContent<'f>, SkipCause>,
        time_ns: Option<i128>,
        packets: u64,
        own: fn(&'f [u8]) -> Cow<'a, [u8]>,
    ) {
        let udp = match found {
            Ok(PacketContent::Fragment(fragment)) => {
                if let Some(whole) = self.fragments.add(&fragment, time_ns, packets) {
                    let payload = (whole.protocol, &whole.bytes[..]);
                    let found = link::in_ip(payload, false, self.filter, whole.depth);
                    self.take(found, time_ns, whole.packets, |bytes| Cow::Owned(bytes.to_vec()));
                }
                return;
            }
            Err(cause) => return self.leave_out(cause, packets),
            Ok(PacketContent::Datagram(udp)) => udp,
        };
        if udp.payload.len() > MAX_PAYLOAD {
            return self.leave_out(SkipCause::TooLarge, packets);
        }
        let (bytes, ports) = (own(udp.payload), [udp.from, udp.to]);
        self.payloads.push(Payload { time_ns, bytes, ports, packets });
    }

    fn leave_out_fragments(&mut self, is_end: bool) {
        for (cause, packets) in self.fragments.left_out(is_end) {
            self.leave_out(cause, packets);
        }
    }

    fn leave_out(&mut self, cause: SkipCause, count: u64) {
        if count > 0 {
            *self.left_out.entry(cause).or_default() += count;
        }
    }

    /// Leaves out payloads below `least` bytes; if none is left, returns the length of the longest.
    pub(super) fn leave_out_below(&mut self, least: usize) -> Option<usize> {
        let longest = self.payloads.iter().map(|one| one.bytes.len()).max();
        self.keep(SkipCause::BeforeId, |bytes| bytes.len() >= least);
        longest.filter(|_| self.payloads.is_empty())
    }

    /// Leaves out payloads that are no requests of the protocol.
    pub(super) fn leave_out_others(&mut self, is_request: impl Fn(&[u8]) -> bool) {
        self.keep(SkipCause::NotRequest, is_request);
    }

    /// Leaves out the other payloads, with all packets that they came in.
    fn keep(&mut self, cause: SkipCause, is_kept: impl Fn(&[u8]) -> bool) {
        let mut packets = 0;
        self.payloads.retain(|one| {
            let is_kept = is_kept(&one.bytes);
            packets += if is_kept { 0 } else { one.packets };
            is_kept
        });
        self.leave_out(cause, packets);
    }

    pub(super) fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        self.payloads.iter().map(|one| &*one.bytes)
    }

    /// Send times in ns since the first packet, and the summary; an error if nothing is sent.
    pub(super) fn summary(&self) -> Result<(Vec<u64>, InputSummary), PayloadError> {
        let times: Vec<_> = self.payloads.iter().map(|one| one.time_ns).collect();
        let (moments, clock) = times::moments(&times);
        let used = self.payloads.len() as u64;
        let packets = self.payloads.iter().map(|one| one.packets).sum::<u64>();
        let joined = || self.payloads.iter().map(|one| one.packets).filter(|packets| *packets > 1);
        let (fragments, reassembled) = (joined().sum(), joined().count() as u64);
        let records = packets + self.left_out.values().sum::<u64>();
        let reason = |(cause, count): (&SkipCause, &u64)| {
            format!("{count} {}", cause.text(self.filter.port))
        };
        let reasons = self.left_out.iter().map(reason).collect::<Vec<_>>().join(", ");
        let mut link_types: Vec<_> = self.links.iter().map(|link| link::name(*link)).collect();
        link_types.dedup();
        let kind = self.kind(&link_types);
        if used == 0 {
            let why = match records {
                0 if self.is_cut_short => "it is cut short or damaged at packet 1".to_owned(),
                0 => "it has no packets".to_owned(),
                _ => format!("none of the {records} packets is sent; left out: {reasons}"),
            };
            return Err(PayloadError::NoDatagram { kind, why });
        }
        self.refuse_both_ways()?;
        let cut_short = self.is_cut_short.then(|| {
            let last = records + 1;
            format!(
                "the capture is cut short or damaged at packet {last}; the {records} before it are \
                 read"
            )
        });
        let left_out = (packets < records).then(|| {
            format!("{kind}: {packets} of {records} packets are sent; left out: {reasons}")
        });
        let by_word = |(cause, count): (&SkipCause, &u64)| (cause.word().to_owned(), *count);
        let input = InputSummary {
            format: self.format.to_owned(),
            link_types,
            more_link_types: self.other_links.len() as u64,
            records,
            used,
            reassembled,
            fragments,
            left_out: self.left_out.iter().map(by_word).collect(),
            clock: Some(clock),
            notes: [cut_short, left_out].into_iter().flatten().collect(),
        };
        Ok((moments, input))
    }

    fn kind(&self, link_types: &[String]) -> String {
        let more = match self.other_links.len() {
            0 => String::new(),
            count => format!(", and {count} more"),
        };
        match link_types {
            [] => self.format.to_owned(),
            [one] => format!("{} of link type {one}{more}", self.format),
            several => format!("{} of link types {}{more}", self.format, several.join(", ")),
        }
    }

    /// Refuses replies, by the port with the most conversations: a server does not expect them.
    fn refuse_both_ways(&self) -> Result<(), PayloadError> {
        if self.filter.port.is_some() {
            return Ok(());
        }
        let mut ports: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
        for [from, to] in self.payloads.iter().map(|one| one.ports) {
            ports.entry(to).or_default().0 += 1;
            if from != to {
                ports.entry(from).or_default().1 += 1;
            }
        }
        let both_ways = |(_, (to, from)): &(&u16, &(u64, u64))| (*to).min(*from);
        // Of two equal ones, the lower one is the server's.
        let busiest = ports.iter().rev().max_by_key(both_ways);
        let is_many = |from: u64| from * REPLIES_ONE_IN >= self.payloads.len() as u64;
        match busiest.filter(|busiest| both_ways(busiest) > 0) {
            Some((port, (_, from))) if is_many(*from) => {
                let of = self.payloads.len() as u64;
                Err(PayloadError::BothWays { port: *port, from: *from, of })
            }
            _ => Ok(()),
        }
    }
}

/// The next block of a pcapng, and the bytes after it; `None` if it is malformed or incomplete.
fn next_block(bytes: &[u8], is_big: bool) -> Option<(&[u8], Block<'_>)> {
    let len = *bytes.get(4..)?.first_chunk()?;
    let len = if is_big { u32::from_be_bytes(len) } else { u32::from_le_bytes(len) };
    // pcap-parser 0.17 subtracts this from the length of a Process Information Block, unchecked.
    if len < MIN_BLOCK_LEN {
        return None;
    }
    let parse = if is_big { parse_block_be } else { parse_block_le };
    parse(bytes).ok()
}

/// The packet in an obsolete Packet Block; `None` if it is malformed.
fn packet_block<'a>(data: &'a [u8], is_big: bool, interfaces: &[Interface]) -> Option<Packet<'a>> {
    let (header, rest) = data.split_at_checked(PACKET_BLOCK_LEN)?;
    let word = |at: usize| {
        let bytes = *header.get(at..)?.first_chunk()?;
        Some(if is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    let id = *header.first_chunk()?;
    let id = if is_big { u16::from_be_bytes(id) } else { u16::from_le_bytes(id) };
    let bytes = rest.get(..word(12)? as usize)?;
    let interface = interfaces.get(usize::from(id))?;
    Some(interface.packet(Some([word(4)?, word(8)?]), bytes, word(16)?))
}

/// Ticks in a second by the option if_tsresol: a negative power of 10, or of 2 with the highest bit
/// set; draft-ietf-opsawg-pcapng §4.2. Finer ones are read as nanoseconds.
fn ticks(resolution: u8) -> u128 {
    let ticks = match resolution & 0x80 {
        0 => 10_u128.checked_pow(resolution as u32),
        _ => 1_u128.checked_shl((resolution & 0x7F) as u32),
    };
    ticks.unwrap_or(SECOND_NS as u128)
}
