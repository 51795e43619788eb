//! Why a call failed, for the client's user. The caller adds the address.

use crate::remote::protocol::{CloseReason, LONGEST_BODY, RejectReason, VERSION};
use crate::unit::{Nanos, show_bytes};

/// The longest answer that a client accepts in bytes. Arbitrary: a thousand histograms; it bounds
/// the memory that a malicious server can use.
pub const LONGEST_ANSWER: usize = 64 << 20;

/// Why a session failed, or why it cannot do a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No message arrived within this time.
    #[error(
        "no answer within {0}; is `udperf sink` running there, and does every firewall on the way \
         let this UDP port through?"
    )]
    NoSink(Nanos),
    /// The server answered before, but not within this time.
    #[error(
        "the sink answered at first, then not for {0}; check whether it still runs and whether \
         the path is up"
    )]
    Silent(Nanos),
    /// The server replies, but did not finish the request within this time.
    #[error(
        "the sink did not finish its answer within {0}; check whether its host is overloaded, or \
         restart it"
    )]
    Unfinished(Nanos),
    /// The server refuses.
    #[error("{0}")]
    Refused(RejectReason),
    /// The server has this version.
    #[error(
        "the sink speaks version {0} of the control protocol and this end version {VERSION}; run \
         the same udperf at both ends"
    )]
    Version(u8),
    /// The server ended the session.
    #[error("{0}, which ended the session; start the run again")]
    Closed(CloseReason),
    /// A request has too many bytes for a datagram.
    #[error("a request of {0} bytes is too long; the maximum is {LONGEST_BODY}")]
    RequestTooLong(usize),
    /// An answer has more bytes than [`LONGEST_ANSWER`].
    #[error(
        "the sink's answer has {}, where {} is the most; ask for less at a time",
        show_bytes(u64::from(*.0)),
        show_bytes(LONGEST_ANSWER as u64)
    )]
    AnswerTooLong(u32),
    /// A request while another one is pending: a bug of the caller.
    #[error("a request before the last one was answered; wait for its answer first")]
    Unanswered,
    /// The session is over, or has used up its numbers.
    #[error("the session is over; open a new one")]
    Over,
}

/// Why an answer was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The client left, or was silent for too long.
    #[error("the session is gone; drop the answer")]
    Gone,
    /// There is no such request, or it has its answer.
    #[error("no request with this number waits for an answer; answer each once")]
    NotAsked,
    /// It has more bytes than a client accepts. The request still waits for an answer.
    #[error("an answer of {0} bytes, where {LONGEST_ANSWER} is the most; answer with less")]
    TooLong(usize),
}
