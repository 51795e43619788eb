//! Datagrams of a conversation, over UDP and AF_UNIX.

use std::io;

use mio::{Interest, Registry, Token};

use super::book::{Book, Who};
use super::error::{TalkError, no_such_family};
use super::inlet::News;
use crate::net::{Datagram, Options, SocketError, Udp, Unix, UnixError, UnixFile, UnixName};

/// Bytes of the largest datagram that is received whole: AF_UNIX has no limit but the sender's
/// buffer, which is smaller everywhere unless somebody has raised it. Memory that is never written
/// costs nothing. Arbitrary beyond the 65,535 of UDP.
const LARGEST: usize = 4 << 20;

/// How often a datagram is offered again that was refused for the sake of an earlier one: the
/// system reports such at the next call, whatever that is (udp(7)). Arbitrary; once suffices where
/// nothing else comes in between.
const OFFERS: usize = 4;

#[derive(Debug)]
enum Socket {
    Udp(Udp),
    Unix(Unix, #[allow(dead_code, reason = "removes the file at the end")] Option<UnixFile>),
}

/// What became of a datagram.
#[derive(Debug)]
pub(super) enum Said {
    /// It is on its way.
    Done,
    /// There is no room now.
    Later,
    /// It cannot be sent.
    Refused(TalkError),
}

/// The sockets.
#[derive(Debug)]
pub(super) struct Datagrams {
    sockets: Vec<Socket>,
    slot: Vec<u8>,
    /// What the network said of earlier datagrams, not told yet.
    refused: Option<TalkError>,
    /// To whom the latest one went, and its length: of what the network says, this is a guess.
    latest: (Who, usize),
}

impl Datagrams {
    /// Binds UDP sockets. Of several, those of a family that this host lacks are left out.
    pub(super) fn udp(options: &[Options]) -> Result<Self, SocketError> {
        let mut sockets: Vec<Udp> = Vec::new();
        let mut lacking = None;
        for options in options {
            let mut options = options.clone();
            // Both families at one port: the one that is free for the first.
            if let (0, Some(first)) = (options.bind.port(), sockets.first()) {
                options.bind.set_port(first.local.port());
            }
            match Udp::open(&options) {
                Ok(udp) => sockets.push(udp),
                Err(error) if no_such_family(&error) => lacking = Some(error),
                Err(error) => return Err(error),
            }
        }
        match lacking {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(Self::of(sockets.into_iter().map(Socket::Udp).collect())),
        }
    }

    /// Binds an AF_UNIX socket.
    pub(super) fn unix(name: &UnixName, buffer: usize) -> Result<Self, UnixError> {
        let (unix, file) = Unix::bind(name, buffer)?;
        Ok(Self::of(vec![Socket::Unix(unix, file)]))
    }

    fn of(sockets: Vec<Socket>) -> Self {
        let latest = (Who::Nameless, 0);
        Self { sockets, slot: vec![0; LARGEST], refused: None, latest }
    }

    /// Has the sockets watched.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (number, socket) in self.sockets.iter_mut().enumerate() {
            let interests = Interest::READABLE | Interest::WRITABLE;
            match socket {
                Socket::Udp(udp) => registry.register(&mut udp.socket, Token(number), interests),
                Socket::Unix(unix, _) => {
                    registry.register(&mut unix.socket, Token(number), interests)
                }
            }?;
        }
        Ok(())
    }

    /// Where UDP is received.
    pub(super) fn locals(&self) -> Vec<Who> {
        let udp = self.sockets.iter().filter_map(|socket| match socket {
            Socket::Udp(udp) => Some(Who::Ip(udp.local)),
            Socket::Unix(..) => None,
        });
        udp.collect()
    }

    /// What has happened; `None`: nothing more.
    pub(super) fn next(&mut self, book: &mut Book) -> Option<News> {
        if let Some(error) = self.refused.take() {
            return Some(News::Refused(error));
        }
        let (to, bytes) = &self.latest;
        for socket in &self.sockets {
            let received = match socket {
                Socket::Udp(udp) => {
                    udp.socket.recv_from(&mut self.slot).map(|(len, from)| (len, Who::Ip(from)))
                }
                Socket::Unix(unix, _) => unix
                    .hear(&mut self.slot)
                    .map(|(len, from)| (len, from.map_or(Who::Nameless, Who::Unix))),
            };
            match received {
                Ok((len, who)) => {
                    let bytes = self.slot.get(..len).unwrap_or_default().to_vec();
                    return Some(News::Heard(book.meet(who), bytes));
                }
                Err(source) if source.kind() == io::ErrorKind::WouldBlock => {}
                Err(source) => {
                    socket.forget_refusals();
                    let (to, bytes) = (to.clone(), *bytes);
                    return Some(News::Refused(TalkError::Send { to, bytes, source }));
                }
            }
        }
        None
    }

    /// Sends a datagram.
    pub(super) fn say(&mut self, to: &Who, payload: &[u8]) -> Said {
        let bytes = payload.len();
        let error = |source| TalkError::Send { to: to.clone(), bytes, source };
        let mut offers = OFFERS;
        loop {
            let sent = self.offer(to, payload);
            offers -= 1;
            match sent {
                Ok(()) => {
                    self.latest = (to.clone(), bytes);
                    return Said::Done;
                }
                Err(source) if source.kind() == io::ErrorKind::WouldBlock => return Said::Later,
                Err(source) if offers > 0 && self.may_be_earlier(to, &source) => {
                    self.sockets.iter().for_each(Socket::forget_refusals);
                    let (to, bytes) = self.latest.clone();
                    self.refused = Some(TalkError::Send { to, bytes, source });
                }
                Err(source) => {
                    self.sockets.iter().for_each(Socket::forget_refusals);
                    return Said::Refused(error(source));
                }
            }
        }
    }

    fn offer(&self, to: &Who, payload: &[u8]) -> io::Result<()> {
        let none = |why| Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
        for socket in &self.sockets {
            match (socket, to) {
                (Socket::Udp(udp), Who::Ip(addr)) if udp.local.is_ipv4() == addr.is_ipv4() => {
                    return udp.socket.send_to(payload, *addr).map(|_| ());
                }
                (Socket::Unix(unix, _), Who::Unix(name)) => {
                    return unix.say(payload, name).map(|_| ());
                }
                _ => {}
            }
        }
        match to {
            Who::Nameless => none("that socket has no name, so nobody can answer it"),
            _ => none("no socket here is of that family"),
        }
    }

    /// Whether an error may be about the datagram before this one.
    fn may_be_earlier(&self, to: &Who, error: &io::Error) -> bool {
        let kinds = [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NetworkUnreachable,
        ];
        matches!(to, Who::Ip(_)) && self.latest.0 != Who::Nameless && kinds.contains(&error.kind())
    }
}

impl Socket {
    /// Empties the queue of what the network said; the latest has been told.
    fn forget_refusals(&self) {
        match self {
            Self::Udp(udp) => drop(udp.socket.take_queued_refusal()),
            Self::Unix(unix, _) => drop(unix.socket.take_queued_refusal()),
        }
    }
}
