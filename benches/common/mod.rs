//! Common code of the benches: bare loops of system calls, runs of udperf, and their comparison.
//!
//! A bare loop has only the system call on either side: no header, no accounting, no clock read per
//! datagram. Its rate is the limit of that system call on this host.
#![allow(unsafe_code, missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

#[cfg(target_os = "linux")]
pub mod bare_mmsg;
pub mod bare_plain;
#[cfg(target_os = "linux")]
pub mod bare_uring;
#[cfg(all(target_os = "linux", not(udperf_portable)))]
pub mod bare_xdp;
#[path = "../../tests/common/ports.rs"]
mod ports;
pub mod sockperf;

use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use udperf::measure::CellResult;
use udperf::net::pin_to;
use udperf::plan::{EngineWord, Limit, Machine, Pinning, Plan, Scenario};
use udperf::run::{self, CellRunner};
use udperf::unit::{Nanos, PayloadSize, Rate};

/// SO_RCVBUF and SO_SNDBUF to request, as in `Scenario::default`.
const SOCKET_BUFFER: usize = 4 << 20;
/// Payloads of bare loops begin at cache lines, so that no two share one.
const ALIGN: usize = 64;

/// Options of a comparison in interleaved pairs.
#[derive(Debug, Clone, clap::Args)]
pub struct Runs {
    /// Pairs of runs for each comparison and size
    #[arg(long, default_value_t = 10)]
    pairs: usize,
    /// Duration of each run in seconds
    #[arg(long, default_value_t = 1.0)]
    time: f64,
    /// Passed by cargo
    #[arg(long)]
    bench: bool,
}

impl Runs {
    /// `cargo test --benches` only checks that a bench runs.
    pub const fn is_test(&self) -> bool {
        !self.bench
    }

    pub fn pairs(&self) -> usize {
        if self.is_test() { 1 } else { self.pairs.max(1) }
    }

    pub fn time(&self) -> Duration {
        Duration::from_secs_f64(if self.is_test() { 0.05 } else { self.time })
    }

    /// Runs pairs of two sides, such as udperf and a bare loop, and prints each; returns the row of
    /// [`print_table`], with the medians and the quartiles of the ratio. `lower`: lower is better.
    /// `target`: the lowest ratio that meets it.
    pub fn compare(
        &self,
        title: &str,
        [one, other]: [&str; 2],
        lower: bool,
        target: Option<f64>,
        ours: impl Fn() -> Result<f64, String>,
        bare: impl Fn() -> Result<f64, String>,
    ) -> Result<String, String> {
        let mut all = [Vec::new(), Vec::new(), Vec::new()];
        for pair in 0..self.pairs() {
            // The order within a pair alternates, so that neither side always runs first.
            let (ours, bare) = if pair % 2 == 0 {
                (ours()?, bare()?)
            } else {
                let bare = bare()?;
                (ours()?, bare)
            };
            let ratio = if lower { bare / ours } else { ours / bare };
            println!("{title}: {one} {ours:.0}, {other} {bare:.0}, {ratio:.3}");
            all.iter_mut().zip([ours, bare, ratio]).for_each(|(all, value)| all.push(value));
        }
        all.iter_mut().for_each(|values| values.sort_by(f64::total_cmp));
        // The lower and the upper one leave as many values outside.
        let [.., ratios] = &all;
        let low = ratios[ratios.len() / 4];
        let high = ratios[ratios.len() - 1 - ratios.len() / 4];
        let median = |values| udperf::unit::median(values).unwrap_or(f64::NAN);
        let [ours, bare, ratio] = all.map(median);
        let verdict = target.map_or_else(String::new, |target| {
            format!("{target:.2} {}", if ratio >= target { "met" } else { "missed" })
        });
        Ok(format!(
            "{title:<26} {ours:>12.0} {bare:>12.0} {ratio:>7.3} {low:>7.3}–{high:.3} {verdict}"
        ))
    }
}

/// The sides of a comparison with a bare loop.
pub const OURS_AND_BARE: [&str; 2] = ["ours", "bare"];

pub fn print_table([one, other]: [&str; 2], rows: &[String]) {
    println!("\n{:<26} {one:>12} {other:>12} {:>7} {:>13} target", "medians", "ratio", "quartiles");
    rows.iter().for_each(|row| println!("{row}"));
}

/// Datagrams and buffers per system call. No other values were faster than the defaults, within the
/// noise of 3 %, on two cores of an AMD EPYC (Zen 4) with Linux 6.18.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Shape {
    /// Datagrams per sendmmsg or io_uring submission; messages per recvmmsg of single datagrams
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Datagrams per super-packet; reduced to its size and to the limit of the kernel
    #[arg(long, default_value_t = 128)]
    pub segments: usize,
    /// Super-packets per sendmmsg, each in its own memory [default: 512 KiB of them, 16 at most]
    #[arg(long)]
    pub supers: Option<usize>,
    /// Buffers of 64 KiB per recvmmsg of super-packets
    #[arg(long, default_value_t = 4)]
    pub buffers: usize,
    /// Spin hints after an empty pull (1000 are some 30 µs on Zen 4). 0 pulls again at once, as
    /// udperf does for low latency; pauses gave up to 10 % more on a busy host
    #[arg(long, default_value_t = 0)]
    pub idle: u32,
}

