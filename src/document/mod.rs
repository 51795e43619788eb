//! The document: one versioned JSON object that every face reads. Counters are integers, times
//! integer nanoseconds, rates numbers per second; what is unknown is `null`, never 0.

mod breakdown;
mod echo;
mod host;
mod input;
mod latency;
mod ledger;
mod outage;
mod packets;
mod remote;
mod requests;
pub mod schema;
mod search;
mod sink;
mod usage;
mod validity;

use serde::{Deserialize, Serialize};

pub use crate::document::breakdown::{Leg, Legs};
pub use crate::document::remote::{Clock, FlowCounts, FlowSpread, Flows};
pub use crate::document::requests::Exchange;
pub use echo::EchoDocument;
pub use host::{Capability, CgroupLimits, CpuThrottling, Device, Host, Irq};
pub use input::{CaptureClock, InputSummary};
pub use latency::{Bounded, Latency, OutsideStalls, UpperLimits, bounded};
pub use ledger::{Ledger, LostAt, Refused};
pub use outage::Outage;
pub use packets::{Choice, Failed, LeftOut, Packets, Tried};
pub use search::{
    CurvePoint, Found, LimitedBy, ProbeFigures, SearchDocument, TrialCount, TrialDocument,
    TrialFigures, TrialVerdict, Verified,
};
pub use sink::{SinkClient, SinkDocument, SinkListener, SinkOthers, SinkSequences, SinkSource};
pub use usage::{ContextSwitches, PerDatagram};
pub use validity::{Gate, InvalidReason, MAX_MISSED};

/// Name and version of the document's form.
pub const SCHEMA: &str = "udperf/1";

/// A finished measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// Always `udperf/1`.
    pub schema: String,
    /// Which command made it: `bench`, `blast`, `load`, `ping` or `search`.
    pub kind: String,
    /// The program that made it.
    pub tool: Tool,
    /// Its arguments, the program's name first.
    pub command: Vec<String>,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// The host it ran on.
    pub host: Host,
    /// How the other end's clock goes; `null` where there is no other end, or nothing is known.
    pub clock: Option<Clock>,
    /// What was asked, with all defaults filled in.
    pub scenario: serde_json::Value,
    /// The file of requests; `null` without one, or if its records are not counted.
    #[serde(default)]
    pub input: Option<InputSummary>,
    /// What `auto` stood for; `null` where nobody asked.
    pub choice: Option<Choice>,
    /// The path MTU to the target in bytes, as the kernel knew it after the run; `null` if it is
    /// unknown, or if this host sent no datagrams.
    #[serde(default)]
    pub path_mtu: Option<u64>,
    /// How a CPU quota throttled this process during the run; `null` without a quota, or if the
    /// system does not report it.
    #[serde(default)]
    pub cpu_throttling: Option<CpuThrottling>,
    /// What makes the whole run unfit to trust.
    pub warnings: Vec<Warning>,
    /// Whether the run tested what was asked: `false` if `invalid_because` has a reason. For older
    /// documents without this field it is computed when they are read.
    #[serde(default = "validity::yes")]
    pub valid: bool,
    /// Why the run did not test what was asked; empty if it did.
    #[serde(default)]
    pub invalid_because: Vec<InvalidReason>,
    /// Share of a cell's schedule that may be missed, 0 to 1; if more was missed, the run is
    /// invalid.
    #[serde(default = "validity::max_missed")]
    pub max_missed: f64,
    /// The result of each `--fail-if` in each cell it was checked in; empty without `--fail-if`.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// One per size, engine, rate and trial, in the order they ran.
    pub cells: Vec<Cell>,
}

/// A program, exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tool {
    /// Its version.
    pub version: String,
    /// The commit whose sources were compiled, short; with `+` where they had changes.
    pub git: Option<String>,
    /// `release`, which is any optimised build, or `debug`.
    pub profile: String,
    /// Optional parts that were built in.
    pub features: Vec<String>,
}

