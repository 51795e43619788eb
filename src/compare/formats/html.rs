//! A comparison as a page: the verdict, the table, and what it rests on.

use super::effects;
use crate::compare::document::{Comparison, Verdict};
use crate::compare::{show, text};
use crate::report::format::html;
use crate::report::format::text::style::Styler;

pub(crate) fn render(comparison: &Comparison) -> String {
    let (title, body) = body(comparison);
    html::page(&title, &body)
}

/// The title of the page, and what is below it.
pub(crate) fn body(comparison: &Comparison) -> (String, String) {
    let title = text::title(comparison).join(" · ");
    let tag = match comparison.verdict {
        Verdict::Better | Verdict::Same => "p class=\"valid\"",
        Verdict::Worse | Verdict::CannotCompare => "p class=\"invalid\"",
        Verdict::Undecided => "p class=\"doubt\"",
    };
    let mut body = html::element("h1", &title) + &html::element(tag, &show::headline(comparison));
    let titles = text::titles(comparison).into_iter().enumerate();
    let titles: Vec<_> = titles.map(|(at, title)| (title, text::is_left(at))).collect();
    let rows = comparison.cells.iter().flat_map(|cell| text::rows(cell, Styler { color: false }));
    body += &html::table(&[], &titles, &rows.collect::<Vec<_>>());
    body += &html::notes(&text::notes(comparison));
    let note = "The change and its interval in each cell. Shaded: changes that count as none.";
    body += &html::titled("Changes", note, &effects::charts(comparison));
    let warnings = comparison.warnings.iter();
    let warnings = warnings.map(|warning| (warning.message.clone(), String::new()));
    body += &html::warnings(&warnings.collect::<Vec<_>>());
    let sides =
        text::sides(comparison).map(|(name, side, _)| format!("{name}: {}", text::runs(side)));
    let head = &comparison.head;
    body += &html::run((&head.started_at, &head.host, &head.tool), &sides, &head.command);
    (title, body)
}
