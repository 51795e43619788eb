//! How a server handled a datagram.

use crate::remote::protocol::{CloseReason, Fault, RejectReason};

/// An event for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent<A> {
    /// A client has opened a session.
    Opened {
        /// Its id.
        session: u64,
        /// The client's proved address.
        from: A,
    },
    /// A request, reported once; reply with [`super::RpcServer::answer`].
    Requested {
        /// The session.
        session: u64,
        /// Its number.
        number: u32,
        /// The request.
        body: Vec<u8>,
    },
    /// A note newer than all before it.
    Noted {
        /// The session.
        session: u64,
        /// The note.
        note: Vec<u8>,
    },
    /// A session is over.
    Closed {
        /// The session.
        session: u64,
        /// Why.
        why: CloseReason,
    },
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
pub enum ServerOutcome<A> {
    /// It is not a control message.
    NotControl,
    /// It had no effect.
    Ignored(Ignored),
    /// A refusal was sent.
    Refused(RejectReason),
    /// It was handled.
    Done,
    /// It was handled, with an event.
    Event(ServerEvent<A>),
}
