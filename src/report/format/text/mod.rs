//! The document as text for people.

mod breakdown;
mod doctor;
mod echo;
mod head;
mod ledger;
mod matrix;
mod notes;
mod outages;
mod outline;
mod remote;
mod requests;
mod rows;
mod search;
mod sink;
pub(crate) mod style;
mod table;
#[cfg(test)]
mod tests;
mod warnings;

pub use doctor::doctor;
pub use echo::echo;
pub(super) use outline::{Outline, outline};
pub use search::search;
pub use sink::sink;
pub use style::Style;
pub(crate) use style::wrap;
pub(super) use table::{Grid, Title};
pub(crate) use warnings::of_run as warnings;

use crate::document::Report;
use crate::report::format::text::style::Styler;
use rows::TableModel;

/// The least width of the text. Arbitrary: about the table without its optional columns.
const NARROWEST: usize = 60;

/// The text, ending in a line break. Rows of the table are never broken.
#[must_use]
pub fn render(report: &Report, style: Style) -> String {
    let styler = Styler { color: style.color };
    let width = style.width.max(NARROWEST);
    let table = TableModel::of(report);
    let mut parts: Vec<String> = head::invalid(report, styler, width).into_iter().collect();
    parts.push(head::draw(report, styler, width));
    parts.extend(head::partial(report, styler, width));
    parts.extend(requests::generator(report, styler, width));
    if !table.rows.is_empty() {
        parts.extend(matrix::draw(&table, styler));
        parts.push(table::draw(&table, styler, width));
    }
    if !report.cells.is_empty() {
        parts.push(notes::draw(report, &table, styler, width));
    }
    parts.extend(warnings::draw(report, Style { width, ..style }));
    parts.join("\n\n") + "\n"
}
