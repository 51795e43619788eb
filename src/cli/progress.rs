//! A line on standard error that says how far a run is.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::run::{Observer, Progress};
use crate::unit::Nanos;

/// Set-up, drain and tear-down of a cell beside its warm-up and measurement. Measured.
const CELL_OVERHEAD: Nanos = Nanos::from_millis(15);

/// The line is drawn no more often. Arbitrary: the eye sees no more.
const REDRAW: Duration = Duration::from_millis(50);

/// Columns of the bar. Arbitrary: leaves room for the id of a cell beside it.
const BAR: usize = 24;

/// A line on a terminal's standard error, until it is dropped. The coordinating thread draws it:
/// there may be no core for another thread.
pub(crate) struct StatusLine {
    is_on: bool,
    drawn: Option<Instant>,
}

impl StatusLine {
    pub(crate) fn new(quiet: bool) -> Self {
        let is_dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { is_on: !quiet && io::stderr().is_terminal() && !is_dumb(), drawn: None }
    }

    /// Shows a text, cut to the width of the terminal.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        if !self.is_on || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        let columns = terminal_size::terminal_size_of(io::stderr());
        let width = columns.map_or(usize::MAX, |(columns, _)| usize::from(columns.0));
        let text: String = text().chars().take(width.saturating_sub(1)).collect();
        let _ = write!(io::stderr(), "\r\x1b[2K{text}");
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

pub(crate) struct ProgressLine {
    line: StatusLine,
    /// The number of the cell, and when it began.
    cell: (usize, Instant),
}

impl ProgressLine {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { line: StatusLine::new(quiet), cell: (usize::MAX, Instant::now()) }
    }
}

impl Observer for ProgressLine {
    fn progress(&mut self, progress: Progress<'_>) {
        if self.cell.0 != progress.done {
            self.cell = (progress.done, Instant::now());
        }
        let began = self.cell.1;
        let Progress { done, of, id, cell_takes } = progress;
        self.line.show(|| {
            let filled = BAR * done / of.max(1);
            let bar = "█".repeat(filled) + &"░".repeat(BAR.saturating_sub(filled));
            let left = cell_takes.map_or_else(String::new, |takes| {
                let all =
                    Nanos((takes + CELL_OVERHEAD).0.saturating_mul(of.saturating_sub(done) as u64));
                let seconds = all.since(Nanos::from(began.elapsed())).to_duration().as_secs();
                let left = humantime::format_duration(Duration::from_secs(seconds));
                format!(" · {left} left")
            });
            format!("{bar} {done}/{of} {id}{left}")
        });
    }
}
