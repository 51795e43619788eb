//! Cells over time: rate, loss and p99 of each interval, a chart a cell.

use std::time::Duration;

use super::curves::decade;
use super::{Chart, Frame};
use crate::document::{Cell, Interval, Report};
use crate::report::format::text::measured;
use crate::report::format::text::style::percent;
use crate::unit::{show_nanos, show_pps};

/// The most intervals of which each has a dot with its figures for the pointer. Arbitrary: the dots
/// of more would cover the line, and make the page large.
const MOST_DOTS: usize = 120;

/// Time between two labels in s, if it is a second or more; the unit of the next label stays whole.
const STEPS_S: [u64; 15] =
    [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400];

/// The most labels of time, beside 0. Arbitrary: they do not touch.
const MOST_LABELS: u64 = 5;

/// The top of a scale of loss, at least: arbitrary, so that the axis has a length without loss.
const LEAST_LOSS: f64 = 0.001;

/// A chart for each cell with intervals: those with most loss first, then those with the highest
/// p99.
pub(super) fn charts(report: &Report) -> Vec<Chart> {
    let mut cells: Vec<_> = measured(report).filter(|cell| end_ns(cell) > 0).collect();
    let p99_ns = |cell: &Cell| cell.latency.as_ref().and_then(|latency| latency.p99_ns);
    let loss = |cell: &Cell| share(cell.ledger.lost, cell.ledger.sent).unwrap_or(0.0);
    cells.sort_by(|one, other| {
        loss(other).total_cmp(&loss(one)).then_with(|| p99_ns(other).cmp(&p99_ns(one)))
    });
    cells.into_iter().map(chart).collect()
}

/// The end of the last interval, 0 without one.
fn end_ns(cell: &Cell) -> u64 {
    cell.intervals.iter().map(|interval| interval.end_ns).max().unwrap_or(0)
}

fn share(part: Option<u64>, whole: u64) -> Option<f64> {
    part.filter(|_| whole > 0).map(|part| part as f64 / whole as f64)
}

fn length_ns(interval: &Interval) -> u64 {
    interval.end_ns.saturating_sub(interval.start_ns)
}

/// A figure of each interval, to be drawn as one panel.
struct Panel {
    label: &'static str,
    /// By interval; `None` if it is unknown.
    values: Vec<Option<f64>>,
    /// The value as text.
    show: fn(f64) -> String,
    /// At the lower and upper edge.
    range: (f64, f64),
    ticks: Vec<(f64, String)>,
}

impl Panel {
    /// From 0 to the highest value, or to `least`.
    fn from_zero(
        label: &'static str,
        values: Vec<Option<f64>>,
        show: fn(f64) -> String,
        least: f64,
    ) -> Self {
        let top = values.iter().flatten().copied().fold(least, f64::max);
        let ticks = vec![(0.0, "0".to_owned()), (top, show(top))];
        // A line that touches the edge is hard to see. Arbitrary: a tenth.
        Self { label, values, show, range: (0.0, top * 1.1), ticks }
    }

    /// A logarithmic scale of whole decades; the values are ns.
    fn of_latency(values: impl Iterator<Item = Option<u64>>) -> Self {
        let power = |ns: Option<u64>| ns.map(|ns| (ns.max(1) as f64).log10());
        let values: Vec<_> = values.map(power).collect();
        let known = || values.iter().flatten().copied();
        let low = known().fold(f64::INFINITY, f64::min).floor();
        let high = known().fold(f64::NEG_INFINITY, f64::max).ceil().max(low + 1.0);
        let (first, last) = (low as u32, high as u32);
        // Arbitrary: as many as a panel is high for.
        let step = (last - first).div_ceil(3).max(1) as usize;
        let ticks = (first..=last).step_by(step).map(|power| (f64::from(power), decade(power)));
        let show = |power: f64| show_nanos(10_f64.powf(power).round() as u64);
        Self { label: "p99 latency", ticks: ticks.collect(), range: (low, high), show, values }
    }
}

