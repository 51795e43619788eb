//! The content of the text report without its layout, for formats that lay it out themselves.

use super::requests;
use super::rows::TableModel;
use super::style::{GLUE, Styler};
use super::table::{Grid, grid};
use super::{head, notes, warnings};
use crate::document::Report;
use crate::report::checks::validity::invalid_lines;

/// Wider than any line, so that none is broken. Arbitrary.
const UNBROKEN: usize = 1 << 20;

#[derive(Debug)]
pub(in crate::report) struct Outline {
    /// Why the run did not test what was asked, a line each; empty where it did.
    pub(in crate::report) invalid: Vec<String>,
    pub(in crate::report) title: String,
    /// On what, and how.
    pub(in crate::report) settings: Vec<String>,
    /// What to know before any figure: what is missing, what the limit was.
    pub(in crate::report) first: Vec<String>,
    pub(in crate::report) grid: Option<Grid>,
    /// The result of each `--fail-if` in each cell; empty without `--fail-if`.
    pub(in crate::report) gates: Vec<Vec<String>>,
    /// What a row has no room for: a label, and text.
    pub(in crate::report) notes: Vec<(String, String)>,
    /// Warnings, and which cells they are about; empty for the whole run.
    pub(in crate::report) warnings: Vec<(String, String)>,
}

pub(in crate::report) fn outline(report: &Report) -> Outline {
    let styler = Styler { color: false };
    let table = TableModel::of(report);
    let head = head::draw(report, styler, UNBROKEN);
    let mut settings: Vec<String> = head.lines().map(str::to_owned).collect();
    let title = if settings.is_empty() { String::new() } else { settings.remove(0) };
    let first = head::partial(report, styler, UNBROKEN)
        .into_iter()
        .chain(requests::generator(report, styler, UNBROKEN));
    let plain = |(label, text): (String, String)| (label, text.replace(GLUE, " "));
    let notes = match report.cells.is_empty() {
        true => Vec::new(),
        false => notes::list(report, &table, styler).into_iter().map(plain).collect(),
    };
    Outline {
        invalid: invalid_lines(report),
        title,
        settings,
        first: first.collect(),
        grid: (!table.rows.is_empty()).then(|| grid(&table)),
        gates: crate::report::checks::gates::rows(report),
        notes,
        warnings: warnings::lines(report).into_iter().map(|one| (one.message, one.about)).collect(),
    }
}
