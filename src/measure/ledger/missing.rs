//! Charging what is missing to those who counted drops.

use super::{Kernels, LostAt};
use crate::measure::harvest::Ends;
use crate::measure::tally::{RxTally, TxTally};

/// Datagrams that are missing, and how the kernel would count them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing {
    pub(super) datagrams: u64,
    /// How a drop that hits a packet is to be counted.
    packet: Packet,
    /// What one drop at the receiving socket is.
    at_socket: Packet,
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

impl Missing {
    pub(super) fn of(
        tx: &TxTally,
        rx: &RxTally,
        datagrams: u64,
        taken_whole: bool,
        ends: Ends,
    ) -> Self {
        let (packet, at_socket) = match (ends, taken_whole) {
            // The sender's device cuts, the receiver's joins: neither's packets are the other's.
            (Ends::Across, true) => (Packet::Single, Packet::Mean(rx.arrived, rx.packets)),
            (Ends::Across, false) => (Packet::Single, Packet::Single),
            (_, true) => {
                let whole = Packet::Whole(tx.packets.saturating_sub(rx.packets));
                (whole, whole)
            }
            (_, false) => (Packet::Mean(tx.sent, tx.packets), Packet::Single),
        };
        Self { datagrams, packet, at_socket }
    }

    /// Charges every place in turn.
    pub(super) fn places(&mut self, tx: &TxTally, kernels: &Kernels) -> LostAt {
        let (kernel, sender) = (&kernels.rx, kernels.at_senders());
        let udp = kernel.udp;
        // A socket's drop counter also counts what failed its checksum.
        let csum_errors = udp.map_or(0, |udp| udp.in_csum_errors);
        let receive_buffer = kernel.sockets.map(|drops| {
            let drops = drops.saturating_sub(csum_errors);
            self.charge_at_socket(drops)
        });
        let mut charge = |count: Option<u64>| Some(self.charge(count?));
        let no_port = charge(udp.map(|udp| udp.no_ports));
        let checksum = charge(udp.map(|udp| udp.in_csum_errors));
        let (backlog_drops, tx_backlog_drops) = kernels.backlogs();
        let backlog = charge(backlog_drops);
        // What a full backlog drops, the interface it came by counts again.
        let again = backlog_drops.unwrap_or(0);
        let device = charge(kernel.device.map(|drops| drops.saturating_sub(again)));
        // The sender's host comes last: whatever the receiver's explains is explained.
        let tx_backlog = charge(tx_backlog_drops);
        // Refused sends were never sent, and the queue that refused them counted them.
        let refused = tx.refused.no_buffers;
        let drops = sender.qdisc.map(|drops| drops.saturating_sub(refused));
        // Without a counter, what is refused is all there is, unless super-packets are cut.
        let unknown = sender.udp.filter(|_| tx.packets == tx.sent).map(|_| 0);
        // One that cuts super-packets counts what it dropped of them one by one.
        let qdisc = drops.map(|drops| self.charge_datagrams(drops)).or(unknown);
        let refused = refused.saturating_sub(sender.qdisc.unwrap_or(0));
        // A veth counts as its own what its peer's backlog dropped, which is on its own host.
        let again = again_at_sender(kernels);
        let drops = sender.tx_device.map(|drops| drops.saturating_sub(again + refused));
        let tx_device = drops.map(|drops| self.charge(drops));
        let backlog = match (backlog, tx_backlog) {
            (Some(rx), Some(tx)) => Some(rx + tx),
            (rx, tx) => rx.or(tx),
        };
        LostAt { receive_buffer, backlog, device, qdisc, tx_device, checksum, no_port }
    }

    /// Charges so many packets with what they held. Where packets stay whole, all that are missing
    /// hold all that is missing, and some of them their share; otherwise each counts as many
    /// datagrams as the mean packet. Either is exact where all packets of a cell are of one
    /// length, and that is every flat-out one but for its last.
    fn charge(&mut self, packets: u64) -> u64 {
        let held = match &mut self.packet {
            Packet::Single => packets,
            Packet::Mean(datagrams, of) => scale(packets, *datagrams, *of),
            Packet::Whole(missing) => {
                let all = packets > 0 && packets >= *missing;
                let held =
                    if all { self.datagrams } else { scale(self.datagrams, packets, *missing) };
                *missing = missing.saturating_sub(packets);
                held
            }
        };
        self.charge_datagrams(held)
    }

    /// Charges so many drops at the receiving socket.
    fn charge_at_socket(&mut self, drops: u64) -> u64 {
        match self.at_socket {
            Packet::Whole(_) => self.charge(drops),
            Packet::Mean(datagrams, of) if of > 0 => {
                self.charge_datagrams(scale(drops, datagrams, of))
            }
            _ => self.charge_datagrams(drops),
        }
    }

    /// Charges so many datagrams.
    fn charge_datagrams(&mut self, count: u64) -> u64 {
        let charged = count.min(self.datagrams);
        self.datagrams -= charged;
        charged
    }
}

/// Drops at a full backlog of the sender's host, which the interface they left by counts again.
fn again_at_sender(kernels: &Kernels) -> u64 {
    let (shared, own) = kernels.backlogs();
    let drops = if kernels.ends == Ends::Across { own } else { shared };
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
