//! The result of a check, or why it has none.

use crate::run::RunError;

/// Why a check had no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum SelftestError {
    #[error(transparent)]
    Run(#[from] RunError),
    /// Something that a check compares with cannot be made.
    #[error("{0}")]
    CannotRun(String),
    #[error("interrupted")]
    Interrupted,
    #[error("{0}")]
    Failed(String),
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub(super) struct CheckFinding {
    pub(super) ok: Option<bool>,
    pub(super) expected: String,
    pub(super) seen: String,
    pub(super) note: Option<String>,
}

impl CheckFinding {
    pub(super) fn of(ok: bool, expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { ok: Some(ok), expected: expected.into(), seen: seen.into(), note: None }
    }

    /// The same; a failure proves nothing if something disturbed the measurement.
    pub(super) fn unless(self, disturbed: Option<impl Into<String>>) -> Self {
        match (self.ok, disturbed) {
            (Some(false), Some(why)) => Self { ok: None, note: Some(why.into()), ..self },
            _ => self,
        }
    }
}

/// The result of a check.
pub(super) type CheckResult = Result<CheckFinding, SelftestError>;
