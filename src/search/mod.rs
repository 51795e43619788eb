//! Searches the highest rate at which goals hold, as pure functions of finished trials.
//!
//! The method follows MLRsearch (draft-ietf-bmwg-mlrsearch). Short trials narrow the interval
//! first, then longer ones. A longer trial repeats a shorter one; if they disagree, the longer one
//! wins and the interval widens again. A rate passes or fails only by several trials of full
//! length. The result is the highest passing rate below the lowest failing one. A trial whose
//! generator sends less than requested does not test the target, and is an upper bound.

mod bounds;
pub(crate) mod capacity;
mod disturbance;
mod found;
mod judge;
pub(crate) mod limit;
mod machine;
#[cfg(test)]
mod tests;

pub(crate) use found::found;
pub(crate) use judge::outcome;
pub(crate) use machine::Search;

use crate::document::{TrialFigures, TrialVerdict};
use crate::unit::Nanos;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) time: Nanos,
    /// Width of the interval at the end, as a share of its lower bound; above 0.
    pub(crate) precision: f64,
    /// `(k, n)`: a rate passes if `k` of `n` trials hold; 1 <= k <= n.
    pub(crate) repeat: (u32, u32),
    /// The first rate, in datagrams per second; `None`: the rate that the probe delivered.
    pub(crate) start_pps: Option<f64>,
    /// The highest rate to try, in datagrams per second; `None`: no limit but that of rates.
    pub(crate) max_pps: Option<f64>,
    pub(crate) curve: bool,
}

impl Settings {
    /// Length of the short trials: an eighth of the final ones, at least 100 ms. Arbitrary: shorter
    /// trials are wrong more often, and each mistake costs a longer trial.
    pub(crate) fn short(&self) -> Nanos {
        /// Arbitrary: a stall of some ms is a small part of it.
        const MIN: Nanos = Nanos::from_millis(100);
        Nanos(self.time.0 / 8).max(MIN).min(self.time)
    }

    /// Length of the middle trials: a third. Arbitrary, about the geometric mean of the other two.
    pub(crate) fn middle(&self) -> Nanos {
        Nanos(self.time.0 / 3).max(self.short())
    }

    /// The lowest rate to try, in datagrams per second.
    pub(crate) fn min_pps(&self) -> f64 {
        /// Datagrams in the shortest trial. Arbitrary: of fewer, one loss exceeds every goal.
        const MIN_DATAGRAMS: f64 = 10.0;
        MIN_DATAGRAMS / self.short().as_secs_f64().max(1e-9)
    }
}

/// What a trial is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Finds the region of the rate.
    #[default]
    Short,
    /// Narrows the region.
    Middle,
    /// Decides whether a rate passes.
    Final,
    /// Checks that a rate below the result holds, too.
    Verify,
    /// Measures latency below the result.
    Curve,
}

impl Purpose {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Middle => "middle",
            Self::Final => "final",
            Self::Verify => "verify",
            Self::Curve => "curve",
        }
    }

    /// How much it counts: longer trials count more. `None`: it does not affect the result.
    const fn weight(self) -> Option<u8> {
        match self {
            Self::Short => Some(0),
            Self::Middle => Some(1),
            Self::Final | Self::Verify => Some(2),
            Self::Curve => None,
        }
    }

    pub(crate) const fn is_final(self) -> bool {
        matches!(self, Self::Final | Self::Verify)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TrialRequest {
    pub(crate) rate_pps: f64,
    pub(crate) time: Nanos,
    pub(crate) purpose: Purpose,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TrialOutcome {
    /// Whether all goals held and the path took the requested rate; `None` if unknown.
    pub(crate) held: Option<bool>,
    /// The first goal whose figure is unknown, as typed.
    pub(crate) unknown: Option<String>,
    /// Whether a goal failed by more than the disturbances of the trial explain.
    pub(crate) fails_undisturbed: bool,
    /// Whether the generator sent less than requested, sent late, or lost replies.
    pub(crate) generator_limited: bool,
    /// Whether workers stalled long enough to matter.
    pub(crate) stalled: bool,
    /// Codes of the reasons why the trial is invalid; empty if it is valid.
    pub(crate) invalid_because: Vec<String>,
    /// What failed or disturbed it, as text.
    pub(crate) reasons: Vec<String>,
    pub(crate) sent_pps: f64,
    pub(crate) figures: TrialFigures,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trial {
    pub(crate) request: TrialRequest,
    pub(crate) outcome: TrialOutcome,
    pub(crate) verdict: TrialVerdict,
    /// `None` if it was disturbed and is repeated, or does not count.
    pub(crate) counts: Option<TrialCounts>,
}

/// What a trial counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrialCounts {
    /// The goals hold at this rate.
    Held,
    Failed,
    /// The generator was too slow to test the target.
    Limited,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SearchError {
    #[error(
        "goal '{goal}': its figure is unknown in two trials in a row, so no rate can be found; run \
         the inner command with -J to see its figures, or name another goal"
    )]
    Unknown { goal: String },
}
