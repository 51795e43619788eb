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

/// Facts about this host, as in [`crate::document::Host`]; `None`: the system does not report it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "`document::Host` has the same fields")]
pub struct HostFacts {
    pub hostname: Option<String>,
    pub kernel: Option<String>,
    pub kernel_command_line: Option<String>,
    pub cpu_model: Option<String>,
    pub mitigations: Option<BTreeMap<String, String>>,
    /// CPUs this process may run on.
    pub allowed_cpus: Vec<usize>,
    /// The same grouped by physical core; empty if unknown.
    pub siblings: Vec<Vec<usize>>,
    pub online_cpus: Option<usize>,
    pub cpu_limit: Option<usize>,
    pub isolated_cpus: Option<Vec<usize>>,
    pub nohz_full_cpus: Option<Vec<usize>>,
    pub cgroup: Option<CgroupLimits>,
    pub smt_active: Option<bool>,
    pub turbo: Option<bool>,
    pub governor: Option<String>,
    pub rmem_max: Option<u64>,
    pub wmem_max: Option<u64>,
    pub netdev_max_backlog: Option<u64>,
    pub max_dgram_qlen: Option<u64>,
    pub sysctls: BTreeMap<String, String>,
    /// The network device of datagrams, if there is a known one.
    pub device: Option<Device>,
    pub clocksource: Option<String>,
    pub virtualization: Option<String>,
    pub container: Option<String>,
    /// Share of CPU time stolen by the hypervisor since boot, 0 to 1.
    pub steal_share: Option<f64>,
    pub load_average: Option<f64>,
    pub others_running: Option<u64>,
    /// Median cost of one clock read in ns.
    pub clock_cost_ns: Option<f64>,
    pub clock_step_ns: Option<u64>,
    /// Median and worst oversleep of a 100 µs sleep, in ns.
    pub sleep_error_ns: Option<(u64, u64)>,
    pub capabilities: Vec<Capability>,
    /// Built without optimisation.
    pub debug_build: bool,
}

impl HostFacts {
    /// Physical cores among the allowed CPUs, if known.
    pub fn physical_cores(&self) -> Option<usize> {
        (!self.siblings.is_empty()).then_some(self.siblings.len())
    }
}
