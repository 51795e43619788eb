//! The intervals of the running cell, as they end.

use super::ended::EndedIntervals;
use crate::cli::output::stderr_width;
use crate::document::{Cell, Interval, KernelDrops};
use crate::plan::{Direction, Plan, Route, Scenario};
use crate::report::IntervalFacts;
use crate::report::format::text::style::{
    UNKNOWN, cut_start, display_width, grouped, percent, wrap,
};
use crate::report::format::text::worst_interval::{loss, span};
use crate::run::LiveCell;
use crate::unit::{Nanos, RateUnit, show_nanos, sum_counts};

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

/// Columns that a narrow terminal omits, the least useful first.
const OPTIONAL: [&str; 5] = ["stalls", "lag p99", "received", "lost", "p50"];

/// Minimum width of the column of cell ids. Arbitrary: the ends of most ids differ.
const MIN_ID: usize = 8;

/// The intervals of a run as they end.
pub(crate) struct IntervalProgress<'a> {
    plan: &'a Plan,
    /// Width of the column of cells; `None` without lines.
    id_width: Option<usize>,
    has_header: bool,
    /// Of the running cell, what this host sends, and what it receives from another.
    directions: [DirectionProgress; 2],
}

/// The intervals of one direction that have ended, and the latest one.
struct DirectionProgress {
    ended: EndedIntervals,
    latest: Option<Interval>,
}

impl<'a> IntervalProgress<'a> {
    /// With or without a line for each interval.
    pub(crate) fn new(plan: &'a Plan, has_lines: bool) -> Self {
        let Scenario { route, asking, .. } = &plan.scenario;
        let timeout = asking.as_ref().map_or(Nanos::ZERO, |asking| asking.timeout);
        let both = matches!(route, Route::Reverse | Route::Both);
        let suffix = if both { "/reverse".len() } else { 0 };
        let id_width = plan.cells.iter().map(|cell| display_width(&cell.id) + suffix).max();
        Self {
            plan,
            id_width: id_width.filter(|_| has_lines),
            has_header: false,
            directions: [(); 2].map(|()| DirectionProgress {
                ended: EndedIntervals::new(timeout.clamp(IN_FLIGHT, MOST_IN_FLIGHT)),
                latest: None,
            }),
        }
    }

    pub(crate) fn begin_cell(&mut self) {
        for direction in &mut self.directions {
            direction.ended.restart();
            direction.latest = None;
        }
    }

    /// What the latest intervals show; empty before the first one has ended.
    pub(super) fn summary(&self) -> String {
        let unit = self.unit();
        let latest = self.directions.iter().filter_map(|one| one.latest.as_ref());
        latest.map(|latest| format!(" · {}", summary(latest, unit))).collect()
    }

    /// Reads the intervals that have ended in the cell of this number, by direction; the second one
    /// is empty unless this host also receives from another.
    pub(crate) fn observe(&mut self, cell: usize, live: LiveCell<'_>) -> [Vec<Interval>; 2] {
        let mut new = [Vec::new(), Vec::new()];
        let Some(cell) = self.plan.cells.get(cell) else { return new };
        for live in live.directions() {
            let facts = IntervalFacts::of_running(self.plan, cell).of_direction(live);
            let at = usize::from(live.is_reverse());
            new[at] = self.directions[at].ended.read(facts, live);
            let latest = new[at].last().cloned();
            self.directions[at].latest = latest.or_else(|| self.directions[at].latest.take());
        }
        new
    }

    /// The same as lines, if they are wanted.
    pub(super) fn lines_of_ended(&mut self, cell: usize, live: LiveCell<'_>) -> Vec<String> {
        let [forward, reverse] = self.observe(cell, live);
        let Some(cell) = self.plan.cells.get(cell) else { return Vec::new() };
        let mut lines = self.lines(&cell.id, &forward);
        lines.extend(self.lines(&format!("{}/reverse", cell.id), &reverse));
        lines
    }

