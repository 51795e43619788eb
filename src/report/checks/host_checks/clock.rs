//! Checks of the clock and of sleeps.

use super::HostRequirements;
use super::check::Grade::{Good, Note, Warn};
use super::check::{Finding, finding, fixable};
use crate::host::HostFacts;
use crate::unit::show_nanos;

/// Clock sources that the vDSO reads: their kernel drivers set a `vdso_clock_mode`.
const FAST_SOURCES: &[&str] = &[
    "tsc",
    "kvm-clock",
    "xen",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
    "riscv_clocksource",
    "timebase",
    "tod",
];

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

/// Maximum delay of a wake-up without a note, in ns: longer ones count as stalls.
const SLEEP_LONGEST_NS: u64 = 1_000_000;

/// A slow source is a note if `clock_cost` measured its cost, otherwise a warning.
pub(super) fn clocksource(host: &HostFacts, _: HostRequirements<'_>) -> Option<Finding> {
    let source = host.clocksource.as_deref()?;
    if FAST_SOURCES.contains(&source) {
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
    Some(match FAST_SOURCES.contains(&source) {
        true => finding(Warn, found),
        false => fixable(Warn, found, fix),
    })
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
