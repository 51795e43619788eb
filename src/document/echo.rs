//! The document of an echo server.

use serde::{Deserialize, Serialize};

use super::{Host, Refused, Spread, Tool};

/// What an echo server returned, `kind` `echo`. Each datagram has one fate: `received` = `returned`
/// + all of `refused` + `dropped` + `unanswered` + `overflow` + `waiting`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EchoDocument {
    /// Always `udperf/1`.
    pub schema: String,
    /// Always `echo`.
    pub kind: String,
    /// The program that made it.
    pub tool: Tool,
    /// Its arguments, the program's name first.
    pub command: Vec<String>,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// The host it ran on.
    pub host: Host,
    /// How it answered: `plain`, `batch`, `offload` or `uring`.
    pub engine: String,
    /// Workers, each with a socket of its own.
    pub threads: u64,
    /// How they waited: `spin`, `hybrid` or `epoll`.
    pub wait: String,
    /// How long each answer was held back; `null`: not at all.
    pub delay_ns: Option<u64>,
    /// What was not to be answered, as asked: `1%`, `1/8`; `null`: nothing.
    pub drop: Option<String>,
    /// How long it served in ns.
    pub elapsed_ns: u64,
    /// From the first datagram to the last one, in ns; `null` where there were none.
    pub active_ns: Option<u64>,
    /// Datagrams received.
    pub received: u64,
    /// Their payload in bytes.
    pub received_bytes: u64,
    /// What the kernel handed over as one: as many as datagrams, or fewer super-packets.
    pub packets: u64,
    /// Datagrams that were cut off for want of room.
    pub truncated: u64,
    /// Datagrams returned.
    pub returned: u64,
    /// Their payload in bytes.
    pub returned_bytes: u64,
    /// Those a second, while datagrams came; `null` where fewer than two did.
    pub pps: Option<f64>,
    /// Datagrams that the system did not take back.
    pub refused: Refused,
    /// Datagrams that `--drop` kept from being returned.
    pub dropped: u64,
    /// Datagrams of senders that might answer the answer, or that have no address.
    pub unanswered: u64,
    /// Datagrams that the room for delayed ones was too small for.
    pub overflow: u64,
    /// Datagrams that were still waiting for their moment at the end.
    pub waiting: u64,
    /// How much later than their moment delayed datagrams left.
    pub lateness: Option<Spread>,
    /// How often the network told that an answer had not arrived (ICMP), as far as the socket had
    /// room for that. Those count as returned.
    pub told_unreachable: u64,
    /// Super-packets that the system did not take whole, and that went in single datagrams.
    pub cut: u64,
    /// Datagrams that the sockets had no room for; `null` where the system does not count.
    pub socket_drops: Option<u64>,
    /// System calls that received and sent, those of waiting not among them.
    pub syscalls: u64,
    /// Those among them that found nothing to receive.
    pub empty_calls: u64,
    /// Calls to receive that failed for another reason than an empty queue.
    pub errors: u64,
    /// CPU time of all workers in ns; `null` where it is not known.
    pub cpu_ns: Option<u64>,
    /// Addresses that datagrams came from, as far as there is room to count them.
    pub clients: u64,
    /// Whether there were more.
    pub more_clients: bool,
    /// Datagrams received by each worker.
    pub by_worker: Vec<u64>,
}
