//! Values of command line options, as types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::engine::{EngineError, EnginePair};
use crate::unit::{Rate, did_you_mean};

/// The part of a run that this process has: runs of several processes share one load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Number of this process among them, from 0.
    pub rank: u16,
    /// How many there are.
    pub of: u16,
    /// Number of this process among those on the same CPUs, from 0.
    pub local_rank: u16,
    /// How many of them share these CPUs.
    pub local_of: u16,
}

impl Default for Member {
    fn default() -> Self {
        Self { rank: 0, of: 1, local_rank: 0, local_of: 1 }
    }
}

/// An unknown word of an option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum WordError {
    #[error(
        "pace '{requested}' is unknown; {}use even, burst:N, poisson, ramp:FROM..TO (rates), or \
         for load with --pcap, recorded",
        did_you_mean(before_colon(requested), ["even", "burst", "poisson", "ramp", "recorded"])
    )]
    Pace { requested: String },
    #[error("invalid --pin '{requested}'; use auto, off, or cores TX:RX such as 0:1 or 0,2:1,3")]
    Pin { requested: String },
    #[error("invalid --drop '{requested}'; use a share such as 1%, or 1/N for every Nth")]
    Drop { requested: String },
}

/// The part of a word before its argument.
fn before_colon(word: &str) -> &str {
    word.split(':').next().unwrap_or_default()
}

/// Defines options with the name of each value on the command line and in documents.
macro_rules! words {
    ($($(#[$about:meta])* $vis:vis enum $kind:ident {
        $($(#[$meta:meta])* $variant:ident = $word:literal,)*
    })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $kind { $($(#[$meta])* $variant,)* }

        impl $kind {
            /// Its name on the command line and in documents.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    )*};
}

words! {
    /// How a worker waits for its socket.
    #[derive(Default, Serialize, Deserialize)]
    pub enum WaitKind {
        /// Never sleeps.
        Spin = "spin",
        /// Spins for about the cost of a wake-up, then sleeps.
        #[default]
        Hybrid = "hybrid",
        /// Sleeps at once.
        Epoll = "epoll",
    }

    /// Who decides when a datagram of a schedule departs.
    #[derive(Default)]
    pub enum PaceBy {
        /// udperf, which hands each over when it is due.
        #[default]
        User = "user",
        /// The kernel, by a time of departure in each datagram (`SO_TXTIME`).
        Txtime = "txtime",
        /// The kernel, by a rate of each flow (`SO_MAX_PACING_RATE`).
        Fq = "fq",
    }

    /// The source of receive timestamps.
    #[derive(Default)]
    pub enum TimestampKind {
        /// udperf, after the read.
        #[default]
        User = "user",
        /// Also the kernel, on receipt from the device, which separates the time in the socket.
        Kernel = "kernel",
    }

    /// The direction of datagrams.
    #[derive(Default, Serialize, Deserialize)]
    pub enum Route {
        /// Sender and receiver are in this process.
        #[default]
        Local = "within",
        /// From here to a sink.
        Forward = "forward",
        /// From a sink to here.
        Reverse = "reverse",
        /// Both at once.
        Both = "both",
        /// From here to a target that reports nothing.
        SendOnly = "alone",
        /// Requests from here and responses to the same ports.
        Request = "ask",
    }

    /// The direction of one measurement.
    #[derive(Hash, Serialize, Deserialize)]
    pub enum Direction {
        /// From here.
        Forward = "forward",
        /// To here.
        Reverse = "reverse",
    }
}

impl Route {
    /// Whether there are senders in this process.
    pub const fn sends(self) -> bool {
        !matches!(self, Self::Reverse)
    }

    /// Whether there are receivers in this process, apart from its senders.
    pub const fn receives(self) -> bool {
        matches!(self, Self::Local | Self::Reverse | Self::Both)
    }
}

/// How datagrams follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PaceKind {
    /// At equal distances.
    Even,
    /// Bursts of this many datagrams.
    Burst(u32),
    /// Independent of each other.
    Poisson,
    /// From one rate to another over the time of the cell.
    Ramp(Rate, Rate),
    /// As in the capture that requests come from.
    Recorded,
}

impl PaceKind {
    /// The largest burst. Arbitrary: more than any socket queue holds.
    const MAX_BURST: u32 = 65_536;

    /// Whether the pace has its own rates, and none from `--rate`.
    pub const fn has_own_rates(self) -> bool {
        matches!(self, Self::Ramp(..) | Self::Recorded)
    }
}

impl FromStr for PaceKind {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        let absolute = |word: &str| {
            word.parse().ok().filter(|rate| matches!(rate, Rate::Pps(_) | Rate::Bits(_)))
        };
        let is_burst = |size: &u32| (1..=Self::MAX_BURST).contains(size);
        let pace = match word.split_once(':').unwrap_or((word, "")) {
            ("even", "") => Some(Self::Even),
            ("poisson", "") => Some(Self::Poisson),
            ("recorded", "") => Some(Self::Recorded),
            ("burst", size) => size.parse().ok().filter(is_burst).map(Self::Burst),
            ("ramp", range) => {
                let rates = range.split_once("..");
                rates.and_then(|(from, to)| Some(Self::Ramp(absolute(from)?, absolute(to)?)))
            }
            _ => None,
        };
        pace.filter(|_| !word.ends_with(':'))
            .ok_or_else(|| WordError::Pace { requested: word.to_owned() })
    }
}

impl fmt::Display for PaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Even => f.write_str("even"),
            Self::Burst(size) => write!(f, "burst:{size}"),
            Self::Poisson => f.write_str("poisson"),
            Self::Ramp(from, to) => write!(f, "ramp:{from}..{to}"),
            Self::Recorded => f.write_str("recorded"),
        }
    }
}

/// Which cores the workers run on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "fields are as named")]
pub enum Pinning {
    /// Distinct physical cores, if there are enough.
    #[default]
    Auto,
    /// Chosen by the scheduler.
    Off,
    /// These, in turn.
    Cores { tx: Vec<usize>, rx: Vec<usize> },
}

impl FromStr for Pinning {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        let cores = |list: &str| {
            list.split(',').map(|core| core.trim().parse().ok()).collect::<Option<Vec<usize>>>()
        };
        let both = |(tx, rx)| Some(Self::Cores { tx: cores(tx)?, rx: cores(rx)? });
        let invalid = || WordError::Pin { requested: word.to_owned() };
        match word {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => word.split_once(':').and_then(both).ok_or_else(invalid),
        }
    }
}

impl fmt::Display for Pinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join =
            |cores: &[usize]| cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Cores { tx, rx } => write!(f, "{}:{}", join(tx), join(rx)),
        }
    }
}

