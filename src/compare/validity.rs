//! Sides that cannot be compared, because runs of theirs did not test what was asked.

use super::document::{ComparedCell, InvalidSide, Verdict};
use crate::report::document::{InvalidReason, Report};

/// What is said of a figure of a cell that cannot be compared.
const WHY: &str = "runs of this cell are invalid";

/// Why a side cannot be compared: each reason once, with how many runs have it.
pub(super) fn invalid(side: &str, reports: &[&Report]) -> Vec<InvalidSide> {
    let mut found: Vec<InvalidSide> = Vec::new();
    for report in reports.iter().filter(|report| report.ends_invalid(true)) {
        let unnamed = report.invalid_because.is_empty().then(unnamed);
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
                    of: runs(reports, reason.cell.as_deref()),
                }),
            }
        }
    }
    found
}

/// Of a document that says it is invalid, and not why.
fn unnamed() -> InvalidReason {
    InvalidReason {
        code: "invalid".to_owned(),
        message: "the document says so and gives no reason".to_owned(),
        cell: None,
        trial: None,
    }
}

/// Runs of this cell; without one, documents.
fn runs(reports: &[&Report], cell: Option<&str>) -> u64 {
    let Some(id) = cell else { return reports.len() as u64 };
    let cells = reports.iter().flat_map(|report| &report.cells);
    cells.filter(|cell| cell.id == id).count() as u64
}

/// Takes the verdict from cells that are invalid on either side.
pub(super) fn withhold(cells: &mut [ComparedCell], invalid: &[InvalidSide]) {
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

/// The side that is compared with, in `InvalidSide::side`.
pub(super) const BASE: &str = "base";

/// The side that is judged.
pub(super) const NEW: &str = "new";
