//! Sides that cannot be compared because their runs are invalid.

use super::document::{ComparedCell, InvalidSide, Verdict};
use super::pairs::{StepPair, named};
use crate::document::{InvalidReason, Report};

/// The reference side, in `InvalidSide::side`.
pub(super) const BASE: &str = "base";
/// The side that is judged.
pub(super) const NEW: &str = "new";

/// Why a side cannot be compared: each reason once, with the number of runs that have it.
pub(super) fn invalid(side: &str, reports: &[&Report]) -> Vec<InvalidSide> {
    let cells = || reports.iter().flat_map(|report| &report.cells);
    let mut found: Vec<InvalidSide> = Vec::new();
    for report in reports.iter().filter(|report| !report.valid) {
        let unnamed = report.invalid_because.is_empty().then(|| InvalidReason {
            code: "invalid".to_owned(),
            message: "the document says so and gives no reason".to_owned(),
            cell: None,
            trial: None,
        });
        for reason in report.invalid_because.iter().chain(&unnamed) {
            let same = |one: &&mut InvalidSide| one.code == reason.code && one.cell == reason.cell;
            match found.iter_mut().find(same) {
                Some(known) => known.runs += 1,
                None => found.push(InvalidSide {
                    side: side.to_owned(),
                    cell: reason.cell.clone(),
                    code: reason.code.clone(),
                    message: reason.message.clone(),
                    runs: 1,
                    of: match &reason.cell {
                        Some(id) => cells().filter(|cell| cell.id == *id).count(),
                        None => reports.len(),
                    } as u64,
                }),
            }
        }
    }
    found
}

/// Why the sides of a step cannot be compared, with the step in the place of each reason.
pub(super) fn of_step(of: &StepPair<'_>) -> Vec<InvalidSide> {
    let mut invalid = [invalid(BASE, &of.base), invalid(NEW, &of.new)].concat();
    for one in &mut invalid {
        one.cell = match (of.step, one.cell.take()) {
            (Some(step), None) => Some(step.to_owned()),
            (step, cell) => cell.map(|id| named(step, &id)),
        };
    }
    invalid
}

/// Removes the verdict from cells that are invalid on either side.
pub(super) fn withdraw_verdicts(cells: &mut [ComparedCell], invalid: &[InvalidSide]) {
    for cell in cells {
        let is_of = |one: &InvalidSide| {
            let id = if one.side == BASE { &cell.base_id } else { &cell.id };
            let is_step_of =
                |name: &String| id.strip_prefix(name).is_some_and(|rest| rest.starts_with(": "));
            one.cell.as_ref().is_none_or(|name| name == id || is_step_of(name))
        };
        if !invalid.iter().any(is_of) {
            continue;
        }
        cell.verdict = Verdict::CannotCompare;
        for judgement in &mut cell.metrics {
            judgement.verdict = Verdict::CannotCompare;
            "runs of this cell are invalid".clone_into(&mut judgement.why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixture, judge_validity};

    /// Two cells; the second missed this part of its schedule.
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
    fn a_side_is_invalid_if_one_of_its_runs_is() {
        let mut runs = [report(0), report(500), report(700), report(0)];
        assert_eq!(invalid(NEW, &[&runs[0], &runs[0]]), []);
        let found = invalid(NEW, &[&runs[0], &runs[1], &runs[2]]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].code.as_str(), found[0].runs, found[0].of), ("schedule_missed", 2, 3));
        assert_eq!(found[0].cell.as_deref(), Some("plain/64/50%"));
        // A document may be marked invalid without a reason.
        runs[3].valid = false;
        assert_eq!(invalid(BASE, &[&runs[3]])[0].code, "invalid");
    }

    #[test]
    fn only_invalid_cells_lose_their_verdict() {
        let mut cells = super::super::fixture::comparison().cells;
        let of_cell = invalid(NEW, &[&report(500)]);
        withdraw_verdicts(&mut cells, &of_cell);
        let verdicts: Vec<_> = cells.iter().map(|cell| cell.verdict).collect();
        assert_eq!(verdicts, [Verdict::Worse, Verdict::CannotCompare]);
        assert!(cells[1].metrics.iter().all(|one| one.verdict == Verdict::CannotCompare));
        assert_eq!(cells[0].metrics[0].verdict, Verdict::Worse);
        let of_run = InvalidSide { cell: None, ..of_cell[0].clone() };
        withdraw_verdicts(&mut cells, &[of_run]);
        assert!(cells.iter().all(|cell| cell.verdict == Verdict::CannotCompare));
    }
}
