//! The table, and which of its columns are omitted on a narrow terminal.

mod columns;

use super::rows::TableModel;
use super::style::{self, Color, GAP, STALL_MARK, Styler, align, requested_rate};
use columns::{Column, ColumnGroup, Columns, MIN_BAR, bar};

/// The width of the bar where there is room to spare; arbitrary.
const MAX_BAR: usize = 16;

/// Columns to omit if the table is too wide, in this order; the bar has no name.
const OMITTED: [&str; 4] = ["Gbit/s", "", "CPU", "p99.9"];

/// Draws the table in at most `width` columns, as far as omitting columns can achieve that.
pub(super) fn draw(table: &TableModel<'_>, styler: Styler, width: usize) -> String {
    let mut shown = Columns::of(table, styler);
    for name in OMITTED {
        if total(&shown) <= width {
            break;
        }
        shown.retain(|column| column.name() != name);
    }
    let spare = width.saturating_sub(total(&shown));
    if let Some(column) = shown.iter_mut().find(|column| column.name().is_empty()) {
        *column = bar(table, styler, (MIN_BAR + spare).min(MAX_BAR));
    }
    let is_repeated = |at: usize, index: usize| {
        let is_same = |column: &Column| at > 0 && column.cells[at] == column.cells[at - 1];
        shown[index].group == ColumnGroup::Key && shown[..=index].iter().all(is_same)
    };
    let cell = |at: usize, index: usize| match is_repeated(at, index) {
        true => String::new(),
        false => shown[index].cells[at].clone(),
    };
    let mut rows: Vec<Vec<String>> =
        vec![shown.iter().map(|column| styler.paint(Color::Quiet, &column.title)).collect()];
    rows.extend(
        (0..table.rows.len()).map(|at| (0..shown.len()).map(|index| cell(at, index)).collect()),
    );
    let lines = align(&rows, |at| shown[at].is_left());
    match heading(&shown, table, styler) {
        heading if heading.is_empty() => lines,
        heading => format!("{heading}\n{lines}"),
    }
}

fn total(shown: &[Column]) -> usize {
    shown.iter().map(|column| column.width() + GAP).sum::<usize>().saturating_sub(GAP)
}

/// The line above the titles: the groups of columns.
fn heading(shown: &[Column], table: &TableModel<'_>, styler: Styler) -> String {
    let mut line = String::new();
    let mut used = 0;
    for group in [ColumnGroup::Speed, ColumnGroup::Latency] {
        let first = shown.iter().position(|column| column.group == group).unwrap_or(0);
        let count = shown[first..].iter().filter(|column| column.group == group).count();
        let before: usize = shown[..first].iter().map(|column| column.width() + GAP).sum();
        let mut length = total(&shown[first..first + count]);
        if group == ColumnGroup::Latency {
            // The mark beside a maximum is not part of the figures.
            length = length.saturating_sub(STALL_MARK.len());
        }
        let titles = if length > 0 { titles(group, table) } else { Vec::new() };
        let fits = |title: &&String| style::display_width(title) + 4 <= length;
        let Some(title) = titles.iter().find(fits).or_else(|| titles.last()) else { continue };
        let rules = length.saturating_sub(style::display_width(title) + 2);
        let rule = |count| styler.paint(Color::Quiet, &"─".repeat(count));
        line.push_str(&" ".repeat(before.saturating_sub(used)));
        line.push_str(&format!("{} {title} {}", rule(rules / 2), rule(rules - rules / 2)));
        used = before + length;
    }
    line.trim_end().to_owned()
}

/// Titles of a group of columns, from the longest to the shortest; empty if it needs none.
fn titles(group: ColumnGroup, table: &TableModel<'_>) -> Vec<String> {
    let way = if table.has_requests { "round trip" } else { "one way" };
    let is_scheduled = table.timing().any(|cell| cell.pace.is_some());
    match (group, table.merged) {
        (ColumnGroup::Speed, Some(_)) => vec!["flat out".to_owned()],
        (ColumnGroup::Latency, _) if table.has_requests && !is_scheduled => vec![way.to_owned()],
        (ColumnGroup::Latency, None) => vec![
            format!("latency, {way} from schedule"),
            format!("{way} from schedule"),
            "from schedule".to_owned(),
        ],
        (ColumnGroup::Latency, Some(word)) => {
            let rate = requested_rate(word);
            let of_that = if word.ends_with('%') { " of that" } else { "" };
            vec![
                format!("latency at {rate}{of_that}, {way} from schedule"),
                format!("{way} from schedule at {rate}{of_that}"),
                format!("{way} from schedule at {rate}"),
                format!("from schedule at {rate}"),
            ]
        }
        _ => Vec::new(),
    }
}

/// The table without its layout, for formats that lay it out themselves.
pub(in crate::report) struct Grid {
    pub(in crate::report) columns: Vec<Title>,
    pub(in crate::report) rows: Vec<Vec<String>>,
}

#[derive(Clone)]
pub(in crate::report) struct Title {
    pub(in crate::report) text: String,
    /// The group of columns, such as `flat out`; empty if it has no title.
    pub(in crate::report) group: String,
    /// Whether it is aligned left, because it has words rather than numbers.
    pub(in crate::report) is_left: bool,
}

impl Title {
    /// Of a column in no group.
    pub(super) fn new(text: &str, is_left: bool) -> Self {
        Self { text: text.to_owned(), group: String::new(), is_left }
    }
}

/// The columns of the text except the bar; each row has all its keys.
pub(super) fn grid(table: &TableModel<'_>) -> Grid {
    let mut columns = Columns::of(table, Styler { color: false });
    columns.retain(|column| !column.name().is_empty());
    let title = |column: &Column| Title {
        text: column.title.trim().to_owned(),
        group: titles(column.group, table).into_iter().next().unwrap_or_default(),
        is_left: column.is_left(),
    };
    let row = |at: usize| columns.iter().map(|column| column.cells[at].trim().to_owned()).collect();
    Grid {
        columns: columns.iter().map(title).collect(),
        rows: (0..table.rows.len()).map(row).collect(),
    }
}
