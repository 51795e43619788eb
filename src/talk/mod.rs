//! Conversations by hand: lines go out, and whatever comes back is shown with its sender.
//!
//! One event loop on mio has all sockets. Lines come from a thread of their own ([`Inlet`]), since
//! nothing waits for a terminal and a socket alike on every system.

mod book;
mod datagrams;
mod error;
mod inlet;
mod line;
mod session;
mod streams;

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::net::{Options, UnixName};
use crate::unit::Nanos;

pub use book::{TalkPeer, Who};
pub use error::TalkError;
pub use inlet::{Hasty, Inlet};
pub use session::Talk;

/// What carries a conversation.
#[derive(Debug, Clone)]
pub enum Via {
    /// UDP, from these sockets.
    Udp {
        /// One for each family that may be spoken.
        sockets: Vec<Options>,
        /// To whom; without: who is heard first.
        peer: Option<SocketAddr>,
        /// Other addresses of the same name, tried in turn while no peer has answered and the
        /// previous address refuses.
        others: Vec<SocketAddr>,
    },
    /// A TCP connection to the first of these that takes it.
    TcpTo {
        /// Local address, or where the system chooses; and the listener's.
        routes: Vec<(Option<SocketAddr>, SocketAddr)>,
    },
    /// TCP connections that others make.
    TcpAt {
        /// Where to listen.
        at: Vec<SocketAddr>,
    },
    /// AF_UNIX datagrams.
    UnixDatagrams {
        /// Our own name, without which nobody can answer.
        name: UnixName,
        /// To whom; without: who is heard first.
        peer: Option<UnixName>,
    },
    /// A stream to an AF_UNIX listener.
    UnixTo {
        /// The listener's name.
        to: UnixName,
    },
    /// AF_UNIX streams that others make.
    UnixAt {
        /// Where to listen.
        at: UnixName,
    },
}

impl Via {
    /// Whether there are connections, and no ends of messages.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        !matches!(self, Self::Udp { .. } | Self::UnixDatagrams { .. })
    }

    /// Whether one peer was named.
    #[must_use]
    pub const fn has_peer(&self) -> bool {
        match self {
            Self::Udp { peer, .. } => peer.is_some(),
            Self::UnixDatagrams { peer, .. } => peer.is_some(),
            Self::TcpTo { .. } | Self::UnixTo { .. } => true,
            Self::TcpAt { .. } | Self::UnixAt { .. } => false,
        }
    }
}

/// How to converse.
#[derive(Debug, Clone)]
pub struct TalkOptions {
    /// By what.
    pub via: Via,
    /// One line each way, then the end: ours first where there is a peer.
    pub once: bool,
    /// How long to wait for answers, after the last line and after the last answer; with `once`
    /// for the answer, or for the line to answer with.
    pub linger: Nanos,
    /// How far apart lines are sent at least: what a program writes to hosts of others shall not
    /// flood them.
    pub pause: Nanos,
    /// Whether streams are shown by line, and not as they come.
    pub by_line: bool,
    /// Whether lines wait until there is somebody to send them to, and what cannot be sent ends the
    /// conversation: nobody is there to read a notice.
    pub unattended: bool,
    /// Whom lines may go to without being chosen.
    pub answers: fn(IpAddr) -> bool,
}

/// What the one who converses wants.
#[derive(Debug)]
pub enum TalkInput {
    /// Send these bytes.
    Line(Vec<u8>),
    /// Send all to the one with this number; without: to the peer, or to who was heard last.
    Choose(Option<u32>),
    /// Send all there; over datagrams only.
    ChoosePlace(Who),
    /// Show who takes part.
    Peers,
    /// Show that a line was not understood.
    Complain(String),
    /// No line will come any more.
    End,
    /// Leave.
    Quit(TalkEnd),
    /// Leave: a line cannot be sent, or none can be read.
    Fail(TalkError),
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TalkEnd {
    /// All was said.
    Done,
    /// By a signal, or the key that stands for it.
    Interrupted,
}

/// What happens in a conversation.
#[derive(Debug)]
pub enum TalkEvent<'a> {
    /// A socket receives at this address.
    Listening(Who),
    /// A connection was made, by us or to us.
    Came(&'a TalkPeer),
    /// A datagram, or a piece of a stream.
    Heard {
        /// From whom.
        from: &'a TalkPeer,
        /// What.
        bytes: &'a [u8],
    },
    /// With `once`: a datagram from somebody else than who was asked.
    Stranger(&'a TalkPeer),
    /// A connection was closed by the other end, or broke.
    Left {
        /// Whose.
        peer: &'a TalkPeer,
        /// Why, if not because it was closed.
        why: Option<io::Error>,
    },
    /// What was sent was refused, here or there.
    Refused(&'a TalkError),
    /// There is nobody to send a line to yet.
    Nobody,
    /// Nobody has this number, or it cannot be sent to.
    NoSuchPeer,
    /// Lines go to this one from now on; `None`: to the first who is heard.
    Chosen(Option<&'a TalkPeer>),
    /// Who takes part, and which of them gets the next line.
    Peers(&'a [TalkPeer], Option<u32>),
    /// A line was not understood.
    Complaint(&'a str),
}
