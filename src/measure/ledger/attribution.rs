//! Charging what is missing to those who counted drops.

use super::{DropCounters, DropCounts, DropLocation, Kernels, LedgerCounts, Topology};

use crate::measure::counters::{RxTally, SendErrorCounts, TxTally};
use crate::measure::{IpCounters, KernelDelta, UdpCounters};

/// Datagrams that are missing, and how the kernel would count them.
#[derive(Debug, Clone, Copy)]
pub(super) struct LossAttribution {
    pub(super) datagrams: u64,
    /// All missing datagrams, before any were charged.
    lost: u64,
    /// Charged places whose figure is reckoned from packets that held several, not counted.
    pub(super) estimated: DropCounters,
    /// Charged places whose counters others have, where those counted more than was missing.
    pub(super) shared: DropCounters,
    /// How a drop that hits a packet is to be counted.
    packet: Packet,
    /// What one drop at the receiving socket is.
    at_socket: Packet,
    /// Whether packets of several datagrams pass the receiver's backlog on another host.
    joined: bool,
    /// Whether packets of several datagrams left.
    left_joined: bool,
    /// Whether counters that others have counted more than was missing.
    overfull: bool,
    /// Places charged from such counters.
    from_shared: DropCounters,
}

impl LedgerCounts {
    /// Settles what both ends counted with what their kernels counted. A place is charged with no
    /// more than is still missing, nearest to the receiver first: the socket's own counter is
    /// exact, those of the namespace may include others' datagrams.
    ///
    /// The kernel counts a super-packet as one wherever it drops it before it is cut;
    /// `taken_whole`: also at the receiving socket, which then gets it whole.
    #[must_use]
    pub fn attribute_losses(
        tx: &TxTally,
        rx: &RxTally,
        kernels: &Kernels,
        taken_whole: bool,
    ) -> Self {
        let lost = tx.sent.saturating_sub(rx.received);
        let mut missing = LossAttribution::of(tx, rx, lost, taken_whole, kernels);
        let lost_at = missing.places(tx, kernels);
        Self {
            attempted: tx.sent.saturating_add(tx.refused.total()),
            sent: tx.sent,
            refused: tx.refused,
            received: rx.received,
            lost,
            lost_at,
            unaccounted: missing.datagrams,
            estimated: missing.estimated,
            shared: missing.shared,
            arrived: rx.arrived,
            duplicate: rx.duplicate,
            late: rx.late,
            reordered: rx.reordered,
            foreign: rx.foreign,
            corrupt: rx.corrupt,
        }
    }
}

/// What a dropped packet held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packet {
    /// One datagram.
    Single,
    /// Its share of so many datagrams that were in so many packets.
    Mean(u64, u64),
    /// Its share of what is missing, which left in so many packets: they stay whole up to the
    /// receiver.
    Whole(u64),
}

