//! The kernel's own counters, as values.

use serde::{Deserialize, Serialize};

use super::combine;
use crate::document::KernelDrops;
pub use crate::sys::{IpCounters, UdpCounters};

macro_rules! gained {
    ($type:ident, $now:expr, $then:expr; $($field:ident),+) => {
        $now.zip($then).map(|(now, then)| $type {
            $($field: now.$field.saturating_sub(then.$field)),+
        })
    };
}

/// One reading of the counters that locate drops; `None`, never 0, if this system lacks one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelCounters {
    /// Of the network namespace.
    pub udp: Option<UdpCounters>,
    /// Of the network namespace.
    pub ip: Option<IpCounters>,
    /// CPUs, and packets that found the backlog of each full, modulo 2³² (softnet_stat).
    pub backlog: Option<Vec<(u32, u32)>>,
    /// Dropped by the interfaces on the way, or, where those are not known, by all of the
    /// namespace, on their way in, `/proc/net/dev`.
    pub device: Option<u64>,
    /// Dropped by them on their way out.
    pub tx_device: Option<u64>,
    /// Packets sent by the device that sent most.
    pub device_sent: Option<u64>,
    /// Dropped by their queueing disciplines, rtnetlink(7), modulo 2³².
    pub qdisc: Option<u64>,
}

/// The increase of kernel counters between two readings, and drops at the receiving sockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::Kernel` describes the fields")]
pub struct KernelDelta {
    pub sockets: Option<u64>,
    pub rings: Option<u64>,
    pub udp: Option<UdpCounters>,
    pub ip: Option<IpCounters>,
    pub backlog: Option<u64>,
    pub device: Option<u64>,
    pub tx_device: Option<u64>,
    pub device_sent: Option<u64>,
    pub qdisc: Option<u64>,
    pub neighbour_unresolved: Option<bool>,
}

impl KernelDelta {
    /// Adds the own counts of another worker of the same host.
    pub fn merge_workers(&mut self, other: &Self) {
        self.sockets = combine(self.sockets, other.sockets, u64::saturating_add);
        self.rings = combine(self.rings, other.rings, u64::saturating_add);
    }

    /// Adds the workers' own counts. Workers with rings bypass the sockets, the IP layer and the
    /// queueing disciplines, so the counters of these do not apply and are removed.
    #[must_use]
    pub fn of_workers(self, workers: &Self) -> Self {
        let &Self { sockets, rings, .. } = workers;
        match rings {
            None => Self { sockets, rings, ..self },
            Some(_) => Self {
                sockets,
                rings,
                udp: None,
                ip: None,
                qdisc: None,
                neighbour_unresolved: None,
                ..self
            },
        }
    }

    /// With drops at the rings of workers of the other side, which the same reading covers.
    #[must_use]
    pub fn with_rings(mut self, others: Option<u64>) -> Self {
        self.rings = combine(self.rings, others, u64::saturating_add);
        self
    }

    /// The drops that intervals show.
    pub fn drops(&self) -> KernelDrops {
        KernelDrops {
            receive_buffer: self.udp.map(|udp| udp.rcvbuf_errors),
            backlog: self.backlog,
            device: self.device,
            tx_device: self.tx_device,
            qdisc: self.qdisc,
            checksum: self.udp.map(|udp| udp.in_csum_errors),
            no_port: self.udp.map(|udp| udp.no_ports),
            xdp_ring: self.rings,
        }
    }
}

/// Drops since a phase began, by the index of the interval that had just begun; [`AT_END`]: up to
/// the end of the phase.
pub type DropReading = (u32, KernelDrops);

/// Stands for the end of the phase. Arbitrary: no interval has that index.
pub const AT_END: u32 = u32::MAX;

/// The bits of the kernel's counter of a queueing discipline (`struct gnet_stats_queue`).
const QDISC_MASK: u64 = u32::MAX as u64;

impl KernelCounters {
    /// The increase since `earlier`, without drops at sockets.
    pub fn since(&self, earlier: &Self) -> KernelDelta {
        let less = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        let udp = gained!(UdpCounters, self.udp, earlier.udp; in_datagrams, no_ports, out_datagrams,
            rcvbuf_errors, in_csum_errors, sndbuf_errors);
        // A datagram that was incomplete then and has failed since is in both readings.
        let ip = gained!(IpCounters, self.ip, earlier.ip; in_discards, reassembly,
            reassembly_no_room, out_discards, out_no_routes, frag_fails);
        KernelDelta {
            udp,
            ip,
            device_sent: less(self.device_sent, earlier.device_sent),
            backlog: backlog_since(self.backlog.as_deref(), earlier.backlog.as_deref()),
            device: less(self.device, earlier.device),
            tx_device: less(self.tx_device, earlier.tx_device),
            qdisc: self.qdisc.zip(earlier.qdisc).map(|(now, then)| {
                // Right for a sum of several as well, as long as all together dropped less.
                now.wrapping_sub(then) & QDISC_MASK
            }),
            ..KernelDelta::default()
        }
    }
}

