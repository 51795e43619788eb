//! The result of one check of a host.

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCheck {
    /// Its code in `warning_codes`, stable over time.
    pub code: &'static str,
    /// What was checked, in a word or two.
    pub subject: &'static str,
    /// How good or bad it is.
    pub grade: Grade,
    /// The finding; readable without the subject.
    pub found: String,
    /// The effect on figures; empty without one.
    pub why: String,
    /// A command that fixes it, if there is one.
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

    /// What is wrong and the command that fixes it, if both fit a line.
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
