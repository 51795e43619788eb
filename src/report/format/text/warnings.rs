//! The warnings of a document, worst first; of each code the one of the worst cell.

use super::style::{Color, Style, Styler, columns, distinct, wrap};
use crate::document::{Cell, Report, Warning};
use crate::report::checks::warning_codes::{rank, size};

/// How many cells a warning names before it only counts them; arbitrary, about a line.
const NAMED: usize = 3;

/// How many warnings are shown without `-v`. Arbitrary: few enough to be read.
const SHOWN: usize = 3;

/// Columns of a warning without `-v`. Arbitrary: the width for files and pipes.
const LONGEST: usize = 100;

/// Columns kept for cell names next to a long message. Arbitrary: a usual name.
const LEAST_NAMED: usize = 16;

pub(super) struct Line {
    code: String,
    pub(super) message: String,
    pub(super) about: String,
}

pub(super) fn draw(report: &Report, style: Style) -> Option<String> {
    render(&lines(report), style)
}

pub(crate) fn of_run(warnings: &[Warning], style: Style) -> Option<String> {
    let mut sorted: Vec<&Warning> = warnings.iter().collect();
    sorted.sort_by_key(|warning| rank(warning, None));
    let line = |one: &Warning| Line {
        code: one.code.clone(),
        message: one.message.clone(),
        about: String::new(),
    };
    render(&sorted.into_iter().map(line).collect::<Vec<_>>(), style)
}

fn render(all: &[Line], style: Style) -> Option<String> {
    let styler = Styler { color: style.color };
    let shown = if style.verbose { all } else { &all[..all.len().min(SHOWN)] };
    if shown.is_empty() {
        return None;
    }
    let mut lines = vec![styler.paint(Color::Title, "Warnings")];
    lines.extend(shown.iter().flat_map(|one| bullet(styler, style, one)));
    let more = match all.len() - shown.len() {
        0 => String::new(),
        more => format!("… {more} more: -v · "),
    };
    let codes: Vec<_> = shown.iter().take(SHOWN).map(|one| one.code.as_str()).collect();
    let hint = format!("{more}udperf explain {}", codes.join(" "));
    lines.extend(styler.paint_lines(Color::Quiet, wrap(&hint, style.width, 2)));
    Some(lines.join("\n"))
}

/// One line for each code, worst first.
pub(super) fn lines(report: &Report) -> Vec<Line> {
    let whole_run = report.warnings.iter().map(|warning| (warning, None));
    // What was asked only to learn what max is, has no row, and no figure.
    let shown = |cell: &&Cell| !(cell.calibration && cell.exchange.is_some());
    let of_cells = report
        .cells
        .iter()
        .filter(shown)
        .flat_map(|cell| cell.warnings.iter().map(move |warning| (warning, Some(cell))));
    let all: Vec<(&Warning, Option<&Cell>)> = whole_run.chain(of_cells).collect();
    let all_cells = distinct(report.cells.iter().map(|cell| cell.id.as_str())).len();
    let mut list = Vec::new();
    let mut sorted = all.clone();
    sorted.sort_by_key(|(warning, cell)| rank(warning, *cell));
    for code in distinct(sorted.iter().map(|(warning, _)| warning.code.as_str())) {
        let alike: Vec<_> = all.iter().filter(|(warning, _)| warning.code == code).collect();
        let Some(worst) = worst(&alike) else { continue };
        let ids = |only_same: bool| {
            let of = alike.iter().filter(|(warning, _)| !only_same || *warning == worst);
            distinct(of.filter_map(|(_, cell)| cell.map(|cell| cell.id.as_str())))
        };
        let same = ids(true);
        let about = concerned(&same, all_cells);
        let about = match ids(false).len().saturating_sub(same.len()) {
            0 => about,
            more => format!("{about} +{more}"),
        };
        let message = worst.message.trim().to_owned();
        list.push(Line { code: code.to_owned(), message, about });
    }
    list
}

/// The worst of warnings of one code; of those that are equally bad, the first.
fn worst<'a>(alike: &[&(&'a Warning, Option<&Cell>)]) -> Option<&'a Warning> {
    let size = |one: &(&Warning, Option<&Cell>)| one.1.map(|cell| size(one.0, cell));
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

/// A warning in at most [`LONGEST`] columns, or whole if it is verbose.
fn bullet(styler: Styler, style: Style, line: &Line) -> Vec<String> {
    let room = if style.verbose { usize::MAX } else { LONGEST - 2 };
    // A cell is named, however long the message.
    let named = match line.about.chars().count() {
        0 => 0,
        length => length.min(LEAST_NAMED) + 3,
    };
    let message = shorten(&line.message, room - named);
    let room = room.saturating_sub(columns(&message) + 3);
    let about = match line.about.as_str() {
        "" => String::new(),
        about if room > 0 => format!(" [{}]", shorten_middle(about, room)),
        _ => String::new(),
    };
    let mark = styler.paint(Color::Warning, "!");
    let about = about.split(' ').map(|word| styler.paint(Color::Quiet, word));
    let text = format!("{mark} {message}{}", about.collect::<Vec<_>>().join(" "));
    wrap(&text, style.width, 2)
}

/// Text cut to `most` columns, with a mark; the advice behind the last semicolon stays.
fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let advice = text.rfind("; ").map_or("", |at| &text[at..]);
    let room = most.saturating_sub(1);
    let (room, advice) = match room.checked_sub(advice.chars().count()) {
        Some(rest) => (rest, advice),
        None => (room, ""),
    };
    text.chars().take(room).chain(['…']).chain(advice.chars()).collect()
}

/// The same, cut in the middle: the end of a list of cells has its count.
fn shorten_middle(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let tail = most.saturating_sub(1) / 2;
    let head = most.saturating_sub(1) - tail;
    let start = text.chars().take(head);
    start.chain(['…']).chain(text.chars().skip(length - tail)).collect()
}
