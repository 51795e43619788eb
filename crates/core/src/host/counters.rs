//! Counters read before and after a phase: the kernel's, usage of a worker, CPU throttling.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;

use super::device::{name_at, name_towards};
use crate::document::CpuThrottling;
use crate::measure::{
    Instructions, KernelCounters, KernelDelta, RxResult, TxResult, Usage, combine,
};
use crate::net::enter_netns;
use crate::sys::{self, InstructionCounter, NetLink, RingCounter};
use crate::unit::Nanos;

/// Interval of address resolution probes: `retrans_time_ms` (arp(7), RFC 4861 section 10).
const PROBE_EVERY_NS: u64 = 1_000_000_000;

/// The counters at the start of a phase.
#[derive(Debug)]
pub struct CounterSnapshot {
    /// `None`: the datagrams affect none of them.
    counters: Option<KernelCounters>,
    /// The devices on the path; `None`: unknown, so all devices count.
    path: Option<Vec<NetLink>>,
    netns: Option<PathBuf>,
    stolen_ns: Option<u64>,
    target: Option<(SocketAddr, Option<String>)>,
    unresolved: Option<bool>,
    began_ns: u64,
}

/// The changes of the counters over a phase.
#[derive(Debug, Clone, Copy)]
pub struct CounterDelta {
    kernel: KernelDelta,
    stolen: Option<Nanos>,
}

impl CounterSnapshot {
    /// Reads all counters; those of devices only on the path of `device`, if known.
    pub fn begin(device: Option<&str>) -> Self {
        Self::of(device.and_then(sys::device_stack), None, stolen_ns())
    }

    /// The same for senders to `target` from `bind`, or by `device`.
    pub fn begin_towards(target: SocketAddr, bind: IpAddr, device: Option<&str>) -> Self {
        let device = name_towards(target, bind, device);
        Self::begin(device.as_deref()).towards(target, device.as_deref())
    }

    /// The same without counters if the datagrams do not use IP (`beside_ip`).
    pub fn begin_maybe(beside_ip: bool, device: Option<&str>) -> Self {
        let snapshot = Self::begin(device.filter(|_| !beside_ip));
        Self { counters: snapshot.counters.filter(|_| !beside_ip), ..snapshot }
    }

    /// Reads those of another network namespace, on the path of the device with this address.
    pub fn begin_in(netns: &Path, at: Option<IpAddr>) -> Self {
        let path = within(netns, || sys::device_stack(&name_at(at?)?)).flatten();
        Self::of(path, Some(netns.to_owned()), None)
    }

    fn of(path: Option<Vec<NetLink>>, netns: Option<PathBuf>, stolen_ns: Option<u64>) -> Self {
        let counters = Some(read(netns.as_deref(), path.as_deref()));
        let began_ns = sys::monotonic_ns();
        Self { counters, path, netns, stolen_ns, target: None, unresolved: None, began_ns }
    }

    /// Also checks address resolution of the next hop towards this target.
    #[must_use]
    pub fn towards(mut self, target: SocketAddr, device: Option<&str>) -> Self {
        self.unresolved = sys::neighbour_unresolved(target, device);
        self.target = Some((target, device.map(str::to_owned)));
        self
    }

    /// Reads them again.
    pub fn end(&self) -> CounterDelta {
        let now = || read(self.netns.as_deref(), self.path.as_deref());
        let since = |then: &KernelCounters| now().since(then);
        let mut kernel = self.counters.as_ref().map(since).unwrap_or_default();
        let target = self.target.as_ref();
        let now = target.and_then(|(to, device)| sys::neighbour_unresolved(*to, device.as_deref()));
        kernel.neighbour_unresolved = combine(self.unresolved, now, |then, now| then || now);
        if kernel.neighbour_unresolved == Some(true) {
            // The device also sent the probes of address resolution.
            let probes = sys::monotonic_ns().saturating_sub(self.began_ns) / PROBE_EVERY_NS + 1;
            kernel.device_sent = kernel.device_sent.map(|sent| sent.saturating_sub(probes));
        }
        let stolen = stolen_ns().zip(self.stolen_ns);
        CounterDelta { kernel, stolen: stolen.map(|(now, then)| Nanos(now.saturating_sub(then))) }
    }
}

impl CounterDelta {
    /// The changes of the kernel's counters.
    pub const fn kernel(&self) -> KernelDelta {
        self.kernel
    }

    /// Adds it to the result of the receivers.
    pub fn into_rx(self, rx: &mut RxResult) {
        rx.kernel = self.kernel.of_workers(&rx.kernel);
        rx.stolen = self.stolen;
    }

    /// Adds it to both results.
    pub fn into_both(self, tx: &mut TxResult, rx: &mut RxResult) {
        self.into_tx(tx);
        self.into_rx(rx);
    }

