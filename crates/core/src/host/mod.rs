//! Facts about this host: hardware, kernel settings, capability probes, kernel counters, usage.

pub mod counters;
pub mod device;
mod path;
mod server;
mod slow_cpu;

pub use counters::{Meter, Throttle};
pub use device::{default_device, device_at, device_towards, path_mtu, source_towards};
pub use path::{PathOptions, PathRequest, probe_path};
pub use server::{ServerError, ServerId, ServerProcesses, UsageRecorder};
use slow_cpu::slow_share;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::UdpSocket;
use std::thread::Builder;

use serde::{Deserialize, Serialize};

use crate::document::{Capability, CgroupLimits, Device};
use crate::engine::{EngineRow, probe as engines};
use crate::net::{TIMER_SLACK_NS, may_be_realtime, pin_to};
use crate::plan::{Machine, MissingEngine};
use crate::sys;
use crate::sys::host::{self, number, read};
use crate::unit::lower_median;

/// Facts about this host, as in [`crate::document::Host`]; `None`: the system does not report it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "`document::Host` has the same fields")]
pub struct HostFacts {
    pub hostname: Option<String>,
    pub kernel: Option<String>,
    pub kernel_command_line: Option<String>,
    pub cpu_model: Option<String>,
    pub mitigations: Option<BTreeMap<String, String>>,
    /// CPUs this process may run on.
    pub allowed_cpus: Vec<usize>,
    /// The same grouped by physical core; empty if unknown.
    pub siblings: Vec<Vec<usize>>,
    pub online_cpus: Option<usize>,
    pub cpu_limit: Option<usize>,
    pub isolated_cpus: Option<Vec<usize>>,
    pub nohz_full_cpus: Option<Vec<usize>>,
    pub cgroup: Option<CgroupLimits>,
    pub smt_active: Option<bool>,
    pub turbo: Option<bool>,
    pub governor: Option<String>,
    pub rmem_max: Option<u64>,
    pub wmem_max: Option<u64>,
    pub netdev_max_backlog: Option<u64>,
    pub max_dgram_qlen: Option<u64>,
    pub sysctls: BTreeMap<String, String>,
    /// The network device of datagrams, if there is a known one.
    pub device: Option<Device>,
    pub clocksource: Option<String>,
    pub virtualization: Option<String>,
    pub container: Option<String>,
    /// Share of CPU time stolen by the hypervisor since boot, 0 to 1.
    pub steal_share: Option<f64>,
    pub slow_share: Option<f64>,
    pub load_average: Option<f64>,
    pub others_running: Option<u64>,
    /// Median cost of one clock read in ns.
    pub clock_cost_ns: Option<f64>,
    pub clock_step_ns: Option<u64>,
    /// Median and worst oversleep of a 100 µs sleep, in ns.
    pub sleep_error_ns: Option<(u64, u64)>,
    pub capabilities: Vec<Capability>,
    /// Built without optimisation.
    pub debug_build: bool,
}

impl HostFacts {
    /// Physical cores among the allowed CPUs, if known.
    pub fn physical_cores(&self) -> Option<usize> {
        (!self.siblings.is_empty()).then_some(self.siblings.len())
    }
}

/// The number of sleeps that are measured. Arbitrary: 10 take 2 ms and give a median, 50 show a
/// rare long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// For every run.
    Quick = 10,
    /// Not noticeable to people.
    Full = 50,
}

const SLEEP_NS: u64 = 100_000; // The measured sleep, about that of paced senders; arbitrary
const READS: usize = 200; // Clock reads of a round, 5 µs at 24 ns per read; arbitrary
const ROUNDS: usize = 9; // Rounds of which the median is taken; arbitrary
const STEPS: usize = 1_000; // Observed steps of the clock; arbitrary
const MAX_STEP_READS: usize = 50_000; // Reads for them: above 1 ms, a coarse tick, at 20 ns each

/// Collects facts about this host. Call it in the main thread before pinning: a pinned thread has
/// fewer CPUs than the process.
pub fn host_info(depth: Depth) -> HostFacts {
    let allowed_cpus = allowed_cpus();
    let steal_share = host::cpu_time()
        .filter(|time| time.total_ns > 0)
        .map(|time| time.stolen_ns as f64 / time.total_ns as f64);
    let sleeps = measure_sleeps(depth as usize);
    let max_sleep_ns = sleeps.errors_ns.iter().max().copied();
    HostFacts {
        hostname: read("/proc/sys/kernel/hostname"),
        kernel: host::kernel(),
        kernel_command_line: host::kernel_command_line(),
        cpu_model: host::cpu_model(),
        mitigations: host::mitigations(),
        siblings: host::thread_siblings(&allowed_cpus).unwrap_or_default(),
        online_cpus: host::online_cpus(),
        cpu_limit: std::thread::available_parallelism().ok().map(Into::into),
        isolated_cpus: host::isolated_cpus(),
        nohz_full_cpus: host::nohz_full_cpus(),
        cgroup: host::cgroup_limits(),
        smt_active: number("/sys/devices/system/cpu/smt/active").map(|active| active != 0),
        turbo: host::turbo(),
        governor: host::governor(&allowed_cpus),
        rmem_max: number("/proc/sys/net/core/rmem_max"),
        wmem_max: number("/proc/sys/net/core/wmem_max"),
        netdev_max_backlog: number("/proc/sys/net/core/netdev_max_backlog"),
        max_dgram_qlen: number("/proc/sys/net/unix/max_dgram_qlen"),
        sysctls: host::sysctls(),
        // Depends on the target.
        device: None,
        clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        virtualization: host::virtualization(),
        container: host::container(),
        steal_share,
        slow_share: if depth == Depth::Full { slow_share(sys::thread_cpu_ns) } else { None },
        load_average: host::load().map(|load| load.one_minute),
        others_running: sleeps.others,
        clock_cost_ns: clock_cost_ns(sys::monotonic_ns),
        clock_step_ns: clock_step_ns(sys::monotonic_ns),
        sleep_error_ns: max_sleep_ns.and_then(|max| Some((lower_median(sleeps.errors_ns)?, max))),
        capabilities: probe(&allowed_cpus),
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

fn allowed_cpus() -> Vec<usize> {
    sys::affinity().unwrap_or_else(|| {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        cores.into_iter().map(|core| core.id).collect()
    })
}

#[derive(Debug, Default)]
struct SleepErrors {
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
            let others = host::load().map(|load| load.runnable.saturating_sub(1));
            sleeps.others = sleeps.others.into_iter().chain(others).min();
        }
        sleeps
    };
    let thread = Builder::new().name("udperf-sleep".to_owned()).spawn(sleep);
    thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
}

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

