//! Threads, phases and the hot loops: from a plan to what was measured.

mod across;
mod bounds;
mod capability;
mod cell;
mod choose;
mod control;
mod count_end;
mod counters;
mod crew;
mod device;
mod dispatch;
mod echo;
mod exchange;
mod flow;
mod outage;
mod probe;
mod receive;
pub mod rpc;
mod sampler;
mod send;
mod session;
mod sink;
mod survey;
pub mod talk;
mod throttle;
mod usage;
mod worker;

pub use across::{Alone, Blast, Bodies, Peer, read_bodies};
pub use bounds::SenderBounds;
pub use choose::choose;
pub use control::Control;
pub use device::{default_device, device_at, device_towards, path_mtu, source_towards};
pub use echo::{EchoEnd, EchoEvent, EchoOptions, echo};
pub use exchange::{Dialogue, Exchanger, RunIds};
pub use outage::Target;
pub use probe::Probe;
pub use receive::{Drops, ReceiveJob, receive};
pub use rpc::CallError;
pub use sampler::Sampler;
pub use send::{SendJob, send};
pub use session::{Bed, Measured, Observer, OneHost, Outcome, Part, Progress, run};
pub use sink::{SinkEnd, SinkEvent, SinkOptions, serve};
pub use survey::{Depth, machine, survey};
pub use throttle::Throttle;
pub use usage::{Meter, Reading};
pub use worker::Phase;

use std::net::SocketAddr;

use crate::net::{NetError, SocketError};
use crate::plan::PlanError;
use crate::sys::Unreachable;
use talk::TalkError;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A worker could not be set up.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A rate relative to `max` cannot be had.
    #[error("{id}: {source}; ask for an absolute --rate")]
    Rate {
        /// The cell.
        id: String,
        /// What is wrong.
        source: PlanError,
    },
    /// A count that cannot be reached.
    #[error(
        "{id}: nothing could be sent for 2 s or longer; see the report for why sends were refused, \
         and fix that"
    )]
    Stuck {
        /// The cell.
        id: String,
    },
    /// A share of what `max` delivered, which was nothing.
    #[error(
        "{id}: max delivered nothing, so a share of it is no rate; see why in the report, or ask \
         for an absolute --rate"
    )]
    NothingDelivered {
        /// The cell.
        id: String,
    },
    /// The trials of `auto` cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The trials of `auto` were stopped before the first one ended.
    #[error("--engine auto: stopped before any engine was tried; name one, e.g. --engine plain")]
    NothingTried,
    /// The readiness queue of a sink could not be made.
    #[error("cannot wait for datagrams: {source}; raise the limit of open files (ulimit -n)")]
    Wait {
        /// What the system says.
        source: std::io::Error,
    },
    /// The line to a sink cannot be had.
    #[error(
        "{target}: cannot wait for answers: {source}; raise the limit of open files (ulimit -n)"
    )]
    Link {
        /// The sink.
        target: SocketAddr,
        /// What the system says.
        source: std::io::Error,
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
    /// A worker thread died; a bug of ours.
    #[error("{id}: a worker thread panicked; please report this with the message above")]
    Panicked {
        /// The cell.
        id: String,
    },
    /// A conversation ended early.
    #[error(transparent)]
    Talk(#[from] TalkError),
    /// A thread could not be made.
    #[error("cannot start a thread: {source}; raise the limit of processes (ulimit -u)")]
    Spawn {
        /// What the system says.
        source: std::io::Error,
    },
}

impl From<SocketError> for RunError {
    fn from(error: SocketError) -> Self {
        Self::Net(error.into())
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
