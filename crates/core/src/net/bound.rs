//! Unconnected server sockets that reply from the address a request was sent to.

use std::io;
use std::net::SocketAddr;

use mio::event::Source;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use crate::sys::{self, LocalAddr, RecvBatch, RecvMetadata, Reply, ReplyBatch};

/// Bytes of the largest datagram (RFC 768).
pub const MAX_DATAGRAM: usize = 65_535;

/// A bound, unconnected UDP socket.
#[derive(Debug)]
pub enum Bound {
    /// Without destination addresses.
    Udp(UdpSocket),
    /// With the destination address of each datagram.
    WithPktinfo(UdpSocket, Box<PktinfoBuffers>),
}

/// Buffers to receive destination addresses and to reply from them.
#[derive(Debug)]
pub struct PktinfoBuffers {
    rx: RecvBatch,
    tx: ReplyBatch,
}

/// The metadata of a received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundSender {
    /// Bytes of the datagram.
    pub len: usize,
    /// The sender; `None`: it has no name.
    pub from: Option<SocketAddr>,
    /// The address to reply from; `None`: the system chooses.
    pub called: Option<LocalAddr>,
    /// Whether it was sent to a multicast or broadcast address.
    pub to_many: bool,
}

impl Bound {
    /// Wraps a UDP socket. Without destination addresses, routing chooses the source of replies.
    pub fn udp(socket: UdpSocket) -> Self {
        let ipv6 = socket.local_addr().is_ok_and(|local| local.is_ipv6());
        if sys::enable_pktinfo(&socket, ipv6).is_err() {
            return Self::Udp(socket);
        }
        let metadata = RecvMetadata { local: true, ..RecvMetadata::default() };
        let (rx, tx) = (RecvBatch::new(1, MAX_DATAGRAM, metadata), ReplyBatch::new(1));
        Self::WithPktinfo(socket, Box::new(PktinfoBuffers { rx, tx }))
    }

    /// Receives a datagram.
    pub fn recv_from(&mut self, slot: &mut [u8]) -> io::Result<BoundSender> {
        match self {
            Self::Udp(socket) => socket.recv_from(slot).map(|(len, from)| BoundSender {
                len,
                from: Some(from),
                called: None,
                to_many: false,
            }),
            Self::WithPktinfo(socket, buffers) => buffers.recv_from(socket, slot),
        }
    }

    /// Sends if the socket has the family of `to`; returns whether it has. `called`: the address to
    /// reply from. A refused datagram counts as lost.
    pub fn send_to(&mut self, payload: &[u8], to: SocketAddr, called: Option<LocalAddr>) -> bool {
        if !is_of_family(self.socket(), &to) {
            return false;
        }
        match self {
            Self::Udp(socket) => drop(socket.send_to(payload, to)),
            Self::WithPktinfo(socket, buffers) => {
                let segment = payload.len().max(1);
                let reply = Reply { payload, segment, to, local: called };
                drop(buffers.tx.send_one(socket, reply));
            }
        }
        true
    }

    const fn socket(&self) -> &UdpSocket {
        match self {
            Self::Udp(socket) | Self::WithPktinfo(socket, _) => socket,
        }
    }

    const fn socket_mut(&mut self) -> &mut UdpSocket {
        match self {
            Self::Udp(socket) | Self::WithPktinfo(socket, _) => socket,
        }
    }
}

fn is_of_family(socket: &UdpSocket, to: &SocketAddr) -> bool {
    socket.local_addr().is_ok_and(|local| local.is_ipv4() == to.is_ipv4())
}

impl PktinfoBuffers {
    fn recv_from(&mut self, socket: &UdpSocket, slot: &mut [u8]) -> io::Result<BoundSender> {
        self.rx.restart();
        self.rx.recv_one(socket)?;
        let Some(request) = self.rx.requests().next() else {
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
