//! Nothing allocates after the start barrier: how often the workers allocate does not depend on how
//! much they send, and the send loop itself allocates nothing at all.
#![allow(missing_docs, clippy::unwrap_used, unsafe_code)]

#[path = "common/skip.rs"]
mod skip;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mio::Interest;
use udperf::clock::Clock;
use udperf::echo::{EchoEnd, EchoEvent, EchoOptions};
use udperf::engine::{ENGINES, EngineRow, NullLink, NullRx, NullTx, Tx};
use udperf::host::Depth;
use udperf::host::Meter;
use udperf::measure::ClientBoard;
use udperf::net::{Options, Waiter};
use udperf::payload::{Dns, Names, Preset, RequestSource, Spec, Then};
use udperf::plan::{
    DropRule, EchoKind, EnginePair, EngineWord, Limit, Machine, Member, Pinning, Plan,
    RequestOptions, Route, RxKind, Scenario, TimestampKind, TxKind, WaitKind, WorkerLoad,
};
use udperf::request::{RequestRunner, RequestSpec, RunIds};
use udperf::run;
use udperf::run::{Drops, Phase, PhaseState, ReceiveJob, ReceiveProbe, SendJob, receive, send};
use udperf::unit::{Nanos, PacketRate, PayloadSize, Rate};
use udperf::wire::{self, Header};

const SIZE: PayloadSize = PayloadSize::Fixed(64);

/// Counts the allocations of this thread, and those of all threads named as workers.
struct Counting;

static BY_WORKERS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static BY_THIS_THREAD: Cell<u64> = const { Cell::new(0) };
    static LARGEST_OF_THIS_THREAD: Cell<usize> = const { Cell::new(0) };
    static IS_WORKER: Cell<Option<bool>> = const { Cell::new(None) };
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

