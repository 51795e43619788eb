use super::*;
use crate::measure::{IpCounters, KernelDelta, SendErrorCounts, Server, Topology, UdpCounters};
use Topology::{Remote, SameHost, SameNetns};

fn sent(sent: u64, packets: u64) -> TxTally {
    TxTally { sent, packets, ..TxTally::default() }
}

fn received(received: u64, packets: u64) -> RxTally {
    RxTally { arrived: received, received, packets, ..RxTally::default() }
}

fn attribute(tx: TxTally, rx: RxTally, kernels: impl Into<Kernels>, taken_whole: bool) -> Ledger {
    let ledger = attribute_losses(&tx, &rx, &kernels.into(), taken_whole);
    assert!(ledger_identities(&ledger).iter().all(LedgerIdentity::holds), "{ledger:?}");
    ledger
}

/// 60 received of those sent, with the counters of both kernels.
fn between(tx: TxTally, tx_kernel: KernelDelta, rx: KernelDelta, ends: Topology) -> Ledger {
    let kernels = Kernels { tx: Some(tx_kernel), ends, ..rx.into() };
    attribute(tx, received(60, 60), kernels, false)
}

/// 100 sent and 60 received on two hosts, one by one.
fn lose_forty(rx: KernelDelta) -> Ledger {
    between(sent(100, 100), KernelDelta::default(), rx, Remote)
}

fn counters(sockets: u64, udp: UdpCounters) -> KernelDelta {
    let none = Some(0);
    let (backlog, device, tx_device, qdisc) = (none, none, none, none);
    let (sockets, udp) = (Some(sockets), Some(udp));
    KernelDelta { sockets, udp, backlog, device, tx_device, qdisc, ..KernelDelta::default() }
}

fn drops(sockets: u64, no_ports: u64) -> KernelDelta {
    counters(sockets, UdpCounters { no_ports, ..UdpCounters::default() })
}

/// The lost datagrams by location (~: an estimate; ?: shared), and how many are unaccounted for.
fn shown(ledger: &Ledger) -> String {
    let mut text = String::new();
    for (name, count) in ledger.lost_at.places() {
        let Some(count) = count.filter(|&count| count > 0) else { continue };
        text += &format!("{name} {count}");
        for (mark, marked) in [('~', &ledger.estimated), ('?', &ledger.shared)] {
            text.extend(marked.iter().flatten().filter(|other| *other == name).map(|_| mark));
        }
        text += ", ";
    }
    text + &format!("left {}", ledger.unaccounted.unwrap())
}

#[test]
fn attributes_drops_at_sockets_and_ports() {
    for (sockets, rcvbuf_errors, in_csum_errors, no_ports, device, expected) in [
        // The receivers' sockets dropped 30 at full buffers, others 25 for their checksums: 10 may
        // be of the run.
        (30, 30, 25, 0, 0, "receive_buffer 30, checksum 10?, left 0"),
        // Of the 30, 12 had a wrong checksum.
        (30, 18, 12, 0, 0, "receive_buffer 18, checksum 12, left 10"),
        // Short of memory, the kernel counts elsewhere what sockets drop.
        (30, 0, 0, 0, 0, "receive_buffer 30, left 10"),
        (30, 0, 4, 0, 0, "receive_buffer 26, checksum 4, left 10"),
        // Others' sockets dropped as well.
        (30, 50, 4, 0, 0, "receive_buffer 30, checksum 4, left 6"),
        // Checksum errors of the run come before ports of others.
        (35, 0, 35, 90, 0, "checksum 35, no_port 5?, left 0"),
        // A count beyond the loss marks all shared counters.
        (10, 0, 0, 30, 0, "receive_buffer 10, no_port 30, left 0"),
        (10, 0, 0, 31, 0, "receive_buffer 10, no_port 30?, left 0"),
        (10, 0, 0, 20, 11, "receive_buffer 10, device 10?, no_port 20?, left 0"),
        // If the receivers' sockets explain all, no other counter is charged.
        (40, 0, 0, 31, 0, "receive_buffer 40, left 0"),
        (50, 0, 0, 0, 0, "receive_buffer 40, left 0"),
    ] {
        let udp = UdpCounters { rcvbuf_errors, in_csum_errors, no_ports, ..UdpCounters::default() };
        let ledger = lose_forty(KernelDelta { device: Some(device), ..counters(sockets, udp) });
        assert_eq!(shown(&ledger), expected);
    }
}

