//! What one check of a host finds.

/// How a finding is to be taken, from best to worst.
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

/// One thing found out about a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCheck {
    /// Stable over time, for scripts; see the table above.
    pub code: &'static str,
    /// How it is to be taken.
    pub grade: Grade,
    /// What was looked at, in a word or two.
    pub subject: String,
    /// How it is: readable without the subject.
    pub found: String,
    /// What that does to the figures; empty where it does nothing.
    pub why: String,
    /// A command that mends it, where there is one.
    pub fix: Option<String>,
}

impl HostCheck {
    pub(crate) fn new(
        code: &'static str,
        subject: &str,
        grade: Grade,
        found: impl Into<String>,
    ) -> Self {
        Self {
            code,
            grade,
            subject: subject.to_owned(),
            found: found.into(),
            why: String::new(),
            fix: None,
        }
    }

    pub(crate) fn because(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    pub(crate) fn fixed_by(self, command: impl Into<String>) -> Self {
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
