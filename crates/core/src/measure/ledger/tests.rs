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

fn ip(ip: IpCounters) -> KernelDelta {
    KernelDelta { ip: Some(ip), ..drops(0, 0) }
}

const NO_WORDS: [&str; 0] = [];

#[test]
fn attributes_checksum_errors_at_own_sockets() {
    for (sockets, rcvbuf_errors, in_csum_errors, expected) in [
        // Ours dropped 30 for want of room, others 25 for their checksums: 10 may be ours.
        (30, 30, 25, (30, 10)),
        // Of our 30, 12 had a wrong checksum.
        (30, 18, 12, (18, 12)),
        // Short of memory, the kernel counts elsewhere what sockets drop.
        (30, 0, 0, (30, 0)),
        (30, 0, 4, (26, 4)),
        // Others' sockets dropped as well.
        (30, 50, 4, (30, 4)),
    ] {
        let udp = UdpCounters { rcvbuf_errors, in_csum_errors, ..UdpCounters::default() };
        let at = lose_forty(counters(sockets, udp)).lost_at;
        assert_eq!((at.receive_buffer, at.checksum), (Some(expected.0), Some(expected.1)));
    }
    // They come before ports of others.
    let udp = UdpCounters { in_csum_errors: 35, no_ports: 90, ..UdpCounters::default() };
    let ledger = lose_forty(counters(35, udp));
    assert_eq!((ledger.lost_at.checksum, ledger.lost_at.no_port), (Some(35), Some(5)));
    assert_eq!(ledger.shared.unwrap(), ["no_port"]);
}

#[test]
fn counts_beyond_the_loss_mark_all_shared_counters() {
    let shared = |sockets, no_ports, device| {
        let device = Some(device);
        lose_forty(KernelDelta { device, ..drops(sockets, no_ports) }).shared.unwrap()
    };
    assert_eq!(shared(10, 30, 0), NO_WORDS);
    assert_eq!(shared(10, 31, 0), ["no_port"]);
    assert_eq!(shared(10, 20, 11), ["device", "no_port"]);
    // If our sockets explain all, no other counter is charged.
    assert_eq!(shared(40, 31, 0), NO_WORDS);
    assert_eq!(shared(50, 0, 0), NO_WORDS);
    assert_eq!(lose_forty(drops(10, 31)).lost_at.no_port, Some(30));
}

#[test]
fn refusals_of_a_veth_are_not_lost_at_its_peer() {
    let refused = SendErrorCounts { no_buffers: 9, ..SendErrorCounts::default() };
    let tx = TxTally { refused, ..sent(100, 100) };
    for (ends, backlog, device, expected) in [
        (SameHost, 0, 9, (0, 0)),
        (SameHost, 4, 9, (0, 0)),
        (SameHost, 9, 9, (0, 0)),
        (SameHost, 4, 11, (0, 2)),
        (SameHost, 12, 14, (3, 2)),
        (Remote, 4, 11, (4, 7)),
    ] {
        let rx = KernelDelta { backlog: Some(backlog), device: Some(device), ..drops(0, 0) };
        let here = KernelDelta { tx_device: Some(9), qdisc: Some(0), ..KernelDelta::default() };
        let at = between(tx, here, rx, ends).lost_at;
        let expected = (Some(expected.0), Some(expected.1), Some(0));
        assert_eq!((at.backlog, at.device, at.tx_device), expected, "{ends:?} {backlog} {device}");
    }
}

#[test]
fn drops_that_both_ends_of_a_veth_count_are_not_shared() {
    for (ends, tx_drops, shared) in
        [(SameHost, 40, &NO_WORDS[..]), (SameHost, 41, &["device"]), (Remote, 40, &["device"])]
    {
        let rx = KernelDelta { device: Some(40), ..drops(0, 0) };
        let tx = KernelDelta { tx_device: Some(tx_drops), ..KernelDelta::default() };
        let ledger = between(sent(100, 100), tx, rx, ends);
        assert_eq!((ledger.lost_at.device, ledger.lost_at.tx_device), (Some(40), Some(0)));
        assert_eq!(ledger.shared.unwrap(), shared);
    }
}

