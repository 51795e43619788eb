//! The parts of the processes of one run: together they are the schedule of one process, and
//! their merged results those of one.

use proptest::prelude::*;
use udperf::document::KernelDrops;
use udperf::engine::{EnginePair, NullLink, NullTx};
use udperf::measure::{
    CellResult, KernelDelta, LatencyHistograms, RxTally, SeparateCounters, TxTally, UdpCounters,
    ledger_identities, merge_members,
};
use udperf::pace::{Arrivals, Due, Part, Slots};
use udperf::plan::{EngineWord, Limit, Machine, Member, Pinning, Plan, Scenario, WorkerLoad};
use udperf::run::{Phase, PhaseState, SendJob};
use udperf::unit::{Nanos, PacketRate, hash_u64};

/// When the senders of one process of a run send, if they are always on time.
fn departures(member: Member, threads: u16, load: WorkerLoad, limit: Limit) -> Vec<u64> {
    let scenario = Scenario {
        engines: vec![EngineWord::Pair(EnginePair::NULL)],
        pin: Pinning::Off,
        streams: threads,
        threads,
        member,
        limit,
        ..Scenario::default()
    };
    let plan = Plan::new(scenario, &Machine::default()).unwrap();
    let mut all = Vec::new();
    for config in plan.tx_configs(&plan.cells[0], load) {
        let flows = config.common.flows.clone();
        let tx = NullTx::new(NullLink::new(threads.into()), flows.start.into(), config.common.size);
        let mut job = SendJob::new(&config, &tx);
        let control = PhaseState::new(std::sync::Arc::default(), threads.into());
        let epoch = Nanos::ZERO;
        job.start(&config, &Phase { epoch, tag: 2, limit, load, control });
        let mut now = Nanos::ZERO;
        loop {
            match job.pace.due(now, 64) {
                Due::Over => break,
                Due::At(at) => now = at,
                Due::Now(count) => {
                    all.extend((0..count).map(|i| job.pace.intended(i, now).0));
                    job.pace.advance(count as u64, 0);
                }
            }
        }
    }
    all
}

fn loads() -> impl Strategy<Value = (WorkerLoad, Arrivals)> {
    let rate = || {
        (1_000_u64..200_000_000).prop_map(|milli| PacketRate::from_pps(milli as f64 / 1e3).unwrap())
    };
    prop_oneof![
        rate().prop_map(|rate| (WorkerLoad::Even(rate), Arrivals::Even(rate))),
        (rate(), 1_u32..40)
            .prop_map(|(rate, size)| (WorkerLoad::Burst(rate, size), Arrivals::Burst(rate, size))),
        (rate(), rate(), 1_u64..2_000_000_000).prop_map(|(from, to, over)| {
            (WorkerLoad::Ramp(from, to, Nanos(over)), Arrivals::Ramp(from, to, over))
        }),
    ]
}

proptest! {
    #![proptest_config(crate::cases::cases())]

    #[test]
    #[ignore = "long: scripts/check runs it"]
    fn processes_share_a_schedule_exactly(
        (load, arrivals) in loads(),
        of in 1_u16..40,
        threads in 1_u16..6,
        (is_count, count) in (any::<bool>(), 1_u64..3_000),
    ) {
        let mut alone = Slots::new(arrivals, Part { index: 0, of: 1 });
        let mut whole: Vec<_> = (0..count).map(|_| alone.next_ns()).collect();
        let limit = if is_count {
            Limit::Count(count)
        } else {
            // A moment between two slots, so that rounding decides nothing.
            let end = (whole[whole.len() / 2] + 2).max(1_000_000);
            whole.extend((0..).map(|_| alone.next_ns()).take_while(|&at| at < end).take(100_000));
            whole.retain(|&at| at < end);
            Limit::Time(Nanos(end))
        };
        prop_assume!(whole.len() < 50_000);
        let parts: Vec<_> = (0..of).map(|rank| {
            departures(Member { rank, of, ..Member::default() }, threads, load, limit)
        }).collect();
        if is_count && !matches!(load, WorkerLoad::Burst(..)) {
            // As even as can be, by workers.
            let (fewest, most) = (parts.iter().map(Vec::len).min(), parts.iter().map(Vec::len).max());
            prop_assert!(most.unwrap() - fewest.unwrap() <= usize::from(threads));
        }
        let mut together = parts.concat();
        prop_assert_eq!(together.len(), whole.len());
        together.sort_unstable();
        // Groups are sent whole, so that a count does not end with the group of one process.
        if !matches!((load, is_count), (WorkerLoad::Burst(..), true)) {
            prop_assert_eq!(together, whole);
        }
    }
}

/// What a process has that received these latencies, and lost as many datagrams as `lost`.
fn part(latencies_ns: &[u64], lost: u64) -> CellResult {
    let mut part = CellResult::default();
    let received = latencies_ns.len() as u64;
    part.tx.tally =
        TxTally { sent: received + lost, packets: received + lost, ..TxTally::default() };
    part.rx.tally =
        RxTally { received, arrived: received, packets: received, ..RxTally::default() };
    latencies_ns.iter().for_each(|&ns| part.rx.latency.from_schedule.record(ns));
    (part.tx.flows, part.rx.flows) = (vec![received + lost], vec![received]);
    part.tx.end = Nanos::from_millis(1_000);
    part
}

