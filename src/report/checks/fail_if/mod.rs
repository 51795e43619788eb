//! Conditions under which a run counts as failed: `loss>0.1%`, `p99>200us`, `rx_pps<200k`.

mod field;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use super::metric::{self, Cells, Metric, MetricKind, of_received, rate_unit};
use crate::document::{Cell, Gate, Report};
use crate::unit::{RateUnit, show_nanos};
use field::Field;

/// A condition that cannot be understood; the first field is its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConditionError {
    #[error(
        "'{0}' is not a condition; write a metric, one of > >= < <= == !=, and a value, such as \
         loss>0.1% or p99>200us"
    )]
    Shape(String),
    #[error(
        "'{0}': there is no metric '{1}'; {hint}there are {list}, and the number fields of a cell \
         by their path, such as latency.p99_9_ns",
        hint = metric::hint(.1), list = metric::list()
    )]
    Metric(String, String),
    /// A duration without a unit: seconds elsewhere, but hardly ever meant here.
    #[error("'{0}': {1} has no unit; write {1}us, {1}ms or {1}s")]
    NoUnit(String, String),
    #[error("'{0}': {1} cannot be compared with '{2}'; write {3}")]
    Value(String, String, String, &'static str),
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

    fn read(&self, cell: &Cell) -> (Option<f64>, Option<f64>) {
        match self {
            Self::Named(metric) => metric.read(cell),
            Self::Field(field) => field.read(cell),
        }
    }
}

/// A condition under which a run counts as failed, checked in the cells that its metric applies to
/// (without such a cell in all), except in calibration cells, which only measure `max`.
///
/// An unknown figure fails: a check that cannot be made must not pass silently. A latency below the
/// bound has an upper limit; if that does not decide, the figure is unknown. Where `p99_with_loss`
/// falls among the lost datagrams, it is infinite.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    text: String,
    figure: Figure,
    comparison: Comparison,
    limit: f64,
}

impl Condition {
    pub(crate) fn check(&self, report: &Report) -> Vec<String> {
        self.verdicts(report).into_iter().filter_map(|(_, failure)| failure).collect()
    }

