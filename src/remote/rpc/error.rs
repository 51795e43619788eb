//! Why a call failed, as the client's user reads it. Who was called is put in front by the caller.

use crate::remote::protocol::{CloseReason, LONGEST_BODY, RejectReason};
use crate::unit::{Nanos, show_bytes};

/// The longest answer that a client takes in bytes. Arbitrary: a thousand histograms; it bounds
/// what a server that means ill can make a client keep.
pub const LONGEST_ANSWER: usize = 64 << 20;

/// Why a session failed, or why it cannot do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing came back at all.
    #[error(
        "no answer within {patience}; is `udperf sink` running there, and does every firewall on \
         the way let this UDP port through?"
    )]
    NoSink {
        /// How long it was waited for.
        patience: Nanos,
    },
    /// It was there, and is no more.
    #[error(
        "the sink answered at first, then not for {patience}; see whether it still runs and \
         whether the path is up"
    )]
    Silent {
        /// How long it was waited for.
        patience: Nanos,
    },
    /// The server keeps answering without ever finishing.
    #[error(
        "the sink did not finish its answer within {patience}; see whether its host is overloaded, \
         or start it anew"
    )]
    Unfinished {
        /// How long it was waited for.
        patience: Nanos,
    },
    /// The server refuses.
    #[error("{0}")]
    Refused(RejectReason),
    /// The server speaks another version.
    #[error(
        "the sink speaks version {theirs} of the control protocol and this end version {ours}; \
         run the same udperf at both ends"
    )]
    Version {
        /// Of this end.
        ours: u8,
        /// Of the server.
        theirs: u8,
    },
    /// The server ended the session.
    #[error("{0}, which ended the session; start the run anew")]
    Closed(CloseReason),
    /// A request that fits no datagram.
    #[error("a request of {len} bytes, where {LONGEST_BODY} fit; ask for less at a time")]
    RequestTooLong {
        /// Its length.
        len: usize,
    },
    /// An answer beyond all bounds.
    #[error(
        "the sink's answer has {}, where {} is the most; ask for less at a time",
        show_bytes(u64::from(*len)),
        show_bytes(LONGEST_ANSWER as u64)
    )]
    AnswerTooLong {
        /// Its length.
        len: u32,
    },
    /// A request while another one waits for its answer; a bug of the caller's.
    #[error("a request before the former was answered; wait for its answer first")]
    Unanswered,
    /// The session is over, or has used up its numbers.
    #[error("the session is over; open a new one")]
    Over,
}

/// Why an answer was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The client left, or was silent for too long.
    #[error("the session is gone; drop the answer")]
    Gone,
    /// There is no such request, or it has its answer.
    #[error("no request of this number waits for an answer; answer each once")]
    NotAsked,
    /// It is longer than a client takes. The request is still waiting for an answer.
    #[error("an answer of {len} bytes, where {LONGEST_ANSWER} is the most; answer with less")]
    TooLong {
        /// Its length.
        len: usize,
    },
}