/// Those of processes that began together.
fn merged(parts: &[CellResult]) -> Option<CellResult> {
    let parts = parts.iter().map(|part| (part.clone(), Nanos::ZERO));
    merge_members(parts, SeparateCounters::default())
}

fn figures(latency: &LatencyHistograms) -> Vec<Option<u64>> {
    let quantiles = [0.0, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0];
    let exact = [latency.min_ns(), latency.max_ns(), latency.mean_ns(), latency.stdev_ns()];
    let quantiles = quantiles.map(|quantile| latency.quantile_ns(quantile));
    exact.into_iter().chain(quantiles).chain([Some(latency.count())]).collect()
}

#[test]
fn a_merged_histogram_is_that_of_all_values() {
    // 1 to 10,000 µs, shuffled; the last process has few and slow ones.
    let mut all: Vec<_> = (1..=10_000).map(|us| us * 1_000).collect();
    all.sort_by_key(|&ns| (ns > 9_000_000, hash_u64(ns)));
    let (first, rest) = all.split_at(5_000);
    let (second, third) = rest.split_at(4_000);
    let parts = [part(first, 3), part(second, 0), part(third, 40)];
    let whole = merged(&parts).unwrap();
    let latency = &whole.rx.latency.from_schedule;
    assert_eq!(figures(latency), figures(&part(&all, 0).rx.latency.from_schedule));
    // Not the mean of percentiles: the slow process has a tenth of all values.
    let within = |quantile, expected_ns: u64| {
        let found = latency.quantile_ns(quantile).unwrap();
        assert!(found.abs_diff(expected_ns) <= expected_ns / 1_000, "{quantile}: {found}");
    };
    within(0.5, 5_000_000);
    within(0.99, 9_900_000);
    let ledger = whole.ledger();
    assert_eq!((ledger.sent, ledger.received, ledger.lost), (10_043, Some(10_000), Some(43)));
    assert_eq!(whole.flows(), [(5_003, 5_000), (4_000, 4_000), (1_040, 1_000)]);
    assert!(ledger_identities(&ledger).iter().all(|one| one.holds()), "{ledger:?}");
}

/// A process whose kernel counted so many drops at its receivers.
fn counted(sockets: u64, backlog: Option<u64>, readings: &[(u32, u64)]) -> CellResult {
    let mut one = part(&[], 0);
    let udp = UdpCounters { in_datagrams: 10 * sockets, ..UdpCounters::default() };
    one.rx.kernel =
        KernelDelta { sockets: Some(sockets), udp: Some(udp), backlog, ..KernelDelta::default() };
    let reading = |(index, drops): &(u32, u64)| {
        let receive_buffer = Some(*drops);
        (*index, KernelDrops { receive_buffer, backlog, ..KernelDrops::default() })
    };
    one.rx.drop_readings = readings.iter().map(reading).collect();
    one.tx.stolen = backlog.map(Nanos);
    one
}

#[test]
fn kernel_counters_are_added_up_where_none_counts_twice() {
    let parts = [counted(3, Some(40), &[(1, 1), (2, 3), (9, 3)]), counted(5, Some(41), &[(2, 5)])];
    let merged = |rx, kernels, delay| {
        let all = parts.iter().zip([Nanos::ZERO, delay]);
        let all = all.map(|(part, delay)| (part.clone(), delay));
        let whole = merge_members(all, SeparateCounters { tx: false, rx, kernels }).unwrap();
        // What a hypervisor took is of a kernel, as its backlog is.
        assert_eq!(whole.stolen(), Some(Nanos(if kernels { 81 } else { 41 })));
        (whole.rx.kernel, whole.rx.drop_readings)
    };
    assert_eq!(merged(false, true, Nanos::ZERO), (KernelDelta::default(), Vec::new()));
    for (kernels, backlog) in [(true, Some(81)), (false, Some(41))] {
        let (kernel, readings) = merged(true, kernels, Nanos::ZERO);
        assert_eq!((kernel.sockets, kernel.backlog), (Some(8), backlog));
        assert_eq!(kernel.udp.unwrap().in_datagrams, 80);
        // At the ends of other intervals, only one of them read.
        let [(2, drops)] = readings[..] else { panic!("{readings:?}") };
        assert_eq!((drops.receive_buffer, drops.backlog), (Some(8), backlog));
        assert_eq!(drops.qdisc, None);
    }
    // Their intervals are not of one time.
    assert_eq!(merged(true, true, Nanos::from_millis(1)).1, []);
}

#[test]
fn what_one_process_does_not_know_the_whole_does_not() {
    let known = part(&[1_000; 7], 2);
    let one_ended = CellResult { one_ended: true, ..part(&[], 5) };
    let whole = merged(&[known.clone(), one_ended]).unwrap();
    assert!(whole.one_ended);
    assert_eq!((whole.ledger().sent, whole.ledger().received), (14, None));
    assert!(merged(&[]).is_none());
    // The only one stays as it is.
    let alone = merged(std::slice::from_ref(&known)).unwrap();
    assert_eq!(alone.ledger(), known.ledger());
}
