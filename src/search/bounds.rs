//! What trials of at least some length say of each rate, and of the interval as a whole.

use super::{Trial, TrialCounts};

/// What the trials at one rate add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TrialTally {
    pub(super) held: u32,
    pub(super) failed: u32,
    /// Those in which the generator was what failed.
    pub(super) limited: u32,
}

/// What is known of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BoundState {
    Passes,
    Fails,
    Open,
}

impl TrialTally {
    /// All that count.
    pub(super) const fn of(self) -> u32 {
        self.held + self.failed + self.limited
    }

    /// Where `k` of `n` have to hold.
    pub(super) const fn standing(self, (k, n): (u32, u32)) -> BoundState {
        if self.held >= k {
            BoundState::Passes
        } else if self.failed + self.limited > n - k {
            BoundState::Fails
        } else {
            BoundState::Open
        }
    }
}

/// All rates that were tried by trials of a weight, lowest first.
#[derive(Debug)]
pub(super) struct Rates {
    repeat: (u32, u32),
    by_rate: Vec<(f64, TrialTally)>,
}

impl Rates {
    pub(super) fn of(trials: &[Trial], weight: u8, repeat: (u32, u32)) -> Self {
        let mut by_rate: Vec<(f64, TrialTally)> = Vec::new();
        let heavy = |trial: &&Trial| trial.ask.purpose.weight().is_some_and(|one| one >= weight);
        for trial in trials.iter().filter(heavy) {
            let rate = trial.ask.rate_pps;
            let at = by_rate.iter().position(|(other, _)| *other == rate).unwrap_or_else(|| {
                by_rate.push((rate, TrialTally::default()));
                by_rate.len() - 1
            });
            let tally = &mut by_rate[at].1;
            match trial.counts {
                Some(TrialCounts::Held) => tally.held += 1,
                Some(TrialCounts::Failed) => tally.failed += 1,
                Some(TrialCounts::Limited) => tally.limited += 1,
                None => {}
            }
        }
        by_rate.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Self { repeat, by_rate }
    }

    /// What is known of this rate; `None` where it was never tried.
    pub(super) fn at(&self, rate: f64) -> Option<TrialTally> {
        self.by_rate.iter().find(|(other, _)| *other == rate).map(|(_, tally)| *tally)
    }

    pub(super) fn standing(&self, rate: f64) -> BoundState {
        self.at(rate).unwrap_or_default().standing(self.repeat)
    }

    /// The lowest rate that fails.
    pub(super) fn high(&self) -> Option<f64> {
        self.with(BoundState::Fails).next()
    }

    /// The highest rate that passes, below all that fail.
    pub(super) fn low(&self) -> Option<f64> {
        let high = self.high().unwrap_or(f64::INFINITY);
        self.with(BoundState::Passes).take_while(|rate| *rate < high).last()
    }

    /// A rate between these two of which nothing is settled yet.
    pub(super) fn open_between(&self, low: f64, high: f64) -> Option<f64> {
        self.with(BoundState::Open).find(|rate| low < *rate && *rate < high)
    }

    fn with(&self, standing: BoundState) -> impl Iterator<Item = f64> {
        let repeat = self.repeat;
        let is = move |(_, tally): &&(f64, TrialTally)| tally.standing(repeat) == standing;
        self.by_rate.iter().filter(is).map(|(rate, _)| *rate)
    }
}
