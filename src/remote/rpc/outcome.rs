//! What becomes of a datagram at a server.

use crate::remote::protocol::{CloseReason, Fault, RejectReason};

/// What the application is to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent<A> {
    /// A client has opened a session.
    Opened {
        /// Its id.
        session: u64,
        /// The client's address, proved.
        from: A,
    },
    /// A request, for the first and only time; [`super::RpcServer::answer`] is wanted.
    Requested {
        /// Whose.
        session: u64,
        /// Its number.
        number: u32,
        /// What is wanted.
        body: Vec<u8>,
    },
    /// A note newer than all before it.
    Noted {
        /// Whose.
        session: u64,
        /// What it says.
        note: Vec<u8>,
    },
    /// A session is over.
    Closed {
        /// Which.
        session: u64,
        /// Why.
        why: CloseReason,
    },
}

/// Why a control message was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// It is none, is damaged, or is not for us.
    Fault(Fault),
    /// It belongs to a session of another address.
    OtherAddress,
    /// Only servers say this.
    Reflected,
    /// An older request, or one that skips a number or comes before the last was answered.
    OutOfTurn,
    /// It wants a part of an answer that is not there.
    NoSuchPart,
}

/// What became of a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerOutcome<A> {
    /// It is no control message: something for others.
    NotControl,
    /// Nothing was sent, nothing changed.
    Ignored(Ignored),
    /// A refusal was sent.
    Refused(RejectReason),
    /// It was dealt with.
    Done,
    /// It was dealt with, and the application is to know.
    Event(ServerEvent<A>),
}
