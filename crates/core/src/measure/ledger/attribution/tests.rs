use super::*;
use crate::measure::counters::SendErrorCounts;
use crate::measure::ledger::{DropCounters, Topology};
use crate::measure::{IpCounters, KernelDelta, Server, UdpCounters};

fn sent(sent: u64, packets: u64) -> TxTally {
    TxTally { sent, packets, ..TxTally::default() }
}

fn received(received: u64, packets: u64) -> RxTally {
    RxTally { arrived: received, received, packets, ..RxTally::default() }
}

fn attribute(
    tx: TxTally,
    rx: RxTally,
    kernels: impl Into<Kernels>,
    taken_whole: bool,
) -> LedgerCounts {
    let ledger = LedgerCounts::attribute_losses(&tx, &rx, &kernels.into(), taken_whole);
    assert_eq!(ledger.broken_identity(), None);
    ledger
}

/// 60 received of those sent, with the counters of both kernels.
fn between(tx: TxTally, tx_kernel: KernelDelta, rx: KernelDelta, ends: Topology) -> LedgerCounts {
    let kernels = Kernels { tx: Some(tx_kernel), ends, ..rx.into() };
    attribute(tx, received(60, 60), kernels, false)
}

/// 100 sent and 60 received on two hosts, one by one.
fn lose_forty(rx: KernelDelta) -> LedgerCounts {
    between(sent(100, 100), KernelDelta::default(), rx, Topology::Remote)
}

fn quiet() -> KernelDelta {
    counters(0, UdpCounters::default())
}

fn counters(sockets: u64, udp: UdpCounters) -> KernelDelta {
    let none = Some(0);
    let (backlog, device, tx_device, qdisc) = (none, none, none, none);
    let (sockets, udp) = (Some(sockets), Some(udp));
    KernelDelta { sockets, udp, backlog, device, tx_device, qdisc, ..KernelDelta::default() }
}

fn words(places: DropCounters) -> Vec<&'static str> {
    places.words().collect()
}

#[test]
fn checksum_errors_of_others_take_nothing_from_our_sockets() {
    let errors = |rcvbuf_errors, in_csum_errors| UdpCounters {
        rcvbuf_errors,
        in_csum_errors,
        ..UdpCounters::default()
    };
    let at = |sockets, rcvbuf, bad| {
        let at = lose_forty(counters(sockets, errors(rcvbuf, bad))).lost_at;
        (at.receive_buffer, at.checksum)
    };
    // Ours dropped 30 for want of room, others 25 for their checksums: 10 of them may be ours.
    assert_eq!(at(30, 30, 25), (Some(30), Some(10)));
    // Of our 30, 12 had a wrong checksum.
    assert_eq!(at(30, 18, 12), (Some(18), Some(12)));
    // Short of memory, the kernel counts elsewhere what sockets drop.
    assert_eq!(at(30, 0, 0), (Some(30), Some(0)));
    assert_eq!(at(30, 0, 4), (Some(26), Some(4)));
    // Others' sockets dropped as well.
    assert_eq!(at(30, 50, 4), (Some(30), Some(4)));
}

#[test]
fn checksum_errors_at_our_sockets_go_before_ports_of_others() {
    let udp = UdpCounters { in_csum_errors: 35, no_ports: 90, ..UdpCounters::default() };
    let ledger = lose_forty(counters(35, udp));
    assert_eq!((ledger.lost_at.checksum, ledger.lost_at.no_port), (Some(35), Some(5)));
    assert_eq!(words(ledger.shared), ["no_port"]);
}

#[test]
fn counts_beyond_the_loss_mark_all_shared_counters() {
    let udp = |no_ports| UdpCounters { no_ports, ..UdpCounters::default() };
    assert_eq!(words(lose_forty(counters(10, udp(30))).shared), [""; 0]);
    let beyond = lose_forty(counters(10, udp(31)));
    assert_eq!((words(beyond.shared), beyond.lost_at.no_port), (vec!["no_port"], Some(30)));
    let two = lose_forty(KernelDelta { device: Some(11), ..counters(10, udp(20)) });
    assert_eq!(words(two.shared), ["device", "no_port"]);
    // If our sockets explain all, no other counter is charged.
    assert_eq!(words(lose_forty(counters(40, udp(31))).shared), [""; 0]);
    assert_eq!(words(lose_forty(counters(50, udp(0))).shared), [""; 0]);
}

