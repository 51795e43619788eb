//! Rates as bars, a chart a size; latency against rate of rate lists.

use super::{Chart, ChartRow, RateLimit, RatePoint, Tone, latency_by_rate};
use crate::document::Report;
use crate::report::checks::validity::missed_share;
use crate::report::format::text::style::{distinct, percent};
use crate::report::format::text::{Row, TableModel, p50, p99};

/// A chart for each size, with a bar for each other property of a row; none for a single row.
pub(super) fn rates(report: &Report) -> Vec<Chart> {
    let table = TableModel::of(report);
    if table.rows.len() < 2 {
        return Vec::new();
    }
    let sizes = distinct(table.rows.iter().map(|row| row.size.as_str()));
    let chart = |size: &str| {
        let rows: Vec<_> = table.rows.iter().filter(|row| row.size == size).collect();
        let bars: Vec<_> = rows.iter().map(|row| bar(&table, row)).collect();
        let ends = bars.iter().flat_map(|bar| [bar.value, bar.interval.map(|(_, high)| high)]);
        let top = ends.flatten().fold(1.0, f64::max);
        let trials = rows.iter().map(|row| row.speed.len()).max().filter(|trials| *trials > 1);
        let trials = trials
            .map_or_else(String::new, |trials| format!(", median and range of {trials} trials"));
        let unit = if size.parse::<u64>().is_ok() { " bytes" } else { "" };
        let caption = format!("{} per second{trials}", table.outcome());
        let show = table.show_rate();
        let tick = |pps| (pps, show(pps));
        let ticks = [(0.0, "0".to_owned()), tick(top / 2.0), tick(top)];
        // The label of the last tick needs space. Arbitrary: a tenth.
        Chart::of_rows(format!("{size}{unit}"), caption, (0.0, top * 1.1), bars.len())
            .x_ticks(ticks.into_iter())
            .bars(&bars)
    };
    sizes.into_iter().map(chart).collect()
}

fn bar(table: &TableModel<'_>, row: &Row<'_>) -> ChartRow {
    let name = table.name(row);
    let spread = row.spread().map(|share| format!(" ±{:.1}%", share * 100.0));
    ChartRow {
        // The size is in the title.
        name: name.replacen(&format!("/{}", row.size), "", 1),
        shown: row.pps().map_or_else(|| "–".to_owned(), table.show_rate())
            + &spread.unwrap_or_default(),
        value: row.pps(),
        interval: row.range(),
        tone: if row.is_unsplit() { Tone::Warning } else { Tone::Plain },
        ..ChartRow::default()
    }
}

/// A chart of latency against rate for each size, engine and direction with several rates.
pub(super) fn latencies(report: &Report) -> Vec<Chart> {
    let table = TableModel::of(report);
    let keys = distinct(table.rows.iter().map(key)).into_iter();
    let charts = keys.filter_map(|one| {
        // Without a schedule, latency is mostly the wait in the queue.
        let is_here = |row: &&Row<'_>| key(row) == one && row.rate != "max";
        let rows: Vec<_> = table.rows.iter().filter(is_here).collect();
        if rows.len() < 2 {
            return None;
        }
        let (size, engine, direction) = &one;
        let direction = direction.map_or_else(String::new, |way| format!(" {way}"));
        let title = format!("{engine}/{size}{direction}");
        let caption = format!("p50 and p99 by {} rate", table.outcome());
        let points: Vec<_> = rows.iter().filter_map(|row| point(row)).collect();
        let words = (title, caption, table.show_rate());
        latency_by_rate(words, &points, limit(&rows, report.max_missed).as_ref())
    });
    charts.collect()
}

fn key<'a>(row: &Row<'a>) -> (String, &'a str, Option<&'a str>) {
    (row.size.clone(), row.engine, row.direction)
}

fn point(row: &Row<'_>) -> Option<RatePoint> {
    let lost = row.worst_loss().filter(|share| *share > 0.0);
    let note = lost.map_or_else(String::new, |share| format!(", lost {}", percent(share)));
    Some(RatePoint {
        pps: row.pps()?,
        p50: row.percentile(0.5, p50),
        p99: row.percentile(0.99, p99),
        note: format!("asked {}{note}", row.rate),
        tone: if lost.is_some() { Tone::Bad } else { Tone::Plain },
        on_line: true,
    })
}