#[test]
fn backlog_drops_are_limited_by_device_drops() {
    for (device, expected) in [(0, (0, 0)), (12, (12, 0)), (33, (30, 3))] {
        let backlog = Some(30);
        let ledger = lose_forty(KernelDelta { backlog, device: Some(device), ..drops(0, 0) });
        let at = (ledger.lost_at.backlog, ledger.lost_at.device);
        assert_eq!(at, (Some(expected.0), Some(expected.1)), "the rest was another device's");
        assert_eq!(ledger.unaccounted, Some(40 - expected.0 - expected.1));
    }
}

#[test]
fn means_are_estimates_and_counts_are_not() {
    let (joined, single) = (received(480, 30), received(480, 480));
    let backlog = KernelDelta { backlog: Some(2), device: Some(2), ..drops(0, 0) };
    let on_tx = |qdisc, tx_device| {
        let (qdisc, tx_device) = (Some(qdisc), Some(tx_device));
        Some(KernelDelta { qdisc, tx_device, ..KernelDelta::default() })
    };
    let three = drops(3, 0);
    for (ends, packets, received, whole, rx, tx, expected) in [
        // Between hosts, a joined packet holds any consecutive datagrams.
        (Remote, 640, joined, true, three, None, "receive_buffer"),
        (Remote, 640, received(0, 0), true, three, None, "receive_buffer"),
        (Remote, 640, joined, true, drops(0, 0), None, ""),
        (Remote, 640, single, true, three, None, ""),
        (Remote, 640, single, false, three, None, ""),
        (Remote, 640, joined, true, backlog, None, "backlog"),
        (Remote, 640, single, false, backlog, None, ""),
        // On one host packets stay whole: exact where all are alike, or all that are missing.
        (SameNetns, 10, received(448, 7), true, drops(1, 0), None, ""),
        (SameNetns, 12, received(448, 7), true, drops(5, 0), None, ""),
        (SameNetns, 12, received(448, 7), true, drops(4, 0), None, "receive_buffer"),
        // Packets that leave joined are counted where all is explained.
        (Remote, 10, received(600, 600), false, drops(0, 0), on_tx(40, 0), ""),
        (Remote, 10, received(600, 600), false, drops(0, 0), on_tx(39, 0), "qdisc"),
        (Remote, 10, received(600, 600), false, drops(0, 0), on_tx(0, 39), "tx_device"),
        (Remote, 640, received(600, 600), false, drops(0, 0), on_tx(20, 3), ""),
    ] {
        let kernels = Kernels { ends, tx, ..rx.into() };
        let estimated = attribute(sent(640, packets), received, kernels, whole).estimated.unwrap();
        assert_eq!(estimated.concat(), expected, "{ends:?} {packets} {received:?} {kernels:?}");
    }
}

