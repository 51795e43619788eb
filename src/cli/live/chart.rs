//! A chart over time, in dots of braille: two by four in each character.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

use crate::cli::progress::intervals::per_second;
use crate::document::{Interval, IntervalLatency};
use crate::report::format::text::style::{UNKNOWN, display_width, percent};
use crate::report::format::text::worst_interval::loss;
use crate::unit::{RateUnit, show_nanos, show_number, show_pps};

/// Columns of the labels on the left: fit `99.9 Mpps`, and a gap.
const LABELS: u16 = 10;
/// Fewer intervals than these do not fill the width, so that the chart grows at first. Arbitrary.
const FEWEST: u64 = 10;
/// Where axes may end, by power of ten. Arbitrary: steps of at most a half.
const STEPS: [f64; 8] = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0];
/// Steps of a logarithmic axis by power of ten. Arbitrary: about a factor of 2.
const LOG_STEPS: f64 = 3.0;
/// Bits of the dots of a braille character, by column and row (Unicode, chapter "Braille").
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
/// The braille character without dots.
const BLANK: u32 = 0x2800;

/// The mark of several series at one place.
const SEVERAL: char = '*';

#[derive(Clone, Copy)]
struct Series {
    name: &'static str,
    color: Color,
    /// What marks it where there are no colours, and what comes instead of dots if there are
    /// several.
    mark: char,
    of: fn(&Interval) -> Option<f64>,
}

/// A chart: what it shows, and how.
pub(super) struct TimeChart {
    title: &'static str,
    series: &'static [Series],
    show: fn(f64) -> String,
    is_log: bool,
    /// The end of the axis if all values are 0.
    least: f64,
}

const fn series(
    name: &'static str,
    color: Color,
    mark: char,
    of: fn(&Interval) -> Option<f64>,
) -> Series {
    Series { name, color, mark, of }
}

/// A percentile, which a logarithmic axis can show from 1 ns.
fn latency(interval: &Interval, of: fn(&IntervalLatency) -> Option<u64>) -> Option<f64> {
    of(interval.latency.as_ref()?).map(|ns| ns.max(1) as f64)
}

/// All charts, in the order of the key.
static CHARTS: [TimeChart; 3] = [
    TimeChart {
        title: "rate",
        series: &[
            series("sent", Color::Cyan, 's', |one| per_second(one, one.sent)),
            series("received", Color::Green, 'r', |one| per_second(one, one.received?)),
        ],
        show: show_pps,
        is_log: false,
        least: 1.0,
    },
    TimeChart {
        title: "loss",
        series: &[series("lost", Color::Red, 'l', loss)],
        show: percent,
        is_log: false,
        least: 0.01,
    },
    TimeChart {
        title: "latency",
        series: &[
            series("p50", Color::Green, '5', |one| latency(one, |of| of.p50_ns)),
            series("p90", Color::Cyan, '9', |one| latency(one, |of| of.p90_ns)),
            series("p99", Color::Yellow, 'p', |one| latency(one, |of| of.p99_ns)),
            series("p99.9", Color::Red, 't', |one| latency(one, |of| of.p99_9_ns)),
        ],
        show: |ns| show_nanos(ns as u64),
        is_log: true,
        least: 1_000.0,
    },
];

/// The first one of runs of requests.
static REQUESTS: TimeChart = TimeChart {
    title: "requests/s",
    series: &[CHARTS[0].series[0], Series { name: "answered", mark: 'a', ..CHARTS[0].series[1] }],
    show: show_number,
    ..CHARTS[0]
};

/// Of servers, which know what they received.
static RECEIVED: TimeChart = TimeChart {
    title: "rate",
    series: &[series("received", Color::Green, 'r', |one| per_second(one, one.received?))],
    show: show_pps,
    is_log: false,
    least: 1.0,
};

/// The chart of this number, counted on from the first one.
pub(super) fn chart(number: usize, is_server: bool, unit: RateUnit) -> &'static TimeChart {
    match number % CHARTS.len() {
        _ if is_server => &RECEIVED,
        0 if unit == RateUnit::Requests => &REQUESTS,
        number => &CHARTS[number],
    }
}

/// How many charts are shown side by side. Arbitrary: none is narrower than 60 columns.
pub(super) fn side_by_side(width: u16, is_server: bool) -> u16 {
    if is_server { 1 } else { (width / 60).clamp(1, CHARTS.len() as u16) }
}

