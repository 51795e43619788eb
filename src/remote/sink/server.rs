//! The event loop of a sink: passes control messages to their sessions, and counts the rest.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::client::{Client, client_counts, reap, sessions_to_end};
use super::listeners::{
    AffinityGuard, ControlListener, ControlSockets, ListenerThreads, ended, next_tick,
};
use super::session::SinkShared;
use super::{SinkEnd, SinkEvent, SinkOptions};
use crate::clock::Clock;
use crate::host::HostFacts;
use crate::host::counters::CounterSnapshot;
use crate::measure::{IntervalScale, ServerRecorder, ServerSums, SinkTally, Snapshot};
use crate::net::{Bound, BoundSender, Group, MAX_DATAGRAM};
use crate::payload::answer_ping;
use crate::remote::lock;
use crate::remote::protocol::CloseReason;
use crate::remote::protocol::spec::ClockNote;
use crate::remote::rpc::{AnswerError, Limits, Outgoing, RpcServer, ServerEvent, ServerOutcome};
use crate::run::{DropReadings, RunError};
use crate::sys;
use crate::unit::Nanos;

/// How long the loop spins after a control message before it sleeps: clock comparisons arrive in
/// bursts, and a wake-up (60 µs, measured) would count as path delay. Arbitrary.
const SPIN: Nanos = Nanos::from_micros(300);
/// The most datagrams read from one socket before the next socket; arbitrary.
const READ_BURST: usize = 256;
/// The most events of one poll; arbitrary, others stay for the next poll.
const EVENTS: usize = 64;
/// The token of the waker; those of sockets count from 0.
const WAKE: Token = Token(usize::MAX);

/// Serves until it is stopped, or until the end that the options set.
pub(crate) fn serve(
    options: &SinkOptions,
    facts: &HostFacts,
    stop: &AtomicBool,
    on_sink_event: &mut dyn FnMut(SinkEvent<'_>),
) -> Result<(SinkTally, SinkEnd), RunError> {
    sys::raise_open_files();
    sys::return_large_blocks();
    // Read before the sockets exist, so that no datagram is earlier.
    let began = Clock::Monotonic.now();
    let mut server = Server::open(options, facts, began, on_sink_event)?;
    let end = server.run(stop);
    Ok((server.close(), end))
}

type Reply = (u64, u32, Vec<u8>);

/// Drops of the kernel by interval.
struct SinkIntervals {
    scale: IntervalScale,
    began: Nanos,
    counters: CounterSnapshot,
    drops: DropReadings,
}

impl SinkIntervals {
    fn begin(width: Nanos, began: Nanos, device: Option<&str>) -> Self {
        let scale = IntervalScale::new(width, Nanos::NEVER);
        let (counters, drops) = (CounterSnapshot::begin(device), DropReadings::default());
        Self { scale, began, counters, drops }
    }

    fn observe(&mut self, now: Nanos) {
        let ended = self.scale.index(now.since(self.began));
        let Self { counters, drops, .. } = self;
        DropReadings::observe([drops], Some(ended), Some(counters), || [[None; 2]]);
    }
}

/// What intervals have of all these listeners.
fn sums(listeners: &mut [ControlListener]) -> ServerSums {
    listeners.iter_mut().fold(ServerSums::default(), |sums, listener| {
        let more = listener.sums();
        std::array::from_fn(|at| sums[at] + more[at])
    })
}

struct Server<'a> {
    shared: Arc<SinkShared>,
    on_sink_event: &'a mut dyn FnMut(SinkEvent<'_>),
    socket_sets: Vec<Arc<Mutex<Group>>>,
    /// The first listener of each: control messages arrive there.
    control: ControlSockets,
    listeners: Vec<ControlListener>,
    affinity: AffinityGuard,
    poll: Poll,
    waker: Arc<Waker>,
    rpc: RpcServer,
    clients: HashMap<u64, Client>,
    replies: (Sender<Reply>, Receiver<Reply>),
    out: Outgoing,
    /// Whether pings are answered: not if a key is required, and not by a multicast group.
    answers_pings: bool,
    listener_threads: ListenerThreads,
    /// Of the listeners that this loop reads; `None` without intervals.
    recorder: Option<ServerRecorder>,
    intervals: Option<SinkIntervals>,
    /// Sessions whose threads are about to end.
    closing: Vec<(Client, CloseReason)>,
    tally: SinkTally,
    buffer: Vec<u8>,
    received_at: Nanos,
    control_at: Nanos,
}

