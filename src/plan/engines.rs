//! Engines by name: ways of sending, ways of receiving, pairs of them, and lists.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::unit::{Nanos, PayloadSize};

/// A word that is no engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nothing of that name.
    #[error(
        "engine '{asked}' is unknown; write auto, all, plain, batch, offload, uring, null, or \
         TX/RX: TX (sending) one of {}; RX (receiving) one of {}",
        words(&TxKind::all()), words(&RxKind::all())
    )]
    Unknown {
        /// As typed.
        asked: String,
    },
    /// A way of sending that has no twin of the same name.
    #[error(
        "engine 'gso' only sends; write offload (gso/gro: segments are never cut on this host), or \
         gso/batch (cut at the receiving socket, as any server sees it)"
    )]
    OnlySends,
    /// A way of receiving that has no twin of the same name.
    #[error(
        "engine 'gro' only receives; write offload (gso/gro), or plain/gro, batch/gro to see what \
         it does to datagrams that were sent one by one"
    )]
    OnlyReceives,
    /// The null engine beside a real one.
    #[error(
        "engine '{asked}' cannot work: null sends nowhere and receives from nowhere; use null on \
         both sides"
    )]
    HalfNull {
        /// As typed.
        asked: String,
    },
}

/// One way of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TxKind {
    /// One system call a datagram.
    Plain,
    /// Many datagrams a system call.
    Batch,
    /// Super-packets that the kernel or the device cuts.
    Gso,
    /// A ring shared with the kernel.
    Uring,
    /// No system call at all: takes all.
    Null,
}

/// One way of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RxKind {
    /// One system call a datagram.
    Plain,
    /// Many datagrams a system call.
    Batch,
    /// Super-packets, cut by us.
    Gro,
    /// A ring shared with the kernel.
    Uring,
    /// No system call at all: makes all.
    Null,
}

/// What a side's kinds have in common, so that lists of them are read and written once.
pub trait EngineKind: Copy + Eq + Sized + 'static {
    /// All, in order of the documentation.
    fn all() -> [Self; 5];

    /// The word for it.
    fn word(self) -> &'static str;

    /// The kind of this name.
    fn of(word: &str) -> Option<Self> {
        Self::all().into_iter().find(|kind| kind.word() == word)
    }
}

impl EngineKind for TxKind {
    fn all() -> [Self; 5] {
        [Self::Plain, Self::Batch, Self::Gso, Self::Uring, Self::Null]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Batch => "batch",
            Self::Gso => "gso",
            Self::Uring => "uring",
            Self::Null => "null",
        }
    }
}

impl EngineKind for RxKind {
    fn all() -> [Self; 5] {
        [Self::Plain, Self::Batch, Self::Gro, Self::Uring, Self::Null]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Batch => "batch",
            Self::Gro => "gro",
            Self::Uring => "uring",
            Self::Null => "null",
        }
    }
}

/// The words of a list, for errors.
fn words<K: EngineKind>(kinds: &[K]) -> String {
    let words: Vec<_> = kinds.iter().map(|kind| kind.word()).filter(|&word| word != NULL).collect();
    words.join(", ")
}

/// The engine that moves nothing.
const NULL: &str = "null";

/// The word for `gso/gro`.
const OFFLOAD: &str = "offload";

/// How to send and how to receive: one word for both, or `TX/RX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EnginePair {
    /// The sending side.
    pub tx: TxKind,
    /// The receiving side.
    pub rx: RxKind,
}

impl EnginePair {
    /// `send` and `recvfrom`, the hot path that most servers use.
    pub const PLAIN: Self = Self { tx: TxKind::Plain, rx: RxKind::Plain };
    /// `sendmmsg` and `recvmmsg`.
    pub const BATCH: Self = Self { tx: TxKind::Batch, rx: RxKind::Batch };
    /// Super-packets that are sent whole and received as single datagrams.
    pub const GSO_BATCH: Self = Self { tx: TxKind::Gso, rx: RxKind::Batch };
    /// Super-packets from end to end.
    pub const OFFLOAD: Self = Self { tx: TxKind::Gso, rx: RxKind::Gro };
    /// io_uring at both ends.
    pub const URING: Self = Self { tx: TxKind::Uring, rx: RxKind::Uring };
    /// No system call.
    pub const NULL: Self = Self { tx: TxKind::Null, rx: RxKind::Null };

