//! Account of a capture: how many packets are sent, and why others are not.

use std::collections::{BTreeMap, BTreeSet};

use pcap_parser::Linktype;

use super::link::{self, SkipCause};
use crate::payload::Input;
use crate::payload::TimestampClock;

/// Maximum number of link types named. Arbitrary: a capture of several devices has few, and a file
/// may have 65,536.
const NAMED: usize = 16;
/// A hint needs one of so many packets from the busiest port. Arbitrary.
const REPLIES_ONE_IN: u64 = 20;

/// Counts of packets used and left out.
#[derive(Debug, Default)]
pub(in crate::payload) struct Counts {
    format: &'static str,
    /// The first link types of packets, [`NAMED`] of them at most.
    links: Vec<Linktype>,
    other_links: BTreeSet<i32>,
    used: u64,
    /// By cause, in the order of [`SkipCause::ALL`].
    left_out: [u64; SkipCause::ALL.len()],
    /// Datagrams to each port, and from it.
    ports: BTreeMap<u16, (u64, u64)>,
    /// Whether the file ends in the middle of a packet, or continues with an unknown structure.
    pub(super) is_open: bool,
}

impl Counts {
    pub(super) fn new(format: &'static str) -> Self {
        Self { format, ..Self::default() }
    }

    pub(super) fn link(&mut self, link: Linktype) {
        if self.links.contains(&link) {
            return;
        }
        if self.links.len() < NAMED {
            self.links.push(link);
        } else {
            self.other_links.insert(link.0);
        }
    }

    pub(super) fn take(&mut self, from: u16, to: u16) {
        self.used += 1;
        self.ports.entry(to).or_default().0 += 1;
        if from != to {
            self.ports.entry(from).or_default().1 += 1;
        }
    }

    pub(super) fn leave_out(&mut self, cause: SkipCause) {
        self.left_out[cause as usize] += 1;
    }

    /// Moves `count` packets from used to left out.
    pub(super) fn retract(&mut self, count: usize, cause: SkipCause) {
        self.used -= count as u64;
        self.left_out[cause as usize] += count as u64;
    }

    fn packets(&self) -> u64 {
        self.used + self.left_out.iter().sum::<u64>()
    }

    fn causes(&self) -> impl Iterator<Item = (SkipCause, u64)> {
        SkipCause::ALL.into_iter().zip(self.left_out).filter(|(_, count)| *count > 0)
    }

    pub(in crate::payload) fn input(&self, clock: TimestampClock) -> Input {
        Input {
            format: self.format,
            link_types: self.link_types(),
            more_link_types: self.other_links.len() as u64,
            records: self.packets(),
            used: self.used,
            left_out: self.causes().map(|(cause, count)| (cause.word(), count)).collect(),
            clock: Some(clock),
        }
    }

    fn link_types(&self) -> Vec<String> {
        let mut names: Vec<_> = self.links.iter().map(|link| link::name(*link)).collect();
        names.dedup();
        names
    }

    /// The type of the file: `pcap of link type ETHERNET`.
    pub(in crate::payload) fn kind(&self) -> String {
        let more = match self.other_links.len() {
            0 => String::new(),
            count => format!(", and {count} more"),
        };
        match &self.link_types()[..] {
            [] => self.format.to_owned(),
            [one] => format!("{} of link type {one}{more}", self.format),
            several => format!("{} of link types {}{more}", self.format, several.join(", ")),
        }
    }

    /// How many packets are not sent, by cause: `3 fragments of IP, 1 not UDP`.
    pub(in crate::payload) fn reasons(&self, port: Option<u16>) -> String {
        let reasons = self.causes().map(|(cause, count)| format!("{count} {}", cause.text(port)));
        reasons.collect::<Vec<_>>().join(", ")
    }

    pub(in crate::payload) fn notes(&self, port: Option<u16>) -> Vec<String> {
        let mut notes = Vec::new();
        let (used, packets) = (self.used, self.packets());
        if self.is_open {
            let last = packets + 1;
            notes.push(format!(
                "the capture ends in the middle of packet {last}; the {packets} before it are read"
            ));
        }
        if used < packets {
            let (kind, reasons) = (self.kind(), self.reasons(port));
            notes
                .push(format!("{kind}: {used} of {packets} packets are sent; left out: {reasons}"));
        }
        if port.is_none() {
            notes.extend(self.replies());
        }
        notes
    }

    /// A hint that some packets may be replies, by the port that takes part in most conversations.
    fn replies(&self) -> Option<String> {
        let both_ways = |(_, (to, from)): &(&u16, &(u64, u64))| (*to).min(*from);
        // Of two that are alike, the lower one is the server's.
        let busiest = self.ports.iter().rev().max_by_key(both_ways)?;
        let (port, (_, from)) = busiest;
        (both_ways(&busiest) > 0 && from * REPLIES_ONE_IN >= self.used).then(|| {
            let (from, used) = (*from, self.used);
            let share = match from * 2 == used {
                true => format!("half of the packets ({from} of {used})"),
                false => format!("{from} of {used} packets"),
            };
            format!(
                "{share} come from port {port} and may be replies; --pcap-port {port} sends \
                 only packets to that port"
            )
        })
    }
}
