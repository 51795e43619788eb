//! Kernel counters from /proc. Those of a network namespace are read below `/proc/thread-self`,
//! since a thread may have entered another namespace than its process; `/proc/net` is the
//! process's.

use std::path::Path;

use super::host::raw;
use super::{DeviceDrops, IpCounters, NetLink, UdpCounters};

fn path(name: &str) -> String {
    format!("/proc/thread-self/net/{name}")
}

/// A file whose lines are all complete; `None` if it is missing, masked or cut short.
fn file(name: &str) -> Option<String> {
    raw(path(name)).filter(|text| text.ends_with('\n'))
}

/// A file that a kernel without IPv6 does not have: then `Some(None)`.
fn ipv6_file(name: &str) -> Option<Option<String>> {
    file(name).map(Some).or_else(|| (!Path::new(&path(name)).exists()).then_some(None))
}

/// The files with the counters of UDP and IP.
struct Tables {
    snmp: String,
    /// `None`: the kernel has no IPv6.
    snmp6: Option<String>,
}

impl Tables {
    fn read() -> Option<Self> {
        Some(Self { snmp: file("snmp")?, snmp6: ipv6_file("snmp6")? })
    }

    /// A counter of a group, such as `Udp`: IPv4 and IPv6 added up; `None` if a table lacks it.
    fn count(&self, group: &str, name: &str) -> Option<u64> {
        Some(column(&self.snmp, group, name)?.saturating_add(self.of_ipv6(group, name)?))
    }

    /// The part of IPv6.
    fn of_ipv6(&self, group: &str, name: &str) -> Option<u64> {
        self.snmp6.as_ref().map_or(Some(0), |snmp6| line(snmp6, group, name))
    }
}

/// A counter of `snmp6`, such as `Ip6InDiscards`.
fn line(text: &str, group: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(group)?.strip_prefix('6')?.strip_prefix(name)?;
        rest.strip_prefix(char::is_whitespace)?.trim().parse().ok()
    })
}

/// A counter of a group with names in one line and values in the next.
fn column(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut rows = text.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(": "));
    let (names, values) = (rows.next()?, rows.next()?);
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    pairs.find(|(found, _)| *found == name).and_then(|(_, value)| value.parse().ok())
}

/// Datagrams in reassembly, with some fragments missing (`FRAG: inuse` of `/proc/net/sockstat`).
fn incomplete(text: &str, group: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(group)?.strip_prefix(": inuse "));
    rest?.split_whitespace().next()?.parse().ok()
}

/// Counters of UDP and IP in this thread's network namespace, from one reading of `snmp`; `None`
/// where a file lacks one of them.
pub fn udp_and_ip_counters() -> (Option<UdpCounters>, Option<IpCounters>) {
    let Some(tables) = Tables::read() else { return (None, None) };
    (udp_counters(&tables), ip_counters(&tables))
}

fn udp_counters(tables: &Tables) -> Option<UdpCounters> {
    let count = |name| tables.count("Udp", name);
    Some(UdpCounters {
        in_datagrams: count("InDatagrams")?,
        no_ports: count("NoPorts")?,
        out_datagrams: count("OutDatagrams")?,
        rcvbuf_errors: count("RcvbufErrors")?,
        in_csum_errors: count("InCsumErrors")?,
        sndbuf_errors: count("SndbufErrors")?,
    })
}

/// Drops in the IP layer, also from `netstat` and `sockstat`.
fn ip_counters(tables: &Tables) -> Option<IpCounters> {
    let count = |name| tables.count("Ip", name);
    let (netstat, sockstat) = (file("netstat")?, file("sockstat")?);
    let no_routes = column(&netstat, "IpExt", "InNoRoutes")?;
    let filtered = column(&netstat, "TcpExt", "IPReversePathFilter")?;
    let discards = [
        count("InHdrErrors")?,
        count("InAddrErrors")?,
        count("InDiscards")?,
        // Of IPv4, it is in netstat.
        tables.of_ipv6("Ip", "InNoRoutes")?.saturating_add(no_routes),
        filtered,
    ];
    let of_ipv6 = ipv6_file("sockstat6")?.map_or(Some(0), |text| incomplete(&text, "FRAG6"))?;
    let failed = count("ReasmFails")?;
    Some(IpCounters {
        in_discards: discards.into_iter().fold(0, u64::saturating_add),
        reassembly: failed.saturating_add(incomplete(&sockstat, "FRAG")?).saturating_add(of_ipv6),
        reassembly_no_room: failed.saturating_sub(count("ReasmTimeout")?),
        out_discards: count("OutDiscards")?,
        out_no_routes: count("OutNoRoutes")?,
        frag_fails: count("FragFails")?,
    })
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
    // Each CPU has a complete line.
    let lines = text.strip_suffix('\n')?.lines();
    lines.enumerate().map(row).collect()
}

