//! Compares requests and replies with bare loops without ids, times or accounting, in interleaved
//! pairs. Measures the median round trip of one request at a time, and replies per second with a
//! window of requests: of udperf with a bare echo server, of a bare client with the echo server of
//! udperf, and the round trip of both, also against client and server of sockperf if it is
//! installed. The server spins on the other core.
//!
//! `cargo bench --bench exchange -- --pairs 10 --time 1 64`
//! `cargo bench --bench exchange -- --pairs 30 --time 1 --only 'ping and echo' 64`
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use clap::Parser;
use common::{OURS_AND_BARE, Runs, flat_out, measure, received_pps, sockperf};
use udperf::echo::{EchoEvent, EchoOptions, echo};
use udperf::measure::{CellResult, LatencyHistograms};
use udperf::net::{Options, pin_to};
use udperf::payload::{Preset, RequestSource, Spec};
use udperf::plan::{
    EchoKind, EngineKind, EnginePair, EngineWord, Limit, Member, Pinning, RequestOptions, Route,
    Scenario, WaitKind,
};
use udperf::request::{RequestRunner, RequestSpec, RunIds};
use udperf::unit::{Nanos, PayloadSize};

/// Requests in flight. Arbitrary: a default receive buffer holds several times as many.
const WINDOW: usize = 100;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    runs: Runs,
    /// Only the rows whose title contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Payload sizes
    #[arg(default_values_t = [64], value_parser = clap::value_parser!(u16).range(16..=1_472))]
    sizes: Vec<u16>,
}

/// An echo server.
#[derive(Clone, Copy)]
enum Server {
    Bare,
    Ours(EchoKind),
}

/// Runs a client while this server spins on its own core.
fn with_server<T>(
    server: Server,
    client: impl FnOnce(SocketAddr) -> Result<T, String>,
) -> Result<T, String> {
    let (_, core) = common::cores();
    let stop = &AtomicBool::new(false);
    let (address, addresses) = mpsc::channel();
    std::thread::scope(|scope| {
        let serving = scope.spawn(move || match server {
            Server::Bare => serve(core, stop, &address).map_err(|error| error.to_string()),
            Server::Ours(engine) => {
                let ended = echo(&echo_options(engine, core), stop, &mut |event| {
                    if let EchoEvent::Listening(at, _) = event {
                        address.send(at).unwrap();
                    }
                });
                ended.map(drop).map_err(|error| error.to_string())
            }
        });
        // If there is none, the server has failed.
        let result = addresses.recv().map(client);
        stop.store(true, Ordering::Relaxed);
        serving.join().unwrap()?;
        result.unwrap()
    })
}

/// A bare echo server.
fn serve(core: usize, stop: &AtomicBool, address: &Sender<SocketAddr>) -> io::Result<()> {
    let _ = pin_to(core);
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let mut buffer = [0; 2_048];
    address.send(socket.local_addr()?).unwrap();
    while !stop.load(Ordering::Relaxed) {
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..len], from);
        }
    }
    Ok(())
}

fn echo_options(engine: EchoKind, core: usize) -> EchoOptions {
    EchoOptions {
        socket: Options { bind: "127.0.0.1:0".parse().unwrap(), ..Options::default() },
        dual: false,
        engine,
        threads: 1,
        cores: vec![core],
        wait: WaitKind::Spin,
        realtime: false,
        delay: None,
        drop: None,
        seed: 1,
        count: None,
        time: None,
        idle: None,
        clients: Vec::new(),
        interval: None,
    }
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

/// The median round trip of udperf, one request at a time, in ns.
fn our_round_trip(server: Server, size: u16, time: Duration, engine: &str) -> Result<f64, String> {
    let result = with_server(server, |at| request(at, size, time, engine, 1))?;
    Ok(result.rx.latency.from_schedule.quantile_ns(0.5).unwrap_or(0) as f64)
}

fn rows(args: &Args, size: u16) -> Result<Vec<String>, String> {
    let (time, bytes) = (args.runs.time(), usize::from(size));
    let round_trip =
        |server| with_server(server, |at| bare(move || bare_round_trip(at, bytes, time)));
    let window = |server| with_server(server, |at| bare(move || bare_window(at, bytes, time)));
    let mut rows = Vec::new();
    let mut compare = |title: &str, lower, target, ours: &dyn Fn() -> Result<f64, String>| {
        let title = format!("{title} {size} B");
        if title.contains(&args.only) {
            let bare = || if lower { round_trip(Server::Bare) } else { window(Server::Bare) };
            rows.push(args.runs.compare(&title, OURS_AND_BARE, lower, Some(target), ours, bare)?);
        }
        Ok::<_, String>(())
    };
    for engine in ["plain", "batch"] {
        let ours = || our_round_trip(Server::Bare, size, time, engine);
        compare(&format!("ping {engine}, ns"), true, 0.97, &ours)?;
    }
    // The bare loop has one request per system call, gso/batch many.
    for engine in ["plain", "batch", "gso/batch"] {
        let client = |at| request(at, size, time, engine, WINDOW as u32);
        let ours = || Ok(received_pps(&with_server(Server::Bare, client)?));
        compare(&format!("window {engine}, pps"), false, 0.9, &ours)?;
    }
    for kind in [EchoKind::Plain, EchoKind::Batch, EchoKind::Offload] {
        let (server, word) = (Server::Ours(kind), kind.word());
        compare(&format!("echo {word}, ns"), true, 0.97, &|| round_trip(server))?;
        compare(&format!("echo {word}, pps"), false, 0.98, &|| window(server))?;
    }
    let ours = || our_round_trip(Server::Ours(EchoKind::Offload), size, time, "batch");
    compare("ping and echo, ns", true, 0.97, &ours)?;
    let title = format!("ping and echo/sockperf, ns {size} B");
    if title.contains(&args.only) && sockperf::is_installed() {
        let (sides, peer) = (["udperf", "sockperf"], || sockperf::round_trip(size, time));
        rows.push(args.runs.compare(&title, sides, true, Some(1.0), ours, peer)?);
    } else if title.contains(&args.only) {
        println!("SKIPPED: {title} of sockperf: it is not installed; apt-get install sockperf");
    }
    Ok(rows)
}

fn main() {
    let args = Args::parse();
    let rows: Vec<_> = args.sizes.iter().flat_map(|&size| rows(&args, size).unwrap()).collect();
    common::print_table(OURS_AND_BARE, &rows);
}