#[test]
fn counts_drops_of_backlogs_and_devices_once() {
    for (ends, no_buffers, backlog, device, tx_device, expected) in [
        // Refusals of a veth are not lost at its peer.
        (SameHost, 9, 0, 9, 9, "left 40"),
        (SameHost, 9, 4, 9, 9, "left 40"),
        (SameHost, 9, 9, 9, 9, "left 40"),
        (SameHost, 9, 4, 11, 9, "device 2, left 38"),
        (SameHost, 9, 12, 14, 9, "backlog 3, device 2, left 35"),
        (Remote, 9, 4, 11, 9, "backlog 4, device 7, left 29"),
        // Drops that both ends of a veth count are not shared.
        (SameHost, 0, 0, 40, 40, "device 40, left 0"),
        (SameHost, 0, 0, 40, 41, "device 40?, left 0"),
        (Remote, 0, 0, 40, 40, "device 40?, left 0"),
        // A device counts backlog drops as well: the rest was another device's.
        (Remote, 0, 30, 0, 0, "left 40"),
        (Remote, 0, 30, 12, 0, "backlog 12, left 28"),
        (Remote, 0, 30, 33, 0, "backlog 30, device 3, left 7"),
    ] {
        let refused = SendErrorCounts { no_buffers, ..SendErrorCounts::default() };
        let tx = TxTally { refused, ..sent(100, 100) };
        let rx = KernelDelta { backlog: Some(backlog), device: Some(device), ..drops(0, 0) };
        let (tx_device, qdisc) = (Some(tx_device), Some(0));
        let here = KernelDelta { tx_device, qdisc, ..KernelDelta::default() };
        let ledger = between(tx, here, rx, ends);
        assert_eq!(shown(&ledger), expected, "{ends:?} {backlog} {device} {tx_device:?}");
        assert_eq!(ledger.lost_at.tx_device, Some(0));
    }
}

