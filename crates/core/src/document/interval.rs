//! A cell over time.

use serde::{Deserialize, Serialize};

/// The datagrams that were due in one interval of a cell, wherever and whenever they arrived; flat
/// out, those stamped in it. The sums over all intervals are the figures of the cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interval {
    /// Start in ns since the cell began.
    pub start_ns: u64,
    /// End in ns; the last interval may end earlier than its width.
    pub end_ns: u64,
    /// Datagrams (or requests) sent.
    pub sent: u64,
    /// Datagrams that the system refused to send.
    pub refused: u64,
    /// Slots of the schedule that were too late to be sent; `null` for `max`.
    pub missed: Option<u64>,
    /// Datagrams received, each sequence number once, or requests answered; `null` if unknown, as
    /// the next four.
    pub received: Option<u64>,
    /// Datagrams lost, or requests not answered: `sent` less `received`.
    pub lost: Option<u64>,
    /// Repeated datagrams.
    pub duplicate: Option<u64>,
    /// Datagrams too late to classify. A response whose request is not known any more counts in the
    /// interval in which it arrived.
    pub late: Option<u64>,
    /// Datagrams that arrived after a later one of their flow.
    pub reordered: Option<u64>,
    /// Requests that timed out; `null` if datagrams are not requests.
    pub timeouts: Option<u64>,
    /// Responses with an error code; `null` if datagrams are not requests.
    pub errors: Option<u64>,
    /// Latency from the schedule; `null` if no datagram was received.
    pub latency: Option<IntervalLatency>,
    /// 99th percentile of the delay from the due time to the send, within 0.8 %; `null` for `max`.
    pub lag_p99_ns: Option<u64>,
    /// Stalls of workers that ended in the interval.
    pub stalls: u64,
    /// Their sum in ns.
    pub stalled_ns: u64,
    /// What the kernel counted as dropped while the interval lasted; `null` if its counters were
    /// not read at both ends of the interval, as in intervals under 0.25 s and between hosts.
    pub kernel_drops: Option<KernelDrops>,
    /// CPU time of all workers in ns; `null` if the system does not report it.
    pub cpu_ns: Option<u64>,
}

/// Increases of the kernel's drop counters, read up to 0.25 s after the ends of an interval. They
/// count all traffic of the network namespace, and drops by their own time, whenever the datagram
/// was due. `null`: the system does not count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KernelDrops {
    /// At full receive buffers.
    pub receive_buffer: Option<u64>,
    /// At the backlog of a CPU.
    pub backlog: Option<u64>,
    /// By network devices on the path, when receiving.
    pub device: Option<u64>,
    /// By network devices on the path, when sending.
    pub tx_device: Option<u64>,
    /// By queueing disciplines on the path.
    pub qdisc: Option<u64>,
    /// For a wrong checksum.
    pub checksum: Option<u64>,
    /// At ports without a socket.
    pub no_port: Option<u64>,
}

/// Latency of the datagrams of an interval in ns; a figure below the `bound_ns` of the cell's
/// latency is `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IntervalLatency {
    /// Median, within 0.8 %, as all percentiles.
    pub p50_ns: Option<u64>,
    /// 90th percentile.
    pub p90_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// 99.9th percentile.
    pub p99_9_ns: Option<u64>,
    /// Exact maximum.
    pub max_ns: Option<u64>,
}
