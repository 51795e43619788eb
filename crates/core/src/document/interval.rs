//! A cell over time.

use serde::{Deserialize, Serialize};

use super::ServerUsage;

/// The datagrams that were due in one interval of a cell, wherever and whenever they arrived; flat
/// out, those stamped in it. The sums over all intervals are the figures of the cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interval {
    /// Start in ns since the cell began.
    pub start_ns: u64,
    /// End in ns; the last interval may end earlier than its width.
    pub end_ns: u64,
    /// Datagrams (or requests) sent; of another host while it sends, those that sequence numbers
    /// showed.
    pub sent: u64,
    /// Datagrams that the system refused to send; `null` while another host sends.
    pub refused: Option<u64>,
    /// Slots of the schedule that were too late to be sent; `null` for `max`.
    pub missed: Option<u64>,
    /// Datagrams received, each sequence number once, or requests answered; `null` if unknown, as
    /// the next four. Replies without ids (`in_order`) may have answered other requests if any
    /// timed out: then this, `lost`, `timeouts`, `errors` and latency are `null`, and also while
    /// the cell runs.
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
    /// Requests that timed out; `null` if unknown, or if datagrams are not requests.
    pub timeouts: Option<u64>,
    /// Responses with an error code; `null` as `timeouts`.
    pub errors: Option<u64>,
    /// Latency from the schedule; `null` if no datagram was received.
    pub latency: Option<IntervalLatency>,
    /// Received datagrams by latency, as text: `12288:40 14336:7` for 40 of at least 12,288 ns and
    /// 7 of at least 14,336 ns, less than the next bucket. There are four buckets a doubling of
    /// latency, and empty ones are omitted; `null` if no datagram was received, and in older
    /// documents. What is below the `bound_ns` of the cell's latency means little.
    #[serde(default)]
    pub latency_histogram: Option<String>,
    /// 99th percentile of the delay from the due time to the send, within 0.8 %; `null` for `max`.
    pub lag_p99_ns: Option<u64>,
    /// Stalls of workers that ended in the interval; `null` for servers, as their sum.
    pub stalls: Option<u64>,
    /// Their sum in ns.
    pub stalled_ns: Option<u64>,
    /// What the kernel counted as dropped while the interval lasted, and in `xdp_ring` also what
    /// udperf dropped between its threads; `null` if its counters were not read at both ends of
    /// the interval, as in intervals under 0.25 s.
    pub kernel_drops: Option<KernelDrops>,
    /// CPU time of all workers in ns; `null` if the system does not report it.
    pub cpu_ns: Option<u64>,
    /// What the processes of the server of requests used; `null` without `--server-pid` and
    /// `--server-unit`, and if they were not read at both ends of the interval.
    #[serde(default)]
    pub server: Option<ServerUsage>,
    /// Replies to the first requests of exchanges, in the interval in which the exchange was due,
    /// like `timeouts`; `null` if exchanges have one request or no second one is answered, and in
    /// older documents.
    #[serde(default)]
    pub first_step: Option<IntervalStep>,
    /// Replies to later requests of exchanges; `null` in the same cases as `first_step`.
    #[serde(default)]
    pub second_step: Option<IntervalStep>,
}

/// Replies to one step of exchanges in an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IntervalStep {
    /// Requests with a reply in time.
    pub answered: u64,
    /// Mean latency in ns, as in `exchange.steps`; `null` without replies.
    pub mean_ns: Option<u64>,
    /// Its exact maximum.
    pub max_ns: Option<u64>,
}

/// What a server counted in one interval: by arrival, not by due times, which foreign traffic does
/// not have. Only the cells of a sink's clients have due times: each of their intervals counts in
/// the one of the sink that has its middle, once the cell has ended. The sums over all intervals
/// are the counts of the document. What comes after 39 hours counts in the last interval.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerInterval {
    /// The fields of an interval of a cell. `received`: datagrams that an echo server received, or
    /// a sink from its clients in the measured parts of their cells, each sequence number once.
    /// `sent`: replies, or what a sink sent to clients. Losses have the interval in which sequence
    /// numbers showed them; the datagrams of a client after its last one received count in its last
    /// interval. `lost` is `null` in intervals of a cell that was cut short.
    #[serde(flatten)]
    pub counts: Interval,
    /// Payload of `received` in bytes.
    pub received_bytes: u64,
    /// Datagrams outside the sessions of a sink; `null` for an echo server.
    pub unsolicited: Option<u64>,
    /// Their payload in bytes.
    pub unsolicited_bytes: Option<u64>,
    /// Drops at the full receive buffers of the listening sockets, read at the end of the interval;
    /// `null` if the system does not count them.
    pub socket_drops: Option<u64>,
}

impl Interval {
    /// Lower ends in ns of the buckets of `latency_histogram`, and how many lie in each. What is
    /// not written like that is omitted.
    pub fn latencies(&self) -> impl Iterator<Item = (u64, u64)> {
        let buckets = self.latency_histogram.iter().flat_map(|text| text.split(' '));
        buckets.filter_map(|bucket| {
            let (low_ns, count) = bucket.split_once(':')?;
            Some((low_ns.parse().ok()?, count.parse().ok()?))
        })
    }
}

/// Increases of the kernel's drop counters, read up to 0.25 s after the ends of an interval. They
/// count all traffic of the network namespace, and drops by their own time, whenever the datagram
/// was due. `null`: the system does not count them, or the datagrams do not pass there.
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
    /// At rings of the engine `xdp` of these workers; `null` for other engines, while the receivers
    /// are not known, and for a server.
    pub xdp_ring: Option<u64>,
}

impl KernelDrops {
    /// Each place, as in `lost_at` of a ledger, and its drops.
    pub const fn places(&self) -> [(&'static str, Option<u64>); 8] {
        [
            ("receive_buffer", self.receive_buffer),
            ("backlog", self.backlog),
            ("device", self.device),
            ("tx_device", self.tx_device),
            ("qdisc", self.qdisc),
            ("checksum", self.checksum),
            ("no_port", self.no_port),
            ("xdp_ring", self.xdp_ring),
        ]
    }
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
