//! Latency by percentile, a curve a cell, drawn from its histogram.

use super::{Chart, Frame, Tone, Value};
use crate::document::Report;
use crate::report::error::RenderError;
use crate::report::format::hdr::{Distribution, distributions};
use crate::report::format::text::style::grouped;
use crate::unit::show_nanos;

/// Points of a curve between two nines. Arbitrary: smooth to the eye at that size.
const POINTS_PER_NINE: u32 = 16;

/// The most nines of a curve: 99.9999 %. Arbitrary: few runs have datagrams beyond.
const MAX_NINES: u32 = 6;

/// The place of the median among nines.
const MEDIAN: f64 = std::f64::consts::LOG10_2;

/// Shorter latencies are drawn as this: a histogram may hold 0, which has no logarithm.
const MIN_NS: u64 = 1;

/// A chart for each cell that has latencies, all on one scale of time; before them, if there are
/// several, one of all.
pub(super) fn charts(report: &Report) -> Result<Vec<Chart>, RenderError> {
    let curves = distributions(report)?;
    let least = curves.iter().map(|curve| curve.histogram.min().max(curve.bound_ns)).min();
    let most = curves.iter().map(|curve| curve.histogram.max()).max();
    let (Some(least), Some(most)) = (least, most) else { return Ok(Vec::new()) };
    let decade = |ns: u64| (ns.max(MIN_NS) as f64).log10();
    let (low, high) = (decade(least).floor(), decade(most).ceil());
    let y = (low, high.max(low + 1.0));
    let all = (curves.len() > 1).then(|| overlay(&curves, y));
    Ok(all.into_iter().chain(curves.iter().map(|curve| chart(curve, y))).collect())
}

fn chart(curve: &Distribution<'_>, y: (f64, f64)) -> Chart {
    axes(curve.cell.id.clone(), caption(curve), nines(curve), y).curve(&points(curve))
}

fn overlay(curves: &[Distribution<'_>], y: (f64, f64)) -> Chart {
    let most = curves.iter().map(nines).max().unwrap_or(1);
    let chart = axes("All cells".to_owned(), String::new(), most, y);
    curves.iter().fold(chart, |chart, curve| chart.layer(&curve.cell.id, &points(curve)))
}

fn axes(title: String, caption: String, nines: u32, y: (f64, f64)) -> Chart {
    let decades = (y.0 as u32..=y.1 as u32).map(|power| (f64::from(power), decade(power)));
    let percentiles = (0..=nines).map(|nines| (f64::from(nines), percentile(nines)));
    let median = [(MEDIAN, "50".to_owned())].into_iter();
    let frame = Frame { x: (0.0, f64::from(nines)), y };
    Chart::new(title, caption, frame).x_ticks(percentiles.chain(median)).y_ticks(decades)
}

fn nines(curve: &Distribution<'_>) -> u32 {
    ((curve.histogram.len() as f64).log10().ceil() as u32).clamp(1, MAX_NINES)
}

/// Nines, and the power of ten of the latency in ns.
fn points(curve: &Distribution<'_>) -> Vec<(f64, Value)> {
    let steps = (0..=nines(curve) * POINTS_PER_NINE).map(f64::from);
    let points = steps.filter_map(|step| {
        let x = step / f64::from(POINTS_PER_NINE);
        let quantile = 1.0 - 10_f64.powf(-x);
        let ns = curve.histogram.value_at_quantile(quantile);
        // One digit more than there are nines.
        let label = format!("p{:.*}: {}", x as usize, quantile * 100.0, show_nanos(ns));
        let y = (ns.max(MIN_NS) as f64).log10();
        // Latencies below the error bound of the clocks mean nothing.
        (ns >= curve.bound_ns).then_some((x, Value { y, label, tone: Tone::Plain }))
    });
    points.collect()
}

fn caption(curve: &Distribution<'_>) -> String {
    let datagrams = format!("{}, {} datagrams", curve.kind(), grouped(curve.histogram.len()));
    match curve.bound_ns {
        0 => datagrams,
        bound_ns => format!("{datagrams}, known within ±{}", show_nanos(bound_ns)),
    }
}

/// `100 µs` for the fifth power of ten.
pub(super) fn decade(power: u32) -> String {
    let unit = ["ns", "µs", "ms", "s"].get(power as usize / 3).unwrap_or(&"ks");
    format!("{} {unit}", 10_u32.pow(power % 3))
}

fn percentile(nines: u32) -> String {
    let first = ["0", "90", "99", "99."][nines.min(3) as usize];
    first.to_owned() + &"9".repeat(nines.saturating_sub(2) as usize)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;
    use crate::report::fixture;

    #[test]
    fn trials_share_one_curve() {
        let mut report = fixture::report_of(
            ["max", "50%", "50%"].map(|rate| fixture::cell("plain", 64, rate, 1e5)).to_vec(),
        );
        report.cells[2].trial = 1;
        let charts = charts(&report).unwrap();
        let shown: Vec<_> = charts.iter().map(|chart| (&*chart.title, &*chart.caption)).collect();
        let expected = [
            ("All cells", ""),
            ("plain/64/max", "one way from departure, 1,000 datagrams"),
            ("plain/64/50%", "one way from schedule, 2,000 datagrams"),
        ];
        assert_eq!(shown, expected);
        let mut wide = Histogram::<u64>::new_with_bounds(1, u64::MAX / 2, 1).unwrap();
        wide.record(u64::MAX / 2).unwrap();
        report.cells[0].latency.as_mut().unwrap().histogram = crate::report::build::encode(&wide);
        let error = super::charts(&report).err().unwrap().to_string();
        assert!(error.contains("histogram of plain/64/max is damaged"), "{error}");
        report.cells.iter_mut().for_each(|cell| cell.latency = None);
        assert!(super::charts(&report).unwrap().is_empty());
        assert_eq!([2, 3, 5, 9].map(decade), ["100 ns", "1 µs", "100 µs", "1 s"]);
        assert_eq!([0, 1, 2, 4].map(percentile), ["0", "90", "99", "99.99"]);
    }
}
