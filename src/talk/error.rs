//! Why a conversation ended early.

use std::io;

use super::Who;
use crate::net::{NetError, SocketError, UnixError};
use crate::sys;
use crate::unit::Nanos;

/// Bytes of the largest datagram over IPv4: 65,535 less 20 of IP and 8 of UDP (RFC 791, RFC 768).
const MOST: usize = 65_507;

/// Why a conversation could not begin, or ended early. Each variant says what was asked, what is
/// wrong and what mends it.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// A socket could not be had as asked.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The readiness queue could not be made or asked.
    #[error("cannot wait for sockets: {source}; raise the limit of open files (ulimit -n)")]
    Wait {
        /// What the system says.
        source: io::Error,
    },
    /// A connection could not be made.
    #[error(
        "cannot connect to {to}: {}; check the address, and start the server there, e.g. `udperf \
         talk --tcp --bind ADDR:PORT`", plain(.source)
    )]
    Connect {
        /// As asked.
        to: Who,
        /// What the system says.
        source: io::Error,
    },
    /// A connection broke.
    #[error("the connection to {with} broke: {}; see what the other end says", plain(.source))]
    Broken {
        /// The other end.
        with: Who,
        /// What the system says.
        source: io::Error,
    },
    /// A datagram that cannot be sent.
    #[error("{to}: {}", why_not(.to, .source, *.bytes))]
    Send {
        /// Where it should go.
        to: Who,
        /// How long it is.
        bytes: usize,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody answered in time.
    #[error(
        "{from}: no answer within {waited}; see whether anybody listens there, or wait longer by \
         --linger"
    )]
    Silent {
        /// The peer.
        from: Who,
        /// How long was waited.
        waited: Nanos,
    },
    /// A connection ended before it said anything.
    #[error("{from}: the connection was closed without an answer; see what the other end says")]
    Closed {
        /// The peer.
        from: Who,
    },
    /// One line was to be sent, and there is none.
    #[error("standard input has no line to send; give one, such as: echo hello | udperf talk …")]
    NoLine,
    /// What should be sent cannot be read or written as bytes.
    #[error("{0}")]
    Input(String),
    /// What was received could not be shown.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

impl From<SocketError> for TalkError {
    fn from(error: SocketError) -> Self {
        Self::Net(error.into())
    }
}

impl From<UnixError> for TalkError {
    fn from(error: UnixError) -> Self {
        Self::Net(error.into())
    }
}

/// The system's words without its number, which helps nobody.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// Why a datagram of so many bytes was refused, and what mends it.
fn why_not(to: &Who, error: &io::Error, bytes: usize) -> String {
    match error.kind() {
        _ if bytes > MOST || plain(error) == "message too long" => format!(
            "cannot send {bytes} bytes: more than a datagram can hold there ({MOST} over IPv4, \
             less over Unix sockets with small buffers); send them in parts, or over a stream"
        ),
        io::ErrorKind::ConnectionRefused if !matches!(to, Who::Ip(_)) => {
            "nobody listens there; start the receiver, or check the name".to_owned()
        }
        _ if *to == Who::Nameless => {
            format!("{}; have the sender bind a name of its own", plain(error))
        }
        io::ErrorKind::ConnectionRefused => {
            "port unreachable (ICMP); start the receiver, or check the port".to_owned()
        }
        io::ErrorKind::NotFound => "there is no such socket; check the path".to_owned(),
        _ => {
            // The error may have come back for an earlier datagram.
            let unreachable = sys::refusal_of(error).unreachable().map(|why| why.came_back());
            let why = unreachable.map_or_else(|| plain(error), |why| why.to_string());
            format!("cannot send {bytes} bytes: {why}; check the address")
        }
    }
}

impl TalkError {
    /// Whether nobody is there to receive, which may change.
    pub(super) fn is_absence(&self) -> bool {
        let kinds = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
        matches!(self, Self::Send { source, .. } if kinds.contains(&source.kind()))
    }
}

/// Whether this host has no addresses of the family.
pub(super) fn no_such_family(error: &SocketError) -> bool {
    match error {
        SocketError::Create { source } => source.kind() == io::ErrorKind::Unsupported,
        SocketError::Bind { addr, source } => {
            addr.is_ipv6() && source.kind() == io::ErrorKind::AddrNotAvailable
        }
        _ => false,
    }
}
