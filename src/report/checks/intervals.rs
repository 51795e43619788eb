//! What holds of the intervals of a cell and of a server.

use crate::document::{Cell, EchoDocument, Interval, Ledger, MEMBER_LOST, ServerInterval};
use crate::document::{SinkClient, SinkDocument, StallSum};
use crate::measure::{HIGHEST_NS, MAX_INTERVALS};
use crate::unit::sum_counts;

/// Rules that hold or not.
type Rules<const N: usize> = [(bool, &'static str); N];

/// The rules on the number and the order of intervals.
const MOST: &str = "there are at most 1,024 intervals: that";
const IN_ORDER: &str = "intervals follow each other from 0 to elapsed_ns: that";

/// The first rule that the intervals of this cell break.
pub(in crate::report) fn broken_rule(cell: &Cell) -> Option<&'static str> {
    let all = &cell.intervals;
    let max_ns = cell.latency.as_ref().and_then(|latency| latency.max_ns);
    let rules: Rules<6> = [
        (all.len() as u64 <= MAX_INTERVALS, MOST),
        (is_in_order(all.iter(), cell.elapsed_ns), IN_ORDER),
        (
            all.iter().all(|one| is_possible(one, max_ns)),
            "in an interval, sent = received + lost, and latency ascends up to the cell's: that",
        ),
        (
            all.iter().all(has_histogram),
            "latency_histogram has the received datagrams of its interval: that",
        ),
        (add_up_to_cell(cell), "intervals add up to the cell: that"),
        (
            delays_are_in_cell(cell),
            "lag and stalls of intervals are at most those of the cell: that",
        ),
    ];
    first_broken(rules).filter(|_| !all.is_empty())
}

fn first_broken<const N: usize>(rules: Rules<N>) -> Option<&'static str> {
    rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
}

fn is_in_order<'a>(all: impl Iterator<Item = &'a Interval> + Clone, elapsed_ns: u64) -> bool {
    let ends = [0].into_iter().chain(all.clone().map(|one| one.end_ns));
    let starts = all.clone().map(|one| one.start_ns);
    starts.zip(ends).all(|(start, end)| start == end)
        // A cell that was stopped at once has an interval without a length.
        && all.clone().all(|one| one.start_ns < one.end_ns || one.start_ns >= elapsed_ns)
        && all.last().is_none_or(|one| one.end_ns <= elapsed_ns.max(one.start_ns))
}

fn is_possible(one: &Interval, max_ns: Option<u64>) -> bool {
    let latency = one.latency.unwrap_or_default();
    let points = [latency.p50_ns, latency.p90_ns, latency.p99_ns, latency.p99_9_ns, latency.max_ns];
    let is_whole = match (one.received, one.lost) {
        (Some(received), Some(lost)) => received.checked_add(lost) == Some(one.sent),
        (_, lost) => lost.is_none_or(|lost| lost <= one.sent),
    };
    is_whole
        && points.into_iter().flatten().is_sorted()
        && latency.max_ns.is_none_or(|ns| max_ns.is_none_or(|max_ns| is_at_most(ns, max_ns)))
}

/// Whether a delay of an interval is at most that of its cell, whose histograms end at
/// [`HIGHEST_NS`].
fn is_at_most(ns: u64, of_cell_ns: u64) -> bool {
    ns <= of_cell_ns || of_cell_ns >= HIGHEST_NS
}

/// Whether the buckets ascend and hold what was received.
fn has_histogram(one: &Interval) -> bool {
    let Some(text) = &one.latency_histogram else { return true };
    let buckets: Vec<_> = one.latencies().collect();
    buckets.len() == text.split(' ').count()
        && buckets.iter().map(|(low_ns, _)| low_ns).is_sorted_by(|one, next| one < next)
        && one.received.is_some_and(|received| {
            let sum: u128 = buckets.iter().map(|(_, count)| u128::from(*count)).sum();
            sum == received.into()
        })
}

/// A count of an interval.
type Count<T> = fn(&T) -> Option<u64>;

/// Whether a count adds up to this sum, or to less where some intervals do not know it.
fn adds_up<T>(all: &[T], of: Count<T>, whole: Option<u64>, is_whole: bool) -> bool {
    let sum: u128 = all.iter().filter_map(of).map(u128::from).sum();
    let whole = u128::from(whole.unwrap_or(0));
    let is_known = is_whole && all.iter().all(|one| of(one).is_some());
    if is_known { sum == whole } else { sum <= whole }
}

