//! What holds where nothing of Linux is known: `RUSTFLAGS="--cfg udperf_portable" cargo test` builds
//! the inert twins of `sys`; without it, the same must hold with the live ones.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use udperf::plan::{Limit, Machine, Plan, Scenario, WaitKind};
use udperf::run;
use udperf::unit::{Nanos, PacketRate, PayloadSize, Rate};

fn scenario(rate: Rate, wait: WaitKind) -> Scenario {
    Scenario {
        sizes: vec![PayloadSize::Fixed(64)],
        rates: vec![rate],
        limit: Limit::Count(2_000),
        warmup: Nanos::ZERO,
        wait,
        ..Scenario::default()
    }
}

#[test]
fn a_bench_runs_and_its_ledger_adds_up_whatever_the_system_tells() {
    let paced = Rate::Pps(PacketRate::from_pps(20_000.0).unwrap());
    for (rate, wait) in [
        (Rate::Max, WaitKind::Hybrid),
        (paced, WaitKind::Hybrid),
        (paced, WaitKind::Epoll),
        (paced, WaitKind::Spin),
    ] {
        let plan = Plan::new(scenario(rate, wait), &Machine::default()).unwrap();
        let outcome = run::run(&plan, &Arc::new(AtomicBool::new(false)), &mut ());
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        let harvest = &outcome.measured[0].harvest;
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
}
