//! What holds where nothing of Linux is known: `RUSTFLAGS="--cfg udperf_portable" cargo test` builds
//! the inert twins of `sys`; without it, the same must hold with the live ones.
#![allow(missing_docs, clippy::unwrap_used)]

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use udperf::echo::{EchoEnd, EchoEvent, EchoOptions};
use udperf::host::Depth;
use udperf::measure::{CellResult, LedgerIdentity, Usage, ledger_identities};
use udperf::net::Options;
use udperf::plan::{
    DropRule, EchoKind, EnginePair, EngineWord, Limit, Plan, PlanError, Scenario, WaitKind,
};
use udperf::run;
use udperf::unit::{Nanos, PacketRate, PayloadSize, Rate};

/// Datagrams of a cell. Arbitrary: many batches.
const COUNT: u64 = 1_000;

fn scenario(rate: Rate, wait: WaitKind) -> Scenario {
    Scenario {
        sizes: vec![PayloadSize::Fixed(64)],
        engines: vec![EngineWord::All],
        rates: vec![rate],
        limit: Limit::Count(COUNT),
        warmup: Nanos::ZERO,
        wait,
        ..Scenario::default()
    }
}

#[test]
fn a_bench_runs_and_its_ledger_adds_up_whatever_the_system_tells() {
    let machine = udperf::host::machine(&udperf::host::host_info(Depth::Quick));
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
            &mut run::LocalRunner::default(),
            &Arc::new(AtomicBool::new(false)),
            &mut (),
        );
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        for measured in &outcome.measured {
            check(&measured.result);
        }
    }
}

fn check(result: &CellResult) {
    let ledger = result.ledger();
    assert!(ledger_identities(&ledger).iter().all(LedgerIdentity::holds), "{ledger:?}");
    assert_eq!(ledger.sent, COUNT);
    assert_eq!(Some(result.rx.latency.from_schedule.count()), ledger.received);
    if cfg!(udperf_portable) {
        assert_eq!(result.rx.kernel.sockets, None, "inert twins know no counters");
        assert!(ledger.lost_at.places().iter().all(|(_, count)| count.unwrap_or(0) == 0));
        assert_eq!(result.tx.usage, Usage::default());
    } else if cfg!(target_os = "linux") {
        assert!(result.rx.kernel.sockets.is_some());
        assert_eq!(ledger.unaccounted, Some(0));
    }
}

#[test]
fn what_a_system_has_not_is_missing_by_name() {
    let machine = udperf::host::machine(&udperf::host::host_info(Depth::Quick));
    for pair in [EnginePair::BATCH, EnginePair::OFFLOAD, EnginePair::URING] {
        let asked = Scenario { engines: vec![EngineWord::Pair(pair)], ..Scenario::default() };
        match (machine.lacks(pair), Plan::new(asked, &machine)) {
            (None, planned) => assert!(planned.is_ok()),
            (Some(missing), Err(PlanError::NoEngine { requested, missing: named })) => {
                assert_eq!((requested, &named), (pair, missing));
            }
            (missing, planned) => panic!("{missing:?}: {planned:?}"),
        }
    }
    assert_eq!(machine.lacks(EnginePair::PLAIN), None);
    assert!(!cfg!(udperf_portable) || machine.lacks(EnginePair::BATCH).is_some());
}

#[test]
fn an_echo_server_answers_on_every_system() {
    let mut client = None;
    let machine = udperf::host::machine(&udperf::host::host_info(Depth::Quick));
    for (word, delay) in [("auto", None), ("plain", None), ("plain", Some(Nanos(2_000_000)))] {
        let options = EchoOptions {
            socket: Options { bind: "127.0.0.1:0".parse().unwrap(), ..Options::default() },
            dual: false,
            engine: EchoKind::choose(word.parse().unwrap(), &machine).unwrap(),
            threads: 1,
            cores: Vec::new(),
            wait: WaitKind::Hybrid,
            realtime: false,
            delay,
            drop: Some(DropRule::Every(3)),
            seed: 1,
            count: Some(30),
            time: None,
            idle: None,
            clients: Vec::new(),
            interval: None,
        };
        let (tally, end) = udperf::echo::echo(&options, &AtomicBool::new(false), &mut |event| {
            let EchoEvent::Listening(at, _) = event else { return };
            client = Some(std::thread::spawn(move || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(at).unwrap();
                (0..30).for_each(|number| assert_eq!(socket.send(&[number; 9]).unwrap(), 9));
                (0..20).map(|_| socket.recv(&mut [0; 16]).unwrap()).sum::<usize>()
            }));
        })
        .unwrap();
        assert_eq!(client.take().unwrap().join().unwrap(), 20 * 9, "{word}");
        assert_eq!(
            (tally.counters.received, tally.counters.returned, end),
            (30, 20, EchoEnd::Count),
            "{word}"
        );
        assert_eq!((tally.dropped, tally.waiting, tally.counters.refused.total()), (10, 0, 0));
    }
}