fn add_up_to_cell(cell: &Cell) -> bool {
    let Ledger { sent, refused, received, lost, duplicate, late, reordered, .. } = &cell.ledger;
    let exchange = cell.exchange.as_ref();
    let errors = exchange.map(|exchange| sum_counts(exchange.errors.values().copied()));
    let sums: [(Count<Interval>, Option<u64>); 10] = [
        (|one| Some(one.sent), Some(*sent)),
        (|one| one.refused, Some(sum_counts(refused.counts()))),
        (|one| one.missed, cell.schedule.as_ref().map(|schedule| schedule.missed)),
        (|one| one.received, *received),
        (|one| one.lost, *lost),
        (|one| one.duplicate, *duplicate),
        (|one| one.late, *late),
        (|one| one.reordered, *reordered),
        (|one| one.timeouts, exchange.map(|exchange| exchange.timeouts)),
        (|one| one.errors, errors),
    ];
    // All intervals of senders that were lost are not known.
    let is_whole = !matches!(&cell.cut_short_because, Some(why) if is_lost(why));
    sums.into_iter().all(|(of, whole)| adds_up(&cell.intervals, of, whole, is_whole))
}

fn is_lost(why: &str) -> bool {
    ["peer_lost", MEMBER_LOST].contains(&why)
}

fn delays_are_in_cell(cell: &Cell) -> bool {
    let both = [Some(&cell.stalls.tx), cell.stalls.rx.as_ref()];
    let most = |of: fn(&StallSum) -> u64| Some(sum_counts(both.into_iter().flatten().map(of)));
    let lag_max_ns = cell.schedule.as_ref().and_then(|schedule| schedule.lag.max_ns);
    let lags = cell.intervals.iter().filter_map(|one| one.lag_p99_ns);
    adds_up(&cell.intervals, |one| one.stalls, most(|sum| sum.count), false)
        && adds_up(&cell.intervals, |one| one.stalled_ns, most(|sum| sum.total_ns), false)
        && lags.max().is_none_or(|ns| lag_max_ns.is_some_and(|max_ns| is_at_most(ns, max_ns)))
}

/// The first rule that the intervals of this echo server break.
pub(in crate::report) fn broken_rule_of_echo(echo: &EchoDocument) -> Option<&'static str> {
    broken_rule_of_server(
        &echo.intervals,
        echo.elapsed_ns,
        &[
            (|one| one.counts.received, Some(echo.received)),
            (|one| Some(one.received_bytes), Some(echo.received_bytes)),
            (|one| Some(one.counts.sent), Some(echo.returned)),
            (|one| one.counts.refused, Some(sum_counts(echo.refused.counts()))),
            (|one| one.socket_drops, echo.socket_drops),
        ],
    )
}

/// The first rule that the intervals of this sink break.
pub(in crate::report) fn broken_rule_of_sink(sink: &SinkDocument) -> Option<&'static str> {
    let drops = sink.listeners.iter().map(|listener| listener.socket_drops);
    let of = |count: fn(&SinkClient) -> Option<u64>| {
        Some(sum_counts(sink.clients.iter().filter_map(count)))
    };
    let sums: [(Count<ServerInterval>, _); 10] = [
        (|one| one.counts.received, of(|client| Some(client.received))),
        (|one| Some(one.received_bytes), of(|client| Some(client.bytes))),
        (|one| one.counts.lost, of(|client| client.lost)),
        (|one| one.counts.duplicate, of(|client| Some(client.duplicate))),
        (|one| one.counts.late, of(|client| Some(client.late))),
        (|one| one.counts.reordered, of(|client| client.reordered)),
        (|one| Some(one.counts.sent), of(|client| Some(client.sent))),
        (|one| one.unsolicited, Some(sink.others.datagrams)),
        (|one| one.unsolicited_bytes, Some(sink.others.bytes)),
        (|one| one.socket_drops, Some(sum_counts(drops.flatten()))),
    ];
    // Those of clients beyond the list are known by interval only.
    let known = if sink.more_clients == 0 { &sums[..] } else { &sums[7..] };
    broken_rule_of_server(&sink.intervals, sink.elapsed_ns, known)
}

