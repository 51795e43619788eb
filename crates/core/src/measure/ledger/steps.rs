//! The steps of loss attribution, in the order in which they are applied.

use super::losses::{LossAttribution, scale};
use crate::document::DropLocation::{
    self, Backlog, Checksum, Device, Neighbour, NoPort, Qdisc, Reassembly, ReceiveBuffer, RxIp,
    TxDevice, TxIp, XdpRing,
};
use crate::measure::{KernelDelta, Kernels, SendErrorCounts, Topology, TxTally};
use crate::unit::sum_counts;

/// Explains a part of the losses: name, location (several steps may have the same), and the rule
/// that charges what one kernel counter explains; `None`: there is no such counter.
pub(super) struct AttributionStep(
    #[cfg_attr(not(test), expect(dead_code, reason = "tests find steps by it"))]
    pub(super)  &'static str,
    pub(super) DropLocation,
    pub(super) fn(&mut LossAttribution, &Evidence<'_>) -> Option<u64>,
);

/// All steps. The receiver's own sockets come first, as their counters are not shared; then
/// the receiver's host, from the socket outwards; then the sender's, which explains only what the
/// receiver's does not. Counters that include others' packets or earlier drops come last.
pub(super) const STEPS: &[AttributionStep] = &[
    // Drops at the receivers' sockets (`sk_drops` in `SO_MEMINFO`), without wrong checksums. Exact.
    AttributionStep("own sockets", ReceiveBuffer, |losses, evidence| {
        evidence.rx.sockets.map(|drops| losses.charge_at_socket(drops - evidence.bad))
    }),
    // Drops at the receiver's rings of AF_XDP (`XDP_STATISTICS`), and at those between its threads.
    // Exact.
    AttributionStep("receiver's rings", XdpRing, |losses, evidence| {
        evidence.rx.rings.map(|drops| losses.charge_datagrams(drops))
    }),
    // Frames of the senders that the kernel did not take (`tx_invalid_descs`). Exact.
    AttributionStep("sender's rings", XdpRing, |losses, evidence| {
        evidence.kernels.tx?.rings.map(|drops| losses.charge_datagrams(drops))
    }),
    // Drops at the sockets of a server that is not udperf (`RcvbufErrors`, `/proc/net/snmp`).
    AttributionStep("server's sockets", ReceiveBuffer, |losses, evidence| {
        Some(losses.charge_at_server(evidence.kernels.server?.receive_buffer?))
    }),
    // Wrong checksums at the receivers' sockets: in their own counter and in `InCsumErrors`. Exact.
    AttributionStep("checksum at own sockets", Checksum, |losses, evidence| {
        evidence.rx.udp.map(|_| losses.charge_datagrams(evidence.bad))
    }),
    // Datagrams to a port that is not bound (`NoPorts`, `/proc/net/snmp`).
    AttributionStep("no port", NoPort, |losses, evidence| {
        Some(losses.charge(NoPort, evidence.rx.udp?.no_ports))
    }),
    // Other wrong checksums (`InCsumErrors`, `/proc/net/snmp`).
    AttributionStep("checksum", Checksum, |losses, evidence| {
        Some(losses.charge(Checksum, evidence.rx.udp?.in_csum_errors - evidence.bad))
    }),
    // Full backlogs of the receiver's host (`/proc/net/softnet_stat`, `enqueue_to_backlog`),
    // without packets whose send was refused.
    AttributionStep("backlog", Backlog, |losses, evidence| {
        let drops = evidence.backlogs.0?.saturating_sub(evidence.by_peer);
        let charged = losses.charge(Backlog, drops);
        Some(losses.estimate(Backlog, charged, losses.joined))
    }),
    // Drops at the receiver's interfaces (`rx_dropped`, `/proc/net/dev`), without what a full
    // backlog dropped: the interface that it came by counts that again.
    AttributionStep("device", Device, |losses, evidence| {
        let again = evidence.backlogs.0.unwrap_or(0).max(evidence.by_peer);
        Some(losses.charge(Device, evidence.rx.device?.saturating_sub(again)))
    }),
    // Full backlogs of the sender's host, if that is another (`/proc/net/softnet_stat`).
    AttributionStep("sender's backlog", Backlog, |losses, evidence| {
        Some(losses.charge_leaving(Backlog, evidence.backlogs.1?, 0))
    }),
    // Silent drops at the sender's queueing disciplines (`gnet_stats_queue`, rtnetlink(7)), such as
    // fq_codel's, without the refused. One that splits super-packets (tbf, cake) counts their
    // datagrams one by one. Without a counter, all drops are refusals (`IP_RECVERR` turns them into
    // ENOBUFS), unless super-packets are split.
    AttributionStep("qdisc", Qdisc, |losses, evidence| {
        let unknown = evidence.tx.udp.filter(|_| !losses.left_joined).map(|_| 0);
        let drops = evidence.tx.qdisc.map(|drops| drops.saturating_sub(evidence.refused));
        drops.map(|drops| losses.charge_cut(Qdisc, drops)).or(unknown)
    }),
    // Drops at the sender's interfaces (`tx_dropped`, `/proc/net/dev`), without the refused and
    // without what a backlog of the same host dropped, which a veth(4) counts as its own. Drops of
    // a veth's peer are counted twice as well, but by no other device.
    AttributionStep("sender's device", TxDevice, |losses, evidence| {
        let is_remote = evidence.kernels.ends == Topology::Remote;
        let (shared, own) = evidence.backlogs;
        let again = if is_remote { own } else { shared }.unwrap_or(0);
        let again = again.saturating_add(evidence.beside_queue);
        let drops = evidence.tx.tx_device?.saturating_sub(again);
        let twice = if is_remote { 0 } else { evidence.rx.device.unwrap_or(0) };
        Some(losses.charge_leaving(TxDevice, drops, twice))
    }),
    // Silent discards of the sender's IP layer (`OutDiscards`, `FragFails`, `OutNoRoutes`).
    AttributionStep("sender's IP layer", TxIp, |losses, evidence| {
        let drops = silent_discards(evidence.tally, evidence.tx)?;
        Some(losses.charge_leaving(TxIp, drops, 0))
    }),
    // Discards of the receiver's IP layer (`/proc/net/snmp`). They include others' packets, such as
    // of multicast, so all locations on the way come first.
    AttributionStep("receiver's IP layer", RxIp, |losses, evidence| {
        Some(losses.charge(RxIp, evidence.rx.ip?.in_discards))
    }),
    // Failed reassembly (`ReasmFails`, `/proc/net/snmp`). The missing fragments may have been
    // dropped and counted at any location above.
    AttributionStep("reassembly", Reassembly, |losses, evidence| {
        evidence.rx.ip.map(|ip| losses.charge_reassembly(&ip))
    }),
    // Datagrams accepted but not sent by the device while the next hop did not answer address
    // resolution (neighbour state, rtnetlink(7)). The kernel does not count them.
    AttributionStep("neighbour", Neighbour, |losses, evidence| {
        let (tally, sender) = (evidence.tally, evidence.tx);
        if !sender.neighbour_unresolved? {
            return Some(0);
        }
        let unsent = tally.packets.saturating_sub(sender.device_sent.unwrap_or(0));
        let charged = losses.charge_datagrams(scale(unsent, tally.sent, tally.packets));
        Some(losses.estimate(Neighbour, charged, true))
    }),
];

/// All counters, and the parts that are counted more than once.
pub(super) struct Evidence<'a> {
    tally: &'a TxTally,
    kernels: &'a Kernels,
    rx: &'a KernelDelta,
    tx: &'a KernelDelta,
    /// Drops at backlogs of the receiver's host, and of the sender's where that is another.
    backlogs: (Option<u64>, Option<u64>),
    /// Drops at the receivers' sockets for a wrong checksum, which their own counter includes.
    /// Drops at full buffers explain losses first, so that checksum errors of others take nothing
    /// from them.
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
    pub(super) fn new(tally: &'a TxTally, kernels: &'a Kernels) -> Self {
        let (rx, tx) = (&kernels.rx, kernels.at_senders());
        let bad = rx.udp.zip(rx.sockets).map_or(0, |(udp, drops)| {
            udp.in_csum_errors.min(drops.saturating_sub(udp.rcvbuf_errors))
        });
        let refused = tally.refused.no_buffers.saturating_add(tally.unexplained);
        let beside_queue = refused.saturating_sub(tx.qdisc.unwrap_or(0));
        let by_peer = match tx.tx_device {
            Some(drops) if kernels.ends != Topology::Remote => drops.min(beside_queue),
            _ => 0,
        };
        let backlogs = kernels.backlogs();
        Self { tally, kernels, rx, tx, backlogs, bad, refused, beside_queue, by_peer }
    }
}

