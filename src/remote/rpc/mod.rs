//! Remote calls over control messages: each request is executed at most once, and its response
//! arrives complete, whatever the network loses, repeats, delays or damages.
//!
//! Neither side has a socket, a thread or a clock: datagrams and times go in, datagrams and events
//! come out. The server keeps no state for a peer that has not proved its address.
//!
//! With a key, the sender of a message has the key, and wrote the message for this direction and
//! session. A replayed message executes nothing again. An attacker on the path can still drop
//! messages, or replay them to keep a silent session open. Nothing is encrypted. Without a key, the
//! code of a message only detects damage; then cookie, nonce and ids, which cannot be guessed, keep
//! out attackers that do not see the traffic.

mod backoff;
mod client;
mod server;
mod table;

use crate::remote::protocol::{CloseReason, LONGEST_BODY, RejectReason, VERSION};
use crate::sys::Unreachable;
use crate::unit::{Nanos, show_bytes};

pub use crate::remote::rpc::client::{ClientEvent, RpcClient};
pub use crate::remote::rpc::server::{Limits, Outgoing, RpcServer, ServerEvent, ServerOutcome};
pub use table::MAX_KEPT;

/// The longest answer in bytes. Arbitrary: a thousand histograms; it bounds the client's memory.
pub const LONGEST_ANSWER: usize = 64 << 20;

/// Why a session failed, or why it cannot do a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what they are")]
pub enum CallError {
    #[error(
        "no answer within {0}; is `udperf sink` running there, and does every firewall on the way \
         let this UDP port through?"
    )]
    NoSink(Nanos),
    #[error(
        "the sink answered at first, then not for {0}; check whether it still runs and whether \
         the path is up"
    )]
    Silent(Nanos),
    #[error(
        "the sink did not finish its answer within {0}; check whether its host is overloaded, or \
         restart it"
    )]
    Unfinished(Nanos),
    #[error("{0} for 2 s; {advice}", advice = reach(.0))]
    Unreachable(Unreachable),
    #[error("{0}")]
    Refused(RejectReason),
    #[error(
        "the sink speaks version {0} of the control protocol and this end version {VERSION}; \
         upgrade udperf on {older}",
        older = older_end(*.0)
    )]
    Version(u8),
    #[error("{0}, which ended the session; start the run again")]
    Closed(CloseReason),
    #[error("a request of {0} bytes is too long; the maximum is {LONGEST_BODY}")]
    RequestTooLong(usize),
    #[error(
        "the sink's answer has {}, where {} is the most; ask for less at a time",
        show_bytes(u64::from(*.0)),
        show_bytes(LONGEST_ANSWER as u64)
    )]
    AnswerTooLong(u32),
    /// A request while another one is pending: a bug of the caller.
    #[error("a request before the last one was answered; wait for its answer first")]
    Unanswered,
    #[error("the session is over; open a new one")]
    Over,
}

const fn older_end(version_of_sink: u8) -> &'static str {
    if version_of_sink > VERSION { "this host" } else { "the sink's host" }
}

const fn reach(why: &Unreachable) -> &'static str {
    if why.is_closed_port() {
        "start `udperf sink` there, or name its port as HOST:PORT"
    } else {
        "check the address and the route (ip route get ADDRESS)"
    }
}

/// Why a server did not send an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerError {
    /// No request with this number waits for an answer, or its session is over.
    NoRequest,
    /// It has more bytes than [`LONGEST_ANSWER`].
    TooLong,
}
