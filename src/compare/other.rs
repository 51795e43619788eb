//! Stored documents other than runs.

use serde::Serialize;

use super::{Comparison, Verdict};
use crate::document::{
    DoctorDocument, EchoDocument, SearchDocument, SelftestDocument, SinkDocument,
};
use crate::report::read::{ReadError, check_cell, check_echo, check_sink, of_kind};

/// Stored documents other than runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Other {
    Verdict(Box<Comparison>),
    Search(Box<SearchDocument>),
    Sink(Box<SinkDocument>),
    Echo(Box<EchoDocument>),
    Doctor(Box<DoctorDocument>),
    Selftest(Box<SelftestDocument>),
}

impl Other {
    pub(crate) fn read(kind: &str, text: &str) -> Result<Self, ReadError> {
        match kind {
            "compare" | "ab" => {
                let comparison: Box<Comparison> = of_kind(text)?;
                match comparison.broken_rule() {
                    Some(rule) => Err(ReadError::Damaged(rule)),
                    None => Ok(Self::Verdict(comparison)),
                }
            }
            "search" => {
                let search: Box<SearchDocument> = of_kind(text)?;
                search.report.cells.iter().try_for_each(check_cell)?;
                Ok(Self::Search(search))
            }
            "sink" => {
                let sink: Box<SinkDocument> = of_kind(text)?;
                check_sink(&sink)?;
                Ok(Self::Sink(sink))
            }
            "echo" => {
                let echo: Box<EchoDocument> = of_kind(text)?;
                check_echo(&echo)?;
                Ok(Self::Echo(echo))
            }
            "doctor" => Ok(Self::Doctor(of_kind(text)?)),
            "selftest" => Ok(Self::Selftest(of_kind(text)?)),
            kind => Err(ReadError::NoCells(kind.to_owned())),
        }
    }

    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Verdict(comparison) => &comparison.head.kind,
            Self::Search(_) => "search",
            Self::Sink(_) => "sink",
            Self::Echo(_) => "echo",
            Self::Doctor(_) => "doctor",
            Self::Selftest(_) => "selftest",
        }
    }

    /// Whether its command ended with exit code 5.
    pub(crate) fn is_invalid(&self) -> bool {
        match self {
            Self::Verdict(comparison) => comparison.verdict == Verdict::CannotCompare,
            Self::Search(found) => !found.report.valid,
            Self::Sink(_) | Self::Echo(_) | Self::Doctor(_) | Self::Selftest(_) => false,
        }
    }
}
