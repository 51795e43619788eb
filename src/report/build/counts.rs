//! Counts: the ledger, packets, and what the kernel counted.

use crate::document::{Kernel, Packets};
use crate::measure::{CellResult, Topology};

pub(super) fn packets(result: &CellResult) -> Packets {
    let (tx, rx) = (&result.tx, &result.rx.tally);
    let known = |count: u64| (!result.one_ended).then_some(count);
    let (segments_at_first, segments_at_last) = tx.segments.unzip();
    copy_fields!(Packets from rx {}; known { uncut, truncated, no_buffers }
        sent: tx.tally.packets,
        received: known(rx.packets),
        segments_at_first: segments_at_first,
        segments_at_last: segments_at_last,
    )
}

pub(super) fn kernel(result: &CellResult) -> Kernel {
    let kernels = result.kernels();
    let (delta, sender) = (&kernels.rx, kernels.at_senders());
    Kernel {
        socket_drops: delta.sockets,
        in_datagrams: delta.udp.map(|udp| udp.in_datagrams),
        out_datagrams: sender.udp.map(|udp| udp.out_datagrams),
        rcvbuf_errors: delta.udp.map(|udp| udp.rcvbuf_errors),
        sndbuf_errors: sender.udp.map(|udp| udp.sndbuf_errors),
        no_ports: delta.udp.map(|udp| udp.no_ports),
        in_csum_errors: delta.udp.map(|udp| udp.in_csum_errors),
        backlog_drops: match (delta.backlog, sender.backlog) {
            (Some(rx), Some(tx)) if kernels.ends == Topology::Remote => Some(rx.saturating_add(tx)),
            (rx, tx) => rx.max(tx),
        },
        device_drops: delta.device,
        tx_device_drops: sender.tx_device,
        qdisc_drops: sender.qdisc,
        ip_in_discards: delta.ip.map(|ip| ip.in_discards),
        reassembly_failures: delta.ip.map(|ip| ip.reassembly),
        ip_out_discards: sender.ip.map(|ip| ip.out_discards),
        ip_out_no_routes: sender.ip.map(|ip| ip.out_no_routes),
        fragmentation_failures: sender.ip.map(|ip| ip.frag_fails),
        neighbour_unresolved: sender.neighbour_unresolved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Ledger;
    use crate::measure::{KernelDelta, TxResult, TxTally, UdpCounters};

    #[test]
    fn receiver_counts_are_null_without_a_receiver() {
        let udp = UdpCounters { out_datagrams: 9, ..UdpCounters::default() };
        let kernel = KernelDelta { udp: Some(udp), qdisc: Some(3), ..KernelDelta::default() };
        let tally = TxTally { sent: 9, packets: 9, ..TxTally::default() };
        let half = TxResult { tally, kernel, ..TxResult::default() };
        let one = CellResult::of(half, None, Topology::Remote);
        let ledger = one.ledger();
        assert_eq!((ledger.sent, ledger.attempted), (9, 9));
        let sender = Ledger { attempted: 9, sent: 9, ..Ledger::default() };
        assert_eq!(ledger, sender, "all else is null");
        assert_eq!((packets(&one).sent, packets(&one).received), (9, None));
        let counted = super::kernel(&one);
        assert_eq!((counted.out_datagrams, counted.qdisc_drops), (Some(9), Some(3)));
        assert_eq!((counted.in_datagrams, counted.device_drops), (None, None));
    }
}
