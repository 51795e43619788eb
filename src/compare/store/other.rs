//! Kept documents other than runs: comparisons, searches, sinks and echo servers.

use serde::Serialize;

use crate::compare::{Comparison, Verdict};
use crate::document::{EchoDocument, SearchDocument, SinkDocument};
use crate::report::checks::validity::ends_invalid;
use crate::report::read::{ReadError, of_kind};

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Other {
    Verdict(Box<Comparison>),
    Search(Box<SearchDocument>),
    Sink(Box<SinkDocument>),
    Echo(Box<EchoDocument>),
}

impl Other {
    pub(super) fn read(kind: &str, text: &str) -> Result<Self, ReadError> {
        match kind {
            "compare" | "ab" => of_kind(text).map(Self::Verdict),
            "search" => of_kind(text).map(Self::Search),
            "sink" => of_kind(text).map(Self::Sink),
            "echo" => of_kind(text).map(Self::Echo),
            kind => Err(ReadError::NoCells(kind.to_owned())),
        }
    }

    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Verdict(comparison) => &comparison.head.kind,
            Self::Search(_) => "search",
            Self::Sink(_) => "sink",
            Self::Echo(_) => "echo",
        }
    }

    /// Whether its command ended with exit code 5.
    pub(crate) fn is_invalid(&self) -> bool {
        match self {
            Self::Verdict(comparison) => comparison.verdict == Verdict::CannotCompare,
            Self::Search(found) => ends_invalid(&found.report, true),
            Self::Sink(_) | Self::Echo(_) => false,
        }
    }
}
