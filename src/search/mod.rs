//! The highest rate at which goals hold: where the next trial is, and what all of them say. Pure
//! functions of finished trials: no clock, no I/O.
//!
//! The method follows the ideas of MLRsearch (draft-ietf-bmwg-mlrsearch): short trials narrow the
//! interval first and long ones later; what a short trial said is asked again by a longer one, and
//! where the two disagree, the longer one is right and the interval is widened again; at the end a
//! rate counts only by several trials of full length. What fails at a rate makes everything above
//! it doubtful, so the answer is the highest passing rate below the lowest failing one.
//!
//! A generator that does not send what it was asked for says nothing about its target: such trials
//! bound the search, and the result names the generator.

mod bounds;
mod disturbance;
mod error;
mod found;
mod judge;
mod machine;
#[cfg(test)]
mod tests;

pub use error::SearchError;
pub use found::found;
pub use judge::outcome;
pub use machine::Search;

use crate::document::{TrialFigures, TrialVerdict};
use crate::unit::Nanos;

/// What a search is to reach, and at what price.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Length of the trials that decide.
    pub time: Nanos,
    /// Width of the interval at the end, as a share of its lower bound; above 0.
    pub precision: f64,
    /// So many of so many trials have to hold for a rate to pass; the first at most the second,
    /// both at least 1.
    pub repeat: (u32, u32),
    /// The first rate, in datagrams a second; `None`: what the probe delivered.
    pub start_pps: Option<f64>,
    /// The highest rate that may be asked for; `None`: whatever can be asked for.
    pub max_pps: Option<f64>,
    /// Whether trials below the result draw the curve of latency.
    pub curve: bool,
}

impl Settings {
    /// Length of the first trials: an eighth of the last ones, but no less than what the shortest
    /// stall of a virtual machine would fill. Arbitrary; shorter ones are wrong more often, and
    /// cost a longer trial each time.
    #[must_use]
    pub fn short(&self) -> Nanos {
        /// Arbitrary: a stall of some ms is a small part of it.
        const LEAST: Nanos = Nanos::from_millis(100);
        Nanos(self.time.0 / 8).max(LEAST).min(self.time)
    }

    /// Length of those between: a third. Arbitrary, about the geometric mean of the two.
    #[must_use]
    pub fn middle(&self) -> Nanos {
        Nanos(self.time.0 / 3).max(self.short())
    }

    /// The lowest rate that is asked for: so many datagrams in the shortest trial.
    #[must_use]
    pub fn floor_pps(&self) -> f64 {
        /// Arbitrary: of fewer, one lost datagram is more than any goal allows.
        const FEWEST: f64 = 10.0;
        FEWEST / self.short().as_secs_f64().max(1e-9)
    }
}

/// What the probe said: the inner command without a rate, or at the first one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchPoint {
    /// Datagrams delivered, or requests answered, a second; `None` where nothing is known of that.
    pub delivered_pps: Option<f64>,
    /// Datagrams sent a second.
    pub sent_pps: f64,
}

/// What a trial is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To find about where the rate is.
    Short,
    /// To narrow that.
    Middle,
    /// To decide.
    Final,
    /// To see that a rate below the result holds, too.
    Verify,
    /// To draw latency below the result.
    Curve,
}

impl Purpose {
    /// Its word in the document.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Middle => "middle",
            Self::Final => "final",
            Self::Verify => "verify",
            Self::Curve => "curve",
        }
    }

    /// How much it counts: more with its length. `None`: it decides nothing.
    const fn weight(self) -> Option<u8> {
        match self {
            Self::Short => Some(0),
            Self::Middle => Some(1),
            Self::Final | Self::Verify => Some(2),
            Self::Curve => None,
        }
    }

    /// Whether it is as long as those that decide.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Final | Self::Verify)
    }
}

/// A trial to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrialRequest {
    /// Datagrams a second.
    pub rate_pps: f64,
    /// For so long.
    pub time: Nanos,
    /// Why.
    pub purpose: Purpose,
}

/// What a trial said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrialOutcome {
    /// Whether all goals held, and the path took what was asked for; `None` where that is not
    /// known.
    pub held: Option<bool>,
    /// The first goal of which it is not known, as typed.
    pub unknown: Option<String>,
    /// Whether a goal failed by more than whatever disturbed the trial explains.
    pub by_itself: bool,
    /// Whether the generator sent less than it was asked for, or so late that only this made
    /// latency fail, or lost what came back.
    pub generator_limited: bool,
    /// Whether workers stood still for long enough to matter.
    pub stalled: bool,
    /// Codes of the reasons why the trial did not test what was asked; empty where it did.
    pub invalid_because: Vec<String>,
    /// Datagrams sent a second.
    pub sent_pps: f64,
    /// What the document says of it.
    pub figures: TrialFigures,
}

/// A trial that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// As asked.
    pub ask: TrialRequest,
    /// As it went.
    pub outcome: TrialOutcome,
    /// What it was found to be.
    pub verdict: TrialVerdict,
    /// What it counts as; `None` where it was disturbed and is repeated, or decides nothing.
    pub counts: Option<TrialCounts>,
}

/// What a trial counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialCounts {
    /// The goals hold at this rate.
    Held,
    /// They do not.
    Failed,
    /// The generator cannot tell.
    Limited,
}