    /// All cells it checks, each with a line if it fails, such as `plain/64/50%: failed: p99 is
    /// 212.4 µs, limit 200 µs`; one failure without a cell if there is no cell.
    pub(crate) fn verdicts<'a>(
        &self,
        report: &'a Report,
    ) -> Vec<(Option<&'a Cell>, Option<String>)> {
        let cells = self.cells(report);
        if cells.is_empty() {
            let unit = RateUnit::of_kind(&report.kind);
            let failure = self.result("failed", "unknown: nothing was measured", unit);
            return vec![(None, Some(format!("run: {failure}")))];
        }
        let failure = |cell: &Cell| match cell.trial {
            _ if self.holds_in(cell) == Some(false) => None,
            0 => Some(format!("{}: {}", cell.id, self.result_in(cell))),
            trial => Some(format!("{} (trial {trial}): {}", cell.id, self.result_in(cell))),
        };
        cells.into_iter().map(|cell| (Some(cell), failure(cell))).collect()
    }

    /// Whether it holds in this cell; `None` if the value or its upper limit does not decide.
    pub(crate) fn holds_in(&self, cell: &Cell) -> Option<bool> {
        match self.figure.read(cell) {
            (Some(actual), _) => Some(self.comparison.holds(actual, self.limit)),
            (None, at_most) => self.comparison.holds_up_to(at_most?, self.limit),
        }
    }

    /// Its figure in this cell as text; `None` if it is too uncertain to be compared.
    pub(crate) fn shown_in(&self, cell: &Cell) -> Option<String> {
        self.holds_in(cell).and_then(|_| self.known(cell))
    }

    /// How far it is from holding, if it does not hold: `p99<=5ms: 7.08 ms, 2.08 ms too much`.
    #[must_use]
    pub(crate) fn miss_in(&self, cell: &Cell) -> Option<String> {
        if self.holds_in(cell) != Some(false) {
            return None;
        }
        let (kind, unit) = (self.figure.kind(), rate_unit(cell));
        let show = |value: f64| match kind {
            MetricKind::Time if value.is_finite() => show_nanos(value.round() as u64),
            MetricKind::Count => kind.show(value, unit),
            // Three significant digits, as in tables.
            _ => kind.show(format!("{value:.2e}").parse().unwrap_or(value), unit),
        };
        let (actual, at_most) = self.figure.read(cell);
        let shown = match (actual, at_most) {
            (Some(actual), _) => show(actual),
            (None, limit) => format!("at most {}", show(limit?)),
        };
        let by = actual.map_or(0.0, |actual| (actual - self.limit).abs());
        let by = match self.comparison.0 {
            _ if by == 0.0 || by.is_infinite() => String::new(),
            "<" | "<=" => format!(", {} too much", show(by)),
            ">" | ">=" => format!(", {} too little", show(by)),
            _ => String::new(),
        };
        Some(format!("{self}: {shown}{by}"))
    }

    /// Its value as text, marked if lost datagrams would make it infinite.
    fn known(&self, cell: &Cell) -> Option<String> {
        let (kind, unit) = (self.figure.kind(), rate_unit(cell));
        let shown = match self.figure.read(cell) {
            (Some(actual), _) => kind.show(actual, unit),
            (None, at_most) => format!("at most {}", kind.show(at_most?, unit)),
        };
        let of = self.figure.quantile().map_or("", |quantile| of_received(cell, quantile));
        Some(shown + of)
    }

    /// Its result in this cell, such as `passed: p99 is 74.9 µs, limit 200 µs`.
    pub(crate) fn result_in(&self, cell: &Cell) -> String {
        let holds = self.holds_in(cell);
        let actual = match (holds, self.known(cell)) {
            (Some(_), Some(shown)) => shown,
            (None, Some(shown)) => format!("unknown: {shown}, within the bound of two clocks"),
            (_, None) => "unknown: it could not be measured".to_owned(),
        };
        self.result(
            if holds == Some(false) { "passed" } else { "failed" },
            &actual,
            rate_unit(cell),
        )
    }

    fn result(&self, word: &str, actual: &str, unit: RateUnit) -> String {
        let (metric, limit) = (self.figure.name(), self.figure.kind().show(self.limit, unit));
        format!("{word}: {metric} is {actual}, {} {limit}", self.comparison.2)
    }

    fn cells<'a>(&self, report: &'a Report) -> Vec<&'a Cell> {
        let suits = |cell: &&Cell| match self.figure {
            Figure::Named(Metric { cells: Cells::Paced, .. }) => cell.pace.is_some(),
            Figure::Named(Metric { cells: Cells::FlatOut, .. }) => cell.pace.is_none(),
            _ => true,
        };
        let all = report.cells.iter().filter(|cell| !cell.calibration);
        let some: Vec<_> = all.clone().filter(suits).collect();
        if some.is_empty() { all.collect() } else { some }
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(word: &str) -> Result<Self, ConditionError> {
        let text = word.trim().to_owned();
        let split = |text: &str| {
            let (name, rest) = text.split_at(text.find(['<', '>', '=', '!'])?);
            let comparison = Comparison::ALL.into_iter().find(|one| rest.starts_with(one.0))?;
            let (name, value) = (name.trim(), rest[comparison.0.len()..].trim());
            let complete = !name.is_empty() && !value.is_empty();
            complete.then(|| (name.to_owned(), comparison, value.to_owned()))
        };
        let Some((name, comparison, value)) = split(&text) else {
            return Err(ConditionError::Shape(text));
        };
        let Some(figure) = Figure::named(&name) else {
            return Err(ConditionError::Metric(text, name));
        };
        let kind = figure.kind();
        let Some(limit) = kind.read(&value) else {
            let bare = value.parse::<f64>().is_ok_and(|number| number >= 0.0 && number.is_finite());
            return Err(match kind {
                MetricKind::Time if bare => ConditionError::NoUnit(text, value),
                _ => ConditionError::Value(text, name, value, kind.takes()),
            });
        };
        Ok(Self { text, figure, comparison, limit })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// The result of each condition in each cell, for the document and the formats that show it.
pub(crate) fn gates(report: &Report, conditions: &[Condition]) -> Vec<Gate> {
    let of_one = |condition: &Condition| {
        let verdicts = condition.verdicts(report).into_iter();
        let gate = verdicts.map(|(cell, failure)| {
            let value = cell.and_then(|cell| condition.shown_in(cell));
            Gate {
                expr: condition.to_string(),
                cell: cell.map(|cell| cell.id.clone()),
                trial: cell.map(|cell| cell.trial),
                held: if failure.is_none() { Some(false) } else { value.as_ref().map(|_| true) },
                value,
            }
        });
        gate.collect::<Vec<_>>()
    };
    conditions.iter().flat_map(of_one).collect()
}

/// Titles of the columns of [`gate_rows`].
pub(crate) const GATE_TITLES: [&str; 4] = ["gate", "cell", "value", "result"];

/// A row per gate: condition, cell, value and result (`invalid` in an invalid cell).
pub(crate) fn gate_rows(report: &Report) -> Vec<Vec<String>> {
    let row = |gate: &Gate| {
        let cell = report.cell_named(gate.cell.as_deref(), gate.trial);
        let is_invalid = cell.is_some_and(|cell| report.invalid_cell(cell).next().is_some());
        let result = match gate.held {
            _ if is_invalid => "invalid",
            Some(false) => "passed",
            Some(true) => "failed",
            None => "failed: unknown",
        };
        let name = match (&gate.cell, gate.trial) {
            (Some(cell), Some(trial @ 1..)) => format!("{cell} (trial {trial})"),
            (Some(cell), _) => cell.clone(),
            (None, _) => "run".to_owned(),
        };
        let value = gate.value.clone().unwrap_or_else(|| "unknown".to_owned());
        vec![gate.expr.clone(), name, value, result.to_owned()]
    };
    report.gates.iter().map(row).collect()
}
