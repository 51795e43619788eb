//! Kernel counters from /proc. Those of a network namespace are read below `/proc/thread-self`,
//! since a thread may have entered another one than its process; `/proc/net` is the process's.

use std::path::Path;

use crate::sys::{DeviceDrops, IpSnmp, NetLink, UdpSnmp};

/// The IP and UDP counters of this thread's network namespace.
struct Snmp {
    v4: String,
    /// Empty in a kernel without IPv6.
    v6: String,
}

impl Snmp {
    fn read() -> Option<Self> {
        let v4 = std::fs::read_to_string("/proc/thread-self/net/snmp").ok()?;
        Some(Self { v4, v6: file("snmp6") })
    }

    /// A counter of this group, such as `Udp`, both families added up.
    fn sum(&self, group: &str, name: &str) -> u64 {
        let six = self.v6.lines().find_map(|line| {
            let (found, value) = line.split_once(char::is_whitespace)?;
            let found = found.strip_prefix(group)?.strip_prefix('6')?;
            (found == name).then(|| value.trim().parse::<u64>().ok())?
        });
        column(&self.v4, group, name) + six.unwrap_or(0)
    }
}

/// A file of this thread's network namespace; empty if it does not exist.
fn file(name: &str) -> String {
    let path = Path::new("/proc/thread-self/net").join(name);
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A counter of a group with names in one line and values in the next; 0 if it does not exist.
fn column(text: &str, group: &str, name: &str) -> u64 {
    let mut rows = text.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(": "));
    let (names, values) = (rows.next().unwrap_or(""), rows.next().unwrap_or(""));
    let at = names.split_whitespace().position(|found| found == name);
    at.and_then(|at| values.split_whitespace().nth(at)?.parse().ok()).unwrap_or(0)
}

/// Datagrams in reassembly, with some fragments missing (`FRAG: inuse` of `/proc/net/sockstat`).
fn incomplete(text: &str, group: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(group)?.strip_prefix(": inuse "));
    rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// UDP counters of this thread's network namespace, `snmp` plus `snmp6`.
pub fn udp_counters() -> Option<UdpSnmp> {
    let snmp = Snmp::read()?;
    let count = |name| snmp.sum("Udp", name);
    Some(UdpSnmp {
        in_datagrams: count("InDatagrams"),
        no_ports: count("NoPorts"),
        out_datagrams: count("OutDatagrams"),
        rcvbuf_errors: count("RcvbufErrors"),
        in_csum_errors: count("InCsumErrors"),
        sndbuf_errors: count("SndbufErrors"),
    })
}

/// Drops in the IP layer of this thread's network namespace, from `snmp`, `snmp6`, `netstat` and
/// `sockstat`.
pub fn ip_counters() -> Option<IpSnmp> {
    let snmp = Snmp::read()?;
    let count = |name| snmp.sum("Ip", name);
    let netstat = file("netstat");
    // Of IPv6, InNoRoutes is in snmp6.
    let no_way_in = column(&netstat, "IpExt", "InNoRoutes") + count("InNoRoutes");
    let filtered = column(&netstat, "TcpExt", "IPReversePathFilter");
    let waiting = incomplete(&file("sockstat"), "FRAG") + incomplete(&file("sockstat6"), "FRAG6");
    let failed = count("ReasmFails");
    Some(IpSnmp {
        in_discards: ["InHdrErrors", "InAddrErrors", "InDiscards"].map(count).iter().sum::<u64>()
            + no_way_in
            + filtered,
        reassembly: failed + waiting,
        reassembly_no_room: failed.saturating_sub(count("ReasmTimeout")),
        out_discards: count("OutDiscards"),
        out_no_routes: count("OutNoRoutes"),
        frag_fails: count("FragFails"),
    })
}

/// CPUs and the packets dropped at their full backlogs, modulo 2³²: columns 13 (before Linux 5.10
/// the row) and 2 of `/proc/net/softnet_stat`. Not per network namespace.
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

/// Packets dropped by all interfaces, or `of` these, of this thread's network namespace.
pub fn device_drops(of: Option<&[NetLink]>) -> Option<DeviceDrops> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").ok()?;
    devices(&text, |name| of.is_none_or(|of| of.iter().any(|link| link.name == name)))
}

