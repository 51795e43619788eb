//! Whether a run tested what was asked, its warnings, and the results of its gates.

use serde::{Deserialize, Serialize};

/// The share of a schedule that may be missed where `--max-missed` is not given: 1 %. From the
/// contract of the command line.
pub const MAX_MISSED: f64 = 0.01;

/// Why a cell was cut short, and why its run is invalid, where a process of several was lost.
pub const MEMBER_LOST: &str = "member_lost";

/// A warning about the measurement, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Warning {
    /// A stable code for scripts, lower case with underscores.
    pub code: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// A reason why a run did not test what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InvalidReason {
    /// A stable code for scripts: `nothing_measured`, `nothing_sent`, `nothing_arrived`,
    /// `nothing_answered`, `target_unreachable`, `member_lost` or `schedule_missed`.
    pub code: String,
    /// A message for people: what is wrong, and what to do.
    pub message: String,
    /// The id of the cell; `null` for the whole run.
    #[serde(default)]
    pub cell: Option<String>,
    /// Its trial; `null` for the whole run.
    #[serde(default)]
    pub trial: Option<u32>,
}

/// The result of one `--fail-if` in one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gate {
    /// The condition as typed, such as `loss>0.1%`.
    pub expr: String,
    /// The id of the cell; `null` where no cell was measured.
    pub cell: Option<String>,
    /// Its trial, from 0; `null` where no cell was measured.
    pub trial: Option<u32>,
    /// Whether the condition held; `null` if it could not be checked. Both fail the run.
    pub held: Option<bool>,
    /// The measured value with its unit; `null` where it is unknown.
    pub value: Option<String>,
}

/// The value of [`super::Report::valid`] in documents without it, before they are judged.
pub(super) const fn yes() -> bool {
    true
}

/// The value of [`super::Report::max_missed`] in documents without it.
pub(super) const fn max_missed() -> f64 {
    MAX_MISSED
}

impl InvalidReason {
    /// The cell and the message in one line.
    pub fn line(&self) -> String {
        let trial = self.trial.filter(|trial| *trial > 0);
        let trial = trial.map_or_else(String::new, |trial| format!(" (trial {trial})"));
        match &self.cell {
            Some(cell) => format!("{cell}{trial}: {}", self.message),
            None => self.message.clone(),
        }
    }
}
