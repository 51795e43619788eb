//! The result of one check of a host.

/// How much a check matters, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Good,
    /// Worth knowing; distorts nothing by itself.
    Note,
    /// Distorts figures.
    Warn,
    /// Makes figures worthless.
    Bad,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCheck {
    /// Stable over time, for scripts; `warning_codes` has them.
    pub code: &'static str,
    /// What was checked, in a word or two.
    pub subject: &'static str,
    /// How good or bad it is.
    pub grade: Grade,
    /// What was found: readable without the subject.
    pub found: String,
    /// What that does to the figures; empty where it has no effect.
    pub why: String,
    /// A command that fixes it, where there is one.
    pub fix: Option<String>,
}

/// A check; the table of checks gives it its code and subject.
pub(super) fn finding(grade: Grade, found: impl Into<String>) -> HostCheck {
    let (code, subject, why, fix) = ("", "", String::new(), None);
    HostCheck { code, subject, grade, found: found.into(), why, fix }
}

impl HostCheck {
    pub(super) fn because(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    pub(super) fn fixed_by(self, command: impl Into<String>) -> Self {
        Self { fix: Some(command.into()), ..self }
    }

    /// What is wrong and the command that fixes it, where both fit a line.
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
