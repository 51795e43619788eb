//! The document of an echo server.

use serde::{Deserialize, Serialize};

use super::{Head, Refused, Spread};

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
    /// ICMP errors received for replies, up to the size of the error queue. Such replies count as
    /// returned.
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
}
