//! The first fields of every document, and the host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::sys::{CgroupLimits, CpuThrottling, Device, Irq};

/// Properties of a host that affect measurements.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Host {
    /// Its name.
    pub hostname: Option<String>,
    /// Kernel name and release.
    pub kernel: Option<String>,
    /// Tuning parameters of the kernel command line.
    pub kernel_command_line: Option<String>,
    /// Model name of the CPU.
    pub cpu_model: Option<String>,
    /// CPU vulnerabilities and their mitigation, as the kernel reports them.
    pub mitigations: Option<BTreeMap<String, String>>,
    /// CPUs this process may run on.
    pub cores: Option<u64>,
    /// The same grouped by physical core; empty if unknown.
    pub siblings: Vec<Vec<usize>>,
    /// CPUs of the whole machine.
    pub online_cpus: Option<u64>,
    /// CPUs available to this process, including quotas.
    pub cpu_limit: Option<u64>,
    /// CPUs isolated from the scheduler.
    pub isolated_cpus: Option<Vec<usize>>,
    /// CPUs without a timer tick while they run one thread (`nohz_full=`).
    pub nohz_full_cpus: Option<Vec<usize>>,
    /// Limits of control groups.
    pub cgroup: Option<CgroupLimits>,
    /// Whether physical cores run two threads at once.
    pub smt_active: Option<bool>,
    /// Whether CPUs may exceed their nominal frequency; `null` if the kernel does not report it.
    pub turbo: Option<bool>,
    /// Frequency governor; `null` where there is no frequency scaling.
    pub governor: Option<String>,
    /// `net.core.rmem_max` in bytes.
    pub rmem_max: Option<u64>,
    /// `net.core.wmem_max` in bytes.
    pub wmem_max: Option<u64>,
    /// `net.core.netdev_max_backlog` in packets.
    pub netdev_max_backlog: Option<u64>,
    /// `net.unix.max_dgram_qlen` in datagrams: the queue of an AF_UNIX socket.
    pub max_dgram_qlen: Option<u64>,
    /// Other settings by name, e.g. `net.core.busy_poll`.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// The device of datagrams: towards the peer, or of a sink's address; `null` if unknown.
    pub device: Option<Device>,
    /// The kernel's clock source.
    pub clocksource: Option<String>,
    /// The hypervisor, if detected.
    pub virtualization: Option<String>,
    /// The kind of container, if detected.
    pub container: Option<String>,
    /// Share of CPU time stolen by the hypervisor since boot, 0 to 1.
    pub steal_share: Option<f64>,
    /// Share of windows of 5 ms of CPU time in which system calls took over 1.67 times as long as
    /// in the median window, 0 to 1; measured by `doctor` only.
    pub slow_share: Option<f64>,
    /// Threads that wanted a CPU, mean over about the last minute, whole machine.
    pub load_average: Option<f64>,
    /// Threads of other processes that wanted a CPU in every sample, whole machine.
    pub others_running: Option<u64>,
    /// Median cost of a clock read in ns.
    pub clock_cost_ns: Option<f64>,
    /// Smallest step between clock reads in ns.
    pub clock_step_ns: Option<u64>,
    /// Median oversleep of a 100 µs sleep in ns.
    pub sleep_error_p50_ns: Option<u64>,
    /// Worst oversleep of a 100 µs sleep in ns.
    pub sleep_error_max_ns: Option<u64>,
    /// Engines and features.
    pub capabilities: Vec<Capability>,
    /// The peer's host, if any.
    pub peer: Option<Box<Self>>,
}

/// A capability of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Capability {
    /// The engine or feature.
    pub name: String,
    /// Whether it works.
    pub available: bool,
    /// Why not, or with what limits.
    pub detail: String,
}

/// The first fields of every document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Head {
    /// Always `udperf/1`.
    pub schema: String,
    /// Which command made it.
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
}

/// The version and build of a program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tool {
    /// Its version.
    pub version: String,
    /// The short commit of the sources; with `+` if they had changes.
    pub git: Option<String>,
    /// `release` (any optimised build) or `debug`.
    pub profile: String,
    /// Optional features of the build.
    pub features: Vec<String>,
}

/// Workers that requested real-time priority, and those that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Realtime {
    /// Workers that requested it; of a sink, the most at once.
    pub asked: u64,
    /// Workers that got it, the most at once. One CPU stays free of real-time workers.
    pub granted: u64,
    /// Their `SCHED_FIFO` priority.
    pub priority: u64,
    /// Memory of the process that is locked in RAM, in bytes; `null` if it is unknown.
    pub locked_bytes: Option<u64>,
}