impl LossAttribution {
    pub(super) fn of(
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
            estimated: DropCounters::default(),
            shared: DropCounters::default(),
            packet,
            at_socket,
            joined: ends == Topology::Remote && taken_whole && rx.arrived != rx.packets,
            left_joined: tx.packets != tx.sent,
            overfull: false,
            from_shared: DropCounters::default(),
        }
    }

    /// Charges every place in turn.
    pub(super) fn places(&mut self, tx: &TxTally, kernels: &Kernels) -> DropCounts {
        let (kernel, sender, udp) = (&kernels.rx, kernels.at_senders(), kernels.rx.udp);
        let bad = udp.zip(kernel.sockets).map_or(0, |(udp, drops)| bad_at_sockets(drops, udp));
        let at_sockets = kernel.sockets.map(|drops| self.charge_at_socket(drops - bad));
        let at_server = kernels.server.and_then(|server| server.receive_buffer);
        let at_server = at_server.map(|drops| self.charge_at_server(drops));
        let receive_buffer = sum(at_sockets, at_server);
        let bad_here = self.charge_datagrams(bad);
        let no_port = udp.map(|udp| self.charge(DropLocation::NoPort, udp.no_ports));
        let checksum = udp.map(|udp| {
            bad_here.saturating_add(self.charge(DropLocation::Checksum, udp.in_csum_errors - bad))
        });
        // Refused sends were never sent, and the queue that refused them counted them.
        let refused = tx.refused.no_buffers.saturating_add(tx.untold);
        let beside_queue = refused.saturating_sub(sender.qdisc.unwrap_or(0));
        // A veth refuses what its peer drops (kernel 6.7), which counts that at its own end, too.
        let by_peer = match sender.tx_device {
            Some(drops) if kernels.ends != Topology::Remote => drops.min(beside_queue),
            _ => 0,
        };
        let (backlog_drops, tx_backlog_drops) = kernels.backlogs();
        let backlog = backlog_drops.map(|drops| drops.saturating_sub(by_peer));
        let backlog = backlog.map(|drops| self.charge(DropLocation::Backlog, drops));
        self.mark_estimate(DropLocation::Backlog, self.joined && backlog > Some(0));
        // What a full backlog drops, the interface it came by counts again.
        let again = backlog_drops.unwrap_or(0).max(by_peer);
        let device = kernel.device.map(|drops| drops.saturating_sub(again));
        let device = device.map(|drops| self.charge(DropLocation::Device, drops));
        // The sender's host comes last: whatever the receiver's explains is explained.
        let tx_backlog =
            tx_backlog_drops.map(|drops| self.charge_leaving(DropLocation::Backlog, drops, 0));
        let drops = sender.qdisc.map(|drops| drops.saturating_sub(refused));
        // Without a counter, what is refused is all there is, unless super-packets are cut.
        let unknown = sender.udp.filter(|_| !self.left_joined).map(|_| 0);
        // One that cuts super-packets counts what it dropped of them one by one.
        let qdisc = drops.map(|drops| self.charge_cut(DropLocation::Qdisc, drops)).or(unknown);
        // A veth counts as its own what its peer's backlog dropped, which is on its own host.
        let again = again_at_sender(kernels);
        let drops =
            sender.tx_device.map(|drops| drops.saturating_sub(again.saturating_add(beside_queue)));
        // And what its peer itself dropped, which other devices do not count.
        let twice = if kernels.ends == Topology::Remote { 0 } else { kernel.device.unwrap_or(0) };
        let tx_device =
            drops.map(|drops| self.charge_leaving(DropLocation::TxDevice, drops, twice));
        let backlog = sum(backlog, tx_backlog);
        let tx_ip = silent_discards(tx, sender)
            .map(|drops| self.charge_leaving(DropLocation::TxIp, drops, 0));
        // Packets of others, such as of multicast, are discarded there, too: the way comes first.
        let rx_ip = kernel.ip.map(|ip| self.charge(DropLocation::RxIp, ip.in_discards));
        // Its fragments may have been dropped at any of the places above, which counted them.
        let reassembly = kernel.ip.map(|ip| self.charge_reassembly(&ip));
        let neighbour = self.charge_neighbour(tx, sender);
        // If the server is not udperf, these counters include it among others.
        if self.overfull || kernels.server.is_some() {
            self.shared.add_all(self.from_shared);
        }
        DropCounts {
            receive_buffer,
            backlog,
            device,
            qdisc,
            tx_device,
            checksum,
            no_port,
            rx_ip,
            reassembly,
            tx_ip,
            neighbour,
        }
    }

    /// Charges so many packets with what they held. Where packets stay whole, all that are missing
    /// hold all that is missing, and some of them their share; otherwise each counts as many
    /// datagrams as the mean packet. Either is exact where all packets of a cell are of one
    /// length, and that is every flat-out one but for its last.
    fn charge(&mut self, place: DropLocation, packets: u64) -> u64 {
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
                let charged = self.charge_shared(place, held, beyond > 0);
                self.mark_estimate(place, !all && uneven && charged > 0);
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
        let charged = self.charge_shared(place, held, beyond);
        self.mark_estimate(place, uneven && charged > 0);
        charged
    }

    /// The same at the sender's end, of which so many may have been counted `twice`; on another
    /// host, which of its packets were cut by then is not known.
    fn charge_leaving(&mut self, place: DropLocation, packets: u64, twice: u64) -> u64 {
        let (room, overfull) = (self.datagrams, self.overfull);
        let charged = self.charge(place, packets);
        if twice > 0 && packets.saturating_sub(twice) <= room {
            self.overfull = overfull;
        }
        let unsure = self.packet == Packet::Single && self.left_joined;
        self.mark_estimate(place, unsure && charged > 0 && self.datagrams > 0);
        charged
    }

    /// Charges so many datagrams that a queue counted, one by one where it cut what it dropped.
    fn charge_cut(&mut self, place: DropLocation, datagrams: u64) -> u64 {
        let charged = self.charge_shared(place, datagrams, datagrams > self.datagrams);
        self.mark_estimate(place, self.left_joined && charged > 0 && self.datagrams > 0);
        charged
    }

    /// Charges so many drops at the receiving socket, whose counter nobody else has.
    fn charge_at_socket(&mut self, drops: u64) -> u64 {
        let place = DropLocation::ReceiveBuffer;
        match self.at_socket {
            Packet::Whole(_) => {
                let charged = self.charge(place, drops);
                // What our sockets dropped beyond what we lost says nothing of other counters.
                (self.overfull, self.from_shared) = (false, DropCounters::default());
                charged
            }
            Packet::Mean(datagrams, of) => {
                let drops = if of > 0 { scale(drops, datagrams, of) } else { drops };
                let charged = self.charge_datagrams(drops);
                self.mark_estimate(place, charged > 0 && (datagrams != of || of == 0));
                charged
            }
            Packet::Single => self.charge_datagrams(drops),
        }
    }

    /// Charges this number of drops at receive buffers of other sockets: the server's or others'. A
    /// super-packet dropped whole is counted as one: each drop is taken for one datagram, and there
    /// may have been more.
    fn charge_at_server(&mut self, drops: u64) -> u64 {
        let place = DropLocation::ReceiveBuffer;
        let charged = self.charge_datagrams(drops);
        if charged > 0 {
            self.shared.add(place);
        }
        self.mark_estimate(place, self.left_joined && charged > 0);
        charged
    }

    /// Charges datagrams whose reassembly failed. Fragments dropped for lack of room are counted
    /// one by one, several per datagram.
    fn charge_reassembly(&mut self, ip: &IpCounters) -> u64 {
        let place = DropLocation::Reassembly;
        let beyond = ip.reassembly_no_room == 0 && ip.reassembly > self.lost;
        let charged = self.charge_shared(place, ip.reassembly, beyond);
        self.mark_estimate(place, ip.reassembly_no_room > 0 && charged > 0);
        charged
    }

    /// Charges datagrams that the unresolved next hop kept from leaving, if no other place explains
    /// them: those accepted and not sent by the device. The kernel does not count them.
    fn charge_neighbour(&mut self, tx: &TxTally, sender: &KernelDelta) -> Option<u64> {
        if !sender.neighbour_unresolved? {
            return Some(0);
        }
        let place = DropLocation::Neighbour;
        let unsent = sender.device_sent.map_or(tx.packets, |sent| tx.packets.saturating_sub(sent));
        let charged = self.charge_datagrams(scale(unsent, tx.sent, tx.packets));
        self.mark_estimate(place, charged > 0);
        Some(charged)
    }

    /// Charges datagrams from a counter that others have, too; `beyond`: it counted more than can
    /// be ours.
    fn charge_shared(&mut self, place: DropLocation, datagrams: u64, beyond: bool) -> u64 {
        let charged = self.charge_datagrams(datagrams);
        if charged > 0 {
            self.from_shared.add(place);
        }
        self.overfull |= beyond;
        charged
    }

    /// Charges so many datagrams.
    fn charge_datagrams(&mut self, count: u64) -> u64 {
        let charged = count.min(self.datagrams);
        self.datagrams -= charged;
        charged
    }

    fn mark_estimate(&mut self, place: DropLocation, is_one: bool) {
        if is_one {
            self.estimated.add(place);
        }
    }
}

