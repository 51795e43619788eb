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
use std::time::{Duration, Instant};

use clap::Parser;
use common::{OURS_AND_BARE, Runs, flat_out, measure, received_pps};
use udperf::measure::{CellResult, LatencyHistograms};
use udperf::net::pin_to;
use udperf::payload::{Preset, RequestSource, Spec};
use udperf::plan::{
    EnginePair, EngineWord, Limit, Member, Pinning, RequestOptions, Route, Scenario, WaitKind,
};
use udperf::request::{RequestRunner, RequestSpec, RunIds};
use udperf::unit::{Nanos, PayloadSize};

/// Requests in flight. Arbitrary: a default receive buffer holds several times as many.
const WINDOW: usize = 100;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    runs: Runs,
    /// Payload sizes
    #[arg(default_values_t = [64], value_parser = clap::value_parser!(u16).range(16..=1_472))]
    sizes: Vec<u16>,
}

/// Starts a bare echo server that spins on its own core until the process ends.
fn start_server(core: usize) -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let at = socket.local_addr()?;
    std::thread::spawn(move || {
        let _ = pin_to(core);
        let mut buffer = [0; 2_048];
        loop {
            if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..len], from);
            }
        }
    });
    Ok(at)
}

/// Measures one cell with udperf.
fn request(
    at: SocketAddr,
    size: u16,
    time: Duration,
    engine: &str,
    outstanding: u32,
) -> Result<CellResult, String> {
    let (core, _) = common::cores();
    let spec = Spec::of(RequestSource::Preset(Preset::Echo { size: size.into() }));
    let (requests, matching) = spec.compile(1).map_err(|error| error.to_string())?;
    let compiled =
        RequestSpec { requests: Arc::new(requests), matching: Arc::new(matching), second: None };
    let options = RequestOptions {
        requests: spec.to_string(),
        timeout: Nanos::from_millis(1_000),
        outstanding: Some(outstanding),
        id_bits: 64,
        ..RequestOptions::default()
    };
    let engine = engine.parse::<EnginePair>().map_err(|error| error.to_string())?;
    let scenario = Scenario {
        route: Route::Request,
        wait: WaitKind::Spin,
        pin: Pinning::Cores { tx: vec![core], rx: vec![core] },
        asking: Some(options),
        ..flat_out(EngineWord::Pair(engine), size, Limit::Time(Nanos::from(time)))
    };
    let specs = vec![(PayloadSize::Fixed(size), compiled)];
    let ids = Arc::new(RunIds::new(1, Member::default()));
    measure(scenario, &mut RequestRunner::new(at, specs, true, ids))
}

/// Runs a bare loop on its own thread, so that no other thread is pinned.
fn bare(run: impl FnOnce() -> io::Result<f64> + Send + 'static) -> Result<f64, String> {
    let (core, _) = common::cores();
    let pinned = move || {
        let _ = pin_to(core);
        run().map_err(|error| error.to_string())
    };
    std::thread::spawn(pinned).join().map_err(|_| "the bare loop panicked")?
}

fn connected(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(at)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Sends, then spins until the reply arrives. Reads the clock once per round trip.
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
fn bare_window(at: SocketAddr, size: usize, time: Duration) -> io::Result<f64> {
    let (socket, mut buffer) = (connected(at)?, [0; 2_048]);
    let (mut in_flight, mut replies) = (0, 0_u64);
    let began = Instant::now();
    while began.elapsed() < time {
        while in_flight < WINDOW {
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
    let args = Args::parse();
    let (_, server_core) = common::cores();
    let (at, time) = (start_server(server_core).unwrap(), args.runs.time());
    let mut rows = Vec::new();
    for &size in &args.sizes {
        let bytes = usize::from(size);
        let p50 = || {
            let result = request(at, size, time, "plain", 1)?;
            Ok(result.rx.latency.from_schedule.quantile_ns(0.5).unwrap_or(0) as f64)
        };
        let title = format!("round trip p50 {size} B, ns");
        let round_trip = || bare(move || bare_round_trip(at, bytes, time));
        rows.push(
            args.runs.compare(&title, OURS_AND_BARE, true, Some(0.95), p50, round_trip).unwrap(),
        );
        // The bare loop has one request per system call, gso/batch many.
        for engine in ["plain", "gso/batch"] {
            let rate = || Ok(received_pps(&request(at, size, time, engine, WINDOW as u32)?));
            let window = || bare(move || bare_window(at, bytes, time));
            let title = format!("window {engine} {size} B, pps");
            rows.push(
                args.runs.compare(&title, OURS_AND_BARE, false, Some(0.9), rate, window).unwrap(),
            );
        }
    }
    common::print_table(OURS_AND_BARE, &rows);
}
