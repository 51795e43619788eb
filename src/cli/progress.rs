//! A line on standard error that says how far a run is.

use std::time::Instant;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::run::{Observer, Progress};
use crate::unit::Nanos;

/// Set-up, drain and tear-down of a cell beside its warm-up and measurement. Measured.
const CELL_OVERHEAD: Nanos = Nanos::from_millis(15);

/// The progress line. Drawn by the coordinating thread when it wakes anyway, never by a thread of
/// its own: there may be no core to spare.
pub(crate) struct ProgressLine {
    bar: ProgressBar,
    cell_began: Option<(usize, Instant)>,
}

impl ProgressLine {
    /// A line on standard error if that is a terminal, or none.
    pub(crate) fn new(quiet: bool) -> Self {
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        // The template is a constant; a faulty one would show as a plain line.
        if let Ok(style) = ProgressStyle::with_template("{bar:24.cyan/blue} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        Self { bar, cell_began: None }
    }

    /// A line for what nobody knows the end of.
    pub(crate) fn of_search(quiet: bool) -> Self {
        let line = Self::new(quiet);
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg}") {
            line.bar.set_style(style);
        }
        line
    }

    /// Says what comes next.
    pub(crate) fn say(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.tick();
    }

    /// Removes the line.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for ProgressLine {
    fn progress(&mut self, progress: Progress<'_>) {
        let began = match self.cell_began {
            Some((cell, began)) if cell == progress.done => began,
            _ => {
                let now = Instant::now();
                self.cell_began = Some((progress.done, now));
                now
            }
        };
        self.bar.set_length(progress.of as u64);
        self.bar.set_position(progress.done as u64);
        self.bar.set_message(match progress.cell_takes {
            Some(takes) => {
                let each = takes + CELL_OVERHEAD;
                let left = Nanos(each.0.saturating_mul((progress.of - progress.done) as u64));
                let left = left.since(Nanos::from(began.elapsed()));
                format!("{} · {} left", progress.id, HumanDuration(left.to_duration()))
            }
            None => progress.id.to_owned(),
        });
        self.bar.tick();
    }
}
