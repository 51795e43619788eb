//! The intervals of the running cell, as they end.

use super::ended::EndedIntervals;
use crate::document::{Cell, Interval};
use crate::plan::{Direction, Plan, Route, Scenario};
use crate::report::IntervalFacts;
use crate::report::format::text::style::{UNKNOWN, grouped, percent};
use crate::report::format::text::worst_interval::{loss, span};
use crate::run::LiveCell;
use crate::unit::{Nanos, show_nanos, show_pps};

/// Time for datagrams to arrive after the end of an interval, before it is shown. Arbitrary: most
/// paths and queues are shorter.
const IN_FLIGHT: Nanos = Nanos::from_millis(100);

/// The longest wait for the responses to requests. Arbitrary: a line should tell of the present.
const MOST_IN_FLIGHT: Nanos = Nanos::from_millis(2_000);

/// Titles and widths of the columns after the cell: fit `1234.5–1235` seconds and 99,999,999
/// datagrams; longer ones shift the rest of their line.
const COLUMNS: [(&str, usize); 9] = [
    ("seconds", 11),
    ("rate", 9),
    ("received", 10),
    ("lost", 10),
    ("loss", 7),
    ("p50", 7),
    ("p99", 7),
    ("lag p99", 7),
    ("stalls", 6),
];

/// The intervals of a run as they end.
pub(super) struct IntervalProgress<'a> {
    plan: &'a Plan,
    /// Width of the column of cells; `None` without lines.
    id_width: Option<usize>,
    has_header: bool,
    ended: EndedIntervals,
    /// The latest one read of the running cell.
    pub(super) latest: Option<Interval>,
}

impl<'a> IntervalProgress<'a> {
    /// With or without a line for each interval.
    pub(super) fn new(plan: &'a Plan, has_lines: bool) -> Self {
        let Scenario { route, asking, .. } = &plan.scenario;
        let timeout = asking.as_ref().map_or(Nanos::ZERO, |asking| asking.timeout);
        let both = matches!(route, Route::Reverse | Route::Both);
        let suffix = if both { "/reverse".len() } else { 0 };
        let id_width = plan.cells.iter().map(|cell| cell.id.chars().count() + suffix).max();
        Self {
            plan,
            id_width: id_width.filter(|_| has_lines),
            has_header: false,
            ended: EndedIntervals::new(timeout.clamp(IN_FLIGHT, MOST_IN_FLIGHT)),
            latest: None,
        }
    }

    pub(super) fn begin_cell(&mut self) {
        self.ended.restart();
        self.latest = None;
    }

    /// Reads what has ended in the cell of this number; returns the lines to print.
    pub(super) fn observe(&mut self, cell: usize, live: LiveCell<'_>) -> Vec<String> {
        let Some(cell) = self.plan.cells.get(cell) else { return Vec::new() };
        let new = self.ended.read(IntervalFacts::of_running(self.plan, cell), live);
        let lines = self.lines(&cell.id, &new);
        self.latest = new.into_iter().last().or_else(|| self.latest.take());
        lines
    }

    /// Lines for the intervals of a measured cell that had none while it ran.
    pub(super) fn rest(&mut self, cell: &Cell) -> Vec<String> {
        let reverse = cell.direction.as_deref() == Some(Direction::Reverse.word());
        // Only the other direction has been observed.
        let shown = self.latest.as_ref().filter(|_| !reverse).map_or(0, |latest| latest.end_ns);
        let first = cell.intervals.partition_point(|interval| interval.end_ns <= shown);
        self.lines(&cell.id, &cell.intervals[first..])
    }

    fn lines(&mut self, id: &str, intervals: &[Interval]) -> Vec<String> {
        let Some(width) = self.id_width.filter(|_| !intervals.is_empty()) else {
            return Vec::new();
        };
        let titles = COLUMNS.map(|(title, _)| title.to_owned());
        let header = (!self.has_header).then(|| line("cell", width, titles));
        self.has_header = true;
        let lines = intervals.iter().map(|interval| line(id, width, figures(interval)));
        header.into_iter().chain(lines).collect()
    }
}

fn line(id: &str, id_width: usize, figures: [String; COLUMNS.len()]) -> String {
    let mut line = format!("{id:<id_width$}");
    for (figure, (_, width)) in figures.iter().zip(COLUMNS) {
        line += &format!("  {figure:>width$}");
    }
    line
}

/// Datagrams per second: received, or sent if that is unknown.
fn rate(interval: &Interval) -> Option<String> {
    let width = Nanos(interval.end_ns.saturating_sub(interval.start_ns)).as_secs_f64();
    let count = interval.received.unwrap_or(interval.sent);
    (width > 0.0).then(|| show_pps(count as f64 / width))
}

fn figures(interval: &Interval) -> [String; COLUMNS.len()] {
    let latency = interval.latency.unwrap_or_default();
    let figures = [
        Some(span(interval)),
        rate(interval),
        interval.received.map(grouped),
        interval.lost.map(grouped),
        loss(interval).map(percent),
        latency.p50_ns.map(show_nanos),
        latency.p99_ns.map(show_nanos),
        interval.lag_p99_ns.map(show_nanos),
        Some(grouped(interval.stalls)),
    ];
    figures.map(|figure| figure.unwrap_or_else(|| UNKNOWN.to_owned()))
}

/// Rate, loss and p99 of an interval, as far as they are known.
pub(super) fn summary(interval: &Interval) -> String {
    let latency = interval.latency.unwrap_or_default();
    let parts = [
        rate(interval),
        loss(interval).map(|share| format!("loss {}", percent(share))),
        latency.p99_ns.map(|ns| format!("p99 {}", show_nanos(ns))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
