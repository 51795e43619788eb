//! The documents of a sink and of an echo server.

use serde::{Deserialize, Serialize};

use super::{
    CpuThrottling, Head, Realtime, Refused, ServerInterval, SocketBuffer, Spread, Warning,
};

/// The clients and counters of a sink, `kind` `sink`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SinkDocument {
    /// The first fields; `kind` is `sink`.
    #[serde(flatten)]
    pub head: Head,
    /// How long it served in ns.
    pub elapsed_ns: u64,
    /// Clients, in the order they left. Their cells are in their own reports.
    pub clients: Vec<SinkClient>,
    /// Clients beyond the size of this list.
    pub more_clients: u64,
    /// Datagrams outside sessions.
    pub others: SinkOthers,
    /// The sockets that receive these and control messages: first one per address, then the others.
    pub listeners: Vec<SinkListener>,
    /// Control messages outside sessions: late, repeated or unreadable ones, and those of refused
    /// clients. No other counter includes them.
    pub stray_control: u64,
    /// How a CPU quota throttled the sink; `null` without a quota, or if it is unknown.
    #[serde(default)]
    pub cpu_throttling: Option<CpuThrottling>,
    /// Workers in real time; `null` without `--realtime`.
    #[serde(default)]
    pub realtime: Option<Realtime>,
    /// The counts over time; empty with `--interval 0`, and by default under 3 s.
    #[serde(default)]
    pub intervals: Vec<ServerInterval>,
    /// Warnings about these figures.
    pub warnings: Vec<Warning>,
}

/// One socket that listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SinkListener {
    /// Where it is bound.
    pub at: String,
    /// The core of its worker, for the first one without clients; `null` if not pinned.
    pub core: Option<u64>,
    /// Datagrams read there outside sessions.
    pub datagrams: u64,
    /// Datagrams dropped at its full receive buffer, control messages included; `null` if the
    /// system does not count them, and for AF_UNIX, where a full queue refuses datagrams.
    pub socket_drops: Option<u64>,
    /// Its receive buffer.
    pub socket_buffer: SocketBuffer,
}

/// One client of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SinkClient {
    /// Its address and port.
    pub from: String,
    /// When it connected, in ns since the sink began.
    pub came_ns: u64,
    /// When it left.
    pub left_ns: u64,
    /// Cells of this client whose measured part began.
    pub cells: u64,
    /// Of `cells`, those that were cut short: the client or the sink ended before them. Their
    /// datagrams count up to then. Older documents lack it.
    #[serde(default)]
    pub cells_cut_short: u64,
    /// Datagrams received from it in the measured parts of these cells, each sequence number once.
    pub received: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// Datagrams that it reported as sent and that did not arrive; `null` if a cell in which it
    /// sent was cut short, since it did not report how many it had sent.
    pub lost: Option<u64>,
    /// Datagrams whose sequence number had been received before.
    pub duplicate: u64,
    /// Datagrams too old to distinguish new from repeated.
    pub late: u64,
    /// Of `received`, those that arrived after a higher number; `null` in documents of earlier
    /// versions.
    #[serde(default)]
    pub reordered: Option<u64>,
    /// Datagrams of others that arrived at its sockets.
    pub foreign: u64,
    /// Datagrams with its tag but a damaged header.
    pub corrupt: u64,
    /// Datagrams sent to it in the measured parts.
    pub sent: u64,
    /// Why it left.
    pub why: String,
}

/// Datagrams outside sessions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SinkOthers {
    /// Number of datagrams.
    pub datagrams: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// Datagrams by payload: up to 1 byte, 2, 4, … 65,536.
    pub sizes: Vec<u64>,
    /// The smallest payload; `null` without datagrams.
    pub size_min: Option<u64>,
    /// The largest one.
    pub size_max: Option<u64>,
    /// When the first one arrived, in ns since the sink began; `null` without datagrams.
    pub first_ns: Option<u64>,
    /// When the last one arrived.
    pub last_ns: Option<u64>,
    /// The mean gap between datagrams of all sources and listeners; `null` below two.
    pub gap_mean_ns: Option<u64>,
    /// Median gap between one datagram and the next at the same listener, over all sources.
    pub gap_p50_ns: Option<u64>,
    /// 99th percentile of these gaps.
    pub gap_p99_ns: Option<u64>,
    /// The longest one.
    pub gap_max_ns: Option<u64>,
    /// Sources, those with most datagrams first.
    pub sources: Vec<SinkSource>,
    /// Datagrams of sources beyond the size of the list.
    pub of_other_sources: u64,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SinkSource {
    /// Its address and port.
    pub from: String,
    /// The multicast group that these datagrams were sent to: a source has an entry for each;
    /// `null` for other datagrams.
    #[serde(default)]
    pub group: Option<String>,
    /// Datagrams received from it.
    pub datagrams: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// The smallest payload in bytes.
    pub size_min: u64,
    /// The largest one.
    pub size_max: u64,
    /// When the first one arrived, in ns since the sink began.
    pub first_ns: u64,
    /// When the last one arrived.
    pub last_ns: u64,
    /// The longest gap between two of its datagrams at the same listener.
    pub gap_max_ns: u64,
    /// Its datagrams by sequence number; `null` unless most carry udperf's header (`--no-peer`).
    #[serde(default)]
    pub sequences: Option<SinkSequences>,
}