/// Of what our sockets dropped, what failed its checksum: their counter has both, and those of the
/// namespace have others' as well. What the namespace counts as dropped at full buffers explains
/// our drops first, so errors of others take nothing from them.
fn bad_at_sockets(drops: u64, udp: UdpCounters) -> u64 {
    udp.in_csum_errors.min(drops.saturating_sub(udp.rcvbuf_errors))
}

/// Discards of the sender's IP layer without the refused sends. A failed send is counted there,
/// too: without a route, without room in the socket's buffer or in a queue, or if a firewall
/// forbids it. `SndbufErrors` counts the refusals for lack of room that a batch call did not
/// report.
fn silent_discards(tx: &TxTally, sender: &KernelDelta) -> Option<u64> {
    let ip = sender.ip?;
    let SendErrorCounts { would_block, no_buffers, unreachable, too_big, other } = tx.refused;
    let ours = would_block.saturating_add(no_buffers);
    let room = sender.udp.map_or(0, |udp| udp.sndbuf_errors).max(ours);
    let refused =
        [unreachable, too_big, other].into_iter().fold(room, |sum, one| sum.saturating_add(one));
    // One that cannot be cut counts as discarded, too.
    let discards = ip.out_discards.max(ip.frag_fails).saturating_add(ip.out_no_routes);
    Some(discards.saturating_sub(refused))
}

/// Both together, where either is known.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    }
}

/// Drops at a full backlog of the sender's host, which the interface they left by counts again.
fn again_at_sender(kernels: &Kernels) -> u64 {
    let (shared, own) = kernels.backlogs();
    let drops = if kernels.ends == Topology::Remote { own } else { shared };
    drops.unwrap_or(0)
}

/// `value` × `part` / `whole`, rounded up; 0 of nothing.
fn scale(value: u64, part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 0;
    }
    let scaled = (u128::from(value) * u128::from(part)).div_ceil(u128::from(whole));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