fn count(size: usize) {
    let _ = LARGEST_OF_THIS_THREAD.try_with(|largest| largest.set(largest.get().max(size)));
    let _ = BY_THIS_THREAD.try_with(|count| count.set(count.get() + 1));
    let worker = IS_WORKER.try_with(|known| {
        if known.get().is_none() && !ASKING.replace(true) {
            // Asking a thread for its name allocates the first time.
            let name = std::thread::current().name().map(str::to_owned);
            known.set(Some(name.is_some_and(|name| name.starts_with("udperf-"))));
            ASKING.set(false);
        }
        known.get() == Some(true)
    });
    if worker == Ok(true) {
        BY_WORKERS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: all memory comes from and goes back to the system's allocator; only counters are beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn scenario(engine: EnginePair, rate: Rate, wait: WaitKind, count: u64) -> Scenario {
    Scenario {
        sizes: vec![PayloadSize::Fixed(64)],
        engines: vec![EngineWord::Pair(engine)],
        rates: vec![rate],
        limit: Limit::Count(count),
        warmup: Nanos::ZERO,
        streams: 3,
        pin: Pinning::Off,
        wait,
        ..Scenario::default()
    }
}

/// Allocations of all workers in a run of so many datagrams.
fn allocations(scenario: Scenario) -> u64 {
    let count = match scenario.limit {
        Limit::Count(count) => count,
        Limit::Time(_) => unreachable!("these runs have a count"),
    };
    let plan = Plan::new(scenario, &Machine::default()).unwrap();
    let before = BY_WORKERS.load(Ordering::Relaxed);
    let outcome = run::run(
        &plan,
        &mut run::LocalRunner::default(),
        &Arc::new(AtomicBool::new(false)),
        &mut (),
    );
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(outcome.measured[0].result.tx.tally.sent, count);
    BY_WORKERS.load(Ordering::Relaxed) - before
}

#[test]
fn a_long_line_of_names_is_not_copied() {
    /// Bytes of a line; arbitrary, far more than any name has.
    const LONG: usize = 1 << 20;
    // Good names are short, so what is kept of a file is short, too.
    for byte in [0, b'a', 0xFF] {
        let mut bytes = b"good.example\n".to_vec();
        bytes.resize(LONG, byte);
        let mut dns = Dns::of(".");
        dns.names = Names::Lines { bytes: bytes.into(), strict: false };
        let spec = Spec::of(RequestSource::Preset(Preset::Dns(dns)));
        LARGEST_OF_THIS_THREAD.set(0);
        let (requests, _) = spec.compile(7).unwrap();
        let largest = LARGEST_OF_THIS_THREAD.get();
        assert_eq!(requests.variants(), 1, "{byte}");
        assert!((1..LONG / 16).contains(&largest), "{byte}: {largest} bytes at once");
    }
}

/// Tests of workers run one at a time, so that no other worker allocates meanwhile.
static WORKERS: Mutex<()> = Mutex::new(());

/// Datagrams of the longer run of each loop; the shorter one has 100.
struct Counts {
    local: u64,
    echo: u64,
    requests: u64,
}

#[test]
fn nothing_is_allocated_between_barrier_and_stop() {
    workers_do_not_allocate(&Counts { local: 2_000, echo: 2_000, requests: 1_000 });
    the_send_loop_allocates_nothing();
    the_receive_loop_allocates_nothing();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn nothing_is_allocated_in_long_runs() {
    workers_do_not_allocate(&Counts { local: 50_000, echo: 10_000, requests: 10_000 });
}

fn workers_do_not_allocate(counts: &Counts) {
    let _one_at_a_time = WORKERS.lock().unwrap_or_else(PoisonError::into_inner);
    let fast = Rate::Pps(PacketRate::from_pps(200_000.0).unwrap());
    let machine = udperf::host::machine(&udperf::host::host_info(Depth::Quick));
    for (engine, rate, wait) in [
        (EnginePair::PLAIN, Rate::Max, WaitKind::Hybrid),
        (EnginePair::PLAIN, Rate::Max, WaitKind::Epoll),
        (EnginePair::PLAIN, fast, WaitKind::Spin),
        (EnginePair::NULL, Rate::Max, WaitKind::Hybrid),
        (EnginePair::BATCH, Rate::Max, WaitKind::Hybrid),
        (EnginePair::BATCH, fast, WaitKind::Epoll),
        (EnginePair::OFFLOAD, Rate::Max, WaitKind::Hybrid),
        (EnginePair::OFFLOAD, fast, WaitKind::Spin),
        (EnginePair::URING, Rate::Max, WaitKind::Hybrid),
        (EnginePair::URING, fast, WaitKind::Epoll),
    ] {
        if let Some(missing) = machine.lacks(engine) {
            skip::unavailable(format_args!("{missing:?}"));
            continue;
        }
        for timestamps in [TimestampKind::User, TimestampKind::Kernel] {
            let run = |count| {
                let scenario = scenario(engine, rate, wait, count);
                allocations(Scenario { timestamps, ..scenario })
            };
            let (few, many) = (run(100), run(counts.local));
            assert!(few > 0, "the counter counts workers");
            // Outside the loops, a worker that has to wait for its orders allocates twice. What was
            // allocated a datagram, a batch, or only a sample, would show as hundreds.
            let case = format!("{engine:?} {rate} {wait:?} {timestamps:?}");
            assert!(many < few + 10, "{case}: {few}, then {many}");
        }
    }
    the_echo_loop_allocates_nothing(counts.echo);
    the_request_loop_allocates_nothing(counts.requests);
}

/// Allocations of the worker of an echo server that returns so many datagrams.
fn echo_allocations(engine: EchoKind, delay: Option<Nanos>, count: u64) -> u64 {
    let options = EchoOptions {
        socket: Options::default(),
        dual: false,
        engine,
        threads: 1,
        cores: Vec::new(),
        wait: WaitKind::Epoll,
        realtime: false,
        delay,
        drop: Some(DropRule::Every(2)),
        seed: 1,
        count: Some(count),
        time: None,
        idle: None,
        clients: vec![ClientBoard::new()],
        interval: Some(Nanos::from_millis(250)),
    };
    let before = BY_WORKERS.load(Ordering::Relaxed);
    let mut client = None;
    let (tally, end) = udperf::echo::echo(&options, &AtomicBool::new(false), &mut |event| {
        let EchoEvent::Listening(at, _) = event else { return };
        client = Some(std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(("127.0.0.1", at.port())).unwrap();
            for _ in 0..count / 2 {
                socket.send(&[0; 64]).unwrap();
                socket.send(&[0; 64]).unwrap();
                assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 64);
            }
        }));
    })
    .unwrap();
    client.unwrap().join().unwrap();
    assert_eq!(
        (tally.counters.received, tally.counters.returned, end),
        (count, count / 2, EchoEnd::Count)
    );
    BY_WORKERS.load(Ordering::Relaxed) - before
}

