//! Unconnected server sockets that reply from the address a request was sent to.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::event::Source;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use crate::sys::{self, LocalAddr, RecvBatch, RecvMetadata, Reply, ReplyBatch, Request};

/// Bytes of the largest datagram (RFC 768).
pub const MAX_DATAGRAM: usize = 65_535;

/// A bound, unconnected UDP socket.
#[derive(Debug)]
pub struct Bound {
    socket: UdpSocket,
    /// To receive destination addresses and to reply from them, if the system reports them.
    pktinfo: Option<(RecvBatch, ReplyBatch)>,
}

/// The metadata of a received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundSender {
    /// Bytes of the datagram.
    pub len: usize,
    /// The sender, if it has a name.
    pub from: Option<SocketAddr>,
    /// The address to reply from; `None`: the system chooses.
    pub called: Option<LocalAddr>,
    /// Whether it was sent to a multicast or broadcast address.
    pub to_many: bool,
    /// The multicast group it was sent to.
    pub group: Option<IpAddr>,
}

impl Bound {
    /// Wraps a UDP socket. Without destination addresses, routing chooses the source of replies.
    pub fn udp(socket: UdpSocket) -> Self {
        let ipv6 = socket.local_addr().is_ok_and(|local| local.is_ipv6());
        let metadata = RecvMetadata { local: true, ..RecvMetadata::default() };
        let pktinfo = sys::enable_pktinfo(&socket, ipv6)
            .is_ok()
            .then(|| (RecvBatch::new(1, MAX_DATAGRAM, metadata), ReplyBatch::new(1)));
        Self { socket, pktinfo }
    }

    /// Receives a datagram.
    pub fn recv_from(&mut self, slot: &mut [u8]) -> io::Result<BoundSender> {
        let Some((rx, _)) = &mut self.pktinfo else {
            let (len, from) = self.socket.recv_from(slot)?;
            let (to_many, group) = (false, None);
            return Ok(BoundSender { len, from: Some(from), called: None, to_many, group });
        };
        rx.restart();
        rx.recv_one(&self.socket)?;
        let Some(request) = rx.requests().next() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let len = request.payload.len().min(slot.len());
        slot[..len].copy_from_slice(&request.payload[..len]);
        let Request { from, local: called, to_many, group, .. } = request;
        Ok(BoundSender { len, from, called, to_many, group })
    }

    /// Sends if the socket has the family of `to`; returns whether it has. `called`: the address to
    /// reply from. A refused datagram counts as lost.
    pub fn send_to(&mut self, payload: &[u8], to: SocketAddr, called: Option<LocalAddr>) -> bool {
        if !self.socket.local_addr().is_ok_and(|local| local.is_ipv4() == to.is_ipv4()) {
            return false;
        }
        match &mut self.pktinfo {
            None => drop(self.socket.send_to(payload, to)),
            Some((_, tx)) => {
                let reply = Reply { payload, segment: payload.len().max(1), to, local: called };
                drop(tx.send_one(&self.socket, reply));
            }
        }
        true
    }
}

impl Source for Bound {
    fn register(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.register(to, token, interests)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.reregister(to, token, interests)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        self.socket.deregister(from)
    }
}
