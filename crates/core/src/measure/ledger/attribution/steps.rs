//! The steps of loss attribution, in the order in which they are applied.

use super::losses::{LossAttribution, scale};
use crate::measure::counters::{SendErrorCounts, TxTally};
use crate::measure::ledger::{DropLocation, Kernels, Topology};
use crate::measure::{KernelDelta, UdpCounters};

/// Charges the losses that one kernel counter explains; `None`: there is no such counter.
type Rule = fn(&mut LossAttribution, &Evidence<'_>) -> Option<u64>;

/// Explains a part of the losses: name, location (several steps may have the same), and rule.
pub(super) struct AttributionStep(
    #[cfg_attr(not(test), expect(dead_code, reason = "tests find steps by it"))]
    pub(super)  &'static str,
    pub(super) DropLocation,
    pub(super) Rule,
);

/// All steps. The receiver's own sockets come first, as their counters are not shared; then
/// the receiver's host, from the socket outwards; then the sender's, which explains only what the
/// receiver's does not. Counters that include others' packets or earlier drops come last.
pub(super) const STEPS: &[AttributionStep] = &[
    AttributionStep("own sockets", DropLocation::ReceiveBuffer, own_sockets),
    AttributionStep("server's sockets", DropLocation::ReceiveBuffer, server_sockets),
    AttributionStep("checksum at own sockets", DropLocation::Checksum, checksum_at_own_sockets),
    AttributionStep("no port", DropLocation::NoPort, no_port),
    AttributionStep("checksum", DropLocation::Checksum, checksum),
    AttributionStep("backlog", DropLocation::Backlog, backlog),
    AttributionStep("device", DropLocation::Device, device),
    AttributionStep("sender's backlog", DropLocation::Backlog, tx_backlog),
    AttributionStep("qdisc", DropLocation::Qdisc, qdisc),
    AttributionStep("sender's device", DropLocation::TxDevice, tx_device),
    AttributionStep("sender's IP layer", DropLocation::TxIp, tx_ip),
    AttributionStep("receiver's IP layer", DropLocation::RxIp, rx_ip),
    AttributionStep("reassembly", DropLocation::Reassembly, reassembly),
    AttributionStep("neighbour", DropLocation::Neighbour, neighbour),
];

/// All counters, and the parts that are counted more than once.
pub(super) struct Evidence<'a> {
    tx: &'a TxTally,
    kernels: &'a Kernels,
    rx_kernel: &'a KernelDelta,
    tx_kernel: &'a KernelDelta,
    /// Drops at backlogs of the receiver's host, and of the sender's where that is another.
    backlogs: (Option<u64>, Option<u64>),
    /// Drops at our sockets for a wrong checksum, which their own counter includes.
    bad: u64,
    /// Sends refused for lack of room: never sent, but counted by the queue that refused them.
    refused: u64,
    /// Those of them that no queue counted.
    beside_queue: u64,
    /// Those of them that a veth refused because its peer dropped them (kernel 6.7); the peer
    /// counts them at its own end as well.
    by_peer: u64,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(tx: &'a TxTally, kernels: &'a Kernels) -> Self {
        let (rx_kernel, tx_kernel) = (&kernels.rx, kernels.at_senders());
        let bad =
            rx_kernel.udp.zip(rx_kernel.sockets).map_or(0, |(udp, all)| bad_at_sockets(all, udp));
        let refused = tx.refused.no_buffers.saturating_add(tx.untold);
        let beside_queue = refused.saturating_sub(tx_kernel.qdisc.unwrap_or(0));
        let by_peer = match tx_kernel.tx_device {
            Some(drops) if kernels.ends != Topology::Remote => drops.min(beside_queue),
            _ => 0,
        };
        let backlogs = kernels.backlogs();
        Self { tx, kernels, rx_kernel, tx_kernel, backlogs, bad, refused, beside_queue, by_peer }
    }
}

/// Drops at our receiving sockets (`sk_drops` in `SO_MEMINFO`), without wrong checksums. Exact.
fn own_sockets(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    evidence.rx_kernel.sockets.map(|drops| losses.charge_at_socket(drops - evidence.bad))
}

/// Drops at the sockets of a server that is not udperf (`RcvbufErrors`, `/proc/net/snmp`).
fn server_sockets(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let drops = evidence.kernels.server?.receive_buffer?;
    Some(losses.charge_at_server(drops))
}

