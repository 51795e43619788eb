//! Checks of a run and of a host: warnings, validity, gates and host checks.

pub mod fail_if;
pub(crate) mod gates;
pub(crate) mod host_checks;
pub(crate) mod identities;
pub mod metric;
pub mod topics;
pub mod validity;
pub mod warning_codes;
pub(crate) mod warnings;
pub(crate) mod with_loss;

pub use crate::report::checks::host_checks::{
    Grade, HostCheck, HostRequirements, check_host, host, host_warnings, sink_warnings,
};
pub use fail_if::{Condition, ConditionError, GateFailure};
pub use gates::gates;
pub use identities::ledger_identities;
pub use validity::judge_validity;
pub use warnings::{CellContext, cell_warnings, left_out, over_loopback, size_warnings, throttled};
