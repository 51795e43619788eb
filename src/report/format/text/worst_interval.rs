//! The interval in which a cell was worst.

use std::cmp::Reverse;

use super::rows::measured;
use super::style::{first_few, no_break, percent};
use crate::document::{Cell, Interval, Report};
use crate::unit::{self, show_nanos};

/// How many times the loss or p99 of the rest an interval must exceed for a note. Arbitrary: less
/// is common on a busy host.
const FACTOR: f64 = 2.0;

/// Standard deviations that its loss must exceed besides, so that a few losses spread by chance
/// make no note. Arbitrary: chance exceeds them once in 700 intervals.
const DEVIATIONS: f64 = 3.0;

/// The worst interval of each cell where it differs from the rest, the cell with most loss first.
pub(super) fn worst(report: &Report) -> Option<String> {
    let cells: Vec<&Cell> = measured(report).collect();
    let found = cells.iter().filter_map(|cell| Some((*cell, worst_of(&cell.intervals)?)));
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|(_, interval)| Reverse(rank(interval)));
    let is_second = |(cell, _): &(&Cell, &Interval)| {
        cell.intervals.first().is_some_and(|first| (first.start_ns, first.end_ns) == (0, SECOND_NS))
    };
    let unit = if found.iter().all(is_second) { "second" } else { "interval" };
    let list = first_few(&found, "cell", |(cell, interval)| {
        let name = match (cells.len(), cell.trial) {
            (1, _) => String::new(),
            (_, 0) => format!("{} ", cell.id),
            (_, trial) => format!("{} trial {trial} ", cell.id),
        };
        let lost = if cell.exchange.is_some() { "no reply" } else { "loss" };
        let loss = loss(interval).map(|share| format!("{lost} {}", percent(share)));
        let p99 = p99_ns(interval).map(|ns| format!("p99 {}", show_nanos(ns)));
        let parts = [Some(format!("{name}{} s", span(interval))), loss, p99].into_iter().flatten();
        parts.map(|part| no_break(&part)).collect::<Vec<_>>().join(", ")
    })?;
    Some(format!("worst {unit}: {list}"))
}

/// A second; by definition.
const SECOND_NS: u64 = 1_000_000_000;

/// Most loss first, then the highest p99.
fn rank(interval: &Interval) -> (Option<u64>, Option<u64>) {
    (interval.lost, p99_ns(interval))
}

fn p99_ns(interval: &Interval) -> Option<u64> {
    interval.latency?.p99_ns
}

/// Lost datagrams, or requests not answered, as a share; `None` if unknown or nothing was sent.
pub(crate) fn loss(interval: &Interval) -> Option<f64> {
    let lost = interval.lost.filter(|_| interval.sent > 0)?;
    Some(lost as f64 / interval.sent as f64)
}

/// Start and end in seconds, to the millisecond: `12–13`, `0.25–0.5`.
pub(crate) fn span(interval: &Interval) -> String {
    let seconds = |ns: u64| {
        let text = format!("{:.3}", ns as f64 / SECOND_NS as f64);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    format!("{}–{}", seconds(interval.start_ns), seconds(interval.end_ns))
}

fn worst_of(intervals: &[Interval]) -> Option<&Interval> {
    let most = intervals.iter().max_by_key(|interval| rank(interval))?;
    let sum = |of: fn(&Interval) -> u64| intervals.iter().map(|one| of(one) as f64).sum::<f64>();
    let lost = most.lost.unwrap_or(0) as f64;
    let lost_by_rest = sum(|one| one.lost.unwrap_or(0)) - lost;
    let sent_by_rest = sum(|one| one.sent) - most.sent as f64;
    // What it would have lost at the rate of the rest.
    let expected = lost_by_rest / sent_by_rest.max(1.0) * most.sent as f64;
    if intervals.len() > 1 && lost > FACTOR * expected + DEVIATIONS * expected.sqrt() {
        return Some(most);
    }
    let slowest = intervals.iter().max_by_key(|interval| p99_ns(interval))?;
    let median = unit::median(intervals.iter().filter_map(p99_ns).map(|ns| ns as f64))?;
    (p99_ns(slowest)? as f64 > FACTOR * median).then_some(slowest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Exchange, IntervalLatency};
    use crate::report::fixture;

    /// A cell with a second of 1,000 datagrams for each loss and p99 in µs.
    fn cell(id: &str, seconds: &[(u64, u64)]) -> Cell {
        let mut cell = fixture::cell("plain", 64, "50k", 50e3);
        id.clone_into(&mut cell.id);
        let second = |(at, &(lost, p99_us)): (usize, &(u64, u64))| Interval {
            start_ns: at as u64 * SECOND_NS,
            end_ns: (at as u64 + 1) * SECOND_NS,
            sent: 1_000,
            received: Some(1_000 - lost),
            lost: Some(lost),
            latency: Some(IntervalLatency {
                p99_ns: Some(p99_us * 1_000),
                ..IntervalLatency::default()
            }),
            ..Interval::default()
        };
        cell.intervals = seconds.iter().enumerate().map(second).collect();
        cell
    }

    fn note(cells: Vec<Cell>) -> Option<String> {
        worst(&fixture::report_of(cells)).map(|text| text.replace(super::super::NBSP, " "))
    }

    #[test]
    fn the_worst_second_is_noted_where_it_differs() {
        for (seconds, expected) in [
            (&[(0, 9), (41, 8_200), (0, 9_000)][..], Some("1–2 s, loss 4.10%, p99 8.20 ms")),
            (&[(1, 9), (0, 9), (0, 9)], Some("0–1 s, loss 0.10%, p99 9.00 µs")),
            // Loss by chance; then the highest p99 counts.
            (&[(1, 9), (3, 9), (2, 9)], None),
            (&[(10, 9), (30, 9), (20, 30)], Some("2–3 s, loss 2.00%, p99 30.0 µs")),
            // Twice the median p99 is no difference.
            (&[(0, 10), (0, 20), (0, 9)], None),
            (&[(0, 10), (0, 21), (0, 9)], Some("1–2 s, loss 0%, p99 21.0 µs")),
            (&[(100, 9)], None),
            (&[], None),
        ] {
            let expected = expected.map(|text| format!("worst second: {text}"));
            assert_eq!(note(vec![cell("a/64/50k", seconds)]), expected, "{seconds:?}");
        }
    }

    #[test]
    fn several_cells_are_named_the_one_with_most_loss_first() {
        let mut cells = vec![
            cell("a/64/50k", &[(0, 9), (2, 9)]),
            cell("b/64/50k", &[(0, 9), (0, 9)]),
            cell("c/64/50k", &[(7, 9), (0, 9)]),
        ];
        let text = "worst second: c/64/50k 0–1 s, loss 0.70%, p99 9.00 µs; \
                    a/64/50k 1–2 s, loss 0.20%, p99 9.00 µs";
        assert_eq!(note(cells.clone()).as_deref(), Some(text));
        "a/64/50k".clone_into(&mut cells[2].id);
        cells[2].trial = 1;
        cells[2].exchange = Some(Exchange::default());
        for interval in &mut cells[2].intervals {
            interval.start_ns /= 4;
            interval.end_ns /= 4;
        }
        let text = "worst interval: a/64/50k trial 1 0–0.25 s, no reply 0.70%, p99 9.00 µs; \
                    a/64/50k 1–2 s, loss 0.20%, p99 9.00 µs";
        assert_eq!(note(cells).as_deref(), Some(text));
    }
}
