//! The document of a bound receiver.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Host, Tool};

/// What a sink served and counted, `kind` `sink`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SinkDocument {
    /// Always `udperf/1`.
    pub schema: String,
    /// Always `sink`.
    pub kind: String,
    /// The program that made it.
    pub tool: Tool,
    /// Its arguments, the program's name first.
    pub command: Vec<String>,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// The host it ran on.
    pub host: Host,
    /// How long it served in ns.
    pub elapsed_ns: u64,
    /// Clients, in the order they left. Their cells are in their own reports.
    pub clients: Vec<SinkClient>,
    /// Clients beyond those that there is room for.
    pub more_clients: u64,
    /// What belonged to no client.
    pub others: SinkOthers,
}

/// One client of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Datagrams sent to it, likewise.
    pub sent: u64,
    /// Why it left.
    pub why: String,
}

/// What belonged to no client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SinkOthers {
    /// Datagrams.
    pub datagrams: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// Datagrams by payload: up to 1 byte, 2, 4, … 65,536.
    pub sizes: Vec<u64>,
    /// Gaps between one datagram and the next, whatever the source: median.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// The longest gap between two.
    pub gap_max_ns: u64,
}
