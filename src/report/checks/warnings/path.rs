use std::collections::{BTreeMap, BTreeSet};

use crate::document::{MemberDocument, Report, Warning};
use crate::plan::{Route, Scenario};
use crate::report::checks::warning_codes as codes;

/// Traffic to an address of this host runs over `lo`, not over the device of that address.
pub(crate) fn over_loopback(scenario: &Scenario) -> Option<Warning> {
    let to = scenario.to.unwrap_or(scenario.bind);
    let elsewhere = scenario.route != Route::Local || scenario.to_netns.is_some();
    let message = format!("traffic to {to} runs over lo, not its device; use --to-netns");
    (!elsewhere && !to.is_loopback() && !to.is_unspecified())
        .then(|| codes::OVER_LOOPBACK.warning(message))
}

/// Traffic of pairs of processes that share a network namespace runs over `lo`.
pub(crate) fn pairs_over_loopback(report: &Report) -> Option<Warning> {
    let senders = report.members.iter().filter(|member| member.to_rank.is_some());
    let is_together = |member: &&MemberDocument| {
        member.cells.iter().any(|cell| cell.ends.as_deref() == Some("together"))
    };
    let together = senders.clone().filter(is_together).count();
    let message = format!(
        "{together} of {} senders share a host with their receiver, over lo; use mpirun --map-by \
         node",
        senders.count(),
    );
    (together > 0).then(|| codes::OVER_LOOPBACK.warning(message))
}

/// Path problems of large sizes: fragmentation, or a size limit.
pub(crate) fn size_warnings(
    report: &Report,
    ipv6: bool,
    df: bool,
) -> impl Iterator<Item = Warning> {
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

pub(super) const fn fragments(payload: u64, mtu: u64, ipv6: bool) -> u64 {
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
    Some(codes::FRAGMENTED.warning(message))
}

/// Minimum number of datagrams of a size to conclude anything from their loss. Arbitrary.
const ENOUGH: u64 = 10;

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
        "no datagram of {smallest} B or more arrived, but {largest} B did; check the path's MTU"
    );
    Some(codes::LARGE_LOST.warning(message))
}