fn broken_rule_of_server(
    all: &[ServerInterval],
    elapsed_ns: u64,
    sums: &[(Count<ServerInterval>, Option<u64>)],
) -> Option<&'static str> {
    let rules: Rules<3> = [
        (all.len() as u64 <= MAX_INTERVALS, MOST),
        (is_in_order(all.iter().map(|one| &one.counts), elapsed_ns), IN_ORDER),
        (
            sums.iter().all(|(of, whole)| adds_up(all, *of, *whole, true)),
            "intervals add up to the counts of the server: that",
        ),
    ];
    first_broken(rules).filter(|_| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Head, IntervalLatency};
    use crate::host::HostFacts;
    use crate::measure::{EchoTally, SinkTally};
    use crate::plan::{EchoKind, WaitKind};
    use crate::report::{self, fixture};
    use crate::unit::Nanos;

    type Change = fn(&mut Vec<Interval>);

    /// A cell with two intervals that add up to it.
    fn cell() -> Cell {
        let mut cell = fixture::cell("plain", 64, "50%", 100e3);
        let (sent, half) = (cell.ledger.sent, cell.elapsed_ns / 2);
        let histogram = Some("0:3 9:7".to_owned());
        let latency = Some(IntervalLatency { p50_ns: Some(8), ..Default::default() });
        let first = Interval { end_ns: half, sent: 10, received: Some(10), ..Interval::default() };
        let first = Interval { latency, latency_histogram: histogram, ..first };
        let (start_ns, end_ns) = (half, cell.elapsed_ns);
        let second = Interval { start_ns, end_ns, sent: sent - 10, ..Interval::default() };
        cell.intervals = vec![first, second];
        cell
    }

    #[test]
    fn intervals_that_cannot_be_of_the_cell_are_rejected() {
        assert_eq!(broken_rule(&cell()), None);
        let mut at_once = Cell { elapsed_ns: 0, ..cell() };
        let sent = at_once.ledger.sent;
        at_once.intervals = vec![Interval { sent, ..Interval::default() }];
        assert_eq!(broken_rule(&at_once), None);
        let crossed = IntervalLatency { p50_ns: Some(9), max_ns: Some(8), ..Default::default() };
        let changes: [(Change, &str); 19] = [
            (|all| all[1].start_ns -= 1, "overlap"),
            (|all| all[1].start_ns += 1, "gap"),
            (|all| all.swap(0, 1), "order"),
            (|all| all[1].end_ns = all[1].start_ns, "no length"),
            (|all| all[1].end_ns += 1, "behind the end"),
            (|all| all[0].sent += 1, "sent"),
            (|all| all[0].received = Some(u64::MAX), "received"),
            (|all| all[0].timeouts = Some(1), "requests of a cell without any"),
            (|all| all[0].lost = Some(11), "lost"),
            (|all| all[0].lost = Some(1), "neither received nor lost"),
            (|all| all[1].sent -= 1, "less than was sent"),
            (|all| all[1].received = Some(all[1].sent - 1), "less than was received"),
            (|all| all[1].lost = Some(1), "more than was lost"),
            (|all| all[0].latency.as_mut().unwrap().max_ns = Some(u64::MAX), "latency"),
            (|all| all[0].stalls = Some(1), "stalls"),
            (|all| all[0].stalled_ns = Some(1), "time of stalls"),
            (|all| all[0].lag_p99_ns = Some(u64::MAX), "lag"),
            (|all| all[0].latency_histogram = Some("9:3 0:7".to_owned()), "buckets in disorder"),
            (|all| all[0].latency_histogram = Some("0:3 x:7 9:7".to_owned()), "no bucket"),
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
            cell.intervals[0].sent = cell.ledger.sent;
            assert_eq!(broken_rule(&cell).is_some(), is_broken, "{count}");
        }
    }

    #[test]
    fn intervals_that_cannot_be_of_the_server_are_rejected() {
        let interval = |start_ns, received| ServerInterval {
            counts: Interval {
                start_ns,
                end_ns: start_ns + 5,
                received: Some(received),
                ..Interval::default()
            },
            unsolicited: Some(received),
            ..ServerInterval::default()
        };
        let intervals = vec![interval(0, 3), interval(5, 4)];
        let tally = SinkTally { time: (Nanos::ZERO, Nanos(10)), ..SinkTally::default() };
        let mut sink = report::sink(Head::default(), &tally, &HostFacts::default());
        let kinds = (EchoKind::Batch, WaitKind::Hybrid);
        let mut echo = report::echo(Head::default(), &EchoTally::default(), kinds, None, None);
        (sink.others.datagrams, sink.intervals) = (7, intervals.clone());
        assert!(broken_rule_of_sink(&sink).is_some(), "of no client");
        sink.more_clients = 1;
        (echo.elapsed_ns, echo.received, echo.intervals) = (10, 7, intervals);
        let broken = |change: fn(&mut Vec<ServerInterval>)| {
            let (mut sink, mut echo) = (sink.clone(), echo.clone());
            change(&mut sink.intervals);
            change(&mut echo.intervals);
            [broken_rule_of_sink(&sink).is_some(), broken_rule_of_echo(&echo).is_some()]
        };
        assert_eq!(broken(|_| {}), [false; 2]);
        assert_eq!(broken(|all| all.clear()), [false; 2]);
        for change in [
            (|all| all[1].counts.start_ns += 1) as fn(&mut Vec<ServerInterval>),
            |all| all[1].counts.end_ns += 1,
            |all| all.swap(0, 1),
            |all| all.truncate(1),
            |all| {
                let (end_ns, counts) = (10, Interval { start_ns: 10, ..Interval::default() });
                let counts = Interval { end_ns, ..counts };
                all.resize(1_025, ServerInterval { counts, ..ServerInterval::default() });
            },
        ] {
            assert_eq!(broken(change), [true; 2]);
        }
        assert_eq!(broken(|all| all[0].received_bytes = 1), [false, true]);
        assert_eq!(broken(|all| all[0].socket_drops = Some(1)), [true; 2]);
    }
}
