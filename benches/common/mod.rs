//! Bare loops: only the system call, on either side. No header, no accounting, no clock read per
//! datagram. The rate of a bare loop is the limit of that system call on this host.
#![allow(unsafe_code, missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

#[cfg(target_os = "linux")]
pub mod bare_mmsg;
pub mod bare_plain;
#[cfg(target_os = "linux")]
pub mod bare_uring;

use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// The cores of all loops, found before any thread is pinned.
pub static CORES: std::sync::OnceLock<(usize, usize)> = std::sync::OnceLock::new();

/// SO_RCVBUF and SO_SNDBUF to request, as in `Scenario::default`.
const SOCKET_BUFFER: usize = 4 << 20;

/// When a sender stops: the earlier of the two.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    pub time: Duration,
    pub count: u64,
}

impl Until {
    pub const fn time(time: Duration) -> Self {
        Self { time, count: u64::MAX }
    }

    pub const fn count(count: u64) -> Self {
        Self { time: Duration::MAX, count }
    }
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

/// The bare loops.
#[derive(Debug, Clone, Copy)]
pub enum Bare {
    /// `send` against `recvfrom`.
    Plain,
    /// `sendmmsg` against `recvmmsg`.
    Batch,
    /// UDP_SEGMENT against `recvmmsg`.
    GsoBatch,
    /// UDP_SEGMENT against UDP_GRO.
    Offload,
    /// Submissions in batches against a multishot receive.
    Uring,
}

impl Bare {
    #[cfg(target_os = "linux")]
    pub fn run(self, size: usize, shape: Shape, until: Until) -> io::Result<Delivered> {
        match self {
            Self::Plain => bare_plain::run(size, shape.idle, until),
            Self::Batch => bare_mmsg::batch(size, shape, until),
            Self::GsoBatch => bare_mmsg::gso(size, shape, until),
            Self::Offload => bare_mmsg::offload(size, shape, until),
            Self::Uring => bare_uring::run(size, shape, until),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub fn run(self, size: usize, shape: Shape, until: Until) -> io::Result<Delivered> {
        match self {
            Self::Plain => bare_plain::run(size, shape.idle, until),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "its calls are Linux's")),
        }
    }
}

/// Datagrams that a loop delivered.
#[derive(Debug, Clone, Copy)]
pub struct Delivered {
    pub datagrams: u64,
    pub elapsed: Duration,
}

impl Delivered {
    pub fn pps(self) -> f64 {
        self.datagrams as f64 / self.elapsed.as_secs_f64()
    }
}

/// The sending half of a loop.
pub trait Transmit {
    /// Sends at most `room` datagrams (rounded up to whole packets of the kernel) and returns how
    /// many the kernel accepted. The loop reads the clock once per burst: its 24 ns must not show.
    fn burst(&mut self, room: u64) -> u64;
}

/// The receiving half of a loop; never sleeps.
pub trait Receive {
    /// Receives the waiting datagrams and returns their number.
    fn pull(&mut self) -> u64;
}

/// Runs a sender on the first core and a receiver on the last. Counts the datagrams received until
/// the end of the sender's time. `idle`: as in [`Shape`].
///
/// Each half is created on its own thread after pinning, so that its memory is local to that core.
pub fn race<T: Transmit, R: Receive>(
    until: Until,
    idle: u32,
    transmit: impl FnOnce(UdpSocket) -> io::Result<T>,
    receive: impl FnOnce(UdpSocket) -> io::Result<R> + Send + 'static,
) -> io::Result<Delivered> {
    // An earlier run may have pinned the caller: then its mask has one core only.
    let (first, last) = *CORES.get_or_init(cores);
    let (sender, receiver) = (socket()?, socket()?);
    sender.connect(receiver.local_addr()?)?;
    let (received, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let barrier = Arc::new(Barrier::new(2));
    let rx = {
        let (received, done, barrier) = (received.clone(), done.clone(), barrier.clone());
        std::thread::spawn(move || {
            pin(last);
            let rx = receive(receiver);
            barrier.wait();
            spin(rx?, idle, &received, &done);
            io::Result::Ok(())
        })
    };
    pin(first);
    let tx = transmit(sender);
    barrier.wait();
    let delivered = tx.map(|tx| drive(tx, until, &received));
    done.store(true, Ordering::Relaxed);
    rx.join().unwrap()?;
    delivered
}

fn drive(mut tx: impl Transmit, until: Until, received: &AtomicU64) -> Delivered {
    let (start, mut sent) = (Instant::now(), 0);
    loop {
        sent += tx.burst(until.count - sent);
        let elapsed = start.elapsed();
        if elapsed >= until.time || sent >= until.count {
            return Delivered { datagrams: received.load(Ordering::Relaxed), elapsed };
        }
    }
}

fn spin(mut rx: impl Receive, idle: u32, received: &AtomicU64, done: &AtomicBool) {
    let mut count = 0;
    loop {
        let pulled = rx.pull();
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
pub fn cores() -> (usize, usize) {
    let cores =
        udperf::sys::affinity().filter(|cores| !cores.is_empty()).unwrap_or_else(|| vec![0]);
    (cores[0], cores[cores.len() - 1])
}

/// Pins the calling thread, if that core exists.
pub fn pin(core: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
}

/// The median of at least one value.
pub fn median(values: Vec<f64>) -> f64 {
    udperf::unit::median(values).unwrap_or(f64::NAN)
}
