//! Totals of a run so far, which prometheus-client writes as text.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::document::Cell;
use crate::measure::{
    CellResult, ClientStats, IntervalCounts, IntervalSeries, LatencyHistograms, Snapshot,
};
use crate::remote::sink::ClientCounts;
use crate::report::IntervalFacts;
use crate::run::LiveCell;

/// A metric, in the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Datagrams,
    Dropped,
    Latency,
    Lag,
    Stalls,
}

/// Name without unit, type, unit and description of each metric. As the contract has them.
static FAMILIES: [(Family, &str, MetricType, Option<Unit>, &str); 5] = [
    (
        Family::Datagrams,
        "udperf_datagrams",
        MetricType::Counter,
        None,
        "Datagrams or requests by outcome; lost counts when a cell has ended.",
    ),
    (
        Family::Dropped,
        "udperf_dropped_datagrams",
        MetricType::Counter,
        None,
        "Lost datagrams by place; count when a cell has ended.",
    ),
    (
        Family::Latency,
        "udperf_latency",
        MetricType::Histogram,
        Some(Unit::Seconds),
        "Latency from the schedule.",
    ),
    (
        Family::Lag,
        "udperf_schedule_lag",
        MetricType::Histogram,
        Some(Unit::Seconds),
        "From the due time to the send.",
    ),
    (
        Family::Stalls,
        "udperf_stalls",
        MetricType::Counter,
        Some(Unit::Seconds),
        "Stalls of workers of more than 1 ms.",
    ),
];

