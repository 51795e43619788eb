//! The result of each `--fail-if` in each cell, for the document and the formats that show it.

use super::fail_if::Condition;
use crate::document::{Gate, Report};

/// The result of each condition in each cell that it is checked in.
#[must_use]
pub fn gates(report: &Report, conditions: &[Condition]) -> Vec<Gate> {
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

/// Titles of the columns of [`rows`].
pub(crate) const TITLES: [&str; 4] = ["gate", "cell", "value", "result"];

/// A row per gate: condition, cell, value and result (`invalid` in an invalid cell).
pub(crate) fn rows(report: &Report) -> Vec<Vec<String>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixture, judge_validity};

    #[test]
    fn each_condition_has_a_result_in_each_cell() {
        let mut report = fixture::default_run();
        report.cells.truncate(2);
        report.cells[0].ledger.unaccounted = None;
        let words = ["sent>=0", "unaccounted>0", "p50>60s"];
        let conditions: Vec<Condition> = words.iter().map(|word| word.parse().unwrap()).collect();
        report.gates = gates(&report, &conditions);
        let held: Vec<_> = report.gates.iter().map(|gate| gate.held).collect();
        assert_eq!(held, [Some(true), Some(true), None, Some(false), Some(false)]);
        let shown = |report: &Report| -> Vec<String> {
            rows(report).into_iter().map(|row| row.join(" ")).collect()
        };
        let expected = [
            "sent>=0 plain/64/max 135500 failed",
            "sent>=0 plain/64/50% 67750 failed",
            "unaccounted>0 plain/64/max unknown failed: unknown",
            "unaccounted>0 plain/64/50% 0 passed",
            "p50>60s plain/64/50% 8.535 µs passed",
        ];
        assert_eq!(shown(&report), expected);
        // In an invalid cell nothing passes and nothing fails.
        let sent = report.cells[1].ledger.sent;
        fixture::lose(&mut report.cells[1], sent);
        judge_validity(&mut report);
        let results: Vec<_> = rows(&report).into_iter().map(|row| row[3].clone()).collect();
        assert_eq!(results, ["failed", "invalid", "failed: unknown", "invalid", "invalid"]);
        report.cells.clear();
        report.gates = gates(&report, &conditions[..1]);
        assert_eq!(shown(&report), ["sent>=0 run unknown failed: unknown"]);
    }
}
