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
use crate::report::checks::metric::Metric;
use crate::report::format::text::style::distinct;
use crate::unit;

/// Default metrics: delivered rate flat out, and latency at a rate.
const DEFAULT_METRICS: [&str; 3] = ["rx_pps", "p50", "p99"];

/// Replaces `rx_pps` if the receiver is unknown.
const SENDER_METRIC: &str = "tx_pps";

#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// In the order in which cells first appear.
    pub(crate) series: Vec<Series>,
}

/// One metric of one cell, measured in one scenario on one host.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) cell: String,
    pub(crate) metric: &'static Metric,
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
    /// The commit of the udperf that measured.
    pub(crate) git: Option<String>,
    /// Median of the trials that have it.
    pub(crate) value: f64,
    /// The number of those trials.
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

type Key = (String, &'static str, String, String);

/// The series of these ordered runs, without calibration and incomplete cells.
pub(crate) fn history(runs: &[Stored], filter: &Filter) -> History {
    let mut history = History::default();
    let mut contexts: Vec<(Key, RunContext)> = Vec::new();
    for Stored { path, report } in runs {
        let (scenario, host) = (key::scenario(report), key::host(&report.host));
        for CellGroup { runs: trials, .. } in groups(&[report]) {
            let first = trials[0];
            if !filter.matches(first) {
                continue;
            }
            for metric in filter.of(first) {
                let Some((value, count)) = median(metric, &trials) else { continue };
                let key = (first.id.clone(), metric.name, scenario.clone(), host.clone());
                let context = RunContext::of(report, first);
                let at = contexts.iter().position(|(known, _)| *known == key);
                let changes = at.map_or_else(Vec::new, |at| contexts[at].1.changes(&context));
                let at = at.unwrap_or_else(|| {
                    let (cell, _, scenario, host) = key.clone();
                    let points = Vec::new();
                    history.series.push(Series { cell, metric, scenario, host, points });
                    contexts.push((key, context.clone()));
                    contexts.len() - 1
                });
                contexts[at].1 = context;
                history.series[at].points.push(Point {
                    started_at: report.started_at.clone(),
                    path: path.clone(),
                    git: report.tool.git.clone(),
                    value,
                    trials: count,
                    warnings: distinct(
                        trials.iter().flat_map(|cell| &cell.warnings).map(|one| one.code.clone()),
                    ),
                    invalid_because: invalid_because(report, &trials),
                    changes,
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
            let mut cells = Vec::new();
            for (trial, pps) in (0..).zip(pps) {
                cells.push(fixture::cell("plain", 64, "max", pps));
                cells.push(fixture::cell("plain", 64, "50%", pps / 2.0));
                cells.iter_mut().rev().take(2).for_each(|cell| cell.trial = trial);
            }
            let mut report = fixture::report_of(cells);
            report.started_at = format!("2026-07-{day}T12:00:00Z");
            report.host.kernel = Some(kernel.to_owned());
            report.host.hostname = Some("bench-1".to_owned());
            report.tool.git = Some(git.to_owned());
            Stored { path: PathBuf::from(format!("{day}/report.json")), report }
        };
        vec![
            run(18, [200e3, 210e3, 190e3], "Linux 6.18.44", "aaaaaaa"),
            run(19, [220e3, 400e3, 210e3], "Linux 6.19.1", "aaaaaaa"),
            run(20, [110e3, 110e3, 110e3], "Linux 6.19.1", "bbbbbbb"),
        ]
    }

    fn named(history: &History, cell: &str, metric: &str) -> Vec<Series> {
        let fits = |one: &&Series| one.cell == cell && one.metric.name == metric;
        history.series.iter().filter(fits).cloned().collect()
    }

    #[test]
    fn a_point_is_the_median_of_its_trials() {
        let history = history(&runs(), &Filter::default());
        let names: Vec<_> =
            history.series.iter().map(|one| (one.cell.as_str(), one.metric.name)).collect();
        let expected =
            [("plain/64/max", "rx_pps"), ("plain/64/50%", "p50"), ("plain/64/50%", "p99")];
        assert_eq!(names, expected);
        let flat_out = &history.series[0];
        let values: Vec<_> = flat_out.points.iter().map(|point| point.value).collect();
        assert_eq!(values, [200e3, 220e3, 110e3]);
        assert!(flat_out.points.iter().all(|point| point.trials == 3));
        assert_eq!((flat_out.step(0), flat_out.step(2)), (None, Some(-0.5)));
        assert_eq!(flat_out.highest(), 220e3);
        assert_eq!(flat_out.host, "bench-1 · AMD EPYC · 2 CPUs");
    }

    #[test]
    fn an_invalid_run_is_marked_and_no_other_is_measured_by_it() {
        let mut runs = runs();
        let report = &mut runs[1].report;
        for cell in report.cells.iter_mut().filter(|cell| cell.pace.is_none()) {
            fixture::lose(cell, cell.ledger.sent);
        }
        judge_validity(report);
        let history = history(&runs, &Filter::default());
        let flat_out = &history.series[0];
        let codes: Vec<_> =
            flat_out.points.iter().map(|point| &point.invalid_because[..]).collect();
        assert_eq!(codes, [&[][..], &["nothing_arrived".to_owned()], &[]]);
        let steps = [0, 1, 2].map(|at| flat_out.step(at));
        assert_eq!(steps, [None, None, Some(110e3 / 200e3 - 1.0)]);
        // The other cell of that run is valid.
        assert!(history.series[1].points.iter().all(|point| point.invalid_because.is_empty()));
    }

    #[test]
    fn a_median_counts_the_trials_whose_figure_is_withheld() {
        let value = |withheld: usize| {
            let mut runs = runs();
            let cells = &mut runs[0].report.cells;
            let mut paced = cells.iter_mut().filter(|cell| cell.rate == "50%");
            paced.by_ref().take(withheld).for_each(|cell| fixture::two_clocks(cell, 12_000));
            let points = named(&history(&runs, &Filter::default()), "plain/64/50%", "p50");
            let of_first = points[0].points.iter().find(|point| point.started_at.contains("18T"));
            of_first.map(|point| (point.value, point.trials))
        };
        assert_eq!(value(0), Some((8_535.0, 3)));
        // Below 12 µs, they may be up to 20.5 µs: more than the third.
        assert_eq!((value(1), value(2), value(3)), (Some((8_535.0, 3)), None, None));
    }

    #[test]
    fn what_changed_is_beside_the_run_that_shows_it_first() {
        let history = history(&runs(), &Filter::default());
        let changes: Vec<Vec<_>> = history.series[0]
            .points
            .iter()
            .map(|point| {
                let change = |c: &Change| (c.what, c.from.clone(), c.to.clone());
                point.changes.iter().map(change).collect()
            })
            .collect();
        let owned = |what, from: &str, to: &str| (what, from.to_owned(), to.to_owned());
        assert_eq!(changes[0], []);
        assert_eq!(changes[1], [owned("kernel", "Linux 6.18.44", "Linux 6.19.1")]);
        assert_eq!(changes[2], [owned("git", "aaaaaaa", "bbbbbbb")]);
    }

    #[test]
    fn what_does_not_compare_is_not_in_one_series() {
        let edits: [fn(&mut Report); 5] = [
            |report| report.host.hostname = Some("bench-2".to_owned()),
            |report| report.host.cores = Some(4),
            |report| report.scenario["streams"] = json!(8),
            |report| report.tool.profile = "debug".to_owned(),
            |report| report.kind = "blast".to_owned(),
        ];
        for (at, edit) in edits.into_iter().enumerate() {
            let mut runs = runs();
            edit(&mut runs[1].report);
            let history = history(&runs, &Filter::default());
            let lengths: Vec<_> = named(&history, "plain/64/max", "rx_pps")
                .iter()
                .map(|one| one.points.len())
                .collect();
            assert_eq!(lengths, [2, 1], "{at}");
        }
        let mut runs = runs();
        runs[1].report.scenario["seed"] = json!(7);
        runs[1].report.scenario["trials"] = json!(9);
        assert_eq!(history(&runs, &Filter::default()).series[0].points.len(), 3);
    }

    #[test]
    fn figures_and_cells_can_be_chosen() {
        let chosen = |cells: &[&str], metrics: &[&str]| {
            let filter = Filter {
                cells: cells.iter().map(|&cell| cell.to_owned()).collect(),
                metrics: metrics.iter().map(|name| Metric::named(name).unwrap()).collect(),
            };
            let history = history(&runs(), &filter);
            let name = |one: &Series| format!("{} {}", one.cell, one.metric.name);
            history.series.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(chosen(&["max"], &[]), ["plain/64/max rx_pps"]);
        assert_eq!(chosen(&["plain/*/50%"], &["loss"]), ["plain/64/50% loss"]);
        assert!(chosen(&["lain/*"], &[]).is_empty(), "a pattern is of the whole id");
        assert!(chosen(&[], &["timeouts"]).is_empty(), "nobody knows it");
    }

    #[test]
    fn what_does_not_count_is_left_out() {
        let mut runs = runs();
        for cell in &mut runs[0].report.cells {
            cell.calibration = cell.trial == 0;
            cell.cut_short = cell.trial == 1;
        }
        fixture::one_ended(&mut runs[2].report.cells[0]);
        let history = history(&runs, &Filter::default());
        assert_eq!(history.series[0].points[0].trials, 1);
        assert_eq!(history.series[0].points[0].value, 190e3);
    }
}