impl<'a> Server<'a> {
    fn open(
        options: &SinkOptions,
        facts: &HostFacts,
        began: Nanos,
        on_sink_event: &'a mut dyn FnMut(SinkEvent<'_>),
    ) -> Result<Self, RunError> {
        let wait = |source| RunError::Wait { source };
        let poll = Poll::new().map_err(wait)?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(wait)?;
        let limits = Limits { sessions: options.sessions, ..Limits::default() };
        let device = facts.device.as_ref().map(|device| device.name.as_str());
        let intervals = options.interval.map(|width| SinkIntervals::begin(width, began, device));
        let recorder = options.recorder(began);
        let mut server = Self {
            shared: Arc::new(SinkShared::new(options.clone(), facts.clone(), began)),
            on_sink_event,
            socket_sets: Vec::new(),
            control: ControlSockets::default(),
            listeners: Vec::new(),
            affinity: AffinityGuard::on(None),
            poll,
            waker: Arc::new(waker),
            rpc: RpcServer::new(&options.secret, options.key.as_ref(), limits),
            clients: HashMap::new(),
            replies: mpsc::channel(),
            out: Vec::new(),
            answers_pings: options.key.is_none()
                && options.sockets.iter().all(|socket| socket.joins.is_empty()),
            listener_threads: ListenerThreads::default(),
            recorder,
            intervals,
            closing: Vec::new(),
            tally: SinkTally::default(),
            buffer: vec![0; MAX_DATAGRAM],
            received_at: Clock::Monotonic.now(),
            control_at: Nanos::ZERO,
        };
        for socket in &options.sockets {
            let (group, first) =
                server.listener_threads.listen(socket, options, (server.answers_pings, began))?;
            if let Some((receiver, listener)) = first {
                server.control.sockets.push(Bound::udp(receiver));
                server.listeners.push(listener);
            }
            server.socket_sets.push(Arc::new(Mutex::new(group)));
        }
        server.control.register(server.poll.registry()).map_err(wait)?;
        // Last, so that the listener threads do not inherit the affinity.
        server.affinity = AffinityGuard::on(options.core(0));
        for listener in &mut server.listeners {
            listener.core = server.affinity.core;
            (server.on_sink_event)(SinkEvent::Listening(listener.at));
        }
        Ok(server)
    }

    fn run(&mut self, stop: &AtomicBool) -> SinkEnd {
        let mut events = Events::with_capacity(EVENTS);
        let mut tick_at = Nanos::ZERO;
        loop {
            self.observe_interval();
            let has_more = self.read();
            self.reply();
            self.tick();
            self.control.send(&mut self.out, None);
            let now = Clock::Monotonic.now();
            if now >= tick_at {
                tick_at = next_tick(self.shared.options.interval, self.shared.began, now);
                self.intervals.iter_mut().for_each(|intervals| intervals.observe(now));
                for (session, why) in sessions_to_end(&self.clients, &mut self.rpc) {
                    self.end(session, why);
                }
                if self.clients.is_empty() {
                    self.affinity.pin();
                }
                let unsolicited = self.listeners.iter_mut().map(ControlListener::snapshot);
                let unsolicited = unsolicited.fold(self.listener_threads.snapshot(), Snapshot::and);
                let clients = client_counts(&self.clients, &self.closing);
                (self.on_sink_event)(SinkEvent::Tick(&clients, unsolicited));
            }
            if stop.load(Ordering::Relaxed) {
                return SinkEnd::Stopped;
            }
            let is_idle = self.clients.is_empty() && self.closing.is_empty();
            if self.shared.options.once && is_idle && !self.tally.served.is_empty() {
                return SinkEnd::Once;
            }
            if !is_idle {
                self.received_at = now;
            }
            let silent = now.since(self.received_at.max(self.listener_threads.received_at()));
            if is_idle && self.shared.options.idle.is_some_and(|idle| silent > idle) {
                return SinkEnd::Idle;
            }
            if has_more || now.since(self.control_at) < SPIN {
                continue;
            }
            let due = self.rpc.deadline().unwrap_or(Nanos::NEVER).min(tick_at).since(now);
            let most = Duration::from_millis(due.0.div_ceil(1_000_000).max(1));
            let _ = self.poll.poll(&mut events, Some(most));
        }
    }

    /// Reads datagrams; returns whether more may wait.
    fn read(&mut self) -> bool {
        let mut has_more = false;
        for at in 0..self.control.sockets.len() {
            for turn in 0..READ_BURST {
                match self.control.sockets[at].recv_from(&mut self.buffer) {
                    Ok(sender @ BoundSender { from: Some(from), .. }) => {
                        self.handle_datagram(at, from, sender);
                    }
                    Ok(BoundSender { len, from: None, .. }) => {
                        self.received_at = Clock::Monotonic.now();
                        self.listeners[at].unsolicited.count_nameless(len, self.received_at);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // An ICMP error for a message; its client retries.
                    Err(_) => {}
                }
                has_more |= turn + 1 == READ_BURST;
            }
        }
        has_more
    }

    fn handle_datagram(&mut self, group: usize, from: SocketAddr, sender: BoundSender) {
        let now = Clock::Monotonic.now();
        let BoundSender { len, to_many, group: to, .. } = sender;
        let datagram = &self.buffer[..len];
        // Not multicast or broadcast: every member would answer.
        let outcome = if to_many {
            ServerOutcome::NotControl
        } else {
            self.rpc.on_datagram(from, datagram, now, &mut self.out)
        };
        match outcome {
            ServerOutcome::Rejected => {
                self.received_at = now;
                self.listeners[group].unsolicited.stray_control += 1;
            }
            ServerOutcome::NotControl => {
                self.received_at = now;
                self.listeners[group].count((from, to), datagram, now);
                // A reply is no longer than the request.
                if self.answers_pings && !to_many && answer_ping(&mut self.buffer[..len]) {
                    self.control.sockets[group].send_to(&self.buffer[..len], from, sender.called);
                }
            }
            ServerOutcome::Done => (self.received_at, self.control_at) = (now, now),
            ServerOutcome::Event(session, event) => {
                (self.received_at, self.control_at) = (now, now);
                if matches!(event, ServerEvent::Opened(_)) {
                    self.control.called.extend(sender.from.zip(sender.called));
                }
                self.on_event(group, session, event);
            }
        }
        self.control.send(&mut self.out, Some(&sender));
    }

    fn on_event(&mut self, group: usize, session: u64, event: ServerEvent) {
        match event {
            ServerEvent::Opened(from) => {
                self.affinity.unpin();
                match self.start(group, session, from) {
                    Ok(client) => {
                        self.clients.insert(session, client);
                        if self.shared.options.once {
                            self.rpc.stop_admitting();
                        }
                        (self.on_sink_event)(SinkEvent::Opened(from));
                    }
                    // No thread could be started; other sessions continue.
                    Err(_) => self.end(session, CloseReason::Failed),
                }
            }
            ServerEvent::Requested(number, body) => {
                // Closes a session whose thread has died.
                let client = self.clients.get(&session);
                let requests = client.and_then(|client| client.requests.as_ref());
                if requests.is_some_and(|requests| requests.send((number, body)).is_err()) {
                    self.end(session, CloseReason::Failed);
                }
            }
            ServerEvent::Noted(note) => {
                if let Ok(ClockNote { shift_ns }) = postcard::from_bytes(&note)
                    && let Some(client) = self.clients.get(&session)
                {
                    lock(&client.liveness).shift(shift_ns);
                }
            }
            ServerEvent::Closed(why) => self.begin_closing(session, why),
        }
    }

    fn end(&mut self, session: u64, why: CloseReason) {
        self.rpc.close(session, why, Clock::Monotonic.now(), &mut self.out);
        self.begin_closing(session, why);
    }

    fn begin_closing(&mut self, session: u64, why: CloseReason) {
        if let Some(mut client) = self.clients.remove(&session) {
            if !self.clients.values().any(|other| other.stats.from == client.stats.from) {
                self.control.called.remove(&client.stats.from);
            }
            // Without requests, its thread ends by itself.
            client.requests = None;
            self.closing.push((client, why));
            self.rpc.set_closing(self.closing.len());
        }
    }

    fn start(&self, group: usize, id: u64, from: SocketAddr) -> Result<Client, RunError> {
        let (replies, waker) = (self.replies.0.clone(), Arc::clone(&self.waker));
        let reply = move |number, body| {
            // Fails only if the loop has ended, and then nobody waits for the response.
            let _ = replies.send((id, number, body));
            let _ = waker.wake();
        };
        let who = (id, from, self.control.called.get(&from).map(|called| called.ip));
        Client::start(&self.shared, &self.socket_sets[group], who, reply)
    }

    fn reply(&mut self) {
        while let Ok((session, number, body)) = self.replies.1.try_recv() {
            let answered = self.rpc.answer(session, number, body, &mut self.out);
            // A closed session needs no response. Without one, an open session would wait for ever.
            if answered == Err(AnswerError::TooLong) {
                self.end(session, CloseReason::Failed);
            }
        }
    }

    fn tick(&mut self) {
        for session in self.rpc.tick(Clock::Monotonic.now(), &mut self.out) {
            self.begin_closing(session, CloseReason::Idle);
        }
        reap(&mut self.closing, &mut self.tally, self.on_sink_event);
        self.rpc.set_closing(self.closing.len());
    }

    fn close(mut self) -> SinkTally {
        self.rpc.stop_admitting();
        let waiting = self.listeners.iter().map(ControlListener::waiting).max().unwrap_or(0);
        for _ in 0..waiting.div_ceil(READ_BURST) {
            if !self.read() {
                break;
            }
        }
        self.rpc.close_all(CloseReason::GoingDown, Clock::Monotonic.now(), &mut self.out);
        self.control.send(&mut self.out, None);
        for session in self.clients.keys().copied().collect::<Vec<_>>() {
            self.begin_closing(session, CloseReason::GoingDown);
        }
        while !self.closing.is_empty() {
            reap(&mut self.closing, &mut self.tally, self.on_sink_event);
            thread::sleep(Duration::from_millis(1));
        }
        self.tally.intervals.counts = std::mem::take(&mut lock(&self.shared.intervals));
        let own = ended(self.recorder.take(), sums(&mut self.listeners));
        self.tally.intervals.unsolicited.merge(&own);
        if let Some(SinkIntervals { scale, counters, drops, .. }) = self.intervals.take() {
            self.tally.intervals.scale = Some(scale);
            let drops = drops.into_readings(counters.end().kernel());
            self.tally.intervals.drop_readings = drops;
        }
        for listener in self.listeners.into_iter().chain(self.listener_threads.end()) {
            listener.end(&mut self.tally);
        }
        SinkTally { time: (self.shared.began, Clock::Monotonic.now()), ..self.tally }
    }

    /// Counts at the end of an interval what this loop has read.
    fn observe_interval(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.observe(Clock::Monotonic.now(), || sums(&mut self.listeners));
        }
    }
}
