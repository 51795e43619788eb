//! The sockets that control messages arrive at and leave from.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use mio::{Interest, Registry, Token};

use crate::net::{Bound, BoundSender};
use crate::remote::rpc::Outgoing;
use crate::sys::LocalAddr;

/// The first listener of each address, and the local address that each client uses.
#[derive(Debug, Default)]
pub(super) struct ControlSockets {
    pub(super) sockets: Vec<Bound>,
    /// By client with an open session.
    pub(super) called: HashMap<SocketAddr, LocalAddr>,
}

impl ControlSockets {
    /// Registers all sockets; their tokens are their indices.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        let mut sockets = self.sockets.iter_mut().enumerate();
        sockets
            .try_for_each(|(at, socket)| registry.register(socket, Token(at), Interest::READABLE))
    }

    /// Replies from the socket that a datagram arrived at.
    pub(super) fn answer(&mut self, at: usize, sender: &BoundSender, payload: &[u8]) {
        if let Some(from) = sender.from {
            self.sockets[at].send_to(payload, from, sender.called);
        }
    }

    /// Sends messages from the addresses that clients use, `latest` among them; clients retry.
    pub(super) fn send(&mut self, out: &mut Outgoing, latest: Option<&BoundSender>) {
        for (to, message) in out.drain(..) {
            let latest = latest.filter(|sender| sender.from == Some(to));
            let noted = || self.called.get(&to).copied();
            let called = latest.map_or_else(noted, |sender| sender.called);
            let _sent = self.sockets.iter_mut().any(|socket| socket.send_to(&message, to, called));
        }
    }
}
