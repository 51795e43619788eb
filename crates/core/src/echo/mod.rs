//! The echo server: workers share a port, and each returns the datagrams that the kernel gives it.
//!
//! It never answers its own port number, port 0, or the ports of inetd(8) services: with a forged
//! source address, two servers could answer each other forever. Do not expose it to the internet: a
//! server on another port could still answer.

mod delay;
mod policy;
mod turn;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::Builder;
use std::time::Duration;

use mio::Interest;

use self::delay::Queue;
use self::turn::{Shared, respond};
use crate::clock::Clock;
use crate::echo::policy::{Dropper, ReplyPolicy};
use crate::engine::UringEcho;
use crate::engine::echo::{ManyEcho, PlainEcho, PlainEchoAnywhere, Responder};
use crate::host::counters::CounterSnapshot;
use crate::host::device::name_at;
use crate::measure::{ClientBoard, ClientRecorder, EchoTally, IntervalScale, ServerRecorder};
use crate::net::{NetError, Options, RealtimeWorker, TIMER_SLACK_NS, Udp, pin_to};
use crate::plan::{DropRule, EchoKind, EngineKind, WaitKind};
use crate::run::worker::waiter;
use crate::run::{DropReadings, RunError};
use crate::sys;
use crate::unit::Nanos;

/// How often the end conditions, and the end of the workers, are checked; arbitrary.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const JOIN_INTERVAL: Duration = Duration::from_millis(1);

/// Options of an echo server.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct EchoOptions {
    pub socket: Options,
    /// Whether a socket at `[::]` accepts IPv4, too.
    pub dual: bool,
    pub engine: EchoKind,
    /// Workers, each with its own socket; 0 counts as 1.
    pub threads: u16,
    /// Cores for workers, in turn; empty: not pinned.
    pub cores: Vec<usize>,
    pub wait: WaitKind,
    /// Whether pinned workers run in real time.
    pub realtime: bool,
    pub delay: Option<Nanos>,
    /// Which datagrams are not answered; each worker applies it separately.
    pub drop: Option<DropRule>,
    pub seed: u64,
    /// Maximum datagrams; the rest of the last batch is answered, too.
    pub count: Option<u64>,
    pub time: Option<Nanos>,
    /// Maximum time without a datagram.
    pub idle: Option<Nanos>,
    /// Where each worker counts by client; empty: nowhere.
    pub clients: Vec<Arc<ClientBoard>>,
    /// Width of intervals; `None`: none.
    pub interval: Option<Nanos>,
}

/// An event of an echo server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EchoEvent {
    /// It listens at this address; whether it accepts IPv4 on an IPv6 socket, too.
    Listening(SocketAddr, bool),
    /// Progress: datagrams received so far.
    Tick(u64),
}

/// Why an echo server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "other variants are as named")]
pub enum EchoEnd {
    Stopped,
    /// It received the requested number of datagrams.
    Count,
    Time,
    /// No datagram arrived for the idle time.
    Idle,
}

/// Runs an echo server until `stop` or the options end it; an error if a worker cannot be set up.
pub fn echo(
    options: &EchoOptions,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(EchoEvent),
) -> Result<(EchoTally, EchoEnd), RunError> {
    let workers = usize::from(options.threads.max(1));
    // Read before the sockets exist, so that no datagram is earlier.
    let began = Clock::Monotonic.now();
    let device = options.socket.dev.clone().or_else(|| name_at(options.socket.bind.ip()));
    let counters = options.interval.map(|_| CounterSnapshot::begin(device.as_deref()));
    let sockets = Udp::open_shared(&options.socket, workers, options.dual)?;
    let local = sockets.first().map_or(options.socket.bind, |udp| udp.local);
    let shared = Arc::new(Shared::new(workers, options.count));
    let end_at = options.time.unwrap_or(Nanos::NEVER);
    let (ready, set_up) = mpsc::channel();
    let mut threads = Vec::new();
    let mut failed = None;
    for (number, udp) in sockets.into_iter().enumerate() {
        let (options, shared, ready) = (options.clone(), Arc::clone(&shared), ready.clone());
        let recorder = options.interval.map(|width| ServerRecorder::new(width, began, end_at));
        let worker = EchoWorker { options, number, shared, ready, recorder };
        let thread = Builder::new().name(format!("udperf-echo-{number}"));
        match thread.spawn(move || worker.serve(udp)) {
            Ok(thread) => threads.push(thread),
            Err(source) => failed = Some(RunError::Spawn { source }),
        }
    }
    drop(ready);
    for result in set_up.iter() {
        failed = failed.or_else(|| result.err().map(RunError::Net));
    }
    let scale = options.interval.map(|width| IntervalScale::new(width, end_at));
    let (mut end, mut drops) = (EchoEnd::Stopped, DropReadings::default());
    if failed.is_none() {
        watch(EchoEvent::Listening(local, options.dual));
        let alive = || threads.iter().all(|thread| !thread.is_finished());
        end = supervise(options, stop, &shared, alive, &mut |event| {
            let ended = scale.map(|scale| scale.index(Clock::Monotonic.now().since(began)));
            DropReadings::observe([&mut drops], ended, counters.as_ref(), || [[None; 2]]);
            watch(event);
        });
    }
    shared.end(end == EchoEnd::Stopped);
    while threads.iter().any(|thread| !thread.is_finished()) {
        if stop.load(Ordering::Relaxed) {
            end = EchoEnd::Stopped;
            shared.end(true);
        }
        std::thread::sleep(JOIN_INTERVAL);
    }
    let mut tally = EchoTally::default();
    for thread in threads {
        match thread.join() {
            Ok(one) => tally.merge(one),
            Err(_) => {
                failed = failed.or_else(|| Some(RunError::Panicked { id: "echo".to_owned() }));
            }
        }
    }
    tally.time = (began, Clock::Monotonic.now());
    if let Some(counters) = counters {
        (tally.intervals.scale, tally.intervals.planned_end) = (scale, options.time);
        tally.intervals.drop_readings = drops.into_readings(counters.end().kernel());
    }
    failed.map_or(Ok((tally, end)), Err)
}

