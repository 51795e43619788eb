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

/// All checks with their codes, subjects and what to do where a finding has no command that fixes
/// it (empty: it is never a warning), in the order of the report.
static CHECKS: &[(&Code, &str, &str, Check)] = &[
    (&codes::DEBUG_BUILD, "build", "build with --release", system::debug_build),
    (&codes::FEW_CORES, "CPUs", "use fewer --threads or another host", cpus::few_cores),
    (&codes::SMT_SIBLINGS, "SMT", "choose cores with --pin", cpus::smt_siblings),
    (&codes::ISOLATED_CPUS, "isolated CPUs", "", cpus::isolated_cpus),
    (&codes::CPU_QUOTA, "CPU quota", "raise cpu.max", cpus::cpu_quota),
    (&codes::BUSY_HOST, "other load", "stop other programs", cpus::busy_host),
    (&codes::GOVERNOR, "governor", "set performance", cpus::governor),
    (&codes::TURBO, "turbo", "", cpus::turbo),
    (&codes::MITIGATIONS, "mitigations", "", cpus::mitigations),
    (&codes::VIRTUAL_MACHINE, "hypervisor", "repeat with --trials", system::virtual_machine),
    (&codes::SLOW_CPU, "CPU speed", "use a host that is not shared", system::slow_cpu),
    (&codes::CONTAINER, "container", "", system::container),
    (&codes::RMEM_MAX, "receive buffer", "raise net.core.rmem_max", system::rmem_max),
    (&codes::WMEM_MAX, "send buffer", "raise net.core.wmem_max", system::wmem_max),
    (&codes::NETDEV_MAX_BACKLOG, "CPU backlog", "", system::netdev_max_backlog),
    (&codes::DEVICE_OFFLOAD, "device", "", system::device_offload),
    (&codes::CLOCKSOURCE, "clock source", "use tsc if the host has it", system::clocksource),
    (&codes::CLOCK_COST, "clock read", "use another host", system::clock_cost),
    (&codes::CLOCK_STEP, "clock step", "ignore smaller differences of latency", system::clock_step),
    (&codes::SLEEP_ERROR, "waking up", "use --wait spin", system::sleep_error),
    (&codes::REALTIME, "real time", "", system::realtime),
    (&codes::MISSING_CAPABILITY, "capabilities", "see udperf doctor", system::missing_capability),
];

pub(crate) fn check_host(host: &HostFacts, needs: HostRequirements<'_>) -> Vec<HostCheck> {
    let run = |&(code, subject, advice, check): &(&'static Code, _, _, Check)| {
        let (grade, found, fix) = check(host, needs)?;
        Some(HostCheck { code, subject, grade, found, fix, advice })
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
