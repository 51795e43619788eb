//! Connections of a conversation, over TCP and AF_UNIX.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use mio::{Interest, Registry, Token};

use super::book::{Book, TalkPeer, Who};
use super::error::TalkError;
use super::inlet::News;
use super::line::{Cut, TextLine};
use super::{TalkOptions, Via};
use crate::net::UnixFile;
use crate::net::stream::{Listener, Stream, connect_tcp, listen_tcp};
use crate::net::unix::{connect_unix, listen_unix};
use crate::unit::Nanos;

/// How long connecting may take. Arbitrary: the system would try for minutes (tcp_syn_retries,
/// tcp(7)), and who is there answers within one retry or two.
const CONNECTING: Nanos = Nanos::from_millis(10_000);

/// Bytes that are read at once. Arbitrary.
const READ: usize = 64 << 10;

/// Where the numbers of listeners begin among mio's tokens; connections have those of their peers,
/// from 1. Arbitrary.
const LISTENERS: usize = usize::MAX / 2;

/// All connections.
#[derive(Debug)]
pub(super) struct Streams {
    listeners: Vec<Box<dyn Listener>>,
    _file: Option<UnixFile>,
    locals: Vec<Who>,
    lines: Vec<TextLine>,
    cut: Cut,
    /// Whether one that says no more is sent all that is still to come.
    faithful: bool,
    /// No line will come any more.
    ended: bool,
    /// How long one that says no more can still be answered.
    linger: Nanos,
    /// Remaining addresses to connect to, and the local address.
    routes: VecDeque<(Option<SocketAddr>, SocketAddr)>,
    slot: Vec<u8>,
}

impl Streams {
    /// Connects or listens.
    pub(super) fn open(options: &TalkOptions, book: &mut Book) -> Result<Self, TalkError> {
        let via = &options.via;
        let mut all = Self {
            listeners: Vec::new(),
            _file: None,
            locals: Vec::new(),
            lines: Vec::new(),
            cut: Cut::new(options),
            faithful: options.unattended && !options.once && via.has_peer(),
            ended: false,
            linger: if via.has_peer() { Nanos::ZERO } else { options.linger },
            routes: VecDeque::new(),
            slot: vec![0; READ],
        };
        match via {
            Via::TcpTo { routes } => {
                all.routes.extend(routes);
                let (to, stream) = all.connect()?;
                all.enter(book.enter(Who::Ip(to)), stream, false);
            }
            Via::UnixTo { to } => {
                let stream = connect_unix(to)?;
                all.enter(book.enter(Who::Unix(to.clone())), stream, false);
            }
            Via::TcpAt { at } => all.listen(at)?,
            Via::UnixAt { at } => {
                let (listener, file) = listen_unix(at)?;
                all._file = file;
                all.listeners.push(listener);
                all.locals.push(Who::Unix(at.clone()));
            }
            Via::Udp { .. } | Via::UnixDatagrams { .. } => {}
        }
        Ok(all)
    }

