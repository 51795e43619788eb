//! The event loop of a sink: passes control messages to their sessions, and counts all other
//! datagrams.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::client::{Client, ClosingSessions, find_lost};
use super::listeners::{ControlListener, ListenerThreads, TICK, sum};
use super::session::{SessionCommand, SinkShared};
use super::{SinkEnd, SinkEvent, SinkOptions};
use crate::clock::Clock;
use crate::host::HostFacts;
use crate::measure::{SinkTally, Snapshot};
use crate::net::{Bound, BoundSender, Group, MAX_DATAGRAM};
use crate::payload::answer_ping;
use crate::remote::protocol::CloseReason;
use crate::remote::protocol::spec::ClockNote;
use crate::remote::rpc::{AnswerError, Limits, Outgoing, RpcServer, ServerEvent, ServerOutcome};
use crate::remote::sink::affinity::AffinityGuard;
use crate::remote::sink::sockets::ControlSockets;
use crate::run::RunError;
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
///
/// # Errors
/// [`RunError`] if it cannot listen or poll.
pub fn serve(
    options: &SinkOptions,
    facts: &HostFacts,
    stop: &Arc<AtomicBool>,
    on_sink_event: &mut dyn FnMut(SinkEvent<'_>),
) -> Result<(SinkTally, SinkEnd), RunError> {
    sys::raise_open_files();
    // Read before the sockets exist, so that no datagram is earlier.
    let began = Clock::Monotonic.now();
    let mut server = Server::open(options, facts)?;
    server.locals.iter().for_each(|&local| on_sink_event(SinkEvent::Listening(local)));
    let end = server.run(stop, on_sink_event);
    Ok((server.close(began, on_sink_event), end))
}

type Reply = (u64, u32, Vec<u8>);

struct Server {
    shared: Arc<SinkShared>,
    socket_sets: Vec<Arc<Mutex<Group>>>,
    locals: Vec<SocketAddr>,
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
    closing: ClosingSessions,
    buffer: Vec<u8>,
    heard_at: Nanos,
    control_at: Nanos,
}

impl Server {
    fn open(options: &SinkOptions, facts: &HostFacts) -> Result<Self, RunError> {
        let wait = |source| RunError::Wait { source };
        let poll = Poll::new().map_err(wait)?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(wait)?;
        let limits = Limits { sessions: options.sessions, ..Limits::default() };
        let (busy, budget) = (AtomicUsize::new(0), Arc::default());
        let shared = SinkShared { options: options.clone(), facts: facts.clone(), busy, budget };
        let mut server = Self {
            shared: Arc::new(shared),
            socket_sets: Vec::new(),
            locals: Vec::new(),
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
                && options.sockets.iter().all(|socket| socket.join.is_none()),
            listener_threads: ListenerThreads::default(),
            closing: ClosingSessions::default(),
            buffer: vec![0; MAX_DATAGRAM],
            heard_at: Clock::Monotonic.now(),
            control_at: Nanos::ZERO,
        };
        for socket in &options.sockets {
            let (group, first) =
                server.listener_threads.listen(socket, options, server.answers_pings)?;
            if let Some((receiver, listener)) = first {
                server.control.sockets.push(Bound::udp(receiver));
                server.listeners.push(listener);
            }
            server.locals.push(group.local());
            server.socket_sets.push(Arc::new(Mutex::new(group)));
        }
        server.control.register(server.poll.registry()).map_err(wait)?;
        // Last, so that the listener threads do not inherit the affinity.
        server.affinity = AffinityGuard::on(options.core(0));
        server.listeners.iter_mut().for_each(|one| one.core = server.affinity.core());
        Ok(server)
    }

    fn run(
        &mut self,
        stop: &Arc<AtomicBool>,
        on_sink_event: &mut dyn FnMut(SinkEvent<'_>),
    ) -> SinkEnd {
        let mut events = Events::with_capacity(EVENTS);
        let mut tick_at = Nanos::ZERO;
        loop {
            let has_more = self.read(on_sink_event);
            self.reply();
            self.tick(on_sink_event);
            self.control.send(&mut self.out, None);
            let now = Clock::Monotonic.now();
            if now >= tick_at {
                tick_at = now + Nanos::from(TICK);
                for session in find_lost(&self.clients, &mut self.rpc) {
                    self.end(session, CloseReason::Unreachable);
                }
                if self.clients.is_empty() {
                    self.affinity.pin();
                }
                let unsolicited = self.listeners.iter_mut().map(ControlListener::snapshot);
                let unsolicited = unsolicited.fold(self.listener_threads.snapshot(), Snapshot::and);
                on_sink_event(SinkEvent::Tick(self.clients.len(), unsolicited));
            }
            if stop.load(Ordering::Relaxed) {
                return SinkEnd::Stopped;
            }
            let is_idle = self.clients.is_empty() && self.closing.closing.is_empty();
            if self.shared.options.once && is_idle && !self.closing.served.is_empty() {
                return SinkEnd::Once;
            }
            if !is_idle {
                self.heard_at = now;
            }
            let silent = now.since(self.heard_at.max(self.listener_threads.heard_at()));
            if is_idle && self.shared.options.idle.is_some_and(|idle| silent > idle) {
                return SinkEnd::Idle;
            }
            if has_more || now.since(self.control_at) < SPIN {
                continue;
            }
            let due = self.rpc.deadline().map_or(Nanos::NEVER, |at| at.since(now));
            let most = TICK.min(Duration::from_millis(due.0.div_ceil(1_000_000).max(1)));
            // Interrupted is as good as nothing ready.
            let _ = self.poll.poll(&mut events, Some(most));
        }
    }

    /// Reads datagrams; returns whether more may wait.
    fn read(&mut self, on_sink_event: &mut dyn FnMut(SinkEvent<'_>)) -> bool {
        let mut has_more = false;
        for at in 0..self.control.sockets.len() {
            for turn in 0..READ_BURST {
                match self.control.sockets[at].recv_from(&mut self.buffer) {
                    Ok(sender @ BoundSender { from: Some(from), .. }) => {
                        self.handle_datagram(at, from, sender, on_sink_event);
                    }
                    // Its sender is unknown.
                    Ok(BoundSender { len, from: None, .. }) => {
                        self.heard_at = Clock::Monotonic.now();
                        self.listeners[at].unsolicited.count_nameless(len, self.heard_at);
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

    fn handle_datagram(
        &mut self,
        group: usize,
        from: SocketAddr,
        sender: BoundSender,
        on_sink_event: &mut dyn FnMut(SinkEvent<'_>),
    ) {
        let now = Clock::Monotonic.now();
        let BoundSender { len, to_many, .. } = sender;
        let datagram = &self.buffer[..len];
        // Not multicast or broadcast: every member would answer.
        let outcome = if to_many {
            ServerOutcome::NotControl
        } else {
            self.rpc.on_datagram(from, datagram, now, &mut self.out)
        };
        match outcome {
            ServerOutcome::Ignored(_) | ServerOutcome::Refused(_) => {
                self.heard_at = now;
                self.listeners[group].unsolicited.stray_control += 1;
            }
            ServerOutcome::NotControl => {
                self.heard_at = now;
                self.listeners[group].count(from, datagram, now);
                // A reply is no longer than the request.
                if self.answers_pings && !to_many && answer_ping(&mut self.buffer[..len]) {
                    self.control.answer(group, &sender, &self.buffer[..len]);
                }
            }
            ServerOutcome::Done => (self.heard_at, self.control_at) = (now, now),
            ServerOutcome::Event(session, event) => {
                (self.heard_at, self.control_at) = (now, now);
                if matches!(event, ServerEvent::Opened(_)) {
                    self.control.called.extend(sender.from.zip(sender.called));
                }
                self.on_event(group, session, event, on_sink_event);
            }
        }
        self.control.send(&mut self.out, Some(&sender));
    }

    fn on_event(
        &mut self,
        group: usize,
        session: u64,
        event: ServerEvent,
        on_sink_event: &mut dyn FnMut(SinkEvent<'_>),
    ) {
        match event {
            ServerEvent::Opened(from) => {
                self.affinity.unpin();
                match self.start(group, session, from) {
                    Ok(client) => {
                        self.clients.insert(session, client);
                        if self.shared.options.once {
                            self.rpc.stop_admitting();
                        }
                        on_sink_event(SinkEvent::Opened(from));
                    }
                    // No thread could be started; other sessions continue.
                    Err(_) => self.end(session, CloseReason::Failed),
                }
            }
            ServerEvent::Requested(number, body) => {
                self.command(session, SessionCommand::Request(number, body));
            }
            ServerEvent::Noted(note) => {
                if let Ok(ClockNote { shift_ns }) = postcard::from_bytes(&note)
                    && let Some(client) = self.clients.get(&session)
                    && client.liveness.shift(shift_ns)
                {
                    self.command(session, SessionCommand::Shift);
                }
            }
            ServerEvent::Closed(why) => self.begin_closing(session, why),
        }
    }

    /// Sends a command to a session; closes it if its thread has died.
    fn command(&mut self, session: u64, command: SessionCommand) {
        let client = self.clients.get(&session);
        let commands = client.and_then(|client| client.commands.as_ref());
        if commands.is_some_and(|commands| commands.send(command).is_err()) {
            self.end(session, CloseReason::Failed);
        }
    }

    fn end(&mut self, session: u64, why: CloseReason) {
        self.rpc.close(session, why, Clock::Monotonic.now(), &mut self.out);
        self.begin_closing(session, why);
    }

    /// Lets the thread of a session end.
    fn begin_closing(&mut self, session: u64, why: CloseReason) {
        if let Some(client) = self.clients.remove(&session) {
            if !self.clients.values().any(|other| other.from == client.from) {
                self.control.called.remove(&client.from);
            }
            self.closing.add(client, why);
            self.rpc.set_closing(self.closing.closing.len());
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
            if matches!(answered, Err(AnswerError::TooLong(_))) {
                self.end(session, CloseReason::Failed);
            }
        }
    }

    /// Closes sessions that have been silent for too long.
    fn tick(&mut self, on_sink_event: &mut dyn FnMut(SinkEvent<'_>)) {
        for session in self.rpc.tick(Clock::Monotonic.now(), &mut self.out) {
            self.begin_closing(session, CloseReason::Idle);
        }
        self.closing.reap(on_sink_event);
        self.rpc.set_closing(self.closing.closing.len());
    }

    /// Closes all sessions and ends all threads.
    fn close(mut self, began: Nanos, on_sink_event: &mut dyn FnMut(SinkEvent<'_>)) -> SinkTally {
        self.rpc.stop_admitting();
        let waiting = self.listeners.iter().map(ControlListener::waiting).max().unwrap_or(0);
        for _ in 0..waiting.div_ceil(READ_BURST) {
            if !self.read(on_sink_event) {
                break;
            }
        }
        self.rpc.close_all(CloseReason::GoingDown, Clock::Monotonic.now(), &mut self.out);
        self.control.send(&mut self.out, None);
        for (_, client) in self.clients.drain() {
            self.closing.add(client, CloseReason::GoingDown);
        }
        while !self.closing.closing.is_empty() {
            self.closing.reap(on_sink_event);
            thread::sleep(Duration::from_millis(1));
        }
        let (listeners, unsolicited) =
            sum(self.listeners.into_iter().chain(self.listener_threads.end()));
        let ClosingSessions { served, served_more, .. } = self.closing;
        let time = (began, Clock::Monotonic.now());
        SinkTally { served, served_more, unsolicited, listeners, time }
    }
}
