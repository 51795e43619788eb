//! Checks of what a host does to a measurement, all in one table; `warning_codes` explains their
//! codes.

mod check;
mod clock;
mod cpus;
mod device;
mod system;
mod wants;

use crate::document;
use crate::document::Warning;
use crate::host::HostFacts;
use crate::plan::Scenario;
pub use check::{Grade, HostCheck};
pub use wants::HostRequirements;
pub(crate) use wants::cores_here;

/// A check: `None` where the host does not tell what it needs, or has nothing of the kind.
type Check = fn(&HostFacts, HostRequirements<'_>) -> Option<HostCheck>;

/// All checks, in the order of the report.
const CHECKS: &[Check] = &[
    system::debug_build,
    cpus::few_cores,
    cpus::smt_siblings,
    cpus::isolated_cpus,
    cpus::cpu_quota,
    cpus::busy_host,
    cpus::governor,
    device::turbo,
    device::mitigations,
    system::virtual_machine,
    system::container,
    system::rmem_max,
    system::wmem_max,
    system::netdev_max_backlog,
    device::offload,
    clock::clocksource,
    clock::clock_cost,
    clock::clock_step,
    clock::sleep_error,
    system::missing_capability,
];

/// All that is to be said about a host, for a run that wants this of it.
#[must_use]
pub fn check_host(host: &HostFacts, wants: HostRequirements<'_>) -> Vec<HostCheck> {
    CHECKS.iter().filter_map(|check| check(host, wants)).collect()
}

/// Findings that are no warnings of a run: cells know what their sockets were granted, and what the
/// hypervisor took (`stolen`); the head of the report shows hypervisor and governor.
const SHOWN_ELSEWHERE: &[&str] = &["rmem_max", "wmem_max", "virtual_machine", "governor"];

/// What of the host affects this run.
#[must_use]
pub fn host_warnings(host: &HostFacts, wants: HostRequirements<'_>) -> Vec<Warning> {
    check_host(host, wants)
        .iter()
        .filter(|finding| finding.grade >= Grade::Warn && !SHOWN_ELSEWHERE.contains(&finding.code))
        .map(|finding| Warning { code: finding.code.to_owned(), message: finding.message() })
        .collect()
}

/// What the sink's host does to this run: by codes and in words that say whose host it is.
#[must_use]
pub fn sink_warnings(host: &HostFacts, scenario: &Scenario) -> Vec<Warning> {
    let of_sink = |warning: Warning| Warning {
        code: format!("sink_{}", warning.code),
        message: format!("sink: {}", warning.message),
    };
    host_warnings(host, HostRequirements::of_sink(scenario)).into_iter().map(of_sink).collect()
}

/// The host in the document.
#[must_use]
pub fn host(facts: &HostFacts) -> document::Host {
    let count = |number: usize| number as u64;
    let capabilities = facts.capabilities.iter().map(|can| document::Capability {
        name: can.name.to_owned(),
        available: can.available,
        detail: can.detail.clone(),
    });
    document::Host {
        hostname: facts.hostname.clone(),
        kernel: facts.kernel.clone(),
        kernel_command_line: facts.kernel_command_line.clone(),
        cpu_model: facts.cpu_model.clone(),
        mitigations: facts.mitigations.clone(),
        cores: (!facts.allowed_cpus.is_empty()).then(|| count(facts.allowed_cpus.len())),
        siblings: facts.siblings.clone(),
        online_cpus: facts.online_cpus.map(count),
        cpu_limit: facts.cpu_limit.map(count),
        isolated_cpus: facts.isolated_cpus.clone(),
        nohz_full_cpus: facts.nohz_full_cpus.clone(),
        cgroup: facts.cgroup.clone(),
        smt_active: facts.smt_active,
        turbo: facts.turbo,
        governor: facts.governor.clone(),
        rmem_max: facts.rmem_max,
        wmem_max: facts.wmem_max,
        netdev_max_backlog: facts.netdev_max_backlog,
        max_dgram_qlen: facts.max_dgram_qlen,
        sysctls: facts.sysctls.clone(),
        device: facts.device.clone(),
        clocksource: facts.clocksource.clone(),
        virtualization: facts.virtualization.clone(),
        container: facts.container.clone(),
        steal_share: facts.steal_share,
        load_average: facts.load_average,
        others_running: facts.others_running,
        clock_cost_ns: facts.clock_cost_ns,
        clock_step_ns: facts.clock_step_ns,
        sleep_error_p50_ns: facts.sleep_error_ns.map(|(p50, _)| p50),
        sleep_error_max_ns: facts.sleep_error_ns.map(|(_, max)| max),
        capabilities: capabilities.collect(),
        peer: None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
