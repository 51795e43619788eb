//! The control thread of a client.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::clock::{Clock, OffsetEstimator};
use crate::engine::explained;
use crate::net::MAX_DATAGRAM;
use crate::remote::client::clock_corrections::ClockCorrections;
use crate::remote::lock;
use crate::remote::protocol::Key;
use crate::remote::protocol::spec::ClockNote;
use crate::remote::rpc::{CallError, ClientEvent, MAX_KEPT, RpcClient};
use crate::run::outage::with_neighbour;
use crate::sys::{self, Unreachable, UnreachableErrno};
use crate::unit::Nanos;

/// How long a sink may be silent before the session fails. Arbitrary: enough for a path that loses
/// half of all datagrams, and it bounds the wait for a killed sink.
const PATIENCE: Nanos = Nanos::from_millis(10_000);
/// How long a sink may be unreachable: it needs time to start. Arbitrary.
const GRACE: Nanos = Nanos::from_millis(2_000);
/// The same once a signal has stopped the run: launchers kill a process a second after it (Open
/// MPI, `odls_base_sigkill_timeout`), and then there is no report. Arbitrary.
const GRACE_OF_STOPPED: Nanos = Nanos::from_millis(250);
/// The longest time of a call. Arbitrary: many times what ten thousand sockets take.
const ANSWER_TIMEOUT: Nanos = Nanos::from_millis(60_000);
/// The interval of clock comparisons in a cell. Arbitrary: drift of 50 ppm is only 5 µs.
const SYNC_INTERVAL: Nanos = Nanos::from_millis(100);
/// Exchanges in a burst. Arbitrary: the fastest of 16 is near the minimum of the path.
const BURST: u32 = 16;
/// The timeout of one exchange in a burst; arbitrary, longer than most paths take.
const BURST_WAIT: Nanos = Nanos::from_millis(100);
/// The longest time of a burst, whatever is lost; arbitrary.
const BURST_LIMIT: Nanos = Nanos::from_millis(300);
/// How long to spin for a reply, so that the wake-up does not count as path delay. Arbitrary.
const SPIN: Nanos = Nanos::from_micros(500);
/// A short sleep; arbitrary, the shortest of mio.
const SHORT_SLEEP: Duration = Duration::from_millis(1);
/// How long to wait for the end of the session; arbitrary. Without it, the sink times out.
const CLOSE_TIMEOUT: Nanos = Nanos::from_millis(300);

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);

pub(super) type ControlOrder = Box<dyn FnOnce(&mut ControlThread) + Send>;

/// Gets the response to a call, or why the session failed.
type Reply = Sender<Result<Vec<u8>, CallError>>;

/// State that the thread shares without orders.
#[derive(Debug, Default)]
pub(super) struct ControlState {
    pub(super) clocks: Mutex<OffsetEstimator>,
    /// Whether the session has failed; the next call returns why.
    pub(super) failed: AtomicBool,
    /// The end of the phase, until when the sink may be unreachable; 0: none runs, or unknown.
    pub(super) busy_until_ns: AtomicU64,
    /// Whether a signal has stopped the run.
    pub(super) is_stopped: AtomicBool,
    /// Whether a sender saw the sink's port closed. ICMP errors are rate-limited (icmp_ratelimit of
    /// icmp(7)), so those of the control socket may be suppressed.
    pub(super) port_seen_closed: AtomicBool,
}

pub(super) struct ControlThread {
    poll: Poll,
    socket: UdpSocket,
    rpc: RpcClient,
    inbox: Receiver<ControlOrder>,
    pending: Option<Reply>,
    pending_since: Nanos,
    pub(super) corrections: Option<ClockCorrections>,
    shared: Arc<ControlState>,
    sync_at: Nanos,
    /// When the sink became unreachable, and why; each of its messages resets it.
    unreachable: Option<(Nanos, Unreachable)>,
    out: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    /// When the sink's last message arrived; [`Nanos::NEVER`] before the first.
    received_at: Nanos,
    synced: u64,
    failure: Option<CallError>,
    is_over: bool,
}

