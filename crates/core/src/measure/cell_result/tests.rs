use super::*;

#[test]
fn no_more_is_received_than_was_sent() {
    let tx = TxResult { flows: vec![7, 5, 3], ..TxResult::default() };
    let mut rx = RxResult { flows: vec![8, 4, 3], ..RxResult::default() };
    (rx.tally.received, rx.tally.arrived) = (15, 15);
    let result = CellResult::of(tx, Some(rx), Topology::Remote);
    assert_eq!(result.flows, [(7, 7), (5, 4), (3, 3)]);
    let rx = result.rx;
    assert_eq!((rx.received, rx.corrupt, rx.arrived), (14, 1, 15));
}

#[test]
fn segments_are_uncut_where_packets_arrive_as_they_were_sent() {
    let segments = |packets_received, uncut| PacketCounts {
        sent: 12_800,
        packets_sent: 100,
        arrived: 12_800,
        packets_received,
        uncut,
    };
    for ends in [Topology::SameNetns, Topology::SameHost, Topology::Remote] {
        let is = |counts: PacketCounts| (counts.are_uncut(ends), counts.were_cut(ends));
        assert_eq!(is(segments(100, 12_800)), (true, false), "{ends:?}");
        assert_eq!(is(segments(12_800, 0)), (false, true), "{ends:?}: cut");
        let single = PacketCounts { packets_sent: 12_800, ..segments(100, 12_800) };
        assert_eq!(is(single), (false, false), "{ends:?}: sent one by one");
        // Joined by the receiver, where that is another host.
        assert_eq!(segments(260, 12_800).are_uncut(ends), ends != Topology::Remote, "{ends:?}");
    }
    let lossy =
        PacketCounts { arrived: 6_390, packets_received: 50, uncut: 6_390, ..segments(0, 0) };
    assert!(lossy.are_uncut(Topology::Remote));
    assert!(!PacketCounts::default().are_uncut(Topology::SameNetns));
}

#[test]
fn an_earlier_outage_is_not_why_a_sender_gave_up() {
    let cause = super::super::Cause {
        what: "ICMP 3/3".to_owned(),
        said_by: None,
        message: "port unreachable".to_owned(),
    };
    let outage = OutageCounts { from: Nanos(5), until: Nanos(9), cause, errors: 3 };
    for (unreachable, received, expected) in
        [(false, 0, CutShort::Stuck), (true, 0, CutShort::Unreachable), (true, 1, CutShort::Stuck)]
    {
        let outages = vec![outage.clone()];
        let tx = TxResult { stuck: true, unreachable, outages, ..TxResult::default() };
        let tally = RxTally { received, ..RxTally::default() };
        let rx = RxResult { tally, ..RxResult::default() };
        assert_eq!(CellResult::of(tx, Some(rx), Topology::SameNetns).cut_short, Some(expected));
    }
}

#[test]
fn the_wider_bound_is_that_of_both() {
    let mut one = OneWay::default();
    assert_eq!(one.bound, Nanos::ZERO);
    one.from_schedule.record(1_500);
    one.in_socket.record(100);
    let mut one = one.shifted(-1_000, Nanos(12));
    assert_eq!((one.from_schedule.min_ns(), one.in_socket.min_ns()), (Some(500), Some(100)));
    one.merge(&OneWay { bound: Nanos(30), ..OneWay::default() });
    one.merge(&OneWay { bound: Nanos(7), ..OneWay::default() });
    assert_eq!(one.bound, Nanos(30));
}
