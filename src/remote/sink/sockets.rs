//! Where clients call, and where answers leave from.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::{Interest, Registry, Token};

use crate::net::{Bound, BoundSender};
use crate::sys::LocalAddr;

/// The first listeners, and which address of this host each client has called.
#[derive(Debug, Default)]
pub(super) struct ControlSockets {
    doors: Vec<Bound>,
    /// Of clients that are here.
    called: HashMap<SocketAddr, LocalAddr>,
}

impl ControlSockets {
    /// One more.
    pub(super) fn add(&mut self, door: Bound) {
        self.doors.push(door);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.doors.len()
    }

    /// Has all be watched, under their numbers.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        let mut doors = self.doors.iter_mut().enumerate();
        doors.try_for_each(|(at, door)| registry.register(door, Token(at), Interest::READABLE))
    }

    /// Receives a datagram at one of them.
    pub(super) fn recv(&mut self, at: usize, slot: &mut [u8]) -> io::Result<BoundSender> {
        self.doors[at].recv_from(slot)
    }

    /// Sends back by the door that it came in.
    pub(super) fn answer(&mut self, at: usize, caller: &BoundSender, payload: &[u8]) {
        if let Some(from) = caller.from {
            self.doors[at].send_to(payload, from, caller.called);
        }
    }

    /// Notes where this client has called.
    pub(super) fn welcome(&mut self, caller: &BoundSender) {
        self.called.extend(caller.from.zip(caller.called));
    }

    /// Forgets a client.
    pub(super) fn part(&mut self, from: &SocketAddr) {
        self.called.remove(from);
    }

    /// Which address this client has called.
    pub(super) fn called(&self, from: &SocketAddr) -> Option<IpAddr> {
        self.called.get(from).map(|called| called.ip)
    }

    /// Sends what is to be sent, from where clients have called; `latest`: one that did so just
    /// now. What is refused is as good as lost: the client asks again.
    pub(super) fn send(
        &mut self,
        out: &mut Vec<(SocketAddr, Vec<u8>)>,
        latest: Option<&BoundSender>,
    ) {
        for (to, message) in out.drain(..) {
            let latest = latest.filter(|caller| caller.from == Some(to));
            let noted = || self.called.get(&to).copied();
            let called = latest.map_or_else(noted, |caller| caller.called);
            let _sent = self.doors.iter_mut().any(|door| door.send_to(&message, to, called));
        }
    }
}
