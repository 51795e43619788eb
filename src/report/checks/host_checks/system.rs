//! Checks of the build, virtualization, kernel limits, the device, capabilities and clocks.

use super::requirements::Grade::{Bad, Good, Note, Warn};
use super::requirements::{Finding, HostRequirements, finding, fixable};
use crate::host::HostFacts;
use crate::unit::{grouped, show_bytes, show_nanos};

pub(super) fn debug_build(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    Some(match host.debug_build {
        true => fixable(Bad, "this udperf was built without optimisation", "cargo build --release"),
        false => finding(Good, "optimised"),
    })
}

/// Share of stolen CPU time (0 to 1) that distorts. Arbitrary: stalls of a few ms a second.
const STEAL_WARN: f64 = 0.01;

pub(super) fn virtual_machine(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let Some(name) = host.virtualization.as_deref() else {
        // Without any facts, the machine may be virtual.
        let known = host.kernel.is_some() && host.steal_share.is_some();
        return known.then(|| finding(Good, "none detected"));
    };
    let grade = if host.steal_share > Some(STEAL_WARN) { Warn } else { Note };
    let share = host.steal_share.map_or_else(String::new, |share| {
        format!(" that took {:.2} % of CPU time since boot", share * 100.0)
    });
    Some(finding(grade, format!("a virtual machine under {name}{share}")))
}

pub(super) fn container(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let kind = host.container.as_deref()?;
    Some(finding(Note, format!("this is a {kind} container")))
}

pub(super) fn rmem_max(host: &HostFacts, needs: HostRequirements<'_>) -> Option<Finding> {
    Some(buffer_limit("rmem_max", host.rmem_max?, needs))
}

pub(super) fn wmem_max(host: &HostFacts, needs: HostRequirements<'_>) -> Option<Finding> {
    Some(buffer_limit("wmem_max", host.wmem_max?, needs))
}

fn buffer_limit(name: &str, most: u64, needs: HostRequirements<'_>) -> Finding {
    let (requested, shown) = (needs.socket_buffer as u64, show_bytes(most));
    if most >= requested {
        return finding(Good, format!("up to {shown}"));
    }
    let found = format!("net.core.{name} is {shown}, but {} are requested", show_bytes(requested));
    fixable(Warn, found, format!("sysctl -w net.core.{name}={requested}"))
}

/// The kernel's default of `net.core.netdev_max_backlog` (`net/core/hotdata.c`).
const BACKLOG_DEFAULT: u64 = 1_000;

/// Losses show whether the queue was too short; only a limit below the default is noted.
pub(super) fn netdev_max_backlog(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let backlog = host.netdev_max_backlog?;
    if backlog >= BACKLOG_DEFAULT {
        return Some(finding(Good, format!("{} packets", grouped(backlog))));
    }
    let found = grouped(backlog);
    let found = format!("net.core.netdev_max_backlog is {found}, below the kernel's default");
    let fix = format!("sysctl -w net.core.netdev_max_backlog={BACKLOG_DEFAULT}");
    Some(fixable(Note, found, fix))
}

/// Features that let a super-packet pass a device, by the kernel's names.
const PASSES_WHOLE: [(&str, &str); 2] = [("GSO", "tx-generic-segmentation"), ("GRO", "rx-gro")];

pub(super) fn device_offload(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let device = host.device.as_ref()?;
    let states = device.offloads.as_ref()?;
    let off = PASSES_WHOLE.iter().filter(|(_, feature)| states.get(*feature) == Some(&false));
    let off: Vec<_> = off.map(|(word, _)| *word).collect();
    let found = format!("off on {}: {}", device.name, off.join(", "));
    (!off.is_empty()).then(|| finding(Note, found))
}

/// Capabilities that figures depend on; others only offer more engines.
const RELIED_ON: &[&str] = &["socket_drops", "queue_drops", "udp_counters", "affinity"];

pub(super) fn missing_capability(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let missing: Vec<_> = host.capabilities.iter().filter(|can| !can.available).collect();
    if let Some(plain) = missing.iter().find(|can| can.name == "plain") {
        let found = format!("the plain engine does not work here: {}", plain.detail);
        return Some(finding(Bad, found));
    }
    let names: Vec<_> = missing.iter().map(|can| can.name.as_str()).collect();
    match (missing.len(), host.capabilities.len()) {
        (_, 0) => None,
        (0, all) => Some(finding(Good, format!("all {all} available"))),
        (count, all) => {
            let relied_on = names.iter().any(|name| RELIED_ON.contains(name));
            let found = format!("{count} of {all} missing ({})", names.join(", "));
            Some(finding(if relied_on { Warn } else { Note }, found))
        }
    }
}

