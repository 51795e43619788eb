//! Connections of a conversation, over TCP and AF_UNIX.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::{Interest, Registry, Token};

use super::error::{SocketEvent, TalkError, open_all};
use super::peers::{PeerAddr, Peers, TalkPeer};
use super::{TalkOptions, TcpRoute, Transport};
use crate::net::stream::{Listener, Stream, connect_tcp, listen_tcp};
use crate::net::unix::{connect_unix, listen_unix};
use crate::net::{NetError, UnixFile};
use crate::unit::Nanos;

/// Timeout of connecting. Arbitrary: a listener answers within two retries (tcp(7)).
const CONNECT_TIMEOUT: Nanos = Nanos::from_millis(10_000);
/// Bytes of one read. Arbitrary.
const READ_SIZE: usize = 64 << 10;
/// The first mio token of listeners; connections use the numbers of their peers, from 1. Arbitrary.
const LISTENERS: usize = usize::MAX / 2;
/// How long an incomplete line is held: a prompt has no newline. Arbitrary: people do not notice.
const HOLD_LINE: Nanos = Nanos::from_millis(100);
/// Bytes above which a line is shown in pieces. Arbitrary.
const MAX_LINE: usize = 64 << 10;
/// Maximum bytes of a single reply line. Arbitrary: a line without an end must not fill the memory.
const MAX_ANSWER: usize = 4 << 20;

/// How received bytes are divided into pieces to show.
#[derive(Debug, Clone, Copy)]
struct ShowRule {
    /// After newlines, instead of as they arrive.
    by_line: bool,
    /// Maximum bytes without a newline that are held.
    longest: usize,
    hold_for: Nanos,
}

impl ShowRule {
    const fn new(options: &TalkOptions) -> Self {
        let TalkOptions { by_line, linger, .. } = *options;
        if options.once {
            // The only line is worth the wait.
            return Self { by_line, longest: MAX_ANSWER, hold_for: linger };
        }
        Self { by_line, longest: MAX_LINE, hold_for: HOLD_LINE }
    }
}

#[derive(Debug)]
struct Connection {
    peer: TalkPeer,
    stream: Box<dyn Stream>,
    connected: bool,
    began: Nanos,
    out: VecDeque<u8>,
    /// Whether no more bytes will be added.
    ending: bool,
    /// Bytes read but not shown, and when they were read.
    pending: Vec<u8>,
    read_at: Nanos,
    /// Set once the peer has finished sending, or the connection broke.
    over: Option<Option<io::Error>>,
    /// When its end was reported, or when bytes were last left to write after that.
    reported_at: Option<Nanos>,
}

impl Connection {
    fn register(&mut self, registry: &Registry) -> io::Result<()> {
        let token = Token(self.peer.number as usize);
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    fn broken(&self) -> bool {
        matches!(self.over, Some(Some(_)))
    }

    fn flush(&mut self) {
        while !self.out.is_empty() && !self.broken() {
            match self.stream.write(self.out.as_slices().0) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Data that the peer sent before is still to be read.
                Err(error) => self.over = Some(Some(error)),
            }
        }
        if self.out.is_empty() && std::mem::take(&mut self.ending) {
            // A closed peer need not learn it.
            let _ = self.stream.end();
        }
    }

    fn read(&mut self, slot: &mut [u8], now: Nanos, show_rule: ShowRule) -> Option<Vec<u8>> {
        let ShowRule { by_line, longest, hold_for } = show_rule;
        loop {
            if by_line && let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') {
                return Some(self.pending.drain(..=end).collect());
            }
            let finished = !matches!(self.over, None | Some(Some(_)));
            match if finished { Ok(0) } else { self.stream.read(slot) } {
                Ok(0) => {
                    self.over.get_or_insert(None);
                    return self.take_pending();
                }
                Ok(count) => {
                    self.pending.extend_from_slice(slot.get(..count).unwrap_or_default());
                    self.read_at = now;
                    if !by_line || self.pending.len() > longest {
                        return self.take_pending();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let waited = now.since(self.read_at) >= hold_for || self.over.is_some();
                    return if waited { self.take_pending() } else { None };
                }
                Err(error) => {
                    self.over.get_or_insert(Some(error));
                    return self.take_pending();
                }
            }
        }
    }

