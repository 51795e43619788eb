//! Collects facts about this host from the system, and measures its clock and sleep.

use std::hint::black_box;
use std::thread::Builder;

use crate::document::CgroupLimits;
use crate::engine::EngineRow;
use crate::host::HostFacts;
use crate::host::probe;
use crate::net::TIMER_SLACK_NS;
use crate::plan::{Machine, MissingEngine};
use crate::sys;
use crate::unit::lower_median;

/// The extent of a survey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// A few ms, for every run.
    Quick,
    /// Short enough not to be noticed by people.
    Full,
}

impl Depth {
    /// Measured sleeps. Arbitrary: 10 take 2 ms and give a median, 50 show a rare long one.
    const fn sleeps(self) -> usize {
        match self {
            Self::Quick => 10,
            Self::Full => 50,
        }
    }
}

/// The measured sleep: about that of paced senders. Arbitrary.
const SLEEP_NS: u64 = 100_000;

/// Clock reads in one round. Arbitrary: 5 µs at 24 ns a read, so that most see no interrupt.
const READS: usize = 200;

/// Rounds of which the median is taken. Arbitrary: a few interrupts do not move it.
const ROUNDS: usize = 9;

/// Observed steps of the clock; arbitrary.
const STEPS: usize = 1_000;

/// Maximum reads for that: a clock with 1 ms ticks moves within them (20 ns per read).
const MAX_STEP_READS: usize = 50_000;

/// Collects facts about this host. Call it in the main thread before pinning: a pinned thread has
/// fewer CPUs than the process.
pub fn survey(depth: Depth) -> HostFacts {
    let allowed_cpus = allowed_cpus();
    let steal_share = sys::host::cpu_time()
        .filter(|time| time.total_ns > 0)
        .map(|time| time.stolen_ns as f64 / time.total_ns as f64);
    let sleeps = measure_sleeps(depth.sleeps());
    HostFacts {
        hostname: sys::host::hostname(),
        kernel: sys::host::kernel(),
        kernel_command_line: sys::host::kernel_command_line(),
        cpu_model: sys::host::cpu_model(),
        mitigations: sys::host::mitigations(),
        siblings: sys::host::thread_siblings(&allowed_cpus).unwrap_or_default(),
        online_cpus: sys::host::online_cpus(),
        cpu_limit: std::thread::available_parallelism().ok().map(Into::into),
        isolated_cpus: sys::host::isolated_cpus(),
        nohz_full_cpus: sys::host::nohz_full_cpus(),
        cgroup: sys::host::cgroup_limits().map(|limits| CgroupLimits {
            cpu_max: limits.cpu_max,
            memory_max: limits.memory_max,
            cpus: limits.cpus,
        }),
        smt_active: sys::host::smt_active(),
        turbo: sys::host::turbo(),
        governor: sys::host::governor(&allowed_cpus),
        rmem_max: sys::host::rmem_max(),
        wmem_max: sys::host::wmem_max(),
        netdev_max_backlog: sys::host::netdev_max_backlog(),
        max_dgram_qlen: sys::host::max_dgram_qlen(),
        sysctls: sys::host::sysctls(),
        // Depends on the target.
        device: None,
        clocksource: sys::host::clocksource(),
        virtualization: sys::host::virtualization(),
        container: sys::host::container(),
        steal_share,
        load_average: sys::host::load().map(|load| load.one_minute),
        others_running: sleeps.others,
        clock_cost_ns: clock_cost_ns(sys::monotonic_ns),
        clock_step_ns: clock_step_ns(sys::monotonic_ns),
        sleep_error_ns: sleeps.errors_ns.iter().max().copied().and_then(|max| {
            let p50 = lower_median(sleeps.errors_ns)?;
            Some((p50, max))
        }),
        capabilities: probe::probe(&allowed_cpus),
        debug_build: cfg!(debug_assertions),
        allowed_cpus,
    }
}

