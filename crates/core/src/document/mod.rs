//! The document: one versioned JSON object that every output format reads. Counters are integers,
//! times integer nanoseconds, rates numbers per second; unknown values are `null`, never 0.

mod capacity;
mod doctor;
mod host;
mod interval;
mod kernel;
mod latency;
mod ledger;
mod parts;
mod search;
mod selftest;
mod sink;
mod validity;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use capacity::{Capacity, CapacityLimit, CapacityStep, CellLimit, ServerUsage};
pub use doctor::*;
pub use host::{Capability, CgroupLimits, CpuThrottling, Device, Head, Host, Irq, Realtime, Tool};
pub use interval::{Interval, IntervalLatency, IntervalStep, KernelDrops, ServerInterval};
pub use kernel::Kernel;
pub use latency::{Bounded, Latency, Leg, Legs, OutsideStalls, UpperLimits, bounded};
pub use ledger::{DropLocation, Ledger, LostAt, Refused};
pub use parts::{
    CaptureClock, Choice, Clock, ContextSwitches, Engine, Exchange, ExchangeStep, Failed,
    FlowCounts, FlowSpread, Flows, InputSummary, LeftOut, Outage, Packets, PerDatagram,
    SourceCounts, Tried, XdpGranted,
};
pub use search::{
    CurvePoint, Found, LimitedBy, ProbeFigures, SearchDocument, TrialCount, TrialDocument,
    TrialFigures, TrialVerdict, Verified,
};
pub use selftest::{SelftestCheck, SelftestDocument};
pub use sink::*;
pub use validity::{Gate, InvalidReason, MAX_MISSED, MEMBER_LOST, Warning};

/// Name and version of the schema.
pub const SCHEMA: &str = "udperf/1";

/// A finished measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// Always `udperf/1`.
    pub schema: String,
    /// The command that made it: `bench`, `blast`, `load`, `ping` or `search`.
    pub kind: String,
    /// The program that made it.
    pub tool: Tool,
    /// Its arguments, the program's name first.
    pub command: Vec<String>,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// Labels of `--label`: values by name.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The host it ran on.
    pub host: Host,
    /// The peer's clock; `null` without a peer, or if it is unknown.
    pub clock: Option<Clock>,
    /// The requested settings, including defaults.
    pub scenario: serde_json::Value,
    /// The file of requests; `null` without one, or if its records are not counted.
    #[serde(default)]
    pub input: Option<InputSummary>,
    /// The engines that `auto` selected; `null` without `auto`.
    pub choice: Option<Choice>,
    /// What the capacity probe found; `null` without one.
    #[serde(default)]
    pub capacity: Option<Capacity>,
    /// The path MTU to the target in bytes, as the kernel knew it after the run; `null` if it is
    /// unknown, or if this host sent no datagrams.
    #[serde(default)]
    pub path_mtu: Option<u64>,
    /// How a CPU quota throttled this process; `null` without a quota, or if it is unknown.
    #[serde(default)]
    pub cpu_throttling: Option<CpuThrottling>,
    /// Workers of this host in real time; `null` without `--realtime`.
    #[serde(default)]
    pub realtime: Option<Realtime>,
    /// Warnings about the whole run.
    pub warnings: Vec<Warning>,
    /// Whether the run tested what was requested: `false` if `invalid_because` has a reason. For
    /// older documents without this field it is computed when they are read.
    #[serde(default = "validity::yes")]
    pub valid: bool,
    /// Why the run is invalid; empty if it is valid.
    #[serde(default)]
    pub invalid_because: Vec<InvalidReason>,
    /// Share of a cell's schedule that may be missed in a valid run, 0 to 1.
    #[serde(default = "validity::max_missed")]
    pub max_missed: f64,
    /// The result of each `--fail-if` in each cell it was checked in; empty without `--fail-if`.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// The parts of the processes of a run on several hosts, by rank; empty if there was one.
    #[serde(default)]
    pub members: Vec<MemberDocument>,
    /// One per size, engine, rate and trial, in the order they ran. With several processes, sums of
    /// all.
    pub cells: Vec<Cell>,
}

/// What one process of several measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemberDocument {
    /// Its number, from 0.
    pub rank: u64,
    /// The name of its host.
    pub hostname: String,
    /// The number of the process that it sends to (`bench --pairs` and `--incast`); `null`: it
    /// measures within itself, or has a target.
    #[serde(default)]
    pub to_rank: Option<u64>,
    /// The name of the host of that process.
    #[serde(default)]
    pub to_hostname: Option<String>,
    /// Its clock was compared with that of rank 0 within ± this; 0 on one clock.
    pub clock_bound_ns: u64,
    /// Its part of each cell.
    pub cells: Vec<Cell>,
}