    fn take_pending(&mut self) -> Option<Vec<u8>> {
        let pending = std::mem::take(&mut self.pending);
        (!pending.is_empty()).then_some(pending)
    }
}

#[derive(Debug)]
pub(super) struct Streams {
    listeners: Vec<Box<dyn Listener>>,
    _file: Option<UnixFile>,
    pub(super) locals: Vec<PeerAddr>,
    connections: Vec<Connection>,
    show_rule: ShowRule,
    /// Whether a peer that finished sending still gets all input.
    sends_rest: bool,
    ended: bool,
    /// How long a peer that finished sending can still be answered.
    linger: Nanos,
    routes: VecDeque<TcpRoute>,
    slot: Vec<u8>,
}

impl Streams {
    pub(super) fn open(options: &TalkOptions, peers: &mut Peers) -> Result<Self, TalkError> {
        let via = &options.via;
        let mut all = Self {
            listeners: Vec::new(),
            _file: None,
            locals: Vec::new(),
            connections: Vec::new(),
            show_rule: ShowRule::new(options),
            sends_rest: options.unattended && !options.once && via.has_peer(),
            ended: false,
            linger: if via.has_peer() { Nanos::ZERO } else { options.linger },
            routes: VecDeque::new(),
            slot: vec![0; READ_SIZE],
        };
        match via {
            Transport::TcpConnect(routes) => {
                all.routes.extend(routes);
                let (to, stream) = all.connect()?;
                all.add(peers.add(PeerAddr::Ip(to)), stream, false);
            }
            Transport::UnixConnect(to) => {
                let stream = connect_unix(to).map_err(NetError::from)?;
                all.add(peers.add(PeerAddr::Unix(to.clone())), stream, false);
            }
            Transport::TcpListen(at) => {
                for (listener, local) in open_all(at.iter().copied(), listen_tcp)? {
                    all.listeners.push(listener);
                    all.locals.push(PeerAddr::Ip(local));
                }
            }
            Transport::UnixListen(at) => {
                let (listener, file) = listen_unix(at).map_err(NetError::from)?;
                all._file = file;
                all.listeners.push(listener);
                all.locals.push(PeerAddr::Unix(at.clone()));
            }
            Transport::Udp { .. } | Transport::UnixDatagrams { .. } => {}
        }
        Ok(all)
    }

    /// Starts to connect to the next address with a route.
    fn connect(&mut self) -> Result<(SocketAddr, Box<dyn Stream>), TalkError> {
        loop {
            let Some((from, to)) = self.routes.pop_front() else {
                let error = io::ErrorKind::AddrNotAvailable.into();
                return Err(TalkError::Connect(PeerAddr::Unnamed, error));
            };
            match connect_tcp(from, to) {
                Ok(stream) => return Ok((to, stream)),
                Err(_) if !self.routes.is_empty() => {}
                Err(error) => return Err(NetError::from(error).into()),
            }
        }
    }