#[test]
fn refusals_of_a_veth_are_not_lost_at_its_peer() {
    let tx = TxTally {
        refused: SendErrorCounts { no_buffers: 9, ..SendErrorCounts::default() },
        ..sent(100, 100)
    };
    let at = |ends, backlog, device| {
        let rx = KernelDelta { backlog: Some(backlog), device: Some(device), ..quiet() };
        let here = KernelDelta { tx_device: Some(9), qdisc: Some(0), ..KernelDelta::default() };
        let at = between(tx, here, rx, ends).lost_at;
        (at.backlog, at.device, at.tx_device)
    };
    assert_eq!(at(Topology::SameHost, 0, 9), (Some(0), Some(0), Some(0)));
    assert_eq!(at(Topology::SameHost, 4, 9), (Some(0), Some(0), Some(0)));
    assert_eq!(at(Topology::SameHost, 9, 9), (Some(0), Some(0), Some(0)));
    assert_eq!(at(Topology::SameHost, 4, 11), (Some(0), Some(2), Some(0)));
    assert_eq!(at(Topology::SameHost, 12, 14), (Some(3), Some(2), Some(0)));
    assert_eq!(at(Topology::Remote, 4, 11), (Some(4), Some(7), Some(0)));
}

#[test]
fn drops_that_both_ends_of_a_veth_count_are_not_shared() {
    let twice = |ends, tx_drops| {
        let rx = KernelDelta { device: Some(40), ..quiet() };
        let tx = KernelDelta { tx_device: Some(tx_drops), ..KernelDelta::default() };
        let ledger = between(sent(100, 100), tx, rx, ends);
        assert_eq!((ledger.lost_at.device, ledger.lost_at.tx_device), (Some(40), Some(0)));
        words(ledger.shared)
    };
    assert_eq!(twice(Topology::SameHost, 40), [""; 0]);
    assert_eq!(twice(Topology::SameHost, 41), ["device"]);
    assert_eq!(twice(Topology::Remote, 40), ["device"]);
}

#[test]
fn a_backlog_drops_no_more_of_ours_than_our_devices_count() {
    let (backlog, kernel) = (Some(30), quiet());
    let on = |device| lose_forty(KernelDelta { backlog, device: Some(device), ..kernel });
    let at = |device| (on(device).lost_at.backlog, on(device).lost_at.device);
    assert_eq!(at(0), (Some(0), Some(0)), "it was another device's");
    assert_eq!(at(12), (Some(12), Some(0)));
    assert_eq!(at(33), (Some(30), Some(3)));
    assert_eq!(on(0).unaccounted, 40);
}

#[test]
fn means_are_estimates_and_counts_are_not() {
    let estimated = |ends, sent, received, whole, kernel: KernelDelta| {
        let kernels = Kernels { ends, ..kernel.into() };
        words(attribute(sent, received, kernels, whole).estimated)
    };
    let drops = |sockets| counters(sockets, UdpCounters::default());
    let (joined, single) = (received(480, 30), received(480, 480));
    // Across hosts, a joined packet holds whatever came in a row.
    let across = |received, whole, kernel| {
        estimated(Topology::Remote, sent(640, 640), received, whole, kernel)
    };
    assert_eq!(across(joined, true, drops(3)), ["receive_buffer"]);
    assert_eq!(across(received(0, 0), true, drops(3)), ["receive_buffer"]);
    assert_eq!(across(joined, true, drops(0)), [""; 0]);
    assert_eq!(across(single, true, drops(3)), [""; 0]);
    assert_eq!(across(single, false, drops(3)), [""; 0]);
    let backlog = KernelDelta { backlog: Some(2), device: Some(2), ..drops(0) };
    assert_eq!(across(joined, true, backlog), ["backlog"]);
    assert_eq!(across(single, false, backlog), [""; 0]);
    // On one host packets stay whole: exact where all are alike, or all that are missing.
    let here = |packets, kernel| {
        estimated(Topology::SameNetns, sent(640, packets), received(448, 7), true, kernel)
    };
    assert_eq!(here(10, drops(1)), [""; 0]);
    assert_eq!(here(12, drops(5)), [""; 0]);
    assert_eq!(here(12, drops(4)), ["receive_buffer"], "192 in 5 are not alike");
}

#[test]
fn packets_that_leave_joined_are_counted_where_all_is_explained() {
    let tx = |qdisc, tx_device| {
        let (qdisc, tx_device) = (Some(qdisc), Some(tx_device));
        KernelDelta { qdisc, tx_device, ..KernelDelta::default() }
    };
    let estimated = |packets, tx| {
        let rx = quiet();
        let kernels = Kernels { tx: Some(tx), ends: Topology::Remote, ..rx.into() };
        words(attribute(sent(640, packets), received(600, 600), kernels, false).estimated)
    };
    assert_eq!(estimated(10, tx(40, 0)), [""; 0]);
    assert_eq!(estimated(10, tx(39, 0)), ["qdisc"]);
    assert_eq!(estimated(10, tx(0, 39)), ["tx_device"]);
    assert_eq!(estimated(640, tx(20, 3)), [""; 0]);
}

