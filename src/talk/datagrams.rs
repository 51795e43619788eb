//! Datagrams of a conversation, over UDP and AF_UNIX.

use std::io;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::error::{SocketEvent, TalkError, is_unreachable, open_all};
use super::peers::{PeerAddr, Peers};
use crate::net::{Datagram, NetError, Options, Udp, Unix, UnixFile, UnixName};

/// Bytes of the receive buffer. AF_UNIX datagrams are limited only by the sender's buffer, which is
/// smaller by default. Unused memory costs nothing. Arbitrary beyond the 65,535 of UDP.
const MAX_DATAGRAM: usize = 4 << 20;
/// How often a send is tried if it fails because of an earlier datagram: the system reports such
/// errors at the next call (udp(7)). Arbitrary; two tries usually suffice.
const MAX_TRIES: u32 = 4;

#[derive(Debug)]
enum Socket {
    Udp(Udp),
    Unix(Unix, #[allow(dead_code, reason = "removes the file at the end")] Option<UnixFile>),
}

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
    pub(super) fn udp(options: &[Options]) -> Result<Self, NetError> {
        let mut each = options.iter();
        let sockets = open_all(options.iter().map(|options| options.bind), |bind| {
            let options = each.next().cloned().unwrap_or_default();
            let udp = Udp::open(&Options { bind, ..options })?;
            let local = udp.local;
            Ok((Socket::Udp(udp), local))
        })?;
        Ok(Self::new(sockets.into_iter().map(|(socket, _)| socket).collect()))
    }

    pub(super) fn unix(name: &UnixName, buffer: usize) -> Result<Self, NetError> {
        let (unix, file) = Unix::bind(name, buffer)?;
        Ok(Self::new(vec![Socket::Unix(unix, file)]))
    }

    fn new(sockets: Vec<Socket>) -> Self {
        let latest = (PeerAddr::Unnamed, 0);
        Self { sockets, slot: vec![0; MAX_DATAGRAM], refused: None, latest }
    }

    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        self.sockets.iter_mut().enumerate().try_for_each(|(number, socket)| {
            let source: &mut dyn Source = match socket {
                Socket::Udp(udp) => &mut udp.socket,
                Socket::Unix(unix, _) => &mut unix.socket,
            };
            registry.register(source, Token(number), Interest::READABLE | Interest::WRITABLE)
        })
    }

    pub(super) fn locals(&self) -> Vec<PeerAddr> {
        let local = |socket: &Socket| match socket {
            Socket::Udp(udp) => Some(PeerAddr::Ip(udp.local)),
            Socket::Unix(..) => None,
        };
        self.sockets.iter().filter_map(local).collect()
    }

    pub(super) fn next(&mut self, peers: &mut Peers) -> Option<SocketEvent> {
        if let Some(error) = self.refused.take() {
            return Some(SocketEvent::SendFailed(error));
        }
        for socket in &self.sockets {
            let received = match socket {
                Socket::Udp(udp) => {
                    let received = udp.socket.recv_from(&mut self.slot);
                    received.map(|(len, from)| (len, PeerAddr::Ip(from)))
                }
                Socket::Unix(unix, _) => unix
                    .recv_from(&mut self.slot)
                    .map(|(len, from)| (len, from.map_or(PeerAddr::Unnamed, PeerAddr::Unix))),
            };
            match received {
                Ok((len, from)) => {
                    let bytes = self.slot.get(..len).unwrap_or_default().to_vec();
                    return Some(SocketEvent::Received(peers.find_or_add(from), bytes));
                }
                Err(source) if source.kind() == io::ErrorKind::WouldBlock => {}
                Err(source) => {
                    socket.drain_error_queue();
                    return Some(SocketEvent::SendFailed(self.latest_failed(source)));
                }
            }
        }
        None
    }

    fn latest_failed(&self, source: io::Error) -> TalkError {
        let (to, bytes) = self.latest.clone();
        TalkError::Send { to, bytes, source }
    }

    /// Sends a datagram; returns whether the socket buffer had space.
    pub(super) fn send(&mut self, to: &PeerAddr, payload: &[u8]) -> Result<bool, TalkError> {
        for tries in 1.. {
            let Err(source) = self.try_send(to, payload) else { break };
            if source.kind() == io::ErrorKind::WouldBlock {
                return Ok(false);
            }
            self.sockets.iter().for_each(Socket::drain_error_queue);
            if tries == MAX_TRIES || !self.may_be_delayed(to, &source) {
                return Err(TalkError::Send { to: to.clone(), bytes: payload.len(), source });
            }
            self.refused = Some(self.latest_failed(source));
        }
        self.latest = (to.clone(), payload.len());
        Ok(true)
    }

    fn try_send(&self, to: &PeerAddr, payload: &[u8]) -> io::Result<()> {
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
        let why = match to {
            PeerAddr::Unnamed => "the sender has no name to reply to",
            _ => "no local socket of that address family",
        };
        Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why))
    }

    /// Whether an error may concern an earlier datagram.
    fn may_be_delayed(&self, to: &PeerAddr, error: &io::Error) -> bool {
        let has_sent = self.latest.0 != PeerAddr::Unnamed;
        matches!(to, PeerAddr::Ip(_)) && has_sent && is_unreachable(error.kind())
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
