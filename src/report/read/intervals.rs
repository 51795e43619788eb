//! What holds of the intervals of a cell.

use crate::document::{Cell, Interval, Ledger};
use crate::measure::MAX_INTERVALS;
use crate::unit::sum_counts;

/// The first rule that the intervals of this cell break.
pub(super) fn broken_rule(cell: &Cell) -> Option<&'static str> {
    let all = &cell.intervals;
    let ends = [0].into_iter().chain(all.iter().map(|one| one.end_ns));
    let is_in_order = all.iter().map(|one| one.start_ns).eq(ends.take(all.len()))
        // A cell that was stopped at once has an interval without a length.
        && all.iter().all(|one| one.start_ns < one.end_ns || cell.elapsed_ns == 0)
        && all.last().is_none_or(|one| one.end_ns <= cell.elapsed_ns);
    let rules = [
        (all.len() as u64 <= MAX_INTERVALS, "a cell has at most 1,024 intervals: that"),
        (is_in_order, "intervals follow each other from 0 to elapsed_ns: that"),
        (
            all.iter().all(is_possible),
            "in an interval, lost is at most sent and latency ascends: that",
        ),
        (sums_are_in_cell(cell), "intervals add up to no more than the cell: that"),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
}

fn is_possible(one: &Interval) -> bool {
    let latency = one.latency.unwrap_or_default();
    let points = [latency.p50_ns, latency.p90_ns, latency.p99_ns, latency.p99_9_ns, latency.max_ns];
    one.lost.is_none_or(|lost| lost <= one.sent) && points.into_iter().flatten().is_sorted()
}

/// A count of an interval.
type Count = fn(&Interval) -> Option<u64>;

fn sums_are_in_cell(cell: &Cell) -> bool {
    let Ledger { sent, refused, received, duplicate, late, reordered, .. } = &cell.ledger;
    let exchange = cell.exchange.as_ref();
    let errors = exchange.map(|exchange| sum_counts(exchange.errors.values().copied()));
    let sums: [(Count, Option<u64>); 9] = [
        (|one| Some(one.sent), Some(*sent)),
        (|one| one.refused, Some(sum_counts(refused.counts()))),
        (|one| one.missed, cell.schedule.as_ref().map(|schedule| schedule.missed)),
        (|one| one.received, *received),
        (|one| one.duplicate, *duplicate),
        (|one| one.late, *late),
        (|one| one.reordered, *reordered),
        (|one| one.timeouts, exchange.map(|exchange| exchange.timeouts)),
        (|one| one.errors, errors),
    ];
    sums.into_iter().all(|(of, most)| {
        let sum: u128 = cell.intervals.iter().filter_map(of).map(u128::from).sum();
        sum <= most.unwrap_or(0).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::IntervalLatency;
    use crate::report::fixture;

    type Change = fn(&mut Vec<Interval>);

    /// A cell with two intervals that add up to it.
    fn cell() -> Cell {
        let mut cell = fixture::cell("plain", 64, "50%", 100e3);
        let (sent, half) = (cell.ledger.sent, cell.elapsed_ns / 2);
        let first = Interval { end_ns: half, sent: 10, received: Some(10), ..Interval::default() };
        let (start_ns, end_ns) = (half, cell.elapsed_ns);
        let second = Interval { start_ns, end_ns, sent: sent - 10, ..Interval::default() };
        cell.intervals = vec![first, second];
        cell
    }

    #[test]
    fn intervals_that_cannot_be_of_the_cell_are_rejected() {
        assert_eq!(broken_rule(&cell()), None);
        let mut at_once = Cell { elapsed_ns: 0, ..cell() };
        at_once.intervals = vec![Interval::default()];
        assert_eq!(broken_rule(&at_once), None);
        let crossed = IntervalLatency { p50_ns: Some(9), max_ns: Some(8), ..Default::default() };
        let changes: [(Change, &str); 9] = [
            (|all| all[1].start_ns -= 1, "overlap"),
            (|all| all[1].start_ns += 1, "gap"),
            (|all| all.swap(0, 1), "order"),
            (|all| all[1].end_ns = all[1].start_ns, "no length"),
            (|all| all[1].end_ns += 1, "behind the end"),
            (|all| all[0].sent += 1, "sent"),
            (|all| all[0].received = Some(u64::MAX), "received"),
            (|all| all[0].timeouts = Some(1), "requests of a cell without any"),
            (|all| all[0].lost = Some(11), "lost"),
        ];
        for (change, what) in changes {
            let mut cell = cell();
            change(&mut cell.intervals);
            assert!(broken_rule(&cell).is_some(), "{what}");
        }
        let mut cell = cell();
        cell.intervals[0].latency = Some(crossed);
        assert!(broken_rule(&cell).is_some());
        let width = cell.elapsed_ns / (MAX_INTERVALS + 1);
        let one = |at: u64| Interval {
            start_ns: at * width,
            end_ns: (at + 1) * width,
            ..Interval::default()
        };
        for (count, is_broken) in [(MAX_INTERVALS, false), (MAX_INTERVALS + 1, true)] {
            cell.intervals = (0..count).map(one).collect();
            assert_eq!(broken_rule(&cell).is_some(), is_broken, "{count}");
        }
    }
}
