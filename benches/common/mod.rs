//! Bare loops: nothing but the system call, on either side. No header, no accounting, no clock read
//! a datagram. What one reaches is the physical limit of that system call on this host.
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

/// SO_RCVBUF and SO_SNDBUF to ask for, as udperf does: `Scenario::default`.
const SOCKET_BUFFER: usize = 4 << 20;

/// When a sender stops: whichever comes first.
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

/// How much a system call moves. The defaults were as fast as any, to within the noise of 3 %, on
/// two cores of an AMD EPYC (Zen 4) with Linux 6.18.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Shape {
    /// Datagrams a sendmmsg or io_uring submission; messages a recvmmsg that takes single datagrams
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Datagrams a super-packet; cut down to what fits one, and to what the kernel allows
    #[arg(long, default_value_t = 128)]
    pub segments: usize,
    /// Super-packets a sendmmsg, each in memory of its own [default: 512 KiB of them, 16 at most]
    #[arg(long)]
    pub supers: Option<usize>,
    /// Buffers of 64 KiB a recvmmsg that takes super-packets
    #[arg(long, default_value_t = 4)]
    pub buffers: usize,
    /// Spin hints after a pull that found nothing (1000 are some 30 µs on Zen 4). 0 asks again at
    /// once, as udperf does, whose latency would grow; pauses brought up to 10 % more on a busy host
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

/// What a loop of some kind delivered.
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
    /// Sends some datagrams, `room` at most (rounded up to whole packets of the kernel), and says
    /// how many the kernel took. The clock is read once a burst: 24 ns that must not show.
    fn burst(&mut self, room: u64) -> u64;
}

/// The receiving half of a loop; never sleeps.
pub trait Receive {
    /// Takes what is there and says how many datagrams that was.
    fn pull(&mut self) -> u64;
}

/// Runs a sender on the first core against a receiver on the last. What counts is what the receiver
/// has at the end of the sender's time. `idle`: as in [`Shape`].
///
/// Each half is made on its own thread, which is pinned by then: its memory is where it is used.
pub fn race<T: Transmit, R: Receive>(
    until: Until,
    idle: u32,
    transmit: impl FnOnce(UdpSocket) -> io::Result<T>,
    receive: impl FnOnce(UdpSocket) -> io::Result<R> + Send + 'static,
) -> io::Result<Delivered> {
    // The caller may be pinned already, by the run before: then its mask tells one core only.
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

/// Pins the calling thread, where there is such a core.
pub fn pin(core: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
}

/// The median of at least one value.
pub fn median(values: Vec<f64>) -> f64 {
    udperf::unit::median(values).unwrap_or(f64::NAN)
}
