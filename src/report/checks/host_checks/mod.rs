//! All checks of a host, in one table; `warning_codes` explains their codes.

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
use check::finding;
pub use check::{Grade, HostCheck};
pub use wants::HostRequirements;
pub(crate) use wants::cores_here;

/// A check: `None` if the host does not report the facts it needs, or does not have the feature.
type Check = fn(&HostFacts, HostRequirements<'_>) -> Option<HostCheck>;

/// All checks with their codes and subjects, in the order of the report.
const CHECKS: &[(&str, &str, Check)] = &[
    ("debug_build", "build", system::debug_build),
    ("few_cores", "CPUs", cpus::few_cores),
    ("smt_siblings", "SMT", cpus::smt_siblings),
    ("isolated_cpus", "isolated CPUs", cpus::isolated_cpus),
    ("cpu_quota", "CPU quota", cpus::cpu_quota),
    ("busy_host", "other load", cpus::busy_host),
    ("governor", "governor", cpus::governor),
    ("turbo", "turbo", device::turbo),
    ("mitigations", "mitigations", device::mitigations),
    ("virtual_machine", "hypervisor", system::virtual_machine),
    ("container", "container", system::container),
    ("rmem_max", "receive buffer", system::rmem_max),
    ("wmem_max", "send buffer", system::wmem_max),
    ("netdev_max_backlog", "CPU backlog", system::netdev_max_backlog),
    ("device_offload", "device", device::offload),
    ("clocksource", "clock source", clock::clocksource),
    ("clock_cost", "clock read", clock::clock_cost),
    ("clock_step", "clock step", clock::clock_step),
    ("sleep_error", "waking up", clock::sleep_error),
    ("missing_capability", "capabilities", system::missing_capability),
];

/// All checks of a host, for a run with these requirements.
#[must_use]
pub fn check_host(host: &HostFacts, wants: HostRequirements<'_>) -> Vec<HostCheck> {
    let run = |&(code, subject, check): &(&'static str, &'static str, Check)| {
        Some(HostCheck { code, subject, ..check(host, wants)? })
    };
    CHECKS.iter().filter_map(run).collect()
}

/// Checks without a warning: cells or the head of the report show their effect.
const SHOWN_ELSEWHERE: &[&str] = &["rmem_max", "wmem_max", "virtual_machine", "governor"];

/// Warnings about the host that affect this run.
#[must_use]
pub fn host_warnings(host: &HostFacts, wants: HostRequirements<'_>) -> Vec<Warning> {
    check_host(host, wants)
        .iter()
        .filter(|check| check.grade >= Grade::Warn && !SHOWN_ELSEWHERE.contains(&check.code))
        .map(|check| Warning { code: check.code.to_owned(), message: check.message() })
        .collect()
}

/// The same of the sink's host, with a prefix in code and message.
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
