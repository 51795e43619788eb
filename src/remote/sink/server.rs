//! The event loop of a sink: control messages to their sessions, everything else to the count of
//! strangers.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::client::{Client, lost};
use super::listener::{ControlListener, TICK, sum};
use super::options::{SinkEnd, SinkEvent, SinkOptions};
use super::session::{SessionCommand, SinkShared};
use crate::clock::Clock;
use crate::measure::{HostFacts, SinkTally, Snapshot};
use crate::net::{Bound, BoundSender, Group, LARGEST};
use crate::payload::answer_ping;
use crate::remote::protocol::CloseReason;
use crate::remote::protocol::spec::ClockNote;
use crate::remote::rpc::{AnswerError, Limits, RpcServer, ServerEvent, ServerOutcome};
use crate::remote::sink::affinity::AffinityGuard;
use crate::remote::sink::closing::ClosingSessions;
use crate::remote::sink::listeners::ListenerThreads;
use crate::remote::sink::sockets::ControlSockets;
use crate::run::RunError;
use crate::sys;
use crate::unit::Nanos;

/// How long the loop looks for more after a control message before it sleeps: comparisons of
/// clocks come in rows, and a wake-up (60 µs, measured) would count as the path's delay. Arbitrary.
const SPIN: Nanos = Nanos::from_micros(300);

/// Datagrams read from one socket before the others get their turn; arbitrary.
const IN_A_ROW: usize = 256;

/// How many events one poll takes; arbitrary, what is not taken stays for the next.
const EVENTS: usize = 64;

/// The token of whoever wakes the loop; sockets count from 0.
const WAKE: Token = Token(usize::MAX);