/// Wrong checksums at our sockets: in their own counter and in `InCsumErrors`. Exact.
fn checksum_at_own_sockets(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    evidence.rx_kernel.udp.map(|_| losses.charge_datagrams(evidence.bad))
}

/// Datagrams to a port that is not bound (`NoPorts`, `/proc/net/snmp`).
fn no_port(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let udp = evidence.rx_kernel.udp?;
    Some(losses.charge(DropLocation::NoPort, udp.no_ports))
}

/// Other wrong checksums (`InCsumErrors`, `/proc/net/snmp`).
fn checksum(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let udp = evidence.rx_kernel.udp?;
    Some(losses.charge(DropLocation::Checksum, udp.in_csum_errors - evidence.bad))
}

/// Full backlogs of the receiver's host (`/proc/net/softnet_stat`, `enqueue_to_backlog`), without
/// packets whose send was refused.
fn backlog(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let drops = evidence.backlogs.0?.saturating_sub(evidence.by_peer);
    let charged = losses.charge(DropLocation::Backlog, drops);
    losses.mark_estimate(DropLocation::Backlog, losses.joined && charged > 0);
    Some(charged)
}

/// Drops at the receiver's interfaces (`rx_dropped`, `/proc/net/dev`), without what a full backlog
/// dropped: the interface that it came by counts that again.
fn device(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let again = evidence.backlogs.0.unwrap_or(0).max(evidence.by_peer);
    let drops = evidence.rx_kernel.device?.saturating_sub(again);
    Some(losses.charge(DropLocation::Device, drops))
}

/// Full backlogs of the sender's host, if that is another (`/proc/net/softnet_stat`).
fn tx_backlog(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let drops = evidence.backlogs.1?;
    Some(losses.charge_leaving(DropLocation::Backlog, drops, 0))
}

/// Silent drops at the sender's queueing disciplines (`gnet_stats_queue`, rtnetlink(7)), without
/// the refused. One that cuts super-packets counts their datagrams one by one. Without a counter,
/// all drops are refusals, unless super-packets are cut.
fn qdisc(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let unknown = evidence.tx_kernel.udp.filter(|_| !losses.left_joined).map(|_| 0);
    let drops = evidence.tx_kernel.qdisc.map(|drops| drops.saturating_sub(evidence.refused));
    drops.map(|drops| losses.charge_cut(DropLocation::Qdisc, drops)).or(unknown)
}

/// Drops at the sender's interfaces (`tx_dropped`, `/proc/net/dev`), without the refused and
/// without what a backlog of the same host dropped, which a veth(4) counts as its own. Drops of a
/// veth's peer are counted twice as well, but by no other device.
fn tx_device(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let is_remote = evidence.kernels.ends == Topology::Remote;
    let (shared, own) = evidence.backlogs;
    let again = if is_remote { own } else { shared }.unwrap_or(0);
    let again = again.saturating_add(evidence.beside_queue);
    let drops = evidence.tx_kernel.tx_device?.saturating_sub(again);
    let twice = if is_remote { 0 } else { evidence.rx_kernel.device.unwrap_or(0) };
    Some(losses.charge_leaving(DropLocation::TxDevice, drops, twice))
}

/// Silent discards of the sender's IP layer (`OutDiscards`, `FragFails`, `OutNoRoutes`).
fn tx_ip(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let drops = silent_discards(evidence.tx, evidence.tx_kernel)?;
    Some(losses.charge_leaving(DropLocation::TxIp, drops, 0))
}

/// Discards of the receiver's IP layer (`/proc/net/snmp`). They include others' packets, such as
/// of multicast, so all locations on the way come first.
fn rx_ip(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let ip = evidence.rx_kernel.ip?;
    Some(losses.charge(DropLocation::RxIp, ip.in_discards))
}

/// Failed reassembly (`ReasmFails`, `/proc/net/snmp`). The missing fragments may have been dropped
/// and counted at any location above.
fn reassembly(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    evidence.rx_kernel.ip.map(|ip| losses.charge_reassembly(&ip))
}

