//! Readings of the kernel's counters.

use crate::measure::{KernelCounters, UdpCounters};
use crate::sys;

/// All counters now.
pub(crate) fn read() -> KernelCounters {
    let udp = sys::udp_counters().map(|snmp| UdpCounters {
        in_datagrams: snmp.in_datagrams,
        no_ports: snmp.no_ports,
        out_datagrams: snmp.out_datagrams,
        rcvbuf_errors: snmp.rcvbuf_errors,
        in_csum_errors: snmp.in_csum_errors,
        sndbuf_errors: snmp.sndbuf_errors,
    });
    let device = sys::device_drops().map(sys::DeviceDrops::sum);
    KernelCounters { udp, backlog: sys::backlog_drops(), device }
}
