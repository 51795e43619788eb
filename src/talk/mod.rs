//! Manual send and receive: sends lines and shows what arrives with its sender.
//!
//! One mio event loop has all sockets. Lines come from another thread ([`InputSender`]), since no
//! call waits for both a terminal and a socket on every system.

mod datagrams;
mod error;
mod peers;
mod session;
mod streams;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, channel, sync_channel};

use mio::Waker;

use crate::net::{Options, UnixName};
use crate::unit::Nanos;

pub use error::TalkError;
pub use peers::{PeerAddr, TalkPeer};
pub use session::Talk;

/// The transport of a conversation.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the variants tell their fields")]
pub enum Transport {
    /// UDP, from one of these sockets by address family, to this peer; `None`: the first sender.
    Udp {
        sockets: Vec<Options>,
        peer: Option<SocketAddr>,
        /// Other addresses of the name, tried in turn while they refuse and none has answered.
        others: Vec<SocketAddr>,
    },
    /// A TCP connection to the first of these that accepts it.
    TcpConnect(Vec<TcpRoute>),
    /// TCP connections to listeners at these addresses.
    TcpListen(Vec<SocketAddr>),
    /// AF_UNIX datagrams, from a socket with this name, to this peer; `None`: the first sender.
    UnixDatagrams { name: UnixName, peer: Option<UnixName> },
    /// A stream to the AF_UNIX listener with this name.
    UnixConnect(UnixName),
    /// Streams to an AF_UNIX listener with this name.
    UnixListen(UnixName),
}

/// A local address (`None`: the system chooses) and the address of a listener.
pub type TcpRoute = (Option<SocketAddr>, SocketAddr);

impl Transport {
    /// Whether it is a byte stream without message boundaries.
    pub const fn is_stream(&self) -> bool {
        !matches!(self, Self::Udp { .. } | Self::UnixDatagrams { .. })
    }

    /// Whether one peer was named.
    pub const fn has_peer(&self) -> bool {
        match self {
            Self::Udp { peer, .. } => peer.is_some(),
            Self::UnixDatagrams { peer, .. } => peer.is_some(),
            Self::TcpConnect(_) | Self::UnixConnect(_) => true,
            Self::TcpListen(_) | Self::UnixListen(_) => false,
        }
    }
}

/// Options of a conversation.
#[derive(Debug, Clone)]
pub struct TalkOptions {
    /// The transport.
    pub via: Transport,
    /// Whether to end after one line each way; with a peer, this end sends first.
    pub once: bool,
    /// How long to wait for replies after the last line and the last reply; with `once`, for the
    /// reply, or for the line to reply with.
    pub linger: Nanos,
    /// Minimum time between lines, so that a program does not flood other hosts.
    pub pause: Nanos,
    /// Whether to show streams line by line.
    pub by_line: bool,
    /// Whether a program sends the lines: they wait for a peer, and a failed send is an error.
    pub unattended: bool,
    /// Addresses that get lines without being chosen.
    pub answers: fn(IpAddr) -> bool,
}

/// Input of the user.
#[derive(Debug)]
#[expect(missing_docs, reason = "other variants are as named")]
pub enum TalkInput {
    Line(Vec<u8>),
    /// Send lines to the peer with this number; `None`: to the named peer, or to the last sender.
    Choose(Option<u32>),
    /// Send lines to this address; over datagrams only.
    ChooseAddr(PeerAddr),
    /// Show the peers.
    Peers,
    /// Show why a line is invalid.
    Invalid(String),
    /// End of input.
    End,
    Quit(TalkEnd),
    /// End the conversation: a line cannot be sent or read.
    Fail(TalkError),
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are as named")]
pub enum TalkEnd {
    Done,
    Interrupted,
}

/// An event of a conversation.
#[derive(Debug)]
#[expect(missing_docs, reason = "other variants are as named")]
pub enum TalkEvent<'a> {
    /// A socket receives at this address.
    Listening(PeerAddr),
    Connected(&'a TalkPeer),
    /// A datagram or a piece of a stream arrived from this sender.
    Received(&'a TalkPeer, &'a [u8]),
    /// With `once`: a datagram from another sender than the peer.
    Unsolicited(&'a TalkPeer),
    /// This peer closed a connection, or it broke with this error.
    Disconnected(&'a TalkPeer, Option<io::Error>),
    /// A send failed, here or on the way.
    SendFailed(&'a TalkError),
    /// No peer to send a line to is known yet.
    NoPeer,
    /// No peer has this number, or it cannot be sent to.
    NoSuchPeer,
    /// Lines go to this peer from now on; `None`: to the next sender.
    Chosen(Option<&'a TalkPeer>),
    /// The peers, and which of them gets the next line.
    Peers(&'a [TalkPeer], Option<u32>),
    InvalidInput(&'a str),
}

/// Maximum lines of a program that wait to be sent: enough to keep the socket busy. Arbitrary.
const MAX_WAITING: usize = 64;

/// Sends lines to the conversation from another thread.
pub struct InputSender {
    queue: Box<dyn Fn(TalkInput) -> bool + Send>,
    waker: Waker,
}

impl InputSender {
    /// A program waits when the queue is full; a person never does.
    fn new(is_program: bool, waker: Waker) -> (Self, Receiver<TalkInput>) {
        if is_program {
            let (sender, receiver) = sync_channel(MAX_WAITING);
            (Self { queue: Box::new(move |input| sender.send(input).is_ok()), waker }, receiver)
        } else {
            let (sender, receiver) = channel();
            (Self { queue: Box::new(move |input| sender.send(input).is_ok()), waker }, receiver)
        }
    }

    /// Sends it once the queue has space; returns whether the conversation continues.
    #[must_use]
    pub fn send(&self, input: TalkInput) -> bool {
        let sent = (self.queue)(input);
        // After a failed wake-up the event loop still looks within one tick.
        let _ = self.waker.wake();
        sent
    }
}
