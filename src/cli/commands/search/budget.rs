//! The time that a search may take.

use std::time::Instant;

use crate::cli::args::{CellCommand, SearchArgs};
use crate::cli::error::{CliResult, usage};
use crate::cli::scenario;
use crate::unit::Nanos;

#[derive(Debug)]
pub(super) struct TimeBudget {
    begun: Instant,
    total: Nanos,
    /// When the present search has to end, since the beginning.
    until: Nanos,
    /// What a trial takes beyond its length: by its flags, and then the most of all trials so far.
    extra: Nanos,
}

impl TimeBudget {
    /// The budget of these arguments; an error if it is shorter than a trial per search.
    pub(super) fn new(
        args: &SearchArgs,
        command: &CellCommand,
        searches: usize,
    ) -> CliResult<Option<Self>> {
        let Some(total) = args.budget else { return Ok(None) };
        let extra = scenario::beyond_window(command);
        let least = Nanos((args.time + extra).0.saturating_mul(searches.max(1) as u64));
        if total < least {
            let trials = match searches {
                0 | 1 => "one trial takes".to_owned(),
                more => format!("one trial of each of {more} searches takes"),
            };
            return usage(format!(
                "--budget {total}: {trials} up to {least} (--time {}, and {extra} for the warm-up \
                 and late replies); use a longer --budget or a shorter --time",
                args.time
            ));
        }
        Ok(Some(Self { begun: Instant::now(), total, until: total, extra }))
    }

    /// Gives the present search its part of the time left, one of `searches` equal ones.
    pub(super) fn begin_search(&mut self, searches: usize) {
        let now = self.now();
        self.until = now + Nanos(self.total.since(now).0 / searches.max(1) as u64);
    }

    /// Whether `cells` of this length fit in the time left for all searches.
    pub(super) fn fits(&self, cells: usize, time: Nanos) -> bool {
        let all = (time + self.extra).0.saturating_mul(cells as u64);
        all <= self.total.since(self.now()).0
    }

    /// The time left for the present search, and what a trial takes beyond its length.
    pub(super) fn left(&self) -> (Nanos, Nanos) {
        (self.until.since(self.now()), self.extra)
    }

    /// Notes how long a trial of this length took since `started`.
    pub(super) fn note_trial(&mut self, time: Nanos, started: Instant) {
        self.extra = self.extra.max(Nanos::from(started.elapsed()).since(time));
    }

    pub(super) const fn total(&self) -> Nanos {
        self.total
    }

    fn now(&self) -> Nanos {
        self.begun.elapsed().into()
    }
}