impl ControlThread {
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
        let thread = Self {
            poll,
            socket,
            rpc: RpcClient::new(key, nonce, nonce, PATIENCE),
            inbox,
            pending: None,
            pending_since: Nanos::ZERO,
            corrections: None,
            shared: Arc::clone(shared),
            sync_at: Nanos::NEVER,
            unreachable: None,
            out: Vec::new(),
            buffer: vec![0; MAX_DATAGRAM],
            received_at: Nanos::NEVER,
            synced: 0,
            failure: None,
            is_over: false,
        };
        Ok((thread, waker))
    }

    pub(super) fn run(mut self) {
        while !self.is_over {
            while let Ok(order) = self.inbox.try_recv() {
                order(&mut self);
            }
            self.step();
            let wake_at = self.rpc.deadline().unwrap_or(Nanos::NEVER).min(self.sync_at);
            let left = wake_at - Clock::Monotonic.now();
            self.sleep(Duration::from_millis(left.0.div_ceil(1_000_000).min(1_000)));
        }
    }

    pub(super) fn call(&mut self, body: Vec<u8>, reply: Reply) {
        (self.pending, self.pending_since) = (Some(reply), Clock::Monotonic.now());
        if let Some(failure) = self.failure.clone() {
            self.answer(Err(failure));
        } else if let Err(error) = self.rpc.request(body, self.pending_since) {
            self.answer(Err(error));
        }
    }

    pub(super) fn start_corrections(&mut self, corrections: ClockCorrections) {
        self.corrections = Some(corrections);
        self.sync_at = Clock::Monotonic.now();
    }

    fn step(&mut self) {
        self.read();
        let now = Clock::Monotonic.now();
        let event = self.rpc.poll(now, &mut self.out);
        self.handle_event(event);
        if self.shared.port_seen_closed.load(Ordering::Relaxed) {
            let closed = Unreachable::returned(UnreachableErrno::ConnRefused);
            self.unreachable.get_or_insert((now, closed));
        }
        let is_stopped = self.shared.is_stopped.load(Ordering::Relaxed);
        if let Some((since, why)) = self.unreachable
            && now.since(since) > if is_stopped { GRACE_OF_STOPPED } else { GRACE }
        {
            self.fail(CallError::Unreachable(why));
        }
        // During a phase, an outage may end before the sink is needed again.
        let busy_until = Nanos(self.shared.busy_until_ns.load(Ordering::Relaxed));
        let received_at = self.received_at.max(busy_until.min(self.received_at + MAX_KEPT));
        if now.since(received_at) > PATIENCE {
            self.fail(CallError::Silent(PATIENCE));
        }
        if self.pending.is_some() && now.since(self.pending_since) > ANSWER_TIMEOUT {
            self.fail(CallError::Unfinished(ANSWER_TIMEOUT));
        }
        if now >= self.sync_at {
            self.sync(now);
            self.sync_at = now + SYNC_INTERVAL;
        }
        self.send();
    }

    fn read(&mut self) {
        loop {
            let result = self.socket.recv(&mut self.buffer);
            let now = Clock::Monotonic.now();
            match result {
                Ok(len) => {
                    let event = self.rpc.on_datagram(&self.buffer[..len], now, &mut self.out);
                    if event.is_some() {
                        (self.unreachable, self.received_at) = (None, now);
                        self.shared.port_seen_closed.store(false, Ordering::Relaxed);
                    }
                    self.handle_event(event);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.note_unreachable(&error, now),
            }
        }
    }

    /// Notes since when the sink is unreachable. After its first message only a closed port counts:
    /// links and routes may recover.
    fn note_unreachable(&mut self, error: &io::Error, now: Nanos) {
        let why = explained(sys::send_error_of(error), &self.socket).unreachable();
        if let Some(why) = why
            && (why.is_closed_port() || self.received_at == Nanos::NEVER)
        {
            let since = self.unreachable.map_or(now, |(since, _)| since);
            self.unreachable = Some((since, with_neighbour(why)));
        }
    }

    fn handle_event(&mut self, event: Option<ClientEvent>) {
        match event {
            Some(ClientEvent::Answer(body)) => self.answer(Ok(body)),
            Some(ClientEvent::Failed(error)) => self.fail(error),
            Some(ClientEvent::Closed) => self.is_over = true,
            Some(ClientEvent::Synced(sample)) => {
                let _ = lock(&self.shared.clocks).push(sample);
                self.synced += 1;
                if let Some(corrections) = &mut self.corrections {
                    corrections.confirm(sample.t1_ns);
                }
            }
            Some(ClientEvent::Opened(_)) => self.sync_at = Clock::Monotonic.now(),
            None => {}
        }
    }

    fn fail(&mut self, failure: CallError) {
        let failure = self.failure.get_or_insert(failure).clone();
        self.shared.failed.store(true, Ordering::Relaxed);
        self.answer(Err(failure));
    }

    fn answer(&mut self, answer: Result<Vec<u8>, CallError>) {
        if let Some(pending) = self.pending.take() {
            let _ = pending.send(answer);
        }
    }

    /// Sends queued messages. A failed send counts as loss: it is retried.
    fn send(&mut self) {
        for message in std::mem::take(&mut self.out) {
            if let Err(error) = self.socket.send(&message) {
                self.note_unreachable(&error, Clock::Monotonic.now());
            }
        }
    }

    fn sync(&mut self, now: Nanos) {
        let mut note = Vec::new();
        if let Some(corrections) = &mut self.corrections {
            let offset_ns = lock(&self.shared.clocks).estimate().map(|offset| offset.at(now.0));
            let shift_ns = offset_ns.map_or(0, |ns| ns.saturating_sub(corrections.offset_ns));
            corrections.push(now.0, shift_ns);
            if let Some(receivers) = &corrections.receivers {
                receivers.shift(-shift_ns);
            }
            note = postcard::to_stdvec(&ClockNote { shift_ns }).unwrap_or_default();
        }
        self.rpc.sync(&note, now, &mut self.out);
    }

    /// Compares clocks several times in a row, without sleeping during short round trips.
    pub(super) fn burst(&mut self) {
        let end = Clock::Monotonic.now() + BURST_LIMIT;
        for _ in 0..BURST {
            let before = self.synced;
            let began = Clock::Monotonic.now();
            if began > end {
                return;
            }
            self.sync(began);
            self.send();
            let waited = || Clock::Monotonic.now() - began;
            while self.synced == before && waited() < BURST_WAIT && !self.is_over {
                self.read();
                self.send();
                if waited() > SPIN {
                    self.sleep(SHORT_SLEEP);
                }
            }
        }
    }

    pub(super) fn close_session(&mut self) {
        let began = Clock::Monotonic.now();
        self.rpc.close(began);
        self.step();
        // A sink that has failed does not answer.
        let is_failed = self.failure.is_some();
        while !self.is_over && !is_failed && Clock::Monotonic.now() - began < CLOSE_TIMEOUT {
            self.sleep(SHORT_SLEEP);
            self.step();
        }
        self.is_over = true;
    }

    /// Sleeps until a datagram or an order arrives, or for this time.
    fn sleep(&mut self, most: Duration) {
        let _ = self.poll.poll(&mut Events::with_capacity(4), Some(most));
    }
}
