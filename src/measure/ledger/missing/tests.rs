use super::super::Ledger;
use super::*;
use crate::measure::{KernelDelta, Refused};

fn sent(sent: u64, packets: u64) -> TxTally {
    TxTally { sent, packets, ..TxTally::default() }
}

fn received(received: u64, packets: u64) -> RxTally {
    RxTally { arrived: received, received, packets, ..RxTally::default() }
}

/// 100 sent and 60 received on two hosts, one by one.
fn lose_forty(rx: KernelDelta) -> Ledger {
    let kernels = Kernels { rx, tx: Some(KernelDelta::default()), ends: Ends::Across };
    let ledger = Ledger::settle(&sent(100, 100), &received(60, 60), &kernels, false);
    assert_eq!(ledger.broken_identity(), None);
    ledger
}

fn counters(sockets: u64, udp: UdpCounters) -> KernelDelta {
    let none = Some(0);
    let sockets = Some(sockets);
    KernelDelta {
        sockets,
        udp: Some(udp),
        backlog: none,
        device: none,
        tx_device: none,
        qdisc: none,
    }
}

fn words(places: LossPlaces) -> Vec<&'static str> {
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
fn what_goes_beyond_the_loss_marks_all_that_was_charged_from_such_counters() {
    let udp = |no_ports| UdpCounters { no_ports, ..UdpCounters::default() };
    assert_eq!(words(lose_forty(counters(10, udp(30))).shared), [""; 0]);
    let beyond = lose_forty(counters(10, udp(31)));
    assert_eq!((words(beyond.shared), beyond.lost_at.no_port), (vec!["no_port"], Some(30)));
    let two = lose_forty(KernelDelta { device: Some(11), ..counters(10, udp(20)) });
    assert_eq!(words(two.shared), ["device", "no_port"]);
    // Where our sockets explain all, nothing is charged that is not ours.
    assert_eq!(words(lose_forty(counters(40, udp(31))).shared), [""; 0]);
    assert_eq!(words(lose_forty(counters(50, udp(0))).shared), [""; 0]);
}

#[test]
fn what_a_veth_refused_is_not_lost_at_its_peer() {
    let tx = TxTally { refused: Refused { no_buffers: 9, ..Refused::default() }, ..sent(100, 100) };
    let at = |ends, backlog, device| {
        let rx = counters(0, UdpCounters::default());
        let rx = KernelDelta { backlog: Some(backlog), device: Some(device), ..rx };
        let here = KernelDelta { tx_device: Some(9), qdisc: Some(0), ..KernelDelta::default() };
        let kernels = Kernels { rx, tx: Some(here), ends };
        let at = Ledger::settle(&tx, &received(60, 60), &kernels, false).lost_at;
        (at.backlog, at.device, at.tx_device)
    };
    assert_eq!(at(Ends::Apart, 0, 9), (Some(0), Some(0), Some(0)));
    assert_eq!(at(Ends::Apart, 4, 9), (Some(0), Some(0), Some(0)));
    assert_eq!(at(Ends::Apart, 9, 9), (Some(0), Some(0), Some(0)));
    assert_eq!(at(Ends::Apart, 4, 11), (Some(0), Some(2), Some(0)));
    assert_eq!(at(Ends::Apart, 12, 14), (Some(3), Some(2), Some(0)));
    assert_eq!(at(Ends::Across, 4, 11), (Some(4), Some(7), Some(0)));
}

#[test]
fn what_both_ends_of_a_veth_count_is_no_doubt() {
    let twice = |ends, tx_drops| {
        let rx = KernelDelta { device: Some(40), ..counters(0, UdpCounters::default()) };
        let tx = Some(KernelDelta { tx_device: Some(tx_drops), ..KernelDelta::default() });
        let kernels = Kernels { rx, tx, ends };
        let ledger = Ledger::settle(&sent(100, 100), &received(60, 60), &kernels, false);
        assert_eq!((ledger.lost_at.device, ledger.lost_at.tx_device), (Some(40), Some(0)));
        words(ledger.shared)
    };
    assert_eq!(twice(Ends::Apart, 40), [""; 0]);
    assert_eq!(twice(Ends::Apart, 41), ["device"]);
    assert_eq!(twice(Ends::Across, 40), ["device"]);
}

#[test]
fn a_backlog_drops_no_more_of_ours_than_our_devices_count() {
    let on = |device| {
        let kernel = counters(0, UdpCounters::default());
        lose_forty(KernelDelta { backlog: Some(30), device: Some(device), ..kernel })
    };
    let at = |device| (on(device).lost_at.backlog, on(device).lost_at.device);
    assert_eq!(at(0), (Some(0), Some(0)), "it was another device's");
    assert_eq!(at(12), (Some(12), Some(0)));
    assert_eq!(at(33), (Some(30), Some(3)));
    assert_eq!(on(0).unaccounted, 40);
}

#[test]
fn means_are_estimates_and_counts_are_not() {
    let estimated = |ends, sent, received, whole, kernel: KernelDelta| {
        let kernels = Kernels { rx: kernel, tx: None, ends };
        words(Ledger::settle(&sent, &received, &kernels, whole).estimated)
    };
    let drops = |sockets| counters(sockets, UdpCounters::default());
    let (joined, single) = (received(480, 30), received(480, 480));
    // Across hosts, a joined packet holds whatever came in a row.
    let across =
        |received, whole, kernel| estimated(Ends::Across, sent(640, 640), received, whole, kernel);
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
        estimated(Ends::Together, sent(640, packets), received(448, 7), true, kernel)
    };
    assert_eq!(here(10, drops(1)), [""; 0]);
    assert_eq!(here(12, drops(5)), [""; 0]);
    assert_eq!(here(12, drops(4)), ["receive_buffer"], "192 in 5 are not alike");
}

#[test]
fn packets_that_leave_joined_are_counted_where_all_is_explained() {
    let tx = |qdisc, tx_device| KernelDelta {
        qdisc: Some(qdisc),
        tx_device: Some(tx_device),
        ..KernelDelta::default()
    };
    let estimated = |packets, tx| {
        let rx = counters(0, UdpCounters::default());
        let kernels = Kernels { rx, tx: Some(tx), ends: Ends::Across };
        words(Ledger::settle(&sent(640, packets), &received(600, 600), &kernels, false).estimated)
    };
    assert_eq!(estimated(10, tx(40, 0)), [""; 0]);
    assert_eq!(estimated(10, tx(39, 0)), ["qdisc"]);
    assert_eq!(estimated(10, tx(0, 39)), ["tx_device"]);
    assert_eq!(estimated(640, tx(20, 3)), [""; 0]);
}
