//! The losses not yet explained, and how one counter is charged with a part of them.

use crate::document::DropLocation;
use crate::measure::{IpCounters, Kernels, RxTally, Topology, TxTally};

/// Datagrams that are missing, and how the kernel would count them.
#[derive(Debug, Default)]
pub(super) struct LossAttribution {
    pub(super) datagrams: u64,
    lost: u64,
    /// Charged locations whose count is an estimate from packets of several datagrams.
    estimated: Vec<DropLocation>,
    /// Charged locations whose counters include other traffic.
    shared: Vec<DropLocation>,
    packet: Packet,
    at_socket: Packet,
    /// Whether packets of several datagrams pass the receiver's backlog on another host.
    pub(super) joined: bool,
    pub(super) left_joined: bool,
    /// Whether counters that include other traffic counted more than was missing.
    overfull: bool,
    /// Locations charged from such counters.
    from_shared: Vec<DropLocation>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Packet {
    #[default]
    Single,
    /// Its share of these datagrams in these packets.
    Mean(u64, u64),
    /// Its share of the missing datagrams, which left in this many packets and stay whole.
    Whole(u64),
}

impl LossAttribution {
    pub(super) fn new(
        tx: &TxTally,
        rx: &RxTally,
        datagrams: u64,
        taken_whole: bool,
        kernels: &Kernels,
    ) -> Self {
        let ends = kernels.ends;
        let (packet, at_socket) = match (ends, taken_whole) {
            // Replies are packed differently from requests, and a server splits super-packets.
            _ if kernels.server.is_some() => {
                (Packet::Mean(tx.sent, tx.packets), Packet::Mean(rx.arrived, rx.packets))
            }
            // The sender's device splits, the receiver's joins: neither's packets are the other's.
            (Topology::Remote, true) => (Packet::Single, Packet::Mean(rx.arrived, rx.packets)),
            (Topology::Remote, false) => (Packet::Single, Packet::Single),
            (_, true) => {
                let whole = Packet::Whole(tx.packets.saturating_sub(rx.packets));
                (whole, whole)
            }
            (_, false) => (Packet::Mean(tx.sent, tx.packets), Packet::Single),
        };
        Self {
            datagrams,
            lost: datagrams,
            packet,
            at_socket,
            joined: ends == Topology::Remote && taken_whole && rx.arrived != rx.packets,
            left_joined: tx.packets != tx.sent,
            ..Self::default()
        }
    }

    /// Charges this number of packets with what they held. If packets stay whole, all missing ones
    /// hold all that is missing, and some of them their share; otherwise each counts as the mean
    /// packet. Exact if all packets have one length, as flat out, except for the last.
    pub(super) fn charge(&mut self, location: DropLocation, packets: u64) -> u64 {
        let (held, beyond, uneven) = match &mut self.packet {
            Packet::Single => (packets, packets > self.datagrams, false),
            Packet::Mean(datagrams, of) => {
                let held = scale(packets, *datagrams, *of);
                // One packet more is how far a mean may be off.
                let exceeds = |longest| held.saturating_sub(self.datagrams) >= longest;
                let beyond = *of > 0 && exceeds(datagrams.div_ceil(*of));
                (held, beyond, *of > 0 && !datagrams.is_multiple_of(*of))
            }
            Packet::Whole(missing) => {
                let (all, uneven) = (packets >= *missing, !self.datagrams.is_multiple_of(*missing));
                let held = match packets {
                    0 => 0,
                    _ if all => self.datagrams,
                    _ => scale(self.datagrams, packets, *missing),
                };
                // More packets than were missing include other traffic.
                let beyond = packets > *missing;
                *missing = missing.saturating_sub(packets);
                (held, beyond, !all && uneven)
            }
        };
        let charged = self.charge_shared(location, held, beyond);
        self.estimate(location, charged, uneven)
    }

