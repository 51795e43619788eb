//! Charts over time: a figure of each interval in each panel; of cells, rate, loss and latency.

use std::collections::BTreeMap;
use std::time::Duration;

use super::curves::decade;
use super::detail::{Detail, UNFOLDED};
use super::{Chart, Frame, HeatCell, PANEL, Tone, Value};
use crate::document::{Cell, Interval, Report};
use crate::report::format::text::measured;
use crate::report::format::text::style::{counted, percent};
use crate::unit::{RateUnit, show_nanos, sum_counts};

/// The height of a panel with a heat map. Arbitrary: three decades of latency can be told apart.
const MAP: f64 = 96.0;

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
    let mut cells: Vec<_> = measured(report).filter(|cell| end_ns(&cell.intervals) > 0).collect();
    let p99_ns = |cell: &Cell| cell.latency.as_ref().and_then(|latency| latency.p99_ns);
    let loss = |cell: &Cell| share(cell.ledger.lost, cell.ledger.sent).unwrap_or(0.0);
    cells.sort_by(|one, other| {
        loss(other).total_cmp(&loss(one)).then_with(|| p99_ns(other).cmp(&p99_ns(one)))
    });
    let detail = |at: usize| if at < UNFOLDED { Detail::FULL } else { Detail::FOLDED };
    let charts = cells.into_iter().enumerate();
    charts.map(|(at, cell)| cell_chart(cell, detail(at))).collect()
}

/// The end of the last interval, 0 without one.
fn end_ns(intervals: &[Interval]) -> u64 {
    intervals.iter().map(|interval| interval.end_ns).max().unwrap_or(0)
}

pub(super) fn share(part: Option<u64>, whole: u64) -> Option<f64> {
    part.filter(|_| whole > 0).map(|part| part as f64 / whole as f64)
}

fn length_ns(interval: &Interval) -> u64 {
    interval.end_ns.saturating_sub(interval.start_ns)
}

/// A figure of each interval, to be drawn as one panel.
pub(super) struct Panel {
    label: &'static str,
    /// By interval; `None` if it is unknown.
    values: Vec<Option<f64>>,
    /// The value as text.
    show: fn(f64) -> String,
    /// At the lower and upper edge.
    range: (f64, f64),
    ticks: Vec<(f64, String)>,
    /// Behind the line.
    map: Vec<HeatCell>,
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
        // Arbitrary: a tenth, so that no line touches the edge.
        Self { label, values, show, range: (0.0, top * 1.1), ticks, map: Vec::new() }
    }

    /// A rate, from the counts of these intervals.
    pub(super) fn of_rate(
        (label, unit): (&'static str, RateUnit),
        intervals: &[Interval],
        counts: impl Iterator<Item = Option<u64>>,
    ) -> Self {
        let rate = |(one, count): (&Interval, _)| Some(share(count, length_ns(one))? * 1e9);
        let rates = intervals.iter().zip(counts).map(rate).collect();
        Self { show: unit.show(), ..Self::from_zero(label, rates, unit.show_short(), 1.0) }
    }

    /// Shares of datagrams.
    pub(super) fn of_loss(label: &'static str, shares: impl Iterator<Item = Option<f64>>) -> Self {
        Self::from_zero(label, shares.collect(), percent, LEAST_LOSS)
    }

    /// Whether anything is known.
    pub(super) fn is_known(&self) -> bool {
        !self.map.is_empty() || self.values.iter().any(Option::is_some)
    }

    /// A logarithmic scale of whole decades; the values are ns.
    fn of_latency(values: impl Iterator<Item = Option<u64>>, map: Vec<HeatCell>) -> Self {
        let power = |ns: Option<u64>| ns.map(|ns| (ns.max(1) as f64).log10());
        let values: Vec<_> = values.map(power).collect();
        let of_map = map.iter().flat_map(|cell| [cell.y.0, cell.y.1]);
        let known = || values.iter().flatten().copied().chain(of_map.clone());
        let low = known().fold(f64::INFINITY, f64::min).floor();
        let high = known().fold(f64::NEG_INFINITY, f64::max).ceil().max(low + 1.0);
        let (first, last) = (low as u32, high as u32);
        // Arbitrary: as many as a panel is high for.
        let step = (last - first).div_ceil(if map.is_empty() { 3 } else { 5 }).max(1) as usize;
        let ticks = (first..=last).step_by(step).map(|power| (f64::from(power), decade(power)));
        let show = |power: f64| show_nanos(10_f64.powf(power).round() as u64);
        let label = match map.is_empty() {
            true => "p99 latency",
            false => "p99 latency; stronger: more datagrams",
        };
        Self { label, ticks: ticks.collect(), range: (low, high), show, values, map }
    }
}

