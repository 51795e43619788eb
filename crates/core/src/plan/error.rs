//! What a plan cannot be.

use super::engines::{EngineWord, MissingEngine};
use crate::engine::EnginePair;
use crate::engine::table::words;
use crate::plan::options::PaceKind;
use crate::unit::{Nanos, PayloadSize, UnitError};

/// The most cells of a run. Arbitrary: at 1 s each, more than a day.
pub(super) const MAX_CELLS: u64 = 100_000;

/// Something that was asked and cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A core that this process may not use.
    #[error("--pin names core {core}, which this process may not run on; allowed are {allowed}")]
    NoSuchCore {
        /// As asked.
        core: usize,
        /// The cores that exist, in words.
        allowed: String,
    },
    /// A measurement without duration.
    #[error("--time {asked} measures nothing; give at least 1ms")]
    NoTime {
        /// As asked.
        asked: Nanos,
    },
    /// A measurement beyond what the wire's 48-bit time holds with room to spare.
    #[error("--{flag} {asked} is too long; a cell can take 24 hours at most")]
    TooLong {
        /// Which flag.
        flag: &'static str,
        /// As asked.
        asked: Nanos,
    },
    /// A pace that needs a rate, without one.
    #[error("--pace {pace} needs a rate; add --rate, e.g. --rate 100k")]
    PaceWithoutRate {
        /// As asked.
        pace: PaceKind,
    },
    /// No capture, and so no times of one.
    #[error("--pace recorded follows the times of a capture; name one by --pcap, in `udperf load`")]
    NotRecorded,
    /// A ramp and a rate.
    #[error("--pace {pace} brings its own rates; leave --rate away")]
    RampWithRate {
        /// As asked.
        pace: PaceKind,
    },
    /// The engine without a network, between two hosts.
    #[error(
        "--engine null moves nothing over a network; name another one, or measure it by udperf \
         bench"
    )]
    NullAcross,
    /// Fewer flows than workers.
    #[error(
        "--streams {streams} leaves some of --threads {threads} without work; ask for at least as \
         many streams as threads"
    )]
    IdleThreads {
        /// As asked.
        streams: u16,
        /// As asked.
        threads: u16,
    },
    /// Workers that may never ask.
    #[error(
        "--outstanding {outstanding} on --threads {threads} leaves threads without a request; \
         ask for at least as many requests as threads"
    )]
    IdleWindow {
        /// As asked.
        outstanding: u32,
        /// As asked.
        threads: u16,
    },
    /// More requests at once than their ids tell apart.
    #[error(
        "--outstanding {outstanding} is more than half of the {ids} ids that these requests have \
         on {streams} streams; use more --streams, or fewer at once"
    )]
    FewIds {
        /// As asked.
        outstanding: u32,
        /// All of them.
        ids: u64,
        /// As asked.
        streams: u16,
    },
    /// Zero of something that must exist.
    #[error("--{flag} 0 leaves nothing to run; give at least 1")]
    Zero {
        /// Which flag.
        flag: &'static str,
    },
    /// More receivers than ports above the first.
    #[error(
        "--port {port} with --threads {threads} needs ports above 65535; choose a lower --port"
    )]
    PortRange {
        /// As asked.
        port: u16,
        /// As asked.
        threads: u16,
    },
    /// More cells than anybody can wait for.
    #[error("{asked} cells are too many; shorten the lists or --trials to {MAX_CELLS} at most")]
    TooManyCells {
        /// Sizes × engines × rates × trials.
        asked: u64,
    },
    /// An engine that this host or this build does not have.
    #[error(
        "--engine {asked}: {} is not available here: {}; choose another, or auto",
        missing.engine, missing.why
    )]
    NoEngine {
        /// As asked.
        asked: EnginePair,
        /// What is missing of it.
        missing: MissingEngine,
    },
    /// An engine that `echo` does not support.
    #[error(
        "--engine {asked}: echo has {}; name one of them, or auto",
        words(|row| row.echo.is_some())
    )]
    NoEcho {
        /// As asked.
        asked: EngineWord,
    },
    /// More datagrams a system call than the system takes.
    #[error("--batch {asked} is more than a system call takes; give at most {MAX_BATCH}")]
    BatchTooLarge {
        /// As asked.
        asked: u16,
    },
    /// A rate that makes no packet rate at this size.
    #[error("at {size} bytes: {source}")]
    Rate {
        /// The payload.
        size: PayloadSize,
        /// What is wrong with it.
        source: UnitError,
    },
}

/// The most datagrams a system call: `UIO_MAXIOV` of `include/uapi/linux/uio.h`, to which
/// sendmmsg(2) and recvmmsg(2) cut what they are asked for.
pub const MAX_BATCH: u16 = 1_024;
