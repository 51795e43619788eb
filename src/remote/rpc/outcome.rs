//! How a server handled a datagram.

use std::net::SocketAddr;

use crate::remote::protocol::{CloseReason, Fault, RejectReason};

/// An event of a session, for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// A client with this proved address has opened a session.
    Opened(SocketAddr),
    /// A request with its number, reported once; reply with [`super::RpcServer::answer`].
    Requested(u32, Vec<u8>),
    /// A note newer than all before it.
    Noted(Vec<u8>),
    /// The session is over.
    Closed(CloseReason),
}

/// Why a control message was ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// It is malformed, damaged, or for another key.
    Fault(Fault),
    /// It belongs to a session of another address.
    OtherAddress,
    /// Only servers send this.
    Reflected,
    /// A request that is old, skips a number, or arrives before the last one is answered.
    OutOfTurn,
    /// It requests a chunk that does not exist.
    NoSuchPart,
}

/// How a server handled a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerOutcome {
    /// It is not a control message.
    NotControl,
    /// It had no effect.
    Ignored(Ignored),
    /// A refusal was sent.
    Refused(RejectReason),
    /// It was handled.
    Done,
    /// It was handled, with an event of this session.
    Event(u64, ServerEvent),
}
