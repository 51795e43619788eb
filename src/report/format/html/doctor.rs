//! The page of `doctor`.

use super::{Grid, draw_texts, element, page, run};
use crate::document::DoctorDocument;
use crate::report::format::text::doctor_outline;

pub(in crate::report::format) fn doctor(document: &DoctorDocument) -> String {
    let outline = doctor_outline(document);
    let tag = match outline.grade {
        "good" => "p class=\"valid\"",
        "warn" => "p class=\"doubt\"",
        _ => "p class=\"invalid\"",
    };
    let mut body = element("h1", &outline.title) + &element(tag, &outline.verdict);
    for grid in outline.grids.iter().filter(|grid| !grid.rows.is_empty()) {
        body += &draw_texts("reasons", &without_empty_columns(grid));
    }
    let head = &document.head;
    body += &run((&head.started_at, &head.host, &head.tool), &[], &head.command);
    page(&outline.title, &body)
}

/// A copy without the columns that have only a title.
pub(super) fn without_empty_columns(grid: &Grid) -> Grid {
    let is_used = |at: &usize| grid.rows.iter().any(|row| !row[*at].is_empty());
    let used: Vec<_> = (0..grid.columns.len()).filter(is_used).collect();
    let row = |row: &Vec<String>| used.iter().map(|at| row[*at].clone()).collect();
    let columns = used.iter().map(|at| grid.columns[*at].clone()).collect();
    Grid { columns, rows: grid.rows.iter().map(row).collect() }
}
