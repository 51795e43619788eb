//! The event loop of a sink: control messages to their sessions, everything else to the count of
//! strangers.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};

use super::client::{Client, lost};
use super::home::Home;
use super::options::{SinkEnd, SinkEvent, SinkOptions};
use super::others::Others;
use super::session::{Command, House};
use crate::clock::Clock;
use crate::measure::{HostFacts, Served, SinkTally, Strangers};
use crate::net::{Door, Group, GroupOptions, LARGEST, Unix, UnixName};
use crate::payload::answer_ping;
use crate::run::RunError;
use crate::run::across::spec::ClockNote;
use crate::run::rpc::{AnswerError, Answerer, Event, Limits, Took};
use crate::sys;
use crate::unit::{Nanos, Place, SocketName};
use crate::wire::control::CloseReason;

/// How often the loop wakes to show progress and to see whether it should end; arbitrary.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// How long the loop looks for more after a control message before it sleeps: comparisons of
/// clocks come in rows, and a wake-up (60 µs, measured) would count as the path's delay. Arbitrary.
const SPIN: Nanos = Nanos::from_micros(300);

/// Datagrams read from one socket before the others get their turn; arbitrary.
const IN_A_ROW: usize = 256;

/// Clients that are remembered by themselves; later ones are counted. Arbitrary: some hundred KiB,
/// whoever comes.
const MOST_SERVED: usize = 4_096;

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
    let mut server = Server::open(options, facts)?;
    server.locals.iter().for_each(|&local| watch(SinkEvent::Listening(local)));
    let began = Clock::Monotonic.now();
    let end = server.run(stop, watch)?;
    Ok((server.close(began, watch), end))
}

type Reply = (u64, u32, Vec<u8>);

