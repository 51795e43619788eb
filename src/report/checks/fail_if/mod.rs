//! Conditions under which a run counts as failed: `loss>0.1%`, `p99>200us`, `rx_pps<200k`.

mod field;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use super::metric::{self, Cells, Metric, MetricKind};
use super::with_loss::of_received;
use crate::document::{Cell, Report};
use field::Field;

/// A condition that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Not a metric, a comparison and a value.
    #[error(
        "'{asked}' is not a condition; write a metric, one of > >= < <= == !=, and a value, \
         such as loss>0.1% or p99>200us"
    )]
    Shape {
        /// As typed.
        asked: String,
    },
    /// A metric that does not exist.
    #[error(
        "'{asked}': there is no metric '{metric}'; there are {}, and the number fields of a \
         cell by their path, such as latency.p99_9_ns",
        metric::list()
    )]
    Metric {
        /// As typed.
        asked: String,
        /// The part that was to be a metric.
        metric: String,
    },
    /// A duration without a unit: seconds elsewhere, but hardly ever meant here.
    #[error("'{asked}': {value} has no unit; write {value}us, {value}ms or {value}s")]
    NoUnit {
        /// As typed.
        asked: String,
        /// The bare number.
        value: String,
    },
    /// A value that this metric cannot be compared with.
    #[error("'{asked}': {metric} cannot be compared with '{value}'; write {takes}")]
    Value {
        /// As typed.
        asked: String,
        /// The metric.
        metric: String,
        /// The part that was to be a value.
        value: String,
        /// What would do.
        takes: &'static str,
    },
}

/// A sign, its function, and the word before the limit in messages.
#[derive(Debug, Clone, Copy)]
struct Comparison(&'static str, fn(&f64, &f64) -> bool, &'static str);

impl Comparison {
    /// Longer signs first, as `>` begins `>=`.
    const ALL: [Self; 6] = [
        Self(">=", f64::ge, "limit"),
        Self("<=", f64::le, "limit"),
        Self("==", f64::eq, "must not be"),
        Self("!=", f64::ne, "must be"),
        Self(">", f64::gt, "limit"),
        Self("<", f64::lt, "limit"),
    ];

    fn holds(self, actual: f64, limit: f64) -> bool {
        self.1(&actual, &limit)
    }

    /// Whether it holds of all figures from 0 to `at_most`, or of none; `None` where that differs.
    fn holds_up_to(self, at_most: f64, limit: f64) -> Option<bool> {
        let is_decided = at_most < limit || at_most == limit && matches!(self.0, ">" | "<=");
        is_decided.then(|| self.holds(at_most, limit))
    }
}

#[derive(Debug, Clone)]
enum Figure {
    Named(&'static Metric),
    Field(Field),
}

impl Figure {
    fn named(name: &str) -> Option<Self> {
        Metric::named(name).map(Self::Named).or_else(|| Field::at(name).map(Self::Field))
    }

    fn name(&self) -> &str {
        match self {
            Self::Named(metric) => metric.name,
            Self::Field(field) => &field.path,
        }
    }

    const fn kind(&self) -> MetricKind {
        match self {
            Self::Named(metric) => metric.kind,
            Self::Field(field) => field.kind,
        }
    }

    /// Its percentile, if it is one of the latency without lost datagrams.
    fn quantile(&self) -> Option<f64> {
        let name = self.name();
        let name = name.strip_prefix("latency.").or_else(|| name.strip_prefix("from_send."));
        Some(match name.unwrap_or_else(|| self.name()) {
            "p50" | "p50_ns" => 0.5,
            "p90" | "p90_ns" => 0.9,
            "p99" | "p99_ns" => 0.99,
            "p99.9" | "p99_9_ns" => 0.999,
            "p99.99" | "p99_99_ns" => 0.9999,
            _ => return None,
        })
    }

