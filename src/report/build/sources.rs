//! Counts of a cell by source.

use std::cmp::Reverse;

use crate::document::SourceCounts;
use crate::measure::CellResult;
use crate::plan::Sources;

/// How many sources are listed. Arbitrary: a document stays below a megabyte.
const LISTED: usize = 1_024;
/// The probability that any source stands out although all have the same loss. Arbitrary.
const CHANCE: f64 = 0.001;

/// Datagrams of each source, worst first; `streams`: flows of a process. A source stands out if
/// its losses are improbable where all sources lose a share of `p`: Chernoff's bound of the
/// binomial tail, exp(-n D(share || p)), is below the chance divided by the number of sources (H.
/// Chernoff, Annals of Mathematical Statistics 23, 1952; Bonferroni's correction).
pub(super) fn sources(
    sources: Option<&Sources>,
    streams: u16,
    result: &CellResult,
) -> Vec<SourceCounts> {
    // Of lost senders, only a part is known.
    let Some(sources) = sources.filter(|_| !result.senders_lost()) else { return Vec::new() };
    let used = sources.count().min(streams.max(1).into());
    let is_known = !result.one_ended;
    let mut rows: Vec<_> = sources
        .addresses()
        .take(used)
        .map(|ip| SourceCounts {
            address: Some(ip.to_string()),
            received: is_known.then_some(0),
            ..zero(1)
        })
        .collect();
    let flows = result.flows();
    for (flow, (sent, received)) in flows.iter().enumerate() {
        // Flows of several processes follow each other.
        let row = &mut rows[sources.number_of((flow % usize::from(streams)) as u16)];
        row.sent += sent;
        row.received = row.received.map(|sum| sum + received);
    }
    rows.iter_mut().for_each(|row| row.lost = row.received.map(|got| row.sent.saturating_sub(got)));
    let all = rows.iter().fold(zero(0), add);
    for row in &mut rows {
        row.stands_out = stands_out(row, &all);
    }
    let share = |row: &SourceCounts| share(row).unwrap_or(0.0);
    // The sort is stable: of equals, the first come first.
    rows.sort_by(|a, b| {
        Reverse(a.stands_out).cmp(&Reverse(b.stands_out)).then(share(b).total_cmp(&share(a)))
    });
    if rows.len() > LISTED {
        let rest = rows.drain(LISTED..).fold(zero(0), |sum, row| add(sum, &row));
        rows.push(rest);
    }
    rows
}

fn zero(sources: u64) -> SourceCounts {
    SourceCounts { sources, received: Some(0), lost: Some(0), ..SourceCounts::default() }
}

fn add(sum: SourceCounts, row: &SourceCounts) -> SourceCounts {
    let both = |one: Option<u64>, other: Option<u64>| Some(one?.saturating_add(other?));
    SourceCounts {
        address: None,
        sources: sum.sources + row.sources,
        sent: sum.sent.saturating_add(row.sent),
        received: both(sum.received, row.received),
        lost: both(sum.lost, row.lost),
        stands_out: sum.stands_out || row.stands_out,
    }
}

fn share(row: &SourceCounts) -> Option<f64> {
    (row.sent > 0).then_some(row.lost? as f64 / row.sent as f64)
}

fn stands_out(row: &SourceCounts, all: &SourceCounts) -> bool {
    let Some((share, of_all)) = share(row).zip(share(all)) else { return false };
    let term = |part: f64, of: f64| if part > 0.0 { part * (part / of).ln() } else { 0.0 };
    let divergence = term(share, of_all) + term(1.0 - share, 1.0 - of_all);
    share > of_all && row.sent as f64 * divergence > (all.sources as f64 / CHANCE).ln()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn rows(count: u8, flows: &[(u64, u64)], streams: u16) -> Vec<SourceCounts> {
        let all: Vec<IpAddr> = (1..=count).map(|n| Ipv4Addr::new(127, 0, 1, n).into()).collect();
        let mut result = CellResult::default();
        (result.tx.flows, result.rx.flows) = flows.iter().copied().unzip();
        sources(Sources::new("", &all).as_ref(), streams, &result)
    }

    fn summary(row: &SourceCounts) -> (&str, u64, Option<u64>, Option<u64>, bool) {
        let address = row.address.as_deref().unwrap_or("rest");
        (address, row.sent, row.received, row.lost, row.stands_out)
    }

    #[test]
    fn a_source_that_loses_more_than_chance_explains_stands_out() {
        let with = |lost: u64| {
            let mut flows = vec![(100, 100); 64];
            flows[6] = (100, 100 - lost);
            rows(64, &flows, 64)
        };
        let limited = with(100);
        assert_eq!(summary(&limited[0]), ("127.0.1.7", 100, Some(0), Some(100), true));
        assert!(limited[1..].iter().all(|row| !row.stands_out && row.lost == Some(0)));
        assert_eq!(summary(&limited[1]).0, "127.0.1.1");
        // Five sigma of so few are no proof; one lost request is chance.
        for (lost, expected) in [(1, false), (3, false), (10, true)] {
            assert_eq!(with(lost)[0].stands_out, expected, "{lost}");
        }
        // All lose alike: half of each, and all of each.
        for got in [50, 0] {
            assert!(rows(64, &[(100, got); 64], 64).iter().all(|row| !row.stands_out));
        }
        // Half of them are limited.
        let halves: Vec<_> = (0..8).map(|n| (100, if n % 2 == 0 { 0 } else { 100 })).collect();
        assert_eq!(rows(8, &halves, 8).iter().filter(|row| row.stands_out).count(), 4);
    }

    #[test]
    fn flows_of_a_source_and_of_all_processes_are_summed() {
        // Two processes of 5 flows each over 3 sources, of which the third has 1 flow of each.
        let flows: Vec<_> = (0..10).map(|n| (n, n)).collect();
        let found = rows(3, &flows, 5);
        let sums: Vec<_> = found.iter().map(|row| row.sent).collect();
        assert_eq!(sums, [3 + 5 + 8, 1 + 4 + 6 + 9, 2 + 7]);
        // Fewer flows than sources: the others are not used.
        assert_eq!(rows(3, &flows[..2], 2).len(), 2);
        // Without receivers, arrivals are unknown.
        let mut result = CellResult { one_ended: true, ..CellResult::default() };
        result.tx.flows = vec![9];
        let one = Sources::new("", &[Ipv4Addr::LOCALHOST.into()]);
        let found = sources(one.as_ref(), 1, &result);
        assert_eq!(summary(&found[0]), ("127.0.0.1", 9, None, None, false));
    }

    #[test]
    fn the_rest_of_a_long_list_is_summed() {
        let all: Vec<IpAddr> =
            (0..2_000).map(|n| Ipv4Addr::from_bits(0x7F00_0100 + n).into()).collect();
        let mut result = CellResult::default();
        result.tx.flows = vec![10; 2_000];
        result.rx.flows = (0..2_000).map(|n| if n >= 1_990 { 0 } else { 10 }).collect();
        let found = sources(Sources::new("", &all).as_ref(), 2_000, &result);
        assert_eq!(found.len(), LISTED + 1);
        assert!(found[..10].iter().all(|row| row.stands_out && row.received == Some(0)));
        let rest = SourceCounts { sources: 976, sent: 9_760, received: Some(9_760), ..zero(0) };
        assert_eq!(found[LISTED], rest);
    }
}
