//! Facts about the machine: nothing is known here.

use std::collections::BTreeMap;

use crate::sys::{CgroupFiles, CgroupThrottling, CpuTime, LoadAverage};

/// Unknown here.
#[must_use]
pub fn kernel_command_line() -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn mitigations() -> Option<BTreeMap<String, String>> {
    None
}

/// Unknown here.
#[must_use]
pub fn turbo() -> Option<bool> {
    None
}

/// Unknown here.
#[must_use]
pub fn nohz_full_cpus() -> Option<Vec<usize>> {
    None
}

/// Unknown here.
#[must_use]
pub fn cgroup_limits() -> Option<CgroupFiles> {
    None
}

/// None is known here.
#[must_use]
pub fn cpu_throttling() -> Vec<CgroupThrottling> {
    Vec::new()
}

/// None are known here.
#[must_use]
pub fn sysctls() -> BTreeMap<String, String> {
    BTreeMap::new()
}

/// Unknown here.
#[must_use]
pub fn hostname() -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn kernel() -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn cpu_model() -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn online_cpus() -> Option<usize> {
    None
}

/// Unknown here.
#[must_use]
pub fn isolated_cpus() -> Option<Vec<usize>> {
    None
}

/// Unknown here.
#[must_use]
pub fn thread_siblings(_cpus: &[usize]) -> Option<Vec<Vec<usize>>> {
    None
}

/// Unknown here.
#[must_use]
pub fn smt_active() -> Option<bool> {
    None
}

/// Unknown here.
#[must_use]
pub fn governor(_cpus: &[usize]) -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn rmem_max() -> Option<u64> {
    None
}

/// Unknown here.
#[must_use]
pub fn wmem_max() -> Option<u64> {
    None
}

/// Unknown here.
#[must_use]
pub fn netdev_max_backlog() -> Option<u64> {
    None
}

/// Unknown here.
#[must_use]
pub fn max_dgram_qlen() -> Option<u64> {
    None
}

/// Unknown here.
#[must_use]
pub fn clocksource() -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn cpu_time() -> Option<CpuTime> {
    None
}

/// Unknown here.
#[must_use]
pub fn load() -> Option<LoadAverage> {
    None
}

/// Unknown here.
#[must_use]
pub fn virtualization() -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn container() -> Option<String> {
    None
}
