//! The host in the document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A host, as far as it decides what a figure is worth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Its name.
    pub hostname: Option<String>,
    /// Kernel name and release.
    pub kernel: Option<String>,
    /// Model name of the CPU.
    pub cpu_model: Option<String>,
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

/// One thing a host can or cannot do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capability {
    /// The engine or feature.
    pub name: String,
    /// Whether it works.
    pub available: bool,
    /// Why not, or with what limits.
    pub detail: String,
}
