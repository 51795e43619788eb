//! The host in the document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A host, as far as it decides what a figure is worth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Host {
    /// Its name.
    pub hostname: Option<String>,
    /// Kernel name and release.
    pub kernel: Option<String>,
    /// What tunes the kernel, of the command line that it was started with.
    pub kernel_command_line: Option<String>,
    /// Model name of the CPU.
    pub cpu_model: Option<String>,
    /// Known flaws of the CPU, and what the kernel does about each, in its words.
    pub mitigations: Option<BTreeMap<String, String>>,
    /// CPUs this process may run on.
    pub cores: Option<u64>,
    /// The same by physical core, a group each; empty where the system does not say.
    pub siblings: Vec<Vec<usize>>,
    /// CPUs of the whole machine.
    pub online_cpus: Option<u64>,
    /// How many CPUs' worth of time this process gets, quotas considered.
    pub cpu_limit: Option<u64>,
    /// CPUs that the scheduler leaves alone.
    pub isolated_cpus: Option<Vec<usize>>,
    /// CPUs without a timer tick while they run one thread (`nohz_full=`).
    pub nohz_full_cpus: Option<Vec<usize>>,
    /// What control groups allow this process.
    pub cgroup: Option<CgroupLimits>,
    /// Whether physical cores run two threads at once.
    pub smt_active: Option<bool>,
    /// Whether the CPUs may clock above their nominal frequency; `null` where that is not the
    /// kernel's to say.
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
    /// Other settings of the network by name, e.g. `net.core.busy_poll`, as far as there are.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// The network device that datagrams pass: of a measurement, on the way to the other end; of a
    /// sink, the one of its address. `null` where they pass none, or that is not known.
    pub device: Option<Device>,
    /// The kernel's clock source.
    pub clocksource: Option<String>,
    /// The hypervisor it runs under, as far as it shows.
    pub virtualization: Option<String>,
    /// The kind of container this runs in, as far as it shows.
    pub container: Option<String>,
    /// Share of CPU time stolen by the hypervisor since boot, 0 to 1.
    pub steal_share: Option<f64>,
    /// Threads that wanted a CPU, mean over about the last minute, whole machine.
    pub load_average: Option<f64>,
    /// Threads of others that wanted a CPU all through the survey, whole machine.
    pub others_running: Option<u64>,
    /// Median cost of a clock read in ns.
    pub clock_cost_ns: Option<f64>,
    /// Smallest step between clock reads in ns.
    pub clock_step_ns: Option<u64>,
    /// Median oversleep of a 100 µs sleep in ns.
    pub sleep_error_p50_ns: Option<u64>,
    /// Worst oversleep of a 100 µs sleep in ns.
    pub sleep_error_max_ns: Option<u64>,
    /// What engines and features it has.
    pub capabilities: Vec<Capability>,
    /// The other end's host, where there is one.
    pub peer: Option<Box<Self>>,
}

/// CPU throttling of the measuring process, from the control group that was throttled longest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CpuThrottling {
    /// The quota as `cpu.max` words it: microseconds of CPU time, and in how many.
    pub cpu_max: String,
    /// Periods of the run in which the quota was used up (`nr_throttled` of `cpu.stat`).
    pub nr_throttled: u64,
    /// How long the group was stopped meanwhile in ns, all CPUs together (`throttled_usec`).
    pub throttled_ns: u64,
}

/// What control groups allow a process, as version 2 of them words it: `max` is no limit. Of nested
/// groups the smallest limit counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CgroupLimits {
    /// Microseconds of CPU time, and in how many: `200000 100000` is two CPUs.
    pub cpu_max: Option<String>,
    /// Bytes of memory.
    pub memory_max: Option<String>,
    /// CPUs it may run on, such as `0-3,8`.
    pub cpus: Option<String>,
}

/// A network device. What it, or the system, does not tell is `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its driver; of a virtual one what makes it, e.g. `veth`.
    pub driver: Option<String>,
    /// The largest IP packet it takes whole, in bytes.
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
    /// masks; of zeroes: it does not.
    pub rps_cpus: Option<Vec<String>>,
    /// CPUs that each send queue is for (XPS), in the same way.
    pub xps_cpus: Option<Vec<String>>,
    /// Its interrupts.
    pub irqs: Option<Vec<Irq>>,
    /// What it takes off the CPU's hands, by the kernel's names, and whether that is on.
    pub offloads: Option<BTreeMap<String, bool>>,
    /// Lengths of its rings in packets: `rx`, `tx`, and the most that each can be: `rx_max`,
    /// `tx_max`.
    pub rings: Option<BTreeMap<String, u64>>,
    /// How long it holds interrupts back: `rx_usecs`, `rx_frames`, `tx_usecs`, `tx_frames`, and
    /// whether it adapts that to the load, 1, or not, 0: `adaptive_rx`, `adaptive_tx`.
    pub coalescing: Option<BTreeMap<String, u64>>,
    /// Its channels, `rx`, `tx` and `combined`, and the most it can have: `rx_max` and so on.
    pub channels: Option<BTreeMap<String, u64>>,
}

/// An interrupt of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Irq {
    /// Its number.
    pub number: u32,
    /// What the driver calls it.
    pub name: Option<String>,
    /// The CPUs that may take it, such as `0-3,8`.
    pub cpus: String,
}

/// One thing a host can or cannot do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Capability {
    /// The engine or feature.
    pub name: String,
    /// Whether it works.
    pub available: bool,
    /// Why not, or with what limits.
    pub detail: String,
}