/// The kernel's default of `kernel.sched_rt_runtime_us`, of each second; kernel/sched/rt.c.
const RT_RUNTIME_US: u32 = 950_000;

pub(super) fn realtime(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let can = host.capabilities.iter().find(|can| can.name == "realtime")?;
    let runtime_us = host.sysctls.get("kernel.sched_rt_runtime_us");
    if !can.available {
        let fix = "setcap cap_sys_nice,cap_ipc_lock=ep \"$(command -v udperf)\"";
        return Some(fixable(Note, "--realtime is not permitted", fix));
    }
    if runtime_us.is_some_and(|us| us == "-1") {
        let fix = format!("sysctl -w kernel.sched_rt_runtime_us={RT_RUNTIME_US}");
        return Some(fixable(Note, "kernel.sched_rt_runtime_us is -1: no limit", fix));
    }
    let limit = runtime_us.and_then(|us| us.parse::<u64>().ok()).map_or_else(String::new, |us| {
        format!(" for {} of each period", show_nanos(us.saturating_mul(1_000)))
    });
    Some(finding(Good, format!("--realtime is permitted{limit}")))
}

/// Clock sources that the vDSO reads: their kernel drivers set a `vdso_clock_mode`.
const FAST_SOURCES: &str = "tsc kvm-clock xen hyperv_clocksource_tsc_page arch_sys_counter \
                            riscv_clocksource timebase tod";

fn is_fast(source: &str) -> bool {
    FAST_SOURCES.split(' ').any(|fast| fast == source)
}

/// Maximum tolerated cost of a clock read in ns. With the vDSO a read takes about 25 (measured), by
/// a system call several hundred; arbitrary between these.
const COST_MOST_NS: f64 = 100.0;

/// Coarser steps are noted, in ns. Arbitrary: a tenth of the shortest latency over loopback.
const STEP_NOTE_NS: u64 = 100;

/// Coarser steps distort, in ns. Arbitrary: latency is shown in microseconds.
const STEP_WARN_NS: u64 = 1_000;

/// Maximum tolerated median delay of a wake-up in ns: paced senders stop sleeping this long before
/// the due time (`SLEEP_MARGIN` in `net/wait.rs`).
const SLEEP_MOST_NS: u64 = 100_000;

/// Highest share of slow CPU time (0 to 1) without a warning. Arbitrary: two of the 100 measured
/// windows may be slow by chance.
const SLOW_MOST: f64 = 0.02;

pub(super) fn slow_cpu(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let share = host.slow_share?;
    if share <= SLOW_MOST {
        return Some(finding(Good, "steady"));
    }
    Some(finding(Warn, format!("much slower than usual for {:.0} % of the time", share * 100.0)))
}

/// Maximum delay of a wake-up without a note, in ns: longer ones count as stalls.
const SLEEP_LONGEST_NS: u64 = 1_000_000;

/// A slow source is a note if `clock_cost` measured its cost, otherwise a warning.
pub(super) fn clocksource(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let source = host.clocksource.as_deref()?;
    if is_fast(source) {
        return Some(finding(Good, source));
    }
    let grade = if host.clock_cost_ns.is_some() { Note } else { Warn };
    Some(finding(grade, format!("the clock source is {source}")))
}

pub(super) fn clock_cost(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let cost = host.clock_cost_ns?;
    if cost <= COST_MOST_NS {
        return Some(finding(Good, format!("{cost:.0} ns")));
    }
    let source = host.clocksource.as_deref().unwrap_or("unknown");
    let found = format!("a clock read takes {cost:.0} ns (clock source {source})");
    let fix =
        "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource";
    Some(if is_fast(source) { finding(Warn, found) } else { fixable(Warn, found, fix) })
}

pub(super) fn clock_step(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let step_ns = host.clock_step_ns?;
    let step = show_nanos(step_ns);
    if step_ns <= STEP_NOTE_NS {
        return Some(finding(Good, step));
    }
    let grade = if step_ns > STEP_WARN_NS { Warn } else { Note };
    Some(finding(grade, format!("the clock moves in steps of {step}")))
}

pub(super) fn sleep_error(host: &HostFacts, needs: HostRequirements<'_>) -> Option<Finding> {
    let (p50, max) = host.sleep_error_ns?;
    let figures = format!("{} late, {} at most", show_nanos(p50), show_nanos(max));
    if p50 > SLEEP_MOST_NS {
        let grade = if needs.paced { Warn } else { Note };
        let found = format!("a sleeping thread wakes up {figures}");
        return Some(fixable(grade, found, "udperf bench --wait spin"));
    }
    Some(finding(if max > SLEEP_LONGEST_NS { Note } else { Good }, figures))
}
