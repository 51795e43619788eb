//! Checks of the clock and of sleeps.

use super::{Grade, HostCheck, HostRequirements, finding};
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
pub(super) fn clocksource(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let source = host.clocksource.as_deref()?;
    if FAST_SOURCES.contains(&source) {
        return Some(finding(Grade::Good, source.to_owned()));
    }
    let grade = match host.clock_cost_ns {
        Some(_) => Grade::Note,
        None => Grade::Warn,
    };
    Some(
        finding(grade, format!("the clock source is {source}"))
            .because("unlike tsc, most others are read by a system call or from slow hardware"),
    )
}

pub(super) fn clock_cost(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let cost = host.clock_cost_ns?;
    if cost <= COST_MOST_NS {
        return Some(finding(Grade::Good, format!("{cost:.0} ns")));
    }
    let source = host.clocksource.as_deref().unwrap_or("unknown");
    let slow = finding(
        Grade::Warn,
        format!("a clock read takes {cost:.0} ns (clock source {source})"),
    )
    .because(
        "workers read the clock once per batch, so rates are too low and each latency includes \
         two reads",
    );
    Some(if FAST_SOURCES.contains(&source) {
        slow
    } else {
        slow.fixed_by(
            "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource",
        )
    })
}

pub(super) fn clock_step(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let step = host.clock_step_ns?;
    let grade = if step > STEP_WARN_NS {
        Grade::Warn
    } else if step > STEP_NOTE_NS {
        Grade::Note
    } else {
        Grade::Good
    };
    let step = show_nanos(step);
    let finding = |found| finding(grade, found);
    Some(if grade == Grade::Good {
        finding(step)
    } else {
        finding(format!("the clock moves in steps of {step}"))
            .because("latency below a few steps, and jitter below one, is only rounding")
    })
}

pub(super) fn sleep_error(host: &HostFacts, wants: HostRequirements<'_>) -> Option<HostCheck> {
    let (p50, max) = host.sleep_error_ns?;
    let figures = format!("{} late, {} at most", show_nanos(p50), show_nanos(max));
    Some(if p50 > SLEEP_MOST_NS {
        let grade = if wants.paced { Grade::Warn } else { Grade::Note };
        finding(grade, format!("a sleeping thread wakes up {figures}"))
            .because("a paced sender that sleeps between datagrams misses due times; let it spin")
            .fixed_by("udperf bench --wait spin")
    } else if max > SLEEP_LONGEST_NS {
        finding(Grade::Note, figures)
            .because("some wake-ups are as late as a stall, and count as one")
    } else {
        finding(Grade::Good, figures)
    })
}