/// A reason to doubt a figure, and what would mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Warning {
    /// Stable over time, for scripts: lower case with underscores.
    pub code: String,
    /// For people: what is wrong, and what to do.
    pub message: String,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cell {
    /// `plain/64/max`: engine, payload bytes, rate as asked. The same in all trials.
    pub id: String,
    /// `forward`: from this end to the other; `reverse`: from there; `null`: both ends were here.
    pub direction: Option<String>,
    /// How the two ends stood to each other: `together`, in one network namespace: every datagram
    /// is in some counter; `apart`, in two of one host; `remote`, on two hosts, with a network
    /// between them that counts for neither; `null` where nothing is known of the other end.
    pub ends: Option<String>,
    /// Which repeat, from 0.
    pub trial: u32,
    /// How it was sent and received.
    pub engine: Engine,
    /// Payload in bytes; of a mix, its mean, rounded.
    pub size: u64,
    /// The mix, where the payload is one.
    pub size_mix: Option<String>,
    /// Flows.
    pub streams: u64,
    /// Senders, and receivers.
    pub threads: u64,
    /// The rate as asked: `max`, `100k`, `1Gbit`, `50%`.
    pub rate: String,
    /// That in datagrams a second; `null` for `max`.
    pub rate_pps: Option<f64>,
    /// How datagrams followed each other; `null` for `max`.
    pub pace: Option<String>,
    /// How workers waited: `spin`, `hybrid` or `epoll`. Hybrid becomes epoll where both ends share
    /// a core.
    pub wait: String,
    /// The senders' window in ns: all that was sent was due in it.
    pub elapsed_ns: u64,
    /// Whether this was measured only to learn what `max` is.
    pub calibration: bool,
    /// Whether the run was cut short before its end.
    pub cut_short: bool,
    /// Why: `interrupted`, `stuck` (nothing could be sent for 2 s), `unreachable` (the target could
    /// not be reached for 2 s, and never was), `peer_lost` (the sink, so that `rx` is `null`).
    #[serde(default)]
    pub cut_short_because: Option<String>,
    /// The sending side.
    pub tx: Side,
    /// The receiving side; `null` where nothing is known of it, as of all that it would tell.
    pub rx: Option<Side>,
    /// What a datagram cost, both sides together.
    #[serde(default)]
    pub per_datagram: PerDatagram,
    /// What the kernel handled as one.
    pub packets: Packets,
    /// Every datagram by fate.
    pub ledger: Ledger,
    /// How flows fared beside each other; `null` for one flow, or where nothing is known of what
    /// arrived.
    pub flows: Option<Flows>,
    /// Datagrams received by each receiver; `null` where nothing is known of them.
    pub workers: Option<Vec<u64>>,
    /// Latency from the schedule; `null` where nothing was received.
    pub latency: Option<Latency>,
    /// Latency from the actual send; `null` where the payload has no room for its stamp (under 18
    /// bytes) or nothing was received.
    pub from_send: Option<Latency>,
    /// The part of `latency` up to the kernel's receive timestamp; `null` without such.
    pub to_socket: Option<Latency>,
    /// The rest: from there to the application's read.
    pub in_socket: Option<Latency>,
    /// The whole way of a sample in legs, by timestamps of both kernels; `null` without such.
    pub legs: Option<Legs>,
    /// How punctual the senders were; `null` for `max`.
    pub schedule: Option<Schedule>,
    /// Interarrival jitter (RFC 3550), mean over flows.
    pub jitter_ns: Option<u64>,
    /// When workers stood still.
    pub stalls: Stalls,
    /// What the kernel counted meanwhile.
    pub kernel: Kernel,
    /// What became of requests; `null` where datagrams are none.
    pub exchange: Option<Exchange>,
    /// Times in which the senders could not reach the target, in order.
    #[serde(default)]
    pub outages: Vec<Outage>,
    /// What makes this cell unfit to trust.
    pub warnings: Vec<Warning>,
}

impl Cell {
    /// Whether it asked for more only where answers came: then its latency is not that of a queue.
    #[must_use]
    pub fn is_closed_loop(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.outstanding.is_some())
    }
}

/// Engines, asked for and really used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Engine {
    /// Sending, as asked.
    pub tx: String,
    /// Receiving, as asked.
    pub rx: String,
    /// Sending, as it was.
    pub tx_active: String,
    /// Receiving, as it was; `null` where nothing is known of the receiver.
    pub rx_active: Option<String>,
}

/// One side of a measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Side {
    /// Datagrams sent; or received, each sequence number once.
    pub datagrams: u64,
    /// Of those, datagrams that were due within the senders' window; the rates count these.
    pub datagrams_in_window: u64,
    /// Datagrams that were read after the end of the window, because they were still on the path.
    /// `null` for the sending side, and if the receiver learnt the end of the window too late:
    /// between hosts, if the cell ended by a count or early.
    #[serde(default)]
    pub datagrams_after_window: Option<u64>,
    /// Payload of `datagrams` in bytes.
    pub bytes: u64,
    /// `datagrams_in_window` over `elapsed_ns`; `null` where the window has no length.
    pub pps: Option<f64>,
    /// Payload bits of those, a second.
    pub bits_per_second: Option<f64>,
    /// System calls that moved, or tried to move, datagrams.
    pub syscalls: u64,
    /// CPU time of the workers in ns.
    pub cpu_ns: Option<u64>,
    /// How often they left their CPUs. Of requests, the sending side has all of this.
    pub context_switches: Option<ContextSwitches>,
    /// Instructions they retired; `null` where the CPU has no counter, or nobody may read it.
    pub instructions: Option<u64>,
    /// Which ones: `user+kernel`, or `user` where those in the kernel are kept back.
    pub instructions_kind: Option<String>,
    /// Cores the workers were pinned to, by worker; empty where they were not.
    pub cores: Vec<u64>,
    /// Socket buffer.
    pub socket_buffer: SocketBuffer,
}