/// The latencies of each interval, as rectangles; intervals are added up if there are many.
fn heat_map(cell: &Cell, detail: Detail) -> Vec<HeatCell> {
    let bound_ns = cell.latency.as_ref().map_or(0, |latency| latency.bound_ns);
    let columns = detail.columns(&cell.intervals).map(|column| {
        let mut counts = BTreeMap::<u64, u64>::new();
        // Latencies below the error bound of the clocks mean nothing.
        for (low_ns, count) in column.iter().flat_map(Interval::latencies) {
            if low_ns >= bound_ns && count > 0 {
                let sum = counts.entry(low_ns).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        (column, counts)
    });
    let cells = columns.flat_map(|(column, counts)| {
        let start = column.first().map_or(0, |first| first.start_ns) as f64;
        let end = column.last().map_or(0, |last| last.end_ns) as f64;
        let power = |ns: u64| (ns.max(1) as f64).log10();
        counts.into_iter().map(move |(low_ns, count)| {
            let high_ns = low_ns.saturating_add(1 << low_ns.max(1).ilog2().saturating_sub(2));
            HeatCell { x: (start, end), y: (power(low_ns), power(high_ns)), count }
        })
    });
    cells.collect()
}

/// What is known of the cell: at least how much was sent.
fn panels(cell: &Cell, detail: Detail) -> Vec<Panel> {
    let (unit, all) = (crate::report::checks::metric::rate_unit(cell), &cell.intervals);
    let (received, lost) = match cell.exchange.is_some() {
        true => ("answered per second", "not answered"),
        false => ("received per second", "lost"),
    };
    let p99_ns = all.iter().map(|one| one.latency?.p99_ns);
    let mut panels = vec![
        Panel::of_rate((received, unit), all, all.iter().map(|one| one.received)),
        Panel::of_loss(lost, all.iter().map(|one| share(one.lost, one.sent))),
        Panel::of_latency(p99_ns, heat_map(cell, detail)),
    ];
    panels.retain(Panel::is_known);
    if panels.is_empty() {
        let sent = all.iter().map(|one| Some(one.sent));
        panels.push(Panel::of_rate(("sent per second", unit), all, sent));
    }
    let cpu = all.iter().map(|one| one.server?.cpu_share(one.server?.time_ns)).collect();
    let cpu = Panel::from_zero("server CPU", cpu, percent, 1.0);
    panels.into_iter().chain(Some(cpu).filter(Panel::is_known)).collect()
}

fn cell_chart(cell: &Cell, detail: Detail) -> Chart {
    let trial = if cell.trial > 0 { format!(" trial {}", cell.trial) } else { String::new() };
    chart_in(detail, cell.id.clone() + &trial, &cell.intervals, &panels(cell, detail))
}

/// A chart of panels, one above the other, with the stalls of these intervals.
pub(super) fn chart(title: String, intervals: &[Interval], panels: &[Panel]) -> Chart {
    chart_in(Detail::FULL, title, intervals, panels)
}

fn chart_in(detail: Detail, title: String, intervals: &[Interval], panels: &[Panel]) -> Chart {
    let (width, group) = (intervals.first().map_or(0, length_ns), detail.group(intervals.len()));
    let mut caption = counted(intervals.len() as u64, "interval") + " of " + &duration(width);
    if group > 1 {
        caption += &format!("; the lowest and the highest of each {group}");
    }
    let mut chart = Chart::of_panels(title, caption);
    for (at, panel) in panels.iter().enumerate() {
        chart = draw((chart, detail), intervals, panel, at + 1 == panels.len());
    }
    chart
}

fn draw(
    (chart, detail): (Chart, Detail),
    intervals: &[Interval],
    panel: &Panel,
    is_last: bool,
) -> Chart {
    let end = end_ns(intervals);
    let frame = Frame { x: (0.0, end as f64), y: panel.range };
    let label = |ns: u64| if is_last { duration(ns) } else { String::new() };
    let times = times(end).into_iter().map(|ns| (ns as f64, label(ns)));
    let stalls = detail.columns(intervals).filter_map(|column| {
        let (start_ns, end_ns) = (column.first()?.start_ns, column.last()?.end_ns);
        let count = sum_counts(column.iter().filter_map(|one| one.stalls));
        let stalled_ns = sum_counts(column.iter().filter_map(|one| one.stalled_ns));
        let all = Interval { start_ns, end_ns, ..Interval::default() };
        let part = share(Some(stalled_ns), length_ns(&all)).unwrap_or(1.0);
        let label = format!("{}: stalled {count}× ({})", span(&all), show_nanos(stalled_ns));
        (count > 0).then_some(((start_ns as f64, end_ns as f64), part, label))
    });
    let middle = |one: &Interval| one.start_ns as f64 + length_ns(one) as f64 / 2.0;
    let points = intervals.iter().zip(&panel.values).map(|(one, value)| {
        let label = |y| format!("{}: {}", span(one), (panel.show)(y));
        let value = value.map(|y| Value { y, label: label(y), tone: Tone::Plain });
        (middle(one), value)
    });
    chart
        .panel(frame, panel.label, if panel.map.is_empty() { PANEL } else { MAP })
        .x_ticks(times)
        .y_ticks(panel.ticks.iter().cloned())
        .stalls(stalls)
        .heat(&panel.map)
        .values("line", &detail.thin(&points.collect::<Vec<_>>()))
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
                latency_histogram: Some(format!("7168:3 8192:{}", 1_000 - lost)),
                stalls: Some(u64::from(at == 2)),
                stalled_ns: Some(if at == 2 { 50_000_000 } else { 0 }),
                ..Interval::default()
            }
        };
        let mut cell = fixture::cell("plain", 64, rate, 1e5);
        fixture::lose(&mut cell, lost);
        cell.intervals = (0..intervals).map(interval).collect();
        cell
    }

    fn points(chart: &Chart) -> Vec<usize> {
        let figure = chart.figure();
        let lines = figure.split(" points=\"").skip(1);
        lines.map(|line| line.split('"').next().unwrap().split(' ').count()).collect()
    }

    #[test]
    fn each_interval_is_a_point_of_each_line() {
        for intervals in [1, 5, 1_024] {
            let chart = cell_chart(&cell("1k", intervals, 400), Detail::FULL);
            assert_eq!(points(&chart), [intervals as usize; 3]);
            let figure = chart.figure();
            let dots = if intervals <= 120 { 3 * intervals as usize } else { 0 };
            assert_eq!(figure.matches("<circle").count(), dots, "{intervals}");
            assert_eq!(figure.matches("<rect").count(), if intervals > 2 { 3 } else { 0 });
            // Two buckets a column; of 1,024 intervals, nine are one column.
            let columns = intervals.div_ceil(intervals.div_ceil(120));
            let paths = figure.split("<path class=\"heat\"").skip(1);
            let cells = paths.map(|path| path.split('>').next().unwrap().matches('z').count());
            assert_eq!(cells.sum::<usize>() as u64, 2 * columns, "{intervals}");
        }
        let figure = cell_chart(&cell("1k", 5, 400), Detail::FULL).figure();
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
    fn folded_charts_have_few_points_with_all_extremes() {
        let cells: Vec<_> = (0..=UNFOLDED).map(|_| cell("1k", 1_024, 400)).collect();
        let charts = charts(&fixture::report_of(cells));
        let (folded, shown) = charts.split_last().unwrap();
        assert!(shown.iter().all(|chart| points(chart) == [1_024; 3]));
        assert_eq!(points(folded), [128; 3]);
        assert!(folded.caption.ends_with("; the lowest and the highest of each 16"));
        // The loss of one interval is among them.
        assert!(folded.figure().contains("ms–200 ms: 40.0%"));
    }

    #[test]
    fn unknown_values_interrupt_the_line() {
        let mut cell = cell("1k", 6, 0);
        cell.intervals[1].latency = None;
        let latency = cell.intervals[4].latency.as_mut().unwrap();
        latency.p99_ns = None;
        assert_eq!(points(&cell_chart(&cell, Detail::FULL)), [6, 6, 1, 2, 1]);
        for one in &mut cell.intervals {
            (one.received, one.lost, one.latency) = (None, None, None);
            one.latency_histogram = None;
        }
        let sent = cell_chart(&cell, Detail::FULL);
        assert_eq!(points(&sent), [6]);
        assert!(sent.figure().contains(">sent per second<"));
    }

    #[test]
    fn a_map_has_what_is_known_of_latencies() {
        let mut cell = cell("1k", 2, 0);
        let map = heat_map(&cell, Detail::FULL);
        let counts: Vec<_> = map.iter().map(|one| one.count).collect();
        assert_eq!(counts, [3, 1_000, 3, 1_000]);
        assert_eq!((map[1].x, map[1].y.0), ((0.0, 1e8), 8_192_f64.log10()));
        assert_eq!(map[1].y.1, 10_240_f64.log10());
        let texts = ["", "x 5 6:y 7:8:9 -1:2", "0:0", "18446744073709551615:18446744073709551615"];
        for (text, cells) in texts.into_iter().zip([0, 0, 0, 1]) {
            cell.intervals[0].latency_histogram = Some(text.to_owned());
            cell.intervals[1].latency_histogram = None;
            assert_eq!(heat_map(&cell, Detail::FULL).len(), cells, "{text}");
            roxmltree::Document::parse(&cell_chart(&cell, Detail::FULL).figure()).unwrap();
        }
        cell.latency.as_mut().unwrap().bound_ns = 8_000;
        cell.intervals[1].latency_histogram = Some("7168:3 8192:9".to_owned());
        cell.intervals[0].latency_histogram = None;
        assert_eq!(heat_map(&cell, Detail::FULL).len(), 1);
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