/// What is known of the cell: at least how much was sent.
fn panels(cell: &Cell) -> Vec<Panel> {
    let all = &cell.intervals;
    let rate = |of: fn(&Interval) -> Option<u64>| -> Vec<_> {
        let rate = |one: &Interval| share(of(one), length_ns(one)).map(|per_ns| per_ns * 1e9);
        all.iter().map(rate).collect()
    };
    let (received, lost) = match cell.exchange.is_some() {
        true => ("answered per second", "not answered"),
        false => ("received per second", "lost"),
    };
    let loss: Vec<_> = all.iter().map(|one| share(one.lost, one.sent)).collect();
    let p99 = Panel::of_latency(all.iter().map(|one| one.latency?.p99_ns));
    let rate_panel = |label, values| Panel::from_zero(label, values, show_pps, 1.0);
    let mut panels = vec![
        rate_panel(received, rate(|one| one.received)),
        Panel::from_zero(lost, loss, percent, LEAST_LOSS),
        p99,
    ];
    panels.retain(|panel| panel.values.iter().any(Option::is_some));
    if panels.is_empty() {
        panels.push(rate_panel("sent per second", rate(|one| Some(one.sent))));
    }
    panels
}

fn chart(cell: &Cell) -> Chart {
    let trial = if cell.trial > 0 { format!(" trial {}", cell.trial) } else { String::new() };
    let width = cell.intervals.first().map_or(0, length_ns);
    let caption = format!("{} intervals of {}", cell.intervals.len(), duration(width));
    let mut chart = Chart::of_panels(cell.id.clone() + &trial, caption);
    let panels = panels(cell);
    let last = panels.len() - 1;
    for (at, panel) in panels.iter().enumerate() {
        chart = draw(chart, cell, panel, at == last);
    }
    chart
}

fn draw(chart: Chart, cell: &Cell, panel: &Panel, is_last: bool) -> Chart {
    let end = end_ns(cell);
    let frame = Frame { x: (0.0, end as f64), y: panel.range };
    let label = |ns: u64| if is_last { duration(ns) } else { String::new() };
    let times = times(end).into_iter().map(|ns| (ns as f64, label(ns)));
    let stalls = cell.intervals.iter().filter(|one| one.stalls > 0).map(|one| {
        let part = share(Some(one.stalled_ns), length_ns(one)).unwrap_or(1.0);
        let label =
            format!("{}: stalled {}× ({})", span(one), one.stalls, show_nanos(one.stalled_ns));
        ((one.start_ns as f64, one.end_ns as f64), part, label)
    });
    let mut chart = chart
        .panel(frame, panel.label)
        .x_ticks(times)
        .y_ticks(panel.ticks.iter().cloned())
        .shades(stalls);
    let middle = |one: &Interval| one.start_ns as f64 + length_ns(one) as f64 / 2.0;
    let points: Vec<_> = cell.intervals.iter().zip(panel.values.iter().copied()).collect();
    // A line ends where a value is unknown.
    for known in points.chunk_by(|one, next| one.1.is_some() == next.1.is_some()) {
        let line = known.iter().filter_map(|(one, value)| Some((middle(one), (*value)?)));
        let is_dotted = points.len() <= MOST_DOTS || known.len() == 1;
        let dots = known.iter().filter(|_| is_dotted).filter_map(|(one, value)| {
            let value = (*value)?;
            let shown = format!("{}: {}", span(one), (panel.show)(value));
            Some((middle(one), value, shown))
        });
        if known.iter().any(|(_, value)| value.is_some()) {
            chart = chart.line(line);
        }
        chart = chart.dots(dots);
    }
    chart
}

/// `12 s–13 s`
fn span(interval: &Interval) -> String {
    format!("{}–{}", duration(interval.start_ns), duration(interval.end_ns))
}

/// `500 ms`, `1.5 s`, `1h 30m`, in whole ms: as exact as the widths of intervals.
fn duration(ns: u64) -> String {
    let millis = ns / 1_000_000;
    match millis {
        1..1_000 => format!("{millis} ms"),
        0 | 1_000..60_000 => format!("{} s", millis as f64 / 1e3),
        _ => humantime::format_duration(Duration::from_millis(millis)).to_string(),
    }
}