/// Drops of all CPUs since then; `None` if the set of CPUs changed.
fn backlog_since(now: Option<&[(u32, u32)]>, then: Option<&[(u32, u32)]>) -> Option<u64> {
    let (now, then) = now.zip(then).filter(|(now, then)| now.len() == then.len())?;
    let gained = |(now, then): (&(u32, u32), &(u32, u32))| {
        (now.0 == then.0).then(|| u64::from(now.1.wrapping_sub(then.1)))
    };
    now.iter().zip(then).map(gained).sum()
}

/// The kernel counters of both ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kernels {
    /// Counters of the receivers.
    pub rx: KernelDelta,
    /// Counters of the senders; `None` if they are the same.
    pub tx: Option<KernelDelta>,
    /// Where the two ends are.
    pub ends: Topology,
    /// Requests were sent to a server that is not udperf.
    pub server: Option<Server>,
}

/// Kernel counters of requests that a server that is not udperf may have lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Server {
    /// Drops at receive buffers of its network namespace, except those that udperf or others may
    /// have had; `None` if it is in another namespace than udperf.
    pub receive_buffer: Option<u64>,
}

/// Where the two ends of a cell are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Topology {
    /// In one network namespace: one set of kernel counters covers both.
    #[default]
    SameNetns,
    /// On one host: each has its own counters, except for those of the host.
    SameHost,
    /// On two hosts; the network between them has no counters.
    Remote,
}

impl From<KernelDelta> for Kernels {
    fn from(rx: KernelDelta) -> Self {
        Self { rx, ..Self::default() }
    }
}

impl Kernels {
    /// Counters of the senders.
    pub fn at_senders(&self) -> &KernelDelta {
        self.tx.as_ref().unwrap_or(&self.rx)
    }

    /// Drops at full backlogs, receiver's and sender's. The counter covers a host: if both ends
    /// read the same one, the longer reading is all of it. An interface counts its drops there as
    /// well (kernel: `enqueue_to_backlog`; a veth(4) also its peer's), so more than those are
    /// others'.
    pub(super) fn backlogs(&self) -> (Option<u64>, Option<u64>) {
        let (rx, tx) = (self.rx.backlog, self.tx.and_then(|kernel| kernel.backlog));
        let ours = |drops: u64, by: Option<u64>| by.map_or(drops, |by| drops.min(by));
        if self.ends == Topology::Remote {
            return (rx.map(|drops| ours(drops, self.rx.device)), tx);
        }
        let leaving = self.at_senders().tx_device.unwrap_or(0);
        let by = self.rx.device.map(|device| device.saturating_add(leaving));
        (rx.max(tx).map(|drops| ours(drops, by)), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_datagram_fails_once() {
        let at = |failed: u64, waiting| {
            let ip = IpCounters { reassembly: failed + waiting, ..IpCounters::default() };
            KernelCounters { ip: Some(ip), ..KernelCounters::default() }
        };
        // In the second case, the cell before had them.
        for (now, then, expected) in
            [(at(0, 5), at(0, 0), 5), (at(5, 0), at(0, 5), 0), (at(5, 2), at(0, 5), 2)]
        {
            assert_eq!(now.since(&then).ip.unwrap().reassembly, expected);
        }
    }

    #[test]
    fn counters_wrap_separately() {
        let at = |qdisc, cpus: &[(u32, u32)]| KernelCounters {
            qdisc,
            backlog: Some(cpus.to_vec()),
            ..KernelCounters::default()
        };
        let then = [(0, u32::MAX - 1), (1, 7), (2, u32::MAX)];
        for (qdiscs, now, expected) in [
            ((Some(12), Some(5)), &[(0, 3), (1, 9), (2, 0)][..], (Some(7), Some(5 + 2 + 1))),
            // One of two queues wrapped.
            ((Some(100 + 3), Some(100 + QDISC_MASK)), &then, (Some(4), Some(0))),
            // A CPU was added or removed: its earlier counter is unknown.
            ((Some(3), None), &then[..2], (None, None)),
            ((None, Some(3)), &[(0, 3), (1, 9), (3, 0)], (None, None)),
        ] {
            let delta = at(qdiscs.0, now).since(&at(qdiscs.1, &then));
            assert_eq!((delta.qdisc, delta.backlog), expected);
        }
    }
}
