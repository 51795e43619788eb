//! What the numbers do not say: every warning of the document, each once.

use super::ink::{Ink, Tone, glue, wrap};
use super::rows::distinct;
use crate::report::document::{Report, Warning};

/// How many messages of one kind are told apart before the rest is only counted: messages with
/// figures in them differ from cell to cell. Arbitrary; the document has them all.
const ALIKE: usize = 3;

/// How many cells a warning names before it only counts them; arbitrary, about a line.
const NAMED: usize = 3;

/// Warnings of the run, then those of cells, in order of first appearance; `None` without any.
pub(super) fn draw(report: &Report, ink: Ink, width: usize) -> Option<String> {
    let whole_run = report.warnings.iter().map(|warning| (warning, None));
    let of_cells = report.cells.iter().flat_map(|cell| {
        cell.warnings.iter().map(move |warning| (warning, Some(cell.id.as_str())))
    });
    let said: Vec<(&Warning, Option<&str>)> = whole_run.chain(of_cells).collect();
    let all_cells = distinct(report.cells.iter().map(|cell| cell.id.as_str())).len();
    let mut lines = vec![ink.paint(Tone::Title, "What the numbers do not say")];
    for code in distinct(said.iter().map(|(warning, _)| warning.code.as_str())) {
        let alike = said.iter().filter(|(warning, _)| warning.code == code);
        let messages = distinct(alike.map(|(warning, _)| *warning));
        for &warning in messages.iter().take(ALIKE) {
            let by = said.iter().filter(|(other, _)| *other == warning);
            let cells = distinct(by.filter_map(|(_, cell)| *cell));
            lines.extend(bullet(ink, width, &warning.message, &concerned(&cells, all_cells)));
        }
        let more = messages.len().saturating_sub(ALIKE);
        if more > 0 {
            let text = format!("{more} more of this kind ({code}); --json has them all");
            lines.extend(bullet(ink, width, &text, ""));
        }
    }
    (lines.len() > 1).then(|| lines.join("\n"))
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

fn bullet(ink: Ink, width: usize, message: &str, cells: &str) -> Vec<String> {
    let mark = ink.paint(Tone::Doubt, "!");
    let about: Vec<_> = cells.split(", ").filter(|cell| !cell.is_empty()).map(glue).collect();
    let last = about.len().saturating_sub(1);
    let about = about.iter().enumerate().map(|(at, cell)| {
        let open = if at == 0 { "[" } else { "" };
        let close = if at == last { "]" } else { "," };
        ink.paint(Tone::Quiet, &format!("{open}{cell}{close}"))
    });
    let words: Vec<_> = [format!("{mark} {}", message.trim())].into_iter().chain(about).collect();
    wrap(&words.join(" "), width, 2)
}
