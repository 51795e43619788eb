//! Checks of CPUs: number, siblings, isolation, quota, load and governor.

use super::{Grade, HostCheck, HostRequirements, finding};
use crate::host::HostFacts;

fn list(cpus: &[usize]) -> String {
    let words: Vec<_> = cpus.iter().map(usize::to_string).collect();
    words.join(", ")
}

pub(super) fn few_cores(host: &HostFacts, wants: HostRequirements<'_>) -> Option<HostCheck> {
    let (cpus, workers) = (host.allowed_cpus.len(), wants.workers());
    Some(match cpus {
        0 => finding(Grade::Note, "the system does not report its CPUs")
            .because("workers run wherever the scheduler puts them, so runs differ more"),
        1 if workers > 1 => finding(Grade::Warn, "there is only one CPU").because(
            "sender and receiver take turns on it, so rates are those of half a CPU and latency \
             includes the wait for the other; use a machine with two or more",
        ),
        _ if cpus < workers => finding(Grade::Warn, format!("{workers} workers share {cpus} CPUs"))
            .because(
                "they take turns, so rates are too low and latency includes the wait for the \
                 others; use fewer --threads",
            ),
        _ => finding(
            Grade::Good,
            match host.physical_cores() {
                Some(cores) if cores < cpus => format!("{cpus} on {cores} cores"),
                _ => format!("{cpus}"),
            },
        ),
    })
}

pub(super) fn smt_siblings(host: &HostFacts, wants: HostRequirements<'_>) -> Option<HostCheck> {
    let Some(cores) = host.physical_cores() else {
        let unsure = "SMT is on, but the system does not report which CPUs share a core";
        return host.smt_active?.then(|| {
            finding(Grade::Note, unsure.to_owned())
                .because("both ends may run on one core; choose cores with --pin")
        });
    };
    const WHY: &str = "the two share its execution units and caches, so each slows the other down";
    let both_on = |group: &&Vec<usize>| {
        let on =
            |cores: &[Option<usize>]| group.iter().copied().find(|cpu| cores.contains(&Some(*cpu)));
        let (tx, rx) = (on(wants.tx_cores), on(wants.rx_cores));
        tx.is_some() && rx.is_some() && tx != rx
    };
    if let Some(group) = host.siblings.iter().find(both_on) {
        let found = format!("both ends run on one physical core (CPUs {})", list(group));
        let apart: Vec<_> = host.siblings.iter().filter_map(|group| group.first()).collect();
        let finding = finding(Grade::Warn, found).because(WHY);
        return Some(match (&apart[..], wants.threads) {
            ([tx, rx, ..], 1) => finding.fixed_by(format!("udperf bench --pin {tx}:{rx}")),
            _ => finding,
        });
    }
    let (cpus, workers) = (host.allowed_cpus.len(), wants.workers());
    let undecided = wants.tx_cores.is_empty() && wants.rx_cores.is_empty();
    Some(if cores == cpus {
        finding(Grade::Good, "no two CPUs share a core")
    } else if undecided && cores < workers {
        finding(Grade::Warn, format!("{workers} workers would run on {cores} physical cores"))
            .because(WHY)
    } else {
        finding(Grade::Good, "on; --pin auto takes one CPU of each core first")
    })
}

/// CPUs that the scheduler keeps free, and whether we may use them.
pub(super) fn isolated_cpus(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let isolated = host.isolated_cpus.as_deref()?;
    let all = list(isolated);
    let (first, last) = (isolated.first()?, isolated.last()?);
    if isolated.iter().any(|cpu| host.allowed_cpus.contains(cpu)) {
        let found = format!("CPUs {all} are isolated and available");
        return Some(finding(Grade::Good, found));
    }
    let found = format!("CPUs {all} are isolated, but this process may not run there");
    let away = finding(Grade::Note, found)
        .because("no other threads run on them, so figures from there are steadier");
    // One CPU would have to serve both ends.
    Some(if first == last {
        away
    } else {
        let cpus = all.replace(' ', "");
        away.fixed_by(format!("taskset -c {cpus} udperf bench --pin {first}:{last}"))
    })
}

pub(super) fn cpu_quota(host: &HostFacts, wants: HostRequirements<'_>) -> Option<HostCheck> {
    let (limit, cpus) = (host.cpu_limit?, host.allowed_cpus.len());
    let wanted = wants.workers().min(cpus);
    (limit < wanted).then(|| {
        finding(
            Grade::Warn,
            format!("a quota allows {limit} of the {wanted} CPUs that the workers use"),
        )
        .because(
            "once it is used up, all threads stop until the next period, often for tens of ms; \
             raise the limit of the container or cgroup (cpu.max)",
        )
    })
}

/// Load per CPU that is noted. Arbitrary: more than one run leaves behind.
const BUSY_LOAD: f64 = 0.7;

pub(super) fn busy_host(host: &HostFacts, wants: HostRequirements<'_>) -> Option<HostCheck> {
    let (others, online) = (host.others_running?, host.online_cpus?);
    let workers = wants.workers();
    if others > 0 && others + workers as u64 > online as u64 {
        let threads = if others == 1 { "thread" } else { "threads" };
        let ours = if workers == 1 { "worker" } else { "workers" };
        let found = format!("{others} other {threads} and {workers} {ours} share {online} CPUs");
        return Some(finding(Grade::Warn, found).because(
            "a thread on the CPU of a worker takes it for ms at a time; stop other programs",
        ));
    }
    let load = host.load_average?;
    Some(if load > BUSY_LOAD * online as f64 {
        finding(Grade::Note, format!("the load average is {load:.1} on {online} CPUs")).because(
            "other programs than udperf may have run within the last minute, and may run again",
        )
    } else {
        finding(Grade::Good, format!("load average {load:.1}"))
    })
}

pub(super) fn governor(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let governor = host.governor.as_deref()?;
    Some(if governor == "performance" {
        finding(Grade::Good, governor.to_owned())
    } else {
        finding(Grade::Warn, format!("the frequency governor is {governor}"))
            .because(
                "the clock follows the load, so low rates and the first moments of a cell run \
                 slower; as root, until the next boot",
            )
            .fixed_by(
                "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
            )
    })
}
