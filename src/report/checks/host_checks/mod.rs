//! All checks of a host, in one table; the texts of their codes are in `warning_codes`.

mod cpus;
mod requirements;
mod system;

use crate::document::Warning;
use crate::host::HostFacts;
use crate::plan::Scenario;
use crate::report::checks::warning_codes::{self as codes, Code};
use requirements::Finding;
pub(crate) use requirements::{Grade, HostCheck, HostRequirements, cores_here};

/// A check: `None` if the host does not report the facts it needs, or does not have the feature.
type Check = fn(&HostFacts, HostRequirements<'_>) -> Option<Finding>;

/// All checks with their codes and subjects, in the order of the report.
static CHECKS: &[(&Code, &str, Check)] = &[
    (&codes::DEBUG_BUILD, "build", system::debug_build),
    (&codes::FEW_CORES, "CPUs", cpus::few_cores),
    (&codes::SMT_SIBLINGS, "SMT", cpus::smt_siblings),
    (&codes::ISOLATED_CPUS, "isolated CPUs", cpus::isolated_cpus),
    (&codes::CPU_QUOTA, "CPU quota", cpus::cpu_quota),
    (&codes::BUSY_HOST, "other load", cpus::busy_host),
    (&codes::GOVERNOR, "governor", cpus::governor),
    (&codes::TURBO, "turbo", cpus::turbo),
    (&codes::MITIGATIONS, "mitigations", cpus::mitigations),
    (&codes::VIRTUAL_MACHINE, "hypervisor", system::virtual_machine),
    (&codes::CONTAINER, "container", system::container),
    (&codes::RMEM_MAX, "receive buffer", system::rmem_max),
    (&codes::WMEM_MAX, "send buffer", system::wmem_max),
    (&codes::NETDEV_MAX_BACKLOG, "CPU backlog", system::netdev_max_backlog),
    (&codes::DEVICE_OFFLOAD, "device", system::device_offload),
    (&codes::CLOCKSOURCE, "clock source", system::clocksource),
    (&codes::CLOCK_COST, "clock read", system::clock_cost),
    (&codes::CLOCK_STEP, "clock step", system::clock_step),
    (&codes::SLEEP_ERROR, "waking up", system::sleep_error),
    (&codes::MISSING_CAPABILITY, "capabilities", system::missing_capability),
];

pub(crate) fn check_host(host: &HostFacts, needs: HostRequirements<'_>) -> Vec<HostCheck> {
    let run = |&(code, subject, check): &(&'static Code, &'static str, Check)| {
        let (grade, found, fix) = check(host, needs)?;
        Some(HostCheck { code, subject, grade, found, fix })
    };
    CHECKS.iter().filter_map(run).collect()
}

/// Checks without a warning: cells or the head of the report show their effect.
const SHOWN_ELSEWHERE: &[&str] = &["rmem_max", "wmem_max", "virtual_machine", "governor"];

pub(crate) fn host_warnings(host: &HostFacts, needs: HostRequirements<'_>) -> Vec<Warning> {
    check_host(host, needs)
        .iter()
        .filter(|check| check.grade >= Grade::Warn && !SHOWN_ELSEWHERE.contains(&check.code.name))
        .map(|check| check.code.warning(check.message()))
        .collect()
}

/// The same of the sink's host, with a prefix in code and message.
pub(crate) fn sink_warnings(host: &HostFacts, scenario: &Scenario) -> Vec<Warning> {
    let of_sink = |warning: Warning| Warning {
        code: format!("{}{}", codes::OF_SINK, warning.code),
        message: format!("sink: {}", warning.message),
    };
    host_warnings(host, HostRequirements::of_sink(scenario)).into_iter().map(of_sink).collect()
}

#[cfg(test)]
pub(crate) mod tests;
