//! Totals of a run so far, and their text: OpenMetrics 1.0, "Text Format", and the
//! older format of Prometheus.
//!
//! The text is small. The crate prometheus-client would bring more crates and a derive macro, and
//! its counters cannot be set, which is needed where the result of a cell replaces live counts.

use std::collections::BTreeMap;
use std::fmt::Write;

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

/// Name, type, unit and description of each metric. As the contract has them.
const FAMILIES: [(Family, &str, &str, &str, &str); 5] = [
    (
        Family::Datagrams,
        "udperf_datagrams",
        "counter",
        "",
        "Datagrams or requests by outcome; lost counts when a cell has ended.",
    ),
    (
        Family::Dropped,
        "udperf_dropped_datagrams",
        "counter",
        "",
        "Lost datagrams by place; count when a cell has ended.",
    ),
    (
        Family::Latency,
        "udperf_latency_seconds",
        "histogram",
        "seconds",
        "Latency from the schedule.",
    ),
    (
        Family::Lag,
        "udperf_schedule_lag_seconds",
        "histogram",
        "seconds",
        "From the due time to the send.",
    ),
    (
        Family::Stalls,
        "udperf_stalls_seconds",
        "counter",
        "seconds",
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

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, version 0.0.4, which `promtool check metrics` reads.
    Prometheus,
}

impl TextFormat {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The place of a sample in the text: its metric, its rank there, and its suffix and labels.
type Key = (Family, usize, String);

/// Counters by sample; those of metrics with a unit are in ns. What is not known is not there.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunTotals(BTreeMap<Key, u64>);

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
        totals.count(Family::Stalls, 0, "_total", (tx.stalled + rx.stalled).0);
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
        totals.count(Family::Stalls, 0, "_total", stalled_ns);
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

    fn count(&mut self, family: Family, rank: usize, labels: impl Into<String>, count: u64) {
        let sum = self.0.entry((family, rank, labels.into())).or_default();
        *sum = sum.saturating_add(count);
    }

    fn datagrams<const N: usize>(&mut self, direction: &str, by: [(&str, Option<u64>); N]) {
        self.datagrams_of(None, direction, by);
    }

    fn datagrams_of<const N: usize>(
        &mut self,
        client: Option<&str>,
        direction: &str,
        by: [(&str, Option<u64>); N],
    ) {
        let client = client.map_or_else(String::new, |client| format!(",client=\"{client}\""));
        for (outcome, count) in by {
            let labels =
                format!("_total{{direction=\"{direction}\",outcome=\"{outcome}\"{client}}}");
            if let Some(count) = count {
                self.count(Family::Datagrams, 0, labels, count);
            }
        }
    }

    fn dropped(&mut self, place: &str, count: u64) {
        self.count(Family::Dropped, 0, format!("_total{{place=\"{place}\"}}"), count);
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
        let bounds = BOUNDS_NS.iter().map(|bound_ns| seconds(*bound_ns)).chain(["+Inf".to_owned()]);
        let mut below = 0;
        for (rank, (bound, count)) in bounds.zip(counts).enumerate() {
            below += count;
            self.count(family, rank, format!("_bucket{{le=\"{bound}\"}}"), below);
        }
        self.count(family, BOUNDS_NS.len() + 1, "_count", below);
        self.count(family, BOUNDS_NS.len() + 2, "_sum", sum_ns);
    }

    /// Adds those of another cell.
    pub(crate) fn merge(&mut self, other: &Self) {
        for ((family, rank, labels), count) in &other.0 {
            self.count(*family, *rank, labels.as_str(), *count);
        }
    }

    /// Takes what is larger there: counters of a scraper must not fall where a cell's result is a
    /// little less than what was counted while it ran, as after a correction of clocks.
    pub(super) fn raise_to(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            let own = self.0.entry(key.clone()).or_default();
            *own = (*own).max(*count);
        }
    }

    /// The text of all metrics.
    pub(super) fn text(&self, format: TextFormat) -> String {
        let is_open = format == TextFormat::OpenMetrics;
        let mut text = String::new();
        // Writing to a string does not fail. The older format names samples, not metrics.
        let head = |text: &mut String, name: &str, kind: &str, unit: &str, help: &str| {
            let (name, kind) = match kind {
                "info" if !is_open => (format!("{name}_info"), "gauge"),
                "counter" if !is_open => (format!("{name}_total"), kind),
                _ => (name.to_owned(), kind),
            };
            let _ = writeln!(text, "# TYPE {name} {kind}");
            if is_open && !unit.is_empty() {
                let _ = writeln!(text, "# UNIT {name} {unit}");
            }
            let _ = writeln!(text, "# HELP {name} {help}");
        };
        head(&mut text, "udperf_build", "info", "", "The program.");
        let version = env!("CARGO_PKG_VERSION");
        let git = option_env!("UDPERF_GIT").unwrap_or_default();
        let _ = writeln!(text, "udperf_build_info{{version=\"{version}\",git=\"{git}\"}} 1");
        for (family, name, kind, unit, help) in FAMILIES {
            let is_of = |((of, ..), _): &(&Key, &u64)| *of == family;
            let mut samples = self.0.iter().filter(is_of).peekable();
            if samples.peek().is_none() {
                continue;
            }
            head(&mut text, name, kind, unit, help);
            for ((_, _, labels), count) in samples {
                let is_time = !unit.is_empty() && (labels == "_sum" || kind == "counter");
                let value = if is_time { seconds(*count) } else { count.to_string() };
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        }
        if is_open {
            text += "# EOF\n";
        }
        text
    }
}

/// Nanoseconds as exact seconds.
fn seconds(ns: u64) -> String {
    let text = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

#[cfg(test)]
mod tests;
