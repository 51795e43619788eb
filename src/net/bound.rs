//! Where anybody's datagrams come in, and answers go out from where they called.

use std::io;
use std::net::SocketAddr;

use mio::event::Source;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use crate::sys::{self, LocalAddr, RecvBatch, RecvMetadata, Reply, ReplyBatch};

/// Bytes of the largest datagram (RFC 768).
pub const LARGEST: usize = 65_535;

/// A socket that is bound, and connected to nobody: anybody may call.
#[derive(Debug)]
pub enum Bound {
    /// Of UDP.
    Udp(UdpSocket),
    /// Of UDP, and told at which of its addresses this host is called.
    Told(UdpSocket, Box<Envelopes>),
}

/// What it takes to learn who called where, and to answer from there.
#[derive(Debug)]
pub struct Envelopes {
    inbox: RecvBatch,
    outbox: ReplyBatch,
}

/// A datagram that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundSender {
    /// Bytes of the datagram.
    pub len: usize,
    /// Who sent it: `None` has no name.
    pub from: Option<SocketAddr>,
    /// Where an answer should leave from; `None`: from where the system thinks best.
    pub called: Option<LocalAddr>,
    /// Whether it went to a multicast group or a broadcast address: others got it as well.
    pub to_many: bool,
}

impl Bound {
    /// Of UDP, maybe at every address of this host. Where the system tells which one was called,
    /// answers leave from there, otherwise from the one on the way to the caller.
    #[must_use]
    pub fn udp(socket: UdpSocket) -> Self {
        let ipv6 = socket.local_addr().is_ok_and(|local| local.is_ipv6());
        if sys::enable_pktinfo(&socket, ipv6).is_err() {
            return Self::Udp(socket);
        }
        let wants = RecvMetadata { local: true, ..RecvMetadata::default() };
        let (inbox, outbox) = (RecvBatch::new(1, LARGEST, wants), ReplyBatch::new(1));
        Self::Told(socket, Box::new(Envelopes { inbox, outbox }))
    }

    /// Receives a datagram.
    ///
    /// # Errors
    /// What recvfrom(2) says.
    pub fn recv_from(&mut self, slot: &mut [u8]) -> io::Result<BoundSender> {
        match self {
            Self::Udp(socket) => socket.recv_from(slot).map(|(len, from)| BoundSender {
                len,
                from: Some(from),
                called: None,
                to_many: false,
            }),
            Self::Told(socket, envelopes) => envelopes.recv_from(socket, slot),
        }
    }

    /// Sends there, if this socket is of that family; whether it is. `called`: where it was called
    /// from there. What the system refuses is as good as lost.
    pub fn send_to(&mut self, payload: &[u8], to: SocketAddr, called: Option<LocalAddr>) -> bool {
        if !is_of_family(self.socket(), &to) {
            return false;
        }
        match self {
            Self::Udp(socket) => drop(socket.send_to(payload, to)),
            Self::Told(socket, envelopes) => {
                let segment = payload.len().max(1);
                let reply = Reply { payload, segment, to, local: called };
                drop(envelopes.outbox.send_one(socket, reply));
            }
        }
        true
    }

    const fn socket(&self) -> &UdpSocket {
        match self {
            Self::Udp(socket) | Self::Told(socket, _) => socket,
        }
    }

    const fn socket_mut(&mut self) -> &mut UdpSocket {
        match self {
            Self::Udp(socket) | Self::Told(socket, _) => socket,
        }
    }
}

fn is_of_family(socket: &UdpSocket, to: &SocketAddr) -> bool {
    socket.local_addr().is_ok_and(|local| local.is_ipv4() == to.is_ipv4())
}

impl Envelopes {
    fn recv_from(&mut self, socket: &UdpSocket, slot: &mut [u8]) -> io::Result<BoundSender> {
        self.inbox.restart();
        self.inbox.recv_one(socket)?;
        let Some(request) = self.inbox.requests().next() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let len = request.payload.len().min(slot.len());
        slot[..len].copy_from_slice(&request.payload[..len]);
        Ok(BoundSender { len, from: request.from, called: request.local, to_many: request.to_many })
    }
}

impl Source for Bound {
    fn register(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket_mut().register(to, token, interests)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket_mut().reregister(to, token, interests)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        self.socket_mut().deregister(from)
    }
}
