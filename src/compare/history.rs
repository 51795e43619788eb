//! Cells over time: a series for each cell, metric, scenario and host.

mod change_point;
mod formats;
mod key;

use std::path::PathBuf;

use super::pairs::{CellGroup, groups};
use super::store::Stored;
pub(crate) use crate::compare::history::change_point::Change;
use crate::compare::history::change_point::RunContext;
use crate::document::{Cell, Report};
use crate::report::checks::metric::{Metric, rate_unit};
use crate::report::format::text::style::distinct;
use crate::unit::{self, RateUnit};

/// Default metrics: delivered rate flat out, and latency at a rate.
const DEFAULT_METRICS: [&str; 3] = ["rx_pps", "p50", "p99"];
/// Replaces `rx_pps` if the receiver is unknown.
const SENDER_METRIC: &str = "tx_pps";

#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) series: Vec<Series>,
}

/// One metric of one cell, measured in one scenario on one host.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) cell: String,
    pub(crate) metric: &'static Metric,
    /// What its rates count.
    pub(crate) rates: RateUnit,
    /// Kind, settings and peer host, without ports, seeds, warm-up and trials.
    pub(crate) scenario: String,
    /// Host name, CPU model and CPUs, dots between them.
    pub(crate) host: String,
    /// One point per run, oldest first.
    pub(crate) points: Vec<Point>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) started_at: String,
    pub(crate) path: PathBuf,
    pub(crate) git: Option<String>,
    /// Median of the trials that have it.
    pub(crate) value: f64,
    pub(crate) trials: usize,
    /// Distinct warning codes of this cell in this run.
    pub(crate) warnings: Vec<String>,
    /// Distinct codes of the reasons why this cell or its run is invalid; empty if it is valid.
    pub(crate) invalid_because: Vec<String>,
    pub(crate) changes: Vec<Change>,
}

#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Metrics; empty: the default ones of each cell.
    pub(crate) metrics: Vec<&'static Metric>,
    /// Cells by a part of their id, or with `*` or `?` by all of it; empty: all.
    pub(crate) cells: Vec<String>,
}

impl Filter {
    fn matches(&self, cell: &Cell) -> bool {
        let fits = |pattern: &String| match pattern.contains(['*', '?']) {
            true => wildmatch::WildMatch::new(pattern).matches(&cell.id),
            false => cell.id.contains(pattern.as_str()),
        };
        self.cells.is_empty() || self.cells.iter().any(fits)
    }

    fn of(&self, cell: &Cell) -> Vec<&'static Metric> {
        if !self.metrics.is_empty() {
            return self.metrics.clone();
        }
        let default = DEFAULT_METRICS.iter().map(|&name| match name {
            "rx_pps" if cell.rx.is_none() => SENDER_METRIC,
            name => name,
        });
        default.filter_map(Metric::named).filter(|metric| metric.suits(cell)).collect()
    }
}

/// The series of these ordered runs, without calibration and incomplete cells.
pub(crate) fn history(runs: &[Stored], filter: &Filter) -> History {
    let mut history = History::default();
    // Of the last run of each series.
    let mut contexts: Vec<RunContext> = Vec::new();
    for Stored { path, report, .. } in runs {
        let (scenario, host) = (key::scenario(report), key::host(&report.host));
        for CellGroup { id, runs: trials, .. } in groups(&[report]) {
            if !filter.matches(trials[0]) {
                continue;
            }
            for metric in filter.of(trials[0]) {
                let Some((value, count)) = median(metric, &trials) else { continue };
                let context = RunContext::of(report, trials[0]);
                let continues = |one: &Series| {
                    (&*one.cell, &one.scenario, &one.host) == (id, &scenario, &host)
                        && one.metric.name == metric.name
                };
                let at = history.series.iter().position(continues).unwrap_or_else(|| {
                    let (cell, scenario, host) = (id.to_owned(), scenario.clone(), host.clone());
                    let (rates, points) = (rate_unit(trials[0]), Vec::new());
                    let series = Series { cell, metric, rates, scenario, host, points };
                    history.series.push(series);
                    contexts.push(context.clone());
                    contexts.len() - 1
                });
                let before = std::mem::replace(&mut contexts[at], context);
                let warnings = trials.iter().flat_map(|cell| &cell.warnings);
                history.series[at].points.push(Point {
                    started_at: report.started_at.clone(),
                    path: path.clone(),
                    git: report.tool.git.clone(),
                    value,
                    trials: count,
                    warnings: distinct(warnings.map(|one| one.code.clone())),
                    invalid_because: invalid_because(report, &trials),
                    changes: before.changes(&contexts[at]),
                });
            }
        }
    }
    history
}

