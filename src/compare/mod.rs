//! Verdicts between runs. The replicate is a run, never a packet: each run of a cell gives one
//! figure a metric, and what is concluded rests on those.
//!
//! A figure is *worse* (or *better*) where two things agree: Mann and Whitney's test finds that the
//! runs differ, corrected for all comparisons that are made (Holm), and the whole interval of the
//! effect lies beyond the threshold. It is the *same* where the whole interval lies within it.
//! Anything else is *undecided*. The threshold is the larger of what the user tolerates and what
//! this machine was seen to make of runs that are all alike. If a run of either side is invalid,
//! because it did not test what was asked, the two *cannot be compared*.
//!
//! Runs that were kept are read from files and folders (`store`), and followed over time
//! (`history`).

mod build;
mod differences;
pub mod document;
mod error;
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

pub use build::compare;
pub use document::{Comparison, InvalidSide, Learned, Verdict};
pub use error::CompareError;
pub use input::{RunFacts, SideRuns};
pub use judge::{METRICS, Rules};