#[test]
fn counts_datagrams_of_dropped_packets() {
    let (joined, single, half) = (received(480, 30), received(480, 480), received(500, 500));
    let (whole, most) = (received(448, 7), received(600, 600));
    let backlog = KernelDelta { backlog: Some(2), device: Some(2), ..drops(0, 0) };
    let queue = KernelDelta { qdisc: Some(99), ..drops(0, 0) };
    let on_tx = |qdisc, tx_device| {
        let (qdisc, tx_device) = (Some(qdisc), Some(tx_device));
        Some(KernelDelta { qdisc, tx_device, ..KernelDelta::default() })
    };
    for (ends, packets, received, taken_whole, rx, tx, expected) in [
        // Between hosts, a joined packet holds any consecutive datagrams.
        (Remote, 640, joined, true, drops(3, 0), None, "receive_buffer 48~, left 112"),
        (Remote, 10, joined, true, drops(9, 5), None, "receive_buffer 144~, no_port 5, left 11"),
        (Remote, 640, received(0, 0), true, drops(3, 0), None, "receive_buffer 3~, left 637"),
        (Remote, 640, joined, true, drops(0, 0), None, "left 160"),
        (Remote, 640, single, true, drops(3, 0), None, "receive_buffer 3, left 157"),
        (Remote, 640, single, false, drops(3, 0), None, "receive_buffer 3, left 157"),
        (Remote, 640, joined, true, backlog, None, "backlog 2~, left 158"),
        (Remote, 640, single, false, backlog, None, "backlog 2, left 158"),
        // On one host packets stay whole: exact where all are alike, or all that are missing.
        (SameNetns, 10, whole, true, drops(3, 0), None, "receive_buffer 192, left 0"),
        (SameNetns, 10, whole, true, drops(1, 0), None, "receive_buffer 64, left 128"),
        (SameNetns, 10, whole, true, drops(1, 1), None, "receive_buffer 64, no_port 64, left 64"),
        (SameNetns, 12, whole, true, drops(5, 0), None, "receive_buffer 192, left 0"),
        (SameNetns, 12, whole, true, drops(4, 0), None, "receive_buffer 154~, left 38"),
        // They are split before the socket, which drops single datagrams.
        (SameNetns, 10, half, false, drops(12, 2), None, "receive_buffer 12, no_port 128, left 0"),
        (SameNetns, 10, half, false, drops(11, 0), None, "receive_buffer 11, left 129"),
        // A queue that splits them drops datagrams.
        (SameNetns, 10, half, false, queue, None, "qdisc 99~, left 41"),
        // Packets that leave joined are counted where all is explained.
        (Remote, 10, most, false, drops(0, 0), on_tx(40, 0), "qdisc 40, left 0"),
        (Remote, 10, most, false, drops(0, 0), on_tx(39, 0), "qdisc 39~, left 1"),
        (Remote, 10, most, false, drops(0, 0), on_tx(0, 39), "tx_device 39~, left 1"),
        (Remote, 640, most, false, drops(0, 0), on_tx(20, 3), "qdisc 20, tx_device 3, left 17"),
    ] {
        let kernels = Kernels { ends, tx, ..rx.into() };
        let ledger = attribute(sent(640, packets), received, kernels, taken_whole);
        assert_eq!(shown(&ledger), expected, "{packets} {received:?} {kernels:?}");
    }
    // Without a counter of the queue, it dropped none if nothing was split.
    for (packets, expected) in [(10, None), (640, Some(0))] {
        let kernel = KernelDelta { qdisc: None, ..drops(0, 0) };
        let ledger = attribute(sent(640, packets), half, kernel, false);
        assert_eq!((ledger.lost_at.qdisc, ledger.unaccounted), (expected, Some(140)));
    }
}

#[test]
fn attributes_ip_discards_and_failed_reassembly() {
    let unknown = lose_forty(drops(0, 0)).lost_at;
    assert_eq!((unknown.rx_ip, unknown.reassembly, unknown.tx_ip), (None, None, None));
    for (in_discards, reassembly, reassembly_no_room, device, expected) in [
        (41, 0, 0, 0, "rx_ip 40?, left 0"),
        (0, 40, 0, 0, "reassembly 40, left 0"),
        // If a device dropped the missing fragments, they were lost there.
        (0, 40, 0, 30, "device 30, reassembly 10, left 0"),
        // More than were lost here are others'.
        (0, 41, 0, 0, "reassembly 40?, left 0"),
        // Without room, two fragments of each were counted.
        (0, 80, 80, 0, "reassembly 40~, left 0"),
    ] {
        let ip =
            IpCounters { in_discards, reassembly, reassembly_no_room, ..IpCounters::default() };
        let rx = KernelDelta { ip: Some(ip), device: Some(device), ..drops(0, 0) };
        assert_eq!(shown(&lose_forty(rx)), expected);
    }
}

#[test]
fn refused_sends_are_not_discards_of_the_ip_layer() {
    let none = SendErrorCounts::default();
    for (out_discards, out_no_routes, frag_fails, refused, sndbuf_errors, expected) in [
        (7, 0, 0, none, 0, 7),
        // A failure to fragment is a discard, too.
        (7, 0, 7, none, 0, 7),
        (0, 9, 0, SendErrorCounts { unreachable: 9, ..none }, 0, 0),
        (12, 0, 0, SendErrorCounts { no_buffers: 7, other: 2, ..none }, 0, 3),
        // A batch call does not report a full buffer.
        (12, 0, 0, SendErrorCounts { would_block: 4, ..none }, 12, 0),
    ] {
        let ip = IpCounters { out_discards, out_no_routes, frag_fails, ..IpCounters::default() };
        let udp = UdpCounters { sndbuf_errors, ..UdpCounters::default() };
        let here = KernelDelta { ip: Some(ip), udp: Some(udp), ..KernelDelta::default() };
        let tx = TxTally { refused, ..sent(100, 100) };
        assert_eq!(between(tx, here, drops(0, 0), Remote).lost_at.tx_ip, Some(expected));
    }
}

