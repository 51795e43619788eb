//! What the numbers do not say: every kind of warning in the document, once. Those with figures in
//! them differ from cell to cell: the message of the worst cell is shown, the others are counted.

use super::style::distinct;
use crate::document::{Cell, Report, Warning};
use crate::report::checks::warnings::severity;
use crate::report::format::text::style::{Color, Styler, glue, wrap};

/// How many cells a warning names before it only counts them; arbitrary, about a line.
const NAMED: usize = 3;

/// Warnings of the run, then those of cells, in order of first appearance; `None` without any.
pub(super) fn draw(report: &Report, ink: Styler, width: usize) -> Option<String> {
    let mut lines = vec![ink.paint(Color::Title, "What the numbers do not say")];
    for (message, about) in list(report) {
        lines.extend(bullet(ink, width, &message, &about));
    }
    (lines.len() > 1).then(|| lines.join("\n"))
}

/// These warnings alone; `None` without any.
pub(super) fn tell(warnings: &[Warning], ink: Styler, width: usize) -> Option<String> {
    let mut lines = vec![ink.paint(Color::Title, "What the numbers do not say")];
    lines.extend(warnings.iter().flat_map(|one| bullet(ink, width, &one.message, "")));
    (lines.len() > 1).then(|| lines.join("\n"))
}

/// What [`draw`] draws: what is said, and which cells it is about.
pub(super) fn list(report: &Report) -> Vec<(String, String)> {
    let whole_run = report.warnings.iter().map(|warning| (warning, None));
    // What was asked only to learn what max is, has no row, and no figure to doubt.
    let shown = |cell: &&Cell| !(cell.calibration && cell.exchange.is_some());
    let of_cells = report
        .cells
        .iter()
        .filter(shown)
        .flat_map(|cell| cell.warnings.iter().map(move |warning| (warning, Some(cell))));
    let said: Vec<(&Warning, Option<&Cell>)> = whole_run.chain(of_cells).collect();
    let all_cells = distinct(report.cells.iter().map(|cell| cell.id.as_str())).len();
    let mut list = Vec::new();
    for code in distinct(said.iter().map(|(warning, _)| warning.code.as_str())) {
        let alike: Vec<_> = said.iter().filter(|(warning, _)| warning.code == code).collect();
        let Some(worst) = worst(&alike) else { continue };
        let ids = |only_same: bool| {
            let of = alike.iter().filter(|(warning, _)| !only_same || *warning == worst);
            distinct(of.filter_map(|(_, cell)| cell.map(|cell| cell.id.as_str())))
        };
        let same = ids(true);
        let about = concerned(&same, all_cells);
        let about = match ids(false).len().saturating_sub(same.len()) {
            0 => about,
            1 => format!("worst: {about}, 1 more cell"),
            more => format!("worst: {about}, {more} more cells"),
        };
        list.push((worst.message.trim().to_owned(), about));
    }
    list
}

/// The worst of warnings of one code; of those that are equally bad, the first.
fn worst<'a>(alike: &[&(&'a Warning, Option<&Cell>)]) -> Option<&'a Warning> {
    let size =
        |one: &(&Warning, Option<&Cell>)| one.1.map_or((0.0, 0.0), |cell| severity(one.0, cell));
    let worse = |one: &(&Warning, Option<&Cell>), than: &(&Warning, Option<&Cell>)| {
        size(one).partial_cmp(&size(than)) == Some(std::cmp::Ordering::Greater)
    };
    let found = alike.iter().copied().reduce(|a, b| if worse(b, a) { b } else { a });
    found.map(|(warning, _)| *warning)
}

/// Which cells a warning is about.
fn concerned(cells: &[&str], all: usize) -> String {
    match cells.len() {
        0 => String::new(),
        count if count == all && count > 1 => "all cells".to_owned(),
        count if count <= NAMED => cells.join(", "),
        count => format!("{count} of {all} cells"),
    }
}

fn bullet(ink: Styler, width: usize, message: &str, cells: &str) -> Vec<String> {
    let mark = ink.paint(Color::Doubt, "!");
    let about: Vec<_> = cells.split(", ").filter(|cell| !cell.is_empty()).map(glue).collect();
    let last = about.len().saturating_sub(1);
    let about = about.iter().enumerate().map(|(at, cell)| {
        let open = if at == 0 { "[" } else { "" };
        let close = if at == last { "]" } else { "," };
        ink.paint(Color::Quiet, &format!("{open}{cell}{close}"))
    });
    let words: Vec<_> = [format!("{mark} {}", message.trim())].into_iter().chain(about).collect();
    wrap(&words.join(" "), width, 2)
}
