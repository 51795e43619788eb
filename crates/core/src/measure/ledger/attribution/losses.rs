//! The losses not yet explained, and how one counter is charged with a part of them.

use crate::measure::IpCounters;
use crate::measure::counters::{RxTally, TxTally};
use crate::measure::ledger::{DropCounters, DropLocation, Kernels, Topology};

/// Datagrams that are missing, and how the kernel would count them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LossAttribution {
    pub(super) datagrams: u64,
    /// All missing datagrams, before any were charged.
    lost: u64,
    /// Charged locations whose figure is reckoned from packets that held several, not counted.
    pub(super) estimated: DropCounters,
    /// Charged locations whose counters others have, where those counted more than was missing.
    pub(super) shared: DropCounters,
    /// The datagrams of a dropped packet.
    packet: Packet,
    /// The datagrams of a drop at the receiving socket.
    at_socket: Packet,
    /// Whether packets of several datagrams pass the receiver's backlog on another host.
    pub(super) joined: bool,
    /// Whether packets of several datagrams left.
    pub(super) left_joined: bool,
    /// Whether counters that others have counted more than was missing.
    overfull: bool,
    /// Locations charged from such counters.
    from_shared: DropCounters,
}

/// The datagrams in a dropped packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Packet {
    #[default]
    Single,
    /// Its share of so many datagrams that were in so many packets.
    Mean(u64, u64),
    /// Its share of what is missing, which left in this many packets and stays whole.
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
            // Replies are packed differently from requests, and a server cuts super-packets.
            _ if kernels.server.is_some() => {
                (Packet::Mean(tx.sent, tx.packets), Packet::Mean(rx.arrived, rx.packets))
            }
            // The sender's device cuts, the receiver's joins: neither's packets are the other's.
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
        let held = match &mut self.packet {
            Packet::Single => packets,
            Packet::Mean(datagrams, of) => scale(packets, *datagrams, *of),
            Packet::Whole(missing) => {
                let (all, uneven) = (packets >= *missing, !self.datagrams.is_multiple_of(*missing));
                let held = match packets {
                    0 => 0,
                    _ if all => self.datagrams,
                    _ => scale(self.datagrams, packets, *missing),
                };
                // More than all are more than ours.
                let beyond = packets.saturating_sub(*missing);
                *missing = missing.saturating_sub(packets);
                let charged = self.charge_shared(location, held, beyond > 0);
                self.mark_estimate(location, !all && uneven && charged > 0);
                return charged;
            }
        };
        let (longest, uneven) = match self.packet {
            Packet::Mean(datagrams, of) if of > 0 => {
                (datagrams.div_ceil(of), !datagrams.is_multiple_of(of))
            }
            _ => (1, false),
        };
        // One packet more is how far a mean may be off.
        let beyond = held.saturating_sub(self.datagrams) >= longest;
        let charged = self.charge_shared(location, held, beyond);
        self.mark_estimate(location, uneven && charged > 0);
        charged
    }

    /// The same at the sender, where packets may be cut by then, or counted `twice`.
    pub(super) fn charge_leaving(
        &mut self,
        location: DropLocation,
        packets: u64,
        twice: u64,
    ) -> u64 {
        let (room, overfull) = (self.datagrams, self.overfull);
        let charged = self.charge(location, packets);
        if twice > 0 && packets.saturating_sub(twice) <= room {
            self.overfull = overfull;
        }
        let unsure = self.packet == Packet::Single && self.left_joined;
        self.mark_estimate(location, unsure && charged > 0 && self.datagrams > 0);
        charged
    }

    /// Charges so many datagrams that a queue counted, one by one where it cut what it dropped.
    pub(super) fn charge_cut(&mut self, location: DropLocation, datagrams: u64) -> u64 {
        let charged = self.charge_shared(location, datagrams, datagrams > self.datagrams);
        self.mark_estimate(location, self.left_joined && charged > 0 && self.datagrams > 0);
        charged
    }

    /// Charges drops at the receiving socket, whose counter is not shared.
    pub(super) fn charge_at_socket(&mut self, drops: u64) -> u64 {
        let location = DropLocation::ReceiveBuffer;
        match self.at_socket {
            Packet::Whole(_) => {
                let charged = self.charge(location, drops);
                // Drops at our sockets beyond the loss say nothing about other counters.
                (self.overfull, self.from_shared) = (false, DropCounters::default());
                charged
            }
            Packet::Mean(datagrams, of) => {
                let drops = if of > 0 { scale(drops, datagrams, of) } else { drops };
                let charged = self.charge_datagrams(drops);
                self.mark_estimate(location, charged > 0 && (datagrams != of || of == 0));
                charged
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
            self.shared.add(location);
        }
        self.mark_estimate(location, self.left_joined && charged > 0);
        charged
    }

    /// Charges failed reassembly; fragments dropped for lack of room count one by one.
    pub(super) fn charge_reassembly(&mut self, ip: &IpCounters) -> u64 {
        let location = DropLocation::Reassembly;
        let beyond = ip.reassembly_no_room == 0 && ip.reassembly > self.lost;
        let charged = self.charge_shared(location, ip.reassembly, beyond);
        self.mark_estimate(location, ip.reassembly_no_room > 0 && charged > 0);
        charged
    }

    /// Charges datagrams from a shared counter; `beyond`: it counted more than can be ours.
    fn charge_shared(&mut self, location: DropLocation, datagrams: u64, beyond: bool) -> u64 {
        let charged = self.charge_datagrams(datagrams);
        if charged > 0 {
            self.from_shared.add(location);
        }
        self.overfull |= beyond;
        charged
    }

    pub(super) fn charge_datagrams(&mut self, count: u64) -> u64 {
        let charged = count.min(self.datagrams);
        self.datagrams -= charged;
        charged
    }

    /// Marks what was charged from shared counters if these include other datagrams.
    pub(super) fn mark_shared(&mut self, has_server: bool) {
        // If the server is not udperf, these counters include it among others.
        if self.overfull || has_server {
            self.shared.add_all(self.from_shared);
        }
    }

    pub(super) fn mark_estimate(&mut self, location: DropLocation, is_one: bool) {
        if is_one {
            self.estimated.add(location);
        }
    }
}

/// `value` × `part` / `whole`, rounded up; 0 of nothing.
pub(super) fn scale(value: u64, part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 0;
    }
    let scaled = (u128::from(value) * u128::from(part)).div_ceil(u128::from(whole));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
