//! Connections of a conversation, over TCP and AF_UNIX.

use std::io::{self, Read, Write};

use mio::{Interest, Registry, Token};

use super::book::{Book, Peer, Who};
use super::error::TalkError;
use super::session::News;
use super::{TalkOptions, Via};
use crate::net::UnixFile;
use crate::net::stream::{Listener, Stream, connect_local, connect_tcp, listen_local, listen_tcp};
use crate::unit::Nanos;

/// How long the beginning of a line waits for its end before it is shown without: a prompt has
/// none. Arbitrary: people do not notice it, and what is under way has arrived.
const PATIENCE: Nanos = Nanos::from_millis(100);

/// How long connecting may take. Arbitrary: the system would try for minutes (tcp_syn_retries,
/// tcp(7)), and who is there answers within one retry or two.
const CONNECTING: Nanos = Nanos::from_millis(10_000);

/// Bytes of a line that is shown in pieces. Arbitrary.
const LONGEST_LINE: usize = 64 << 10;

/// Bytes that are read at once. Arbitrary.
const READ: usize = 64 << 10;

/// Where the numbers of listeners begin among mio's tokens; connections have those of their peers,
/// from 1. Arbitrary.
const LISTENERS: usize = usize::MAX / 2;

/// A connection.
#[derive(Debug)]
struct Line {
    peer: Peer,
    stream: Box<dyn Stream>,
    connected: bool,
    /// When connecting began.
    began: Nanos,
    /// What is to be written, from `written` on.
    out: Vec<u8>,
    written: usize,
    /// No more will be.
    ending: bool,
    /// What was read and not shown, and when that was.
    held: Vec<u8>,
    read_at: Nanos,
    /// The other end says no more, or the connection broke.
    over: Option<Option<io::Error>>,
    /// When it was told that the other end says no more, or when there was still something to
    /// write after that.
    told_at: Option<Nanos>,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Streams {
    listeners: Vec<Box<dyn Listener>>,
    _file: Option<UnixFile>,
    locals: Vec<Who>,
    lines: Vec<Line>,
    by_line: bool,
    /// How long one that says no more can still be answered.
    linger: Nanos,
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
            by_line: options.by_line,
            linger: if via.has_peer() { Nanos::ZERO } else { options.linger },
            slot: vec![0; READ],
        };
        match via {
            Via::TcpTo { from, to } => {
                let stream = connect_tcp(*from, *to)?;
                all.enter(book.enter(Who::Ip(*to)), stream, false);
            }
            Via::UnixTo { to } => {
                let stream = connect_local(to)?;
                all.enter(book.enter(Who::Unix(to.clone())), stream, false);
            }
            Via::TcpAt { at } => all.listen(at)?,
            Via::UnixAt { at } => {
                let (listener, file) = listen_local(at)?;
                all._file = file;
                all.listeners.push(listener);
                all.locals.push(Who::Unix(at.clone()));
            }
            Via::Udp { .. } | Via::UnixDatagrams { .. } => {}
        }
        Ok(all)
    }

    /// Listens at all of these, less those of a family that this host lacks.
    fn listen(&mut self, at: &[std::net::SocketAddr]) -> Result<(), TalkError> {
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
                Err(error) if super::datagrams::no_such_family(&error) => lacking = Some(error),
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

    fn enter(&mut self, peer: Peer, stream: Box<dyn Stream>, connected: bool) {
        self.lines.push(Line {
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
                match line.stream.connected() {
                    Ok(false) if now.since(line.began) < CONNECTING => continue,
                    Ok(false) => {
                        let (to, source) = (line.peer.who.clone(), io::ErrorKind::TimedOut.into());
                        return Some(News::Failed(TalkError::Connect { to, source }));
                    }
                    Ok(true) => {
                        line.connected = true;
                        return Some(News::Came(line.peer.clone()));
                    }
                    Err(source) => {
                        let to = line.peer.who.clone();
                        return Some(News::Failed(TalkError::Connect { to, source }));
                    }
                }
            }
            if reading && let Some(bytes) = line.read(&mut self.slot, now, self.by_line) {
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
        let first = line.told_at.is_none();
        if draining {
            line.told_at = Some(now);
        }
        let told_at = *line.told_at.get_or_insert(now);
        if broken || !draining && now.since(told_at) >= self.linger {
            let Line { peer, over, out, written, .. } = self.lines.remove(at);
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
    pub(super) fn say(&mut self, to: &Peer, bytes: &[u8]) -> bool {
        let line = self.lines.iter_mut().find(|line| line.peer.number == to.number);
        line.map(|line| line.out.extend_from_slice(bytes)).is_some()
    }

    /// Writes what was kept.
    pub(super) fn flush(&mut self) {
        self.lines.iter_mut().filter(|line| line.connected).for_each(Line::flush);
    }

    /// Whether there is more to write, or a connection to be made.
    pub(super) fn busy(&self) -> bool {
        let busy = |line: &Line| !line.broken() && (!line.connected || line.unsent());
        self.lines.iter().any(busy)
    }

    /// Tells the other ends that no more will come, once all has been written.
    pub(super) fn end(&mut self) {
        self.lines.iter_mut().for_each(|line| line.ending = true);
    }
}

impl Line {
    fn register(&mut self, registry: &Registry) -> io::Result<()> {
        let token = Token(self.peer.number as usize);
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    fn broken(&self) -> bool {
        matches!(self.over, Some(Some(_)))
    }

    fn unsent(&self) -> bool {
        self.written < self.out.len()
    }

    fn flush(&mut self) {
        while self.unsent() && !self.broken() {
            match self.stream.write(self.out.get(self.written..).unwrap_or_default()) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What the other end said before is still to be read.
                Err(error) => self.over = Some(Some(error)),
            }
        }
        if !self.unsent() {
            self.out.clear();
            self.written = 0;
            if std::mem::take(&mut self.ending) {
                // One that is closed already needs no telling.
                let _ = self.stream.end();
            }
        }
    }

    /// The next piece to show, if there is one.
    fn read(&mut self, slot: &mut [u8], now: Nanos, by_line: bool) -> Option<Vec<u8>> {
        loop {
            if by_line && let Some(end) = self.held.iter().rposition(|byte| *byte == b'\n') {
                return Some(self.held.drain(..=end).collect());
            }
            let finished = !matches!(self.over, None | Some(Some(_)));
            let result = if finished { Ok(0) } else { self.stream.read(slot) };
            match result {
                Ok(0) => {
                    self.over.get_or_insert(None);
                    return self.rest();
                }
                Ok(count) => {
                    self.held.extend_from_slice(slot.get(..count).unwrap_or_default());
                    self.read_at = now;
                    if !by_line || self.held.len() > LONGEST_LINE {
                        return self.rest();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let waited = now.since(self.read_at) >= PATIENCE || self.over.is_some();
                    return if waited { self.rest() } else { None };
                }
                Err(error) => {
                    self.over.get_or_insert(Some(error));
                    return self.rest();
                }
            }
        }
    }

    /// All that is held, if anything.
    fn rest(&mut self) -> Option<Vec<u8>> {
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then_some(held)
    }
}
