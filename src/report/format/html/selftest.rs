//! The page of `selftest`.

use super::doctor::without_empty_columns;
use super::{draw_texts, element, page, run};
use crate::document::SelftestDocument;
use crate::report::format::text::{selftest_grid, selftest_title, selftest_verdict};

pub(in crate::report::format) fn selftest(document: &SelftestDocument) -> String {
    let (title, (ok, verdict)) = (selftest_title(document), selftest_verdict(document));
    let tag = match ok {
        Some(true) => "p class=\"valid\"",
        Some(false) => "p class=\"invalid\"",
        None => "p class=\"doubt\"",
    };
    let mut body = element("h1", &title) + &element(tag, &verdict);
    body += &draw_texts("checks", &without_empty_columns(&selftest_grid(document)));
    let head = &document.head;
    body += &run((&head.started_at, &head.host, &head.tool), &[], &head.command);
    page(&title, &body)
}
