//! The event loop of a sink: control messages to their sessions, everything else to the count of
//! strangers.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use super::session::{Command, House, Session, Tally};
use crate::measure::{HostFacts, Served, SinkTally, Strangers};
use crate::net::{Group, GroupOptions, NetError, Options, pin_to};
use crate::plan::WaitKind;
use crate::run::RunError;
use crate::run::across::spec::ClockNote;
use crate::run::rpc::{Answerer, Event, Limits, Took};
use crate::sys;
use crate::unit::{Nanos, PacketRate};
use crate::wire::control::{CloseReason, Key};

/// How often the loop wakes to show progress and to see whether it should end; arbitrary.
const TICK: Duration = Duration::from_millis(250);

/// How long the loop looks for more after a control message before it sleeps: comparisons of
/// clocks come in rows, and a wake-up (60 µs, measured) would count as the path's delay. Arbitrary.
const SPIN: Nanos = Nanos::from_micros(300);

/// Datagrams read from one socket before the others get their turn; arbitrary.
const IN_A_ROW: usize = 256;

/// Bytes of the largest datagram; RFC 768.
const LARGEST: usize = 65_535;

/// How many events one poll takes; arbitrary, what is not taken stays for the next.
const EVENTS: usize = 64;

/// The token of whoever wakes the loop; sockets count from 0.
const WAKE: Token = Token(usize::MAX);

/// How a sink is to serve.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// Where to listen; one group of sockets each.
    pub sockets: Vec<Options>,
    /// Receivers that each client gets, and threads that count strangers.
    pub threads: u16,
    /// Clients at once at most.
    pub sessions: usize,
    /// The most that may be asked for in datagrams a second, either way.
    pub max_rate: Option<PacketRate>,
    /// The longest phase that may be asked for.
    pub max_time: Option<Nanos>,
    /// Whether to end with the first client.
    pub once: bool,
    /// Whether to end after so long without a datagram.
    pub idle: Option<Nanos>,
    /// How workers wait.
    pub wait: WaitKind,
    /// Cores for workers, in the order they are given out; empty: not pinned.
    pub cores: Vec<usize>,
    /// What clients must know.
    pub key: Option<Key>,
    /// Drawn anew for each sink; cookies and ids rest on it.
    pub secret: [u8; 32],
}

/// What happens at a sink while it serves.
#[derive(Debug)]
pub enum SinkEvent<'a> {
    /// It is bound here.
    Listening(SocketAddr),
    /// A client has come.
    Opened(SocketAddr),
    /// A client has left.
    Closed(&'a Served),
    /// A moment has passed; what strangers have sent to the first thread so far.
    Tick(&'a Strangers),
}

/// Why a sink ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkEnd {
    /// It was told to from outside.
    Stopped,
    /// Its one client has left.
    Once,
    /// Nobody came for as long as it was to wait.
    Idle,
}

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
    for group in &server.groups {
        let local = group.lock().map(|group| group.local());
        local.into_iter().for_each(|local| watch(SinkEvent::Listening(local)));
    }
    let began = now();
    let end = server.run(stop, watch)?;
    Ok((server.close(began, watch), end))
}

/// A session, from outside.
struct Client {
    from: SocketAddr,
    came: Nanos,
    commands: Sender<Command>,
    thread: JoinHandle<Tally>,
}

type Reply = (u64, u32, Vec<u8>);

