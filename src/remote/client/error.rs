//! Why a run with a sink failed.

use std::io;
use std::net::SocketAddr;

use crate::remote::rpc::CallError;
use crate::run::RunError;
use crate::sys::Unreachable;

/// Why a run with the sink at an address failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The control thread cannot be set up.
    #[error("{0}: cannot set up polling: {1}; raise the limit of open files (ulimit -n)")]
    Link(SocketAddr, io::Error),
    /// A call failed.
    #[error("{0}: {1}")]
    Call(SocketAddr, CallError),
    /// The address is unreachable, as this error reports.
    #[error("{0}: {1} for 2 s; {advice}", advice = reach(.1))]
    NoPort(SocketAddr, Unreachable),
    /// The sink refused a request, for this reason.
    #[error("the sink at {0} refuses: {1}")]
    Refused(SocketAddr, String),
    /// The sink's response is malformed or unexpected.
    #[error("{0}: the sink's response cannot be decoded; run the same udperf at both ends")]
    Damaged(SocketAddr),
    /// The announcements of the receiving sockets never arrived.
    #[error(
        "{0}: the sink got no datagram from the receiving ports; if a firewall passes only some \
         ports, set them with --port-range"
    )]
    NotReached(SocketAddr),
    /// No order reached the sink before its start time.
    #[error("{0}: could not synchronise the start time; check the path for loss and delay")]
    NeverInTime(SocketAddr),
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
