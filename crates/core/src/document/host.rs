//! The host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// Whether the CPUs may clock above their nominal frequency; `null` if the kernel does not
    /// report it.
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
    /// Other network settings by name, e.g. `net.core.busy_poll`.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// The network device of datagrams: towards the peer, or of a sink's address. `null` if there
    /// is none, or it is unknown.
    pub device: Option<Device>,
    /// The kernel's clock source.
    pub clocksource: Option<String>,
    /// The hypervisor, if detected.
    pub virtualization: Option<String>,
    /// The kind of container, if detected.
    pub container: Option<String>,
    /// Share of CPU time stolen by the hypervisor since boot, 0 to 1.
    pub steal_share: Option<f64>,
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

/// CPU throttling of the measuring process, from the control group that was throttled longest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CpuThrottling {
    /// The quota as in `cpu.max`: microseconds of CPU time, and per how many microseconds.
    pub cpu_max: String,
    /// Periods of the run in which the quota was used up (`nr_throttled` of `cpu.stat`).
    pub nr_throttled: u64,
    /// How long the group was stopped meanwhile in ns, all CPUs together (`throttled_usec`).
    pub throttled_ns: u64,
}

/// Limits of control groups in the format of version 2: `max` is no limit. Of nested groups the
/// smallest limit counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CgroupLimits {
    /// Microseconds of CPU time, and per how many microseconds: `200000 100000` is two CPUs.
    pub cpu_max: Option<String>,
    /// Bytes of memory.
    pub memory_max: Option<String>,
    /// CPUs it may run on, such as `0-3,8`.
    pub cpus: Option<String>,
}

/// A network device; unknown values are `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its driver; for a virtual device its kind, e.g. `veth`.
    pub driver: Option<String>,
    /// MTU in bytes.
    pub mtu: Option<u64>,
    /// Speed of its link in Mbit/s.
    pub speed_mbit: Option<u64>,
    /// Its root queueing discipline; `mq` has one more for each queue.
    pub qdisc: Option<String>,
    /// Receive queues in use.
    pub rx_queues: Option<u64>,
    /// Send queues in use.
    pub tx_queues: Option<u64>,
    /// CPUs that each receive queue spreads its packets over (RPS), by queue, as the kernel writes
    /// masks; zeroes: it does not.
    pub rps_cpus: Option<Vec<String>>,
    /// CPUs of each send queue (XPS), likewise.
    pub xps_cpus: Option<Vec<String>>,
    /// Its interrupts.
    pub irqs: Option<Vec<Irq>>,
    /// Offloads by the kernel's names, and whether they are on.
    pub offloads: Option<BTreeMap<String, bool>>,
    /// Lengths of its rings in packets: `rx`, `tx`, and their maxima `rx_max`, `tx_max`.
    pub rings: Option<BTreeMap<String, u64>>,
    /// Interrupt coalescing: `rx_usecs`, `rx_frames`, `tx_usecs`, `tx_frames`, and whether it is
    /// adaptive, 1 or 0: `adaptive_rx`, `adaptive_tx`.
    pub coalescing: Option<BTreeMap<String, u64>>,
    /// Channels `rx`, `tx` and `combined`, and their maxima `rx_max` and so on.
    pub channels: Option<BTreeMap<String, u64>>,
}

/// An interrupt of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Irq {
    /// Its number.
    pub number: u32,
    /// Its name in the driver.
    pub name: Option<String>,
    /// The CPUs that may take it, such as `0-3,8`.
    pub cpus: String,
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
