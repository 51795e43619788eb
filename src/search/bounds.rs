//! Adds up trials of at least some length per rate, and derives the interval.

use super::{Trial, TrialCounts};

/// Trials at one rate, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TrialTally {
    pub(super) held: u32,
    pub(super) failed: u32,
    pub(super) limited: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BoundState {
    Passes,
    Fails,
    Open,
}

impl TrialTally {
    pub(super) const fn total(self) -> u32 {
        self.held + self.failed + self.limited
    }

    /// The state of the rate if `k` of `n` trials have to hold.
    pub(super) const fn state(self, (k, n): (u32, u32)) -> BoundState {
        if self.held >= k {
            BoundState::Passes
        } else if self.failed + self.limited > n - k {
            BoundState::Fails
        } else {
            BoundState::Open
        }
    }
}

/// All rates that trials of a weight have tried, lowest first.
#[derive(Debug)]
pub(super) struct Rates {
    repeat: (u32, u32),
    by_rate: Vec<(f64, TrialTally)>,
}

impl Rates {
    pub(super) fn from_trials(trials: &[Trial], weight: u8, repeat: (u32, u32)) -> Self {
        let is_heavy =
            |trial: &&Trial| trial.request.purpose.weight().is_some_and(|one| one >= weight);
        let mut trials: Vec<&Trial> = trials.iter().filter(is_heavy).collect();
        trials.sort_by(|a, b| a.request.rate_pps.total_cmp(&b.request.rate_pps));
        let by_rate = trials.chunk_by(|a, b| a.request.rate_pps == b.request.rate_pps);
        let by_rate = by_rate.map(|equal| {
            let count =
                |counts| equal.iter().filter(|one| one.counts == Some(counts)).count() as u32;
            let (held, failed) = (count(TrialCounts::Held), count(TrialCounts::Failed));
            let tally = TrialTally { held, failed, limited: count(TrialCounts::Limited) };
            (equal[0].request.rate_pps, tally)
        });
        Self { repeat, by_rate: by_rate.collect() }
    }

    /// The trials at this rate; none if it was never tried.
    pub(super) fn at(&self, rate: f64) -> TrialTally {
        let found = self.by_rate.iter().find(|(other, _)| *other == rate);
        found.map_or_else(TrialTally::default, |(_, tally)| *tally)
    }

    pub(super) fn state(&self, rate: f64) -> BoundState {
        self.at(rate).state(self.repeat)
    }

    pub(super) fn high(&self) -> Option<f64> {
        self.in_state(BoundState::Fails).next()
    }

    /// The highest passing rate below all failing ones.
    pub(super) fn low(&self) -> Option<f64> {
        let high = self.high().unwrap_or(f64::INFINITY);
        self.in_state(BoundState::Passes).take_while(|rate| *rate < high).last()
    }

    /// An undecided rate between these two.
    pub(super) fn open_between(&self, low: f64, high: f64) -> Option<f64> {
        self.in_state(BoundState::Open).find(|rate| low < *rate && *rate < high)
    }

    fn in_state(&self, state: BoundState) -> impl Iterator<Item = f64> {
        let repeat = self.repeat;
        let is = move |(_, tally): &&(f64, TrialTally)| tally.state(repeat) == state;
        self.by_rate.iter().filter(is).map(|(rate, _)| *rate)
    }
}
