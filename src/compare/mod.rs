//! Verdicts between runs. A run is one observation, however many datagrams it sent: each run of a
//! cell gives one value per metric.
//!
//! A metric is *worse* (or *better*) if the Mann-Whitney test, corrected for all comparisons
//! (Holm), finds a difference, and the interval of the effect is beyond the threshold. It is the
//! *same* if the interval is within the threshold, and otherwise *undecided*. The threshold is the
//! larger of the tolerance and the noise floor (A/A) of this machine.

mod build;
mod differences;
pub(crate) mod document;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod formats;
pub(crate) mod history;
mod judge;
pub(crate) mod noise;
pub(crate) mod other;
mod pairs;
pub(crate) mod show;
#[cfg(test)]
mod simulations;
pub(crate) mod stats;
pub(crate) mod store;
pub(crate) mod text;
mod validity;
mod warnings;

pub(crate) use build::{CompareError, RunFacts, SideRuns, compare};
pub(crate) use document::{Comparison, Learned, Rules, Verdict};
pub(crate) use judge::METRICS;
pub(crate) use pairs::StepRun;
