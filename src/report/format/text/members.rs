//! The parts of the processes of a run on several hosts.

use std::cmp::Reverse;

use super::style::{counted, no_break, percent};
use crate::document::{Cell, MemberDocument, Report};
use crate::report::checks::metric::rate_unit;
use crate::unit::show_nanos;

/// The most lines. Arbitrary: a fleet of this size is shown whole.
const MOST: usize = 8;

/// The most lines of pairs. Arbitrary: the cells of `bench --pairs` by four processes.
const MOST_OF_PAIRS: usize = 48;

/// A line per process and cell: most loss first, then the highest p99; then how far apart they
/// began. None if there was one.
pub(super) fn lines(report: &Report) -> Vec<(String, String)> {
    let parts = report.members.iter();
    let parts = parts.flat_map(|member| member.cells.iter().map(move |cell| (member, cell)));
    let mut parts: Vec<_> = parts.filter(|(_, cell)| !cell.calibration).collect();
    parts.sort_by_key(|(member, cell)| (Reverse((lost_ppb(cell), p99_ns(cell))), member.rank));
    let several = distinct_cells(report) > 1;
    let is_paired = report.members.iter().any(|member| member.to_rank.is_some());
    let most = if is_paired { MOST_OF_PAIRS } else { MOST };
    let line = |(member, cell): &(&MemberDocument, &Cell)| {
        let to = member.to_rank.map_or_else(String::new, |to| format!(" → {to}"));
        (format!("rank {}{to}", member.rank), line(member, cell, several))
    };
    let mut lines: Vec<_> = parts.iter().take(most).map(line).collect();
    if let Some(more) = parts.len().checked_sub(most).filter(|more| *more > 0) {
        let more = counted(more as u64, "part");
        lines.push(("…".to_owned(), format!("{more} more, in members of the document (-J)")));
    }
    let skews = report.cells.iter().filter_map(|cell| cell.start_skew_ns);
    lines.extend(skews.max().map(|ns| {
        let of = if several { " in the worst cell" } else { "" };
        ("start".to_owned(), format!("all began within {} of each other{of}", show_nanos(ns)))
    }));
    lines
}

fn distinct_cells(report: &Report) -> usize {
    report.members.iter().map(|member| member.cells.len()).max().unwrap_or(0)
}

fn line(member: &MemberDocument, cell: &Cell, several: bool) -> String {
    let trial = if cell.trial > 0 { format!(" trial {}", cell.trial) } else { String::new() };
    let name = several.then(|| format!("{}{trial}", cell.id));
    let requests = cell.exchange.is_some();
    let show = rate_unit(cell).show();
    let rate = cell.tx.pps.map(|pps| format!("sent {}", show(pps)));
    let is_paired = member.to_rank.is_some();
    let received = cell.rx.as_ref().filter(|_| is_paired);
    let received = received.and_then(|rx| rx.pps).map(|pps| format!("received {}", show(pps)));
    let lost = if requests { "no reply" } else { "loss" };
    let loss = lost_ppb(cell).map(|ppb| format!("{lost} {}", percent(ppb as f64 / 1e9)));
    let p99 = p99_ns(cell).map(|ns| format!("p99 {}", show_nanos(ns)));
    let lag = cell.schedule.as_ref().and_then(|schedule| schedule.lag.p99_ns);
    let lag = lag.map(|ns| format!("lag p99 {}", show_nanos(ns)));
    let start = cell.start_lag_ns.map(|ns| {
        let bound = match member.clock_bound_ns {
            0 => String::new(),
            bound_ns => format!(" ± {}", show_nanos(bound_ns)),
        };
        format!("began {}{bound} after the start", show_nanos(ns))
    });
    let to = member.to_hostname.as_ref().map_or_else(String::new, |to| format!(" → {to}"));
    let host = Some(format!("{}{to}", member.hostname));
    // One line each, where there may be many.
    let [lag, start] = [lag, start].map(|part| part.filter(|_| !(is_paired && several)));
    let parts = [host, name, rate, received, loss, p99, lag, start];
    parts.iter().flatten().map(|part| no_break(part)).collect::<Vec<_>>().join(", ")
}

/// Lost datagrams, or requests not answered, per thousand million sent.
fn lost_ppb(cell: &Cell) -> Option<u64> {
    let lost = u128::from(cell.ledger.lost?) * 1_000_000_000;
    u64::try_from(lost.checked_div(cell.ledger.sent.into())?).ok()
}

fn p99_ns(cell: &Cell) -> Option<u64> {
    cell.latency.as_ref()?.p99_ns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn the_worst_member_comes_first() {
        let mut report = fixture::default_run();
        assert_eq!(lines(&report), []);
        let member = |rank: u64, lost: u64| {
            let mut cell = fixture::cell("plain", 64, "1k", 1e3);
            fixture::lose(&mut cell, lost);
            cell.start_lag_ns = Some(20_000);
            let hostname = format!("host{rank}");
            let (to_rank, to_hostname) = (None, None);
            let (clock_bound_ns, cells) = (5_000, vec![cell]);
            MemberDocument { rank, hostname, to_rank, to_hostname, clock_bound_ns, cells }
        };
        report.members = (0..10).map(|rank| member(rank, if rank == 7 { 30 } else { 0 })).collect();
        report.cells[0].start_skew_ns = Some(28_000);
        let mut lines = lines(&report);
        let start = ("start".to_owned(), "all began within 28.0 µs of each other".to_owned());
        assert_eq!(lines.pop(), Some(start));
        let labels: Vec<_> = lines.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(labels[..3], ["rank 7", "rank 0", "rank 1"]);
        assert_eq!((labels.len(), labels[MOST]), (MOST + 1, "…"));
        assert!(lines[MOST].1.starts_with("2 parts more"), "{}", lines[MOST].1);
        let plain = lines[0].1.replace('\u{a0}', " ");
        assert!(plain.starts_with("host7, sent "), "{plain}");
        assert!(plain.ends_with("began 20.0 µs ± 5.00 µs after the start"), "{plain}");
    }

    #[test]
    fn pairs_name_both_ends_and_what_arrived() {
        let mut report = fixture::default_run();
        let cells =
            vec![fixture::cell("plain", 64, "1k", 1e3), fixture::cell("plain", 512, "1k", 2e3)];
        let pair = |rank: u64| MemberDocument {
            rank,
            hostname: format!("host{rank}"),
            to_rank: Some(rank + 1),
            to_hostname: Some(format!("host{}", rank + 1)),
            clock_bound_ns: 0,
            cells: cells.clone(),
        };
        report.members = (0..10).step_by(2).map(pair).collect();
        let lines = lines(&report);
        assert_eq!(lines.len(), 10, "more than of processes without pairs");
        let of_two: Vec<_> = lines.iter().filter(|(label, _)| label == "rank 2 → 3").collect();
        let [(_, one), (_, other)] = &of_two[..] else { panic!("{lines:?}") };
        let mut texts = [one, other].map(|text| text.replace('\u{a0}', " "));
        texts.sort();
        for (text, cell, rate) in [(&texts[0], "512", "2.00"), (&texts[1], "64", "1.00")] {
            let begin =
                format!("host2 → host3, plain/{cell}/1k, sent {rate} kpps, received {rate} ");
            assert!(text.starts_with(&begin), "{text}");
            assert!(text.contains("loss 0%") && !text.contains("began"), "{text}");
        }
    }
}
