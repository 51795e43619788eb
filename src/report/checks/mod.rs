//! Checks of a run and of a host: warnings, validity, gates and host checks.

pub mod fail_if;
pub(crate) mod gates;
pub(crate) mod host_checks;
pub mod metric;
pub mod topics;
pub mod validity;
pub mod warning_codes;
pub(crate) mod warnings;

pub use crate::measure::ledger_identities;