    /// Lines for the intervals of a measured cell that had none while it ran.
    pub(super) fn rest(&mut self, cell: &Cell) -> Vec<String> {
        let reverse = cell.direction.as_deref() == Some(Direction::Reverse.word());
        let latest = self.directions[usize::from(reverse)].latest.as_ref();
        let shown = latest.map_or(0, |latest| latest.end_ns);
        let first = cell.intervals.partition_point(|interval| interval.end_ns <= shown);
        self.lines(&cell.id, &cell.intervals[first..])
    }

    fn unit(&self) -> RateUnit {
        RateUnit::of(self.plan.scenario.asking.is_some())
    }

    fn lines(&mut self, id: &str, intervals: &[Interval]) -> Vec<String> {
        let Some(width) = self.id_width.filter(|_| !intervals.is_empty()) else {
            return Vec::new();
        };
        let unit = self.unit();
        let titles = COLUMNS.map(|(title, _)| match (title, unit) {
            ("rate", RateUnit::Requests) => "requests".to_owned(),
            _ => title.to_owned(),
        });
        let terminal = stderr_width();
        let (omitted, width) = fitted(width, terminal);
        let header = (!self.has_header).then(|| line(("cell", width), titles, omitted));
        self.has_header = true;
        let lines = intervals.iter().map(|interval| {
            let line = line((id, width), figures(interval, unit), omitted);
            with_drops(line, drops(interval), terminal)
        });
        header.into_iter().chain(lines).collect()
    }
}

/// The columns to omit, and the width that is left for ids of this width, on a terminal of this
/// width.
fn fitted(id_width: usize, terminal: Option<usize>) -> (&'static [&'static str], usize) {
    let figures = |omitted: &[&str]| -> usize {
        let shown = COLUMNS.iter().filter(|(title, _)| !omitted.contains(title));
        shown.map(|(_, width)| 2 + width).sum()
    };
    let Some(most) = terminal else { return (&[], id_width) };
    let fits = |count: &usize| id_width + figures(&OPTIONAL[..*count]) <= most;
    let omitted = &OPTIONAL[..(0..OPTIONAL.len()).find(fits).unwrap_or(OPTIONAL.len())];
    (omitted, id_width.min(most.saturating_sub(figures(omitted)).max(MIN_ID)))
}

/// A line with drops behind it, or below it if both are wider than the terminal.
fn with_drops(line: String, drops: Option<String>, terminal: Option<usize>) -> String {
    let Some(drops) = drops else { return line };
    match terminal {
        Some(most) if display_width(&line) + 2 + display_width(&drops) > most => {
            let drops = wrap(&drops, most.saturating_sub(4), 0).join("\n    ");
            format!("{line}\n    {drops}")
        }
        _ => format!("{line}  {drops}"),
    }
}

fn line(
    (id, id_width): (&str, usize),
    figures: [String; COLUMNS.len()],
    omitted: &[&str],
) -> String {
    let id = match display_width(id) > id_width {
        true => format!("…{}", cut_start(id, id_width.saturating_sub(1))),
        false => id.to_owned(),
    };
    let mut line = format!("{id:<id_width$}");
    for (figure, (_, width)) in
        figures.iter().zip(COLUMNS).filter(|(_, (title, _))| !omitted.contains(title))
    {
        line += &format!("  {figure:>width$}");
    }
    line
}

/// Marks drops of more datagrams than are lost, as far as that is known: the kernel counts those of
/// all traffic.
pub(crate) fn drops_note(drops: &KernelDrops, lost: Option<u64>) -> &'static str {
    let all = sum_counts(drops.places().into_iter().filter_map(|(_, count)| count));
    // An interface counts drops at a full backlog again, and a veth(4) those at rings.
    let again = sum_counts([drops.backlog, drops.xdp_ring].into_iter().flatten());
    let again = again.min(drops.device.unwrap_or(0));
    if all.saturating_sub(again) > lost.unwrap_or(0) { " (of all traffic)" } else { "" }
}

