//! An echo server: workers that share a port, each returning what the kernel gives it.
//!
//! Two servers that answer whatever they get may answer each other for ever, once a datagram with a
//! forged source has set them off (RFC 862 says nothing of it). This one never answers its own
//! port number, port 0, or those of the services that inetd(8) had. What remains is a server on
//! another port, one of these too: an echo server does not belong where strangers can reach it.

mod delay;
mod policy;
mod turn;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::Builder;
use std::time::Duration;

use mio::Interest;

use self::delay::Queue;
use self::turn::{Shared, TurnDone, respond};
use crate::clock::Clock;
use crate::echo::policy::{Dropper, ReplyPolicy};
use crate::engine::UringEcho;
use crate::engine::echo::{EchoCounters, ManyEcho, PlainEcho, PlainEchoAnywhere, Responder};
use crate::measure::{EchoTally, SendErrorCounts};
use crate::net::TIMER_SLACK_NS;
use crate::net::{NetError, Options, Udp, Waiter, pin_to};
use crate::plan::{DropRule, EchoKind, EngineKind, WaitKind};
use crate::run::RunError;
use crate::sys;
use crate::unit::Nanos;

/// How often it is looked whether all should end; arbitrary, unnoticeable to people.
const TICK: Duration = Duration::from_millis(20);

/// How often it is looked whether all have ended; arbitrary.
const LAST_TICK: Duration = Duration::from_millis(1);

/// How to answer.
#[derive(Debug, Clone)]
pub struct EchoOptions {
    /// Where to listen.
    pub socket: Options,
    /// Whether a socket of any IPv6 address takes IPv4, too.
    pub dual: bool,
    /// By which engine.
    pub engine: EchoKind,
    /// Workers, each with a socket of its own at the port; 0 counts as 1.
    pub threads: u16,
    /// Cores for workers, in turn; empty: not pinned.
    pub cores: Vec<usize>,
    /// How workers wait.
    pub wait: WaitKind,
    /// How long each answer is held back.
    pub delay: Option<Nanos>,
    /// Which datagrams are not answered; each worker goes by it on its own.
    pub drop: Option<DropRule>,
    /// Where what is random begins.
    pub seed: u64,
    /// Whether to end after so many datagrams. What comes with the last one is answered, too.
    pub count: Option<u64>,
    /// Whether to end after so long.
    pub time: Option<Nanos>,
    /// Whether to end after so long without a datagram.
    pub idle: Option<Nanos>,
}

/// What happens at an echo server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EchoEvent {
    /// It is bound here, and answers; whether a socket of any IPv6 address takes IPv4, too.
    Listening(SocketAddr, bool),
    /// A moment has passed: datagrams received so far.
    Tick(u64),
}

/// Why an echo server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EchoEnd {
    /// It was told to from outside.
    Stopped,
    /// It has received as many datagrams as it was to.
    Count,
    /// Its time was over.
    Time,
    /// Nothing came for as long as it was to wait.
    Idle,
}

