//! The result of one check of a host.

use crate::report::checks::warning_codes::Code;

/// How much a check matters, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Good,
    /// Worth knowing; does not distort figures by itself.
    Note,
    /// Distorts figures.
    Warn,
    /// Makes figures worthless.
    Bad,
}

/// The result of one check.
#[derive(Debug, Clone)]
pub struct HostCheck {
    /// Its code, whose text has the effect on figures.
    pub code: &'static Code,
    /// What was checked, in a word or two.
    pub subject: &'static str,
    /// How good or bad it is.
    pub grade: Grade,
    /// The finding; readable without the subject.
    pub found: String,
    /// A command that fixes it, if there is one.
    pub fix: Option<String>,
}

impl HostCheck {
    /// The finding and the command that fixes it, if both fit a line.
    pub(super) fn message(&self) -> String {
        /// Columns left beside the prefix of the sink's host. Arbitrary.
        const COLUMNS: usize = 88;
        match &self.fix {
            Some(fix) if self.found.len() + fix.len() + 2 <= COLUMNS => {
                format!("{}; {fix}", self.found)
            }
            _ => self.found.clone(),
        }
    }
}

/// The grade of a check, its finding, and a command that fixes it.
pub(super) type Finding = (Grade, String, Option<String>);

pub(super) fn finding(grade: Grade, found: impl Into<String>) -> Finding {
    (grade, found.into(), None)
}

pub(super) fn fixable(grade: Grade, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    (grade, found.into(), Some(fix.into()))
}