    /// Adds it to the result of the senders.
    pub fn into_tx(self, tx: &mut TxResult) {
        (tx.kernel, tx.stolen) = (self.kernel.of_workers(&tx.kernel), self.stolen);
    }
}

/// Drops at the rings of a worker's engine since a moment. Any thread may read them.
#[derive(Debug, Clone)]
pub struct RingDrops {
    counter: RingCounter,
    before: u64,
}

impl RingDrops {
    /// Counts from now on; `None` without a ring, or if the system does not count them.
    pub fn begin(counter: Option<RingCounter>) -> Option<Self> {
        let counter = counter?;
        let before = counter.drops()?;
        Some(Self { counter, before })
    }

    /// Drops since then; `None` if the rings have been closed.
    pub fn so_far(&self) -> Option<u64> {
        Some(self.counter.drops()?.saturating_sub(self.before))
    }
}

/// Runs a function in a thread in this network namespace; `None` if it cannot be entered.
fn within<T: Send>(netns: &Path, read: impl FnOnce() -> T + Send) -> Option<T> {
    let read = || enter_netns(netns).ok().map(|()| read());
    // A panic is reported on standard error.
    thread::scope(|scope| scope.spawn(read).join().ok().flatten())
}

fn stolen_ns() -> Option<u64> {
    sys::host::cpu_time().map(|time| time.stolen_ns)
}

/// The counters of this network namespace or another one; all unknown if it cannot be entered.
fn read(netns: Option<&Path>, path: Option<&[NetLink]>) -> KernelCounters {
    if let Some(netns) = netns {
        return within(netns, || read(None, path)).unwrap_or_default();
    }
    let (udp, ip) = sys::udp_and_ip_counters();
    let devices = sys::device_drops(path);
    KernelCounters {
        udp,
        ip,
        backlog: sys::backlog_drops(),
        device: devices.map(|drops| drops.rx),
        tx_device: devices.map(|drops| drops.tx),
        device_sent: devices.map(|drops| drops.sent),
        qdisc: sys::qdisc_drops(path),
    }
}

/// Measures the usage of its thread. Create it before the start barrier: it makes system calls.
#[derive(Debug, Default)]
pub struct Meter {
    instructions: Option<InstructionCounter>,
}

impl Meter {
    /// The meter of the calling thread; [`Self::default`] has no instruction counter.
    pub fn of_this_thread() -> Self {
        Self { instructions: InstructionCounter::of_this_thread() }
    }

    /// The usage so far, in the same thread: up to three system calls, no allocation.
    pub fn read(&self) -> Usage {
        let read = |counter: &InstructionCounter| {
            Some(Instructions { count: counter.read()?, with_kernel: counter.with_kernel() })
        };
        Usage {
            context_switches: sys::context_switches(),
            instructions: self.instructions.as_ref().and_then(read),
            cpu: sys::thread_cpu_ns().map(Nanos),
        }
    }
}

/// Throttling counters of this process's control groups before a run.
#[derive(Debug)]
pub struct Throttle(Vec<(PathBuf, CpuThrottling)>);

impl Throttle {
    /// Reads them.
    pub fn begin() -> Self {
        Self(sys::host::cpu_throttling())
    }

    /// The throttling since then of the group that was throttled longest; `None` without a quota.
    pub fn end(&self) -> Option<CpuThrottling> {
        longest(&self.0, &sys::host::cpu_throttling())
    }
}

fn longest(
    then: &[(PathBuf, CpuThrottling)],
    now: &[(PathBuf, CpuThrottling)],
) -> Option<CpuThrottling> {
    let since = |(group, now): &(PathBuf, CpuThrottling)| {
        let (_, then) = then.iter().find(|(other, _)| other == group)?;
        let nr_throttled = now.nr_throttled.saturating_sub(then.nr_throttled);
        let throttled_ns = now.throttled_ns.saturating_sub(then.throttled_ns);
        Some(CpuThrottling { nr_throttled, throttled_ns, ..now.clone() })
    };
    now.iter().filter_map(since).max_by_key(|one| (one.throttled_ns, one.nr_throttled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_the_group_throttled_longest() {
        let group = |group: &str, nr_throttled, throttled_ns| {
            let cpu_max = format!("{group} 100000");
            (group.into(), CpuThrottling { cpu_max, nr_throttled, throttled_ns })
        };
        let then = [group("5000", 3, 900), group("7000", 1, 100)];
        let now = [group("5000", 4, 950), group("7000", 9, 700), group("9000", 50, 9_999)];
        let cpu_max = "7000 100000".to_owned();
        let expected = CpuThrottling { cpu_max, nr_throttled: 8, throttled_ns: 600 };
        assert_eq!(longest(&then, &now), Some(expected));
        assert_eq!(longest(&[], &now), None);
    }
}