    /// Those that have a word of their own.
    pub const NAMED: [Self; 5] = [Self::PLAIN, Self::BATCH, Self::OFFLOAD, Self::URING, Self::NULL];

    /// Every way of sending with every way of receiving, as far as real datagrams move.
    pub fn matrix() -> impl Iterator<Item = Self> {
        let real_rx = || RxKind::all().into_iter().filter(|&rx| rx != RxKind::Null);
        let real_tx = TxKind::all().into_iter().filter(|&tx| tx != TxKind::Null);
        real_tx.flat_map(move |tx| real_rx().map(move |rx| Self { tx, rx }))
    }

    /// The one word for it, where there is one.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        if self == Self::OFFLOAD {
            Some(OFFLOAD)
        } else {
            Some(self.tx.word()).filter(|&word| word == self.rx.word())
        }
    }
}

impl FromStr for EnginePair {
    type Err = EngineError;

    fn from_str(word: &str) -> Result<Self, EngineError> {
        let unknown = || EngineError::Unknown { asked: word.to_owned() };
        // As it is typed, and as cells' ids have it.
        let pair = match word.split_once(['/', '+']) {
            Some((tx, rx)) => Self {
                tx: TxKind::of(tx).ok_or_else(unknown)?,
                rx: RxKind::of(rx).ok_or_else(unknown)?,
            },
            None if word == TxKind::Gso.word() => return Err(EngineError::OnlySends),
            None if word == RxKind::Gro.word() => return Err(EngineError::OnlyReceives),
            None => {
                let named = Self::NAMED.into_iter().find(|pair| pair.word() == Some(word));
                return named.ok_or_else(unknown);
            }
        };
        if (pair.tx == TxKind::Null) != (pair.rx == RxKind::Null) {
            return Err(EngineError::HalfNull { asked: word.to_owned() });
        }
        Ok(pair)
    }
}

impl fmt::Display for EnginePair {
    /// `plain`, `offload`, or `gso+batch` where no one word says it: a slash would not do in a
    /// cell's id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Some(word) => f.pad(word),
            None => f.pad(&format!("{}+{}", self.tx.word(), self.rx.word())),
        }
    }
}

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
    /// What the kernel or the build lacks, and what mends it.
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
    fn engines_are_read_alone_and_in_pairs() {
        for (word, pair) in [
            ("plain", EnginePair::PLAIN),
            ("plain/plain", EnginePair::PLAIN),
            ("offload", EnginePair::OFFLOAD),
            ("gso/gro", EnginePair::OFFLOAD),
            ("gso+gro", EnginePair::OFFLOAD),
            ("gso/batch", EnginePair { tx: TxKind::Gso, rx: RxKind::Batch }),
        ] {
            assert_eq!(word.parse(), Ok(EngineWord::Pair(pair)), "{word}");
        }
        assert_eq!("auto".parse(), Ok(EngineWord::Auto));
        assert_eq!(" all".parse(), Ok(EngineWord::All));
        let error = |word: &str| word.parse::<EngineWord>().unwrap_err();
        assert_eq!(error("gso"), EngineError::OnlySends);
        assert_eq!(error("gro"), EngineError::OnlyReceives);
        assert!(matches!(error("null/plain"), EngineError::HalfNull { .. }));
        for word in ["warp", "gro/gso", "plain/", "", "auto/plain", "plain/offload"] {
            assert!(matches!(error(word), EngineError::Unknown { .. }), "{word}");
        }
        assert_eq!(
            error("warp").to_string(),
            "engine 'warp' is unknown; write auto, all, plain, batch, offload, uring, null, or \
             TX/RX: TX (sending) one of plain, batch, gso, uring; RX (receiving) one of plain, \
             batch, gro, uring"
        );
    }

    #[test]
    fn names_of_pairs_are_short_where_they_can_be() {
        assert_eq!(EnginePair::OFFLOAD.to_string(), "offload");
        assert_eq!(EnginePair::BATCH.to_string(), "batch");
        assert_eq!("gso/uring".parse::<EnginePair>().unwrap().to_string(), "gso+uring");
        assert_eq!(EnginePair::matrix().count(), 16);
    }
}
