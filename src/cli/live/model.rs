//! What the view shows, as plain data.

use crate::document::Interval;
use crate::unit::RateUnit;

/// The most intervals kept of a server: those of a cell are bounded by its scale. Arbitrary: 17
/// minutes of seconds, more than the widest terminal shows.
const MOST_INTERVALS: usize = 1_024;
/// The most lines kept. Arbitrary: more than any terminal shows.
const MOST_ROWS: usize = 256;

/// Titles of the columns of a list, and of its lines.
pub(super) type ListRow = [String; 7];

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// The command and its target.
    pub(super) title: String,
    /// How far it is.
    pub(super) state: String,
    /// Whether it is a server, which knows only what it received.
    pub(super) is_server: bool,
    /// What rates count.
    pub(super) unit: RateUnit,
    /// Of the running cell, or of a server.
    pub(super) intervals: Vec<Interval>,
    /// The reverse direction, if this host sends and receives (`--bidir`).
    pub(super) reverse: Vec<Interval>,
    /// Whether it does.
    pub(super) is_both: bool,
    /// Labels, and what is known beside intervals.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Cells that are done, or clients that have left.
    pub(super) titles: [&'static str; 7],
    pub(super) rows: Vec<ListRow>,
}

impl Model {
    pub(super) fn add_interval(&mut self, interval: Interval) {
        self.intervals.push(interval);
        let excess = self.intervals.len().saturating_sub(MOST_INTERVALS);
        self.intervals.drain(..excess);
    }

    pub(super) fn add_row(&mut self, row: ListRow) {
        self.rows.push(row);
        let excess = self.rows.len().saturating_sub(MOST_ROWS);
        self.rows.drain(..excess);
    }
}

/// CPU time of all workers as a share of the interval.
pub(super) fn cpu(interval: &Interval) -> Option<String> {
    let width = interval.end_ns.saturating_sub(interval.start_ns);
    let cpu_ns = interval.cpu_ns.filter(|_| width > 0)?;
    Some(format!("{:.0}%", cpu_ns as f64 / width as f64 * 100.0))
}