    fn read(&self, cell: &Cell) -> Reading {
        let (known, at_most) = match self {
            Self::Named(metric) => ((metric.of)(cell), (metric.at_most)(cell)),
            Self::Field(field) => field.read(cell),
        };
        match (known, at_most) {
            (Some(actual), _) => Reading::Known(actual),
            (None, Some(limit)) => Reading::AtMost(limit),
            (None, None) => Reading::Unknown,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reading {
    Known(f64),
    /// The latency is below the bound; this is its upper limit.
    AtMost(f64),
    Unknown,
}

/// A condition under which a run counts as failed.
///
/// It is looked at cell by cell; what was measured only to learn what `max` is, never counts.
/// - Latency (`min`, `mean`, `p50` to `p99.99`, `max`, `p99_with_loss`, `jitter`) and punctuality
///   (`lag_p99`, `gap_p99`, `missed`): the cells with a rate where there are any, else all. Flat
///   out, latency is mostly the queue, and there is no schedule.
/// - Rates (`rx_pps`, `tx_pps`, `rx_bits`, `tx_bits`): the cells at `max` where there are any, else
///   all.
/// - `loss`, all other counts, and fields by their path: every cell.
///
/// An unknown figure fails: a check that cannot be made must not pass silently. A latency below the
/// bound has an upper limit; if that does not decide, the figure is unknown. Where `p99_with_loss`
/// falls among the lost datagrams, it is infinite.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
    figure: Figure,
    comparison: Comparison,
    limit: f64,
}

/// A cell in which a condition held, or could not be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateFailure {
    /// The cell's id; `run` where there is no cell at all.
    pub cell: String,
    /// Its trial.
    pub trial: u32,
    /// The metric.
    pub metric: String,
    /// The condition as typed.
    pub condition: String,
    /// What was measured, with its unit, in all digits that the comparison saw.
    pub actual: String,
    /// What it was compared with: `limit 200 µs`.
    pub limit: String,
}

impl Condition {
    /// All cells in which the condition holds, or cannot be checked.
    #[must_use]
    pub fn check(&self, report: &Report) -> Vec<GateFailure> {
        self.verdicts(report).into_iter().filter_map(|(_, failure)| failure).collect()
    }

    /// All cells it checks, with their failures; one failure without a cell if there is no cell.
    #[must_use]
    pub fn verdicts<'a>(&self, report: &'a Report) -> Vec<(Option<&'a Cell>, Option<GateFailure>)> {
        let cells = self.cells(report);
        if cells.is_empty() {
            let failure = self.failure("run", 0, "unknown: nothing was measured".to_owned());
            return vec![(None, Some(failure))];
        }
        let check = |cell: &Cell| {
            let failed = self.holds_in(cell) != Some(false);
            failed.then(|| self.failure(&cell.id, cell.trial, self.actual(cell)))
        };
        cells.into_iter().map(|cell| (Some(cell), check(cell))).collect()
    }

    /// Whether it holds in this cell; `None` if unknown. For a withheld figure only the upper limit
    /// is known.
    #[must_use]
    pub fn holds_in(&self, cell: &Cell) -> Option<bool> {
        match self.figure.read(cell) {
            Reading::Known(actual) => Some(self.comparison.holds(actual, self.limit)),
            Reading::AtMost(limit) => self.comparison.holds_up_to(limit, self.limit),
            Reading::Unknown => None,
        }
    }

    /// Its figure in this cell as text; `None` if it is too uncertain to be compared.
    #[must_use]
    pub fn shown_in(&self, cell: &Cell) -> Option<String> {
        self.holds_in(cell).and_then(|_| self.known(cell))
    }

    /// Its value as text, marked if lost datagrams would make it infinite.
    fn known(&self, cell: &Cell) -> Option<String> {
        let shown = match self.figure.read(cell) {
            Reading::Known(actual) => self.figure.kind().show(actual),
            Reading::AtMost(limit) => format!("at most {}", self.figure.kind().show(limit)),
            Reading::Unknown => return None,
        };
        let of = self.figure.quantile().map_or("", |quantile| of_received(cell, quantile));
        Some(shown + of)
    }

