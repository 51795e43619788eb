//! Threads, phases and the hot loops: from a plan to what was measured.

mod capability;
mod cell;
mod choose;
mod control;
mod counters;
mod dispatch;
mod probe;
mod receive;
pub mod rpc;
mod send;
mod session;
mod survey;
mod worker;

pub use choose::choose;
pub use control::Control;
pub use probe::Probe;
pub use receive::{Drops, ReceiveJob, receive};
pub use send::{SendJob, send};
pub use session::{Measured, Observer, Outcome, Progress, run};
pub use survey::{Depth, machine, survey};
pub use worker::Phase;

use crate::net::NetError;
use crate::plan::PlanError;

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
        "{id}: nothing could be sent for 2 s; see the report for why sends were refused, and mend \
         that"
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
    /// A worker thread died; a bug of ours.
    #[error("{id}: a worker thread panicked; please report this with the message above")]
    Panicked {
        /// The cell.
        id: String,
    },
    /// A thread could not be made.
    #[error("cannot start a thread: {source}; raise the limit of processes (ulimit -u)")]
    Spawn {
        /// What the system says.
        source: std::io::Error,
    },
}
