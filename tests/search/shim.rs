//! Servers with a known capacity. How fast they are asked they take from the requests, which say
//! when they were written: a server that is kept from its core meanwhile does not know less.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a server is overloaded.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// It answers so many requests a second, and drops what is beyond.
    Bucket(f64),
    /// Above so many a second it answers late.
    Step(f64),
    /// It answers none.
    Silent,
}

/// A running server; ends when it is dropped.
pub struct Shim {
    pub at: SocketAddr,
    stop: Arc<AtomicBool>,
    /// Of a silent one: told when the first request has come.
    came: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// What `udperf load` is to ask: an id, and the time in µs since 1970.
pub const REQUESTS: &str = "--hex {id:u32be}{time:us:u64be} --match echo";

/// Requests that a bucket has at most, in seconds of its rate: longer than a generator is kept from
/// its core, so that such a pause loses nothing.
const DEPTH: f64 = 0.05;

/// A pause after which a bucket is empty again: what came before was another trial. Trials without
/// a warm-up have no shorter one, in which it would fill, before them.
const PAUSE: f64 = 0.03;

/// Requests that a rate is measured over.
const WINDOW: usize = 200;

/// How late a late answer is.
const LATE: Duration = Duration::from_millis(20);

/// How often a server that hears nothing looks whether it is to end.
const LOOK: Duration = Duration::from_millis(5);

impl Shim {
    pub fn start(load: Load) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // As much as may be: at the rates of these tests it is some hundred milliseconds.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
        let at = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&stop);
        let (tell, came) = channel();
        let thread = std::thread::spawn(move || match load {
            Load::Bucket(rate) => bucket(&socket, rate, &ends),
            Load::Step(rate) => step(&socket, rate, &ends),
            Load::Silent => silent(&socket, &tell, &ends),
        });
        Self { at, stop, came, thread: Some(thread) }
    }

    /// Waits until a silent one has been asked.
    pub fn until_asked(&self) {
        self.came.recv_timeout(Duration::from_secs(60)).unwrap();
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))) || std::thread::panicking());
    }
}

fn is_over(stop: &AtomicBool) -> bool {
    stop.load(Ordering::Relaxed)
}

/// The next request, for so long.
fn heard(socket: &UdpSocket, wait: Duration, slot: &mut [u8]) -> Option<(usize, SocketAddr)> {
    socket.set_read_timeout(Some(wait.max(Duration::from_micros(100)))).unwrap();
    match socket.recv_from(slot) {
        Ok(heard) => Some(heard),
        Err(error) => {
            let kind = error.kind();
            let quiet = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
            // A client that has ended answers with ICMP.
            assert!(quiet.contains(&kind) || kind == ErrorKind::ConnectionRefused, "{error}");
            None
        }
    }
}

fn silent(socket: &UdpSocket, tell: &Sender<()>, stop: &AtomicBool) {
    let mut is_told = false;
    while !is_over(stop) {
        if heard(socket, LOOK, &mut [0; 2_048]).is_some() && !is_told {
            is_told = tell.send(()).is_ok();
        }
    }
}

/// When a request was written, in seconds.
fn written(request: &[u8]) -> Option<f64> {
    let bytes = request.get(4..12)?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes) as f64 / 1e6)
}

fn bucket(socket: &UdpSocket, rate: f64, stop: &AtomicBool) {
    let (mut tokens, mut before) = (0.0_f64, 0.0_f64);
    let mut slot = [0; 2_048];
    while !is_over(stop) {
        let Some((len, from)) = heard(socket, LOOK, &mut slot) else { continue };
        let Some(now) = written(&slot[..len]) else { continue };
        let since = now - before;
        before = now;
        tokens = match since < PAUSE {
            true => (tokens + since * rate).min(rate * DEPTH),
            false => 1.0,
        };
        if tokens >= 1.0 {
            tokens -= 1.0;
            let _ = socket.send_to(&slot[..len], from);
        }
    }
}

fn step(socket: &UdpSocket, rate: f64, stop: &AtomicBool) {
    let mut came: VecDeque<f64> = VecDeque::with_capacity(WINDOW + 1);
    let mut late: VecDeque<(Instant, Vec<u8>, SocketAddr)> = VecDeque::new();
    let mut slot = [0; 2_048];
    while !is_over(stop) {
        let now = Instant::now();
        while late.front().is_some_and(|(due, ..)| *due <= now) {
            let Some((_, reply, from)) = late.pop_front() else { break };
            let _ = socket.send_to(&reply, from);
        }
        let next = late.front().map_or(LOOK, |(due, ..)| due.saturating_duration_since(now));
        let Some((len, from)) = heard(socket, next.min(LOOK), &mut slot) else { continue };
        let Some(now) = written(&slot[..len]) else { continue };
        came.push_back(now);
        if came.len() > WINDOW + 1 {
            came.pop_front();
        }
        let took = came.front().map_or(0.0, |first| now - first);
        if came.len() > WINDOW && WINDOW as f64 > rate * took {
            late.push_back((Instant::now() + LATE, slot[..len].to_vec(), from));
        } else {
            let _ = socket.send_to(&slot[..len], from);
        }
    }
}
