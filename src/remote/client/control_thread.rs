//! The thread of a client's line to a sink.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::clock::{Clock, OffsetEstimator, Sample};
use crate::engine::explained;
use crate::net::MAX_DATAGRAM;
use crate::remote::client::clock_corrections::ClockCorrections;
use crate::remote::protocol::Key;
use crate::remote::protocol::spec::ClockNote;
use crate::remote::rpc::{CallError, ClientEvent, KEPT_MOST, RpcClient};
use crate::run::outage::with_neighbour;
use crate::sys::{self, Unreachable, UnreachableErrno};
use crate::unit::Nanos;

/// How long a sink may be silent before it is given up. Arbitrary: outlives a path that loses half
/// of all, and bounds how long a killed sink holds a client.
pub(super) const PATIENCE: Nanos = Nanos::from_millis(10_000);

/// How long a sink must be unreachable before the run gives up on it, so that a sink has time to
/// start. Arbitrary.
const GRACE: Nanos = Nanos::from_millis(2_000);

/// How long a request may take that the sink keeps alive without ever finishing its answer.
/// Arbitrary: many times what ten thousand sockets or a lossy path take.
const ANSWERED_WITHIN: Nanos = Nanos::from_millis(60_000);

/// How often clocks are compared while a cell runs: seldom enough not to disturb it (arbitrary),
/// often enough that 50 ppm of drift are 5 µs.
const SYNC_EVERY: Nanos = Nanos::from_millis(100);

/// Exchanges in one go, before and after a cell. Arbitrary: the fastest of 16 is near the least
/// that the path takes.
const BURST: u32 = 16;

/// How long one exchange of a burst is waited for; arbitrary, longer than most paths take.
const BURST_WAIT: Nanos = Nanos::from_millis(100);

/// How long a burst takes at most, however many got lost; arbitrary.
const BURST_MOST: Nanos = Nanos::from_millis(300);

/// How long an answer is looked for without sleeping: what a path between neighbours takes, so
/// that the wake-up does not count as its delay. Arbitrary.
const SPIN: Nanos = Nanos::from_micros(500);

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);

/// Why the line is no use any more.
#[derive(Debug, Clone)]
pub(super) enum ControlFailure {
    /// The session failed.
    Call(CallError),
    /// The sink is unreachable: its port is closed, or it was never reached.
    Unreachable(Unreachable),
    /// Nothing was heard for [`PATIENCE`].
    Silent,
}

/// What the thread is told to do.
pub(super) enum ControlOrder {
    /// Ask this, and give the answer there.
    Ask(Vec<u8>, Sender<Result<Vec<u8>, ControlFailure>>),
    /// Compare clocks a few times in a row.
    Compare(Sender<()>),
    /// From now on, correct what this says.
    Follow(ClockCorrections),
    /// Not any more; give back what was corrected.
    Release(Sender<Option<ClockCorrections>>),
    /// Say good-bye.
    Close,
}

/// What the thread tells without being asked, and is told without an order.
#[derive(Debug, Default)]
pub(super) struct ControlState {
    clocks: Mutex<OffsetEstimator>,
    /// Whether the sink is out of reach.
    pub(super) failed: AtomicBool,
    /// The end of the running phase on the local clock; 0 if no phase runs, or its end is unknown.
    pub(super) busy_until_ns: AtomicU64,
    /// Whether a sender was told that the sink's port is closed. A host sends few such messages a
    /// second (icmp_ratelimit of icmp(7)), and those go to whoever sends most.
    pub(super) port_seen_closed: AtomicBool,
}

