//! Facts about the host that affect measurements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::{Capability, CgroupLimits, Device};
use crate::unit::Nanos;

/// How often and how long a CPU quota throttled a control group between two readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottledTime {
    /// The quota, as `cpu.max` words it: microseconds of CPU time, and in how many.
    pub cpu_max: String,
    /// How many periods it was used up in (`nr_throttled`).
    pub times: u64,
    /// How long the group was stopped, all CPUs together (`throttled_usec`).
    pub time: Nanos,
}

/// Facts about this host; `None`: the system does not report it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Name of the host.
    pub hostname: Option<String>,
    /// Kernel name and release, e.g. `Linux 6.18.44`.
    pub kernel: Option<String>,
    /// What tunes the kernel, of the command line that it was started with.
    pub kernel_command_line: Option<String>,
    /// Model name of the CPU.
    pub cpu_model: Option<String>,
    /// Known flaws of the CPU, and what the kernel does about each, in its words.
    pub mitigations: Option<BTreeMap<String, String>>,
    /// CPUs this process may run on.
    pub allowed_cpus: Vec<usize>,
    /// The same by physical core, a group each; empty where the system does not say.
    pub siblings: Vec<Vec<usize>>,
    /// CPUs of the whole machine.
    pub online_cpus: Option<usize>,
    /// How many CPUs' worth of time this process gets, quotas considered.
    pub cpu_limit: Option<usize>,
    /// CPUs that the scheduler leaves alone.
    pub isolated_cpus: Option<Vec<usize>>,
    /// CPUs without a timer tick while they run one thread (`nohz_full=`).
    pub nohz_full_cpus: Option<Vec<usize>>,
    /// What control groups allow this process.
    pub cgroup: Option<CgroupLimits>,
    /// Whether physical cores run two threads at once.
    pub smt_active: Option<bool>,
    /// Whether the CPUs may clock above their nominal frequency; `None` without that control.
    pub turbo: Option<bool>,
    /// Frequency governor of the allowed CPUs; `None` where there is no frequency scaling.
    pub governor: Option<String>,
    /// `net.core.rmem_max` in bytes: the most that SO_RCVBUF gets.
    pub rmem_max: Option<u64>,
    /// `net.core.wmem_max` in bytes.
    pub wmem_max: Option<u64>,
    /// `net.core.netdev_max_backlog` in packets.
    pub netdev_max_backlog: Option<u64>,
    /// `net.unix.max_dgram_qlen` in datagrams: the queue of an AF_UNIX socket.
    pub max_dgram_qlen: Option<u64>,
    /// Other settings of the network by name, e.g. `net.core.busy_poll`, as far as there are.
    pub sysctls: BTreeMap<String, String>,
    /// The network device that datagrams pass; `None` where they pass none, or that is not known.
    pub device: Option<Device>,
    /// The kernel's clock source, e.g. `tsc`.
    pub clocksource: Option<String>,
    /// The hypervisor this runs under, as far as it shows.
    pub virtualization: Option<String>,
    /// The kind of container this runs in, as far as it shows.
    pub container: Option<String>,
    /// Share of CPU time stolen by the hypervisor since boot, 0 to 1.
    pub steal_share: Option<f64>,
    /// Threads that wanted a CPU, mean over about the last minute, whole machine.
    pub load_average: Option<f64>,
    /// Threads of others that wanted a CPU all through the survey, whole machine.
    pub others_running: Option<u64>,
    /// Median cost of one clock read in ns.
    pub clock_cost_ns: Option<f64>,
    /// Smallest step seen between two different clock reads in ns.
    pub clock_step_ns: Option<u64>,
    /// Median and worst oversleep of a 100 µs sleep, in ns.
    pub sleep_error_ns: Option<(u64, u64)>,
    /// What engines and features this host has.
    pub capabilities: Vec<Capability>,
    /// Built without optimisation.
    pub debug_build: bool,
}

impl HostFacts {
    /// Physical cores among the allowed CPUs; `None` where the system does not say.
    pub fn physical_cores(&self) -> Option<usize> {
        (!self.siblings.is_empty()).then_some(self.siblings.len())
    }
}
