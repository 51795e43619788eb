//! The result of a scenario file, which `udperf run` writes: the document of each step, and the
//! formats.

mod format;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compare::Comparison;
use crate::compare::other::Other;
use crate::compare::store::{SCENARIO_RESULT, StoreError, of_file};
use crate::document::{Head, Report, SearchDocument};
use crate::report::read::{ReadError, WITH_CELLS, kind, of_kind, read};
pub(crate) use format::heading;

/// The result of a scenario file, `kind` `run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ScenarioDocument {
    /// The first fields.
    #[serde(flatten)]
    pub(crate) head: Head,
    /// The scenario file.
    pub(crate) file: String,
    /// The variables of the file, with the values of `--set`.
    pub(crate) variables: BTreeMap<String, String>,
    /// The exit code: that of the worst step.
    pub(crate) exit: u8,
    /// The chosen steps, in the order of the file.
    pub(crate) steps: Vec<ScenarioStep>,
    /// Whether each report was printed when its step ended, so that text is only the table.
    #[serde(skip)]
    pub(crate) is_printed: bool,
}

/// A step of a scenario file, and its result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ScenarioStep {
    /// The name.
    pub(crate) name: String,
    /// The tags.
    pub(crate) tags: Vec<String>,
    /// The words of the command, the program name first.
    pub(crate) command: Vec<String>,
    /// The worse exit code of the command and of the comparison with the baseline; `null` if the
    /// step did not run.
    pub(crate) exit: Option<u8>,
    /// The result in a few words.
    pub(crate) result: String,
    /// Why the command ended early or wrote no document; `null` without an error.
    pub(crate) error: Option<String>,
    /// The document of the command; `null` without one.
    pub(crate) document: Option<CommandDocument>,
    /// The comparison with the baseline; `null` without one.
    pub(crate) verdict: Option<Box<Comparison>>,
}

/// The document of a command that can be a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(crate) enum CommandDocument {
    /// Of bench, blast, load or ping.
    Run(Box<Report>),
    /// Of search.
    Search(Box<SearchDocument>),
    /// Of compare or ab.
    Verdict(Box<Comparison>),
}

impl<'de> Deserialize<'de> for CommandDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::read(&value.to_string()).map_err(D::Error::custom)
    }
}

impl CommandDocument {
    /// Reads a document by its kind, and checks it.
    pub(crate) fn read(text: &str) -> Result<Self, ReadError> {
        let kind = kind(text)?;
        if WITH_CELLS.contains(&kind.as_str()) {
            return read(text).map(|report| Self::Run(Box::new(report)));
        }
        match Other::read(&kind, text)? {
            Other::Verdict(comparison) => Ok(Self::Verdict(comparison)),
            Other::Search(search) => Ok(Self::Search(search)),
            Other::Sink(_) | Other::Echo(_) | Other::Doctor(_) | Other::Selftest(_) => {
                Err(ReadError::NoCells(kind))
            }
        }
    }

    /// The report of what was measured.
    pub(crate) fn report(&self) -> Option<&Report> {
        match self {
            Self::Run(report) => Some(report),
            Self::Search(search) => Some(&search.report),
            Self::Verdict(_) => None,
        }
    }
}

/// The document of a step that measured cells.
pub(crate) fn run_of<'a>(steps: &'a [ScenarioStep], name: &str) -> Option<&'a CommandDocument> {
    let step = steps.iter().find(|one| one.name == name)?;
    step.document.as_ref().filter(|document| matches!(document, CommandDocument::Run(_)))
}

impl ScenarioDocument {
    /// Reads it from a file. `None` if the file is another document, or no document.
    pub(crate) fn read(path: &Path) -> Option<Result<Self, StoreError>> {
        of_file(path, |kind, text| match kind {
            SCENARIO_RESULT => of_kind(text),
            other => Err(ReadError::NoCells(other.to_owned())),
        })
    }

    /// The document of a step that measured cells.
    pub(crate) fn document_of(&self, step: &str) -> Option<&CommandDocument> {
        run_of(&self.steps, step)
    }

    /// Whether a run of a step is invalid.
    pub(crate) fn is_invalid(&self) -> bool {
        let documents = self.steps.iter().filter_map(|step| step.document.as_ref());
        documents.filter_map(CommandDocument::report).any(|report| !report.valid)
    }
}
