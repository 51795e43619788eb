//! Why a run with a sink failed.

use std::io;
use std::net::SocketAddr;

use crate::remote::rpc::CallError;
use crate::run::RunError;
use crate::sys::Unreachable;

/// Why a run with a sink failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The line to a sink cannot be had.
    #[error(
        "{target}: cannot wait for answers: {source}; raise the limit of open files (ulimit -n)"
    )]
    Link {
        /// The sink.
        target: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A sink did not answer, or refused to.
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
        /// Where a sink was looked for.
        target: SocketAddr,
        /// The error that reports it.
        why: Unreachable,
    },
    /// A sink cannot do what it was asked to.
    #[error("the sink at {target} refuses: {why}")]
    Refused {
        /// The sink.
        target: SocketAddr,
        /// Why, and what mends it.
        why: String,
    },
    /// A sink's answer makes no sense.
    #[error("{target}: the sink's answer cannot be read; run the same udperf at both ends")]
    Damaged {
        /// The sink.
        target: SocketAddr,
    },
    /// What our receiving sockets sent never arrived.
    #[error(
        "{target}: the sink was not reached from the ports that shall receive; see whether a \
         firewall lets only some ports through, and name those by --port-range"
    )]
    NotReached {
        /// The sink.
        target: SocketAddr,
    },
    /// No order reached the sink before its moment.
    #[error("{target}: a start could not be agreed on: the path takes too long or loses too much")]
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

/// Advice for an unreachable sink.
const fn reach(why: &Unreachable) -> &'static str {
    if why.is_closed_port() {
        "start `udperf sink` there, or name its port"
    } else {
        "check the address and the route (ip route get ADDRESS)"
    }
}