impl ControlState {
    /// What is known of the other clock.
    pub(super) fn clocks(&self) -> MutexGuard<'_, OffsetEstimator> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's side.
pub(super) struct ControlThread {
    poll: Poll,
    socket: UdpSocket,
    caller: RpcClient,
    inbox: Receiver<ControlOrder>,
    /// Who waits for an answer.
    asked: Option<Sender<Result<Vec<u8>, ControlFailure>>>,
    /// When it was asked.
    asked_at: Nanos,
    follow: Option<ClockCorrections>,
    shared: Arc<ControlState>,
    /// When to compare clocks next.
    sync_at: Nanos,
    /// When the sink became unreachable, and why; reset by each of its messages.
    unreachable: Option<(Nanos, Unreachable)>,
    out: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    /// When the sink was heard last, once a session is open.
    heard_at: Nanos,
    /// Exchanges that have succeeded.
    synced: u64,
    failure: Option<ControlFailure>,
    over: bool,
}

impl ControlThread {
    /// On this socket, which is connected to the sink; and what wakes it for an order.
    pub(super) fn new(
        mut socket: UdpSocket,
        key: Option<&Key>,
        nonce: u64,
        inbox: Receiver<ControlOrder>,
        shared: &Arc<ControlState>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
        let line = Self {
            poll,
            socket,
            caller: RpcClient::new(key, nonce, nonce, PATIENCE),
            inbox,
            asked: None,
            asked_at: Nanos::ZERO,
            follow: None,
            shared: Arc::clone(shared),
            sync_at: Nanos::NEVER,
            unreachable: None,
            out: Vec::new(),
            buffer: vec![0; MAX_DATAGRAM],
            heard_at: Nanos::NEVER,
            synced: 0,
            failure: None,
            over: false,
        };
        Ok((line, waker))
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(4);
        while !self.over {
            self.obey();
            self.step();
            let now = Clock::Monotonic.now();
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
                Ok(ControlOrder::Ask(body, answer)) => {
                    (self.asked, self.asked_at) = (Some(answer), Clock::Monotonic.now());
                    if let Some(failure) = self.failure.clone() {
                        self.answer(Err(failure));
                    } else if let Err(error) = self.caller.request(body, Clock::Monotonic.now()) {
                        self.answer(Err(ControlFailure::Call(error)));
                    }
                }
                Ok(ControlOrder::Compare(done)) => {
                    self.burst();
                    drop(done);
                }
                Ok(ControlOrder::Follow(follow)) => {
                    self.follow = Some(follow);
                    self.sync_at = Clock::Monotonic.now();
                }
                Ok(ControlOrder::Release(back)) => {
                    let _ = back.send(self.follow.take());
                }
                Ok(ControlOrder::Close) | Err(TryRecvError::Disconnected) => {
                    return self.say_goodbye();
                }
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    /// Reads what came, retries what is due, compares clocks.
    fn step(&mut self) {
        self.read();
        let now = Clock::Monotonic.now();
        let heard = self.caller.poll(now, &mut self.out);
        self.hear(heard);
        if self.shared.port_seen_closed.load(Ordering::Relaxed) {
            let closed = Unreachable::returned(UnreachableErrno::ConnRefused);
            self.unreachable.get_or_insert((now, closed));
        }
        if let Some((since, why)) = self.unreachable
            && now.since(since) > GRACE
        {
            self.fail(ControlFailure::Unreachable(why));
        }
        // During a phase, an outage may end before the sink is needed again.
        let busy_until = Nanos(self.shared.busy_until_ns.load(Ordering::Relaxed));
        let heard_at = self.heard_at.max(busy_until.min(self.heard_at + KEPT_MOST));
        if now.since(heard_at) > PATIENCE {
            self.fail(ControlFailure::Silent);
        }
        if self.asked.is_some() && now.since(self.asked_at) > ANSWERED_WITHIN {
            self.fail(ControlFailure::Call(CallError::Unfinished { patience: ANSWERED_WITHIN }));
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
            let now = Clock::Monotonic.now();
            match result {
                Ok(len) => {
                    let heard = self.caller.on_datagram(&self.buffer[..len], now, &mut self.out);
                    if heard.is_some() {
                        (self.unreachable, self.heard_at) = (None, now);
                        self.shared.port_seen_closed.store(false, Ordering::Relaxed);
                    }
                    self.hear(heard);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.note_unreachable(&error, now),
            }
        }
    }

    /// Handles an error that reports the sink as unreachable; it ends the run after a delay. If a
    /// sink was heard before, only a closed port shows that it ended: links and routes come back.
    fn note_unreachable(&mut self, error: &io::Error, now: Nanos) {
        let was_heard = self.heard_at != Nanos::NEVER;
        let why = explained(sys::refusal_of(error), &self.socket).unreachable();
        if let Some(why) = why.filter(|why| why.is_closed_port() || !was_heard) {
            let since = self.unreachable.map_or(now, |(since, _)| since);
            self.unreachable = Some((since, with_neighbour(why)));
        }
    }

    fn hear(&mut self, heard: Option<ClientEvent>) {
        match heard {
            Some(ClientEvent::Answer(body)) => self.answer(Ok(body)),
            Some(ClientEvent::Failed(error)) => self.fail(ControlFailure::Call(error)),
            Some(ClientEvent::Closed) => self.over = true,
            Some(ClientEvent::Synced { t1, t2, t3, t4 }) => {
                let sample = Sample { t1_ns: t1.0, t2_ns: t2.0, t3_ns: t3.0, t4_ns: t4.0 };
                let _ = self.shared.clocks().push(sample);
                self.synced += 1;
                self.follow.iter_mut().for_each(|follow| follow.confirm(sample.t1_ns));
            }
            Some(ClientEvent::Opened { .. }) => self.sync_at = Clock::Monotonic.now(),
            None => {}
        }
    }

    /// Tells whoever waits, now or later.
    fn fail(&mut self, failure: ControlFailure) {
        let failure = self.failure.get_or_insert(failure).clone();
        self.shared.failed.store(true, Ordering::Relaxed);
        self.answer(Err(failure));
    }

    fn answer(&mut self, answer: Result<Vec<u8>, ControlFailure>) {
        if let Some(asked) = self.asked.take() {
            let _ = asked.send(answer);
        }
    }

    /// Sends what is to be sent. What is refused is as good as lost: it is retried in time.
    fn send(&mut self) {
        for message in std::mem::take(&mut self.out) {
            if let Err(error) = self.socket.send(&message) {
                self.note_unreachable(&error, Clock::Monotonic.now());
            }
        }
    }

    /// Compares clocks once, and tells what came of the comparisons before.
    fn sync(&mut self, now: Nanos) {
        let believed = self.follow.as_ref().map(|follow| follow.offset_ns);
        let estimate = self.shared.clocks().estimate();
        let shift_ns = believed
            .zip(estimate)
            .map_or(0, |(believed, known)| known.at(now.0).saturating_sub(believed));
        if let Some(follow) = &mut self.follow {
            follow.push(now.0, shift_ns);
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
        let end = Clock::Monotonic.now() + BURST_MOST;
        for _ in 0..BURST {
            let before = self.synced;
            let began = Clock::Monotonic.now();
            if began > end {
                return;
            }
            self.sync(began);
            self.send();
            while self.synced == before
                && Clock::Monotonic.now().since(began) < BURST_WAIT
                && !self.over
            {
                self.read();
                self.send();
                if Clock::Monotonic.now().since(began) > SPIN {
                    let _ = self.poll.poll(&mut Events::with_capacity(4), Some(SHORT));
                }
            }
        }
    }

    fn say_goodbye(&mut self) {
        let began = Clock::Monotonic.now();
        self.caller.close(began);
        let mut events = Events::with_capacity(4);
        while !self.over && Clock::Monotonic.now().since(began) < GOODBYE {
            let heard = self.caller.poll(Clock::Monotonic.now(), &mut self.out);
            self.hear(heard);
            self.send();
            let _ = self.poll.poll(&mut events, Some(SHORT));
            self.read();
        }
        self.over = true;
    }
}

/// A short sleep; arbitrary, the shortest that mio knows.
const SHORT: Duration = Duration::from_millis(1);

/// How long a good-bye is waited for; arbitrary. The sink notices without it, later.
const GOODBYE: Nanos = Nanos::from_millis(300);