/// Datagrams per second that a bare loop delivers, by payload size and duration.
pub type BareLoop = fn(usize, Shape, Duration) -> io::Result<f64>;

/// Runs a sender on the first core and a receiver on the last; returns the datagrams per second
/// received until the end of the sender's time. `idle`: as in [`Shape`]. Each half gets a socket.
pub fn race<T: FnMut(), R: FnMut() -> u64>(
    time: Duration,
    idle: u32,
    transmit: impl FnOnce(UdpSocket) -> io::Result<T>,
    receive: impl FnOnce(UdpSocket) -> io::Result<R> + Send + 'static,
) -> io::Result<f64> {
    let (sender, receiver) = (socket()?, socket()?);
    sender.connect(receiver.local_addr()?)?;
    race_halves(time, idle, || transmit(sender), move || receive(receiver))
}

/// The same with halves that open what they need.
///
/// Each half is created on its own thread after pinning, so that its memory is local to that core.
/// The sender sends one or more datagrams per call: the clock is read once per call, and its 24 ns
/// must not show. The receiver returns the number of waiting datagrams, and never sleeps.
pub fn race_halves<T: FnMut(), R: FnMut() -> u64>(
    time: Duration,
    idle: u32,
    transmit: impl FnOnce() -> io::Result<T>,
    receive: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<f64> {
    let (first, last) = cores();
    let (received, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let barrier = Arc::new(Barrier::new(2));
    let rx = {
        let (received, done, barrier) = (received.clone(), done.clone(), barrier.clone());
        std::thread::spawn(move || {
            let _ = pin_to(last);
            let rx = receive();
            barrier.wait();
            spin(rx?, idle, &received, &done);
            io::Result::Ok(())
        })
    };
    let _ = pin_to(first);
    let tx = transmit();
    barrier.wait();
    let pps = tx.map(|mut tx| {
        let start = Instant::now();
        loop {
            tx();
            let elapsed = start.elapsed();
            if elapsed >= time {
                return received.load(Ordering::Relaxed) as f64 / elapsed.as_secs_f64();
            }
        }
    });
    done.store(true, Ordering::Relaxed);
    rx.join().unwrap()?;
    pps
}

fn spin(mut rx: impl FnMut() -> u64, idle: u32, received: &AtomicU64, done: &AtomicBool) {
    let mut count = 0;
    loop {
        let pulled = rx();
        if pulled > 0 {
            count += pulled;
            received.store(count, Ordering::Relaxed);
        } else if done.load(Ordering::Relaxed) {
            return;
        } else {
            (0..idle).for_each(|_| std::hint::spin_loop());
        }
    }
}

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let sock = socket2::SockRef::from(&socket);
    sock.set_recv_buffer_size(SOCKET_BUFFER)?;
    sock.set_send_buffer_size(SOCKET_BUFFER)?;
    Ok(socket)
}

/// A core for the sender and one for the receiver: the first and the last this process may use.
/// Found before any thread is pinned, since a pinned one may use one core only.
pub fn cores() -> (usize, usize) {
    static CORES: OnceLock<(usize, usize)> = OnceLock::new();
    *CORES.get_or_init(|| {
        let cores = udperf::sys::affinity().filter(|cores| !cores.is_empty());
        let cores = cores.unwrap_or_else(|| vec![0]);
        (cores[0], cores[cores.len() - 1])
    })
}

/// One cell flat out, without a warm-up.
pub fn flat_out(engine: EngineWord, size: u16, limit: Limit) -> Scenario {
    let (tx, rx) = cores();
    Scenario {
        sizes: vec![PayloadSize::Fixed(size)],
        engines: vec![engine],
        rates: vec![Rate::Max],
        limit,
        warmup: Nanos::ZERO,
        pin: Pinning::Cores { tx: vec![tx], rx: vec![rx] },
        ..Scenario::default()
    }
}

pub fn plan(scenario: Scenario) -> Result<Plan, String> {
    let (tx, rx) = cores();
    let machine = Machine { cpus: vec![tx, rx], ..Machine::default() };
    Plan::new(scenario, &machine).map_err(|error| error.to_string())
}

/// Measures the one cell of a scenario with udperf.
pub fn measure(scenario: Scenario, runner: &mut dyn CellRunner) -> Result<CellResult, String> {
    let outcome = run::run(&plan(scenario)?, runner, &Arc::new(AtomicBool::new(false)), &mut ());
    if let Some(error) = outcome.error {
        return Err(error.to_string());
    }
    let measured = outcome.measured.into_iter().next().ok_or("nothing was measured")?;
    Ok(measured.result)
}

/// Datagrams per second that a cell received.
pub fn received_pps(result: &CellResult) -> f64 {
    result.rx.tally.received as f64 / result.tx.end.as_secs_f64()
}