/// Datagrams accepted but not sent by the device while the next hop did not answer address
/// resolution (neighbour state, rtnetlink(7)). The kernel does not count them.
fn neighbour(losses: &mut LossAttribution, evidence: &Evidence<'_>) -> Option<u64> {
    let (tx, sender) = (evidence.tx, evidence.tx_kernel);
    if !sender.neighbour_unresolved? {
        return Some(0);
    }
    let unsent = sender.device_sent.map_or(tx.packets, |sent| tx.packets.saturating_sub(sent));
    let charged = losses.charge_datagrams(scale(unsent, tx.sent, tx.packets));
    losses.mark_estimate(DropLocation::Neighbour, charged > 0);
    Some(charged)
}

/// Drops at our sockets for a wrong checksum, which their counter includes. Drops at full buffers
/// explain ours first, so that checksum errors of others take nothing from them.
fn bad_at_sockets(drops: u64, udp: UdpCounters) -> u64 {
    udp.in_csum_errors.min(drops.saturating_sub(udp.rcvbuf_errors))
}

/// Discards of the sender's IP layer without refused sends, which it counts as well: no route, no
/// room, or a firewall. `SndbufErrors` counts refusals that a batch call did not report.
fn silent_discards(tx: &TxTally, sender: &KernelDelta) -> Option<u64> {
    let ip = sender.ip?;
    let SendErrorCounts { would_block, no_buffers, unreachable, too_big, other } = tx.refused;
    let ours = would_block.saturating_add(no_buffers);
    let room = sender.udp.map_or(0, |udp| udp.sndbuf_errors).max(ours);
    let refused =
        [unreachable, too_big, other].into_iter().fold(room, |sum, one| sum.saturating_add(one));
    // A packet that cannot be fragmented counts as discarded, too.
    let discards = ip.out_discards.max(ip.frag_fails).saturating_add(ip.out_no_routes);
    Some(discards.saturating_sub(refused))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::counters::RxTally;
    use crate::measure::ledger::Server;
    use crate::measure::{IpCounters, LedgerCounts};

    /// What each step charges of 100 lost datagrams if only its counter is known.
    #[test]
    fn each_step_explains_its_location() {
        let udp = |no_ports, in_csum_errors| {
            Some(UdpCounters { no_ports, in_csum_errors, ..UdpCounters::default() })
        };
        let ip = |of: fn(&mut IpCounters) -> &mut u64| {
            let mut ip = IpCounters::default();
            *of(&mut ip) = 7;
            Some(ip)
        };
        let none = KernelDelta::default();
        let seven = Some(7);
        let server = Some(Server { receive_buffer: seven });
        for &AttributionStep(name, location, rule) in STEPS {
            let (mut rx, mut tx, mut server_drops) = (none, none, None);
            match name {
                "own sockets" => rx.sockets = seven,
                "server's sockets" => server_drops = server,
                "checksum at own sockets" => (rx.sockets, rx.udp) = (seven, udp(0, 7)),
                "no port" => rx.udp = udp(7, 0),
                "checksum" => rx.udp = udp(0, 7),
                "backlog" => rx.backlog = seven,
                "device" => rx.device = seven,
                "sender's backlog" => tx.backlog = seven,
                "qdisc" => tx.qdisc = seven,
                "sender's device" => tx.tx_device = seven,
                "sender's IP layer" => tx.ip = ip(|ip| &mut ip.out_discards),
                "receiver's IP layer" => rx.ip = ip(|ip| &mut ip.in_discards),
                "reassembly" => rx.ip = ip(|ip| &mut ip.reassembly),
                "neighbour" => (tx.neighbour_unresolved, tx.device_sent) = (Some(true), Some(93)),
                unknown => panic!("no counter for the step {unknown}"),
            }
            let kernels =
                Kernels { rx, tx: Some(tx), ends: Topology::Remote, server: server_drops };
            let sent = TxTally { sent: 100, packets: 100, ..TxTally::default() };
            let received = RxTally::default();
            let mut losses = LossAttribution::new(&sent, &received, 100, false, &kernels);
            let charged = rule(&mut losses, &Evidence::new(&sent, &kernels));
            assert_eq!((charged, losses.datagrams), (seven, 93), "{name}");
            let ledger = LedgerCounts::attribute_losses(&sent, &received, &kernels, false);
            let mut at = ledger.lost_at;
            assert_eq!(*at.at_mut(location), seven, "{name}");
            assert_eq!(ledger.unaccounted, 93, "{name}");
        }
    }
}