struct Server {
    house: Arc<House>,
    groups: Vec<Arc<Mutex<Group>>>,
    /// The first listener of each group: control arrives there.
    sockets: Vec<UdpSocket>,
    poll: Poll,
    waker: Arc<Waker>,
    answerer: Answerer<SocketAddr>,
    clients: HashMap<u64, Client>,
    replies: (Sender<Reply>, Receiver<Reply>),
    out: Vec<(SocketAddr, Vec<u8>)>,
    strangers: Strangers,
    /// Threads of the other listeners.
    counters: Vec<JoinHandle<Strangers>>,
    over: Arc<AtomicBool>,
    /// Sessions that ended, and why; their threads are waited for outside the loop's hot part.
    leaving: Vec<(Client, CloseReason)>,
    served: Vec<Served>,
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
        let house =
            House { options: options.clone(), facts: facts.clone(), busy: AtomicUsize::new(0) };
        let mut server = Self {
            house: Arc::new(house),
            groups: Vec::new(),
            sockets: Vec::new(),
            poll,
            waker: Arc::new(waker),
            answerer: Answerer::new(&options.secret, options.key.as_ref(), limits),
            clients: HashMap::new(),
            replies: mpsc::channel(),
            out: Vec::new(),
            strangers: Strangers::default(),
            counters: Vec::new(),
            over: Arc::default(),
            leaving: Vec::new(),
            served: Vec::new(),
            buffer: vec![0; LARGEST],
            heard_at: now(),
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
            let group = Group::open(&group).map_err(NetError::from)?;
            let mut listeners = group.listeners().map_err(NetError::from)?.into_iter();
            server.sockets.extend(listeners.next());
            for (other, listener) in listeners.enumerate() {
                server.count_elsewhere(other + 1, listener)?;
            }
            server.groups.push(Arc::new(Mutex::new(group)));
        }
        for (at, socket) in server.sockets.iter_mut().enumerate() {
            let registered = server.poll.registry().register(socket, Token(at), Interest::READABLE);
            registered.map_err(|source| RunError::Wait { source })?;
        }
        Ok(server)
    }

    /// Starts a thread that counts what strangers send to another listener.
    fn count_elsewhere(&mut self, worker: usize, socket: UdpSocket) -> Result<(), RunError> {
        let cores = &self.house.options.cores;
        let core = (!cores.is_empty()).then(|| cores[(worker + 1) % cores.len()]);
        let over = Arc::clone(&self.over);
        let thread = Builder::new()
            .name(format!("udperf-sink-{worker}"))
            .spawn(move || count(socket, core, &over))
            .map_err(|source| RunError::Spawn { source })?;
        self.counters.push(thread);
        Ok(())
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
            let now = now();
            if now >= tick_at {
                tick_at = now + Nanos::from(TICK);
                self.see_off(watch);
                watch(SinkEvent::Tick(&self.strangers));
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
                    Ok((len, from)) => self.take(at, from, len, watch)?,
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
        len: usize,
        watch: &mut dyn FnMut(SinkEvent<'_>),
    ) -> Result<(), RunError> {
        let now = now();
        let datagram = &self.buffer[..len];
        match self.answerer.on_datagram(from, datagram, now, &mut self.out) {
            Took::NotControl | Took::Ignored(_) | Took::Refused(_) => {
                self.heard_at = now;
                self.strangers.count(from, len, now);
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
        event: Event<SocketAddr>,
        watch: &mut dyn FnMut(SinkEvent<'_>),
    ) -> Result<(), RunError> {
        match event {
            Event::Opened { session, from } => {
                let client = self.start(group, session, from)?;
                self.clients.insert(session, client);
                watch(SinkEvent::Opened(from));
            }
            Event::Requested { session, number, body } => {
                if let Some(client) = self.clients.get(&session) {
                    // A thread that died is noticed when it is joined; the client's patience ends.
                    let _ = client.commands.send(Command::Ask(number, body));
                }
            }
            Event::Noted { session, note } => {
                let note = postcard::from_bytes::<ClockNote>(&note);
                if let (Some(client), Ok(note)) = (self.clients.get(&session), note) {
                    let _ = client.commands.send(Command::Shift(note.shift_ns));
                }
            }
            Event::Closed { session, why } => {
                self.leaving.extend(self.clients.remove(&session).map(|client| (client, why)));
            }
        }
        Ok(())
    }

    /// Starts the thread of a session.
    fn start(&self, group: usize, id: u64, from: SocketAddr) -> Result<Client, RunError> {
        let (commands, inbox) = mpsc::channel();
        let (replies, waker) = (self.replies.0.clone(), Arc::clone(&self.waker));
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&id.to_be_bytes());
        secret[8..].copy_from_slice(&self.house.options.secret[..8]);
        let session = Session {
            house: Arc::clone(&self.house),
            group: Arc::clone(&self.groups[group]),
            from,
            secret,
            cell: None,
            served: Tally::default(),
        };
        let reply = move |number, body| {
            // The loop outlives its sessions, or nobody waits for the answer any more.
            let _ = replies.send((id, number, body));
            let _ = waker.wake();
        };
        let thread = Builder::new()
            .name("udperf-session".to_owned())
            .spawn(move || session.run(&inbox, &reply))
            .map_err(|source| RunError::Spawn { source })?;
        Ok(Client { from, came: now(), commands, thread })
    }

    /// Passes on what sessions have answered.
    fn reply(&mut self) {
        while let Ok((session, number, body)) = self.replies.1.try_recv() {
            // A client that left meanwhile gets no answer.
            let _ = self.answerer.answer(session, number, body, &mut self.out);
        }
    }

    /// Closes sessions that have been silent for too long.
    fn tick(&mut self, watch: &mut dyn FnMut(SinkEvent<'_>)) {
        for event in self.answerer.tick(now(), &mut self.out) {
            // Only the end of sessions comes from here, and that starts no thread.
            let _ = self.on_event(0, event, watch);
        }
        self.see_off(watch);
    }

    /// Takes leave of sessions whose threads have ended.
    fn see_off(&mut self, watch: &mut dyn FnMut(SinkEvent<'_>)) {
        for (client, why) in std::mem::take(&mut self.leaving) {
            // Without anybody to give commands, the thread ends.
            let Client { from, came, commands, thread } = client;
            drop(commands);
            // A session that panicked has said so on standard error.
            let Tally { cells, sent, received } = thread.join().unwrap_or_default();
            let (time, why) = ((came, now()), why.to_string());
            let served = Served { from, time, cells, received, sent, why };
            watch(SinkEvent::Closed(&served));
            self.served.push(served);
        }
    }

    /// Sends what is to be sent. What is refused is as good as lost: the client asks again.
    fn send(&mut self) {
        for (to, message) in self.out.drain(..) {
            let socket = self.sockets.iter().find(|socket| {
                socket.local_addr().is_ok_and(|local| local.is_ipv4() == to.is_ipv4())
            });
            if let Some(socket) = socket {
                let _ = socket.send_to(&message, to);
            }
        }
    }

    /// Ends all that runs.
    fn close(mut self, began: Nanos, watch: &mut dyn FnMut(SinkEvent<'_>)) -> SinkTally {
        self.answerer.close_all(CloseReason::GoingDown, now(), &mut self.out);
        self.send();
        let left = self.clients.drain().map(|(_, client)| (client, CloseReason::GoingDown));
        self.leaving.extend(left);
        self.see_off(watch);
        self.over.store(true, Ordering::Relaxed);
        let mut strangers = self.strangers;
        for thread in self.counters {
            strangers.merge(thread.join().unwrap_or_default());
        }
        SinkTally { served: self.served, strangers, time: (began, now()) }
    }
}

/// Counts what arrives at one socket, on its own event loop.
fn count(mut socket: UdpSocket, core: Option<usize>, over: &AtomicBool) -> Strangers {
    let mut strangers = Strangers::default();
    if let Some(core) = core {
        // Where it cannot be placed, it counts all the same.
        let _ = pin_to(core);
    }
    let Ok(mut poll) = Poll::new() else { return strangers };
    // One that cannot be watched costs short sleeps, not datagrams.
    let _ = poll.registry().register(&mut socket, Token(0), Interest::READABLE);
    let mut events = Events::with_capacity(1);
    let mut buffer = vec![0; LARGEST];
    while !over.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => strangers.count(from, len, now()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = poll.poll(&mut events, Some(TICK));
            }
            Err(_) => {}
        }
    }
    strangers
}

fn now() -> Nanos {
    Nanos(sys::monotonic_ns())
}
