//! Readings of the kernel's counters around a phase.

use std::path::Path;
use std::thread;

use crate::measure::{KernelCounters, KernelDelta, RxHalf, TxHalf, UdpCounters};
use crate::net::enter_netns;
use crate::sys;
use crate::unit::Nanos;

/// What was read when a phase began.
#[derive(Debug)]
pub(crate) struct Watch {
    /// `None`: what is measured passes none of them.
    counters: Option<KernelCounters>,
    stolen_ns: Option<u64>,
}

/// What happened meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    kernel: KernelDelta,
    stolen: Option<Nanos>,
}

impl Watch {
    /// Reads all counters.
    pub(crate) fn begin() -> Self {
        Self::begin_maybe(false)
    }

    /// The same for datagrams that may go `beside_ip`: then they see none of its counters, and
    /// whatever those count meanwhile is somebody else's.
    pub(crate) fn begin_maybe(beside_ip: bool) -> Self {
        Self { counters: (!beside_ip).then(read), stolen_ns: sys::stolen_ns() }
    }

    /// Reads those of another network namespace; CPU time is the same host's.
    pub(crate) fn begin_in(netns: &Path) -> Self {
        Self { counters: Some(read_in(netns)), stolen_ns: None }
    }

    /// Reads them again.
    pub(crate) fn end(&self) -> Seen {
        self.seen(read)
    }

    /// Reads those of that other network namespace again.
    pub(crate) fn end_in(&self, netns: &Path) -> Seen {
        self.seen(|| read_in(netns))
    }

    fn seen(&self, now: impl FnOnce() -> KernelCounters) -> Seen {
        let since = |then: &KernelCounters| now().since(then, None);
        let kernel = self.counters.as_ref().map(since).unwrap_or_default();
        let stolen = sys::stolen_ns().zip(self.stolen_ns);
        Seen { kernel, stolen: stolen.map(|(now, then)| Nanos(now.saturating_sub(then))) }
    }
}

impl Seen {
    /// Puts it to what the receivers measured.
    pub(crate) fn into_rx(self, half: &mut RxHalf) {
        half.kernel = KernelDelta { sockets: half.kernel.sockets, ..self.kernel };
        half.stolen = self.stolen;
    }

    /// Puts it to both.
    pub(crate) fn into_both(self, tx: &mut TxHalf, rx: &mut RxHalf) {
        self.into_tx(tx);
        self.into_rx(rx);
    }

    /// Puts it to what the senders measured.
    pub(crate) fn into_tx(self, half: &mut TxHalf) {
        (half.kernel, half.stolen) = (self.kernel, self.stolen);
    }
}

/// All counters of another network namespace now, by a thread that enters it; none where it cannot.
fn read_in(netns: &Path) -> KernelCounters {
    let read = || enter_netns(netns).ok().map(|()| read());
    // A thread that panicked has said so on standard error.
    thread::scope(|scope| scope.spawn(read).join().ok().flatten()).unwrap_or_default()
}

/// All counters now.
fn read() -> KernelCounters {
    let udp = sys::udp_counters().map(|snmp| UdpCounters {
        in_datagrams: snmp.in_datagrams,
        no_ports: snmp.no_ports,
        out_datagrams: snmp.out_datagrams,
        rcvbuf_errors: snmp.rcvbuf_errors,
        in_csum_errors: snmp.in_csum_errors,
        sndbuf_errors: snmp.sndbuf_errors,
    });
    let devices = sys::device_drops();
    KernelCounters {
        udp,
        backlog: sys::backlog_drops(),
        device: devices.map(|drops| drops.rx),
        tx_device: devices.map(|drops| drops.tx),
        qdisc: sys::qdisc_drops(),
    }
}