impl Report {
    /// The cell of this id and trial.
    pub fn cell_named(&self, id: Option<&str>, trial: Option<u32>) -> Option<&Cell> {
        self.cells.iter().find(|cell| Some(cell.id.as_str()) == id && Some(cell.trial) == trial)
    }

    /// Why this cell is invalid; empty where it is valid.
    pub fn invalid_cell<'a>(&'a self, cell: &Cell) -> impl Iterator<Item = &'a InvalidReason> {
        let (id, trial) = (cell.id.clone(), cell.trial);
        self.invalid_because
            .iter()
            .filter(move |one| one.cell.as_ref() == Some(&id) && one.trial == Some(trial))
    }
}

/// One measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cell {
    /// `plain/64/max`: engine, payload bytes, requested rate. The same in all trials.
    pub id: String,
    /// `forward`: from this host to the peer; `reverse`: from the peer; `null`: without a peer.
    pub direction: Option<String>,
    /// Where the two ends were: `together`, in one network namespace, so that every datagram is in
    /// some counter; `apart`, in two of one host; `across`, on two hosts, with an unobserved
    /// network between; `null` if the other end is unknown.
    pub ends: Option<String>,
    /// The trial, from 0.
    pub trial: u32,
    /// The engines.
    pub engine: Engine,
    /// Payload in bytes; of a mix, its mean, rounded.
    pub size: u64,
    /// The mix of payload sizes, if any.
    pub size_mix: Option<String>,
    /// Number of flows.
    pub streams: u64,
    /// Number of senders, and of receivers.
    pub threads: u64,
    /// The requested rate: `max`, `100k`, `1Gbit`, `50%`.
    pub rate: String,
    /// The requested rate in datagrams per second; `null` for `max`.
    pub rate_pps: Option<f64>,
    /// The schedule; `null` for `max`.
    pub pace: Option<String>,
    /// How long after the start of the cell the latest sender began. Older documents lack it.
    #[serde(default)]
    pub start_lag_ns: Option<u64>,
    /// How far apart the senders of all processes began, at most; `null` if fewer than
    /// two starts are known. Those of a sink's senders are not.
    #[serde(default)]
    pub start_skew_ns: Option<u64>,
    /// How workers waited: `spin`, `hybrid` or `epoll`; no hybrid on a core that both ends share.
    pub wait: String,
    /// The senders' window in ns: every datagram sent was due in it.
    pub elapsed_ns: u64,
    /// Whether this cell only measured the rate of `max`.
    pub calibration: bool,
    /// Whether the cell ended early.
    pub cut_short: bool,
    /// Why: `interrupted`, `stuck` (no datagram could be sent for 2 s), `unreachable` (the target
    /// was never reached, for 2 s), `peer_lost` (the sink was lost, so that `rx` is `null`, or, if
    /// the sink sent, `lost` and the rates of `tx` are `null`, and `sent` is what sequence numbers
    /// showed, at least: `received` and those that were missing before the last one received),
    /// `member_lost` (a process of the run was lost or failed, so that its part is missing).
    #[serde(default)]
    pub cut_short_because: Option<String>,
    /// The sending side.
    pub tx: Side,
    /// The receiving side; `null` if unknown, like all that it would report.
    pub rx: Option<Side>,
    /// The cost of a datagram, both sides together.
    #[serde(default)]
    pub per_datagram: PerDatagram,
    /// Packets of the kernel.
    pub packets: Packets,
    /// Datagrams by outcome.
    pub ledger: Ledger,
    /// Comparison of the flows; `null` for one flow, or if arrivals are unknown.
    pub flows: Option<Flows>,
    /// The sources of `--source`, worst first; their sums are those of the cell.
    #[serde(default)]
    pub sources: Vec<SourceCounts>,
    /// Datagrams received by each receiver; `null` if unknown.
    pub workers: Option<Vec<u64>>,
    /// Latency from the schedule; `null` if no datagram was received.
    pub latency: Option<Latency>,
    /// Latency from the actual send; `null` if the payload is too small for its timestamp (under 18
    /// bytes), or no datagram was received.
    pub from_send: Option<Latency>,
    /// The part of `latency` up to the kernel's receive timestamp; `null` without timestamps.
    pub to_socket: Option<Latency>,
    /// The rest, up to the application's read.
    pub in_socket: Option<Latency>,
    /// Latency breakdown of a sample by timestamps of both kernels; `null` without timestamps.
    pub legs: Option<Legs>,
    /// Punctuality of the senders; `null` for `max`.
    pub schedule: Option<Schedule>,
    /// Between arrivals at one receiver, by timestamps of the kernel if there are any, else by
    /// reads; `null` for `max`, without a receiver, and in older documents.
    #[serde(default)]
    pub arrival_gap: Option<Spread>,
    /// Interarrival jitter (RFC 3550), mean over flows.
    pub jitter_ns: Option<u64>,
    /// Stalls of workers.
    pub stalls: Stalls,
    /// Counters of the kernel.
    pub kernel: Kernel,
    /// Outcomes of requests; `null` if datagrams are not requests.
    pub exchange: Option<Exchange>,
    /// What the server's processes used; `null` without `--server-pid` and `--server-unit`.
    #[serde(default)]
    pub server: Option<ServerUsage>,
    /// What limited a run of requests that were not all sent and answered; `null` if more than
    /// 99.9 % of the schedule was sent and all were answered, or if no request was answered.
    #[serde(default)]
    pub limit: Option<CellLimit>,
    /// The cell over time; empty without `--interval`.
    #[serde(default)]
    pub intervals: Vec<Interval>,
    /// Periods in which the senders could not reach the target, in order.
    #[serde(default)]
    pub outages: Vec<Outage>,
    /// Warnings about this cell.
    pub warnings: Vec<Warning>,
}

