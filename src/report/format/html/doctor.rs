//! The page of `doctor`.

use super::{draw_grid, element, page, run};
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
        body += &format!("<section class=\"reasons\">\n{}</section>\n", draw_grid(grid));
    }
    let head = &document.head;
    body += &run((&head.started_at, &head.host, &head.tool), &[], &head.command);
    page(&outline.title, &body)
}
