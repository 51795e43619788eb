//! Doubts about which way datagrams went.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Report, Warning};
use crate::plan::{Route, Scenario};
use crate::report::checks::warning_codes;

/// The address of a device, to which nothing goes by that device: the kernel gives what is sent to
/// any address of its own namespace to `lo`.
pub fn over_loopback(scenario: &Scenario) -> Option<Warning> {
    let to = scenario.to.unwrap_or(scenario.bind);
    let elsewhere = scenario.route != Route::Local || scenario.to_netns.is_some();
    (!elsewhere && !to.is_loopback() && !to.is_unspecified()).then(|| {
        warning_codes::OVER_LOOPBACK
            .warning(format!("traffic to {to} runs over lo, not its device; use --to-netns"))
    })
}

/// Path problems of large sizes: fragmentation, or a size limit.
pub fn sizes(report: &Report, ipv6: bool, df: bool) -> impl Iterator<Item = Warning> {
    // With --df, datagrams that are too large are refused, which has its own warning.
    let fragmented = report.path_mtu.filter(|_| !df).and_then(|mtu| fragmented(report, mtu, ipv6));
    fragmented.into_iter().chain(large_lost(report))
}

/// Bytes of a UDP header (RFC 768), of an IPv4 header without options (RFC 791), of an IPv6 header
/// and of its fragment header (RFC 8200).
const UDP_HEADER: u64 = 8;
const IPV4_HEADER: u64 = 20;
const IPV6_HEADER: u64 = 40;
const FRAGMENT_HEADER: u64 = 8;

/// Number of IP packets of a datagram with this payload.
const fn fragments(payload: u64, mtu: u64, ipv6: bool) -> u64 {
    let (header, more) = if ipv6 { (IPV6_HEADER, FRAGMENT_HEADER) } else { (IPV4_HEADER, 0) };
    let datagram = payload.saturating_add(UDP_HEADER);
    if datagram <= mtu.saturating_sub(header) {
        return 1;
    }
    // All but the last carry a multiple of 8 bytes.
    match mtu.saturating_sub(header + more) / 8 * 8 {
        0 => 1,
        each => datagram.div_ceil(each),
    }
}

fn fragmented(report: &Report, mtu: u64, ipv6: bool) -> Option<Warning> {
    let fixed = report.cells.iter().filter(|cell| cell.size_mix.is_none());
    let sizes: BTreeSet<u64> = fixed.map(|cell| cell.size).collect();
    let split = sizes.into_iter().map(|size| (size, fragments(size, mtu, ipv6)));
    let split: Vec<_> = split.filter(|(_, count)| *count > 1).collect();
    let (first, rest) = split.split_first()?;
    let rest = match rest.len() {
        0 => String::new(),
        more => format!(" (and {more} more sizes)"),
    };
    let header = UDP_HEADER + if ipv6 { IPV6_HEADER } else { IPV4_HEADER };
    let message = format!(
        "{} B sent in {} fragments{rest} at MTU {mtu}; use --size {} or less",
        first.0,
        first.1,
        mtu.saturating_sub(header)
    );
    Some(warning_codes::FRAGMENTED.warning(message))
}

/// Minimum number of datagrams of a size to conclude anything from their loss. Arbitrary.
const ENOUGH: u64 = 10;