/// Upper bounds of the buckets of histograms in ns. Arbitrary: 1 µs to 10 s in steps of 2 or 5.
const BOUNDS_NS: [u64; 15] = [
    1_000,
    5_000,
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Labels and their values, in the order of the text.
type Labels = Vec<(&'static str, String)>;

/// A count, or of a histogram how many values are up to each of `BOUNDS_NS`, how many there are,
/// and their sum. Times are in ns.
type Values = Vec<u64>;

/// What was counted by metric and labels. Unknown counts are absent.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunTotals(BTreeMap<(Family, Labels), Values>);

impl RunTotals {
    /// Of a running cell with these counts of senders and receivers. Places of drops follow when
    /// the cell has ended: until then, the counters are those of all traffic.
    pub(super) fn of_running(
        facts: IntervalFacts,
        live: LiveCell<'_>,
        [tx, rx]: &[IntervalCounts; 2],
    ) -> Self {
        let mut totals = Self::default();
        let both = |count| facts.both.then_some(count);
        let sends = !live.is_reverse();
        totals.datagrams(
            if sends { "forward" } else { "reverse" },
            [
                ("sent", sends.then_some(tx.sent)),
                ("refused", sends.then_some(tx.refused)),
                ("missed", facts.paced.then_some(tx.missed)),
                ("received", both(rx.received)),
                ("lost", None),
                ("duplicate", both(rx.duplicate)),
                ("late", both(rx.late)),
                ("reordered", both(rx.reordered)),
            ],
        );
        if facts.both && !facts.is_mixed_up {
            totals.histogram(Family::Latency, rx.latency.iter());
        }
        if facts.paced {
            totals.histogram(Family::Lag, tx.latency.iter());
        }
        totals.count(Family::Stalls, Vec::new(), (tx.stalled + rx.stalled).0);
        totals
    }

    /// Of a measured cell.
    pub(super) fn of_cell(cell: &Cell, result: &CellResult) -> Self {
        let mut totals = Self::default();
        let ledger = &cell.ledger;
        totals.datagrams(
            cell.direction.as_deref().unwrap_or("forward"),
            [
                ("sent", Some(ledger.sent)),
                ("refused", Some(ledger.attempted.saturating_sub(ledger.sent))),
                ("missed", cell.schedule.as_ref().map(|schedule| schedule.missed)),
                ("received", ledger.received),
                ("lost", ledger.lost),
                ("duplicate", ledger.duplicate),
                ("late", ledger.late),
                ("reordered", ledger.reordered),
            ],
        );
        let places =
            ledger.lost_at.places().into_iter().chain([("unaccounted", ledger.unaccounted)]);
        for (place, count) in places {
            if let Some(count) = count {
                totals.dropped(place, count);
            }
        }
        if cell.latency.is_some() {
            let all = &result.rx.latency.from_schedule;
            totals.latencies(Family::Latency, &result.rx.intervals, all);
        }
        if let Some(timing) = &result.tx.timing {
            totals.latencies(Family::Lag, &result.tx.intervals, &timing.lag);
        }
        let stalls = &cell.stalls;
        let stalled_ns = stalls.tx.total_ns + stalls.rx.map_or(0, |stalls| stalls.total_ns);
        totals.count(Family::Stalls, Vec::new(), stalled_ns);
        totals
    }

    /// Of a client of a sink that has left, with its label if clients have any.
    pub(crate) fn of_client(client: &ClientStats, label: Option<&str>) -> Self {
        let mut totals = Self::default();
        let rx = &client.rx;
        let received = [
            ("received", Some(rx.received)),
            ("lost", Some(client.known_lost)),
            ("duplicate", Some(rx.duplicate)),
            ("late", Some(rx.late)),
        ];
        totals.datagrams_of(label, "forward", received);
        totals.datagrams_of(label, "reverse", [("sent", Some(client.sent))]);
        totals
    }

    /// Of a client that is at a sink, with its label if clients have any.
    pub(crate) fn of_present(client: &ClientCounts, label: Option<&str>) -> Self {
        let mut totals = Self::default();
        let counts = [("received", Some(client.received)), ("lost", Some(client.lost))];
        totals.datagrams_of(label, "forward", counts);
        totals.datagrams_of(label, "reverse", [("sent", Some(client.sent))]);
        totals
    }

    /// Of what came to a sink outside sessions.
    pub(crate) fn of_unsolicited(traffic: &Snapshot) -> Self {
        let mut totals = Self::default();
        totals.datagrams("forward", [("unsolicited", Some(traffic.totals.datagrams))]);
        totals.dropped("receive_buffer", traffic.drops);
        totals
    }

    /// Of what an echo server received.
    pub(crate) fn of_echo(received: u64) -> Self {
        let mut totals = Self::default();
        totals.received_from(None, received);
        totals
    }

    /// Adds what came from the clients of this label.
    pub(super) fn received_from(&mut self, label: Option<&str>, received: u64) {
        self.datagrams_of(label, "forward", [("received", Some(received))]);
    }

    fn count(&mut self, family: Family, labels: Labels, count: u64) {
        self.combine((family, labels), &[count], u64::saturating_add);
    }

    fn combine(&mut self, key: (Family, Labels), values: &[u64], of: fn(u64, u64) -> u64) {
        let own = self.0.entry(key).or_insert_with(|| vec![0; values.len()]);
        own.iter_mut().zip(values).for_each(|(own, value)| *own = of(*own, *value));
    }

    fn datagrams<const N: usize>(&mut self, direction: &str, by: [(&'static str, Option<u64>); N]) {
        self.datagrams_of(None, direction, by);
    }

    fn datagrams_of<const N: usize>(
        &mut self,
        client: Option<&str>,
        direction: &str,
        by: [(&'static str, Option<u64>); N],
    ) {
        for (outcome, count) in by {
            let Some(count) = count else { continue };
            let mut labels = labels([("direction", direction), ("outcome", outcome)]);
            labels.extend(client.map(|client| ("client", client.to_owned())));
            self.count(Family::Datagrams, labels, count);
        }
    }

    fn dropped(&mut self, place: &str, count: u64) {
        self.count(Family::Dropped, labels([("place", place)]), count);
    }

    /// Latencies by interval, as they were counted while the cell ran; without intervals, all.
    fn latencies(&mut self, family: Family, by_interval: &IntervalSeries, all: &LatencyHistograms) {
        let values: Vec<_> = if by_interval.is_empty() {
            let values = all.histogram().iter_recorded();
            values.map(|one| (one.value_iterated_to(), one.count_at_value())).collect()
        } else {
            by_interval.iter().flat_map(|(_, counts)| counts.latency.iter()).collect()
        };
        self.histogram(family, values.into_iter());
    }

    /// Adds values in ns, and how many there are of each.
    fn histogram(&mut self, family: Family, values: impl Iterator<Item = (u64, u64)>) {
        let (mut counts, mut sum_ns) = ([0_u64; BOUNDS_NS.len() + 1], 0_u64);
        for (ns, count) in values {
            counts[BOUNDS_NS.partition_point(|bound| *bound < ns)] += count;
            sum_ns = sum_ns.saturating_add(ns.saturating_mul(count));
        }
        let mut up_to = 0;
        let mut values = Vec::from(counts.map(|count| {
            up_to += count;
            up_to
        }));
        values.push(sum_ns);
        self.combine((family, Vec::new()), &values, u64::saturating_add);
    }

    /// Adds those of another cell.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (key, values) in &other.0 {
            self.combine(key.clone(), values, u64::saturating_add);
        }
    }

    /// Takes what is larger there: counters of a scraper must not fall where a cell's result is a
    /// little less than what was counted while it ran, as after a correction of clocks.
    pub(super) fn raise_to(&mut self, other: &Self) {
        for (key, values) in &other.0 {
            self.combine(key.clone(), values, u64::max);
        }
    }
}

impl Collector for RunTotals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (family, name, kind, unit, help) in &FAMILIES {
            let is_of = |((of, _), _): &(&(Family, Labels), &Values)| of == family;
            let mut samples = self.0.iter().filter(is_of).peekable();
            if samples.peek().is_none() {
                continue;
            }
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), *kind)?;
            for ((_, labels), values) in samples {
                let mut sample = metric.encode_family(labels)?;
                match (&values[..], unit) {
                    ([count], None) => sample.encode_counter::<NoLabelSet, _, f64>(count, None)?,
                    ([ns], Some(_)) => {
                        sample.encode_counter::<NoLabelSet, _, f64>(&seconds(*ns), None)?;
                    }
                    ([up_to @ .., sum_ns], _) => {
                        let all = up_to.last().copied().unwrap_or_default();
                        let buckets: Vec<_> = buckets(up_to).collect();
                        sample.encode_histogram::<NoLabelSet>(
                            seconds(*sum_ns),
                            all,
                            &buckets,
                            None,
                        )?;
                    }
                    ([], _) => {}
                }
            }
        }
        Ok(())
    }
}

/// Upper bounds in seconds, and how many values are between each and the one before.
fn buckets(up_to: &[u64]) -> impl Iterator<Item = (f64, u64)> {
    let bounds = BOUNDS_NS.iter().map(|ns| seconds(*ns)).chain([f64::INFINITY]);
    let before = [0].into_iter().chain(up_to.iter().copied());
    bounds.zip(up_to.iter().zip(before).map(|(up_to, before)| up_to - before))
}

fn labels<const N: usize>(of: [(&'static str, &str); N]) -> Labels {
    of.map(|(name, value)| (name, value.to_owned())).into()
}

/// Exact to the nanosecond up to 100 days.
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
pub(super) mod tests;