/// Drops by place, such as `dropped at receive buffer 1,000`; `None` without any, and if nothing is
/// lost: they are those of other traffic.
fn drops(interval: &Interval) -> Option<String> {
    let drops = interval.kernel_drops.filter(|_| interval.lost != Some(0)).unwrap_or_default();
    let (places, note) = (drops.places(), drops_note(&drops, interval.lost));
    let places = places.into_iter().filter_map(|(place, count)| Some((place, count?)));
    let places: Vec<_> = places
        .filter(|(_, count)| *count > 0)
        .map(|(place, count)| format!("{} {}", place.replace('_', " "), grouped(count)))
        .collect();
    (!places.is_empty()).then(|| format!("dropped at {}{note}", places.join(", ")))
}

/// The rate: received, or sent if that is unknown.
fn rate(interval: &Interval, show: fn(f64) -> String) -> Option<String> {
    per_second(interval, interval.received.unwrap_or(interval.sent)).map(show)
}

/// A count of this interval by its width.
pub(crate) fn per_second(interval: &Interval, count: u64) -> Option<f64> {
    let width = Nanos(interval.end_ns.saturating_sub(interval.start_ns)).as_secs_f64();
    (width > 0.0).then(|| count as f64 / width)
}

fn figures(interval: &Interval, unit: RateUnit) -> [String; COLUMNS.len()] {
    let latency = interval.latency.unwrap_or_default();
    let figures = [
        Some(span(interval)),
        rate(interval, unit.show_short()),
        interval.received.map(grouped),
        interval.lost.map(grouped),
        loss(interval).map(percent),
        latency.p50_ns.map(show_nanos),
        latency.p99_ns.map(show_nanos),
        interval.lag_p99_ns.map(show_nanos),
        interval.stalls.map(grouped),
    ];
    figures.map(|figure| figure.unwrap_or_else(|| UNKNOWN.to_owned()))
}

/// Rate, loss, p99 and drops of an interval, as far as they are known.
fn summary(interval: &Interval, unit: RateUnit) -> String {
    let latency = interval.latency.unwrap_or_default();
    let parts = [
        rate(interval, unit.show()),
        loss(interval).map(|share| format!("loss {}", percent(share))),
        latency.p99_ns.map(|ns| format!("p99 {}", show_nanos(ns))),
        drops(interval),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_the_terminal() {
        let ids = ["plain/64/20k", "gso+batch/1472/100k", "gso+batch/1472/burst:32/100k/reverse"];
        for (id, terminal, count) in [
            (ids[0], None, 0),
            (ids[0], Some(140), 0),
            (ids[0], Some(96), 1),
            (ids[0], Some(80), 3),
            (ids[1], Some(80), 4),
            (ids[2], Some(80), 5),
            (ids[2], Some(60), 5),
        ] {
            let (omitted, width) = fitted(id.len(), terminal);
            assert_eq!(omitted, &OPTIONAL[..count], "{id} {terminal:?}");
            let titles = COLUMNS.map(|(title, _)| title.to_owned());
            let line = line((id, width), titles, omitted);
            assert!(display_width(&line) <= terminal.unwrap_or(usize::MAX), "{line}");
            assert!(!omitted.iter().any(|title| line.contains(&format!(" {title}"))), "{line}");
            let end = if terminal == Some(60) { "k/reverse" } else { id };
            assert!(line.contains(end), "{line}");
            let drops = "dropped at receive buffer 1,000, backlog 20".to_owned();
            let line = with_drops(line, Some(drops.clone()), terminal);
            let is_wide = |line: &&str| display_width(line) > terminal.unwrap_or(usize::MAX);
            assert_eq!(line.lines().find(is_wide), None);
            assert!(line.contains(&drops), "{line}");
        }
    }
}
