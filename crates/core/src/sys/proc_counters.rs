//! Kernel counters from /proc. Those of a network namespace are read below `/proc/thread-self`,
//! since a thread may have entered another namespace than its process; `/proc/net` is the
//! process's.

use super::host::raw;
use super::{DeviceDrops, IpCounters, NetLink, UdpCounters};

fn file(name: &str) -> Option<String> {
    raw(format!("/proc/thread-self/net/{name}"))
}

/// A reader of counters by group, such as `Udp`, and name: `snmp` and `snmp6` added up.
fn snmp() -> Option<impl Fn(&str, &str) -> u64> {
    // A kernel without IPv6 has no snmp6.
    let (v4, v6) = (file("snmp")?, file("snmp6").unwrap_or_default());
    Some(move |group: &str, name: &str| {
        column(&v4, group, name).saturating_add(line(&v6, group, name))
    })
}

/// A counter of `snmp6`, such as `Ip6InDiscards`; 0 if it does not exist.
fn line(text: &str, group: &str, name: &str) -> u64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(group)?.strip_prefix('6')?.strip_prefix(name)?;
        rest.strip_prefix(char::is_whitespace)?.trim().parse().ok()
    };
    text.lines().find_map(value).unwrap_or(0)
}

/// A counter of a group with names in one line and values in the next; 0 if it does not exist.
fn column(text: &str, group: &str, name: &str) -> u64 {
    let mut rows = text.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(": "));
    let (names, values) = (rows.next().unwrap_or(""), rows.next().unwrap_or(""));
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    let value = pairs.find(|(found, _)| *found == name).and_then(|(_, value)| value.parse().ok());
    value.unwrap_or(0)
}

/// Datagrams in reassembly, with some fragments missing (`FRAG: inuse` of `/proc/net/sockstat`).
fn incomplete(text: &str, group: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(group)?.strip_prefix(": inuse "));
    rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Counters of UDP and IP in this thread's network namespace, from one reading of `snmp`.
pub fn udp_and_ip_counters() -> Option<(UdpCounters, IpCounters)> {
    let snmp = snmp()?;
    Some((udp_counters(&snmp), ip_counters(&snmp)))
}

fn udp_counters(snmp: impl Fn(&str, &str) -> u64) -> UdpCounters {
    let count = |name| snmp("Udp", name);
    UdpCounters {
        in_datagrams: count("InDatagrams"),
        no_ports: count("NoPorts"),
        out_datagrams: count("OutDatagrams"),
        rcvbuf_errors: count("RcvbufErrors"),
        in_csum_errors: count("InCsumErrors"),
        sndbuf_errors: count("SndbufErrors"),
    }
}

/// Drops in the IP layer, also from `netstat` and `sockstat`.
fn ip_counters(snmp: impl Fn(&str, &str) -> u64) -> IpCounters {
    let count = |name| snmp("Ip", name);
    let [netstat, sockstat, sockstat6] =
        ["netstat", "sockstat", "sockstat6"].map(|name| file(name).unwrap_or_default());
    // Of IPv6, InNoRoutes is in snmp6.
    let discards = ["InHdrErrors", "InAddrErrors", "InDiscards", "InNoRoutes"].map(count);
    let no_routes = column(&netstat, "IpExt", "InNoRoutes");
    let filtered = column(&netstat, "TcpExt", "IPReversePathFilter");
    let failed = count("ReasmFails");
    IpCounters {
        in_discards: discards.iter().sum::<u64>() + no_routes + filtered,
        reassembly: failed + incomplete(&sockstat, "FRAG") + incomplete(&sockstat6, "FRAG6"),
        reassembly_no_room: failed.saturating_sub(count("ReasmTimeout")),
        out_discards: count("OutDiscards"),
        out_no_routes: count("OutNoRoutes"),
        frag_fails: count("FragFails"),
    }
}

