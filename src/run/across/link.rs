//! The client's line to a sink: a thread of its own that asks, and that compares clocks meanwhile.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use super::spec::{Ask, ClockNote, Told};
use crate::clock::{Offset, OffsetEstimator, Sample};
use crate::net::Udp;
use crate::run::RunError;
use crate::run::control::Control;
use crate::run::rpc::{CallError, Caller, Heard};
use crate::sys;
use crate::unit::Nanos;
use crate::wire::control::Key;

/// How long a sink may be silent before it is given up. Arbitrary: outlives a path that loses half
/// of all, and bounds how long a killed sink holds a client.
const PATIENCE: Nanos = Nanos::from_millis(10_000);

/// How long ports may be unreachable before that is believed: a sink that is just being started
/// gets its time. Arbitrary.
const GRACE: Nanos = Nanos::from_millis(2_000);

/// How often clocks are compared while a cell runs: seldom enough not to disturb it (arbitrary),
/// often enough that 50 ppm of drift are 5 µs.
const SYNC_EVERY: Nanos = Nanos::from_millis(100);

/// Exchanges in one go, before and after a cell. Arbitrary: the fastest of 16 is near the least
/// that the path takes.
const BURST: u32 = 16;

/// How long one exchange of a burst is waited for; arbitrary, longer than most paths take.
const BURST_WAIT: Nanos = Nanos::from_millis(100);

/// How long an answer is looked for without sleeping: what a path between neighbours takes, so
/// that the wake-up does not count as its delay. Arbitrary.
const SPIN: Nanos = Nanos::from_micros(500);

/// Bytes of the largest datagram; RFC 768.
const LARGEST: usize = 65_535;

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);

/// Why the line is no use any more.
#[derive(Debug, Clone)]
enum Failure {
    /// The session failed.
    Call(CallError),
    /// Nobody has bound the sink's port, as its host says.
    NoPort,
    /// Nothing was heard for [`PATIENCE`].
    Silent,
}

/// What the thread is told to do.
enum Order {
    /// Ask this, and give the answer there.
    Ask(Vec<u8>, Sender<Result<Vec<u8>, Failure>>),
    /// Compare clocks a few times in a row.
    Compare(Sender<()>),
    /// From now on, correct what this says.
    Follow(Follow),
    /// Not any more; give back what was corrected.
    Release(Sender<Option<Follow>>),
    /// Say good-bye.
    Close,
}

/// A phase whose receivers rest on an estimate of the other clock, which gets better meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Follow {
    /// How much later the sink's clock was believed to be when the phase began.
    pub(crate) offset_ns: i64,
    /// The receivers here, whose senders are there.
    pub(crate) receivers: Option<Arc<Control>>,
    /// When what correction was in force, on the client's clock.
    pub(crate) shifts: Vec<(u64, i64)>,
}

/// The line to a sink.
pub(crate) struct Link {
    orders: Sender<Order>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    clocks: Arc<Mutex<OffsetEstimator>>,
    failed: Arc<AtomicBool>,
    port_seen_closed: Arc<AtomicBool>,
    same_clock: bool,
    target: SocketAddr,
}