/// Serves until stopped, or until what the options say.
///
/// # Errors
/// [`RunError`], where it cannot listen or cannot wait.
pub fn serve(
    options: &SinkOptions,
    facts: &HostFacts,
    stop: &Arc<AtomicBool>,
    watch: &mut dyn FnMut(SinkEvent<'_>),
) -> Result<(SinkTally, SinkEnd), RunError> {
    sys::raise_open_files();
    // Before anybody can know where: all that comes, comes later.
    let began = Clock::Monotonic.now();
    let mut server = Server::open(options, facts)?;
    server.locals.iter().for_each(|&local| watch(SinkEvent::Listening(local)));
    let end = server.run(stop, watch); // After an error, too, threads have to be ended.
    Ok((server.close(began, watch), end?))
}

type Reply = (u64, u32, Vec<u8>);

struct Server {
    house: Arc<SinkShared>,
    socket_sets: Vec<Arc<Mutex<Group>>>,
    /// Where they listen.
    locals: Vec<SocketAddr>,
    /// The first listener of each: control arrives there.
    doors: ControlSockets,
    /// What strangers sent there.
    listeners: Vec<ControlListener>,
    /// Where they are read.
    seat: AffinityGuard,
    poll: Poll,
    waker: Arc<Waker>,
    answerer: RpcServer<SocketAddr>,
    clients: HashMap<u64, Client>,
    replies: (Sender<Reply>, Receiver<Reply>),
    out: Vec<(SocketAddr, Vec<u8>)>,
    /// Whether pings are answered: not to those whom a key keeps out, and not by a whole group.
    answers_pings: bool,
    /// Threads of the other listeners.
    others: ListenerThreads,
    /// Who left.
    farewell: ClosingSessions,
    buffer: Vec<u8>,
    heard_at: Nanos,
    control_at: Nanos,
}

impl Server {
    fn open(options: &SinkOptions, facts: &HostFacts) -> Result<Self, RunError> {
        let poll = Poll::new().map_err(|source| RunError::Wait { source })?;
        let waker =
            Waker::new(poll.registry(), WAKE).map_err(|source| RunError::Wait { source })?;
        let limits = Limits { sessions: options.sessions, ..Limits::default() };
        let (own, facts) = (options.clone(), facts.clone());
        let house =
            SinkShared { options: own, facts, busy: AtomicUsize::new(0), budget: Arc::default() };
        let mut server = Self {
            house: Arc::new(house),
            socket_sets: Vec::new(),
            locals: Vec::new(),
            doors: ControlSockets::default(),
            listeners: Vec::new(),
            seat: AffinityGuard::on(None),
            poll,
            waker: Arc::new(waker),
            answerer: RpcServer::new(&options.secret, options.key.as_ref(), limits),
            clients: HashMap::new(),
            replies: mpsc::channel(),
            out: Vec::new(),
            answers_pings: options.key.is_none()
                && options.sockets.iter().all(|socket| socket.join.is_none()),
            others: ListenerThreads::default(),
            farewell: ClosingSessions::default(),
            buffer: vec![0; LARGEST],
            heard_at: Clock::Monotonic.now(),
            control_at: Nanos::ZERO,
        };
        for socket in &options.sockets {
            let (group, first) = server.others.listen(socket, options, server.answers_pings)?;
            if let Some((receiver, listener)) = first {
                server.doors.add(Bound::udp(receiver));
                server.listeners.push(listener);
            }
            server.locals.push(group.local());
            server.socket_sets.push(Arc::new(Mutex::new(group)));
        }
        let registered = server.doors.register(server.poll.registry());
        registered.map_err(|source| RunError::Wait { source })?;
        // Last: the threads of the others are not to be bound to that core.
        server.seat = AffinityGuard::on(options.core(0));
        server.listeners.iter_mut().for_each(|one| one.core = server.seat.core());
        Ok(server)
    }

    fn run(
        &mut self,
        stop: &Arc<AtomicBool>,
        watch: &mut dyn FnMut(SinkEvent<'_>),
    ) -> Result<SinkEnd, RunError> {
        let mut events = Events::with_capacity(EVENTS);
        let mut tick_at = Nanos::ZERO;
        loop {
            let full = self.read(watch)?;
            self.reply();
            self.tick(watch);
            self.doors.send(&mut self.out, None);
            let now = Clock::Monotonic.now();
            if now >= tick_at {
                tick_at = now + Nanos::from(TICK);
                self.let_go();
                if self.clients.is_empty() {
                    self.seat.take();
                }
                let strangers = self.listeners.iter_mut().map(ControlListener::glimpse);
                let strangers = strangers.fold(self.others.glimpse(), Snapshot::and);
                watch(SinkEvent::Tick(self.clients.len(), strangers));
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(SinkEnd::Stopped);
            }
            let alone = self.clients.is_empty() && self.farewell.is_over();
            if self.house.options.once && alone && !self.farewell.served.is_empty() {
                return Ok(SinkEnd::Once);
            }
            if !alone {
                self.heard_at = now;
            }
            let silent = now.since(self.heard_at.max(self.others.heard_at()));
            if alone && self.house.options.idle.is_some_and(|idle| silent > idle) {
                return Ok(SinkEnd::Idle);
            }
            if full || now.since(self.control_at) < SPIN {
                continue;
            }
            let due = self.answerer.deadline().map_or(Nanos::NEVER, |at| at.since(now));
            let most = TICK.min(Duration::from_millis(due.0.div_ceil(1_000_000).max(1)));
            // Interrupted is as good as nothing ready.
            let _ = self.poll.poll(&mut events, Some(most));
        }
    }

    /// Reads what came; whether there may be more.
    fn read(&mut self, watch: &mut dyn FnMut(SinkEvent<'_>)) -> Result<bool, RunError> {
        let mut full = false;
        for at in 0..self.doors.count() {
            for turn in 0..IN_A_ROW {
                match self.doors.recv(at, &mut self.buffer) {
                    Ok(caller @ BoundSender { from: Some(from), .. }) => {
                        self.take(at, from, caller, watch)?;
                    }
                    // The system did not say who sent it.
                    Ok(BoundSender { len, from: None, .. }) => {
                        self.heard_at = Clock::Monotonic.now();
                        self.listeners[at].strangers.count_nameless(len, self.heard_at);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // ICMP errors of what was sent; whoever waits asks again.
                    Err(_) => {}
                }
                full |= turn + 1 == IN_A_ROW;
            }
        }
        Ok(full)
    }

    /// Gives one datagram to whom it belongs.
    fn take(
        &mut self,
        group: usize,
        from: SocketAddr,
        caller: BoundSender,
        watch: &mut dyn FnMut(SinkEvent<'_>),
    ) -> Result<(), RunError> {
        let now = Clock::Monotonic.now();
        let BoundSender { len, to_many, .. } = caller;
        let datagram = &self.buffer[..len];
        // Not what others got as well: all would answer.
        let took = if to_many {
            ServerOutcome::NotControl
        } else {
            self.answerer.on_datagram(from, datagram, now, &mut self.out)
        };
        match took {
            ServerOutcome::Ignored(_) | ServerOutcome::Refused(_) => {
                self.heard_at = now;
                self.listeners[group].strangers.stray_control += 1;
            }
            ServerOutcome::NotControl => {
                self.heard_at = now;
                self.listeners[group].count(from, datagram, now);
                // No more than it got.
                if self.answers_pings && !to_many && answer_ping(&mut self.buffer[..len]) {
                    self.doors.answer(group, &caller, &self.buffer[..len]);
                }
            }
            ServerOutcome::Done => (self.heard_at, self.control_at) = (now, now),
            ServerOutcome::Event(event) => {
                (self.heard_at, self.control_at) = (now, now);
                if matches!(event, ServerEvent::Opened { .. }) {
                    self.doors.welcome(&caller);
                }
                self.on_event(group, event, watch)?;
            }
        }
        self.doors.send(&mut self.out, Some(&caller));
        Ok(())
    }

    fn on_event(
        &mut self,
        group: usize,
        event: ServerEvent<SocketAddr>,
        watch: &mut dyn FnMut(SinkEvent<'_>),
    ) -> Result<(), RunError> {
        match event {
            ServerEvent::Opened { session, from } => {
                self.seat.leave();
                match self.start(group, session, from) {
                    Ok(client) => {
                        self.clients.insert(session, client);
                        if self.house.options.once {
                            self.answerer.admit_no_more();
                        }
                        watch(SinkEvent::Opened(from));
                    }
                    // No thread to be had: the others go on.
                    Err(_) => self.end(session, CloseReason::Failed),
                }
            }
            ServerEvent::Requested { session, number, body } => {
                self.command(session, SessionCommand::Ask(number, body));
            }
            ServerEvent::Noted { session, note } => {
                let note = postcard::from_bytes::<ClockNote>(&note);
                let pulse = self.clients.get(&session).map(|client| &client.pulse);
                if note.is_ok_and(|note| pulse.is_some_and(|pulse| pulse.shift(note.shift_ns))) {
                    self.command(session, SessionCommand::Shift);
                }
            }
            ServerEvent::Closed { session, why } => {
                self.part(session, why);
            }
        }
        Ok(())
    }

    /// Tells a session something. One whose thread has died is over.
    fn command(&mut self, session: u64, command: SessionCommand) {
        let client = self.clients.get(&session);
        let commands = client.and_then(|client| client.commands.as_ref());
        if commands.is_some_and(|commands| commands.send(command).is_err()) {
            self.end(session, CloseReason::Failed);
        }
    }

    /// Ends a session from here.
    fn end(&mut self, session: u64, why: CloseReason) {
        self.answerer.close(session, why, Clock::Monotonic.now(), &mut self.out);
        self.part(session, why);
    }

    /// Lets a session's thread end by itself: nobody will give it commands any more.
    fn part(&mut self, session: u64, why: CloseReason) {
        if let Some(client) = self.clients.remove(&session) {
            if !self.clients.values().any(|other| other.from == client.from) {
                self.doors.part(&client.from);
            }
            self.farewell.part(client, why);
            self.answerer.set_leaving(self.farewell.count());
        }
    }

    /// Starts the thread of a session.
    fn start(&self, group: usize, id: u64, from: SocketAddr) -> Result<Client, RunError> {
        let (replies, waker) = (self.replies.0.clone(), Arc::clone(&self.waker));
        let reply = move |number, body| {
            // The loop outlives its sessions, or nobody waits for the answer any more.
            let _ = replies.send((id, number, body));
            let _ = waker.wake();
        };
        let who = (id, from, self.doors.called(&from));
        Client::start(&self.house, &self.socket_sets[group], who, reply)
    }

    /// Ends sessions whose clients are gone, as their hosts say.
    fn let_go(&mut self) {
        for session in lost(&self.clients, &mut self.answerer) {
            self.end(session, CloseReason::Unreachable);
        }
    }

    /// Passes on what sessions have answered.
    fn reply(&mut self) {
        while let Ok((session, number, body)) = self.replies.1.try_recv() {
            let answered = self.answerer.answer(session, number, body, &mut self.out);
            // A client that left meanwhile gets no answer; one that would wait for ever is told.
            if matches!(answered, Err(AnswerError::TooLong { .. })) {
                self.end(session, CloseReason::Failed);
            }
        }
    }

    /// Closes sessions that have been silent for too long.
    fn tick(&mut self, watch: &mut dyn FnMut(SinkEvent<'_>)) {
        for event in self.answerer.tick(Clock::Monotonic.now(), &mut self.out) {
            // Only the end of sessions comes from here, and that starts no thread.
            let _ = self.on_event(0, event, watch);
        }
        self.farewell.see_off(watch);
        self.answerer.set_leaving(self.farewell.count());
    }

    /// Ends all that runs.
    fn close(mut self, began: Nanos, watch: &mut dyn FnMut(SinkEvent<'_>)) -> SinkTally {
        self.answerer.admit_no_more();
        let waiting = self.listeners.iter().map(ControlListener::waiting).max().unwrap_or(0);
        for _ in 0..waiting.div_ceil(IN_A_ROW) {
            // What failed here failed before, and was told then.
            if !self.read(watch).unwrap_or(false) {
                break;
            }
        }
        self.answerer.close_all(CloseReason::GoingDown, Clock::Monotonic.now(), &mut self.out);
        self.doors.send(&mut self.out, None);
        for (_, client) in self.clients.drain() {
            self.farewell.part(client, CloseReason::GoingDown);
        }
        while !self.farewell.is_over() {
            self.farewell.see_off(watch);
            thread::sleep(Duration::from_millis(1));
        }
        let (listeners, strangers) = sum(self.listeners.into_iter().chain(self.others.end()));
        let ClosingSessions { served, served_more, .. } = self.farewell;
        let time = (began, Clock::Monotonic.now());
        SinkTally { served, served_more, strangers, listeners, time }
    }
}