/// The median of trials with a value or an upper limit, and their number; `None` if there are none,
/// or if the median depends on withheld values.
fn median(metric: &Metric, trials: &[&Cell]) -> Option<(f64, usize)> {
    let by = |of: fn(f64) -> f64| {
        let one = |cell: &&Cell| (metric.of)(cell).or_else(|| (metric.at_most)(cell).map(of));
        let known: Vec<f64> = trials.iter().filter_map(one).collect();
        (unit::median(known.iter().copied()), known.len())
    };
    // A withheld value is between 0 and its limit.
    let ((least, count), (most, _)) = (by(|_| 0.0), by(|limit| limit));
    least.filter(|_| least == most).map(|value| (value, count))
}

fn invalid_because(report: &Report, trials: &[&Cell]) -> Vec<String> {
    let of_run = report.invalid_because.iter().filter(|reason| reason.cell.is_none());
    let of_cell = trials.iter().flat_map(|cell| report.invalid_cell(cell));
    distinct(of_run.chain(of_cell).map(|reason| reason.code.clone()))
}

impl Series {
    /// The relative change from the last valid point; `None` for the first and for invalid points.
    pub(crate) fn step(&self, at: usize) -> Option<f64> {
        let is_valid = |point: &&Point| point.invalid_because.is_empty();
        let point = self.points.get(at).filter(is_valid)?;
        let before = self.points[..at].iter().rev().find(is_valid)?.value;
        let step = point.value / before - 1.0;
        step.is_finite().then_some(step)
    }

