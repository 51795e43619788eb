//! Lists of engines, and what `auto` stands for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::engine::{EngineError, EnginePair};
use crate::unit::{Nanos, PayloadSize};

/// One element of an engine list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineWord {
    /// These.
    Pair(EnginePair),
    /// The one that wins on this host, found by trying.
    Auto,
    /// All pairs that this host has.
    All,
}

impl EngineWord {
    /// How many pairs it stands for, at most.
    pub(super) fn pairs(&self) -> usize {
        if *self == Self::All { EnginePair::matrix().count() } else { 1 }
    }
}

impl FromStr for EngineWord {
    type Err = EngineError;

    fn from_str(word: &str) -> Result<Self, EngineError> {
        match word.trim() {
            "auto" => Ok(Self::Auto),
            "all" => Ok(Self::All),
            word => word.parse().map(Self::Pair),
        }
    }
}

impl fmt::Display for EngineWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair(pair) => pair.fmt(f),
            Self::Auto => f.pad("auto"),
            Self::All => f.pad("all"),
        }
    }
}

/// An engine that this host or this build does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingEngine {
    /// Its word, of either side.
    pub engine: String,
    /// What the kernel or the build lacks, and how to fix it.
    pub why: String,
}

/// What `auto` stands for on this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineTrial {
    /// The engines that delivered most.
    pub engine: EnginePair,
    /// The payload they were tried with.
    pub size: PayloadSize,
    /// How long each was tried.
    pub trial: Nanos,
    /// What each delivered, datagrams a second, fastest first.
    pub tried: Vec<(EnginePair, f64)>,
    /// Rates of pairs left out because their segments stayed uncut on this path, fastest first.
    pub uncut: Vec<(EnginePair, f64)>,
    /// Those that could not be tried, and why.
    pub failed: Vec<(EnginePair, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_auto_and_all() {
        assert_eq!("auto".parse(), Ok(EngineWord::Auto));
        assert_eq!(" all".parse(), Ok(EngineWord::All));
        assert_eq!(" gso/gro".parse(), Ok(EngineWord::Pair(EnginePair::OFFLOAD)));
        assert!("auto/plain".parse::<EngineWord>().is_err());
    }
}