/// Probes the engines of this build and the features they need by using them, as containers and
/// security policies may disable features of the kernel.
fn probe(allowed_cpus: &[usize]) -> Vec<Capability> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok();
    let reports_queue_drops = |socket: &UdpSocket| {
        sys::report_queue_drops(socket, false).is_ok() && sys::reports_queue_drops(socket, false)
    };
    let features = [
        feature(
            "socket_drops",
            socket.as_ref().and_then(sys::socket_drops).is_some(),
            "SO_MEMINFO: loss at a full receive buffer is counted exactly",
            "no SO_MEMINFO: loss at a full receive buffer stays unaccounted",
        ),
        feature(
            "queue_drops",
            socket.as_ref().is_some_and(reports_queue_drops),
            "IP_RECVERR: sends that a full queue below the socket refuses are counted",
            "no IP_RECVERR: a full queue below the socket drops in silence",
        ),
        feature(
            "udp_counters",
            sys::udp_and_ip_counters().0.is_some(),
            "/proc/net/snmp: counts of udperf are checked against the kernel's",
            "no counts in /proc/net/snmp: counts of udperf are not checked against the kernel's",
        ),
        feature(
            "backlog_drops",
            sys::backlog_drops().is_some(),
            "/proc/net/softnet_stat: loss at a CPU's full backlog is counted",
            "no counts in /proc/net/softnet_stat: loss at a CPU's full backlog stays unaccounted",
        ),
        feature(
            "device_drops",
            sys::device_drops(None).is_some(),
            "/proc/net/dev: drops of interfaces are counted",
            "no counts in /proc/net/dev: drops of interfaces stay unaccounted",
        ),
        ipv6(),
        affinity(allowed_cpus),
        feature(
            "thread_cpu",
            sys::thread_cpu_ns().is_some(),
            "CPU time of each worker is known",
            "CPU time of workers is not known",
        ),
        feature(
            "realtime",
            may_be_realtime().is_ok(),
            "SCHED_FIFO: with --realtime, ordinary programs do not delay workers",
            "no permission for SCHED_FIFO, so no --realtime",
        ),
    ];
    let mut found = crate::engine::table::probe();
    found.extend(engines::timestamps());
    found.extend(features);
    found
}

fn feature(name: &'static str, available: bool, there: &str, missing: &str) -> Capability {
    let found = if available { Ok(there) } else { Err(missing) };
    engines::capability(name, found.map(str::to_owned).map_err(str::to_owned))
}

fn ipv6() -> Capability {
    let bound = UdpSocket::bind("[::1]:0").map(|_| "UDP sockets on ::1".to_owned());
    let found = bound.map_err(|error| format!("no UDP socket on ::1: {error}"));
    engines::capability("ipv6", found)
}

/// Pins a separate thread, so that the caller keeps its CPUs.
fn affinity(allowed_cpus: &[usize]) -> Capability {
    let pin = |&cpu: &usize| {
        let pin = move || pin_to(cpu).map_err(|error| error.to_string());
        let thread = Builder::new().name("udperf-pin".to_owned()).spawn(pin);
        let pinned = thread.ok().and_then(|thread| thread.join().ok());
        pinned.unwrap_or_else(|| Err("no thread could be started".to_owned()))
    };
    let no_cpu = || "the system does not report CPUs".to_owned();
    let pinned = allowed_cpus.first().ok_or_else(no_cpu).and_then(pin);
    let there = |()| "threads stay on the CPU they are pinned to".to_owned();
    engines::capability("affinity", pinned.map(there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_cost_and_step_of_a_clock() {
        let now = std::cell::Cell::new(0);
        let clock = || {
            now.set(now.get() + 25);
            now.get()
        };
        assert_eq!(clock_cost_ns(clock), Some(25.0));
        assert_eq!(clock_step_ns(clock), Some(25));
        // A stopped clock has neither.
        assert_eq!((clock_cost_ns(|| 7), clock_step_ns(|| 7)), (None, None));
    }

    #[test]
    fn capabilities_have_unique_names_and_details() {
        let before = sys::affinity();
        let facts = host_info(Depth::Quick);
        assert!(facts.kernel.is_none_or(|kernel| kernel.starts_with("Linux ")));
        // Systems without this call name their CPUs in another way, or not at all.
        assert!(before.as_ref().is_none_or(|cpus| *cpus == facts.allowed_cpus));
        let found = facts.capabilities;
        assert_eq!(sys::affinity(), before, "the caller keeps its CPUs");
        let names: std::collections::BTreeSet<_> = found.iter().map(|can| &*can.name).collect();
        assert_eq!(names.len(), found.len());
        let mut tried = crate::engine::ENGINES.iter().filter(|row| row.probe.is_some());
        assert!(tried.all(|row| names.contains(row.word)));
        assert!(found.iter().all(|can| !can.detail.is_empty()));
    }
}