/// Which datagrams an echo server drops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DropRule {
    /// Each with this probability, from 0 to 1.
    Share(f64),
    /// Those whose number, counted from 1, is a multiple of this.
    Every(u64),
}

impl FromStr for DropRule {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        let share = |word: &str| {
            let percent: f64 = word.trim().parse().ok()?;
            (0.0..=100.0).contains(&percent).then_some(Self::Share(percent / 100.0))
        };
        let every = |(one, every): (&str, &str)| {
            let every = every.trim().parse().ok().filter(|&every| every > 0);
            every.filter(|_| one.trim() == "1").map(Self::Every)
        };
        let found = match word.strip_suffix('%') {
            Some(percent) => share(percent),
            None => word.split_once('/').and_then(every),
        };
        found.ok_or_else(|| WordError::Drop { requested: word.to_owned() })
    }
}

impl fmt::Display for DropRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{}%", share * 100.0),
            Self::Every(every) => write!(f, "1/{every}"),
        }
    }
}

/// One element of an engine list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineWord {
    /// These engines.
    Pair(EnginePair),
    /// The fastest pair of a trial on this host.
    Auto,
    /// All pairs that are available on this host.
    All,
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

/// An engine that is not available on this host or in this build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingEngine {
    /// Its word, of either side.
    pub engine: String,
    /// The missing feature of the kernel or the build, and how to fix it.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that `words` read back as they are, and that `invalid` ones are errors.
    fn check<T: FromStr<Err: fmt::Debug> + ToString>(words: &[&str], invalid: &[&str]) {
        for word in words {
            assert_eq!(word.parse::<T>().unwrap().to_string(), *word);
        }
        for word in invalid {
            assert!(word.parse::<T>().is_err(), "{word}");
        }
    }

    #[test]
    fn words_read_back() {
        check::<PaceKind>(
            &["even", "burst:32", "poisson", "ramp:10k..1M", "recorded"],
            &["", "even:", "burst", "burst:0", "burst:x", "ramp:1", "ramp:max..2", "ramp:0..1k"],
        );
        check::<Pinning>(&["auto", "off", "0:1", "0,2:1,3"], &["", "0", "a:b", "0:", ":", "0;1"]);
        check::<DropRule>(
            &["1/8", "0.5%", "100%"],
            &["", "1", "%", "-1%", "101%", "NaN%", "2/8", "1/0", "1/x", "/8"],
        );
        assert_eq!("1%".parse(), Ok(DropRule::Share(0.01)));
        assert_eq!("1/8".parse(), Ok(DropRule::Every(8)));
        check::<EngineWord>(&["auto", "all", "plain"], &["auto/plain"]);
        assert_eq!(" all".parse(), Ok(EngineWord::All));
        assert_eq!(" gso/gro".parse(), Ok(EngineWord::Pair(EnginePair::OFFLOAD)));
    }
}