    /// Its result in this cell: `passed: p99 is 74.9 µs, limit 200 µs`. It fails if the condition
    /// holds or is unknown.
    #[must_use]
    pub fn result_in(&self, cell: &Cell) -> String {
        let word = if self.holds_in(cell) == Some(false) { "passed" } else { "failed" };
        result(word, self.figure.name(), &self.actual(cell), &self.shown_limit())
    }

    fn actual(&self, cell: &Cell) -> String {
        match (self.holds_in(cell), self.known(cell)) {
            (Some(_), Some(shown)) => shown,
            (None, Some(shown)) => format!("unknown: {shown}, within the bound of two clocks"),
            (_, None) => "unknown: it could not be measured".to_owned(),
        }
    }

    fn shown_limit(&self) -> String {
        let limit = self.figure.kind().show(self.limit);
        format!("{} {limit}", self.comparison.2)
    }

    fn failure(&self, cell: &str, trial: u32, actual: String) -> GateFailure {
        GateFailure {
            cell: cell.to_owned(),
            trial,
            metric: self.figure.name().to_owned(),
            condition: self.text.clone(),
            actual,
            limit: self.shown_limit(),
        }
    }

    fn cells<'a>(&self, report: &'a Report) -> Vec<&'a Cell> {
        let all = || report.cells.iter().filter(|cell| !cell.calibration);
        let some: Vec<_> = match &self.figure {
            Figure::Named(Metric { cells: Cells::Paced, .. }) => {
                all().filter(|cell| cell.pace.is_some()).collect()
            }
            Figure::Named(Metric { cells: Cells::FlatOut, .. }) => {
                all().filter(|cell| cell.pace.is_none()).collect()
            }
            Figure::Named(_) | Figure::Field(_) => Vec::new(),
        };
        if some.is_empty() { all().collect() } else { some }
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(word: &str) -> Result<Self, ConditionError> {
        let text = word.trim();
        let asked = || text.to_owned();
        let split = |text: &str| {
            let (name, rest) = text.split_at(text.find(['<', '>', '=', '!'])?);
            let comparison = Comparison::ALL.into_iter().find(|one| rest.starts_with(one.0))?;
            let (name, value) = (name.trim(), rest[comparison.0.len()..].trim());
            let whole = !name.is_empty() && !value.is_empty();
            whole.then(|| (name.to_owned(), comparison, value.to_owned()))
        };
        let (name, comparison, value) =
            split(text).ok_or_else(|| ConditionError::Shape { asked: asked() })?;
        let Some(figure) = Figure::named(&name) else {
            return Err(ConditionError::Metric { asked: asked(), metric: name });
        };
        let Some(limit) = figure.kind().read(&value) else {
            let bare = value.parse::<f64>().is_ok_and(|number| number >= 0.0 && number.is_finite());
            return Err(if figure.kind() == MetricKind::Time && bare {
                ConditionError::NoUnit { asked: asked(), value }
            } else {
                ConditionError::Value {
                    asked: asked(),
                    takes: figure.kind().takes(),
                    metric: name,
                    value,
                }
            });
        };
        Ok(Self { text: asked(), figure, comparison, limit })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Display for GateFailure {
    /// `plain/64/50%: failed: p99 is 212.4 µs, limit 200 µs`; trials after the first are named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cell)?;
        if self.trial > 0 {
            write!(f, " (trial {})", self.trial)?;
        }
        write!(f, ": {}", result("failed", &self.metric, &self.actual, &self.limit))
    }
}

/// `failed: p99 is 212.4 µs, limit 200 µs`.
fn result(word: &str, metric: &str, actual: &str, limit: &str) -> String {
    format!("{word}: {metric} is {actual}, {limit}")
}
