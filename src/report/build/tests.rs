use super::*;
use crate::unit::Nanos;

#[test]
fn rates_count_datagrams_due_in_the_window() {
    // Three datagrams that all arrive after the last departure, one that does not, and a tail.
    for (received, read_in_window) in [(3, 0), (4, 1), (600, 550), (0, 0)] {
        let mut result = CellResult::default();
        result.tx.end = Nanos(3_000_000_000);
        let tally = &mut result.rx.tally;
        (tally.received, tally.read_in_window) = (received, read_in_window);
        tally.bytes = received * 64;
        let plan = plan();
        let side = rx_side(&plan, None, &result);
        assert_eq!(side.pps, result.delivered_pps());
        assert_eq!(side.pps, Some(received as f64 / 3.0));
        assert_eq!(side.bits_per_second, Some(received as f64 * 512.0 / 3.0));
        assert_eq!(side.datagrams_in_window, received);
        assert_eq!(side.datagrams_after_window, Some(received - read_in_window));
    }
}

#[test]
fn datagrams_after_a_window_of_unknown_end_are_unknown() {
    let mut plan = plan();
    let mut result = CellResult::default();
    (result.rx.tally.received, result.rx.tally.read_in_window) = (9, 4);
    let tail = |plan: &Plan, result: &CellResult, direction| {
        rx_side(plan, direction, result).datagrams_after_window
    };
    let there = Some(Direction::Forward);
    assert_eq!(tail(&plan, &result, there), Some(5));
    result.cut_short = Some(CutShort::Interrupted);
    assert_eq!(tail(&plan, &result, there), None);
    result.cut_short = None;
    plan.scenario.limit = Limit::Count(9);
    assert_eq!((tail(&plan, &result, there), tail(&plan, &result, None)), (None, Some(5)));
}

#[test]
fn huge_counts_of_another_host_do_not_panic() {
    let plan = plan();
    let all = u64::MAX;
    let mut huge = CellResult { ends: Topology::Remote, ..CellResult::default() };
    let (tx, rx) = (&mut huge.tx.tally, &mut huge.rx.tally);
    (tx.sent, tx.packets, tx.bytes) = (all, all, all);
    (tx.refused.no_buffers, tx.refused.other) = (all, all);
    (rx.arrived, rx.bytes, rx.duplicate) = (all, all, all);
    (rx.read_in_window, rx.syscalls_in_window) = (1, all);
    let switches = crate::document::ContextSwitches { voluntary: all, involuntary: 1 };
    (huge.rx.usage.cpu, huge.rx.usage.context_switches) = (Some(Nanos(all)), Some(switches));
    huge.tx.usage = huge.rx.usage;
    let udp = measure::UdpCounters { in_datagrams: all, rcvbuf_errors: all, ..Default::default() };
    let ip = measure::IpCounters { in_discards: all, reassembly: all, ..Default::default() };
    let [sockets, backlog, device, tx_device, qdisc] = [Some(all); 5];
    let (udp, ip, rest) = (Some(udp), Some(ip), measure::KernelDelta::default());
    let kernel =
        measure::KernelDelta { sockets, udp, ip, backlog, device, tx_device, qdisc, ..rest };
    (huge.rx.kernel, huge.tx.kernel) = (kernel, kernel);
    huge.tx.end = Nanos(1);
    (huge.tx.stalls.count, huge.rx.stalls.count) = (all, all);
    huge.tx.timing = Some(measure::Timing { scheduled: all, missed: all, ..Default::default() });
    huge.rx.latency.from_schedule.record(all);
    huge.rx.exchange = Some(measure::RequestCounts { stale: all, ..Default::default() });
    (huge.tx.flows, huge.rx.flows) = (vec![all, all], vec![0, all]);
    huge.rx.workers = vec![all, all];
    for received in [0, 1, all] {
        huge.rx.tally.received = received;
        let (load, direction) = (WorkerLoad::FlatOut, Some(Direction::Forward));
        let (planned, result) = (&plan.cells[0], &huge);
        let facts =
            CellFacts { plan: &plan, cell: planned, load, direction, result, code_name: None };
        let cell = cell(facts);
        let costs = &cell.per_datagram;
        assert_eq!((cell.ledger.sent, costs.context_switches), (all, None));
        assert!(received == 0 || costs.cpu_ns > Some(1e17) && costs.syscalls > Some(1e17));
        let _ = measure::ledger_identities(&huge.ledger());
    }
}

fn plan() -> Plan {
    Plan::new(Scenario::default(), &plan::Machine::default()).unwrap()
}

#[test]
fn figures_below_the_bound_are_withheld() {
    let [mut all, mut part] = [(); 2].map(|()| measure::LatencyHistograms::default());
    (1..=100).for_each(|step| all.record(step * 2));
    part.record(200);
    let of = |bound_ns, from, lost| {
        let mut result = CellResult::default();
        result.rx.latency.bound = Nanos(bound_ns);
        let one = latency(&all, from, &result, lost, Some(&part)).unwrap();
        let (limits, outside) = (one.upper_limits.unwrap_or_default(), one.outside_stalls.clone());
        (one, limits, outside.unwrap())
    };
    let (one, _, outside) = of(100, "schedule", 0);
    assert_eq!((one.bound_ns, one.count), (100, 100));
    assert_eq!((one.max_ns, one.mean_ns), (Some(200), Some(101)));
    assert_eq!((one.min_ns, one.p50_ns, one.p90_ns), (None, Some(100), Some(180)));
    assert_eq!(one.p99_with_loss_ns, Some(198));
    assert_eq!((outside.p50_ns, outside.p99_ns), (Some(100), Some(198)));
    // The true value may exceed the measured one by the bound.
    let (one, limits, outside) = of(190, "send", 0);
    assert_eq!((one.p50_ns, one.p90_ns, one.p99_ns), (None, None, Some(198)));
    assert_eq!((limits.min_ns, limits.p50_ns, limits.p90_ns), (Some(192), Some(290), Some(370)));
    assert_eq!((limits.p99_ns, limits.p99_with_loss_ns), (None, None));
    assert_eq!((one.mean_ns, limits.mean_ns), (None, Some(291)));
    assert_eq!((one.max_ns, limits.max_ns), (Some(200), None));
    let limits = outside.upper_limits.unwrap();
    assert_eq!((outside.p50_ns, limits.p50_ns, limits.p99_ns), (None, Some(290), None));
    let (one, limits, outside) = of(201, "send", 0);
    assert_eq!((one.max_ns, limits.max_ns), (None, Some(401)));
    assert_eq!((outside.max_ns, outside.upper_limits.unwrap().max_ns), (None, Some(399)));
    // A percentile among lost datagrams has no limit.
    let (one, limits, _) = of(190, "send", 2);
    assert_eq!((one.p99_with_loss_ns, limits.p99_with_loss_ns), (None, None));
    // Both timestamps are from the receiver's host.
    let (one, ..) = of(190, "kernel", 0);
    assert_eq!((one.bound_ns, one.min_ns, one.p50_ns), (0, Some(2), Some(100)));
}