fn supervise(
    options: &EchoOptions,
    stop: &AtomicBool,
    shared: &Shared,
    alive: impl Fn() -> bool,
    watch: &mut dyn FnMut(EchoEvent),
) -> EchoEnd {
    let started = Clock::Monotonic.now();
    let (mut received, mut received_at) = (0, started);
    loop {
        // Read before the counters: workers that end by themselves have received enough.
        let alive = alive();
        if stop.load(Ordering::Relaxed) {
            return EchoEnd::Stopped;
        }
        let (now, all) = (Clock::Monotonic.now(), shared.received());
        if all > received {
            (received, received_at) = (all, now);
        }
        if options.count.is_some_and(|count| received >= count) {
            return EchoEnd::Count;
        }
        if !alive {
            return EchoEnd::Stopped;
        }
        if options.time.is_some_and(|time| now.since(started) >= time) {
            return EchoEnd::Time;
        }
        if options.idle.is_some_and(|idle| now.since(received_at) > idle) {
            return EchoEnd::Idle;
        }
        watch(EchoEvent::Tick(received));
        let rest =
            options.time.map_or(Duration::MAX, |time| (started + time).since(now).to_duration());
        std::thread::sleep(POLL_INTERVAL.min(rest));
    }
}

struct EchoWorker {
    options: EchoOptions,
    number: usize,
    shared: Arc<Shared>,
    ready: Sender<Result<(), NetError>>,
    recorder: Option<ServerRecorder>,
}

impl EchoWorker {
    fn serve(self, udp: Udp) -> EchoTally {
        let (port, ipv6) = (udp.local.port(), udp.local.is_ipv6());
        let (socket, anywhere) = (udp.socket, udp.local.ip().is_unspecified());
        match self.options.engine {
            EchoKind::Plain if anywhere && sys::enable_pktinfo(&socket, ipv6).is_ok() => {
                self.run(port, || PlainEchoAnywhere::new(socket, ipv6))
            }
            EchoKind::Plain => self.run(port, || Ok(PlainEcho::new(socket))),
            EchoKind::Batch => self.run(port, || ManyEcho::new(socket, ipv6, anywhere, false)),
            EchoKind::Offload => self.run(port, || ManyEcho::new(socket, ipv6, anywhere, true)),
            EchoKind::Uring => self.run(port, || UringEcho::new(socket, ipv6, anywhere)),
        }
    }

    fn run<R: Responder>(self, port: u16, open: impl FnOnce() -> io::Result<R>) -> EchoTally {
        let Self { options, number, shared, ready, recorder } = self;
        let set_up = || {
            let core = options.cores.iter().cycle().nth(number);
            core.map_or(Ok(()), |core| pin_to(*core))?;
            let placed = options.realtime.then(|| RealtimeWorker::start(core.copied()));
            let placed = placed.transpose()?;
            let failed = |source| NetError::Engine { engine: options.engine.word(), source };
            Ok((open().map_err(failed)?, waiter(options.wait, Interest::READABLE)?, placed))
        };
        let (mut responder, mut waiter, _placed) = match set_up() {
            Ok(all) => all,
            Err(error) => {
                let _ = ready.send(Err(error));
                return EchoTally::default();
            }
        };
        let seed = options.seed.wrapping_add(number as u64);
        let dropper = options.drop.map(|rule| Dropper::new(rule, seed));
        let queue = options.delay.map(Queue::new);
        let clients = options.clients.get(number).map(|board| ClientRecorder::new(board.clone()));
        let policy = ReplyPolicy { port, dropper, queue, clients, ..ReplyPolicy::default() };
        if options.delay.is_some() {
            sys::set_timer_slack_ns(TIMER_SLACK_NS);
        }
        let _ = ready.send(Ok(()));
        drop(ready);
        let cpu = sys::thread_cpu_ns();
        let tally = respond(&mut responder, policy, &mut waiter, &shared, number, recorder);
        let cpu = sys::thread_cpu_ns().zip(cpu).map(|(now, then)| Nanos(now - then));
        EchoTally { cpu, ..tally }
    }
}