    /// Begins to connect to the next address with a route.
    fn connect(&mut self) -> Result<(SocketAddr, Box<dyn Stream>), TalkError> {
        loop {
            let Some((from, to)) = self.routes.pop_front() else {
                let source = io::ErrorKind::AddrNotAvailable.into();
                return Err(TalkError::Connect { to: Who::Nameless, source });
            };
            match connect_tcp(from, to) {
                Ok(stream) => return Ok((to, stream)),
                Err(_) if !self.routes.is_empty() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Replaces a failed connection by one to the next address; returns whether there is one.
    fn reconnect(&mut self, at: usize, book: &mut Book, registry: &Registry) -> bool {
        if self.routes.is_empty() {
            return false;
        }
        let Ok((to, stream)) = self.connect() else { return false };
        let Some(line) = self.lines.get_mut(at) else { return false };
        (line.stream, line.began) = (stream, Nanos::ZERO);
        line.peer.who = Who::Ip(to);
        book.rename(line.peer.number, Who::Ip(to));
        line.register(registry).is_ok()
    }

    /// Listens at all of these, less those of a family that this host lacks.
    fn listen(&mut self, at: &[SocketAddr]) -> Result<(), TalkError> {
        let mut lacking = None;
        for mut addr in at.iter().copied() {
            if let (0, Some(Who::Ip(first))) = (addr.port(), self.locals.first()) {
                addr.set_port(first.port());
            }
            match listen_tcp(addr) {
                Ok((listener, local)) => {
                    self.listeners.push(listener);
                    self.locals.push(Who::Ip(local));
                }
                Err(error) if super::error::no_such_family(&error) => lacking = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        match lacking {
            Some(error) if self.listeners.is_empty() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Has the sockets watched.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            registry.register(listener, Token(LISTENERS + number), Interest::READABLE)?;
        }
        self.lines.iter_mut().try_for_each(|line| line.register(registry))
    }

    /// Where others can connect.
    pub(super) fn locals(&self) -> Vec<Who> {
        self.locals.clone()
    }

    fn enter(&mut self, peer: TalkPeer, stream: Box<dyn Stream>, connected: bool) {
        self.lines.push(TextLine {
            peer,
            stream,
            connected,
            began: Nanos::ZERO,
            out: Vec::new(),
            written: 0,
            ending: false,
            held: Vec::new(),
            read_at: Nanos::ZERO,
            over: None,
            told_at: None,
        });
    }

    /// What has happened; `None`: nothing more. Without `reading`, only who came, and what failed.
    pub(super) fn next(
        &mut self,
        book: &mut Book,
        registry: &Registry,
        now: Nanos,
        reading: bool,
    ) -> Option<News> {
        if let Some(news) = self.accept(book, registry) {
            return Some(news);
        }
        for at in 0..self.lines.len() {
            let line = self.lines.get_mut(at)?;
            if !line.connected {
                if line.began == Nanos::ZERO {
                    line.began = now;
                }
                let source = match line.stream.connected() {
                    Ok(false) if now.since(line.began) < CONNECTING => continue,
                    Ok(false) => io::ErrorKind::TimedOut.into(),
                    Ok(true) => {
                        line.connected = true;
                        return Some(News::Came(line.peer.clone()));
                    }
                    Err(source) => source,
                };
                let error = TalkError::Connect { to: line.peer.who.clone(), source };
                let again = self.reconnect(at, book, registry);
                return Some(if again { News::Refused(error) } else { News::Failed(error) });
            }
            if reading && let Some(bytes) = line.read(&mut self.slot, now, self.cut) {
                return Some(News::Heard(line.peer.clone(), bytes));
            }
            if line.held.is_empty()
                && let Some(news) = self.over(at, book, now)
            {
                return Some(news);
            }
        }
        None
    }

    /// Of a connection that is over: that it is, once; and forgets it when nobody can be listening
    /// any more.
    fn over(&mut self, at: usize, book: &mut Book, now: Nanos) -> Option<News> {
        let line = self.lines.get_mut(at)?;
        let broken = line.over.as_ref()?.is_some();
        // Whoever still reads is not left in the middle, however slow.
        let draining = !broken && line.unsent() && !self.listeners.is_empty();
        if !broken && self.faithful && (line.unsent() || !self.ended) {
            return None;
        }
        let first = line.told_at.is_none();
        if draining {
            line.told_at = Some(now);
        }
        let told_at = *line.told_at.get_or_insert(now);
        if broken || !draining && now.since(told_at) >= self.linger {
            let TextLine { peer, over, out, written, .. } = self.lines.remove(at);
            book.leave(peer.number);
            let unsent = out.len() - written;
            return first.then_some(News::Left { peer, why: over.flatten(), unsent });
        }
        if !first {
            return None;
        }
        book.fall_silent(line.peer.number);
        Some(News::Left { peer: line.peer.clone(), why: None, unsent: 0 })
    }

    fn accept(&mut self, book: &mut Book, registry: &Registry) -> Option<News> {
        for listener in &self.listeners {
            // What cannot be accepted now, for want of files, waits in the queue of the listener.
            let Ok((stream, from)) = listener.accept() else { continue };
            let peer = book.enter(from.map_or(Who::Nameless, Who::Ip));
            self.enter(peer.clone(), stream, true);
            let line = self.lines.last_mut()?;
            if let Err(error) = line.register(registry) {
                line.over = Some(Some(error));
            }
            return Some(News::Came(peer));
        }
        None
    }

    /// Writes to a connection, as far as that takes it; the rest is kept. Whether it is there.
    pub(super) fn say(&mut self, to: &TalkPeer, bytes: &[u8]) -> bool {
        let line = self.lines.iter_mut().find(|line| line.peer.number == to.number);
        line.map(|line| line.out.extend_from_slice(bytes)).is_some()
    }

    /// What was read of a line whose end has not come, and whose.
    pub(super) fn rest(&mut self) -> Option<(TalkPeer, Vec<u8>)> {
        self.lines.iter_mut().find_map(|line| Some((line.peer.clone(), line.rest()?)))
    }

    /// Writes what was kept.
    pub(super) fn flush(&mut self) {
        self.lines.iter_mut().filter(|line| line.connected).for_each(TextLine::flush);
    }

    /// Whether there is more to write, or a connection to be made.
    pub(super) fn busy(&self) -> bool {
        let busy = |line: &TextLine| !line.broken() && (!line.connected || line.unsent());
        self.lines.iter().any(busy)
    }

    /// Tells the other ends that no more will come, once all has been written.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.lines.iter_mut().for_each(|line| line.ending = true);
    }
}
