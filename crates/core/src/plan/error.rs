//! Errors of plans.

use super::engines::{EngineWord, MissingEngine};
use crate::engine::EnginePair;
use crate::engine::table::words;
use crate::plan::options::PaceKind;
use crate::unit::{Nanos, PayloadSize, UnitError};

/// The most cells of a run. Arbitrary: at 1 s each, more than a day.
pub(super) const MAX_CELLS: u64 = 100_000;

/// An invalid or impossible scenario.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum PlanError {
    #[error("--pin names core {core}, which this process may not run on; allowed are {allowed}")]
    NoSuchCore { core: usize, allowed: String },
    #[error("--time {asked} measures nothing; give at least 1ms")]
    NoTime { asked: Nanos },
    #[error("--{flag} {asked} is too long; a cell can take 24 hours at most")]
    TooLong { flag: &'static str, asked: Nanos },
    #[error("--pace {pace} needs a rate; add --rate, e.g. --rate 100k")]
    PaceWithoutRate { pace: PaceKind },
    #[error("--pace recorded follows the times of a capture; name one by --pcap, in `udperf load`")]
    NotRecorded,
    #[error("--pace {pace} brings its own rates; leave --rate away")]
    RampWithRate { pace: PaceKind },
    #[error(
        "--engine null moves nothing over a network; name another one, or measure it by udperf \
         bench"
    )]
    NullAcross,
    #[error(
        "--streams {streams} leaves some of --threads {threads} without work; ask for at least as \
         many streams as threads"
    )]
    IdleThreads { streams: u16, threads: u16 },
    #[error(
        "--outstanding {outstanding} on --threads {threads} leaves threads without a request; \
         ask for at least as many requests as threads"
    )]
    IdleWindow { outstanding: u32, threads: u16 },
    #[error(
        "--outstanding {outstanding} is more than half of the {ids} ids that these requests have \
         on {streams} streams; use more --streams, or fewer at once"
    )]
    FewIds { outstanding: u32, ids: u64, streams: u16 },
    #[error("--{flag} 0 leaves nothing to run; give at least 1")]
    Zero { flag: &'static str },
    #[error(
        "--port {port} with --threads {threads} needs ports above 65535; choose a lower --port"
    )]
    PortRange { port: u16, threads: u16 },
    #[error("{asked} cells are too many; shorten the lists or --trials to {MAX_CELLS} at most")]
    TooManyCells { asked: u64 },
    #[error(
        "--engine {asked}: {} is not available here: {}; choose another, or auto",
        missing.engine, missing.why
    )]
    NoEngine { asked: EnginePair, missing: MissingEngine },
    #[error(
        "--engine {asked}: echo has {}; name one of them, or auto",
        words(|row| row.echo.is_some())
    )]
    NoEcho { asked: EngineWord },
    #[error("--batch {asked} is more than a system call takes; give at most {MAX_BATCH}")]
    BatchTooLarge { asked: u16 },
    #[error("at {size} bytes: {source}")]
    Rate { size: PayloadSize, source: UnitError },
}

/// The most datagrams of a sendmmsg(2) or recvmmsg(2): `UIO_MAXIOV` of `include/uapi/linux/uio.h`.
pub const MAX_BATCH: u16 = 1_024;