/// The large sizes were all lost, and most of the smaller ones arrived.
fn large_lost(report: &Report) -> Option<Warning> {
    // What was sent and what arrived of each size, or was asked and answered.
    let mut by_size: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for cell in report.cells.iter().filter(|cell| cell.size_mix.is_none()) {
        let (sent, arrived) = match &cell.exchange {
            Some(asked) => (asked.requests, asked.matched),
            None => (cell.ledger.sent, cell.ledger.received?),
        };
        let sum = by_size.entry(cell.size).or_default();
        *sum = (sum.0.saturating_add(sent), sum.1.saturating_add(arrived));
    }
    let passed = |&(_, (sent, arrived)): &(&u64, &(u64, u64))| *arrived > sent / 2;
    let largest = by_size.iter().rev().find(passed).map(|(size, _)| *size)?;
    let mut beyond = by_size.range(largest + 1..);
    let smallest = *beyond.clone().next()?.0;
    if !beyond.all(|(_, (sent, arrived))| *arrived == 0 && *sent >= ENOUGH) {
        return None;
    }
    let message = format!(
        "no datagram of {smallest} B or more arrived, but {largest} B did: see the path's MTU"
    );
    Some(warning_codes::LARGE_LOST.warning(message))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{clean_cell, lose};
    use super::*;
    use crate::document::{Cell, LostAt};
    use crate::report::fixture::report_of;

    fn of_size(size: u64, lost: u64) -> Cell {
        let mut cell = Cell { size, ..clean_cell() };
        lose(&mut cell, lost, LostAt::default());
        cell
    }

    fn told(cells: Vec<Cell>, mtu: Option<u64>, ipv6: bool, df: bool) -> Vec<Warning> {
        let report = Report { path_mtu: mtu, ..report_of(cells) };
        sizes(&report, ipv6, df).collect()
    }

    #[test]
    fn fragments_are_counted_as_the_kernel_makes_them() {
        for (payload, mtu, ipv6, count) in [
            (1_472, 1_500, false, 1),
            (1_473, 1_500, false, 2),
            (1_452, 1_500, true, 1),
            (1_453, 1_500, true, 2),
            (1_472, 1_280, false, 2),
            (8_972, 1_280, false, 8),
            (65_507, 65_536, false, 1),
            (100, 20, false, 1),
        ] {
            assert_eq!(fragments(payload, mtu, ipv6), count, "{payload} {mtu} {ipv6}");
        }
    }

    #[test]
    fn sizes_beyond_the_mtu_are_named_with_their_fragments() {
        let cells = || vec![of_size(64, 0), of_size(8_972, 0), of_size(1_472, 0)];
        let found = told(cells(), Some(1_280), false, false);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, "fragmented");
        assert_eq!(
            found[0].message,
            "1472 B sent in 2 fragments (and 1 more sizes) at MTU 1280; use --size 1252 or less"
        );
        for (mtu, df) in [(Some(1_280), true), (Some(65_536), false), (None, false)] {
            assert_eq!(told(cells(), mtu, false, df), [], "{mtu:?} {df}");
        }
    }

    #[test]
    fn large_sizes_that_die_where_small_ones_pass_are_named() {
        let all = 100_000;
        let found = told(
            vec![of_size(64, 9), of_size(1_253, all), of_size(9_000, all)],
            None,
            false,
            false,
        );
        assert_eq!(found[0].code, "large_lost");
        assert!(
            found[0].message.starts_with("no datagram of 1253 B or more arrived, but 64 B did")
        );
        for cells in [
            vec![of_size(64, all), of_size(1_253, all)],
            vec![of_size(64, all), of_size(1_253, 0)],
            vec![of_size(64, 0), of_size(1_253, all - 1)],
            vec![of_size(64, 0)],
        ] {
            assert_eq!(told(cells, None, false, false), []);
        }
    }

    #[test]
    fn only_what_looks_like_a_device_is_named() {
        let told = |bind: &str, to: Option<&str>, netns: Option<&str>| {
            let scenario = Scenario {
                bind: bind.parse().unwrap(),
                to: to.map(|to| to.parse().unwrap()),
                to_netns: netns.map(Into::into),
                ..Scenario::default()
            };
            over_loopback(&scenario).map(|warning| warning.code)
        };
        let code = Some("over_loopback".to_owned());
        assert_eq!(told("127.0.0.1", None, None), None);
        assert_eq!(told("10.9.0.1", None, None), code);
        assert_eq!(told("10.9.0.1", Some("127.0.0.1"), None), None);
        assert_eq!(told("0.0.0.0", Some("fd00::1"), None), code);
        assert_eq!(told("10.9.0.1", Some("10.9.0.2"), Some("/run/netns/b")), None);
        let across = Scenario {
            route: Route::Forward,
            bind: "10.9.0.1".parse().unwrap(),
            ..Scenario::default()
        };
        assert_eq!(over_loopback(&across), None);
    }
}