/// The lowest requested rate with loss, or at which more of the schedule was missed than may be.
fn limit(rows: &[&Row<'_>], max_missed: f64) -> Option<RateLimit> {
    let requested = |row: &Row<'_>| row.speed.first().and_then(|cell| cell.rate_pps);
    let mut rows: Vec<_> = rows.iter().filter_map(|row| Some((*row, requested(row)?))).collect();
    rows.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    rows.into_iter().find_map(|(row, _)| {
        let missed = row.speed.iter().filter_map(|cell| missed_share(cell)).reduce(f64::max);
        let lost = row.worst_loss().filter(|share| *share > 0.0);
        let label = match (lost, missed.filter(|share| *share > max_missed)) {
            (Some(share), _) => format!("first loss: {}", percent(share)),
            (None, Some(share)) => format!("schedule missed: {}", percent(share)),
            (None, None) => return None,
        };
        let pps = row.pps()?;
        Some(RateLimit { pps: (pps, pps), label })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Cell;
    use crate::report::fixture;

    /// How often each of these is in a chart.
    fn counts<const N: usize>(chart: &Chart, texts: [&str; N]) -> [usize; N] {
        let figure = chart.figure();
        roxmltree::Document::parse(&figure).unwrap();
        texts.map(|text| figure.matches(text).count())
    }

    const MARKS: [&str; 2] = ["<rect class=\"bar", "<path class=\"interval\""];

    #[test]
    fn each_row_is_a_bar_and_trials_are_its_interval() {
        let mut report = fixture::default_run();
        let charts = rates(&report);
        let titles: Vec<_> = charts.iter().map(|chart| &*chart.title).collect();
        assert_eq!(titles, ["64 bytes", "512 bytes", "1472 bytes", "8972 bytes"]);
        for chart in &charts {
            assert_eq!(counts(chart, MARKS), [3, 0], "{}", chart.title);
        }
        for (trial, pps) in [(1, 280e3), (2, 300e3)] {
            let mut cell = fixture::cell("plain", 64, "max", pps);
            cell.trial = trial;
            report.cells.push(cell);
        }
        let chart = &rates(&report)[0];
        assert_eq!(chart.caption, "delivered per second, median and range of 3 trials");
        assert_eq!(counts(chart, MARKS), [3, 1]);
        assert_eq!(counts(chart, [">plain: 280 kpps ±5.2%</title>"]), [2]);
        report.cells.truncate(2);
        assert!(rates(&report).is_empty());
    }

    fn lossy(rate: &str, pps: f64, lost: u64) -> Cell {
        let mut cell = fixture::cell("plain", 64, rate, pps);
        fixture::lose(&mut cell, lost);
        cell
    }

    #[test]
    fn a_list_of_rates_is_a_curve_with_the_first_loss_marked() {
        let rates = |lost| {
            let cells = [("10k", 10e3, 0), ("20k", 20e3, 0), ("40k", 40e3, lost), ("80k", 5e4, 99)];
            let cells = cells.map(|(rate, pps, lost)| lossy(rate, pps, lost));
            fixture::report_of(cells.to_vec())
        };
        let points = ["<circle", "<polyline", "<rect class=\"band\"", "first loss: 0.050%"];
        let [chart] = &latencies(&rates(10))[..] else { panic!("one chart") };
        assert_eq!((chart.title.as_str(), counts(chart, points)), ("plain/64", [8, 2, 1, 3]));
        let shown =
            [": p99 74.9 µs, asked 20k<", ": p50 8.54 µs, asked ", "asked 40k, lost 0.050%<"];
        assert_eq!(counts(chart, shown), [1, 4, 2]);
        let mut report = rates(0);
        let [chart] = &latencies(&report)[..] else { panic!("one chart") };
        assert_eq!(counts(chart, ["first loss: 0.40%"]), [3]);
        report.cells[3].ledger.lost = Some(0);
        assert_eq!(counts(&latencies(&report)[0], ["class=\"event\""]), [0]);
        report.cells[2].schedule.as_mut().unwrap().missed = 900;
        assert_eq!(counts(&latencies(&report)[0], ["schedule missed: 4.50%"]), [3]);
        report.cells.truncate(1);
        assert!(latencies(&report).is_empty() && latencies(&fixture::default_run()).is_empty());
    }
}