    /// Replaces a failed connection by one to the next address; returns whether there is one.
    fn reconnect(&mut self, at: usize, peers: &mut Peers, registry: &Registry) -> bool {
        if self.routes.is_empty() {
            return false;
        }
        let Ok((to, stream)) = self.connect() else { return false };
        let Some(connection) = self.connections.get_mut(at) else { return false };
        (connection.stream, connection.began) = (stream, Nanos::ZERO);
        connection.peer.addr = PeerAddr::Ip(to);
        peers.rename(connection.peer.number, PeerAddr::Ip(to));
        connection.register(registry).is_ok()
    }

    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            registry.register(listener, Token(LISTENERS + number), Interest::READABLE)?;
        }
        self.connections.iter_mut().try_for_each(|connection| connection.register(registry))
    }

    fn add(&mut self, peer: TalkPeer, stream: Box<dyn Stream>, connected: bool) {
        self.connections.push(Connection {
            peer,
            stream,
            connected,
            began: Nanos::ZERO,
            out: VecDeque::new(),
            ending: false,
            pending: Vec::new(),
            read_at: Nanos::ZERO,
            over: None,
            reported_at: None,
        });
    }

    /// The next event, if any. Without `reading`, only connections and failures.
    pub(super) fn next(
        &mut self,
        peers: &mut Peers,
        registry: &Registry,
        now: Nanos,
        reading: bool,
    ) -> Option<SocketEvent> {
        if let Some(event) = self.accept(peers, registry) {
            return Some(event);
        }
        for at in 0..self.connections.len() {
            let connection = self.connections.get_mut(at)?;
            if !connection.connected {
                if connection.began == Nanos::ZERO {
                    connection.began = now;
                }
                let source = match connection.stream.connected() {
                    Ok(false) if now.since(connection.began) < CONNECT_TIMEOUT => continue,
                    Ok(false) => io::ErrorKind::TimedOut.into(),
                    Ok(true) => {
                        connection.connected = true;
                        return Some(SocketEvent::Connected(connection.peer.clone()));
                    }
                    Err(source) => source,
                };
                let error = TalkError::Connect(connection.peer.addr.clone(), source);
                return Some(match self.reconnect(at, peers, registry) {
                    true => SocketEvent::SendFailed(error),
                    false => SocketEvent::ConnectFailed(error),
                });
            }
            if reading && let Some(bytes) = connection.read(&mut self.slot, now, self.show_rule) {
                return Some(SocketEvent::Received(connection.peer.clone(), bytes));
            }
            if connection.pending.is_empty()
                && let Some(event) = self.over(at, peers, now)
            {
                return Some(event);
            }
        }
        None
    }

    /// Reports the end of a connection once; removes it when the peer can no longer receive.
    fn over(&mut self, at: usize, peers: &mut Peers, now: Nanos) -> Option<SocketEvent> {
        let connection = self.connections.get_mut(at)?;
        let broken = connection.over.as_ref()?.is_some();
        // A slow reader gets all its data.
        let draining = !broken && !connection.out.is_empty() && !self.listeners.is_empty();
        if !broken && self.sends_rest && !(connection.out.is_empty() && self.ended) {
            return None;
        }
        let first = connection.reported_at.is_none();
        if draining {
            connection.reported_at = Some(now);
        }
        let reported_at = *connection.reported_at.get_or_insert(now);
        if broken || !draining && now.since(reported_at) >= self.linger {
            let Connection { peer, over, out, .. } = self.connections.remove(at);
            peers.remove(peer.number);
            let (why, unsent) = (over.flatten(), out.len());
            return first.then_some(SocketEvent::Disconnected { peer, why, unsent });
        }
        if !first {
            return None;
        }
        peers.mark_finished(connection.peer.number);
        Some(SocketEvent::Disconnected { peer: connection.peer.clone(), why: None, unsent: 0 })
    }

    fn accept(&mut self, peers: &mut Peers, registry: &Registry) -> Option<SocketEvent> {
        for listener in &self.listeners {
            // Without free file descriptors, a connection waits in the listener's queue.
            let Ok((stream, from)) = listener.accept() else { continue };
            let peer = peers.add(from.map_or(PeerAddr::Unnamed, PeerAddr::Ip));
            self.add(peer.clone(), stream, true);
            let connection = self.connections.last_mut()?;
            if let Err(error) = connection.register(registry) {
                connection.over = Some(Some(error));
            }
            return Some(SocketEvent::Connected(peer));
        }
        None
    }

    /// Queues bytes for a connection; returns whether it exists.
    pub(super) fn send(&mut self, to: &TalkPeer, bytes: &[u8]) -> bool {
        let mut all = self.connections.iter_mut();
        let connection = all.find(|connection| connection.peer.number == to.number);
        connection.map(|connection| connection.out.extend(bytes)).is_some()
    }

    pub(super) fn rest(&mut self) -> Option<(TalkPeer, Vec<u8>)> {
        let mut all = self.connections.iter_mut();
        all.find_map(|connection| Some((connection.peer.clone(), connection.take_pending()?)))
    }

    pub(super) fn flush(&mut self) {
        let connected = self.connections.iter_mut().filter(|connection| connection.connected);
        connected.for_each(Connection::flush);
    }

    /// Whether data is queued, or a connection is being made.
    pub(super) fn busy(&self) -> bool {
        let busy = |connection: &Connection| {
            !(connection.broken() || connection.connected && connection.out.is_empty())
        };
        self.connections.iter().any(busy)
    }

    /// Shuts down sending once all data has been written.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.connections.iter_mut().for_each(|connection| connection.ending = true);
    }
}