fn the_echo_loop_allocates_nothing(count: u64) {
    if !cfg!(target_os = "linux") {
        return skip::unavailable(format_args!("echo has no batch and no offload here"));
    }
    let machine = udperf::host::machine(&udperf::host::host_info(Depth::Quick));
    let echo = |row: &EngineRow| Some((row.echo?, row.pair()?));
    for (engine, pair) in ENGINES.iter().filter_map(echo) {
        if let Some(missing) = machine.lacks(pair) {
            skip::unavailable(format_args!("{missing:?}"));
            continue;
        }
        for delay in [None, Some(Nanos(1_000))] {
            let [few, many] = [100, count].map(|count| echo_allocations(engine, delay, count));
            assert!(few > 0, "the counter counts workers");
            assert!(many < few + 10, "{engine:?} {delay:?}: {few}, then {many}");
        }
    }
}

/// Allocations of the worker that asks an echo server so often.
fn request_allocations(
    engine: EnginePair,
    outstanding: Option<u32>,
    then: Option<Then>,
    count: u64,
) -> u64 {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let timeout = std::time::Duration::from_millis(50);
    server.set_read_timeout(Some(timeout)).unwrap();
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while !ended.load(Ordering::Relaxed) {
            if let Ok((len, from)) = server.recv_from(&mut buffer) {
                server.send_to(&buffer[..len], from).unwrap();
            }
        }
    });
    let source = match then {
        Some(_) => RequestSource::Text("{id:dec19}".to_owned()),
        None => RequestSource::Preset(Preset::Echo { size: 64 }),
    };
    let has_two = then.is_some();
    let spec = Spec { then, ..Spec::of(source) };
    let (mut requests, mut matching) = spec.compile(1).unwrap();
    let second = spec.compile_second(1, &mut requests, &mut matching).unwrap().map(Arc::new);
    let largest = requests.largest as u16;
    let size = if has_two { PayloadSize::Varied { mean: largest, largest } } else { SIZE };
    let (requests, matching) = (Arc::new(requests), Arc::new(matching));
    let dialogue = RequestSpec { requests, matching, second };
    let asking = RequestOptions {
        requests: String::new(),
        replies: String::new(),
        timeout: Nanos::from_millis(500),
        outstanding,
        recorded: None,
        in_order: false,
        id_bits: 64,
        ..RequestOptions::default()
    };
    let slow = Rate::Pps(PacketRate::from_pps(20_000.0).unwrap());
    let rate = if outstanding.is_some() { Rate::Max } else { slow };
    let scenario = Scenario {
        route: Route::Request,
        bind: [0, 0, 0, 0].into(),
        asking: Some(asking),
        sizes: vec![size],
        ..scenario(engine, rate, WaitKind::Hybrid, count)
    };
    let plan = Plan::new(scenario, &Machine::default()).unwrap();
    let before = BY_WORKERS.load(Ordering::Relaxed);
    let ids = Arc::new(RunIds::new(1, Member::default()));
    let mut runner = RequestRunner::new(target, vec![(size, dialogue)], true, ids);
    let outcome = run::run(&plan, &mut runner, &Arc::new(AtomicBool::new(false)), &mut ());
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let result = &outcome.measured[0].result;
    let timeouts = result.rx.exchange.unwrap().timeouts;
    assert_eq!((result.tx.tally.sent, result.rx.tally.received + timeouts), (count, count));
    let answered: Vec<_> = result.rx.steps.iter().map(|step| step.answered).collect();
    assert_eq!(answered.len(), if has_two { 2 } else { 0 });
    assert!(answered.iter().all(|answered| *answered > 0), "{answered:?}");
    over.store(true, Ordering::Relaxed);
    echo.join().unwrap();
    BY_WORKERS.load(Ordering::Relaxed) - before
}

