//! Verdicts between runs. The replicate is a run, never a packet: each run of a cell gives one
//! value per metric.
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
pub mod document;
#[cfg(test)]
mod fixture;
pub mod formats;
pub mod history;
mod input;
mod judge;
pub mod noise;
pub mod order;
mod pairs;
pub mod show;
#[cfg(test)]
mod simulations;
pub mod stats;
pub mod store;
pub mod text;
mod validity;
mod warnings;

pub use build::{CompareError, compare};
pub use document::{Comparison, InvalidSide, Learned, Verdict};
pub use input::{RunFacts, SideRuns};
pub use judge::{METRICS, Rules};