impl Link {
    /// Opens the line on this socket, which is connected to the sink.
    pub(crate) fn open(
        socket: Udp,
        target: SocketAddr,
        key: Option<Key>,
        nonce: u64,
    ) -> Result<Self, RunError> {
        let no_line = |source| RunError::Link { target, source };
        let poll = Poll::new().map_err(no_line)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE).map_err(no_line)?);
        let mut socket = socket.socket;
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE).map_err(no_line)?;
        let (orders, inbox) = mpsc::channel();
        let clocks = Arc::new(Mutex::new(OffsetEstimator::default()));
        let failed = Arc::new(AtomicBool::new(false));
        let port_seen_closed = Arc::new(AtomicBool::new(false));
        let line = Line {
            poll,
            socket,
            caller: Caller::new(key.as_ref(), nonce, nonce, PATIENCE),
            inbox,
            asked: None,
            follow: None,
            clocks: Arc::clone(&clocks),
            sync_at: Nanos::NEVER,
            unreachable_since: None,
            out: Vec::new(),
            buffer: vec![0; LARGEST],
            heard_at: Nanos::NEVER,
            failure: None,
            failed: Arc::clone(&failed),
            port_seen_closed: Arc::clone(&port_seen_closed),
            over: false,
        };
        let thread = Builder::new()
            .name("udperf-control".to_owned())
            .spawn(move || line.run())
            .map_err(|source| RunError::Spawn { source })?;
        let (thread, same_clock) = (Some(thread), false);
        Ok(Self { orders, waker, thread, clocks, failed, port_seen_closed, same_clock, target })
    }

    /// Asks the sink, and waits for what it says.
    pub(crate) fn ask(&self, ask: &Ask) -> Result<Told, RunError> {
        let target = self.target;
        let damaged = |_| RunError::Damaged { target };
        let body = postcard::to_stdvec(ask).map_err(damaged)?;
        let (sender, answer) = mpsc::channel();
        self.order(Order::Ask(body, sender));
        // The thread gives every answer or a reason; without either, it died.
        let gone = RunError::Panicked { id: "control".to_owned() };
        let answer = answer.recv().map_err(|_| gone)?;
        let body = answer.map_err(|failure| match failure {
            Failure::Call(source) => RunError::Call { target, source },
            Failure::NoPort => RunError::NoPort { target },
            Failure::Silent => {
                let source = CallError::Silent { patience: PATIENCE };
                RunError::Call { target, source }
            }
        })?;
        match postcard::from_bytes(&body).map_err(damaged)? {
            Told::Refused(why) => Err(RunError::Refused { target, why }),
            told => Ok(told),
        }
    }

    /// Whether the sink is out of reach, as the next question will tell.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// A sender was told that the sink's port is closed. Unless the sink is heard soon, that is
    /// believed.
    pub(crate) fn doubt(&self) {
        self.port_seen_closed.store(true, Ordering::Relaxed);
    }

    /// From now on, both ends are taken to read the same clock, unless what was exchanged says
    /// otherwise.
    pub(crate) fn trust_same_clock(&mut self) {
        let estimate = self.clocks().estimate();
        self.same_clock =
            estimate.is_none_or(|offset| offset.offset_ns.unsigned_abs() <= offset.bound_ns);
    }

    /// Whether both ends read the same clock.
    pub(crate) fn same_clock(&self) -> bool {
        self.same_clock
    }

    /// Compares clocks a few times in a row.
    pub(crate) fn compare(&self) {
        let (sender, done) = mpsc::channel();
        self.order(Order::Compare(sender));
        let _ = done.recv();
    }

    /// How much later the sink's clock is than ours; `None` where no exchange has succeeded.
    pub(crate) fn offset(&self) -> Option<Offset> {
        if self.same_clock { Some(Offset::same_clock()) } else { self.clocks().estimate() }
    }

    /// The least that an exchange took.
    pub(crate) fn rtt(&self) -> Nanos {
        self.clocks().estimate().map_or(Nanos::ZERO, |offset| Nanos(offset.min_rtt_ns))
    }

    /// Keeps the receivers of a phase informed of how the clocks drift.
    pub(crate) fn follow(&self, follow: Follow) {
        if !self.same_clock {
            self.order(Order::Follow(follow));
        }
    }

    /// The phase is over; what was corrected.
    pub(crate) fn release(&self) -> Option<Follow> {
        let (sender, follow) = mpsc::channel();
        self.order(Order::Release(sender));
        follow.recv().ok().flatten()
    }

    fn order(&self, order: Order) {
        // A thread that died is noticed by whoever waits for its answer.
        let _ = self.orders.send(order);
        let _ = self.waker.wake();
    }

    fn clocks(&self) -> MutexGuard<'_, OffsetEstimator> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.order(Order::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Line {
    poll: Poll,
    socket: UdpSocket,
    caller: Caller,
    inbox: Receiver<Order>,
    /// Who waits for an answer.
    asked: Option<Sender<Result<Vec<u8>, Failure>>>,
    follow: Option<Follow>,
    clocks: Arc<Mutex<OffsetEstimator>>,
    /// When to compare clocks next.
    sync_at: Nanos,
    /// Since when the sink's port has been unreachable, without a word from it.
    unreachable_since: Option<Nanos>,
    out: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    /// When the sink was heard last, once a session is open.
    heard_at: Nanos,
    failure: Option<Failure>,
    failed: Arc<AtomicBool>,
    /// Whether a sender was told that the sink's port is closed. A host sends few such messages a
    /// second (icmp_ratelimit of icmp(7)), and those go to whoever sends most.
    port_seen_closed: Arc<AtomicBool>,
    over: bool,
}

impl Line {
    fn run(mut self) {
        let mut events = Events::with_capacity(4);
        while !self.over {
            self.obey();
            self.step();
            let now = now();
            let wake_at = self.caller.deadline().map_or(self.sync_at, |at| at.min(self.sync_at));
            let most = Duration::from_millis(wake_at.since(now).0.div_ceil(1_000_000).min(1_000));
            // Interrupted is as good as nothing ready.
            let _ = self.poll.poll(&mut events, Some(most));
        }
    }

