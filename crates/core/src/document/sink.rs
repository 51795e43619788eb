//! The document of a bound receiver.

use serde::{Deserialize, Serialize};

use super::{CpuThrottling, Head, SocketBuffer, Warning};

/// What a sink served and counted, `kind` `sink`.
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
    /// Clients beyond those that there is room for.
    pub more_clients: u64,
    /// What belonged to no client.
    pub others: SinkOthers,
    /// The sockets that listen for that, and for control messages: the first one of each address,
    /// then all others.
    pub listeners: Vec<SinkListener>,
    /// Control messages that no client's session had use for: late or repeated ones, such as cannot
    /// be read, and those of clients that were refused. They are counted nowhere else.
    pub stray_control: u64,
    /// How a CPU quota throttled the sink; `null` without a quota, or if the system does not report
    /// it.
    #[serde(default)]
    pub cpu_throttling: Option<CpuThrottling>,
    /// What makes these figures unfit to trust.
    pub warnings: Vec<Warning>,
}

/// One socket that listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SinkListener {
    /// Where it is bound.
    pub at: String,
    /// The core that its worker was pinned to, the first one's while no client was there; `null`:
    /// to none.
    pub core: Option<u64>,
    /// Datagrams read there that belonged to no client.
    pub datagrams: u64,
    /// Datagrams that its receive buffer had no room for, of clients' control messages, too; `null`
    /// where the system does not count, and of AF_UNIX, where a full queue refuses.
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
    /// When it came, in ns since the sink began.
    pub came_ns: u64,
    /// When it left.
    pub left_ns: u64,
    /// Cells that were handed over to it.
    pub cells: u64,
    /// Datagrams received from it in those, in the measured parts, each sequence number once.
    pub received: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// Datagrams that it says it sent in them and that were not received.
    pub lost: u64,
    /// Datagrams whose sequence number had been received before.
    pub duplicate: u64,
    /// Datagrams too old to tell whether they were.
    pub late: u64,
    /// Datagrams that arrived among its own and were not.
    pub foreign: u64,
    /// Datagrams of its own by the tag, but not by the rest.
    pub corrupt: u64,
    /// Datagrams sent to it, likewise.
    pub sent: u64,
    /// Why it left.
    pub why: String,
}

/// What belonged to no client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SinkOthers {
    /// Datagrams.
    pub datagrams: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// Datagrams by payload: up to 1 byte, 2, 4, … 65,536.
    pub sizes: Vec<u64>,
    /// The smallest payload; `null` without datagrams.
    pub size_min: Option<u64>,
    /// The largest one.
    pub size_max: Option<u64>,
    /// When the first one came, in ns since the sink began; `null` without datagrams.
    pub first_ns: Option<u64>,
    /// When the latest one came.
    pub last_ns: Option<u64>,
    /// The mean gap between one datagram and the next, whatever the source, and whichever listener
    /// they came to; `null` below two.
    pub gap_mean_ns: Option<u64>,
    /// Gaps between one datagram and the next at the same listener, whatever the source: median.
    pub gap_p50_ns: Option<u64>,
    /// 99th percentile of those.
    pub gap_p99_ns: Option<u64>,
    /// The longest one.
    pub gap_max_ns: Option<u64>,
    /// Sources, those with most datagrams first.
    pub sources: Vec<SinkSource>,
    /// Datagrams of sources beyond those that there is room for.
    pub of_other_sources: u64,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SinkSource {
    /// Its address and port.
    pub from: String,
    /// Datagrams that came from it.
    pub datagrams: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// The smallest payload in bytes.
    pub size_min: u64,
    /// The largest one.
    pub size_max: u64,
    /// When the first one came, in ns since the sink began.
    pub first_ns: u64,
    /// When the latest one came.
    pub last_ns: u64,
    /// No gap between two was longer, and where all came to one listener, one was as long. Where
    /// several heard it at the same time, the longest that one of them saw.
    pub gap_max_ns: u64,
    /// Its datagrams by sequence number; `null` unless most of them carry udperf's header, as those
    /// of `blast --no-peer` do.
    #[serde(default)]
    pub sequences: Option<SinkSequences>,
}

/// Datagrams of one source by their sequence numbers, those of warm-ups included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SinkSequences {
    /// Distinct sequence numbers.
    pub unique: u64,
    /// Missing numbers below the highest one that arrived. Losses after that one, or before the
    /// sink listened, are not counted.
    pub lost: u64,
    /// Numbers that had arrived before.
    pub duplicate: u64,
    /// Numbers too old to tell, and those of a measurement that had ended.
    pub late: u64,
    /// Of `unique`, those that arrived after a higher number.
    pub reordered: u64,
    /// Datagrams without a sequence number of udperf.
    pub other: u64,
}