impl TimeChart {
    /// Draws it; `area` has at least four rows. `note` follows the title.
    pub(super) fn draw(
        &self,
        (intervals, note): (&[Interval], &str),
        area: Rect,
        buffer: &mut Buffer,
        has_colors: bool,
    ) {
        self.legend((intervals, note), area, buffer, has_colors);
        let plot = Rect {
            x: area.x + LABELS,
            y: area.y + 1,
            width: area.width.saturating_sub(LABELS + 1),
            height: area.height.saturating_sub(2),
        };
        let values = || self.series.iter().flat_map(|one| intervals.iter().filter_map(one.of));
        if plot.width == 0 || plot.height == 0 {
            return;
        }
        if values().next().is_none() {
            let text = "no figure yet; the other host's are known at the end of a cell";
            let text = if intervals.is_empty() { "waits for the first interval" } else { text };
            let y = plot.y + plot.height / 2;
            buffer.set_stringn(plot.x, y, text, plot.width.into(), quiet());
            return;
        }
        let axis = self.axis(values());
        let label = |share: f64| (self.show)(axis.value(share));
        for (y, share) in [(0, 1.0), (plot.height / 2, 0.5), (plot.height - 1, 0.0)] {
            if y == 0 || y == plot.height - 1 || plot.height > 4 {
                let text = format!("{:>1$}", label(share), usize::from(LABELS) - 1);
                buffer.set_stringn(area.x, plot.y + y, text, LABELS.into(), quiet());
            }
        }
        let time = TimeAxis::of(intervals);
        let (first, last) = (time.label(time.start_ns), time.label(time.end_ns));
        let (y, width) = (plot.bottom(), usize::from(plot.width));
        buffer.set_stringn(plot.x, y, first, width, quiet());
        let at = plot.right().saturating_sub(display_width(&last) as u16);
        buffer.set_stringn(at, y, last, width, quiet());
        for series in self.series {
            let points = intervals.iter().map(|one| {
                let (x, y) = (time.share(one), axis.share((series.of)(one)?));
                Some((x, y))
            });
            if has_colors || self.series.len() == 1 {
                let style = if has_colors { Style::new().fg(series.color) } else { Style::new() };
                lines(points, plot, buffer, style);
            } else {
                marks(points, plot, buffer, series.mark);
            }
        }
    }

    /// The title, and each series with its latest value.
    fn legend(
        &self,
        (intervals, note): (&[Interval], &str),
        area: Rect,
        buffer: &mut Buffer,
        has_colors: bool,
    ) {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let end = area.right().saturating_sub(1);
        let width_from = |x: u16| usize::from(end.saturating_sub(x));
        let (x, y) = buffer.set_stringn(area.x, area.y, self.title, width_from(area.x), bold);
        let (mut x, _) = buffer.set_stringn(x, y, note, width_from(x), bold);
        for series in self.series {
            let latest = intervals.last().and_then(series.of).map(self.show);
            let latest = latest.unwrap_or_else(|| UNKNOWN.to_owned());
            let mark = match has_colors || self.series.len() == 1 {
                true => String::new(),
                false => format!("({}) ", series.mark),
            };
            let text = format!("  {mark}{} {latest}", series.name);
            let style = if has_colors { Style::new().fg(series.color) } else { Style::new() };
            (x, _) = buffer.set_stringn(x, y, text, width_from(x), style);
        }
    }

    fn axis(&self, values: impl Iterator<Item = f64>) -> Axis {
        let (low, high) =
            values.fold((f64::MAX, 0.0), |(low, high), one| (one.min(low), one.max(high)));
        if self.is_log {
            let low = (low.log10() * LOG_STEPS).floor() / LOG_STEPS;
            let high = (high.log10() * LOG_STEPS).ceil() / LOG_STEPS;
            return Axis { low, high: high.max(low + 1.0 / LOG_STEPS), is_log: true };
        }
        let high = if high > 0.0 { round_up(high) } else { self.least };
        // A loss is at most all.
        let high = if self.title == "loss" { high.min(1.0) } else { high };
        Axis { low: 0.0, high, is_log: false }
    }
}

/// The next end of an axis.
fn round_up(value: f64) -> f64 {
    let power = 10.0_f64.powf(value.log10().floor());
    let step = STEPS.into_iter().find(|step| step * power >= value).unwrap_or(10.0);
    step * power
}