struct Server {
    house: Arc<House>,
    homes: Vec<Arc<Mutex<Home>>>,
    /// Where they listen.
    locals: Vec<Place>,
    /// The first listener of each: control arrives there.
    sockets: Vec<Door>,
    poll: Poll,
    waker: Arc<Waker>,
    answerer: Answerer<Place>,
    clients: HashMap<u64, Client>,
    replies: (Sender<Reply>, Receiver<Reply>),
    out: Vec<(Place, Vec<u8>)>,
    strangers: Strangers,
    /// Whether pings are answered: not to those whom a key keeps out, and not by a whole group.
    answers_pings: bool,
    /// Threads of the other listeners.
    others: Others,
    /// Sessions that ended, and why; their threads are waited for outside the loop's hot part.
    leaving: Vec<(Client, CloseReason)>,
    served: Vec<Served>,
    /// Clients that no room was left for.
    served_more: u64,
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
            House { options: own, facts, busy: AtomicUsize::new(0), budget: Arc::default() };
        let mut server = Self {
            house: Arc::new(house),
            homes: Vec::new(),
            locals: Vec::new(),
            sockets: Vec::new(),
            poll,
            waker: Arc::new(waker),
            answerer: Answerer::new(&options.secret, options.key.as_ref(), limits),
            clients: HashMap::new(),
            replies: mpsc::channel(),
            out: Vec::new(),
            strangers: Strangers::default(),
            answers_pings: options.key.is_none()
                && options.sockets.iter().all(|socket| socket.join.is_none()),
            others: Others::default(),
            leaving: Vec::new(),
            served: Vec::new(),
            served_more: 0,
            buffer: vec![0; LARGEST],
            heard_at: Clock::Monotonic.now(),
            control_at: Nanos::ZERO,
        };
        let threads = usize::from(options.threads);
        for socket in &options.sockets {
            let group = GroupOptions {
                socket: socket.clone(),
                listeners: threads,
                per_slot: threads,
                steer: true,
            };
            let group = Group::open(&group)?;
            let mut listeners = group.listeners()?.into_iter();
            server.sockets.extend(listeners.next().map(Door::Udp));
            for (other, listener) in listeners.enumerate() {
                let cores = &options.cores;
                let core = (!cores.is_empty()).then(|| cores[(other + 2) % cores.len()]);
                server.others.add(other + 1, listener, core, server.answers_pings)?;
            }
            server.locals.push(group.local().into());
            server.homes.push(Arc::new(Mutex::new(Home::Ip(Box::new(group)))));
        }
        if let Some(path) = &options.unix {
            let (unix, file) = Unix::bind(&UnixName::File(path.into()), LARGEST)?;
            server.sockets.push(Door::Unix(unix, file));
            server.locals.extend(SocketName::new(path).map(Place::Unix));
            let home = Home::Unix { path: path.clone(), taken: Vec::new() };
            server.homes.push(Arc::new(Mutex::new(home)));
        }
        for (at, socket) in server.sockets.iter_mut().enumerate() {
            let registered = server.poll.registry().register(socket, Token(at), Interest::READABLE);
            registered.map_err(|source| RunError::Wait { source })?;
        }
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
            self.send();
            let now = Clock::Monotonic.now();
            if now >= tick_at {
                tick_at = now + Nanos::from(TICK);
                self.see_off(watch);
                self.let_go();
                let strangers = self.strangers.glimpse().and(self.others.glimpse());
                watch(SinkEvent::Tick(self.clients.len(), strangers));
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(SinkEnd::Stopped);
            }
            let alone = self.clients.is_empty() && self.leaving.is_empty();
            if self.house.options.once && alone && !self.served.is_empty() {
                return Ok(SinkEnd::Once);
            }
            let silent = now.since(self.heard_at);
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
        for at in 0..self.sockets.len() {
            for turn in 0..IN_A_ROW {
                match self.sockets[at].recv_from(&mut self.buffer) {
                    Ok((len, Some(from))) => self.take(at, from, len, watch)?,
                    Ok((len, None)) => self.strangers.count_nameless(len, Clock::Monotonic.now()),
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
        from: Place,
        len: usize,
        watch: &mut dyn FnMut(SinkEvent<'_>),
    ) -> Result<(), RunError> {
        let now = Clock::Monotonic.now();
        let datagram = &self.buffer[..len];
        match self.answerer.on_datagram(from, datagram, now, &mut self.out) {
            Took::NotControl | Took::Ignored(_) | Took::Refused(_) => {
                self.heard_at = now;
                // No more than it got.
                if self.answers_pings && answer_ping(&mut self.buffer[..len]) {
                    self.sockets[group].send_to(&self.buffer[..len], &from);
                }
                match from {
                    Place::Ip(from) => self.strangers.count(from, len, now),
                    Place::Unix(_) => self.strangers.count_nameless(len, now),
                }
            }
            Took::Done => (self.heard_at, self.control_at) = (now, now),
            Took::Event(event) => {
                (self.heard_at, self.control_at) = (now, now);
                self.on_event(group, event, watch)?;
            }
        }
        self.send();
        Ok(())
    }

    fn on_event(
        &mut self,
        group: usize,
        event: Event<Place>,
        watch: &mut dyn FnMut(SinkEvent<'_>),
    ) -> Result<(), RunError> {
        match event {
            Event::Opened { session, from } => {
                match self.start(group, session, from) {
                    Ok(client) => {
                        self.clients.insert(session, client);
                        watch(SinkEvent::Opened(from));
                    }
                    // No thread to be had: the others go on.
                    Err(_) => self.fail(session),
                }
            }
            Event::Requested { session, number, body } => {
                self.command(session, Command::Ask(number, body));
            }
            Event::Noted { session, note } => {
                let note = postcard::from_bytes::<ClockNote>(&note);
                let pulse = self.clients.get(&session).map(|client| &client.pulse);
                if note.is_ok_and(|note| pulse.is_some_and(|pulse| pulse.shift(note.shift_ns))) {
                    self.command(session, Command::Shift);
                }
            }
            Event::Closed { session, why } => {
                self.part(session, why);
            }
        }
        Ok(())
    }

    /// Tells a session something. One whose thread has died is over.
    fn command(&mut self, session: u64, command: Command) {
        let client = self.clients.get(&session);
        let commands = client.and_then(|client| client.commands.as_ref());
        if commands.is_some_and(|commands| commands.send(command).is_err()) {
            self.fail(session);
        }
    }

    /// Ends a session that cannot go on.
    fn fail(&mut self, session: u64) {
        self.end(session, CloseReason::Failed);
    }

    /// Ends a session from here.
    fn end(&mut self, session: u64, why: CloseReason) {
        self.answerer.close(session, why, Clock::Monotonic.now(), &mut self.out);
        self.part(session, why);
    }

    /// Lets a session's thread end by itself: nobody will give it commands any more.
    fn part(&mut self, session: u64, why: CloseReason) {
        if let Some(mut client) = self.clients.remove(&session) {
            client.commands = None;
            self.leaving.push((client, why));
            self.answerer.set_leaving(self.leaving.len());
        }
    }

    /// Starts the thread of a session.
    fn start(&self, group: usize, id: u64, from: Place) -> Result<Client, RunError> {
        let (replies, waker) = (self.replies.0.clone(), Arc::clone(&self.waker));
        let reply = move |number, body| {
            // The loop outlives its sessions, or nobody waits for the answer any more.
            let _ = replies.send((id, number, body));
            let _ = waker.wake();
        };
        Client::start(&self.house, &self.homes[group], (id, from), reply)
    }

    /// Ends sessions whose clients are gone, as their hosts say.
    fn let_go(&mut self) {
        for session in lost(&self.clients, &self.answerer) {
            self.end(session, CloseReason::Unreachable);
        }
    }

    /// Passes on what sessions have answered.
    fn reply(&mut self) {
        while let Ok((session, number, body)) = self.replies.1.try_recv() {
            let answered = self.answerer.answer(session, number, body, &mut self.out);
            // A client that left meanwhile gets no answer; one that would wait for ever is told.
            if matches!(answered, Err(AnswerError::TooLong { .. })) {
                self.fail(session);
            }
        }
    }

    /// Closes sessions that have been silent for too long.
    fn tick(&mut self, watch: &mut dyn FnMut(SinkEvent<'_>)) {
        for event in self.answerer.tick(Clock::Monotonic.now(), &mut self.out) {
            // Only the end of sessions comes from here, and that starts no thread.
            let _ = self.on_event(0, event, watch);
        }
        self.see_off(watch);
    }

    /// Takes leave of sessions whose threads have ended.
    fn see_off(&mut self, watch: &mut dyn FnMut(SinkEvent<'_>)) {
        // One that has not ended yet may still wait for workers, and nobody shall wait for it.
        let ended = |(client, _): &mut (Client, CloseReason)| client.thread.is_finished();
        let gone: Vec<_> = self.leaving.extract_if(.., ended).collect();
        self.answerer.set_leaving(self.leaving.len());
        for (client, why) in gone {
            let served = client.served(why);
            watch(SinkEvent::Closed(&served));
            if self.served.len() < MOST_SERVED {
                self.served.push(served);
            } else {
                self.served_more += 1;
            }
        }
    }

    /// Sends what is to be sent. What is refused is as good as lost: the client asks again.
    fn send(&mut self) {
        for (to, message) in self.out.drain(..) {
            let _sent = self.sockets.iter().any(|socket| socket.send_to(&message, &to));
        }
    }

    /// Ends all that runs.
    fn close(mut self, began: Nanos, watch: &mut dyn FnMut(SinkEvent<'_>)) -> SinkTally {
        self.answerer.close_all(CloseReason::GoingDown, Clock::Monotonic.now(), &mut self.out);
        self.send();
        for (_, mut client) in self.clients.drain() {
            client.commands = None;
            self.leaving.push((client, CloseReason::GoingDown));
        }
        while !self.leaving.is_empty() {
            self.see_off(watch);
            thread::sleep(Duration::from_millis(1));
        }
        let mut strangers = self.strangers;
        strangers.merge(self.others.end());
        SinkTally {
            served: self.served,
            served_more: self.served_more,
            strangers,
            time: (began, Clock::Monotonic.now()),
        }
    }
}
