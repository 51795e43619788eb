//! The kernel's own counters, as values.

use serde::{Deserialize, Serialize};

/// UDP counters of a network namespace, `/proc/net/snmp` and `snmp6` added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpCounters {
    /// Datagrams that applications read.
    pub in_datagrams: u64,
    /// Datagrams to ports nobody had bound.
    pub no_ports: u64,
    /// Datagrams handed down by applications.
    pub out_datagrams: u64,
    /// Dropped because a socket's receive buffer was full.
    pub rcvbuf_errors: u64,
    /// Dropped because of a wrong checksum.
    pub in_csum_errors: u64,
    /// Not sent, for want of buffer.
    pub sndbuf_errors: u64,
}

/// One reading of the counters that tell where datagrams end. What this system does not have is
/// `None`, never 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelCounters {
    /// Of the network namespace.
    pub udp: Option<UdpCounters>,
    /// Packets that found a CPU's backlog full, all CPUs, `/proc/net/softnet_stat`.
    pub backlog: Option<u64>,
    /// Dropped by the interfaces on the way, or, where those are not known, by all of the
    /// namespace, on their way in, `/proc/net/dev`.
    pub device: Option<u64>,
    /// Dropped by them on their way out.
    pub tx_device: Option<u64>,
    /// Dropped by their queueing disciplines, rtnetlink(7), modulo 2³².
    pub qdisc: Option<u64>,
}

/// What the kernel counted between two readings, and what the receiving sockets dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelDelta {
    /// Dropped at our receiving sockets (`SO_MEMINFO`), for want of buffer.
    pub sockets: Option<u64>,
    /// Of the network namespace.
    pub udp: Option<UdpCounters>,
    /// Packets that found a CPU's backlog full.
    pub backlog: Option<u64>,
    /// Dropped by interfaces on their way in.
    pub device: Option<u64>,
    /// Dropped by them on their way out.
    pub tx_device: Option<u64>,
    /// Dropped by queueing disciplines.
    pub qdisc: Option<u64>,
}

/// The kernel's counter of a queueing discipline has so many bits (`struct gnet_stats_queue`).
const QDISC_MASK: u64 = u32::MAX as u64;

impl KernelCounters {
    /// What was counted since `earlier`; `sockets` is what our own receiving sockets dropped.
    #[must_use]
    pub fn since(&self, earlier: &Self, sockets: Option<u64>) -> KernelDelta {
        let less = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        let udp = self.udp.zip(earlier.udp).map(|(now, then)| UdpCounters {
            in_datagrams: now.in_datagrams.saturating_sub(then.in_datagrams),
            no_ports: now.no_ports.saturating_sub(then.no_ports),
            out_datagrams: now.out_datagrams.saturating_sub(then.out_datagrams),
            rcvbuf_errors: now.rcvbuf_errors.saturating_sub(then.rcvbuf_errors),
            in_csum_errors: now.in_csum_errors.saturating_sub(then.in_csum_errors),
            sndbuf_errors: now.sndbuf_errors.saturating_sub(then.sndbuf_errors),
        });
        KernelDelta {
            sockets,
            udp,
            backlog: less(self.backlog, earlier.backlog),
            device: less(self.device, earlier.device),
            tx_device: less(self.tx_device, earlier.tx_device),
            qdisc: self.qdisc.zip(earlier.qdisc).map(|(now, then)| {
                // Right for a sum of several as well, as long as all together dropped less.
                now.wrapping_sub(then) & QDISC_MASK
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_went_round_is_told_by_what_it_gained() {
        let at = |qdisc| KernelCounters { qdisc: Some(qdisc), ..KernelCounters::default() };
        let since = |now, then| at(now).since(&at(then), None).qdisc;
        assert_eq!(since(12, 5), Some(7));
        // One of two went round.
        assert_eq!(since(100 + 3, 100 + QDISC_MASK), Some(4));
        assert_eq!(at(3).since(&KernelCounters::default(), None).qdisc, None);
    }
}