/// The range of an axis; of a logarithmic one, in powers of ten.
struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Axis {
    /// Where a value is, from 0 at the bottom to 1 at the top.
    fn share(&self, value: f64) -> f64 {
        let value = if self.is_log { value.log10() } else { value };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn value(&self, share: f64) -> f64 {
        let value = self.low + share * (self.high - self.low);
        if self.is_log { 10.0_f64.powf(value) } else { value }
    }
}

struct TimeAxis {
    start_ns: u64,
    end_ns: u64,
}

impl TimeAxis {
    fn of(intervals: &[Interval]) -> Self {
        let (start_ns, first_ns) =
            intervals.first().map_or((0, 1), |first| (first.start_ns, first.end_ns));
        let end_ns = intervals.last().map_or(1, |last| last.end_ns);
        let least_ns = first_ns.saturating_sub(start_ns).saturating_mul(FEWEST);
        Self { start_ns, end_ns: end_ns.max(start_ns.saturating_add(least_ns)) }
    }

    /// Where the middle of an interval is, from 0 at the left to 1 at the right.
    fn share(&self, interval: &Interval) -> f64 {
        let middle = interval.start_ns.midpoint(interval.end_ns).saturating_sub(self.start_ns);
        middle as f64 / self.end_ns.saturating_sub(self.start_ns).max(1) as f64
    }

    fn label(&self, ns: u64) -> String {
        let seconds = ns as f64 / 1e9;
        if self.end_ns.saturating_sub(self.start_ns) >= 10_000_000_000 {
            return format!("{seconds:.0} s");
        }
        format!("{seconds:.2} s")
    }
}

type Point = (f64, f64);

/// Draws lines between neighbours that are known.
fn lines(
    points: impl Iterator<Item = Option<Point>>,
    plot: Rect,
    buffer: &mut Buffer,
    style: Style,
) {
    let (width, height) = (usize::from(plot.width) * 2, usize::from(plot.height) * 4);
    let dot = |(x, y): Point| {
        let at = |share: f64, dots: usize| share * (dots - 1) as f64;
        (at(x, width), at(1.0 - y, height))
    };
    let mut former: Option<Point> = None;
    for point in points {
        let point = point.map(dot);
        if let Some(to) = point {
            let from = former.unwrap_or(to);
            let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
            for step in 0..=steps as usize {
                let part = step as f64 / steps;
                let (x, y) = (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1));
                set_dot(x.round() as u16, y.round() as u16, plot, buffer, style);
            }
        }
        former = point;
    }
}

fn set_dot(x: u16, y: u16, plot: Rect, buffer: &mut Buffer, style: Style) {
    let Some(cell) = buffer.cell_mut((plot.x + x / 2, plot.y + y / 4)) else { return };
    let former = cell.symbol().chars().next().map_or(BLANK, u32::from);
    let former = former.saturating_sub(BLANK) as u8;
    let dots = former | DOTS[usize::from(x % 2)][usize::from(y % 4)];
    if let Some(symbol) = char::from_u32(BLANK + u32::from(dots)) {
        cell.set_char(symbol).set_style(style);
    }
}

fn marks(points: impl Iterator<Item = Option<Point>>, plot: Rect, buffer: &mut Buffer, mark: char) {
    for (x, y) in points.flatten() {
        let at = |share: f64, cells: u16| (share * f64::from(cells - 1)).round() as u16;
        let position = (plot.x + at(x, plot.width), plot.y + at(1.0 - y, plot.height));
        if let Some(cell) = buffer.cell_mut(position) {
            let is_other = ![' ', mark].iter().any(|own| cell.symbol().starts_with(*own));
            cell.set_char(if is_other { SEVERAL } else { mark });
        }
    }
}

/// Of what is not a figure.
pub(super) fn quiet() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_values() {
        for (value, end) in [(1.0, 1.0), (1.01, 1.5), (51_200.0, 60_000.0), (0.0081, 0.01)] {
            assert!((round_up(value) / end - 1.0).abs() < 1e-9, "{value} {}", round_up(value));
        }
        let axis = CHARTS[2].axis([40_000.0, 2_000_000.0].into_iter());
        assert!(axis.value(0.0) <= 40_000.0 && axis.value(1.0) >= 2_000_000.0);
        assert!((axis.value(axis.share(100_000.0)) / 100_000.0 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_point_is_where_its_value_is() {
        let area = Rect::new(0, 0, 31, 7);
        let one = |start: u64, lost| Interval {
            start_ns: start * 1_000_000_000,
            end_ns: (start + 1) * 1_000_000_000,
            sent: 10,
            received: Some(10 - lost),
            lost: Some(lost),
            ..Interval::default()
        };
        let intervals: Vec<_> = (0..10).map(|at| one(at, if at == 9 { 10 } else { 0 })).collect();
        let mut buffer = Buffer::empty(area);
        CHARTS[1].draw((&intervals, ""), area, &mut buffer, true);
        let row = |y: u16| -> String {
            (0..area.width).filter_map(|x| buffer.cell((x, y))).map(|cell| cell.symbol()).collect()
        };
        assert!(row(0).starts_with("loss  lost 100%"), "{}", row(0));
        let is_dot = |symbol: char| u32::from(symbol) > BLANK;
        // The last interval at the top, and the others at the bottom.
        let at: Vec<usize> =
            row(1).chars().enumerate().filter(|one| is_dot(one.1)).map(|one| one.0).collect();
        assert!(
            row(1).contains("100%") && at.iter().all(|x| *x > 25) && !at.is_empty(),
            "{}",
            row(1)
        );
        let low = row(5).chars().filter(|symbol| is_dot(*symbol)).count();
        assert!(row(5).contains("0%") && low >= 15, "{}", row(5));
        assert!(row(6).contains("0 s") && row(6).contains("10 s"), "{}", row(6));
    }
}