/// The columns of `/proc/net/dev` that are counted: `net/core/net-procfs.c`.
const RX_DROP: usize = 3;
const TX_PACKETS: usize = 9;
const TX_DROP: usize = 11;

/// The drops of these devices in a text like `/proc/net/dev`; `None` if a line is malformed.
fn devices(text: &str, counts: impl Fn(&str) -> bool) -> Option<DeviceDrops> {
    let mut sum = DeviceDrops::default();
    // Two lines of titles.
    for line in text.lines().skip(2) {
        let (name, values) = line.rsplit_once(':')?;
        let values: Vec<u64> =
            values.split_whitespace().map(|value| value.parse().ok()).collect::<Option<_>>()?;
        if counts(name.trim()) {
            sum.rx += values.get(RX_DROP)?;
            sum.tx += values.get(TX_DROP)?;
            sum.sent = sum.sent.max(*values.get(TX_PACKETS)?);
        }
    }
    Some(sum)
}

/// CPU time that the hypervisor took from this machine since boot, all CPUs, in nanoseconds.
pub fn stolen_ns() -> Option<u64> {
    super::host::cpu_time().map(|time| time.stolen_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_group_and_name() {
        let text = "Ip: Forwarding InDiscards ReasmFails\nIp: 2 5 7\nIpExt: InNoRoutes\n\
                    IpExt: 3\nUdp: NoPorts\nUdp: 11\nUdpLite: NoPorts\nUdpLite: 13\n";
        let of = |group, name| column(text, group, name);
        assert_eq!((of("Ip", "ReasmFails"), of("IpExt", "InNoRoutes")), (7, 3));
        assert_eq!((of("Udp", "NoPorts"), of("Ip", "NoPorts"), of("Icmp", "InMsgs")), (11, 0, 0));
        let v6 = "Ip6InDiscards \t 100\nIcmp6InMsgs 1\nIp6OutNoRoutes 4\n".to_owned();
        let snmp = Snmp { v4: text.to_owned(), v6 };
        assert_eq!((snmp.sum("Ip", "InDiscards"), snmp.sum("Ip", "OutNoRoutes")), (105, 4));
        let sockets = "UDP: inuse 4 mem 0\nFRAG: inuse 9 memory 5000\n";
        assert_eq!((incomplete(sockets, "FRAG"), incomplete(sockets, "FRAG6")), (9, 0));
    }

    #[test]
    fn this_kernel_has_the_counters() {
        let snmp = Snmp::read().unwrap();
        for name in ["InDiscards", "OutDiscards", "OutNoRoutes", "ReasmFails", "ReasmTimeout"] {
            assert!(snmp.v4.lines().next().unwrap().contains(name), "{name}");
        }
        assert!(ip_counters().is_some());
    }

    #[test]
    fn drops_of_each_cpu_are_read_with_its_number() {
        let new = "0000a0b1 0000000f 00000000 0 0 0 0 0 0 0 0 00000000 00000003\n";
        let old = "0000a0b1 ffffffff 00000000 00000000\n";
        assert_eq!(backlogs(new), Some(vec![(3, 15)]));
        assert_eq!(backlogs(&[old, old].concat()), Some(vec![(0, u32::MAX), (1, u32::MAX)]));
        assert_eq!(backlogs("no numbers\n"), None);
    }

    #[test]
    fn drops_of_devices_are_read_by_name() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    \
                    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n\
                    eth0: 0 0 0 40 0 0 0 0 0 7 0 50 0 0 0 0\n";
        let read = |name: &str| {
            devices(text, |found| name.is_empty() || found == name)
                .map(|drops| (drops.rx, drops.tx, drops.sent))
        };
        assert_eq!((read("lo"), read("eth0")), (Some((4, 12, 10)), Some((40, 50, 7))));
        assert_eq!((read(""), read("none")), (Some((44, 62, 10)), Some((0, 0, 0))));
        assert!(devices("a\nb\neth0: 1 2\n", |_| true).is_none());
        assert!(devices("a\nb\neth0: 1 x\n", |_| false).is_none());
        assert!(device_drops(None).is_some());
    }
}