fn ip(ip: IpCounters) -> KernelDelta {
    KernelDelta { ip: Some(ip), ..quiet() }
}

#[test]
fn ip_discards_and_incomplete_datagrams_have_their_locations() {
    let ledger = lose_forty(ip(IpCounters { in_discards: 41, ..IpCounters::default() }));
    assert_eq!((ledger.lost_at.rx_ip, words(ledger.shared)), (Some(40), vec!["rx_ip"]));
    let unknown = lose_forty(quiet()).lost_at;
    assert_eq!((unknown.rx_ip, unknown.reassembly, unknown.tx_ip), (None, None, None));
    let part = |reassembly, reassembly_no_room| {
        ip(IpCounters { reassembly, reassembly_no_room, ..IpCounters::default() })
    };
    let ledger = lose_forty(part(40, 0));
    assert_eq!((ledger.lost_at.reassembly, ledger.unaccounted), (Some(40), 0));
    assert!(ledger.shared.is_empty() && ledger.estimated.is_empty());
    // If a device dropped the missing fragments, they were lost there.
    let ledger = lose_forty(KernelDelta { device: Some(30), ..part(40, 0) });
    let at = ledger.lost_at;
    assert_eq!((at.device, at.reassembly, ledger.unaccounted), (Some(30), Some(10), 0));
    assert!(ledger.shared.is_empty());
    // More than were lost here are others'.
    assert_eq!(words(lose_forty(part(41, 0)).shared), ["reassembly"]);
    // Without room, two fragments of each were counted.
    let ledger = lose_forty(part(80, 80));
    assert_eq!(words(ledger.estimated), ["reassembly"]);
    assert_eq!(ledger.lost_at.reassembly, Some(40));
    assert!(ledger.shared.is_empty());
}

#[test]
fn refusals_of_the_senders_ip_layer_are_not_lost_there() {
    let discards = |out_discards, out_no_routes, frag_fails, refused, sndbuf_errors| {
        let ip = IpCounters { out_discards, out_no_routes, frag_fails, ..IpCounters::default() };
        let udp = UdpCounters { sndbuf_errors, ..UdpCounters::default() };
        let here = KernelDelta { ip: Some(ip), udp: Some(udp), ..KernelDelta::default() };
        let tx = TxTally { refused, ..sent(100, 100) };
        between(tx, here, quiet(), Topology::Remote).lost_at.tx_ip
    };
    let none = SendErrorCounts::default();
    assert_eq!(discards(7, 0, 0, none, 0), Some(7));
    assert_eq!(discards(7, 0, 7, none, 0), Some(7), "a failure to cut is a discard, too");
    assert_eq!(discards(0, 9, 0, SendErrorCounts { unreachable: 9, ..none }, 0), Some(0));
    assert_eq!(discards(12, 0, 0, SendErrorCounts { no_buffers: 7, other: 2, ..none }, 0), Some(3));
    // A batch call keeps a full buffer to itself.
    assert_eq!(discards(12, 0, 0, SendErrorCounts { would_block: 4, ..none }, 12), Some(0));
}

#[test]
fn datagrams_without_a_next_hop_have_their_location() {
    let at = |unresolved, device_sent| {
        let here = quiet();
        let here = KernelDelta { neighbour_unresolved: unresolved, device_sent, ..here };
        let rx = counters(3, UdpCounters::default());
        let ledger = between(sent(100, 100), here, rx, Topology::Remote);
        (ledger.lost_at.neighbour, ledger.unaccounted, words(ledger.estimated))
    };
    assert_eq!(at(None, Some(0)), (None, 37, vec![]));
    assert_eq!(at(Some(false), Some(0)), (Some(0), 37, vec![]));
    assert_eq!(at(Some(true), None), (Some(37), 0, vec!["neighbour"]));
    // Datagrams that the device sent were lost after it.
    assert_eq!(at(Some(true), Some(80)), (Some(20), 17, vec!["neighbour"]));
    assert_eq!(at(Some(true), Some(100)), (Some(0), 37, vec![]));
}

