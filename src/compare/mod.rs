//! Verdicts between runs. A run is one observation, however many packets it sent: each run of a
//! cell gives one value per metric.
//!
//! A metric is *worse* (or *better*) if the Mann-Whitney test, with Holm's correction for all
//! comparisons, finds a difference, and the whole interval of the effect is beyond the threshold.
//! It is the *same* if the whole interval is within the threshold, and *undecided* otherwise. The
//! threshold is the larger of the user's tolerance and the noise floor (A/A) of this machine. If a
//! run of either side is invalid, the two *cannot be compared*.
//!
//! `store` reads kept runs from files and folders; `history` follows them over time.

mod build;
mod differences;
pub(crate) mod document;
#[cfg(test)]
mod fixture;
pub(crate) mod formats;
pub(crate) mod history;
mod input;
mod judge;
pub(crate) mod noise;
pub(crate) mod order;
mod pairs;
pub(crate) mod show;
#[cfg(test)]
mod simulations;
pub(crate) mod stats;
pub(crate) mod store;
pub(crate) mod text;
mod validity;
mod warnings;

pub(crate) use build::{CompareError, compare};
pub(crate) use document::{Comparison, Learned, Verdict};
pub(crate) use input::{RunFacts, SideRuns};
pub(crate) use judge::{METRICS, Rules};
