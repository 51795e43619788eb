//! The document as text for people.

mod breakdown;
mod capacity;
mod doctor;
mod head;
mod ledger;
mod matrix;
mod members;
mod notes;
mod requests;
mod rows;
mod search;
mod selftest;
mod servers;
pub(crate) mod style;
mod table;
#[cfg(test)]
mod tests;
mod warnings;
pub(crate) mod worst_interval;

pub(crate) use doctor::doctor;
pub(super) use doctor::doctor_outline;
pub(crate) use head::labels;
pub(crate) use rows::Figure;
pub(super) use rows::{Row, TableModel, measured, p50, p99};
pub(crate) use search::search;
pub(super) use search::{SearchOutline, rate, search_outline, verdict, with_loss};
pub(crate) use selftest::selftest;
pub(super) use selftest::{selftest_grid, title as selftest_title, verdict as selftest_verdict};
pub(super) use servers::{ServerOutline, echo_outline, refused, sink_outline, size_class};
pub(crate) use servers::{echo, sink};
pub(crate) use style::{Style, wrap};
pub(super) use table::{Grid, Title};
pub(crate) use warnings::of_run as warnings;

use crate::document::Report;
use crate::report::checks::fail_if::gate_rows;
use crate::report::checks::validity::invalid_lines;
use crate::report::checks::warning_codes::{Severity, find};
use style::{Color, MIN_WIDTH, NBSP, Styler, note};

/// The text, ending in a line break. Rows of the table are never broken.
pub(crate) fn render(report: &Report, style: Style) -> String {
    let styler = Styler { color: style.color };
    let style = Style { width: style.width.max(MIN_WIDTH), ..style };
    let width = style.width;
    let table = TableModel::of(report);
    let mut parts = head::lines(report, styler, width);
    let limits = limits(report).into_iter();
    parts.extend(limits.map(|text| styler.paragraph(Color::Warning, &text, width)));
    if !table.rows.is_empty() {
        parts.extend(matrix::draw(&table, styler));
        parts.push(table::draw(&table, styler, width));
    }
    let mut notes = notes::list(report, &table, styler);
    notes.extend(style.verbose.then(|| notes::xdp(report)).flatten());
    let notes: Vec<_> =
        notes.iter().map(|(label, text)| note(styler, label, text, width)).collect();
    parts.extend((!notes.is_empty()).then(|| notes.join("\n")));
    parts.extend(warnings::draw(&warnings::lines(report), style));
    parts.join("\n\n") + "\n"
}

/// What to know before any figure: what is missing, and what the limits were.
fn limits(report: &Report) -> Vec<String> {
    let lines = head::partial(report).into_iter().chain(head::generator(report));
    lines.chain(capacity::of_cells(report)).collect()
}

/// The content of the text without its layout, for formats that lay it out themselves.
pub(in crate::report) struct Outline {
    pub(in crate::report) invalid: Vec<String>,
    /// The result of a capacity probe, each line with its label; empty without one.
    pub(in crate::report) capacity: Vec<(String, String)>,
    pub(in crate::report) title: String,
    pub(in crate::report) settings: Vec<String>,
    pub(in crate::report) limits: Vec<String>,
    pub(in crate::report) grid: Option<Grid>,
    pub(in crate::report) gates: Vec<Vec<String>>,
    /// Details that do not fit into a row: label and text.
    pub(in crate::report) notes: Vec<(String, String)>,
    /// Warnings and their cells; no cells if the warning is about the run.
    pub(in crate::report) warnings: Vec<(String, String)>,
    /// Whether the first warning distorts the figures.
    pub(in crate::report) is_distorted: bool,
}

pub(in crate::report) fn outline(report: &Report) -> Outline {
    let styler = Styler { color: false };
    let table = TableModel::of(report);
    let notes = notes::list(report, &table, styler).into_iter();
    let warnings = warnings::lines(report);
    let worst = warnings.first().and_then(|worst| find(&worst.warning.code));
    Outline {
        is_distorted: worst.is_some_and(|code| code.severity <= Severity::Major),
        invalid: invalid_lines(report),
        capacity: capacity::lines(report),
        title: plain(head::title(report, styler)),
        settings: head::settings(report).into_iter().map(plain).collect(),
        limits: limits(report),
        grid: (!table.rows.is_empty()).then(|| table::grid(&table)),
        gates: gate_rows(report),
        notes: notes.map(|(label, text)| (label, plain(text))).collect(),
        warnings: listed(warnings),
    }
}

/// Without blanks that do not break a line.
fn plain(text: String) -> String {
    text.replace(NBSP, " ")
}

/// Warnings and their cells.
fn listed(warnings: Vec<warnings::Line>) -> Vec<(String, String)> {
    let warnings = warnings.into_iter();
    warnings.map(|one| (one.warning.message.trim().to_owned(), one.about)).collect()
}
