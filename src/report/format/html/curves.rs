//! Latency by percentile, a curve a cell, drawn from its histogram.

use hdrhistogram::Histogram;

use super::{Chart, Frame};
use crate::document::{Cell, Report};
use crate::measure;
use crate::report::error::RenderError;
use crate::report::format::hdr::decode;
use crate::unit::show_nanos;

/// Points of a curve between two nines. Arbitrary: smooth to the eye at that size.
const POINTS_A_NINE: u32 = 16;

/// The most nines of a curve: 99.9999 %. Arbitrary: few runs have datagrams beyond.
const MOST_NINES: u32 = 6;

/// What latency is drawn as, where there is less: HdrHistogram holds 0, a logarithm does not.
const LEAST_NS: u64 = 1;

/// The latencies of all trials of a cell.
struct Curve<'a> {
    cell: &'a Cell,
    histogram: Histogram<u64>,
    bound_ns: u64,
}

/// A chart for each cell that has latencies, all on one scale of time.
pub(super) fn charts(report: &Report) -> Result<Vec<Chart>, RenderError> {
    let curves = curves(report)?;
    let least = curves.iter().map(|curve| curve.histogram.min().max(curve.bound_ns)).min();
    let most = curves.iter().map(|curve| curve.histogram.max()).max();
    let (Some(least), Some(most)) = (least, most) else { return Ok(Vec::new()) };
    let decade = |ns: u64| (ns.max(LEAST_NS) as f64).log10();
    let (low, high) = (decade(least).floor(), decade(most).ceil());
    let y = (low, high.max(low + 1.0));
    Ok(curves.iter().map(|curve| chart(curve, y)).collect())
}

fn curves(report: &Report) -> Result<Vec<Curve<'_>>, RenderError> {
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for cell in report.cells.iter().filter(|cell| !cell.calibration) {
        let Some(latency) = &cell.latency else { continue };
        let histogram = decode(cell, latency)?;
        let at = curves.iter().position(|curve| curve.cell.id == cell.id).unwrap_or_else(|| {
            // Within our own bounds: those of a document could be anything, and take as much room.
            let own = measure::LatencyHistograms::default().histogram().clone();
            curves.push(Curve { cell, histogram: own, bound_ns: 0 });
            curves.len() - 1
        });
        let curve = &mut curves[at];
        curve.bound_ns = curve.bound_ns.max(latency.bound_ns);
        curve.histogram.add(&histogram).map_err(|error| RenderError::Histogram {
            cell: cell.id.clone(),
            reason: error.to_string(),
        })?;
    }
    curves.retain(|curve| !curve.histogram.is_empty());
    Ok(curves)
}

fn chart(curve: &Curve<'_>, y: (f64, f64)) -> Chart {
    let Curve { cell, histogram, bound_ns } = curve;
    let nines = ((histogram.len() as f64).log10().ceil() as u32).clamp(1, MOST_NINES);
    let frame = Frame { x: (0.0, f64::from(nines)), y };
    let points = (0..=nines * POINTS_A_NINE).filter_map(|step| {
        let x = f64::from(step) / f64::from(POINTS_A_NINE);
        let ns = histogram.value_at_quantile(1.0 - 10_f64.powf(-x));
        // What is less than the clocks are known within, says nothing.
        (ns >= *bound_ns).then(|| (x, (ns.max(LEAST_NS) as f64).log10()))
    });
    let decades = (y.0 as u32..=y.1 as u32).map(|power| (f64::from(power), decade(power)));
    let percentiles = (0..=nines).map(|nines| (f64::from(nines), percentile(nines)));
    Chart::new(cell.id.clone(), caption(cell, histogram, *bound_ns), frame)
        .x_ticks(percentiles)
        .y_ticks(decades)
        .line(points)
}

fn caption(cell: &Cell, histogram: &Histogram<u64>, bound_ns: u64) -> String {
    let way = match cell.latency.as_ref().map(|latency| latency.kind.as_str()) {
        Some("round_trip") => "round trip",
        _ => "one way",
    };
    let from = if cell.pace.is_some() { "schedule" } else { "departure" };
    let datagrams = format!("{way} from {from}, {} datagrams", histogram.len());
    match bound_ns {
        0 => datagrams,
        bound_ns => format!("{datagrams}, known within ±{}", show_nanos(bound_ns)),
    }
}

/// `100 µs` for the fifth power of ten.
fn decade(power: u32) -> String {
    let unit = ["ns", "µs", "ms", "s"].get(power as usize / 3).unwrap_or(&"ks");
    format!("{} {unit}", 10_u32.pow(power % 3))
}

/// `0`, `90`, `99`, `99.9` …
fn percentile(nines: u32) -> String {
    match nines {
        0 => "0".to_owned(),
        1 => "90".to_owned(),
        2 => "99".to_owned(),
        nines => format!("99.{}", "9".repeat(nines as usize - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn trials_share_one_curve() {
        let mut cells = vec![
            fixture::cell("plain", 64, "max", 1e5),
            fixture::cell("plain", 64, "50%", 1e5),
            fixture::cell("plain", 64, "50%", 1e5),
        ];
        cells[2].trial = 1;
        let mut report = fixture::report_of(cells);
        let charts = charts(&report).unwrap();
        let shown: Vec<_> =
            charts.iter().map(|chart| (chart.title.as_str(), chart.caption.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("plain/64/max", "one way from departure, 1000 datagrams"),
                ("plain/64/50%", "one way from schedule, 2000 datagrams"),
            ]
        );
        let mut wide = Histogram::<u64>::new_with_bounds(1, u64::MAX / 2, 1).unwrap();
        wide.record(u64::MAX / 2).unwrap();
        report.cells[0].latency.as_mut().unwrap().histogram = crate::report::build::encode(&wide);
        let error = super::charts(&report).err().unwrap().to_string();
        assert!(error.contains("histogram of plain/64/max is damaged"), "{error}");
        report.cells.iter_mut().for_each(|cell| cell.latency = None);
        assert!(super::charts(&report).unwrap().is_empty());
    }

    #[test]
    fn scales_have_names() {
        let names: Vec<_> = (2..=9).map(decade).collect();
        let expected = ["100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"];
        assert_eq!(names, expected);
        let names: Vec<_> = (0..=4).map(percentile).collect();
        assert_eq!(names, ["0", "90", "99", "99.9", "99.99"]);
    }
}
