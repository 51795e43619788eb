//! Checks of CPUs: number, siblings, isolation, quota, load and settings.

use super::requirements::Grade::{Good, Note, Warn};
use super::requirements::{Finding, HostRequirements, finding, fixable};
use crate::host::HostFacts;

fn list(cpus: &[usize]) -> String {
    let words: Vec<_> = cpus.iter().map(usize::to_string).collect();
    words.join(", ")
}

pub(super) fn few_cores(host: &HostFacts, needs: HostRequirements<'_>) -> Option<Finding> {
    let (cpus, workers) = (host.allowed_cpus.len(), needs.workers());
    Some(match (cpus, host.physical_cores()) {
        (0, _) => finding(Note, "the system does not report its CPUs; workers may share one"),
        (1, _) if workers > 1 => finding(Warn, "there is only one CPU"),
        _ if cpus < workers => finding(Warn, format!("{workers} workers share {cpus} CPUs")),
        (_, Some(cores)) if cores < cpus => finding(Good, format!("{cpus} on {cores} cores")),
        _ => finding(Good, cpus.to_string()),
    })
}

pub(super) fn smt_siblings(host: &HostFacts, needs: HostRequirements<'_>) -> Option<Finding> {
    let Some(cores) = host.physical_cores() else {
        let unsure = "SMT is on, but the system does not report which CPUs share a core";
        return host.smt_active?.then(|| finding(Note, unsure));
    };
    let both_on = |group: &&Vec<usize>| {
        let on =
            |cores: &[Option<usize>]| group.iter().copied().find(|cpu| cores.contains(&Some(*cpu)));
        let (tx, rx) = (on(needs.tx_cores), on(needs.rx_cores));
        tx.is_some() && rx.is_some() && tx != rx
    };
    if let Some(group) = host.siblings.iter().find(both_on) {
        let found = format!("both ends run on one physical core (CPUs {})", list(group));
        let apart: Vec<_> = host.siblings.iter().filter_map(|group| group.first()).collect();
        return Some(match (&apart[..], needs.threads) {
            ([tx, rx, ..], 1) => fixable(Warn, found, format!("udperf bench --pin {tx}:{rx}")),
            _ => finding(Warn, found),
        });
    }
    let workers = needs.workers();
    let undecided = needs.tx_cores.is_empty() && needs.rx_cores.is_empty();
    Some(if cores == host.allowed_cpus.len() {
        finding(Good, "no two CPUs share a core")
    } else if undecided && cores < workers {
        finding(Warn, format!("{workers} workers would run on {cores} physical cores"))
    } else {
        finding(Good, "on; --pin auto takes one CPU of each core first")
    })
}

pub(super) fn isolated_cpus(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let isolated = host.isolated_cpus.as_deref()?;
    let all = list(isolated);
    let (first, last) = (isolated.first()?, isolated.last()?);
    if isolated.iter().any(|cpu| host.allowed_cpus.contains(cpu)) {
        return Some(finding(Good, format!("CPUs {all} are isolated and available")));
    }
    let found = format!("CPUs {all} are isolated, but this process may not run there");
    let fix = format!("taskset -c {} udperf bench --pin {first}:{last}", all.replace(' ', ""));
    // One CPU would have to serve both ends.
    Some(if first == last { finding(Note, found) } else { fixable(Note, found, fix) })
}

pub(super) fn cpu_quota(host: &HostFacts, needs: HostRequirements<'_>) -> Option<Finding> {
    let limit = host.cpu_limit?;
    let used = needs.workers().min(host.allowed_cpus.len());
    let found = format!("a quota allows {limit} of the {used} CPUs that the workers use");
    (limit < used).then(|| finding(Warn, found))
}

/// Load per CPU that is noted. Arbitrary: more than one run leaves behind.
const BUSY_LOAD: f64 = 0.7;

pub(super) fn busy_host(host: &HostFacts, needs: HostRequirements<'_>) -> Option<Finding> {
    let (others, online) = (host.others_running?, host.online_cpus?);
    let workers = needs.workers();
    if others > 0 && others + workers as u64 > online as u64 {
        let threads = if others == 1 { "thread" } else { "threads" };
        let ours = if workers == 1 { "worker" } else { "workers" };
        let found = format!("{others} other {threads} and {workers} {ours} share {online} CPUs");
        return Some(finding(Warn, found));
    }
    let load = host.load_average?;
    Some(if load > BUSY_LOAD * online as f64 {
        finding(Note, format!("the load average is {load:.1} on {online} CPUs"))
    } else {
        finding(Good, format!("load average {load:.1}"))
    })
}

pub(super) fn governor(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let governor = host.governor.as_deref()?;
    if governor == "performance" {
        return Some(finding(Good, governor));
    }
    let found = format!("the frequency governor is {governor}");
    let fix = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor";
    Some(fixable(Warn, found, fix))
}

pub(super) fn turbo(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    Some(match host.turbo? {
        true => finding(Note, "the CPUs may exceed their nominal frequency"),
        false => finding(Good, "off"),
    })
}

/// Mitigations do not distort figures, but hosts with and without them do not compare.
pub(super) fn mitigations(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let states = host.mitigations.as_ref()?;
    let line = host.kernel_command_line.as_deref().unwrap_or_default();
    if line.split_whitespace().any(|word| word == "mitigations=off") {
        return Some(finding(Note, "flaws of the CPU are not mitigated (mitigations=off)"));
    }
    // The words of `Documentation/ABI/testing/sysfs-devices-system-cpu`.
    let count = |word| states.values().filter(|state| state.starts_with(word)).count();
    let (mitigated, vulnerable) = (count("Mitigation"), count("Vulnerable"));
    let found = format!("on for {mitigated} of {} flaws", states.len());
    Some(if mitigated == 0 && vulnerable > 0 {
        finding(Note, format!("{found}; vulnerable by {vulnerable}"))
    } else {
        finding(Good, found)
    })
}
