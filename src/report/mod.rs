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

pub use build::echo::echo;
pub use build::sink::sink;
pub use build::{CellFacts, CodeName, cell, host};
pub use checks::fail_if::{Condition, ConditionError};
pub use checks::gates::gates;
pub use checks::host_checks::{
    Grade, HostCheck, HostRequirements, check_host, host_warnings, sink_warnings,
};
pub use checks::validity::judge_validity;
pub use checks::warnings::{
    CellContext, cell_warnings, left_out, over_loopback, size_warnings, throttled,
};
pub use error::RenderError;
pub use format::text::doctor;
