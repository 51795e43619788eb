//! The table without its layout, for formats that lay it out themselves.

use super::{Column, Shown, latency_titles, text, wanted};
use crate::report::format::text::rows::TableModel;
use crate::report::format::text::style::Styler;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct Grid {
    pub(in crate::report) columns: Vec<Title>,
    pub(in crate::report) rows: Vec<Vec<String>>,
}

/// What stands above a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct Title {
    pub(in crate::report) text: String,
    /// What it is a part of, where that has to be said: `flat out`, or which latency.
    pub(in crate::report) group: String,
    /// Whether words are in it, rather than numbers.
    pub(in crate::report) is_left: bool,
}

/// The columns of the text, but for the bar; each row says all that it is.
pub(in crate::report::format::text) fn grid(table: &TableModel<'_>) -> Grid {
    let styler = Styler { color: false };
    let latency = latency_titles(table).into_iter().next().unwrap_or_default();
    let wanted = wanted(table).into_iter().filter(|&column| column != Column::Bar);
    let shown: Vec<Shown> = wanted
        .map(|column| {
            let cell = |row| text(column, row, styler).trim().to_owned();
            Shown { column, cells: table.rows.iter().map(cell).collect(), width: 0 }
        })
        .collect();
    let uncut = |at: usize| if table.rows[at].uncut() { super::UNCUT_MARK } else { "" };
    let title = |one: &Shown| Title {
        text: one.column.title_in(table).trim().to_owned(),
        group: match one.column {
            column if column.is_latency() => latency.clone(),
            column if column.is_speed() && table.merged.is_some() => "flat out".to_owned(),
            _ => String::new(),
        },
        is_left: one.column.is_left(),
    };
    let cell = |one: &Shown, at: usize| match one.column {
        Column::Pps => one.cells[at].clone() + uncut(at),
        _ => one.cells[at].clone(),
    };
    Grid {
        columns: shown.iter().map(title).collect(),
        rows: (0..table.rows.len())
            .map(|at| shown.iter().map(|one| cell(one, at)).collect())
            .collect(),
    }
}
