//! Kernel counters from /proc. Those of a network namespace are read below `/proc/thread-self`,
//! since a thread may have entered another one than its process; `/proc/net` is the process's.

use procfs::net::InterfaceDeviceStatus;
use procfs::{CurrentSI, FromRead};

use crate::sys::{DeviceDrops, Link, UdpSnmp};

/// Nanoseconds in a clock tick of /proc/stat: USER_HZ is 100 on every architecture of today.
pub(super) const TICK_NS: u64 = 10_000_000;

/// UDP counters of this thread's network namespace, `snmp` plus `snmp6`.
///
/// Read here rather than by procfs, whose parser fails as a whole where a kernel was built without
/// UDP-Lite.
#[must_use]
pub fn udp_counters() -> Option<UdpSnmp> {
    let v4 = std::fs::read_to_string("/proc/thread-self/net/snmp").ok()?;
    // A kernel without IPv6 has no snmp6: then IPv4 is all there is.
    let v6 = std::fs::read_to_string("/proc/thread-self/net/snmp6").unwrap_or_default();
    let mut rows = v4.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (rows.next()?, rows.next()?);
    let count = |name: &str| {
        let column = names.split_whitespace().position(|found| found == name);
        let four = column.and_then(|at| values.split_whitespace().nth(at)?.parse::<u64>().ok());
        let six = v6.lines().find_map(|line| {
            let (found, value) = line.split_once(char::is_whitespace)?;
            (found.strip_prefix("Udp6") == Some(name)).then(|| value.trim().parse::<u64>().ok())?
        });
        four.unwrap_or(0) + six.unwrap_or(0)
    };
    Some(UdpSnmp {
        in_datagrams: count("InDatagrams"),
        no_ports: count("NoPorts"),
        out_datagrams: count("OutDatagrams"),
        rcvbuf_errors: count("RcvbufErrors"),
        in_csum_errors: count("InCsumErrors"),
        sndbuf_errors: count("SndbufErrors"),
    })
}

/// Packets dropped because a CPU's backlog was full, by CPU: the second column of
/// `/proc/net/softnet_stat`, a counter of 32 bits, and the thirteenth, or the row where a kernel
/// before 5.10 has none. Not per network namespace.
#[must_use]
pub fn backlog_drops() -> Option<Vec<(u32, u32)>> {
    backlogs(&std::fs::read_to_string("/proc/net/softnet_stat").ok()?)
}

/// CPUs and their drops, of a text like `/proc/net/softnet_stat`.
fn backlogs(text: &str) -> Option<Vec<(u32, u32)>> {
    let row = |(row, line): (usize, &str)| {
        let column = |at| u32::from_str_radix(line.split_whitespace().nth(at)?, 16).ok();
        Some((column(12).or_else(|| u32::try_from(row).ok())?, column(1)?))
    };
    text.lines().enumerate().map(row).collect()
}

/// Packets dropped by the interfaces of this thread's network namespace: by all, or by those `of`
/// this list.
#[must_use]
pub fn device_drops(of: Option<&[Link]>) -> Option<DeviceDrops> {
    let devices = InterfaceDeviceStatus::from_file("/proc/thread-self/net/dev").ok()?;
    let counts = |name: &str| of.is_none_or(|of| of.iter().any(|link| link.name == name));
    let counted = devices.0.values().filter(|device| counts(&device.name));
    Some(counted.fold(DeviceDrops::default(), |sum, device| DeviceDrops {
        rx: sum.rx + device.recv_drop,
        tx: sum.tx + device.sent_drop,
    }))
}

/// CPU time that the hypervisor took from this machine since boot, all CPUs, in nanoseconds.
#[must_use]
pub fn stolen_ns() -> Option<u64> {
    let stat = procfs::KernelStats::current().ok()?;
    stat.total.steal.map(|ticks| ticks * TICK_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_each_cpu_are_read_with_its_number() {
        let new = "0000a0b1 0000000f 00000000 0 0 0 0 0 0 0 0 00000000 00000003\n";
        let old = "0000a0b1 ffffffff 00000000 00000000\n";
        assert_eq!(backlogs(new), Some(vec![(3, 15)]));
        assert_eq!(backlogs(&[old, old].concat()), Some(vec![(0, u32::MAX), (1, u32::MAX)]));
        assert_eq!(backlogs("no numbers\n"), None);
    }
}
