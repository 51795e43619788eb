//! The table without its layout, for formats that lay it out themselves.

use super::{Column, Shown, latency_titles, text, wanted};
use crate::report::format::text::rows::TableModel;
use crate::report::format::text::style::Styler;

/// A table: as many cells a row as there are columns.
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
pub(in crate::report::format::text) fn grid(sheet: &TableModel<'_>) -> Grid {
    let ink = Styler { color: false };
    let latency = latency_titles(sheet).into_iter().next().unwrap_or_default();
    let wanted = wanted(sheet).into_iter().filter(|&column| column != Column::Bar);
    let shown: Vec<Shown> = wanted
        .map(|column| {
            let cell = |row| text(column, row, ink).trim().to_owned();
            Shown { column, cells: sheet.rows.iter().map(cell).collect(), width: 0 }
        })
        .collect();
    let uncut = |at: usize| if sheet.rows[at].uncut() { super::UNCUT_MARK } else { "" };
    let title = |one: &Shown| Title {
        text: one.column.title_in(sheet).trim().to_owned(),
        group: match one.column {
            column if column.is_latency() => latency.clone(),
            column if column.is_speed() && sheet.merged.is_some() => "flat out".to_owned(),
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
        rows: (0..sheet.rows.len())
            .map(|at| shown.iter().map(|one| cell(one, at)).collect())
            .collect(),
    }
}