#[test]
fn attributes_datagrams_without_a_next_hop() {
    for (neighbour_unresolved, device_sent, expected, all) in [
        (None, Some(0), None, "receive_buffer 3, left 37"),
        (Some(false), Some(0), Some(0), "receive_buffer 3, left 37"),
        (Some(true), None, Some(37), "receive_buffer 3, neighbour 37~, left 0"),
        // Datagrams that the device sent were lost after it.
        (Some(true), Some(80), Some(20), "receive_buffer 3, neighbour 20~, left 17"),
        (Some(true), Some(100), Some(0), "receive_buffer 3, left 37"),
    ] {
        let here = KernelDelta { neighbour_unresolved, device_sent, ..drops(0, 0) };
        let ledger = between(sent(100, 100), here, drops(3, 0), Remote);
        assert_eq!((ledger.lost_at.neighbour, &*shown(&ledger)), (expected, all));
    }
}

#[test]
fn a_drop_of_a_foreign_server_is_one_datagram_and_never_certain() {
    // 640 requests; 500 were answered, one by one.
    for (receive_buffer, packets, no_ports, expected) in [
        (Some(1), 10, 0, "receive_buffer 1~?, left 139"),
        (Some(140), 640, 0, "receive_buffer 140?, left 0"),
        (Some(0), 10, 0, "left 140"),
        // Other counters are shared, even if they count less than is missing.
        (None, 640, 9, "no_port 9?, left 131"),
    ] {
        let kernels =
            Kernels { server: Some(Server { receive_buffer }), ..drops(0, no_ports).into() };
        let ledger = attribute(sent(640, packets), received(500, 500), kernels, true);
        assert_eq!(shown(&ledger), expected);
    }
}

#[test]
fn the_senders_host_explains_what_the_receivers_does_not() {
    let refused = SendErrorCounts { no_buffers: 7, ..SendErrorCounts::default() };
    let tx = TxTally { refused, ..sent(100, 100) };
    let (qdisc, tx_device, backlog) = (Some(7 + 20), Some(5), Some(3));
    let tx_kernel = KernelDelta { qdisc, tx_device, backlog, ..KernelDelta::default() };
    let (backlog, device) = (Some(2), Some(2 + 4));
    let rx_kernel = KernelDelta { backlog, device, ..drops(10, 0) };
    for (ends, expected) in [
        // Three of the five drops of the sender's device were its backlog's.
        (Remote, "receive_buffer 10, backlog 5, device 4, qdisc 20, tx_device 2, left 19"),
        // Two readings of one backlog counter: the larger one counts, and both devices count it
        // again.
        (SameHost, "receive_buffer 10, backlog 3, device 3, qdisc 20, tx_device 2, left 22"),
    ] {
        let kernels = Kernels { tx: Some(tx_kernel), ends, ..rx_kernel.into() };
        assert_eq!(shown(&attribute(tx, received(40, 40), kernels, false)), expected);
    }
}

#[test]
fn an_identity_with_an_unknown_term_is_not_checked() {
    let refused = SendErrorCounts { other: 2, ..SendErrorCounts::default() };
    let sender = sent_only(&TxTally { refused, ..sent(7, 7) });
    let left = ledger_identities(&sender).map(|identity| identity.left);
    assert_eq!(left, [Some(9), None, None, None]);
    assert!(ledger_identities(&sender).iter().all(LedgerIdentity::holds));
    let all = u64::MAX;
    let refused = SendErrorCounts {
        would_block: all,
        no_buffers: all,
        unreachable: all,
        too_big: all,
        other: all,
    };
    let [attempted, ..] = ledger_identities(&Ledger { refused, ..sender.clone() });
    assert!(!attempted.holds());
    let (received, lost) = (Some(6), Some(0));
    let [_, sent, ..] = ledger_identities(&Ledger { received, lost, ..sender });
    assert_eq!((sent.holds(), sent.name), (false, "sent = received + lost"));
}
