//! Threads, phases and the hot loops: from a plan to results.

mod autoselect;
pub mod cell;
pub mod dispatch;
mod flow;
pub mod live;
pub mod outage;
pub mod phase;
pub mod probe;
pub mod receive;
mod sampler;
pub mod send;
pub mod send_job;
pub mod sender_bounds;
pub mod session;
pub mod worker;
pub mod worker_pool;

pub use crate::run::autoselect::choose;
pub use crate::run::cell::LocalRunner;
pub use crate::run::phase::{Phase, PhaseState, WAKE_AHEAD};
pub use crate::run::sender_bounds::SenderBounds;
pub use live::{DropReadings, LiveCell, PollSchedule, SharedLiveCell};
pub use probe::ReceiveProbe;
pub use receive::{Drops, ReceiveJob, receive};
pub use sampler::Sampler;
pub use send::send;
pub use send_job::SendJob;
pub use session::{
    CellRunner, DirectionResult, MeasuredCell, Observer, Progress, RunOutcome, StartAlone,
    StartRule, Tick, run,
};

use crate::net::{NetError, SocketError};
use crate::plan::PlanError;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum RunError {
    /// A worker could not be set up.
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("{id}: {source}; use an absolute --rate")]
    Rate { id: String, source: PlanError },
    #[error(
        "{id}: no datagram could be sent for 2 s or longer; see the report for why sends were \
         refused, and fix that"
    )]
    Stuck { id: String },
    #[error(
        "{id}: max delivered no datagrams, so a share of it is undefined; see the report for the \
         reason, or use an absolute --rate"
    )]
    NothingDelivered { id: String },
    /// The trials of `auto` cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("--engine auto: stopped before any engine was tried; name one, e.g. --engine plain")]
    NothingTried,
    #[error("cannot wait for datagrams: {source}; raise the limit of open files (ulimit -n)")]
    Wait { source: std::io::Error },
    /// The other host of the run failed, or the path to it.
    #[error(transparent)]
    Remote(Box<dyn std::error::Error + Send + Sync>),
    #[error("{id}: a worker thread panicked; please report this with the message above")]
    Panicked { id: String },
    #[error("cannot start a thread: {source}; raise the limit of processes (ulimit -u)")]
    Spawn { source: std::io::Error },
}

impl From<SocketError> for RunError {
    fn from(error: SocketError) -> Self {
        Self::Net(error.into())
    }
}