#[test]
fn attributes_ip_discards_and_failed_reassembly() {
    let ledger = lose_forty(ip(IpCounters { in_discards: 41, ..IpCounters::default() }));
    assert_eq!((ledger.lost_at.rx_ip, ledger.shared.unwrap().concat()), (Some(40), "rx_ip".into()));
    let unknown = lose_forty(drops(0, 0)).lost_at;
    assert_eq!((unknown.rx_ip, unknown.reassembly, unknown.tx_ip), (None, None, None));
    for (reassembly, reassembly_no_room, device, expected, shared, estimated) in [
        (40, 0, 0, 40, "", ""),
        // If a device dropped the missing fragments, they were lost there.
        (40, 0, 30, 10, "", ""),
        // More than were lost here are others'.
        (41, 0, 0, 40, "reassembly", ""),
        // Without room, two fragments of each were counted.
        (80, 80, 0, 40, "", "reassembly"),
    ] {
        let part = ip(IpCounters { reassembly, reassembly_no_room, ..IpCounters::default() });
        let ledger = lose_forty(KernelDelta { device: Some(device), ..part });
        let at = (ledger.lost_at.device, ledger.lost_at.reassembly, ledger.unaccounted);
        assert_eq!(at, (Some(device), Some(expected), Some(0)));
        let marks = [ledger.shared, ledger.estimated].map(|words| words.unwrap().concat());
        assert_eq!(marks, [shared, estimated]);
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
    for (neighbour_unresolved, device_sent, expected, estimated) in [
        (None, Some(0), None, ""),
        (Some(false), Some(0), Some(0), ""),
        (Some(true), None, Some(37), "neighbour"),
        // Datagrams that the device sent were lost after it.
        (Some(true), Some(80), Some(20), "neighbour"),
        (Some(true), Some(100), Some(0), ""),
    ] {
        let here = KernelDelta { neighbour_unresolved, device_sent, ..drops(0, 0) };
        let ledger = between(sent(100, 100), here, drops(3, 0), Remote);
        assert_eq!(ledger.lost_at.neighbour, expected);
        assert_eq!(ledger.unaccounted, Some(37 - expected.unwrap_or(0)));
        assert_eq!(ledger.estimated.unwrap().concat(), estimated);
    }
}

#[test]
fn a_drop_of_a_foreign_server_is_one_datagram_and_never_certain() {
    // 640 requests; 500 were answered, one by one.
    for (receive_buffer, packets, shared, estimated) in [
        (1, 10, "receive_buffer", "receive_buffer"),
        (140, 640, "receive_buffer", ""),
        (0, 10, "", ""),
    ] {
        let server = Some(Server { receive_buffer: Some(receive_buffer) });
        let kernels = Kernels { server, ..drops(0, 0).into() };
        let ledger = attribute(sent(640, packets), received(500, 500), kernels, true);
        assert_eq!(ledger.lost_at.receive_buffer, Some(receive_buffer));
        assert_eq!(ledger.unaccounted, Some(140 - receive_buffer));
        let marks = [ledger.shared, ledger.estimated].map(|words| words.unwrap().concat());
        assert_eq!(marks, [shared, estimated]);
    }
    // Other counters are shared, even if they count less than is missing.
    let kernels = Kernels { server: Some(Server::default()), ..drops(0, 9).into() };
    let ledger = attribute(sent(100, 100), received(60, 60), kernels, false);
    assert_eq!(ledger.lost_at.no_port, Some(9));
    assert_eq!(ledger.shared.unwrap(), ["no_port"]);
}

#[test]
fn dropped_super_packets_count_by_their_datagrams() {
    // 640 in 10 packets.
    let queue = KernelDelta { qdisc: Some(99), ..drops(0, 0) };
    let single = received(500, 500);
    for (ends, received, kernel, whole, expected) in [
        // The socket takes them whole.
        (SameNetns, received(448, 7), drops(3, 0), true, [192, 0, 0, 0]),
        (SameNetns, received(448, 7), drops(1, 0), true, [64, 0, 0, 128]),
        (SameNetns, received(448, 7), drops(1, 1), true, [64, 64, 0, 64]),
        // They are cut before the socket, which drops single datagrams.
        (SameNetns, single, drops(12, 2), false, [12, 128, 0, 0]),
        (SameNetns, single, drops(11, 0), false, [11, 0, 0, 129]),
        // A queue that cuts them drops datagrams.
        (SameNetns, single, queue, false, [0, 0, 99, 41]),
        // They came as single datagrams to another host, which joined them by sixteens.
        (Remote, received(480, 30), drops(9, 5), true, [144, 5, 0, 11]),
    ] {
        let kernels = Kernels { ends, ..kernel.into() };
        let ledger = attribute(sent(640, 10), received, kernels, whole);
        let at = ledger.lost_at;
        let found = [at.receive_buffer, at.no_port, at.qdisc, ledger.unaccounted];
        assert_eq!(found.map(Option::unwrap), expected, "{received:?} {kernel:?}");
    }
    // Without a counter of the queue, it dropped none if nothing was cut.
    for (packets, expected) in [(10, None), (640, Some(0))] {
        let kernel = KernelDelta { qdisc: None, ..drops(0, 0) };
        let ledger = attribute(sent(640, packets), received(500, 500), kernel, false);
        assert_eq!((ledger.lost_at.qdisc, ledger.unaccounted), (expected, Some(140)));
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
        (Remote, [10, 4, 5, 20, 2, 19]),
        // Two readings of one backlog counter: the larger one counts, and both devices count it
        // again.
        (SameHost, [10, 3, 3, 20, 2, 22]),
    ] {
        let kernels = Kernels { tx: Some(tx_kernel), ends, ..rx_kernel.into() };
        let ledger = attribute(tx, received(40, 40), kernels, false);
        let at = ledger.lost_at;
        let known = [at.receive_buffer, at.device, at.backlog, at.qdisc, at.tx_device];
        assert_eq!(known.map(Option::unwrap), expected[..5]);
        assert_eq!(ledger.unaccounted, Some(expected[5]));
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
