//! Reassembly of IP fragments (RFC 791 §3.2, RFC 8200 §4.5), in bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use etherparse::defrag::IpDefragBuf;
use etherparse::{IpFragOffset, IpNumber, Ipv6ExtensionSlice, NetSlice};

use super::skip::SkipCause;

/// Time after which missing fragments do not come any more; RFC 8200 §4.5.
const LIFETIME_NS: i128 = 60_000_000_000;
/// Maximum bytes of incomplete datagrams, and what each takes besides them. Arbitrary: four times
/// what Linux keeps (net.ipv4.ipfrag_high_thresh).
const MAX_BYTES: usize = 16 << 20;
const OVERHEAD: usize = 256;

/// What fragments of one datagram share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    from: IpAddr,
    to: IpAddr,
    id: u32,
    protocol: IpNumber,
}

/// A fragment of an IP packet.
#[derive(Debug)]
pub(super) struct Fragment<'a> {
    key: Key,
    offset: IpFragOffset,
    has_more: bool,
    bytes: &'a [u8],
    /// Number of tunnels that it is in.
    depth: u32,
}

/// A reassembled payload of IP.
#[derive(Debug)]
pub(super) struct Reassembled {
    pub(super) protocol: IpNumber,
    pub(super) bytes: Vec<u8>,
    pub(super) depth: u32,
    /// Number of packets that it came in.
    pub(super) packets: u64,
}

impl<'a> Fragment<'a> {
    /// This packet in so many tunnels, if it is a fragment.
    pub(super) fn of(net: &NetSlice<'a>, depth: u32) -> Option<Self> {
        match net {
            NetSlice::Ipv4(ip) => {
                let (header, payload) = (ip.header(), ip.payload());
                let (from, to) = (header.source_addr().into(), header.destination_addr().into());
                let (id, protocol) = (header.identification().into(), payload.ip_number);
                let fragment = Self {
                    key: Key { from, to, id, protocol },
                    offset: header.fragments_offset(),
                    has_more: header.more_fragments(),
                    bytes: payload.payload,
                    depth,
                };
                header.is_fragmenting_payload().then_some(fragment)
            }
            NetSlice::Ipv6(ip) => {
                let (header, payload) = (ip.header(), ip.payload());
                let fragment = ip.extensions().clone().into_iter().find_map(|one| match one {
                    Ipv6ExtensionSlice::Fragment(fragment) => Some(fragment.to_header()),
                    _ => None,
                });
                let fragment = fragment.filter(|one| one.is_fragmenting_payload())?;
                let (from, to) = (header.source_addr().into(), header.destination_addr().into());
                let (id, protocol) = (fragment.identification, payload.ip_number);
                Some(Self {
                    key: Key { from, to, id, protocol },
                    offset: fragment.fragment_offset,
                    has_more: fragment.more_fragments,
                    bytes: payload.payload,
                    depth,
                })
            }
            NetSlice::Arp(_) => None,
        }
    }
}

/// A datagram of which fragments are missing, or one that is not reassembled.
#[derive(Debug)]
struct Partial {
    buffer: IpDefragBuf,
    /// Its place in the order of datagrams.
    number: u64,
    first_ns: Option<i128>,
    packets: u64,
    /// Why its fragments are left out.
    refused: Option<SkipCause>,
}

/// Datagrams whose fragments are read.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    partial: HashMap<Key, Partial>,
    /// The keys of these, the oldest first.
    order: BTreeMap<u64, Key>,
    next_number: u64,
    bytes: usize,
    /// Packets left out since the last call of [`Self::left_out`].
    left_out: Vec<(SkipCause, u64)>,
}

impl Fragments {
    /// Adds a fragment that came in so many packets; returns its datagram if that is complete.
    pub(super) fn add(
        &mut self,
        fragment: &Fragment<'_>,
        time_ns: Option<i128>,
        packets: u64,
    ) -> Option<Reassembled> {
        let Fragment { key, offset, has_more, bytes, depth } = fragment;
        let age = |of: &Partial| Some(time_ns? - of.first_ns?);
        if self.partial.get(key).and_then(age).is_some_and(|age| age > LIFETIME_NS) {
            self.drop_partial(key);
        }
        let partial = self.partial.entry(key.clone()).or_insert_with(|| {
            let number = self.next_number;
            self.next_number += 1;
            self.order.insert(number, key.clone());
            self.bytes += OVERHEAD;
            let buffer = IpDefragBuf::new(key.protocol, Vec::new(), Vec::new());
            Partial { buffer, number, first_ns: time_ns, packets: 0, refused: None }
        });
        match place(&partial.buffer, *offset, *has_more, bytes) {
            Place::Repeated if partial.refused.is_none() => {
                self.left_out.push((SkipCause::RepeatedFragment, packets));
                return None;
            }
            Place::Wrong(why) => {
                partial.refused.get_or_insert(why);
            }
            _ => {}
        }
        partial.packets += packets;
        if partial.refused.is_none() {
            let before = partial.buffer.data().len();
            match partial.buffer.add(*offset, *has_more, bytes) {
                Ok(()) => self.bytes += partial.buffer.data().len() - before,
                Err(_) => partial.refused = Some(SkipCause::Malformed),
            }
            if partial.refused.is_none() && partial.buffer.is_complete() {
                let packets = partial.packets;
                let partial = self.take(key)?;
                let (bytes, _) = partial.buffer.take_bufs();
                return Some(Reassembled { protocol: key.protocol, bytes, depth: *depth, packets });
            }
        }
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.oldest()
        {
            self.drop_partial(&oldest);
        }
        None
    }

    /// The packets left out since the last call; at the end also those that wait for others.
    pub(super) fn left_out(&mut self, is_end: bool) -> Vec<(SkipCause, u64)> {
        while is_end && let Some(oldest) = self.oldest() {
            self.drop_partial(&oldest);
        }
        std::mem::take(&mut self.left_out)
    }

    fn oldest(&self) -> Option<Key> {
        self.order.values().next().cloned()
    }

    fn drop_partial(&mut self, key: &Key) {
        if let Some(Partial { packets, refused, .. }) = self.take(key) {
            self.left_out.push((refused.unwrap_or(SkipCause::Fragment), packets));
        }
    }

    fn take(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.partial.remove(key)?;
        self.bytes -= OVERHEAD + partial.buffer.data().len();
        self.order.remove(&partial.number);
        Some(partial)
    }
}

enum Place {
    New,
    /// The same bytes at the same place again.
    Repeated,
    Wrong(SkipCause),
}

/// Where a fragment belongs. A datagram with fragments that overlap is not used (RFC 8200 §4.5).
fn place(buffer: &IpDefragBuf, offset: IpFragOffset, has_more: bool, bytes: &[u8]) -> Place {
    let start = usize::from(offset.byte_offset());
    let range = start..start + bytes.len();
    let sections = || buffer.sections().iter().map(|one| one.start.into()..usize::from(one.end));
    let ends_early = !has_more && sections().any(|one| one.end > range.end);
    let is_behind = buffer.end().is_some_and(|end| range.end > end.into());
    let overlaps = sections().any(|one| one.start < range.end && range.start < one.end);
    let is_known = sections().any(|one| one.start <= range.start && range.end <= one.end);
    let is_last = buffer.end() == u16::try_from(range.end).ok();
    match overlaps {
        true if is_known && is_last != has_more && buffer.data().get(range) == Some(bytes) => {
            Place::Repeated
        }
        true => Place::Wrong(SkipCause::OverlappingFragment),
        false if ends_early || is_behind => Place::Wrong(SkipCause::Malformed),
        false => Place::New,
    }
}