/// The times that have a label, from 0 to at most this end.
fn times(end_ns: u64) -> Vec<u64> {
    let of_millis = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    let below_s = of_millis.map(|ms| ms * 1_000_000).take_while(|ns| *ns < 1_000_000_000);
    let from_s = STEPS_S.iter().map(|s| s * 1_000_000_000);
    let longest = STEPS_S[STEPS_S.len() - 1] * 1_000_000_000;
    let longer = std::iter::successors(Some(longest), |ns| ns.checked_mul(2));
    let fits = |step: &u64| end_ns / step <= MOST_LABELS;
    let step = below_s.chain(from_s).chain(longer).find(fits).unwrap_or(u64::MAX);
    (0..=end_ns / step).map(|at| at * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::IntervalLatency;
    use crate::report::fixture;

    /// A cell with this number of intervals of 100 ms, and loss in one of them.
    fn cell(rate: &str, intervals: u64, lost: u64) -> Cell {
        let interval = |at: u64| {
            let lost = if at == 1 { lost } else { 0 };
            let p99_ns = Some(9_000 * (at + 1));
            Interval {
                start_ns: at * 100_000_000,
                end_ns: (at + 1) * 100_000_000,
                sent: 1_000,
                received: Some(1_000 - lost),
                lost: Some(lost),
                latency: Some(IntervalLatency { p99_ns, ..IntervalLatency::default() }),
                stalls: u64::from(at == 2),
                stalled_ns: if at == 2 { 50_000_000 } else { 0 },
                ..Interval::default()
            }
        };
        let mut cell = fixture::cell("plain", 64, rate, 1e5);
        fixture::lose(&mut cell, lost);
        cell.intervals = (0..intervals).map(interval).collect();
        cell
    }

    /// The points of each line.
    fn points(chart: &Chart) -> Vec<usize> {
        let figure = chart.figure();
        let lines = figure.split(" points=\"").skip(1);
        lines.map(|line| line.split('"').next().unwrap().split(' ').count()).collect()
    }

    #[test]
    fn each_interval_is_a_point_of_each_line() {
        for intervals in [1, 5, 1_024] {
            let chart = chart(&cell("1k", intervals, 400));
            assert_eq!(points(&chart), [intervals as usize; 3]);
            let figure = chart.figure();
            let dots = if intervals as usize <= MOST_DOTS { 3 * intervals as usize } else { 0 };
            assert_eq!(figure.matches("<circle").count(), dots, "{intervals}");
            assert_eq!(figure.matches("<rect").count(), if intervals > 2 { 3 } else { 0 });
        }
        let figure = chart(&cell("1k", 5, 400)).figure();
        for shown in [
            "<b>plain/64/1k</b> 5 intervals of 100 ms",
            "<title>100 ms–200 ms: 6.00 kpps</title>",
            "<title>100 ms–200 ms: 40.0%</title>",
            "<title>400 ms–500 ms: 45.0 µs</title>",
            "<title>200 ms–300 ms: stalled 1× (50.0 ms)</title>",
            "fill-opacity=\"0.25\"",
        ] {
            assert!(figure.contains(shown), "{shown}: {figure}");
        }
    }

    #[test]
    fn unknown_values_interrupt_the_line() {
        let mut cell = cell("1k", 6, 0);
        cell.intervals[1].latency = None;
        let latency = cell.intervals[4].latency.as_mut().unwrap();
        latency.p99_ns = None;
        assert_eq!(points(&chart(&cell)), [6, 6, 1, 2, 1]);
        for one in &mut cell.intervals {
            (one.received, one.lost, one.latency) = (None, None, None);
        }
        let sent = chart(&cell);
        assert_eq!(points(&sent), [6]);
        assert!(sent.figure().contains(">sent per second<"));
    }

    #[test]
    fn the_worst_cells_come_first() {
        let mut cells = ["1k", "2k", "3k", "4k"].map(|rate| cell(rate, 3, 0)).to_vec();
        cells[3] = cell("4k", 3, 20);
        cells[2].latency.as_mut().unwrap().p99_ns = Some(80_000_000);
        cells[0].intervals.clear();
        let charts = charts(&fixture::report_of(cells));
        let titles: Vec<_> = charts.iter().map(|chart| chart.title.as_str()).collect();
        assert_eq!(titles, ["plain/64/4k", "plain/64/3k", "plain/64/2k"]);
    }

    #[test]
    fn labels_of_time_are_few_and_whole() {
        let last = |ns: u64| times(ns).pop().unwrap();
        let second = 1_000_000_000;
        for (end_ns, labels, end) in [
            (500_000_000, 6, 500_000_000),
            (60_000_000, 4, 60_000_000),
            (10 * second, 6, 10 * second),
            (60 * second, 4, 60 * second),
            (3_600 * second, 4, 3_600 * second),
            (86_400 * second, 4, 86_400 * second),
        ] {
            assert_eq!((times(end_ns).len(), last(end_ns)), (labels, end), "{end_ns}");
        }
        assert!(times(u64::MAX).len() <= 6);
        assert_eq!(times(1), [0]);
        let millis = [0, 1, 999, 1_500, 59_000, 5_400_000].map(|ms| duration(ms * 1_000_000));
        assert_eq!(millis, ["0 s", "1 ms", "999 ms", "1.5 s", "59 s", "1h 30m"]);
    }
}