#[test]
fn a_servers_drop_is_one_datagram_and_never_certain() {
    // 640 requests in 10 super-packets; 500 were answered, one by one.
    let lost_to_server = |drops, packets| {
        let kernel = counters(0, UdpCounters { no_ports: 0, ..UdpCounters::default() });
        let server = Some(Server { receive_buffer: Some(drops) });
        let kernels = Kernels { server, ..kernel.into() };
        let ledger = attribute(sent(640, packets), received(500, 500), kernels, true);
        let at = ledger.lost_at.receive_buffer;
        (at, ledger.unaccounted, words(ledger.shared), words(ledger.estimated))
    };
    let buffer = || vec!["receive_buffer"];
    assert_eq!(lost_to_server(1, 10), (Some(1), 139, buffer(), buffer()));
    assert_eq!(lost_to_server(140, 640), (Some(140), 0, buffer(), vec![]));
    assert_eq!(lost_to_server(0, 10), (Some(0), 140, vec![], vec![]));
    // Other counters are shared, even if they count less than is missing.
    let kernel = counters(0, UdpCounters { no_ports: 9, ..UdpCounters::default() });
    let kernels = Kernels { server: Some(Server::default()), ..kernel.into() };
    let ledger = attribute(sent(100, 100), received(60, 60), kernels, false);
    assert_eq!((ledger.lost_at.no_port, words(ledger.shared)), (Some(9), vec!["no_port"]));
}

fn no_ports(no_ports: u64) -> UdpCounters {
    UdpCounters { no_ports, ..UdpCounters::default() }
}

#[test]
fn dropped_super_packets_count_by_their_datagrams() {
    // 10 packets of 64 datagrams.
    let lost = |rx, sockets, ports, whole| {
        let ledger = attribute(sent(640, 10), rx, counters(sockets, no_ports(ports)), whole);
        let at = ledger.lost_at;
        [at.receive_buffer.unwrap(), at.no_port.unwrap(), ledger.unaccounted]
    };
    // The socket takes them whole.
    assert_eq!(lost(received(448, 7), 3, 0, true), [192, 0, 0]);
    assert_eq!(lost(received(448, 7), 1, 0, true), [64, 0, 128]);
    assert_eq!(lost(received(448, 7), 1, 1, true), [64, 64, 64]);
    // They are cut before the socket, which drops single datagrams.
    assert_eq!(lost(received(500, 500), 12, 2, false), [12, 128, 0]);
    assert_eq!(lost(received(500, 500), 11, 0, false), [11, 0, 129]);
}

#[test]
fn the_senders_host_explains_what_the_receivers_does_not() {
    let no_buffers = SendErrorCounts { no_buffers: 7, ..SendErrorCounts::default() };
    let tx = TxTally { refused: no_buffers, ..sent(100, 100) };
    let (qdisc, tx_device, backlog) = (Some(7 + 20), Some(5), Some(3));
    let tx_kernel = KernelDelta { qdisc, tx_device, backlog, ..KernelDelta::default() };
    let (backlog, device) = (Some(2), Some(2 + 4));
    let rx_kernel = KernelDelta { backlog, device, ..counters(10, no_ports(0)) };
    let lost = |ends| {
        let kernels = Kernels { tx: Some(tx_kernel), ends, ..rx_kernel.into() };
        let ledger = attribute(tx, received(40, 40), kernels, false);
        let at = ledger.lost_at;
        let known = [at.receive_buffer, at.device, at.backlog, at.qdisc, at.tx_device];
        (known.map(Option::unwrap), ledger.unaccounted)
    };
    // Three of the five drops of the sender's device were its backlog's.
    assert_eq!(lost(Topology::Remote), ([10, 4, 5, 20, 2], 19));
    // Two readings of one backlog counter: the larger one counts, and both devices count it again.
    assert_eq!(lost(Topology::SameHost), ([10, 3, 3, 20, 2], 22));
}

#[test]
fn a_queue_that_cuts_super_packets_drops_datagrams() {
    let lost = |packets, qdisc| {
        let kernel = KernelDelta { qdisc, ..counters(0, no_ports(0)) };
        let ledger = attribute(sent(640, packets), received(500, 500), kernel, false);
        (ledger.lost_at.qdisc, ledger.unaccounted)
    };
    assert_eq!(lost(10, Some(99)), (Some(99), 41));
    assert_eq!(lost(10, None), (None, 140));
    assert_eq!(lost(640, None), (Some(0), 140));
}

#[test]
fn between_hosts_packets_are_those_of_the_receiver() {
    // 10 of 64 left; they came as single datagrams, and were joined by sixteens.
    let kernels = Kernels { ends: Topology::Remote, ..counters(9, no_ports(5)).into() };
    let ledger = attribute(sent(640, 10), received(480, 30), kernels, true);
    let at = ledger.lost_at;
    assert_eq!((at.receive_buffer, at.no_port, ledger.unaccounted), (Some(144), Some(5), 11));
}
