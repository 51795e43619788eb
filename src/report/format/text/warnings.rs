//! The warnings of a document, worst first; of each code the one of the worst cell.

use super::style::{Color, Style, Styler, cut, cut_start, display_width, distinct, wrap};
use crate::document::{Cell, Report, Warning};
use crate::report::checks::warning_codes::{rank, size};

/// How many cells a warning names before it only counts them; arbitrary, about a line.
const MAX_NAMED: usize = 3;

/// How many warnings are shown without `-v`. Arbitrary: few enough to be read.
const MAX_SHOWN: usize = 3;

/// Columns of a warning without `-v`. Arbitrary: the width for files and pipes.
const MAX_COLUMNS: usize = 100;

/// Columns kept for cell names next to a long message. Arbitrary: a usual name.
const MIN_NAME: usize = 16;

pub(super) struct Line {
    pub(super) warning: Warning,
    /// The cells; empty for the whole run.
    pub(super) about: String,
}

pub(crate) fn of_run(warnings: &[Warning], style: Style) -> Option<String> {
    let mut sorted: Vec<&Warning> = warnings.iter().collect();
    sorted.sort_by_key(|warning| rank(warning, None));
    let line = |one: &Warning| Line { warning: one.clone(), about: String::new() };
    draw(&sorted.into_iter().map(line).collect::<Vec<_>>(), style)
}

pub(super) fn draw(all: &[Line], style: Style) -> Option<String> {
    let styler = Styler { color: style.color };
    let shown = if style.verbose { all } else { &all[..all.len().min(MAX_SHOWN)] };
    if shown.is_empty() {
        return None;
    }
    let mut lines = vec![styler.paint(Color::Title, "Warnings")];
    lines.extend(shown.iter().flat_map(|one| bullet(styler, style, one)));
    let more = match all.len() - shown.len() {
        0 => String::new(),
        more => format!("… {more} more: -v · "),
    };
    let codes = distinct(shown.iter().take(MAX_SHOWN).map(|one| one.warning.code.as_str()));
    let hint = format!("{more}udperf explain {}", codes.join(" "));
    lines.push(styler.paragraph(Color::Quiet, &hint, style.width));
    Some(lines.join("\n"))
}

/// One line for each code, worst first.
pub(super) fn lines(report: &Report) -> Vec<Line> {
    // A calibration cell of requests has no row and no figure.
    let is_shown = |cell: &&Cell| !(cell.calibration && cell.exchange.is_some());
    let of_cells = report.cells.iter().filter(is_shown);
    let of_cells =
        of_cells.flat_map(|cell| cell.warnings.iter().map(move |warning| (warning, Some(cell))));
    let of_run = report.warnings.iter().map(|warning| (warning, None));
    let all: Vec<(&Warning, Option<&Cell>)> = of_run.chain(of_cells).collect();
    let mut sorted = all.clone();
    sorted.sort_by_key(|(warning, cell)| rank(warning, *cell));
    let all_cells = distinct(report.cells.iter().map(|cell| cell.id.as_str())).len();
    let codes = distinct(sorted.iter().map(|(warning, _)| warning.code.as_str()));
    let line = |code: &str| {
        let alike = || all.iter().copied().filter(|(warning, _)| warning.code == code);
        let worst = worst(alike())?;
        let ids = |only_same: bool| {
            let of = alike().filter(|(warning, _)| !only_same || *warning == worst);
            distinct(of.filter_map(|(_, cell)| Some(cell?.id.as_str())))
        };
        let same = ids(true);
        let about = affected_cells(&same, all_cells);
        let about = match ids(false).len() - same.len() {
            0 => about,
            more => format!("{about} +{more}"),
        };
        Some(Line { warning: worst.clone(), about })
    };
    codes.into_iter().filter_map(line).collect()
}

/// The worst of warnings of one code; of those that are equally bad, the first.
fn worst<'a>(alike: impl Iterator<Item = (&'a Warning, Option<&'a Cell>)>) -> Option<&'a Warning> {
    let sized = alike.map(|(warning, cell)| (warning, cell.map(|cell| size(warning, cell))));
    let worst = sized.reduce(|worst, one| if one.1 > worst.1 { one } else { worst });
    worst.map(|(warning, _)| warning)
}

fn affected_cells(cells: &[&str], all: usize) -> String {
    match cells.len() {
        0 => String::new(),
        count if count == all && count > 1 => "all cells".to_owned(),
        count if count <= MAX_NAMED => cells.join(", "),
        count => format!("{count} of {all} cells"),
    }
}

/// A warning in at most [`MAX_COLUMNS`], or in full if the style is verbose.
fn bullet(styler: Styler, style: Style, line: &Line) -> Vec<String> {
    let space = if style.verbose { usize::MAX } else { MAX_COLUMNS - 2 };
    // Cells are named next to a message of any length.
    let named = match display_width(&line.about) {
        0 => 0,
        length => length.min(MIN_NAME) + 3,
    };
    // The advice after the last semicolon is kept.
    let message = line.warning.message.trim();
    let advice = message.rfind("; ").map_or(0, |at| display_width(&message[at..]));
    let message = shorten(message, space - named, advice);
    let space = space.saturating_sub(display_width(&message) + 3);
    let about = match line.about.as_str() {
        "" => String::new(),
        // A list of cells ends with its count.
        about if space > 0 => format!(" [{}]", shorten(about, space, (space - 1) / 2)),
        _ => String::new(),
    };
    let mark = styler.paint(Color::Warning, "!");
    let about = about.split(' ').map(|word| styler.paint(Color::Quiet, word));
    let text = format!("{mark} {message}{}", about.collect::<Vec<_>>().join(" "));
    wrap(&text, style.width, 2)
}

/// Text cut to `most` columns, with a mark before the last `tail` ones, if they fit.
fn shorten(text: &str, most: usize, tail: usize) -> String {
    if display_width(text) <= most {
        return text.to_owned();
    }
    let head = most.saturating_sub(1);
    let (head, tail) = head.checked_sub(tail).map_or((head, 0), |head| (head, tail));
    format!("{}…{}", cut(text, head), cut_start(text, tail))
}
