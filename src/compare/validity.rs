//! Sides that cannot be compared because their runs are invalid.

use super::document::{ComparedCell, InvalidSide, Verdict};
use crate::document::{InvalidReason, Report};
use crate::report::checks::validity::ends_invalid;

/// The reason for metrics of invalid cells.
const WHY: &str = "runs of this cell are invalid";

/// Why a side cannot be compared: each reason once, with the number of runs that have it.
pub(super) fn invalid(side: &str, reports: &[&Report]) -> Vec<InvalidSide> {
    let mut found: Vec<InvalidSide> = Vec::new();
    for report in reports.iter().filter(|report| ends_invalid(report, true)) {
        let unnamed_reason = report.invalid_because.is_empty().then(unnamed_reason);
        for reason in report.invalid_because.iter().chain(&unnamed_reason) {
            let same = |one: &&mut InvalidSide| one.code == reason.code && one.cell == reason.cell;
            match found.iter_mut().find(same) {
                Some(known) => known.runs += 1,
                None => found.push(InvalidSide {
                    side: side.to_owned(),
                    cell: reason.cell.clone(),
                    code: reason.code.clone(),
                    message: reason.message.clone(),
                    runs: 1,
                    of: runs(reports, reason.cell.as_deref()),
                }),
            }
        }
    }
    found
}

fn unnamed_reason() -> InvalidReason {
    InvalidReason {
        code: "invalid".to_owned(),
        message: "the document says so and gives no reason".to_owned(),
        cell: None,
        trial: None,
    }
}

/// Number of runs of this cell; without a cell, of documents.
fn runs(reports: &[&Report], cell: Option<&str>) -> u64 {
    let Some(id) = cell else { return reports.len() as u64 };
    let cells = reports.iter().flat_map(|report| &report.cells);
    cells.filter(|cell| cell.id == id).count() as u64
}

/// Removes the verdict from cells that are invalid on either side.
pub(super) fn withdraw_verdicts(cells: &mut [ComparedCell], invalid: &[InvalidSide]) {
    for cell in cells {
        let is_of = |one: &InvalidSide| {
            let id = if one.side == BASE { &cell.base_id } else { &cell.id };
            one.cell.as_ref().is_none_or(|named| named == id)
        };
        if !invalid.iter().any(is_of) {
            continue;
        }
        cell.verdict = Verdict::CannotCompare;
        for judgement in &mut cell.metrics {
            (judgement.verdict, judgement.why) = (Verdict::CannotCompare, WHY.to_owned());
        }
    }
}

/// The reference side, in `InvalidSide::side`.
pub(super) const BASE: &str = "base";

/// The side that is judged.
pub(super) const NEW: &str = "new";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixture, judge_validity};

    /// Two cells, the second of which missed so much of its schedule.
    fn report(missed: u64) -> Report {
        let mut report = fixture::report_of(vec![
            fixture::cell("plain", 64, "max", 100e3),
            fixture::cell("plain", 64, "50%", 50e3),
        ]);
        let schedule = report.cells[1].schedule.as_mut().unwrap();
        (schedule.scheduled, schedule.missed) = (10_000, missed);
        judge_validity(&mut report);
        report
    }

    #[test]
    fn a_side_is_invalid_where_one_of_its_runs_is() {
        let runs = [report(0), report(500), report(700)];
        let of = |at: &[usize]| {
            let reports: Vec<&Report> = at.iter().map(|&at| &runs[at]).collect();
            invalid(NEW, &reports)
        };
        assert_eq!(of(&[0, 0]), []);
        let found = of(&[0, 1, 2]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].code.as_str(), found[0].runs, found[0].of), ("schedule_missed", 2, 3));
        assert_eq!(found[0].cell.as_deref(), Some("plain/64/50%"));
        // A document may be marked invalid without a reason.
        let mut found = report(0);
        found.valid = false;
        assert_eq!(invalid(BASE, &[&found])[0].code, "invalid");
    }

    #[test]
    fn only_invalid_cells_lose_their_verdict() {
        let mut cells = super::super::fixture::comparison().cells;
        withdraw_verdicts(&mut cells, &invalid(NEW, &[&report(500)]));
        let verdicts: Vec<_> = cells.iter().map(|cell| cell.verdict).collect();
        assert_eq!(verdicts, [Verdict::Worse, Verdict::CannotCompare]);
        let judged = cells[1].metrics.iter().all(|one| one.verdict == Verdict::CannotCompare);
        assert!(judged && cells[0].metrics[0].verdict == Verdict::Worse);
        let whole = InvalidSide { cell: None, ..invalid(NEW, &[&report(500)])[0].clone() };
        withdraw_verdicts(&mut cells, &[whole]);
        assert!(cells.iter().all(|cell| cell.verdict == Verdict::CannotCompare));
    }
}
