//! What holds where nothing of Linux is known: `RUSTFLAGS="--cfg udperf_portable" cargo test` builds
//! the inert twins of `sys`; without it, the same must hold with the live ones.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use udperf::measure::Harvest;
use udperf::plan::{EnginePair, EngineWord, Limit, Plan, PlanError, Scenario, WaitKind};
use udperf::run::{self, Depth};
use udperf::unit::{Nanos, PacketRate, PayloadSize, Rate};

fn scenario(rate: Rate, wait: WaitKind) -> Scenario {
    Scenario {
        sizes: vec![PayloadSize::Fixed(64)],
        engines: vec![EngineWord::All],
        rates: vec![rate],
        limit: Limit::Count(2_000),
        warmup: Nanos::ZERO,
        wait,
        ..Scenario::default()
    }
}

#[test]
fn a_bench_runs_and_its_ledger_adds_up_whatever_the_system_tells() {
    let machine = run::machine(&run::survey(Depth::Quick));
    let paced = Rate::Pps(PacketRate::from_pps(20_000.0).unwrap());
    for (rate, wait) in [
        (Rate::Max, WaitKind::Hybrid),
        (paced, WaitKind::Hybrid),
        (paced, WaitKind::Epoll),
        (paced, WaitKind::Spin),
    ] {
        let plan = Plan::new(scenario(rate, wait), &machine).unwrap();
        if cfg!(udperf_portable) {
            assert_eq!(plan.cells.len(), 1, "plain is what every system has");
        }
        let outcome = run::run(
            &plan,
            &mut run::OneHost::default(),
            &Arc::new(AtomicBool::new(false)),
            &mut (),
        );
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        for measured in &outcome.measured {
            check(&measured.harvest);
        }
    }
}

fn check(harvest: &Harvest) {
    let ledger = harvest.ledger();
    assert_eq!(ledger.broken_identity(), None);
    assert_eq!(ledger.sent, 2_000);
    assert_eq!(harvest.latency.from_schedule.count(), ledger.received);
    if cfg!(udperf_portable) {
        assert_eq!(harvest.kernel.sockets, None, "inert twins know no counters");
        assert_eq!(ledger.lost_at.total(), 0);
        assert_eq!(harvest.tx_cpu, None);
    } else if cfg!(target_os = "linux") {
        assert!(harvest.kernel.sockets.is_some());
        assert_eq!(ledger.unaccounted, 0);
    }
}

#[test]
fn what_a_system_has_not_is_missing_by_name() {
    let machine = run::machine(&run::survey(Depth::Quick));
    for pair in [EnginePair::BATCH, EnginePair::OFFLOAD, EnginePair::URING] {
        let asked = Scenario { engines: vec![EngineWord::Pair(pair)], ..Scenario::default() };
        match (machine.lacks(pair), Plan::new(asked, &machine)) {
            (None, planned) => assert!(planned.is_ok()),
            (Some(missing), Err(PlanError::NoEngine { asked, missing: named })) => {
                assert_eq!((asked, &named), (pair, missing));
            }
            (missing, planned) => panic!("{missing:?}: {planned:?}"),
        }
    }
    assert_eq!(machine.lacks(EnginePair::PLAIN), None);
    assert!(!cfg!(udperf_portable) || machine.lacks(EnginePair::BATCH).is_some());
}
