//! Measurements to documents (`build`), judged (`checks`) and rendered (`format`); pure functions.

pub mod build;
pub(crate) mod checks;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
pub mod format;
#[cfg(test)]
pub(crate) mod hostile;
pub mod read;
pub(crate) mod schema;

pub use build::echo::echo;
pub use build::sink::sink;
pub use build::{CellFacts, CodeName, cell, host, ids};
pub(crate) use build::{IntervalFacts, live_interval};
pub(crate) use checks::fail_if::{Condition, gates};
pub(crate) use checks::host_checks::{HostRequirements, check_host, host_warnings, sink_warnings};
pub(crate) use checks::path_checks::check_path;
pub(crate) use checks::validity::{judge_validity, name_lost_member};
pub(crate) use checks::warnings::{
    CellContext, cell_warnings, left_out, name_members, over_loopback, pairs_over_loopback,
    size_warnings, throttled,
};
pub(crate) use checks::xdp_checks::{XdpDevice, check_xdp};
pub use error::RenderError;
