//! Reads the kernel's counters before and after a phase.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::thread;

use super::device::{name_at, name_towards};
use crate::measure::{IpCounters, KernelCounters, KernelDelta, RxResult, TxResult, UdpCounters};
use crate::net::enter_netns;
use crate::sys::{self, NetLink};
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
    stolen_ns: Option<u64>,
    /// The target, and the device of the route.
    target: Option<(SocketAddr, Option<String>)>,
    /// Whether the next hop did not answer address resolution.
    unresolved: Option<bool>,
    /// When the phase started.
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
        Self::begin_maybe(false, device)
    }

    /// The same for senders to `target` from `bind`, or by `device`.
    pub fn begin_towards(target: SocketAddr, bind: IpAddr, device: Option<&str>) -> Self {
        let device = name_towards(target, bind, device);
        Self::begin(device.as_deref()).towards(target, device.as_deref())
    }

    /// The same, but without IP counters if the datagrams do not use IP (`beside_ip`).
    pub fn begin_maybe(beside_ip: bool, device: Option<&str>) -> Self {
        let path = device.filter(|_| !beside_ip).and_then(sys::device_stack);
        let counters = (!beside_ip).then(|| read(path.as_deref()));
        Self::of(counters, path, sys::stolen_ns())
    }

    /// Reads those of another network namespace, on the path of the device with this address.
    pub fn begin_in(netns: &Path, at: Option<IpAddr>) -> Self {
        let path = within(netns, || sys::device_stack(&name_at(at?)?)).flatten();
        Self::of(Some(read_in(netns, path.as_deref())), path, None)
    }

    fn of(
        counters: Option<KernelCounters>,
        path: Option<Vec<NetLink>>,
        stolen_ns: Option<u64>,
    ) -> Self {
        let began_ns = sys::monotonic_ns();
        Self { counters, path, stolen_ns, target: None, unresolved: None, began_ns }
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
        self.delta_since(|| read(self.path.as_deref()))
    }

    /// Reads those of the other network namespace again.
    pub fn end_in(&self, netns: &Path) -> CounterDelta {
        self.delta_since(|| read_in(netns, self.path.as_deref()))
    }

    fn delta_since(&self, now: impl FnOnce() -> KernelCounters) -> CounterDelta {
        let since = |then: &KernelCounters| now().since(then, None);
        let mut kernel = self.counters.as_ref().map(since).unwrap_or_default();
        let target = self.target.as_ref();
        let now = target.and_then(|(to, device)| sys::neighbour_unresolved(*to, device.as_deref()));
        kernel.neighbour_unresolved = match (self.unresolved, now) {
            (Some(then), Some(now)) => Some(then || now),
            (then, now) => then.or(now),
        };
        if kernel.neighbour_unresolved == Some(true) {
            // The device also sent the probes of address resolution.
            let probes = sys::monotonic_ns().saturating_sub(self.began_ns) / PROBE_EVERY_NS + 1;
            kernel.device_sent = kernel.device_sent.map(|sent| sent.saturating_sub(probes));
        }
        let stolen = sys::stolen_ns().zip(self.stolen_ns);
        CounterDelta { kernel, stolen: stolen.map(|(now, then)| Nanos(now.saturating_sub(then))) }
    }
}

impl CounterDelta {
    /// Adds it to the result of the receivers.
    pub fn into_rx(self, rx: &mut RxResult) {
        rx.kernel = KernelDelta { sockets: rx.kernel.sockets, ..self.kernel };
        rx.stolen = self.stolen;
    }

    /// Adds it to both results.
    pub fn into_both(self, tx: &mut TxResult, rx: &mut RxResult) {
        self.into_tx(tx);
        self.into_rx(rx);
    }

    /// Adds it to the result of the senders.
    pub fn into_tx(self, tx: &mut TxResult) {
        (tx.kernel, tx.stolen) = (self.kernel, self.stolen);
    }
}

/// The counters of another network namespace; all unknown if it cannot be entered.
fn read_in(netns: &Path, path: Option<&[NetLink]>) -> KernelCounters {
    within(netns, || read(path)).unwrap_or_default()
}

/// Runs a function in a thread in this network namespace; `None` if it cannot be entered.
fn within<T: Send>(netns: &Path, look: impl FnOnce() -> T + Send) -> Option<T> {
    let look = || enter_netns(netns).ok().map(|()| look());
    // A panic is reported on standard error.
    thread::scope(|scope| scope.spawn(look).join().ok().flatten())
}

/// Reads all counters.
fn read(path: Option<&[NetLink]>) -> KernelCounters {
    let udp = sys::udp_counters().map(|snmp| UdpCounters {
        in_datagrams: snmp.in_datagrams,
        no_ports: snmp.no_ports,
        out_datagrams: snmp.out_datagrams,
        rcvbuf_errors: snmp.rcvbuf_errors,
        in_csum_errors: snmp.in_csum_errors,
        sndbuf_errors: snmp.sndbuf_errors,
    });
    let ip = sys::ip_counters().map(|snmp| IpCounters {
        in_discards: snmp.in_discards,
        reassembly: snmp.reassembly,
        reassembly_no_room: snmp.reassembly_no_room,
        out_discards: snmp.out_discards,
        out_no_routes: snmp.out_no_routes,
        frag_fails: snmp.frag_fails,
    });
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