/// Datagrams of one source by their sequence numbers, those of warm-ups included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SinkSequences {
    /// Distinct sequence numbers.
    pub unique: u64,
    /// Missing numbers below the highest one that arrived. Losses after that one, or before the
    /// sink listened, are not counted.
    pub lost: u64,
    /// Numbers that had arrived before.
    pub duplicate: u64,
    /// Numbers too old to distinguish new from repeated, and those of a measurement that had ended.
    pub late: u64,
    /// Of `unique`, those that arrived after a higher number.
    pub reordered: u64,
    /// Datagrams without a sequence number of udperf.
    pub other: u64,
}

/// The counters of an echo server, `kind` `echo`. Each datagram has one outcome: `received` =
/// `returned` + all of `refused` + `dropped` + `unanswered` + `overflow` + `waiting`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EchoDocument {
    /// The first fields; `kind` is `echo`.
    #[serde(flatten)]
    pub head: Head,
    /// The engine: `plain`, `batch`, `offload` or `uring`.
    pub engine: String,
    /// Workers, each with a socket of its own.
    pub threads: u64,
    /// How they waited: `spin`, `hybrid` or `epoll`.
    pub wait: String,
    /// Workers in real time; `null` without `--realtime`.
    #[serde(default)]
    pub realtime: Option<Realtime>,
    /// How long each reply was delayed; `null`: not at all.
    pub delay_ns: Option<u64>,
    /// Datagrams to drop as requested: `1%`, `1/8`; `null`: none.
    pub drop: Option<String>,
    /// How long it served in ns.
    pub elapsed_ns: u64,
    /// From the first datagram to the last one, in ns; `null` without datagrams.
    pub active_ns: Option<u64>,
    /// Datagrams received.
    pub received: u64,
    /// Their payload in bytes.
    pub received_bytes: u64,
    /// Packets received: datagrams, or super-packets of several.
    pub packets: u64,
    /// Truncated datagrams.
    pub truncated: u64,
    /// Datagrams returned.
    pub returned: u64,
    /// Their payload in bytes.
    pub returned_bytes: u64,
    /// Datagrams returned per second of `active_ns`; `null` below two datagrams.
    pub pps: Option<f64>,
    /// Replies that the system refused.
    pub refused: Refused,
    /// Datagrams dropped by `--drop`.
    pub dropped: u64,
    /// Datagrams whose sender might answer the reply, or has no address.
    pub unanswered: u64,
    /// Datagrams that exceeded the delay queue.
    pub overflow: u64,
    /// Datagrams in the delay queue at the end.
    pub waiting: u64,
    /// How late delayed replies left.
    pub lateness: Option<Spread>,
    /// ICMP errors for replies, up to the size of the error queue; such replies count as returned.
    pub told_unreachable: u64,
    /// Super-packets that the system refused, returned as single datagrams.
    pub cut: u64,
    /// Datagrams dropped at full receive buffers; `null` if the system does not count them.
    pub socket_drops: Option<u64>,
    /// System calls that received or sent, without those that waited.
    pub syscalls: u64,
    /// Receive calls that found the queue empty.
    pub empty_calls: u64,
    /// Receive calls that failed for another reason.
    pub errors: u64,
    /// CPU time of all workers in ns; `null` if unknown.
    pub cpu_ns: Option<u64>,
    /// Number of sender addresses, up to the limit of the table.
    pub clients: u64,
    /// Whether there were more.
    pub more_clients: bool,
    /// Datagrams received by each worker.
    pub by_worker: Vec<u64>,
    /// The counts over time; empty with `--interval 0`, and by default under 3 s.
    #[serde(default)]
    pub intervals: Vec<ServerInterval>,
}
