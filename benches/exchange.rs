//! Compares requests and replies with bare loops without ids, times or accounting, in interleaved
//! pairs. One bare echo server spins on the other core. Measures the median round trip of one
//! request at a time, and replies per second with a window of requests.
//!
//! `cargo bench --bench exchange -- --pairs 10 --time 1 64`
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::Parser;
use common::median;
use udperf::measure::{CellResult, LatencyHistograms};
use udperf::net::pin_to;
use udperf::payload::{Echo, Preset, RequestSource, Spec};
use udperf::plan::{
    EnginePair, EngineWord, Limit, Machine, Pinning, Plan, RequestOptions, Route, Scenario,
    WaitKind,
};
use udperf::request::{RequestRunner, RequestSpec, RunIds};
use udperf::run;
use udperf::unit::{Nanos, PayloadSize, Rate};

/// Requests in flight for replies per second. Arbitrary: a default receive buffer holds several
/// times as many.
const WINDOW: usize = 100;

#[derive(Parser)]
struct Args {
    /// Pairs of runs for each comparison and size
    #[arg(long, default_value_t = 10)]
    pairs: usize,
    /// Duration of each run in seconds
    #[arg(long, default_value_t = 1.0)]
    time: f64,
    /// Passed by cargo
    #[arg(long)]
    bench: bool,
    /// Payload sizes
    #[arg(default_values_t = [64], value_parser = clap::value_parser!(u16).range(16..=1_472))]
    sizes: Vec<u16>,
}

