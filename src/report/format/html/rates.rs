//! Latency against rate: p50 and p99, a point a rate.

use super::curves::decade;
use super::{Chart, Frame, Tone, Value};
use crate::report::format::text::Figure;

/// Rates that differ by more than this factor are drawn on a logarithmic scale. Arbitrary: the low
/// ones would be one point.
const WIDE: f64 = 20.0;

/// Latency at one rate.
#[derive(Debug, Clone)]
pub(crate) struct RatePoint {
    /// The achieved rate per second.
    pub(crate) pps: f64,
    pub(crate) p50: Figure,
    pub(crate) p99: Figure,
    /// What else to know of it, for the pointer: `asked 20k, lost 0.1%`.
    pub(crate) note: String,
    /// The colour of its dots.
    pub(crate) tone: Tone,
    /// Whether the lines pass through it; otherwise it only has dots.
    pub(crate) on_line: bool,
}

/// The rate above which goals fail.
#[derive(Debug, Clone)]
pub(crate) struct RateLimit {
    /// Its lower and upper end; the same if it is one rate.
    pub(crate) pps: (f64, f64),
    pub(crate) label: String,
}

/// A chart of p50 and p99 against the achieved rate, with the limit marked; `None` if no latency is
/// known. The last of its words shows a rate.
pub(crate) fn latency_by_rate(
    (title, caption, show): (String, String, fn(f64) -> String),
    points: &[RatePoint],
    limit: Option<&RateLimit>,
) -> Option<Chart> {
    let mut points: Vec<_> = points.iter().filter(|point| point.pps > 0.0).collect();
    points.sort_by(|one, other| one.pps.total_cmp(&other.pps));
    let known = |point: &&RatePoint| [point.p50, point.p99].map(known_ns);
    let latencies = || points.iter().flat_map(known).flatten();
    let (low, high) = (latencies().fold(f64::MAX, f64::min), latencies().fold(0.0, f64::max));
    if low > high {
        return None;
    }
    let (first, last) = (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0));
    let is_infinite = |point: &&RatePoint| [point.p50, point.p99].contains(&Figure::Infinite);
    // Above all decades. Arbitrary: half of one.
    let top = if points.iter().any(is_infinite) { last + 0.5 } else { last };
    let y = (first, top);
    let of_limit = limit.iter().flat_map(|limit| [limit.pps.0, limit.pps.1]);
    let axis = RateAxis::of(points.iter().map(|point| point.pps).chain(of_limit), show);
    let (x, place) = (axis.range, |pps| axis.place(pps));
    let decades = (first as u32..=last as u32).map(|power| (f64::from(power), decade(power)));
    let infinite = (top > last).then(|| (top, Figure::Infinite.show()));
    let mut chart = Chart::new(title, caption, Frame { x, y })
        .x_ticks(axis.ticks.iter().cloned())
        .y_ticks(decades.chain(infinite));
    if let Some(limit) = limit {
        let (from, to) = (place(limit.pps.0), place(limit.pps.1));
        chart = chart.band((from, to), &limit.label);
    }
    let mut ends = Vec::new();
    for (class, name, of) in [
        ("line second", "p50", (|point| point.p50) as fn(&RatePoint) -> Figure),
        ("line", "p99", |point| point.p99),
    ] {
        let value = |point: &RatePoint| match of(point) {
            Figure::Infinite => Some(top),
            figure => known_ns(figure).map(f64::log10),
        };
        let label = |point: &RatePoint| {
            let shown = format!("{}: {name} {}", show(point.pps), of(point).show());
            let notes = [shown.as_str(), point.note.as_str()].into_iter();
            notes.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
        };
        let line = points.iter().filter(|point| point.on_line).map(|point| {
            let tone = point.tone;
            let value = value(point).map(|y| Value { y, label: label(point), tone });
            (place(point.pps), value)
        });
        chart = chart.values(class, &line.collect::<Vec<_>>());
        for point in points.iter().filter(|point| !point.on_line) {
            let dot = value(point).map(|y| (place(point.pps), y, label(point)));
            chart = chart.dots(point.tone, dot.into_iter());
        }
        let mut of_line = points.iter().rev().filter(|point| point.on_line);
        let end = of_line.find_map(|point| Some((place(point.pps), value(point)?)));
        ends.extend(end.map(|end| (end, name)));
    }
    if let Some(limit) = limit {
        // Its label is on the dots.
        chart = chart.limit(place(limit.pps.0), &limit.label);
    }
    Some(chart.marks(ends.into_iter().rev()))
}

/// An axis of rates.
struct RateAxis {
    is_log: bool,
    range: (f64, f64),
    ticks: Vec<(f64, String)>,
}

impl RateAxis {
    /// One that has all these rates.
    fn of(rates: impl Iterator<Item = f64>, show: fn(f64) -> String) -> Self {
        let rates = rates.filter(|pps| *pps > 0.0);
        let (slowest, fastest) =
            rates.fold((f64::MAX, 0.0), |(low, high), pps| (pps.min(low), pps.max(high)));
        if fastest > slowest * WIDE {
            let powers = slowest.log10().floor() as i32..=fastest.log10().ceil() as i32;
            let range = (f64::from(*powers.start()), f64::from(*powers.end()));
            let tick = |power| (f64::from(power), show(10_f64.powi(power)));
            return Self { is_log: true, range, ticks: powers.map(tick).collect() };
        }
        // What touches the edge is hard to see. Arbitrary: a tenth.
        let tick = |pps: f64| (pps, show(pps));
        let ticks = vec![(0.0, "0".to_owned()), tick(fastest / 2.0), tick(fastest)];
        Self { is_log: false, range: (0.0, fastest * 1.1), ticks }
    }

    fn place(&self, pps: f64) -> f64 {
        if self.is_log { pps.log10() } else { pps }
    }
}

/// A chart of rates in the order in which they were tried, each with its note and tone, with the
/// limit marked; `None` without a rate. The last of the words shows a rate.
pub(crate) fn rate_by_trial(
    (title, caption, show): (String, String, fn(f64) -> String),
    points: &[RatePoint],
    limit: Option<&RateLimit>,
) -> Option<Chart> {
    let tried = || (1..).zip(points).filter(|(_, point)| point.pps > 0.0);
    let last = tried().last()?.0;
    let of_limit = limit.iter().flat_map(|limit| [limit.pps.0, limit.pps.1]);
    let axis = RateAxis::of(tried().map(|(_, point)| point.pps).chain(of_limit), show);
    let mut numbers = vec![1, i32::midpoint(1, last), last];
    numbers.dedup();
    let frame = Frame { x: (0.0, f64::from(last + 1)), y: axis.range };
    let mut chart = Chart::new(title, caption, frame)
        .x_ticks(numbers.iter().map(|number| (f64::from(*number), number.to_string())))
        .y_ticks(axis.ticks.iter().cloned());
    if let Some(limit) = limit {
        chart = chart.level(axis.place(limit.pps.0), &limit.label);
    }
    for (number, point) in tried() {
        let label = format!("trial {number}: {}, {}", show(point.pps), point.note);
        let dot = (f64::from(number), axis.place(point.pps), label);
        chart = chart.dots(point.tone, [dot].into_iter());
    }
    Some(chart)
}

/// A latency in ns that can be drawn.
fn known_ns(figure: Figure) -> Option<f64> {
    match figure {
        Figure::Known(ns) => Some(ns.max(1) as f64),
        Figure::Below(_) | Figure::Infinite | Figure::Unknown => None,
    }
}
