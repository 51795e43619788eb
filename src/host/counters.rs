//! Readings of the kernel's counters around a phase.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::thread;

use super::device::{name_at, name_towards};
use crate::measure::{IpCounters, KernelCounters, KernelDelta, RxResult, TxResult, UdpCounters};
use crate::net::enter_netns;
use crate::sys::{self, NetLink};
use crate::unit::Nanos;

/// Between two probes of address resolution: `retrans_time_ms` of neighbours, 1 s by default
/// (arp(7), RFC 4861 section 10).
const PROBE_EVERY_NS: u64 = 1_000_000_000;

/// What was read when a phase began.
#[derive(Debug)]
pub(crate) struct CounterSnapshot {
    /// `None`: what is measured passes none of them.
    counters: Option<KernelCounters>,
    /// The devices on the way; `None`: not known, so all count.
    way: Option<Vec<NetLink>>,
    stolen_ns: Option<u64>,
    /// The target, and the device of the route.
    target: Option<(SocketAddr, Option<String>)>,
    /// Whether address resolution of the next hop was unanswered.
    unresolved: Option<bool>,
    /// When it began.
    began_ns: u64,
}

/// What happened meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CounterDelta {
    kernel: KernelDelta,
    stolen: Option<Nanos>,
}

impl CounterSnapshot {
    /// Reads all counters; those of devices by the one that datagrams pass, where it is known.
    pub(crate) fn begin(device: Option<&str>) -> Self {
        Self::begin_maybe(false, device)
    }

    /// The same for senders to `target` from `bind`, or by `device`.
    pub(crate) fn begin_towards(target: SocketAddr, bind: IpAddr, device: Option<&str>) -> Self {
        let device = name_towards(target, bind, device);
        Self::begin(device.as_deref()).towards(target, device.as_deref())
    }

    /// The same for datagrams that may go `beside_ip`: then they see none of its counters, and
    /// whatever those count meanwhile is somebody else's.
    pub(crate) fn begin_maybe(beside_ip: bool, device: Option<&str>) -> Self {
        let way = device.filter(|_| !beside_ip).and_then(sys::device_stack);
        let counters = (!beside_ip).then(|| read(way.as_deref()));
        Self::of(counters, way, sys::stolen_ns())
    }

    /// Reads those of another network namespace, by the device that has this address there; CPU
    /// time is the same host's.
    pub(crate) fn begin_in(netns: &Path, at: Option<IpAddr>) -> Self {
        let way = within(netns, || sys::device_stack(&name_at(at?)?)).flatten();
        Self::of(Some(read_in(netns, way.as_deref())), way, None)
    }

    fn of(
        counters: Option<KernelCounters>,
        way: Option<Vec<NetLink>>,
        stolen_ns: Option<u64>,
    ) -> Self {
        let began_ns = sys::monotonic_ns();
        Self { counters, way, stolen_ns, target: None, unresolved: None, began_ns }
    }

    /// Adds the target and device of senders, so that address resolution of the next hop is
    /// checked, too.
    #[must_use]
    pub(crate) fn towards(mut self, target: SocketAddr, device: Option<&str>) -> Self {
        self.unresolved = sys::neighbour_unresolved(target, device);
        self.target = Some((target, device.map(str::to_owned)));
        self
    }

    /// Reads them again.
    pub(crate) fn end(&self) -> CounterDelta {
        self.seen(|| read(self.way.as_deref()))
    }

    /// Reads those of that other network namespace again.
    pub(crate) fn end_in(&self, netns: &Path) -> CounterDelta {
        self.seen(|| read_in(netns, self.way.as_deref()))
    }

    fn seen(&self, now: impl FnOnce() -> KernelCounters) -> CounterDelta {
        let since = |then: &KernelCounters| now().since(then, None);
        let mut kernel = self.counters.as_ref().map(since).unwrap_or_default();
        let target = self.target.as_ref();
        let now = target.and_then(|(to, device)| sys::neighbour_unresolved(*to, device.as_deref()));
        kernel.neighbour_unresolved = match (self.unresolved, now) {
            (Some(then), Some(now)) => Some(then || now),
            (then, now) => then.or(now),
        };
        if kernel.neighbour_unresolved == Some(true) {
            // The probes of address resolution are among what the device sent.
            let probes = sys::monotonic_ns().saturating_sub(self.began_ns) / PROBE_EVERY_NS + 1;
            kernel.device_sent = kernel.device_sent.map(|sent| sent.saturating_sub(probes));
        }
        let stolen = sys::stolen_ns().zip(self.stolen_ns);
        CounterDelta { kernel, stolen: stolen.map(|(now, then)| Nanos(now.saturating_sub(then))) }
    }
}

impl CounterDelta {
    /// Puts it to what the receivers measured.
    pub(crate) fn into_rx(self, half: &mut RxResult) {
        half.kernel = KernelDelta { sockets: half.kernel.sockets, ..self.kernel };
        half.stolen = self.stolen;
    }

    /// Puts it to both.
    pub(crate) fn into_both(self, tx: &mut TxResult, rx: &mut RxResult) {
        self.into_tx(tx);
        self.into_rx(rx);
    }

    /// Puts it to what the senders measured.
    pub(crate) fn into_tx(self, half: &mut TxResult) {
        (half.kernel, half.stolen) = (self.kernel, self.stolen);
    }
}

/// All counters of another network namespace now; none where it cannot be entered.
fn read_in(netns: &Path, way: Option<&[NetLink]>) -> KernelCounters {
    within(netns, || read(way)).unwrap_or_default()
}

/// What a thread finds that enters this network namespace; `None` where it cannot.
fn within<T: Send>(netns: &Path, look: impl FnOnce() -> T + Send) -> Option<T> {
    let look = || enter_netns(netns).ok().map(|()| look());
    // A thread that panicked has said so on standard error.
    thread::scope(|scope| scope.spawn(look).join().ok().flatten())
}

/// All counters now.
fn read(way: Option<&[NetLink]>) -> KernelCounters {
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
    let devices = sys::device_drops(way);
    KernelCounters {
        udp,
        ip,
        backlog: sys::backlog_drops(),
        device: devices.map(|drops| drops.rx),
        tx_device: devices.map(|drops| drops.tx),
        device_sent: devices.map(|drops| drops.sent),
        qdisc: sys::qdisc_drops(way),
    }
}
