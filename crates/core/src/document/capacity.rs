//! What a capacity probe found, and what the processes of a server used.

use serde::{Deserialize, Serialize};

use super::ContextSwitches;

/// The capacity of a server, from a probe before the cells (`load` without a rate): a closed loop
/// whose window doubles, then an open loop around the rate that it reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Capacity {
    /// The highest rate answered within the loss limit, in requests per second; `null` if no step
    /// of the open loop was.
    pub requests_per_s: Option<f64>,
    /// The lowest requested rate that was not answered or not sent; `null` if there is none.
    pub failed_per_s: Option<f64>,
    /// Share of requests that may stay without an answer, 0 to 1.
    pub loss_limit: f64,
    /// What the limit was; `null` if there is no evidence.
    pub limited_by: Option<CapacityLimit>,
    /// The evidence for that, or what is unknown, as text.
    pub evidence: String,
    /// Length of the probe in ns.
    pub time_ns: u64,
    /// Why it ended early: `interrupted`, or `time` (of 5 s); `null` if it ended by itself.
    pub cut_short_because: Option<String>,
    /// The steps in order.
    pub steps: Vec<CapacityStep>,
}

/// What limited a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CapacityLimit {
    /// The server: its receive buffer overflowed, its CPU was busy, or it read requests and did not
    /// answer them.
    Server,
    /// udperf: it sent less than requested, its CPU was busy, or its own sockets dropped replies.
    Generator,
    /// The network between them: a counter on the path has the drops.
    Path,
}

impl CapacityLimit {
    /// Its name in the document.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Generator => "generator",
            Self::Path => "path",
        }
    }
}

/// What limited a run at its rate, by the counters of its cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CellLimit {
    /// What the limit was; `null` if there is no evidence.
    pub limited_by: Option<CapacityLimit>,
    /// The evidence for that, or what is unknown, as text.
    pub evidence: String,
}

/// One step of a capacity probe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CapacityStep {
    /// Maximum requests in flight; `null` in the open loop.
    pub outstanding: Option<u64>,
    /// The requested rate in requests per second; `null` in the closed loop.
    pub rate_per_s: Option<f64>,
    /// Length of the sending in ns.
    pub time_ns: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests answered within the timeout.
    pub answered: u64,
    /// Of those, requests whose answer was an error.
    #[serde(default)]
    pub errors: u64,
    /// Requests answered after the step had ended; `null` if unknown.
    pub after_window: Option<u64>,
    /// Timeout of its requests in ns.
    pub timeout_ns: u64,
    /// Requests sent per second.
    pub sent_per_s: Option<f64>,
    /// Requests answered per second.
    pub answered_per_s: Option<f64>,
    /// Share of requests without an answer, 0 to 1; `null` if none was sent.
    pub loss: Option<f64>,
    /// Median of latency in ns; `null` if none was answered.
    pub p50_ns: Option<u64>,
    /// Its 99th percentile in ns.
    pub p99_ns: Option<u64>,
    /// Whether the rate was sent, and answered within the loss limit without falling behind.
    pub held: bool,
    /// What the server used meanwhile; `null` without `--server-pid` and `--server-unit`.
    pub server: Option<ServerUsage>,
}

/// What the processes of a server used, of `--server-pid` or `--server-unit`, from the start of a
/// cell or interval to its end, read up to 0.25 s late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerUsage {
    /// Time between the two readings in ns.
    pub time_ns: u64,
    /// Processes at the end.
    pub processes: u64,
    /// Their threads.
    pub threads: u64,
    /// CPU time of all processes in ns; `null` if one of them ended meanwhile.
    pub cpu_ns: Option<u64>,
    /// CPU time of the thread that used most, in ns; `null` if it is unknown.
    pub busiest_thread_ns: Option<u64>,
    /// Resident memory at the end in bytes.
    pub rss_bytes: Option<u64>,
    /// Context switches of all threads.
    pub context_switches: Option<ContextSwitches>,
    /// Datagrams dropped at the full receive buffers of their sockets on the port of the target;
    /// `null` if their files cannot be read, which takes root or their user.
    pub socket_drops: Option<u64>,
}

impl ServerUsage {
    /// CPU time of the busiest thread as a share of this time in ns.
    pub fn busiest_share(&self, elapsed_ns: u64) -> Option<f64> {
        share(self.busiest_thread_ns?, elapsed_ns)
    }

    /// CPU time of all threads as a share of this time in ns; 2: two CPUs.
    pub fn cpu_share(&self, elapsed_ns: u64) -> Option<f64> {
        share(self.cpu_ns?, elapsed_ns)
    }
}

fn share(cpu_ns: u64, elapsed_ns: u64) -> Option<f64> {
    (elapsed_ns > 0).then(|| cpu_ns as f64 / elapsed_ns as f64)
}
