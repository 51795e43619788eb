//! Who takes part in a conversation, and who gets the next line.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::net::UnixName;

/// The other end of a datagram or a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// At an address and a port.
    Ip(SocketAddr),
    /// An AF_UNIX socket with a name.
    Unix(UnixName),
    /// An AF_UNIX socket without one: it hears no answers, except over a stream.
    Nameless,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            // It may be a stranger's, and is shown on terminals.
            Self::Unix(name) => write!(f, "unix:{}", name.to_string().escape_debug()),
            Self::Nameless => f.write_str("unix:"),
        }
    }
}

/// One that takes part, under a number that nobody else gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalkPeer {
    /// Counted from 1.
    pub number: u32,
    /// Where it is.
    pub who: Who,
}

/// How many are remembered: whoever forges senders shall not fill the memory. Arbitrary.
const REMEMBERED: usize = 1_024;

/// Who takes part.
#[derive(Debug, Default)]
pub(super) struct Book {
    peers: Vec<TalkPeer>,
    numbers: u32,
    /// Who was chosen by hand.
    chosen: Option<u32>,
    /// Who was named when the conversation began.
    first: Option<u32>,
    /// Who was heard last, and may be answered.
    last: Option<u32>,
    /// Who says no more, but may still listen.
    mute: Vec<u32>,
    /// Whom lines may go to without being chosen; `None`: anybody.
    answers: Option<fn(IpAddr) -> bool>,
}

impl Book {
    /// Of a conversation that sends lines to these alone unless others are chosen.
    pub(super) fn answering(answers: fn(IpAddr) -> bool) -> Self {
        Self { answers: Some(answers), ..Self::default() }
    }

    /// Whether lines may go there without its being chosen.
    pub(super) fn answers(&self, who: &Who) -> bool {
        match who {
            Who::Ip(addr) => self.answers.is_none_or(|answers| answers(addr.ip())),
            Who::Unix(_) | Who::Nameless => true,
        }
    }

    /// Everybody, in the order in which they came.
    pub(super) fn peers(&self) -> &[TalkPeer] {
        &self.peers
    }

    /// Somebody new.
    pub(super) fn enter(&mut self, who: Who) -> TalkPeer {
        if self.peers.len() == REMEMBERED {
            let dear = [self.chosen, self.first, self.last];
            let oldest = self.peers.iter().position(|peer| !dear.contains(&Some(peer.number)));
            oldest.map(|oldest| self.peers.remove(oldest));
        }
        self.numbers += 1;
        let peer = TalkPeer { number: self.numbers, who };
        self.peers.push(peer.clone());
        peer
    }

    /// Somebody, under the number of old if there is one.
    pub(super) fn meet(&mut self, who: Who) -> TalkPeer {
        match self.peers.iter().find(|peer| peer.who == who) {
            Some(peer) if who != Who::Nameless => peer.clone(),
            _ => self.enter(who),
        }
    }

    /// The peer is at another address than was tried first.
    pub(super) fn rename(&mut self, number: u32, who: Who) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.number == number) {
            peer.who = who;
        }
    }

    /// Somebody says no more: others come first.
    pub(super) fn fall_silent(&mut self, number: u32) {
        self.mute.push(number);
        if self.last == Some(number) {
            let mut others = self.peers.iter().rev().filter(|peer| self.answers(&peer.who));
            let other = others.find(|peer| !self.mute.contains(&peer.number));
            self.last = other.map(|peer| peer.number).or(self.last);
        }
    }

    /// Somebody has left.
    pub(super) fn leave(&mut self, number: u32) {
        self.mute.retain(|mute| *mute != number);
        self.peers.retain(|peer| peer.number != number);
        for mark in [&mut self.chosen, &mut self.first, &mut self.last] {
            *mark = mark.filter(|mark| *mark != number);
        }
        // Over streams, whoever is still there is better than nobody.
        let mut others = self.peers.iter().rev().filter(|peer| self.answers(&peer.who));
        self.last = self.last.or_else(|| others.next().map(|peer| peer.number));
    }

    /// This one gets all lines unless another one is chosen.
    pub(super) fn set_first(&mut self, number: u32) {
        self.first = Some(number);
    }

    /// This one was heard last; whether it may be answered.
    pub(super) fn heard(&mut self, peer: &TalkPeer) -> bool {
        let answers = self.answers(&peer.who);
        if answers {
            self.last = Some(peer.number);
        }
        answers
    }

    /// This one gets all lines from now on; `None`: who was named in the beginning, or otherwise
    /// who was heard last. Who that is now.
    pub(super) fn choose(&mut self, number: Option<u32>) -> Option<&TalkPeer> {
        match number {
            Some(number) => {
                self.peers.iter().find(|peer| peer.number == number)?;
                self.chosen = Some(number);
            }
            None => self.chosen = None,
        }
        self.target()
    }

    /// Whether somebody was chosen, and is still there.
    pub(super) const fn has_chosen(&self) -> bool {
        self.chosen.is_some()
    }

    /// Who gets the next line.
    pub(super) fn target(&self) -> Option<&TalkPeer> {
        let number = self.chosen.or(self.first).or(self.last)?;
        self.peers.iter().find(|peer| peer.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Who {
        Who::Ip(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn the_last_one_is_answered_unless_one_is_chosen() {
        let mut book = Book::default();
        assert_eq!(book.target(), None);
        let (first, second) = (book.meet(at(1)), book.meet(at(2)));
        assert_eq!((first.number, second.number), (1, 2));
        assert_eq!(book.meet(at(1)), first);
        assert!(book.heard(&first) && book.heard(&second));
        assert_eq!(book.target(), Some(&second));
        assert_eq!(book.choose(Some(1)), Some(&first));
        book.heard(&second);
        assert_eq!(book.target(), Some(&first));
        assert_eq!(book.choose(Some(3)), None, "nobody has that number");
        assert_eq!(book.target(), Some(&first));
        assert_eq!(book.choose(None), Some(&second));
        book.fall_silent(2);
        assert_eq!(book.target(), Some(&first), "who can still answer");
        book.fall_silent(1);
        assert_eq!(book.target(), Some(&first), "who can still listen");
        book.leave(1);
        assert_eq!(book.target(), Some(&second), "who is still there");
    }

    #[test]
    fn strangers_get_nothing_unless_they_are_chosen() {
        let mut book = Book::answering(|ip| ip.is_loopback());
        let stranger = book.enter(Who::Ip(SocketAddr::from(([192, 0, 2, 1], 1))));
        assert!(!book.heard(&stranger));
        assert_eq!(book.target(), None);
        let near = book.enter(at(2));
        assert!(book.heard(&near));
        book.fall_silent(near.number);
        assert_eq!(book.target(), Some(&near), "who can still listen");
        book.leave(near.number);
        assert_eq!(book.target(), None, "the stranger is still there");
        assert_eq!(book.choose(Some(stranger.number)), Some(&stranger));
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let mut book = Book::default();
        let first = book.enter(at(9));
        book.set_first(first.number);
        for port in 0..5_000 {
            book.meet(at(10_000 + port));
        }
        assert_eq!(book.peers().len(), REMEMBERED);
        assert_eq!(book.target(), Some(&first));
        assert_eq!(book.meet(at(14_999)).number, 5_001);
    }
}