/// The facts that planning needs.
pub fn machine(facts: &HostFacts) -> Machine {
    // Without pinning, no CPU can be chosen.
    let pins = facts.capabilities.iter().all(|found| found.name != "affinity" || found.available);
    let cpus = if pins { facts.allowed_cpus.clone() } else { Vec::new() };
    let missing = facts.capabilities.iter().filter(|found| !found.available);
    let missing = missing.filter_map(|found| {
        let engine = EngineRow::named(&found.name)?.word.to_owned();
        Some(MissingEngine { engine, why: found.detail.clone() })
    });
    Machine { cpus, siblings: facts.siblings.clone(), missing: missing.collect(), fastest: None }
}

/// The CPUs that this process may run on; empty if unknown.
fn allowed_cpus() -> Vec<usize> {
    sys::affinity().unwrap_or_else(|| {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        cores.into_iter().map(|core| core.id).collect()
    })
}

/// The result of the sleep measurement.
#[derive(Debug, Default)]
struct SleepErrors {
    /// Oversleep of each sleep.
    errors_ns: Vec<u64>,
    /// Minimum number of other runnable threads, which ignores programs that only start.
    others: Option<u64>,
}

/// Measures sleeps in a separate thread, as the timer slack is set per thread.
fn measure_sleeps(count: usize) -> SleepErrors {
    let sleep = move || {
        sys::set_timer_slack_ns(TIMER_SLACK_NS);
        let mut sleeps = SleepErrors::default();
        for _ in 0..count {
            let due = sys::monotonic_ns() + SLEEP_NS;
            sys::sleep_until_ns(due);
            sleeps.errors_ns.push(sys::monotonic_ns().saturating_sub(due));
            // Without this thread.
            if let Some(load) = sys::host::load() {
                let others = load.runnable.saturating_sub(1);
                sleeps.others = Some(sleeps.others.unwrap_or(others).min(others));
            }
        }
        sleeps
    };
    let thread = Builder::new().name("udperf-survey".to_owned()).spawn(sleep);
    thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
}

/// Median cost of a read of this clock.
fn clock_cost_ns(clock: impl Fn() -> u64) -> Option<f64> {
    let round = |_| {
        let start = clock();
        for _ in 0..READS {
            black_box(clock());
        }
        // The interval includes the last read, but not the first.
        clock().saturating_sub(start) as f64 / (READS + 1) as f64
    };
    lower_median((0..ROUNDS).map(round)).filter(|cost| *cost > 0.0)
}

/// Smallest step between two different reads of this clock; `None` if it did not move.
fn clock_step_ns(clock: impl Fn() -> u64) -> Option<u64> {
    let mut last = clock();
    let steps = (0..MAX_STEP_READS).filter_map(|_| {
        let now = clock();
        let step = now.saturating_sub(last);
        last = now;
        (step > 0).then_some(step)
    });
    steps.take(STEPS).min()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_survey_finds_what_the_system_tells() {
        let facts = survey(Depth::Quick);
        assert!(facts.capabilities.iter().any(|can| can.name == "plain"));
        assert!(facts.clock_step_ns.is_none_or(|step| step > 0));
        if sys::affinity().is_none() {
            eprintln!("SKIPPED: this system does not report CPUs");
            return;
        }
        assert!(!facts.allowed_cpus.is_empty());
        assert!(facts.kernel.is_some_and(|kernel| kernel.starts_with("Linux ")));
    }

    #[test]
    fn a_clock_is_timed_by_its_own_steps() {
        let now = Cell::new(0);
        let clock = || {
            now.set(now.get() + 25);
            now.get()
        };
        assert_eq!(clock_cost_ns(clock), Some(25.0));
        assert_eq!(clock_step_ns(clock), Some(25));
        // A stopped clock has neither.
        assert_eq!((clock_cost_ns(|| 7), clock_step_ns(|| 7)), (None, None));
    }
}