    /// The same at the sender, where packets may be split by then, or counted `twice`.
    pub(super) fn charge_leaving(
        &mut self,
        location: DropLocation,
        packets: u64,
        twice: u64,
    ) -> u64 {
        let (before, overfull) = (self.datagrams, self.overfull);
        let charged = self.charge(location, packets);
        if twice > 0 && packets.saturating_sub(twice) <= before {
            self.overfull = overfull;
        }
        let unsure = self.packet == Packet::Single && self.left_joined;
        self.estimate(location, charged, unsure && self.datagrams > 0)
    }

    /// Charges datagrams counted by a queue, which counts those of a super-packet one by one.
    pub(super) fn charge_cut(&mut self, location: DropLocation, datagrams: u64) -> u64 {
        let charged = self.charge_shared(location, datagrams, datagrams > self.datagrams);
        self.estimate(location, charged, self.left_joined && self.datagrams > 0)
    }

    pub(super) fn charge_at_socket(&mut self, drops: u64) -> u64 {
        let location = DropLocation::ReceiveBuffer;
        match self.at_socket {
            Packet::Whole(_) => {
                let charged = self.charge(location, drops);
                // Drops at the receivers' sockets beyond the loss say nothing about other counters.
                (self.overfull, self.from_shared) = (false, Vec::new());
                charged
            }
            Packet::Mean(datagrams, of) => {
                let drops = if of > 0 { scale(drops, datagrams, of) } else { drops };
                let charged = self.charge_datagrams(drops);
                self.estimate(location, charged, datagrams != of || of == 0)
            }
            Packet::Single => self.charge_datagrams(drops),
        }
    }

    /// Charges drops at receive buffers of others, the server's among them: each as one datagram,
    /// although a super-packet that was dropped whole held more.
    pub(super) fn charge_at_server(&mut self, drops: u64) -> u64 {
        let location = DropLocation::ReceiveBuffer;
        let charged = self.charge_datagrams(drops);
        if charged > 0 {
            self.shared.push(location);
        }
        self.estimate(location, charged, self.left_joined)
    }

    /// Charges failed reassembly; fragments dropped for lack of room count one by one.
    pub(super) fn charge_reassembly(&mut self, ip: &IpCounters) -> u64 {
        let location = DropLocation::Reassembly;
        let beyond = ip.reassembly_no_room == 0 && ip.reassembly > self.lost;
        let charged = self.charge_shared(location, ip.reassembly, beyond);
        self.estimate(location, charged, ip.reassembly_no_room > 0)
    }

    /// Charges datagrams from a shared counter; `beyond`: it counted more than was lost.
    fn charge_shared(&mut self, location: DropLocation, datagrams: u64, beyond: bool) -> u64 {
        let charged = self.charge_datagrams(datagrams);
        if charged > 0 {
            self.from_shared.push(location);
        }
        self.overfull |= beyond;
        charged
    }

    pub(super) fn charge_datagrams(&mut self, count: u64) -> u64 {
        let charged = count.min(self.datagrams);
        self.datagrams -= charged;
        charged
    }

    pub(super) fn estimated(&self) -> Vec<String> {
        words(&self.estimated)
    }

    /// Names of the locations whose counts may include other traffic. Without udperf at the other
    /// end, all counters of the namespace include the server's.
    pub(super) fn shared(mut self, has_server: bool) -> Vec<String> {
        if self.overfull || has_server {
            self.shared.append(&mut self.from_shared);
        }
        words(&self.shared)
    }

    pub(super) fn estimate(&mut self, location: DropLocation, charged: u64, is_one: bool) -> u64 {
        if is_one && charged > 0 {
            self.estimated.push(location);
        }
        charged
    }
}

fn words(locations: &[DropLocation]) -> Vec<String> {
    let all = DropLocation::ALL.iter().filter(|location| locations.contains(location));
    all.map(|location| location.word().to_owned()).collect()
}

/// `value` × `part` / `whole`, rounded up; 0 if `whole` is 0.
pub(super) fn scale(value: u64, part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 0;
    }
    let scaled = (u128::from(value) * u128::from(part)).div_ceil(u128::from(whole));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