/// A socket buffer in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SocketBuffer {
    /// As asked.
    pub asked: u64,
    /// As granted, read back: Linux doubles what it grants, for its own bookkeeping.
    pub granted: Option<u64>,
}

/// How punctual the senders were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Schedule {
    /// Slots that came up: attempted + missed.
    pub scheduled: u64,
    /// Slots too long overdue to be sent.
    pub missed: u64,
    /// From the intended moment to the departure.
    pub lag: Spread,
    /// Between departures of one worker.
    pub gap: Spread,
    /// The same, without gaps that held a stall or the catching up after one.
    pub gap_outside_stalls: Spread,
}

/// Three points of a distribution in ns; `null` where it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Spread {
    /// Median.
    pub p50_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// Maximum.
    pub max_ns: Option<u64>,
}

/// When workers stood still for more than 1 ms: their CPU was taken away, or a system call took so
/// long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stalls {
    /// Of the senders.
    pub tx: StallSum,
    /// Of the receivers; `null` where nothing is known of them.
    pub rx: Option<StallSum>,
    /// CPU time the hypervisor took meanwhile, all CPUs; of two hosts, from both.
    pub stolen_ns: Option<u64>,
}

/// Stalls of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StallSum {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub total_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// What the kernel counted between start and end of the measured part: the source of `lost_at`,
/// and the cross-check of what udperf counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Kernel {
    /// Dropped at our receiving sockets.
    pub socket_drops: Option<u64>,
    /// UDP datagrams read, network namespace of the receivers, as all that follows unless said.
    pub in_datagrams: Option<u64>,
    /// UDP datagrams sent, the senders' network namespace.
    pub out_datagrams: Option<u64>,
    /// Dropped for want of receive buffer, network namespace.
    pub rcvbuf_errors: Option<u64>,
    /// Not sent for want of buffer, the senders' network namespace.
    pub sndbuf_errors: Option<u64>,
    /// To unbound ports, network namespace.
    pub no_ports: Option<u64>,
    /// With a wrong checksum, network namespace.
    pub in_csum_errors: Option<u64>,
    /// Dropped at full CPU backlogs, whole host; of two hosts, on both.
    pub backlog_drops: Option<u64>,
    /// Dropped by interfaces on the way in: by that to the other end and what it sits on, or, where
    /// that is not known, by all of the network namespace.
    pub device_drops: Option<u64>,
    /// Dropped by interfaces on the way out, in the same way, at the senders.
    pub tx_device_drops: Option<u64>,
    /// Dropped by queueing disciplines of those, at the senders. Sends that were refused
    /// for that (`refused.no_buffers`) are among them.
    pub qdisc_drops: Option<u64>,
    /// Received and discarded by the IP layer (InHdrErrors, InAddrErrors, InDiscards, InNoRoutes,
    /// IPReversePathFilter), network namespace. Documents of before it was counted are without it,
    /// as without all below.
    #[serde(default)]
    pub ip_in_discards: Option<u64>,
    /// Datagrams of which fragments were missing (ReasmFails, and those still waited for at the
    /// end), network namespace. Fragments that found no room count one by one.
    #[serde(default)]
    pub reassembly_failures: Option<u64>,
    /// Discarded by the IP layer on the way out (OutDiscards), the senders' network namespace.
    /// Refused sends are among them.
    #[serde(default)]
    pub ip_out_discards: Option<u64>,
    /// Not sent for want of a route (OutNoRoutes), the senders' network namespace.
    #[serde(default)]
    pub ip_out_no_routes: Option<u64>,
    /// Not cut into fragments where that was necessary (FragFails), the senders' network namespace.
    #[serde(default)]
    pub fragmentation_failures: Option<u64>,
    /// Whether the next hop left address resolution unanswered at the start or at the end of the
    /// measured part, at the senders. `null` where both ends are in one network namespace.
    #[serde(default)]
    pub neighbour_unresolved: Option<bool>,
}
