//! The bare loop: nothing but the system call, on either side. No header, no accounting, no clock
//! read a datagram. What it reaches is the physical limit of that system call on this host.
#![allow(unsafe_code, missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// The cores of all loops, found before any thread is pinned.
pub static CORES: std::sync::OnceLock<(usize, usize)> = std::sync::OnceLock::new();

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

/// Runs a connected `send` loop on core 0 against a non-blocking `recvfrom` loop on core 1, for
/// this long or for so many datagrams; receive buffer as udperf asks for it.
pub fn bare(size: usize, time: Duration, count: u64) -> Delivered {
    // The caller may be pinned already, by the run before: then its mask tells one core only.
    let (first, last) = *CORES.get_or_init(cores);
    let receiver = socket();
    let sender = socket();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    let (received, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let barrier = Arc::new(Barrier::new(2));
    let rx = {
        let (received, done, barrier) = (received.clone(), done.clone(), barrier.clone());
        std::thread::spawn(move || {
            pin(last);
            barrier.wait();
            receive(&receiver, &received, &done);
        })
    };
    pin(first);
    barrier.wait();
    let payload = vec![0x55_u8; size];
    let (start, mut sent) = (Instant::now(), 0_u64);
    loop {
        // Looking at the clock once in 64 sends costs nothing that shows.
        for _ in 0..64.min(count - sent) {
            // SAFETY: the pointer and length describe `payload`, which outlives the call.
            let n = unsafe { libc::send(sender.as_raw_fd(), payload.as_ptr().cast(), size, 0) };
            sent += u64::from(n > 0);
        }
        if start.elapsed() >= time || sent >= count {
            break;
        }
    }
    let (elapsed, datagrams) = (start.elapsed(), received.load(Ordering::Relaxed));
    done.store(true, Ordering::Relaxed);
    rx.join().unwrap();
    Delivered { datagrams, elapsed }
}

fn receive(socket: &UdpSocket, received: &AtomicU64, done: &AtomicBool) {
    let mut buffer = vec![0_u8; 65_536];
    // SAFETY: a socket address is plain old data, for which zeroes are a valid value.
    let mut from: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut count = 0;
    loop {
        let mut len = size_of_val(&from) as libc::socklen_t;
        // SAFETY: buffer and address are writable for the lengths that are passed along.
        let n = unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
                (&raw mut from).cast(),
                &raw mut len,
            )
        };
        if n > 0 {
            count += 1;
            received.store(count, Ordering::Relaxed);
        } else if done.load(Ordering::Relaxed) {
            return;
        }
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sock = socket2::SockRef::from(&socket);
    sock.set_recv_buffer_size(4 << 20).unwrap();
    sock.set_send_buffer_size(4 << 20).unwrap();
    socket
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

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