/// Answers until stopped, or until what the options say.
///
/// # Errors
/// [`RunError`], where it cannot listen, or a worker cannot be set up.
pub fn echo(
    options: &EchoOptions,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(EchoEvent),
) -> Result<(EchoTally, EchoEnd), RunError> {
    let workers = usize::from(options.threads.max(1));
    let sockets = Udp::open_shared(&options.socket, workers, options.dual)?;
    let local = sockets.first().map_or(options.socket.bind, |udp| udp.local);
    let shared = Arc::new(Shared::new(workers, options.count));
    let (ready, set_up) = mpsc::channel();
    let mut threads = Vec::new();
    let mut failed = None;
    for (worker, udp) in sockets.into_iter().enumerate() {
        let (options, shared, ready) = (options.clone(), Arc::clone(&shared), ready.clone());
        let thread = Builder::new()
            .name(format!("udperf-echo-{worker}"))
            .spawn(move || work(&options, worker, udp, &shared, ready));
        match thread {
            Ok(thread) => threads.push(thread),
            Err(source) => failed = Some(RunError::Spawn { source }),
        }
    }
    drop(ready);
    for result in set_up.iter() {
        failed = failed.or_else(|| result.err().map(RunError::Net));
    }
    let began = Clock::Monotonic.now();
    let mut end = EchoEnd::Stopped;
    if failed.is_none() {
        watch(EchoEvent::Listening(local, options.dual));
        let alive = || threads.iter().all(|thread| !thread.is_finished());
        end = watch_over(options, stop, &shared, alive, watch);
    }
    shared.end(end == EchoEnd::Stopped);
    while threads.iter().any(|thread| !thread.is_finished()) {
        if stop.load(Ordering::Relaxed) {
            end = EchoEnd::Stopped;
            shared.end(true);
        }
        std::thread::sleep(LAST_TICK);
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
    failed.map_or(Ok((tally, end)), Err)
}

/// Waits until all should end.
fn watch_over(
    options: &EchoOptions,
    stop: &AtomicBool,
    shared: &Shared,
    alive: impl Fn() -> bool,
    watch: &mut dyn FnMut(EchoEvent),
) -> EchoEnd {
    let began = Clock::Monotonic.now();
    let (mut received, mut heard_at) = (0, began);
    loop {
        // Before their counters: those who end by themselves have received enough.
        let alive = alive();
        if stop.load(Ordering::Relaxed) {
            return EchoEnd::Stopped;
        }
        let (now, all) = (Clock::Monotonic.now(), shared.received());
        if all > received {
            (received, heard_at) = (all, now);
        }
        if options.count.is_some_and(|count| received >= count) {
            return EchoEnd::Count;
        }
        if !alive {
            return EchoEnd::Stopped;
        }
        if options.time.is_some_and(|time| now.since(began) >= time) {
            return EchoEnd::Time;
        }
        if options.idle.is_some_and(|idle| now.since(heard_at) > idle) {
            return EchoEnd::Idle;
        }
        watch(EchoEvent::Tick(received));
        let rest =
            options.time.map_or(Duration::MAX, |time| (began + time).since(now).to_duration());
        std::thread::sleep(TICK.min(rest));
    }
}

/// One worker, from its placement to what it counted.
fn work(
    options: &EchoOptions,
    worker: usize,
    udp: Udp,
    shared: &Shared,
    ready: Sender<Result<(), NetError>>,
) -> EchoTally {
    let placed = match options.cores.as_slice() {
        [] => Ok(()),
        cores => pin_to(cores[worker % cores.len()]),
    };
    if let Err(error) = placed {
        let _ = ready.send(Err(error.into()));
        return EchoTally::default();
    }
    let (ipv6, anywhere) = (udp.local.is_ipv6(), udp.local.ip().is_unspecified());
    let seat = EchoWorker { options, worker, port: udp.local.port(), shared, ready };
    let socket = udp.socket;
    match options.engine {
        EchoKind::Plain if anywhere && sys::enable_pktinfo(&socket, ipv6).is_ok() => {
            seat.take(PlainEchoAnywhere::new(socket, ipv6))
        }
        EchoKind::Plain => seat.take(Ok(PlainEcho::new(socket))),
        EchoKind::Batch => seat.take(ManyEcho::batch(socket, ipv6, anywhere)),
        EchoKind::Offload => seat.take(ManyEcho::offload(socket, ipv6, anywhere)),
        EchoKind::Uring => seat.take(UringEcho::new(socket, ipv6, anywhere)),
    }
}

/// Where a worker does its work.
struct EchoWorker<'a> {
    options: &'a EchoOptions,
    worker: usize,
    port: u16,
    shared: &'a Shared,
    ready: Sender<Result<(), NetError>>,
}

impl EchoWorker<'_> {
    /// Answers by this responder to the end.
    fn take<R: Responder>(self, responder: std::io::Result<R>) -> EchoTally {
        let Self { options, worker, port, shared, ready } = self;
        let set_up = responder
            .map_err(|source| NetError::Engine { engine: options.engine.word(), source })
            .and_then(|responder| Ok((responder, waiter(options.wait)?)));
        let (mut responder, mut waiter) = match set_up {
            Ok(both) => both,
            Err(error) => {
                let _ = ready.send(Err(error));
                return EchoTally::default();
            }
        };
        let seed = options.seed.wrapping_add(worker as u64);
        let dropper = options.drop.map(|rule| Dropper::new(rule, seed));
        let mut desk = ReplyPolicy::new(port, dropper, options.delay.map(Queue::new));
        if options.delay.is_some() {
            sys::set_timer_slack_ns(TIMER_SLACK_NS);
        }
        let _ = ready.send(Ok(()));
        drop(ready);
        let cpu = sys::thread_cpu_ns();
        let done = respond(&mut responder, &mut desk, &mut waiter, shared, worker);
        let cpu = sys::thread_cpu_ns().zip(cpu).map(|(now, then)| Nanos(now - then));
        EchoTally { cpu, ..tally(&done, desk) }
    }
}

/// The event loop of a worker.
fn waiter(wait: WaitKind) -> Result<Waiter, NetError> {
    let spin_for = match wait {
        WaitKind::Spin => Waiter::SPIN,
        WaitKind::Hybrid => Waiter::HYBRID,
        WaitKind::Epoll => Waiter::EPOLL,
    };
    Waiter::new(spin_for, Interest::READABLE).map_err(|source| NetError::Poll { source })
}

/// What one worker counted.
fn tally(done: &TurnDone, desk: ReplyPolicy) -> EchoTally {
    let EchoCounters { refused, .. } = done.moved;
    EchoTally {
        received: done.moved.received,
        received_bytes: done.moved.received_bytes,
        packets: done.moved.packets,
        truncated: done.moved.truncated,
        returned: done.moved.returned,
        returned_bytes: done.moved.returned_bytes,
        refused: SendErrorCounts {
            would_block: refused.would_block,
            no_buffers: refused.no_buffers,
            unreachable: refused.unreachable,
            too_big: refused.too_big,
            other: refused.other,
        },
        dropped: desk.dropped,
        unanswered: desk.unanswered,
        overflow: desk.overflow,
        waiting: desk.queue.as_ref().map_or(0, Queue::datagrams),
        told: done.moved.queued_errors,
        cut: done.moved.cut,
        syscalls: done.moved.syscalls,
        empty: done.moved.empty,
        errors: done.moved.errors,
        socket_drops: done.drops.known_total(),
        active: done.active,
        clients: desk.clients,
        lateness: desk.queue.map(|queue| queue.lateness).unwrap_or_default(),
        ..EchoTally::default()
    }
}
