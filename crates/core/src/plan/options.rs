//! The words of the command line, as types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::unit::Rate;

/// An unknown word of an option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum WordError {
    #[error(
        "pace '{asked}' is unknown; use even, burst:N, poisson, ramp:FROM..TO (rates), or for \
         load with --pcap, recorded"
    )]
    Pace { asked: String },
    #[error("invalid --pin '{asked}'; use auto, off, or cores TX:RX such as 0:1 or 0,2:1,3")]
    Pin { asked: String },
    #[error("invalid --drop '{asked}'; use a share such as 1%, or 1/N for every Nth")]
    Drop { asked: String },
}

/// Names each variant of an option.
macro_rules! words {
    ($kind:ident { $($variant:ident: $word:literal),* $(,)? }) => {
        impl $kind {
            /// Its name on the command line and in documents.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

/// How datagrams follow each other at a given rate.
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

/// Where the rate of a pace comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaceShape {
    /// From `--rate`.
    AtRate,
    /// From the pace.
    OwnRates,
}

/// The largest burst that can be asked for. Arbitrary: more than any socket queue holds.
const MAX_BURST: u32 = 65_536;

impl PaceKind {
    /// Where the rate comes from.
    pub const fn shape(self) -> PaceShape {
        match self {
            Self::Ramp(..) | Self::Recorded => PaceShape::OwnRates,
            _ => PaceShape::AtRate,
        }
    }
}

impl FromStr for PaceKind {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        let error = || WordError::Pace { asked: word.to_owned() };
        let absolute = |word: &str| {
            word.parse().ok().filter(|rate| matches!(rate, Rate::Pps(_) | Rate::Bits(_)))
        };
        match word.split_once(':') {
            None if word == "even" => Ok(Self::Even),
            None if word == "poisson" => Ok(Self::Poisson),
            None if word == "recorded" => Ok(Self::Recorded),
            Some(("burst", size)) => size
                .parse()
                .ok()
                .filter(|size| (1..=MAX_BURST).contains(size))
                .map(Self::Burst)
                .ok_or_else(error),
            Some(("ramp", range)) => {
                let (from, to) = range.split_once("..").ok_or_else(error)?;
                let rates = absolute(from).zip(absolute(to));
                rates.map(|(from, to)| Self::Ramp(from, to)).ok_or_else(error)
            }
            _ => Err(error()),
        }
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

/// How a worker waits for its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum WaitKind {
    /// Never sleeps.
    Spin,
    /// Spins for about the cost of a wake-up, then sleeps.
    #[default]
    Hybrid,
    /// Sleeps at once.
    Epoll,
}

words!(WaitKind { Spin: "spin", Hybrid: "hybrid", Epoll: "epoll" });

/// Who takes the time of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampKind {
    /// udperf, after the read.
    #[default]
    User,
    /// Also the kernel, when it took it from the device, which separates the time in the socket.
    Kernel,
}

words!(TimestampKind { User: "user", Kernel: "kernel" });

/// Which way datagrams go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Route {
    /// Sender and receiver are in this process.
    #[default]
    Local,
    /// From here to a sink.
    Forward,
    /// From a sink to here.
    Reverse,
    /// Both at once.
    Both,
    /// From here to a target that reports nothing.
    SendOnly,
    /// Requests from here and responses to the same ports.
    Request,
}

words!(Route {
    Local: "within",
    Forward: "forward",
    Reverse: "reverse",
    Both: "both",
    SendOnly: "alone",
    Request: "ask",
});

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

/// The direction of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// From here.
    Forward,
    /// To here.
    Reverse,
}

words!(Direction { Forward: "forward", Reverse: "reverse" });

/// Which cores the workers run on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Pinning {
    /// Distinct physical cores, as far as there are any.
    #[default]
    Auto,
    /// Wherever the scheduler puts them.
    Off,
    /// These: the i-th worker on the i-th, around again where there are more workers.
    Cores {
        /// For the senders.
        tx: Vec<usize>,
        /// For the receivers.
        rx: Vec<usize>,
    },
}

impl FromStr for Pinning {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        let error = || WordError::Pin { asked: word.to_owned() };
        let cores = |list: &str| {
            list.split(',').map(|core| core.trim().parse().ok()).collect::<Option<Vec<usize>>>()
        };
        match word {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => {
                let (tx, rx) = word.split_once(':').ok_or_else(error)?;
                Ok(Self::Cores {
                    tx: cores(tx).ok_or_else(error)?,
                    rx: cores(rx).ok_or_else(error)?,
                })
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_and_pins_read_back() {
        for word in ["even", "burst:32", "poisson", "ramp:10k..1M"] {
            assert_eq!(word.parse::<PaceKind>().unwrap().to_string(), word);
        }
        for word in
            ["", "burst", "burst:0", "burst:x", "ramp:1", "ramp:max..2", "ramp:0..1k", "odd"]
        {
            assert!(word.parse::<PaceKind>().is_err(), "{word}");
        }
        for word in ["auto", "off", "0:1", "0,2:1,3"] {
            assert_eq!(word.parse::<Pinning>().unwrap().to_string(), word);
        }
        for word in ["", "0", "a:b", "0:", ":", "0;1"] {
            assert!(word.parse::<Pinning>().is_err(), "{word}");
        }
    }
}
