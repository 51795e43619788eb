//! Kept documents that are no runs: verdicts, searches, and what a sink or an echo saw.

use serde::Serialize;

use crate::compare::{Comparison, Verdict};
use crate::document::{EchoDocument, SearchDocument, SinkDocument};
use crate::report::read::{ReadError, of_kind};

/// A document without cells that could be put beside others.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Other {
    /// Of `compare` and `ab`.
    Verdict(Box<Comparison>),
    /// Of `search`.
    Search(Box<SearchDocument>),
    /// Of `sink`.
    Sink(Box<SinkDocument>),
    /// Of `echo`.
    Echo(Box<EchoDocument>),
}

impl Other {
    /// Reads a document of this kind.
    ///
    /// # Errors
    /// It is damaged, or of no kind that there is.
    pub(super) fn read(kind: &str, text: &str) -> Result<Self, ReadError> {
        match kind {
            "compare" | "ab" => of_kind(text).map(Self::Verdict),
            "search" => of_kind(text).map(Self::Search),
            "sink" => of_kind(text).map(Self::Sink),
            "echo" => of_kind(text).map(Self::Echo),
            kind => Err(ReadError::NoCells { kind: kind.to_owned() }),
        }
    }

    /// What it says of itself.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Verdict(comparison) => &comparison.head.kind,
            Self::Search(_) => "search",
            Self::Sink(_) => "sink",
            Self::Echo(_) => "echo",
        }
    }

    /// Whether the command that made it ended with exit code 5: an invalid search, or a comparison
    /// of which a side is invalid.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        match self {
            Self::Verdict(comparison) => comparison.verdict == Verdict::CannotCompare,
            Self::Search(found) => found.report.ends_invalid(true),
            Self::Sink(_) | Self::Echo(_) => false,
        }
    }
}