/// Discards of the sender's IP layer without refused sends, which it counts as well: no route, no
/// room, or a firewall. `SndbufErrors` counts refusals that a batch call did not report.
fn silent_discards(tally: &TxTally, sender: &KernelDelta) -> Option<u64> {
    let ip = sender.ip?;
    let SendErrorCounts { would_block, no_buffers, unreachable, too_big, other } = tally.refused;
    let ours = would_block.saturating_add(no_buffers);
    let full = sender.udp.map_or(0, |udp| udp.sndbuf_errors).max(ours);
    let refused = sum_counts([full, unreachable, too_big, other]);
    // A packet that cannot be fragmented counts as discarded, too.
    let discards = ip.out_discards.max(ip.frag_fails).saturating_add(ip.out_no_routes);
    Some(discards.saturating_sub(refused))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{IpCounters, RxTally, Server, UdpCounters, attribute_losses};

    /// What each step charges of 100 lost datagrams if only its counter is known.
    #[test]
    fn each_step_explains_its_location() {
        let udp = |no_ports, in_csum_errors| {
            Some(UdpCounters { no_ports, in_csum_errors, ..UdpCounters::default() })
        };
        let ip = |out_discards, in_discards, reassembly| {
            Some(IpCounters { out_discards, in_discards, reassembly, ..IpCounters::default() })
        };
        let seven = Some(7);
        for &AttributionStep(name, location, rule) in STEPS {
            let (mut rx, mut tx) = (KernelDelta::default(), KernelDelta::default());
            let mut server = None;
            match name {
                "own sockets" => rx.sockets = seven,
                "receiver's rings" => rx.rings = seven,
                "sender's rings" => tx.rings = seven,
                "server's sockets" => server = Some(Server { receive_buffer: seven }),
                "checksum at own sockets" => (rx.sockets, rx.udp) = (seven, udp(0, 7)),
                "no port" => rx.udp = udp(7, 0),
                "checksum" => rx.udp = udp(0, 7),
                "backlog" => rx.backlog = seven,
                "device" => rx.device = seven,
                "sender's backlog" => tx.backlog = seven,
                "qdisc" => tx.qdisc = seven,
                "sender's device" => tx.tx_device = seven,
                "sender's IP layer" => tx.ip = ip(7, 0, 0),
                "receiver's IP layer" => rx.ip = ip(0, 7, 0),
                "reassembly" => rx.ip = ip(0, 0, 7),
                "neighbour" => (tx.neighbour_unresolved, tx.device_sent) = (Some(true), Some(93)),
                unknown => panic!("no counter for the step {unknown}"),
            }
            let kernels = Kernels { rx, tx: Some(tx), ends: Topology::Remote, server };
            let sent = TxTally { sent: 100, packets: 100, ..TxTally::default() };
            let received = RxTally::default();
            let mut losses = LossAttribution::new(&sent, &received, 100, false, &kernels);
            let charged = rule(&mut losses, &Evidence::new(&sent, &kernels));
            assert_eq!((charged, losses.datagrams), (seven, 93), "{name}");
            let mut ledger = attribute_losses(&sent, &received, &kernels, false);
            assert_eq!(*ledger.lost_at.at_mut(location), seven, "{name}");
            assert_eq!(ledger.unaccounted, Some(93), "{name}");
        }
    }
}