/// A bare echo server that spins on its own core.
struct Server {
    at: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(core: usize) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let (at, over) = (socket.local_addr()?, Arc::new(AtomicBool::new(false)));
        let ends = Arc::clone(&over);
        let serve = move || {
            let _ = pin_to(core);
            let mut buffer = [0; 2_048];
            while !ends.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..len], from);
                }
            }
        };
        Ok(Self { at, over, thread: Some(std::thread::spawn(serve)) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// One comparison.
#[derive(Clone, Copy)]
enum Contest {
    /// Median round trip in ns, one request at a time: lower is better.
    RoundTrip,
    /// Replies per second with [`WINDOW`] requests in flight, one per system call.
    Plain,
    /// The same with many per system call, which the bare loop does not have.
    Fastest,
}

impl Contest {
    const ALL: [Self; 3] = [Self::RoundTrip, Self::Plain, Self::Fastest];

    const fn word(self) -> &'static str {
        match self {
            Self::RoundTrip => "round trip p50",
            Self::Plain => "window, plain",
            Self::Fastest => "window, gso/batch",
        }
    }

    /// The result of udperf as a share of the bare loop.
    fn ratio(self, ours: f64, bare: f64) -> f64 {
        if matches!(self, Self::RoundTrip) { bare / ours } else { ours / bare }
    }

    /// The lowest ratio that meets the target.
    const fn target(self) -> f64 {
        if matches!(self, Self::RoundTrip) { 0.95 } else { 0.9 }
    }

    fn ours(self, at: SocketAddr, core: usize, size: u16, time: Duration) -> Result<f64, String> {
        let (engine, outstanding) = match self {
            Self::RoundTrip => (EnginePair::PLAIN, 1),
            Self::Plain => (EnginePair::PLAIN, WINDOW as u32),
            Self::Fastest => ("gso/batch".parse().map_err(|_| "no engine")?, WINDOW as u32),
        };
        let result = ask(at, core, size, time, engine, outstanding)?;
        Ok(match self {
            Self::RoundTrip => result.latency.from_schedule.quantile_ns(0.5).unwrap_or(0) as f64,
            _ => result.rx.received as f64 / result.elapsed.as_secs_f64(),
        })
    }

    fn bare(self, at: SocketAddr, core: usize, size: u16, time: Duration) -> io::Result<f64> {
        // On its own thread, so that no other thread is pinned.
        let (size, window) = (usize::from(size), WINDOW);
        let run = move || {
            let _ = pin_to(core);
            match self {
                Self::RoundTrip => bare_round_trip(at, size, time),
                _ => bare_window(at, size, time, window),
            }
        };
        std::thread::spawn(run).join().map_err(|_| io::Error::other("panicked"))?
    }
}

/// Measures one cell with udperf.
fn ask(
    at: SocketAddr,
    core: usize,
    size: u16,
    time: Duration,
    engine: EnginePair,
    outstanding: u32,
) -> Result<CellResult, String> {
    let payload = PayloadSize::Fixed(size);
    let spec = Spec::of(RequestSource::Preset(Preset::Echo(Echo { size: size.into() })));
    let (requests, matching) = spec.compile(1).map_err(|error| error.to_string())?;
    let dialogue = RequestSpec { requests: Arc::new(requests), matching: Arc::new(matching) };
    let asking = RequestOptions {
        requests: spec.to_string(),
        replies: String::new(),
        timeout: Nanos::from_millis(1_000),
        outstanding: Some(outstanding),
        recorded: None,
        in_order: false,
        id_bits: 64,
        ..RequestOptions::default()
    };
    let scenario = Scenario {
        route: Route::Request,
        sizes: vec![payload],
        engines: vec![EngineWord::Pair(engine)],
        rates: vec![Rate::Max],
        limit: Limit::Time(Nanos::from(time)),
        warmup: Nanos::ZERO,
        wait: WaitKind::Spin,
        pin: Pinning::Cores { tx: vec![core], rx: vec![core] },
        asking: Some(asking),
        ..Scenario::default()
    };
    let machine = Machine { cpus: vec![core], ..Machine::default() };
    let plan = Plan::new(scenario, &machine).map_err(|error| error.to_string())?;
    let mut runner =
        RequestRunner::new(at, vec![(payload, dialogue)], true, Arc::new(RunIds::new(1)));
    let outcome = run::run(&plan, &mut runner, &Arc::new(AtomicBool::new(false)), &mut ());
    if let Some(error) = outcome.error {
        return Err(error.to_string());
    }
    let measured = outcome.measured.into_iter().next().ok_or("nothing was measured")?;
    Ok(measured.result)
}

fn connected(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(at)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Sends, then spins until the reply arrives. Reads the clock before and after, as every
/// measurement of a round trip must.
fn bare_round_trip(at: SocketAddr, size: usize, time: Duration) -> io::Result<f64> {
    let (socket, mut buffer) = (connected(at)?, [0; 2_048]);
    let mut latency = LatencyHistograms::default();
    let began = Instant::now();
    let mut now = began;
    while now - began < time {
        socket.send(&buffer[..size])?;
        while socket.recv(&mut buffer).is_err() {
            std::hint::spin_loop();
        }
        let then = std::mem::replace(&mut now, Instant::now());
        latency.record((now - then).as_nanos() as u64);
    }
    Ok(latency.quantile_ns(0.5).unwrap_or(0) as f64)
}

/// Sends until the window is full, then receives the waiting replies.
fn bare_window(at: SocketAddr, size: usize, time: Duration, window: usize) -> io::Result<f64> {
    let (socket, mut buffer) = (connected(at)?, [0; 2_048]);
    let (mut in_flight, mut replies) = (0, 0_u64);
    let began = Instant::now();
    while began.elapsed() < time {
        while in_flight < window {
            socket.send(&buffer[..size])?;
            in_flight += 1;
        }
        while in_flight > 0 && socket.recv(&mut buffer).is_ok() {
            in_flight -= 1;
            replies += 1;
        }
    }
    Ok(replies as f64 / began.elapsed().as_secs_f64())
}

fn main() {
    // `cargo test --benches` only checks that it runs.
    let testing = !std::env::args().any(|arg| arg == "--bench");
    let mut args = Args::parse();
    if testing {
        (args.pairs, args.time) = (1, 0.05);
    }
    let (asks, serves) = common::cores();
    let server = Server::start(serves).unwrap();
    let time = Duration::from_secs_f64(args.time);
    let mut rows = Vec::new();
    for &size in &args.sizes {
        for contest in Contest::ALL {
            let mut all = [Vec::new(), Vec::new(), Vec::new()];
            for pair in 0..args.pairs.max(1) {
                let us = || contest.ours(server.at, asks, size, time).unwrap();
                let them = || contest.bare(server.at, asks, size, time).unwrap();
                // The order within a pair alternates, so that neither side always runs first.
                let (us, them) = if pair % 2 == 0 {
                    let us = us();
                    (us, them())
                } else {
                    let them = them();
                    (us(), them)
                };
                all[0].push(us);
                all[1].push(them);
                all[2].push(contest.ratio(us, them));
            }
            let [us, them, ratio] = all.map(median);
            let (word, target) = (contest.word(), contest.target());
            let met = if ratio >= target { "met" } else { "missed" };
            rows.push(format!(
                "{word:<18} {size:>6} {us:>12.0} {them:>12.0} {ratio:>7.3} {target:>7.2} {met}"
            ));
        }
    }
    let title = ["what", "bytes", "ours", "bare", "ratio", "target"];
    let [what, bytes, ours, bare, ratio, target] = title;
    println!("\n{what:<18} {bytes:>6} {ours:>12} {bare:>12} {ratio:>7} {target:>7}");
    rows.iter().for_each(|row| println!("{row}"));
}
