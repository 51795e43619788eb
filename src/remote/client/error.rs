//! Why a run with a sink failed.

use std::io;
use std::net::SocketAddr;

use crate::remote::rpc::CallError;
use crate::run::RunError;
use crate::sys::Unreachable;

/// Why a run with a sink failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The control thread cannot be set up.
    #[error("{target}: cannot set up polling: {source}; raise the limit of open files (ulimit -n)")]
    Link {
        /// The sink.
        target: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// A call failed.
    #[error("{target}: {source}")]
    Call {
        /// The sink.
        target: SocketAddr,
        /// Why.
        source: CallError,
    },
    /// The address of the sink is unreachable.
    #[error("{target}: {why} for 2 s; {}", reach(.why))]
    NoPort {
        /// The target.
        target: SocketAddr,
        /// The error that reports it.
        why: Unreachable,
    },
    /// The sink refused a request.
    #[error("the sink at {target} refuses: {why}")]
    Refused {
        /// The sink.
        target: SocketAddr,
        /// The reason, and how to fix it.
        why: String,
    },
    /// The sink's response is malformed or unexpected.
    #[error("{target}: the sink's response cannot be decoded; run the same udperf at both ends")]
    Damaged {
        /// The sink.
        target: SocketAddr,
    },
    /// The announcements of the receiving sockets never arrived.
    #[error(
        "{target}: the sink got no datagram from the receiving ports; if a firewall passes only \
         some ports, set them with --port-range"
    )]
    NotReached {
        /// The sink.
        target: SocketAddr,
    },
    /// No order reached the sink before its start time.
    #[error("{target}: could not synchronise the start time; check the path for loss and delay")]
    NeverInTime {
        /// The sink.
        target: SocketAddr,
    },
}

impl From<RemoteError> for RunError {
    fn from(error: RemoteError) -> Self {
        Self::Remote(Box::new(error))
    }
}

/// How to fix an unreachable sink.
const fn reach(why: &Unreachable) -> &'static str {
    if why.is_closed_port() {
        "start `udperf sink` there, or name its port"
    } else {
        "check the address and the route (ip route get ADDRESS)"
    }
}
