//! Errors of plans.

use super::options::{EngineWord, MissingEngine, PaceBy, PaceKind};
use crate::engine::EnginePair;
use crate::engine::table::words;
use crate::unit::{Nanos, PayloadSize, UnitError};

/// The most cells of a run. Arbitrary: at 1 s each, more than a day.
pub(super) const MAX_CELLS: u64 = 100_000;

/// An invalid or impossible scenario.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum PlanError {
    #[error("--pin names core {core}, which this process may not run on; allowed are {allowed}")]
    NoSuchCore { core: usize, allowed: String },
    #[error("--realtime needs pinned workers; remove --pin off, or name cores with --pin TX:RX")]
    RealtimeUnpinned,
    #[error(
        "--realtime needs a second CPU: one stays free of real-time workers, so that this host \
         remains reachable; allow more CPUs (taskset, cpuset), or omit --realtime"
    )]
    RealtimeOneCpu,
    #[error(
        "--realtime needs a core for each worker, and this process may use {cpus} CPUs; use fewer \
         --threads, other cores with --pin, or one process a host"
    )]
    RealtimeShared { cpus: usize },
    #[error("--time {requested} is too short; use at least 1ms")]
    NoTime { requested: Nanos },
    #[error("--{flag} {requested} is too long; a cell can take 24 hours at most")]
    TooLong { flag: &'static str, requested: Nanos },
    #[error("--pace {pace} needs a rate; add --rate, e.g. --rate 100k")]
    PaceWithoutRate { pace: PaceKind },
    #[error("--pace-by {by} needs a rate; add --rate, e.g. --rate 10k")]
    PaceByWithoutRate { by: PaceBy },
    #[error(
        "--pace-by {by}: {engine} cannot give each datagram its own departure time; use \
         --engine plain, batch, plain/RX or batch/RX"
    )]
    PaceByEngine { by: PaceBy, engine: EnginePair },
    #[error("--pace-by fq keeps an even rate; use --pace even, or --pace-by txtime")]
    PaceByPace,
    #[error(
        "--pace-by {by} is for datagrams that this end sends over IP; it is not available for \
         requests, AF_UNIX, --reverse and --bidir"
    )]
    PaceByRoute { by: PaceBy },
    #[error("--pace recorded needs the times of a capture; use `udperf load` with --pcap")]
    NotRecorded,
    #[error("--pace {pace} defines its own rates; omit --rate")]
    RampWithRate { pace: PaceKind },
    #[error(
        "--engine null sends no datagrams; use another engine, or measure it with udperf bench"
    )]
    NullAcross,
    #[error(
        "--streams {streams} leaves some of --threads {threads} idle; use at least as many \
         flows as threads"
    )]
    IdleThreads { streams: u16, threads: u16 },
    #[error(
        "--outstanding {outstanding} on --threads {threads} leaves threads idle; use at least as \
         many requests as threads"
    )]
    IdleWindow { outstanding: u32, threads: u16 },
    #[error(
        "--outstanding {outstanding} is more than half of the {ids} ids that these requests have \
         with --streams {streams}; use more --streams, or a smaller --outstanding"
    )]
    FewIds { outstanding: u32, ids: u64, streams: u16 },
    #[error("--{flag} 0 is invalid; use at least 1")]
    Zero { flag: &'static str },
    #[error("--port {port} with --threads {threads} needs ports above 65535; use a lower --port")]
    PortRange { port: u16, threads: u16 },
    #[error(
        "{requested} cells are too many; the maximum is {MAX_CELLS}: shorten the lists or --trials"
    )]
    TooManyCells { requested: u64 },
    #[error(
        "--engine {requested}: {} is not available here: {}; choose another, or auto",
        missing.engine, missing.why
    )]
    NoEngine { requested: EnginePair, missing: MissingEngine },
    #[error(
        "--engine {requested}: echo has {}; name one of them, or auto",
        words(|row| row.echo.is_some())
    )]
    NoEcho { requested: EngineWord },
    #[error("--batch {requested} is more than a system call takes; use at most {MAX_BATCH}")]
    BatchTooLarge { requested: u16 },
    #[error(
        "the engine xdp cannot connect two addresses of one network namespace, which loopback \
         joins; use --to ADDR --to-netns NAME (scripts/netns makes the namespaces)"
    )]
    XdpOverLoopback,
    #[error("at {size} bytes: {source}")]
    Rate { size: PayloadSize, source: UnitError },
}

/// The most datagrams of a sendmmsg(2) or recvmmsg(2): `UIO_MAXIOV` of `include/uapi/linux/uio.h`.
pub const MAX_BATCH: u16 = 1_024;