impl Cell {
    /// Whether it is a closed loop, whose latency is not that of a queue.
    pub fn is_closed_loop(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.outstanding.is_some())
    }
}

/// One side of a measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Payload of `datagrams` in bytes; of senders that were lost, of what was received.
    pub bytes: u64,
    /// `datagrams_in_window` per second of `elapsed_ns`; `null` if that is 0, and of senders that
    /// were lost (`peer_lost`).
    pub pps: Option<f64>,
    /// Payload bits per second of `datagrams_in_window`; `null` like `pps`.
    pub bits_per_second: Option<f64>,
    /// System calls that moved, or tried to move, datagrams.
    pub syscalls: u64,
    /// CPU time of the workers in ns.
    pub cpu_ns: Option<u64>,
    /// Context switches of the workers. With requests, the sending side has all usage.
    pub context_switches: Option<ContextSwitches>,
    /// Instructions retired by the workers; `null` if the CPU has no readable counter.
    pub instructions: Option<u64>,
    /// Which instructions: `user+kernel`, or `user` if those of the kernel are not readable.
    pub instructions_kind: Option<String>,
    /// Cores the workers were pinned to, by worker; empty if not pinned.
    pub cores: Vec<u64>,
    /// Socket buffer.
    pub socket_buffer: SocketBuffer,
    /// What the kernel granted the engine `xdp`; `null` with other engines, on a side whose workers
    /// sent no result, and in older documents. `scenario.xdp` has what was asked.
    #[serde(default)]
    pub xdp: Option<XdpGranted>,
}

/// A socket buffer in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SocketBuffer {
    /// Requested size.
    pub asked: u64,
    /// Granted size; Linux doubles it for bookkeeping.
    pub granted: Option<u64>,
}

/// Punctuality of the senders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Schedule {
    /// Due slots: attempted + missed.
    pub scheduled: u64,
    /// Slots too late to be sent.
    pub missed: u64,
    /// From the intended time to the departure.
    pub lag: Spread,
    /// Between departures of one worker.
    pub gap: Spread,
    /// The same without gaps that include a stall or the catch-up after it.
    pub gap_outside_stalls: Spread,
}

/// Three points of a distribution in ns; `null` if it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spread {
    /// Median.
    pub p50_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// Maximum.
    pub max_ns: Option<u64>,
}

/// Stalls of workers of more than 1 ms: the CPU was taken away, or a system call took that long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stalls {
    /// Of the senders.
    pub tx: StallSum,
    /// Of the receivers; `null` if unknown.
    pub rx: Option<StallSum>,
    /// CPU time that the hypervisor took, all CPUs of all hosts.
    pub stolen_ns: Option<u64>,
}

/// Stalls of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StallSum {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub total_ns: u64,
    /// The longest.
    pub max_ns: u64,
}