    /// Takes what was ordered.
    fn obey(&mut self) {
        loop {
            match self.inbox.try_recv() {
                Ok(Order::Ask(body, answer)) => {
                    self.asked = Some(answer);
                    if let Some(failure) = self.failure.clone() {
                        self.answer(Err(failure));
                    } else if let Err(error) = self.caller.request(body, now()) {
                        self.answer(Err(Failure::Call(error)));
                    }
                }
                Ok(Order::Compare(done)) => {
                    self.burst();
                    drop(done);
                }
                Ok(Order::Follow(follow)) => {
                    self.follow = Some(follow);
                    self.sync_at = now();
                }
                Ok(Order::Release(back)) => {
                    let _ = back.send(self.follow.take());
                }
                Ok(Order::Close) | Err(TryRecvError::Disconnected) => return self.say_goodbye(),
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    /// Reads what came, retries what is due, compares clocks.
    fn step(&mut self) {
        self.read();
        let now = now();
        let heard = self.caller.poll(now, &mut self.out);
        self.hear(heard);
        if self.port_seen_closed.load(Ordering::Relaxed) {
            self.unreachable_since.get_or_insert(now);
        }
        if self.unreachable_since.is_some_and(|since| now.since(since) > GRACE) {
            self.fail(Failure::NoPort);
        }
        if now.since(self.heard_at) > PATIENCE {
            self.fail(Failure::Silent);
        }
        if now >= self.sync_at {
            self.sync(now);
            self.sync_at = now + SYNC_EVERY;
        }
        self.send();
    }

    fn read(&mut self) {
        loop {
            let result = self.socket.recv(&mut self.buffer);
            let now = now();
            match result {
                Ok(len) => {
                    let heard = self.caller.on_datagram(&self.buffer[..len], now, &mut self.out);
                    if heard.is_some() {
                        (self.unreachable_since, self.heard_at) = (None, now);
                        self.port_seen_closed.store(false, Ordering::Relaxed);
                    }
                    self.hear(heard);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.note_unreachable(&error, now),
            }
        }
    }

    /// Keeps in mind that an ICMP error came back, and believes it after a grace.
    fn note_unreachable(&mut self, error: &io::Error, now: Nanos) {
        if sys::refusal_of(error) != sys::SendError::Unreachable {
            return;
        }
        self.unreachable_since.get_or_insert(now);
    }

    fn hear(&mut self, heard: Option<Heard>) {
        match heard {
            Some(Heard::Answer(body)) => self.answer(Ok(body)),
            Some(Heard::Failed(error)) => self.fail(Failure::Call(error)),
            Some(Heard::Closed) => self.over = true,
            Some(Heard::Synced { t1, t2, t3, t4 }) => {
                let sample = Sample { t1_ns: t1.0, t2_ns: t2.0, t3_ns: t3.0, t4_ns: t4.0 };
                let _ = self.clocks().push(sample);
            }
            Some(Heard::Opened { .. }) => self.sync_at = now(),
            None => {}
        }
    }

    /// Tells whoever waits, now or later.
    fn fail(&mut self, failure: Failure) {
        let failure = self.failure.get_or_insert(failure).clone();
        self.failed.store(true, Ordering::Relaxed);
        self.answer(Err(failure));
    }

    fn answer(&mut self, answer: Result<Vec<u8>, Failure>) {
        if let Some(asked) = self.asked.take() {
            let _ = asked.send(answer);
        }
    }

    /// Sends what is to be sent. What is refused is as good as lost: it is retried in time.
    fn send(&mut self) {
        for message in std::mem::take(&mut self.out) {
            if let Err(error) = self.socket.send(&message) {
                self.note_unreachable(&error, now());
            }
        }
    }

    /// Compares clocks once, and tells what came of the comparisons before.
    fn sync(&mut self, now: Nanos) {
        let believed = self.follow.as_ref().map(|follow| follow.offset_ns);
        let estimate = self.clocks().estimate();
        let shift_ns = believed
            .zip(estimate)
            .map_or(0, |(believed, known)| known.at(now.0).saturating_sub(believed));
        if let Some(follow) = &mut self.follow {
            follow.shifts.push((now.0, shift_ns));
            if let Some(receivers) = &follow.receivers {
                receivers.shift(-shift_ns);
            }
        }
        let note = self.follow.as_ref().map(|_| postcard::to_stdvec(&ClockNote { shift_ns }));
        let note = note.and_then(Result::ok).unwrap_or_default();
        self.caller.sync(&note, now, &mut self.out);
    }

    /// Compares clocks several times in a row, without sleeping between question and answer where
    /// the path is short.
    fn burst(&mut self) {
        for _ in 0..BURST {
            let before = self.samples();
            let began = now();
            self.sync(began);
            self.send();
            while self.samples() == before && now().since(began) < BURST_WAIT && !self.over {
                self.read();
                self.send();
                if now().since(began) > SPIN {
                    let _ = self.poll.poll(&mut Events::with_capacity(4), Some(SHORT));
                }
            }
        }
    }

    fn samples(&self) -> usize {
        self.clocks().estimate().map_or(0, |offset| offset.samples)
    }

    fn say_goodbye(&mut self) {
        let began = now();
        self.caller.close(began);
        let mut events = Events::with_capacity(4);
        while !self.over && now().since(began) < GOODBYE {
            let heard = self.caller.poll(now(), &mut self.out);
            self.hear(heard);
            self.send();
            let _ = self.poll.poll(&mut events, Some(SHORT));
            self.read();
        }
        self.over = true;
    }

    fn clocks(&self) -> MutexGuard<'_, OffsetEstimator> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A short sleep; arbitrary, the shortest that mio knows.
const SHORT: Duration = Duration::from_millis(1);

/// How long a good-bye is waited for; arbitrary. The sink notices without it, later.
const GOODBYE: Nanos = Nanos::from_millis(300);

fn now() -> Nanos {
    Nanos(sys::monotonic_ns())
}
