//! The peers of a conversation, and which of them gets the next line.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::net::UnixName;

/// The other end of a datagram or a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerAddr {
    /// At an address and a port.
    Ip(SocketAddr),
    /// An AF_UNIX socket with a name.
    Unix(UnixName),
    /// An AF_UNIX socket without a name: it receives no reply, except over a stream.
    Unnamed,
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            // The name may come from anybody and is shown on terminals.
            Self::Unix(name) => write!(f, "unix:{}", name.to_string().escape_debug()),
            Self::Unnamed => f.write_str("unix:"),
        }
    }
}

/// A peer with a unique number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalkPeer {
    /// Counted from 1.
    pub number: u32,
    /// Its address.
    pub addr: PeerAddr,
}

/// Maximum number of remembered peers: forged senders must not fill the memory. Arbitrary.
const MAX_PEERS: usize = 1_024;

#[derive(Debug)]
pub(super) struct Peers {
    /// Oldest first.
    pub(super) peers: Vec<TalkPeer>,
    last_number: u32,
    pub(super) chosen: Option<u32>,
    /// The peer named on the command line; it gets all lines unless another one is chosen.
    pub(super) first: Option<u32>,
    /// The last peer that sent data and may be answered.
    last: Option<u32>,
    /// Peers that finished sending, but may still receive.
    finished: Vec<u32>,
    /// Addresses that get lines without being chosen.
    answers: fn(IpAddr) -> bool,
}

impl Peers {
    /// Peers that get lines only if `answers` accepts them, unless they are chosen.
    pub(super) fn answering(answers: fn(IpAddr) -> bool) -> Self {
        let (peers, finished, last_number) = (Vec::new(), Vec::new(), 0);
        Self { peers, last_number, chosen: None, first: None, last: None, finished, answers }
    }

    /// Whether lines may go to this address without it being chosen.
    pub(super) fn answers(&self, addr: &PeerAddr) -> bool {
        match addr {
            PeerAddr::Ip(addr) => (self.answers)(addr.ip()),
            PeerAddr::Unix(_) | PeerAddr::Unnamed => true,
        }
    }

    /// Adds a peer; forgets the oldest one if there are too many.
    pub(super) fn add(&mut self, addr: PeerAddr) -> TalkPeer {
        if self.peers.len() == MAX_PEERS {
            let in_use = [self.chosen, self.first, self.last];
            let oldest = self.peers.iter().position(|peer| !in_use.contains(&Some(peer.number)));
            oldest.map(|oldest| self.peers.remove(oldest));
        }
        self.last_number += 1;
        let peer = TalkPeer { number: self.last_number, addr };
        self.peers.push(peer.clone());
        peer
    }

    pub(super) fn find_or_add(&mut self, addr: PeerAddr) -> TalkPeer {
        match self.peers.iter().find(|peer| peer.addr == addr) {
            Some(peer) if addr != PeerAddr::Unnamed => peer.clone(),
            _ => self.add(addr),
        }
    }

    pub(super) fn rename(&mut self, number: u32, addr: PeerAddr) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.number == number) {
            peer.addr = addr;
        }
    }

    fn newest(&self, may_have_finished: bool) -> Option<u32> {
        let mut numbers = self.peers.iter().rev().filter(|peer| self.answers(&peer.addr));
        let is_candidate =
            |peer: &&TalkPeer| may_have_finished || !self.finished.contains(&peer.number);
        numbers.find(is_candidate).map(|peer| peer.number)
    }

    /// Notes that a peer finished sending: others are preferred.
    pub(super) fn mark_finished(&mut self, number: u32) {
        self.finished.push(number);
        if self.last == Some(number) {
            self.last = self.newest(false).or(self.last);
        }
    }

    pub(super) fn remove(&mut self, number: u32) {
        self.finished.retain(|finished| *finished != number);
        self.peers.retain(|peer| peer.number != number);
        for mark in [&mut self.chosen, &mut self.first, &mut self.last] {
            *mark = mark.filter(|mark| *mark != number);
        }
        // Over streams, any remaining peer gets the next line.
        self.last = self.last.or_else(|| self.newest(true));
    }

    /// Notes the last peer that sent data; returns whether it may be answered.
    pub(super) fn record_received(&mut self, peer: &TalkPeer) -> bool {
        let answers = self.answers(&peer.addr);
        if answers {
            self.last = Some(peer.number);
        }
        answers
    }

    /// Chooses the peer that gets all lines and returns it; `None`: the first, or the last sender.
    pub(super) fn choose(&mut self, number: Option<u32>) -> Option<&TalkPeer> {
        if let Some(number) = number {
            self.peers.iter().find(|peer| peer.number == number)?;
        }
        self.chosen = number;
        self.target()
    }

    pub(super) fn target(&self) -> Option<&TalkPeer> {
        let number = self.chosen.or(self.first).or(self.last)?;
        self.peers.iter().find(|peer| peer.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> PeerAddr {
        PeerAddr::Ip(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn the_last_sender_that_may_be_answered_is_the_target() {
        let mut peers = Peers::answering(|ip| ip.is_loopback());
        let unsolicited = peers.add(PeerAddr::Ip(SocketAddr::from(([192, 0, 2, 1], 1))));
        assert!(!peers.record_received(&unsolicited));
        assert_eq!(peers.target(), None);
        let (first, second) = (peers.find_or_add(at(1)), peers.find_or_add(at(2)));
        assert_eq!(peers.find_or_add(at(1)), first);
        assert!(peers.record_received(&first) && peers.record_received(&second));
        assert_eq!(peers.target(), Some(&second));
        assert_eq!(peers.choose(Some(first.number)), Some(&first));
        peers.record_received(&second);
        assert_eq!(peers.choose(Some(9)), None, "no peer has that number");
        assert_eq!(peers.target(), Some(&first));
        assert_eq!(peers.choose(None), Some(&second));
        for finished in [3, 2] {
            peers.mark_finished(finished);
            assert_eq!(peers.target(), Some(&first), "it can still answer, or listen");
        }
        peers.remove(first.number);
        peers.remove(second.number);
        assert_eq!(peers.target(), None, "the other peer is not answered");
        assert_eq!(peers.choose(Some(unsolicited.number)), Some(&unsolicited));
    }

    #[test]
    fn the_number_of_peers_is_bounded() {
        let mut peers = Peers::answering(|_| true);
        let first = peers.add(at(9));
        peers.first = Some(first.number);
        for port in 0..5_000 {
            peers.find_or_add(at(10_000 + port));
        }
        assert_eq!(peers.peers.len(), MAX_PEERS);
        assert_eq!(peers.target(), Some(&first));
        assert_eq!(peers.find_or_add(at(14_999)).number, 5_001);
    }
}