fn the_request_loop_allocates_nothing(count: u64) {
    let machine = udperf::host::machine(&udperf::host::host_info(Depth::Quick));
    let gso = EnginePair { tx: TxKind::Gso, rx: RxKind::Batch };
    for engine in [EnginePair::PLAIN, EnginePair::BATCH, gso] {
        if let Some(missing) = machine.lacks(engine) {
            skip::unavailable(format_args!("{missing:?}"));
            continue;
        }
        for outstanding in [None, Some(10)] {
            let template = "?{id:dec19}{reply@3:9}".to_owned();
            let then = Then { template, is_hex: false, only_if: None };
            for then in [None, Some(then).filter(|_| engine.tx != TxKind::Gso)] {
                let [few, many] =
                    [100, count].map(|n| request_allocations(engine, outstanding, then.clone(), n));
                assert!(few > 0, "the counter counts workers");
                assert!(many < few + 10, "{engine:?} {outstanding:?}: {few}, then {many}");
            }
        }
    }
}

fn the_send_loop_allocates_nothing() {
    let plan = Plan::new(
        scenario(EnginePair::NULL, Rate::Max, WaitKind::Spin, 1_000),
        &Machine::default(),
    )
    .unwrap();
    let rate = PacketRate::from_pps(1e6).unwrap();
    for load in [
        WorkerLoad::FlatOut,
        WorkerLoad::Even(rate),
        WorkerLoad::Poisson(rate, 3),
        WorkerLoad::Burst(rate, 8),
    ] {
        let share = plan.tx_configs(&plan.cells[0], load).remove(0);
        let mut tx = NullTx::new(NullLink::new(3), 0, PayloadSize::Fixed(64));
        let mut job = SendJob::new(&share, &tx);
        let mut waiter = Waiter::new(Waiter::SPIN, Interest::WRITABLE).unwrap();
        let limit = Limit::Count(20_000);
        let control = PhaseState::new(Arc::new(AtomicBool::new(false)), 1);
        let control = control.with_intervals(Some(Nanos(100_000)), limit, load);
        let epoch = job.clock.now();
        let phase = Phase { epoch, tag: 1, limit, load, control: Arc::clone(&control) };
        job.start(&share, &phase);
        let before = BY_THIS_THREAD.get();
        send(&mut tx, &mut job, &mut waiter, &control);
        assert_eq!(BY_THIS_THREAD.get() - before, 0, "{load:?}");
        assert_eq!(job.tally.sent, 20_000);
        drop(job);
        assert_eq!(control.intervals()[0].iter().map(|(_, one)| one.sent).sum::<u64>(), 20_000);
    }
}

fn the_receive_loop_allocates_nothing() {
    const COUNT: u64 = 20_000;
    for paced in [false, true] {
        let link = NullLink::unbounded(1);
        NullTx::new(Arc::clone(&link), 0, SIZE).push(0, COUNT - 1, 1);
        let mut rx = NullRx::new(link, 0, 1, SIZE, |slot: &mut [u8], _, sequence, _| {
            // Neighbours change places, and every seventh repeats one long gone.
            let sequence =
                if sequence % 7 == 0 { sequence.saturating_sub(90) } else { sequence ^ 1 };
            wire::encode(Header { tag: 1, flow: 0, sequence, intended_ns: 0 }, slot);
            wire::encode_lag(5, slot);
        });
        let control = PhaseState::new(Arc::new(AtomicBool::new(false)), 1);
        let (limit, load) = (Limit::Time(Nanos(10)), WorkerLoad::FlatOut);
        let control = control.with_intervals(Some(Nanos(1)), limit, load);
        let mut probe = ReceiveProbe::new(0, 1, SIZE);
        probe.intervals = control.rx_intervals(0);
        probe.start(1, paced, Nanos::ZERO);
        let (clock, epoch) = (Clock::Monotonic, Clock::Monotonic.now());
        let drops = Drops::default();
        let mut job = ReceiveJob {
            clock,
            epoch,
            worker: 0,
            drops,
            rings: None,
            meter: Meter::default(),
            at_close: None,
        };
        control.sender_done(0, Nanos(1), COUNT);
        let mut waiter = Waiter::new(Waiter::EPOLL, Interest::READABLE).unwrap();
        let before = BY_THIS_THREAD.get();
        receive(&mut rx, &mut job, &mut probe, &mut waiter, &control);
        assert_eq!(BY_THIS_THREAD.get() - before, 0);
        assert_eq!(probe.tally.arrived, COUNT);
        assert!(probe.tally.duplicate > 0 && probe.tally.reordered > 0);
    }
}
