//! A line on standard error that says how far a run is.

mod ended;
pub(crate) mod intervals;

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::args::{CellArgs, OutputArgs};
use super::output::stderr_width;
use crate::document::Cell;
use crate::measure::ClientStats;
use crate::plan::Plan;
use crate::report::format::text::style::{counted, cut, grouped};
use crate::run::{Observer, Progress};
use crate::unit::Nanos;
pub(crate) use ended::EndedIntervals;
use intervals::IntervalProgress;

/// Set-up, drain and tear-down of a cell beside its warm-up and measurement. Measured.
const CELL_OVERHEAD: Nanos = Nanos::from_millis(15);

/// The line is drawn no more often. Arbitrary: four times a second, as cells report progress.
const REDRAW: Duration = Duration::from_millis(250);

/// Columns of the bar. Arbitrary: leaves room for the cell and its last interval on 80 columns.
const BAR: usize = 10;

/// Whether standard error is a terminal that can move its cursor.
pub(crate) fn has_terminal() -> bool {
    let is_dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stderr().is_terminal() && !is_dumb()
}

/// A line on a terminal's standard error, until it is dropped. The coordinating thread draws it:
/// there may be no core for another thread.
pub(crate) struct StatusLine {
    is_on: bool,
    drawn: Option<Instant>,
}

impl StatusLine {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { is_on: !quiet && has_terminal(), drawn: None }
    }

    /// Shows a text, cut to the width of the terminal.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        if !self.is_on || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        let width = stderr_width().unwrap_or(usize::MAX);
        let text = text();
        let _ = write!(io::stderr(), "\r\x1b[2K{}", cut(&text, width.saturating_sub(1)));
    }

    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How far a run is, and the intervals of its cells as they end.
pub(crate) struct ProgressLine<'a> {
    line: StatusLine,
    /// The number of the cell, and when it began.
    cell: (usize, Instant),
    intervals: Option<IntervalProgress<'a>>,
}

impl<'a> ProgressLine<'a> {
    pub(crate) fn new(quiet: bool) -> Self {
        let cell = (usize::MAX, Instant::now());
        Self { line: StatusLine::new(quiet), cell, intervals: None }
    }

    /// With intervals: in the line, and a line for each if `has_lines`.
    pub(crate) fn with_intervals(quiet: bool, plan: &'a Plan, has_lines: bool) -> Self {
        let line = Self::new(quiet);
        let is_shown = line.line.is_on || has_lines;
        Self { intervals: is_shown.then(|| IntervalProgress::new(plan, has_lines)), ..line }
    }

    /// Prints the intervals of a measured cell that ended unnoticed.
    pub(crate) fn finish_cell(&mut self, cell: &Cell) {
        let lines = self.intervals.as_mut().map(|intervals| intervals.rest(cell));
        self.print(&lines.unwrap_or_default());
    }

    fn print(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            self.line.clear();
            let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
        }
    }
}

/// Whether each interval gets a line on standard error.
pub(crate) fn has_interval_lines(cells: &CellArgs) -> bool {
    let OutputArgs { quiet, verbose, .. } = cells.output.common;
    !quiet && (verbose || (cells.interval.is_some() && !io::stderr().is_terminal()))
}

/// ` · 12s left`, if it is known; `began`: when the running cell did.
pub(crate) fn time_left(progress: Progress<'_>, began: Instant) -> Option<String> {
    let cells = progress.of.saturating_sub(progress.done) as u64;
    let all = Nanos((progress.cell_takes? + CELL_OVERHEAD).0.saturating_mul(cells));
    let seconds = all.since(Nanos::from(began.elapsed())).to_duration().as_secs();
    Some(format!(" · {} left", humantime::format_duration(Duration::from_secs(seconds))))
}

impl Observer for ProgressLine<'_> {
    fn progress(&mut self, progress: Progress<'_>) {
        let Progress { done, of, id, live, .. } = progress;
        if self.cell.0 != done {
            self.cell = (done, Instant::now());
            self.intervals.iter_mut().for_each(IntervalProgress::begin_cell);
        }
        if let (Some(intervals), Some(live)) = (&mut self.intervals, live) {
            let lines = intervals.lines_of_ended(done, live);
            self.print(&lines);
        }
        let began = self.cell.1;
        let latest = self.intervals.as_ref().map(IntervalProgress::summary);
        self.line.show(|| {
            let filled = BAR * done / of.max(1);
            let bar = "█".repeat(filled) + &"░".repeat(BAR.saturating_sub(filled));
            let left = time_left(progress, began).unwrap_or_default();
            format!("{bar} {done}/{of} {id}{left}{}", latest.unwrap_or_default())
        });
    }
}

/// The notice that a client has left.
pub(crate) fn client_left(client: &ClientStats) -> String {
    let ClientStats { from, why, cells, rx, lost, sent, .. } = client;
    let lost = lost.map_or_else(|| "an unknown number".to_owned(), grouped);
    format!(
        "client {from} left ({why}): {}, {} received, {lost} lost, {} sent",
        counted(*cells, "cell"),
        counted(rx.received, "datagram"),
        grouped(*sent)
    )
}
