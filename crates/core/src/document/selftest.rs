//! The document of `selftest`: whether what udperf reports on this host is what happened.

use serde::{Deserialize, Serialize};

use super::Head;

/// What `selftest` found, `kind` `selftest`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SelftestDocument {
    /// The first fields; `kind` is `selftest`.
    #[serde(flatten)]
    pub head: Head,
    /// Whether it was the short one (`--quick`).
    pub quick: bool,
    /// Whether it also checked in network namespaces.
    pub netns: bool,
    /// The seed of what the relay did.
    pub seed: u64,
    /// The deliberate fault, the id of a check that must fail; `null` without one.
    pub fault: Option<String>,
    /// How long all checks took.
    pub elapsed_ns: u64,
    /// Whether a signal ended it before the last check.
    pub interrupted: bool,
    /// The checks, in the order in which they ran.
    pub checks: Vec<SelftestCheck>,
}

impl SelftestDocument {
    /// Checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &SelftestCheck> {
        self.checks.iter().filter(|check| check.ok == Some(false))
    }
}

/// One check: what a report had to say, and what it said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SelftestCheck {
    /// What was checked, such as `ledger`, `tail` or `delay`.
    pub id: String,
    /// The engine that sent and received; `null` if it does not matter.
    pub engine: Option<String>,
    /// Whether the report was true; `null` if the check was undecided, for the reason in `note`.
    pub ok: Option<bool>,
    /// What happened, by counts that are independent of the report.
    pub expected: String,
    /// What the report said.
    pub seen: String,
    /// Why it was undecided or repeated; `null` if it was neither.
    pub note: Option<String>,
}
