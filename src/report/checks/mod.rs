//! Checks of a run and of a host: warnings, validity, gates and host checks.

pub(crate) mod fail_if;
pub(crate) mod host_checks;
pub(crate) mod intervals;
pub(crate) mod metric;
pub(crate) mod path_checks;
pub(crate) mod topics;
pub(crate) mod validity;
pub(crate) mod warning_codes;
pub(crate) mod warnings;
pub(crate) mod xdp_checks;
