//! The kernel's own counters, as values.

use serde::{Deserialize, Serialize};

/// UDP counters of a network namespace, `/proc/net/snmp` and `snmp6` added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::Kernel` describes the fields")]
pub struct UdpCounters {
    pub in_datagrams: u64,
    pub no_ports: u64,
    pub out_datagrams: u64,
    pub rcvbuf_errors: u64,
    pub in_csum_errors: u64,
    pub sndbuf_errors: u64,
}

/// Drops in the IP layer of a network namespace, IPv4 and IPv6 added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::Kernel` describes the fields")]
pub struct IpCounters {
    pub in_discards: u64,
    pub reassembly: u64,
    pub reassembly_no_room: u64,
    pub out_discards: u64,
    pub out_no_routes: u64,
    pub frag_fails: u64,
}

/// The increase of the named counters.
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
    /// CPUs, and packets that found the backlog of each full, modulo 2³²,
    /// `/proc/net/softnet_stat`.
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
    pub udp: Option<UdpCounters>,
    pub ip: Option<IpCounters>,
    pub backlog: Option<u64>,
    pub device: Option<u64>,
    pub tx_device: Option<u64>,
    pub device_sent: Option<u64>,
    pub qdisc: Option<u64>,
    pub neighbour_unresolved: Option<bool>,
}

/// The kernel's counter of a queueing discipline has so many bits (`struct gnet_stats_queue`).
const QDISC_MASK: u64 = u32::MAX as u64;

impl KernelCounters {
    /// The increase since `earlier`; `sockets`: drops at our receiving sockets.
    pub fn since(&self, earlier: &Self, sockets: Option<u64>) -> KernelDelta {
        let less = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        let udp = gained!(UdpCounters, self.udp, earlier.udp; in_datagrams, no_ports, out_datagrams,
            rcvbuf_errors, in_csum_errors, sndbuf_errors);
        // A datagram that was incomplete then and has failed since is in both readings.
        let ip = gained!(IpCounters, self.ip, earlier.ip; in_discards, reassembly,
            reassembly_no_room, out_discards, out_no_routes, frag_fails);
        KernelDelta {
            sockets,
            udp,
            ip,
            neighbour_unresolved: None,
            device_sent: less(self.device_sent, earlier.device_sent),
            backlog: backlog_since(self.backlog.as_deref(), earlier.backlog.as_deref()),
            device: less(self.device, earlier.device),
            tx_device: less(self.tx_device, earlier.tx_device),
            qdisc: self.qdisc.zip(earlier.qdisc).map(|(now, then)| {
                // Right for a sum of several as well, as long as all together dropped less.
                now.wrapping_sub(then) & QDISC_MASK
            }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_datagram_fails_once() {
        let at = |given_up: u64, waiting| {
            let ip = IpCounters { reassembly: given_up + waiting, ..IpCounters::default() };
            KernelCounters { ip: Some(ip), ..KernelCounters::default() }
        };
        let since = |now: KernelCounters, then: KernelCounters| {
            now.since(&then, None).ip.unwrap().reassembly
        };
        assert_eq!(since(at(0, 5), at(0, 0)), 5);
        assert_eq!(since(at(5, 0), at(0, 5)), 0, "the cell before had them");
        assert_eq!(since(at(5, 2), at(0, 5)), 2);
    }

    #[test]
    fn a_counter_that_wrapped_still_has_its_gain() {
        let at = |qdisc| KernelCounters { qdisc: Some(qdisc), ..KernelCounters::default() };
        let since = |now, then| at(now).since(&at(then), None).qdisc;
        assert_eq!(since(12, 5), Some(7));
        // One of two went round.
        assert_eq!(since(100 + 3, 100 + QDISC_MASK), Some(4));
        assert_eq!(at(3).since(&KernelCounters::default(), None).qdisc, None);
    }

    #[test]
    fn the_counter_of_each_cpu_wraps_by_itself() {
        let at = |cpus: &[(u32, u32)]| KernelCounters {
            backlog: Some(cpus.to_vec()),
            ..KernelCounters::default()
        };
        let since = |now: &[_], then: &[_]| at(now).since(&at(then), None).backlog;
        let then = [(0, u32::MAX - 1), (1, 7), (2, u32::MAX)];
        assert_eq!(since(&[(0, 3), (1, 9), (2, 0)], &then), Some(5 + 2 + 1));
        assert_eq!(since(&then, &then), Some(0));
        // A CPU was added or removed: its earlier counter is unknown.
        assert_eq!(since(&then[..2], &then), None);
        assert_eq!(since(&[(0, 3), (1, 9), (3, 0)], &then), None);
    }
}
