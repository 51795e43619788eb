//! Datagrams of a conversation, over UDP and AF_UNIX.

use std::io;

use mio::{Interest, Registry, Token};

use super::error::{TalkError, no_such_family};
use super::input::SocketEvent;
use super::peers::{PeerAddr, Peers};
use crate::net::{Datagram, Options, SocketError, Udp, Unix, UnixError, UnixFile, UnixName};

/// Bytes of the receive buffer. AF_UNIX datagrams are limited only by the sender's buffer, which is
/// smaller by default. Unused memory costs nothing. Arbitrary beyond the 65,535 of UDP.
const MAX_DATAGRAM: usize = 4 << 20;

/// How often a send is tried if it fails because of an earlier datagram: the system reports such
/// errors at the next call (udp(7)). Arbitrary; two tries usually suffice.
const MAX_TRIES: usize = 4;

#[derive(Debug)]
enum Socket {
    Udp(Udp),
    Unix(Unix, #[allow(dead_code, reason = "removes the file at the end")] Option<UnixFile>),
}

/// The outcome of a send.
#[derive(Debug)]
pub(super) enum SendOutcome {
    /// The system accepted it.
    Sent,
    /// The send buffer is full.
    Full,
    /// It cannot be sent.
    Failed(TalkError),
}

/// The sockets.
#[derive(Debug)]
pub(super) struct Datagrams {
    sockets: Vec<Socket>,
    slot: Vec<u8>,
    /// An error for an earlier datagram that is not reported yet.
    refused: Option<TalkError>,
    /// Address and length of the latest datagram, which delayed errors are attributed to.
    latest: (PeerAddr, usize),
}

impl Datagrams {
    /// Binds UDP sockets, without those of a family that this host lacks.
    pub(super) fn udp(options: &[Options]) -> Result<Self, SocketError> {
        let mut sockets: Vec<Udp> = Vec::new();
        let mut missing = None;
        for options in options {
            let mut options = options.clone();
            // Both families use the port of the first socket.
            if let (0, Some(first)) = (options.bind.port(), sockets.first()) {
                options.bind.set_port(first.local.port());
            }
            match Udp::open(&options) {
                Ok(udp) => sockets.push(udp),
                Err(error) if no_such_family(&error) => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        match missing {
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
        let latest = (PeerAddr::Unnamed, 0);
        Self { sockets, slot: vec![0; MAX_DATAGRAM], refused: None, latest }
    }

    /// Registers the sockets.
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

    /// Local UDP addresses.
    pub(super) fn locals(&self) -> Vec<PeerAddr> {
        let udp = self.sockets.iter().filter_map(|socket| match socket {
            Socket::Udp(udp) => Some(PeerAddr::Ip(udp.local)),
            Socket::Unix(..) => None,
        });
        udp.collect()
    }

    /// The next event, if any.
    pub(super) fn next(&mut self, peers: &mut Peers) -> Option<SocketEvent> {
        if let Some(error) = self.refused.take() {
            return Some(SocketEvent::SendFailed(error));
        }
        let (to, bytes) = &self.latest;
        for socket in &self.sockets {
            let received = match socket {
                Socket::Udp(udp) => udp
                    .socket
                    .recv_from(&mut self.slot)
                    .map(|(len, from)| (len, PeerAddr::Ip(from))),
                Socket::Unix(unix, _) => unix
                    .recv_from(&mut self.slot)
                    .map(|(len, from)| (len, from.map_or(PeerAddr::Unnamed, PeerAddr::Unix))),
            };
            match received {
                Ok((len, who)) => {
                    let bytes = self.slot.get(..len).unwrap_or_default().to_vec();
                    return Some(SocketEvent::Received(peers.find_or_add(who), bytes));
                }
                Err(source) if source.kind() == io::ErrorKind::WouldBlock => {}
                Err(source) => {
                    socket.drain_error_queue();
                    let (to, bytes) = (to.clone(), *bytes);
                    return Some(SocketEvent::SendFailed(TalkError::Send { to, bytes, source }));
                }
            }
        }
        None
    }

    /// Sends a datagram.
    pub(super) fn send(&mut self, to: &PeerAddr, payload: &[u8]) -> SendOutcome {
        let bytes = payload.len();
        let error = |source| TalkError::Send { to: to.clone(), bytes, source };
        let mut tries = MAX_TRIES;
        loop {
            let sent = self.try_send(to, payload);
            tries -= 1;
            match sent {
                Ok(()) => {
                    self.latest = (to.clone(), bytes);
                    return SendOutcome::Sent;
                }
                Err(source) if source.kind() == io::ErrorKind::WouldBlock => {
                    return SendOutcome::Full;
                }
                Err(source) if tries > 0 && self.may_be_delayed(to, &source) => {
                    self.sockets.iter().for_each(Socket::drain_error_queue);
                    let (to, bytes) = self.latest.clone();
                    self.refused = Some(TalkError::Send { to, bytes, source });
                }
                Err(source) => {
                    self.sockets.iter().for_each(Socket::drain_error_queue);
                    return SendOutcome::Failed(error(source));
                }
            }
        }
    }

    fn try_send(&self, to: &PeerAddr, payload: &[u8]) -> io::Result<()> {
        let none = |why| Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
        for socket in &self.sockets {
            match (socket, to) {
                (Socket::Udp(udp), PeerAddr::Ip(addr)) if udp.local.is_ipv4() == addr.is_ipv4() => {
                    return udp.socket.send_to(payload, *addr).map(|_| ());
                }
                (Socket::Unix(unix, _), PeerAddr::Unix(name)) => {
                    return unix.send_to(payload, name).map(|_| ());
                }
                _ => {}
            }
        }
        match to {
            PeerAddr::Unnamed => none("the sender has no name to reply to"),
            _ => none("no local socket of that address family"),
        }
    }

    /// Whether an error may concern an earlier datagram.
    fn may_be_delayed(&self, to: &PeerAddr, error: &io::Error) -> bool {
        let kinds = [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NetworkUnreachable,
        ];
        matches!(to, PeerAddr::Ip(_))
            && self.latest.0 != PeerAddr::Unnamed
            && kinds.contains(&error.kind())
    }
}

impl Socket {
    /// Discards queued errors; the latest one has been reported.
    fn drain_error_queue(&self) {
        match self {
            Self::Udp(udp) => drop(udp.socket.drain_error_queue()),
            Self::Unix(unix, _) => drop(unix.socket.drain_error_queue()),
        }
    }
}