/// Packets dropped by all interfaces, or `of` these, of this thread's network namespace; `None` if
/// one of them is not listed.
pub fn device_drops(of: Option<&[NetLink]>) -> Option<DeviceDrops> {
    let is_on_path = |name: &str| of.is_none_or(|of| of.iter().any(|link| link.name == name));
    let (sum, found) = devices(&file("dev")?, is_on_path)?;
    // Each namespace has at least the interface lo.
    (found >= of.map_or(1, <[_]>::len)).then_some(sum)
}

/// The sum of the interfaces that count, and their number.
fn devices(text: &str, counts: impl Fn(&str) -> bool) -> Option<(DeviceDrops, usize)> {
    let (mut sum, mut found) = (DeviceDrops::default(), 0);
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
            found += 1;
        }
    }
    Some((sum, found))
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
            (column(text, "Ip", "ReasmFails"), Some(7)),
            (column(text, "IpExt", "InNoRoutes"), Some(3)),
            (column(text, "Udp", "NoPorts"), Some(11)),
            (column(text, "Ip", "NoPorts"), None),
            (column(text, "Icmp", "InMsgs"), None),
            (line(v6, "Ip", "InDiscards"), Some(100)),
            (line(v6, "Ip", "OutNoRoutes"), Some(4)),
            (line(v6, "Ip", "Out"), None),
            (incomplete(sockets, "FRAG"), Some(9)),
            (incomplete(sockets, "FRAG6"), None),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_masked_or_shortened_file_has_no_counters() {
        let snmp = "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors \
                    InCsumErrors\nUdp: 1 2 3 4 5 6 7\n";
        let snmp6 = "Udp6InDatagrams 10\nUdp6NoPorts 20\nUdp6OutDatagrams 40\n\
                     Udp6RcvbufErrors 50\nUdp6SndbufErrors 60\nUdp6InCsumErrors 70\n";
        let read = |snmp: &str, snmp6: Option<&str>| {
            let tables = Tables { snmp: snmp.to_owned(), snmp6: snmp6.map(str::to_owned) };
            udp_counters(&tables).map(|udp| (udp.no_ports, udp.in_csum_errors))
        };
        assert_eq!(read(snmp, Some(snmp6)), Some((22, 77)));
        assert_eq!(read(snmp, None), Some((2, 7)), "a kernel without IPv6");
        let (names, _) = snmp.split_once('\n').unwrap();
        for short in ["", names, snmp.trim_end().trim_end_matches(" 7")] {
            assert_eq!(read(short, Some(snmp6)), None, "{short}");
        }
        for short in ["", snmp6.lines().next().unwrap()] {
            assert_eq!(read(snmp, Some(short)), None, "{short}");
        }
    }

    #[test]
    fn reads_backlog_drops_with_cpu_numbers() {
        let new = "0000a0b1 0000000f 00000000 0 0 0 0 0 0 0 0 00000000 00000003\n";
        let old = "0000a0b1 ffffffff 00000000 00000000\n";
        assert_eq!(backlogs(new), Some(vec![(3, 15)]));
        assert_eq!(backlogs(&[old, old].concat()), Some(vec![(0, u32::MAX), (1, u32::MAX)]));
        for text in ["no numbers\n", "", new.trim_end()] {
            assert_eq!(backlogs(text), None, "{text}");
        }
    }

    #[test]
    fn reads_device_drops_by_name() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    \
                    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n\
                    eth0: 0 0 0 40 0 0 0 0 0 7 0 50 0 0 0 0\n";
        for (name, drops, count) in [
            ("lo", (4, 12, 10), 1),
            ("eth0", (40, 50, 7), 1),
            ("", (44, 62, 10), 2),
            ("eth1", (0, 0, 0), 0),
        ] {
            let is_it = |found: &str| name.is_empty() || found == name;
            let (sum, found) = devices(text, is_it).unwrap();
            assert_eq!(((sum.rx, sum.tx, sum.sent), found), (drops, count), "{name}");
        }
        assert!(devices("a\nb\neth0: 1 2\n", |_| true).is_none());
        assert!(devices("a\nb\neth0: 1 x\n", |_| false).is_none());
    }
}