/// CPUs and the packets dropped at their full backlogs, modulo 2³²: columns 13 (before Linux 5.10
/// the row) and 2 of `/proc/net/softnet_stat`. Not per network namespace.
pub fn backlog_drops() -> Option<Vec<(u32, u32)>> {
    backlogs(&raw("/proc/net/softnet_stat")?)
}

fn backlogs(text: &str) -> Option<Vec<(u32, u32)>> {
    let row = |(row, line): (usize, &str)| {
        let column = |at| u32::from_str_radix(line.split_whitespace().nth(at)?, 16).ok();
        Some((column(12).or_else(|| u32::try_from(row).ok())?, column(1)?))
    };
    text.lines().enumerate().map(row).collect()
}

/// Packets dropped by all interfaces, or `of` these, of this thread's network namespace.
pub fn device_drops(of: Option<&[NetLink]>) -> Option<DeviceDrops> {
    devices(&file("dev")?, |name| of.is_none_or(|of| of.iter().any(|link| link.name == name)))
}

fn devices(text: &str, counts: impl Fn(&str) -> bool) -> Option<DeviceDrops> {
    let mut sum = DeviceDrops::default();
    // Two lines of titles.
    for line in text.lines().skip(2) {
        let (name, values) = line.rsplit_once(':')?;
        let values: Option<Vec<u64>> =
            values.split_whitespace().map(|value| value.parse().ok()).collect();
        // The order of columns is that of `net/core/net-procfs.c`.
        let [_, _, _, rx_drop, _, _, _, _, _, tx_packets, _, tx_drop, ..] = values?[..] else {
            return None;
        };
        if counts(name.trim()) {
            sum.rx += rx_drop;
            sum.tx += tx_drop;
            sum.sent = sum.sent.max(tx_packets);
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_counters_by_group_and_name() {
        let text = "Ip: Forwarding InDiscards ReasmFails\nIp: 2 5 7\nIpExt: InNoRoutes\n\
                    IpExt: 3\nUdp: NoPorts\nUdp: 11\nUdpLite: NoPorts\nUdpLite: 13\n";
        let v6 = "Ip6InDiscards \t 100\nIcmp6InMsgs 1\nIp6OutNoRoutes 4\n";
        let sockets = "UDP: inuse 4 mem 0\nFRAG: inuse 9 memory 5000\n";
        for (found, expected) in [
            (column(text, "Ip", "ReasmFails"), 7),
            (column(text, "IpExt", "InNoRoutes"), 3),
            (column(text, "Udp", "NoPorts"), 11),
            (column(text, "Ip", "NoPorts"), 0),
            (column(text, "Icmp", "InMsgs"), 0),
            (line(v6, "Ip", "InDiscards"), 100),
            (line(v6, "Ip", "OutNoRoutes"), 4),
            (line(v6, "Ip", "Out"), 0),
            (incomplete(sockets, "FRAG"), 9),
            (incomplete(sockets, "FRAG6"), 0),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn reads_backlog_drops_with_cpu_numbers() {
        let new = "0000a0b1 0000000f 00000000 0 0 0 0 0 0 0 0 00000000 00000003\n";
        let old = "0000a0b1 ffffffff 00000000 00000000\n";
        assert_eq!(backlogs(new), Some(vec![(3, 15)]));
        assert_eq!(backlogs(&[old, old].concat()), Some(vec![(0, u32::MAX), (1, u32::MAX)]));
        assert_eq!(backlogs("no numbers\n"), None);
    }

    #[test]
    fn reads_device_drops_by_name() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    \
                    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n\
                    eth0: 0 0 0 40 0 0 0 0 0 7 0 50 0 0 0 0\n";
        for (name, drops) in [("lo", (4, 12, 10)), ("eth0", (40, 50, 7)), ("", (44, 62, 10))] {
            let found = devices(text, |found| name.is_empty() || found == name).unwrap();
            assert_eq!((found.rx, found.tx, found.sent), drops, "{name}");
        }
        assert!(devices("a\nb\neth0: 1 2\n", |_| true).is_none());
        assert!(devices("a\nb\neth0: 1 x\n", |_| false).is_none());
    }
}
