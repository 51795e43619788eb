//! UDP payloads of captures: pcap and pcapng.

mod account;
mod link;
mod times;

use pcap_parser::pcapng::{Block, parse_block_be, parse_block_le, parse_sectionheaderblock};
use pcap_parser::{
    Linktype, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};

use super::{PayloadError, TimestampClock};
use crate::unit::MAX_PAYLOAD;
use account::Counts;
pub(super) use link::SkipCause;

/// Bits of the number of a link type; those above report checksums at the end of frames;
/// draft-ietf-opsawg-pcap §4.
const LINK_BITS: i32 = 0xFFFF;
/// Nanoseconds of a second.
const SECOND_NS: i128 = 1_000_000_000;
/// The number of the obsolete Packet Block; draft-ietf-opsawg-pcapng, appendix A.
const PACKET_BLOCK: u32 = 2;
/// Bytes of a Packet Block before the packet; as above.
const PACKET_BLOCK_LEN: usize = 20;

/// The UDP payloads of a capture.
#[derive(Debug)]
pub(super) struct Capture<'a> {
    payloads: Vec<Payload<'a>>,
    counts: Counts,
    port: Option<u16>,
}

#[derive(Debug, Clone, Copy)]
struct Payload<'a> {
    /// When it was captured, in ns since 1970; `None` where the capture has no times.
    time_ns: Option<i128>,
    bytes: &'a [u8],
}

struct Packet<'a> {
    time_ns: Option<i128>,
    link: Linktype,
    /// As much as was captured.
    bytes: &'a [u8],
    /// Its original length.
    len: usize,
}

struct Interface {
    link: Linktype,
    /// Ticks of its clock in a second.
    ticks: u128,
    /// Offset to add to its times, in seconds.
    offset: i64,
}

impl Interface {
    fn time_ns(&self, high: u32, low: u32) -> i128 {
        let time = u128::from(high) << 32 | u128::from(low);
        // Both factors are below 2^64.
        let since = (time * SECOND_NS as u128 / self.ticks) as i128;
        since + i128::from(self.offset) * SECOND_NS
    }
}

impl<'a> Capture<'a> {
    /// Reads a capture; with a port, only what goes to it.
    pub(super) fn read(bytes: &'a [u8], port: Option<u16>) -> Result<Self, PayloadError> {
        let is_ng = parse_sectionheaderblock(bytes).is_ok();
        let counts = Counts::new(if is_ng { "pcapng" } else { "pcap" });
        let mut capture = Self { payloads: Vec::new(), counts, port };
        if is_ng {
            capture.blocks(bytes);
        } else {
            capture.frames(bytes).ok_or(PayloadError::NoCapture)?;
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
                self.counts.is_open = true;
                break;
            };
            rest = behind;
            let seconds = i128::from(frame.ts_sec) * SECOND_NS;
            let time_ns = Some(seconds + i128::from(frame.ts_usec) * fraction_ns);
            let (bytes, len) = (frame.data, frame.origlen as usize);
            self.take(Packet { time_ns, link, bytes, len });
        }
        Some(())
    }

    fn blocks(&mut self, mut rest: &'a [u8]) {
        let mut is_big = false;
        let mut interfaces: Vec<Interface> = Vec::new();
        while !rest.is_empty() {
            let parse = if is_big { parse_block_be } else { parse_block_le };
            let Ok((behind, block)) = parse(rest) else {
                self.counts.is_open = true;
                break;
            };
            rest = behind;
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
                        Some(Packet {
                            time_ns: Some(interface.time_ns(packet.ts_high, packet.ts_low)),
                            link: interface.link,
                            bytes: packet.data.get(..packet.caplen as usize)?,
                            len: packet.origlen as usize,
                        })
                    })
                }
                Block::SimplePacket(packet) => interfaces.first().map(|interface| {
                    // It has no time of its own, and may be padded.
                    let len = packet.origlen as usize;
                    let bytes = packet.data.get(..len).unwrap_or(packet.data);
                    Packet { time_ns: None, link: interface.link, bytes, len }
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
                Some(packet) => self.take(packet),
                None => self.counts.leave_out(SkipCause::Malformed),
            }
        }
    }

    /// Takes the payload of a packet, or counts why not.
    fn take(&mut self, packet: Packet<'a>) {
        self.counts.link(packet.link);
        let is_cut = packet.bytes.len() < packet.len;
        match link::datagram(packet.link, packet.bytes, is_cut, self.port) {
            Ok(datagram) if datagram.payload.len() > MAX_PAYLOAD => {
                self.counts.leave_out(SkipCause::TooLarge);
            }
            Ok(datagram) => {
                self.counts.take(datagram.from, datagram.to);
                let (time_ns, bytes) = (packet.time_ns, datagram.payload);
                self.payloads.push(Payload { time_ns, bytes });
            }
            Err(cause) => self.counts.leave_out(cause),
        }
    }

    /// Leaves out payloads of fewer bytes than `least`, and returns the longest of them.
    pub(super) fn at_least(&mut self, least: usize) -> Option<usize> {
        let short = self.payloads.iter().map(|payload| payload.bytes.len());
        let longest = short.filter(|len| *len < least).max();
        let before = self.payloads.len();
        self.payloads.retain(|payload| payload.bytes.len() >= least);
        self.counts.retract(before - self.payloads.len(), SkipCause::BeforeId);
        longest
    }

    pub(super) fn payloads(&self) -> impl Iterator<Item = &'a [u8]> {
        self.payloads.iter().map(|payload| payload.bytes)
    }

    /// Send times in ns since the first packet, and the faults of the clock.
    pub(super) fn moments(&self) -> (Vec<u64>, TimestampClock) {
        let times: Vec<_> = self.payloads.iter().map(|payload| payload.time_ns).collect();
        times::moments(&times)
    }

    pub(super) const fn counts(&self) -> &Counts {
        &self.counts
    }
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
    let interface = interfaces.get(usize::from(id))?;
    Some(Packet {
        time_ns: Some(interface.time_ns(word(4)?, word(8)?)),
        link: interface.link,
        bytes: rest.get(..word(12)? as usize)?,
        len: word(16)? as usize,
    })
}

/// Ticks in a second by the option if_tsresol: a negative power of 10, or of 2 with the highest bit
/// set; draft-ietf-opsawg-pcapng §4.2. Impossibly fine ones are taken as nanoseconds.
const fn ticks(resolution: u8) -> u128 {
    let ticks = match resolution & 0x80 {
        0 => 10_u128.checked_pow(resolution as u32),
        _ => 1_u128.checked_shl((resolution & 0x7F) as u32),
    };
    match ticks {
        Some(ticks) => ticks,
        None => SECOND_NS as u128,
    }
}
