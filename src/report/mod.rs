//! Measurements to documents (`build`), judged (`checks`) and rendered (`format`); pure functions.

pub mod build;
pub mod checks;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
pub mod format;
#[cfg(test)]
pub(crate) mod hostile;
pub mod read;
pub mod schema;

pub use build::echo::{EchoFacts, echo};
pub use build::sink::sink;
pub use build::{CellFacts, CodeName, cell, choice};
pub use checks::{
    CellContext, Condition, ConditionError, GateFailure, Grade, HostCheck, HostRequirements,
    cell_warnings, check_host, gates, host, host_warnings, judge_validity, left_out, over_loopback,
    sink_warnings, size_warnings, throttled,
};
pub use error::RenderError;
pub use format::text::doctor;
