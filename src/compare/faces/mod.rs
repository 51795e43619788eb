//! A comparison in the forms that CI servers and code hosts read.

pub mod benchmark;
pub mod bmf;
pub mod junit;
pub mod markdown;

/// The least and the largest run; `None` where there is none, or one that is no number.
fn ends(runs: &[f64]) -> Option<(f64, f64)> {
    let finite = !runs.is_empty() && runs.iter().all(|run| run.is_finite());
    let low = runs.iter().copied().fold(f64::INFINITY, f64::min);
    let high = runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    finite.then_some((low, high))
}