    pub(crate) fn highest(&self) -> f64 {
        let values = self.points.iter().map(|point| point.value);
        values.filter(|value| value.is_finite()).fold(0.0, f64::max)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::{fixture, judge_validity};

    /// Three runs of two cells, the second on another kernel, the third of another commit.
    pub(crate) fn runs() -> Vec<Stored> {
        let run = |day: u32, pps: [f64; 3], kernel: &str, git: &str| {
            let cells = (0..).zip(pps).flat_map(|(trial, pps)| {
                [("max", pps), ("50%", pps / 2.0)]
                    .map(|(rate, pps)| Cell { trial, ..fixture::cell("plain", 64, rate, pps) })
            });
            let mut report = fixture::report_of(cells.collect());
            report.started_at = format!("2026-07-{day}T12:00:00Z");
            report.host.kernel = Some(kernel.to_owned());
            report.host.hostname = Some("bench-1".to_owned());
            report.tool.git = Some(git.to_owned());
            Stored { path: PathBuf::from(format!("{day}/report.json")), step: None, report }
        };
        vec![
            run(18, [200e3, 210e3, 190e3], "Linux 6.18.44", "aaaaaaa"),
            run(19, [220e3, 400e3, 210e3], "Linux 6.19.1", "aaaaaaa"),
            run(20, [110e3, 110e3, 110e3], "Linux 6.19.1", "bbbbbbb"),
        ]
    }

    /// The same, with a second run that delivers nothing at `max`.
    pub(crate) fn runs_with_an_invalid_one() -> Vec<Stored> {
        let mut runs = runs();
        let report = &mut runs[1].report;
        for cell in report.cells.iter_mut().filter(|cell| cell.pace.is_none()) {
            fixture::lose(cell, cell.ledger.sent);
        }
        judge_validity(report);
        runs
    }

    fn of(runs: &[Stored]) -> Vec<Series> {
        history(runs, &Filter::default()).series
    }

    #[test]
    fn points_are_medians_of_trials() {
        let series = of(&runs());
        let names: Vec<_> = series.iter().map(|one| (&*one.cell, one.metric.name)).collect();
        let expected =
            [("plain/64/max", "rx_pps"), ("plain/64/50%", "p50"), ("plain/64/50%", "p99")];
        assert_eq!(names, expected);
        let points = series[0].points.iter().map(|point| (point.value, point.trials));
        assert_eq!(points.collect::<Vec<_>>(), [(200e3, 3), (220e3, 3), (110e3, 3)]);
        assert_eq!((series[0].step(0), series[0].step(2)), (None, Some(-0.5)));
        assert_eq!(series[0].highest(), 220e3);
        assert_eq!(series[0].host, "bench-1 · AMD EPYC · 2 CPUs");
        let changes = |at: usize| -> Vec<_> {
            let all = series[0].points[at].changes.iter();
            all.map(|one| (one.what, one.from.as_str(), one.to.as_str())).collect()
        };
        assert_eq!(changes(0), []);
        assert_eq!(changes(1), [("kernel", "Linux 6.18.44", "Linux 6.19.1")]);
        assert_eq!(changes(2), [("git", "aaaaaaa", "bbbbbbb")]);
    }

    #[test]
    fn steps_skip_invalid_runs() {
        let series = of(&runs_with_an_invalid_one());
        let codes = |at: usize| series[0].points[at].invalid_because.join(",");
        assert_eq!([0, 1, 2].map(codes), ["", "nothing_arrived", ""]);
        let steps = [0, 1, 2].map(|at| series[0].step(at));
        assert_eq!(steps, [None, None, Some(110e3 / 200e3 - 1.0)]);
        // The other cell of that run is valid.
        assert!(series[1].points.iter().all(|point| point.invalid_because.is_empty()));
    }

    #[test]
    fn medians_count_withheld_trials() {
        // Below 12 µs, a withheld median may be up to 20.5 µs: more than the third.
        for (withheld, expected) in [(0, Some(3)), (1, Some(3)), (2, None), (3, None)] {
            let mut runs = runs();
            let paced = runs[0].report.cells.iter_mut().filter(|cell| cell.rate == "50%");
            paced.take(withheld).for_each(|cell| fixture::two_clocks(cell, 12_000));
            let series = of(&runs);
            let p50 = series.iter().find(|one| one.metric.name == "p50").unwrap();
            let first = p50.points.iter().find(|point| point.started_at.contains("18T"));
            let found = first.map(|point| (point.value, point.trials));
            assert_eq!(found, expected.map(|trials| (8_535.0, trials)), "{withheld}");
        }
    }

    #[test]
    fn runs_that_do_not_compare_are_in_different_series() {
        // The words of scenario and host are tested in `key`.
        type Edit = fn(&mut Report);
        let edits: [(Edit, &[usize]); 3] = [
            (|report| report.host.cores = Some(4), &[2, 1]),
            (|report| report.scenario["streams"] = json!(8), &[2, 1]),
            (|report| report.scenario["seed"] = json!(7), &[3]),
        ];
        for (at, (edit, expected)) in edits.into_iter().enumerate() {
            let mut runs = runs();
            edit(&mut runs[1].report);
            let series = of(&runs);
            let rates = series.iter().filter(|one| one.metric.name == "rx_pps");
            let lengths: Vec<_> = rates.map(|one| one.points.len()).collect();
            assert_eq!(lengths, expected, "{at}");
        }
    }

    #[test]
    fn filters_cells_and_metrics() {
        for (cell, metrics, expected) in [
            ("max", &[][..], "plain/64/max rx_pps"),
            ("plain/*/50%", &["loss"], "plain/64/50% loss"),
            // A pattern has to match the entire id.
            ("lain/*", &[], ""),
            ("", &["timeouts"], ""),
        ] {
            let metrics = metrics.iter().map(|name| Metric::named(name).unwrap()).collect();
            let history = history(&runs(), &Filter { metrics, cells: vec![cell.to_owned()] });
            let name = |one: &Series| format!("{} {}", one.cell, one.metric.name);
            assert_eq!(history.series.iter().map(name).collect::<String>(), expected);
        }
    }

    #[test]
    fn skips_calibration_and_incomplete_cells() {
        let mut runs = runs();
        for cell in &mut runs[0].report.cells {
            cell.calibration = cell.trial == 0;
            cell.cut_short = cell.trial == 1;
        }
        fixture::one_ended(&mut runs[2].report.cells[0]);
        let point = &of(&runs)[0].points[0];
        assert_eq!((point.trials, point.value), (1, 190e3));
    }
}
