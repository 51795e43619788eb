//! A comparison in the forms that CI servers and code hosts read.

pub mod benchmark;
pub mod bmf;
pub mod junit;
pub mod markdown;

/// The least and the largest run; `None` where there is none, or one that is no number.
fn ends(runs: &[Option<f64>]) -> Option<(f64, f64)> {
    let runs: Vec<f64> = runs.iter().copied().collect::<Option<_>>()?;
    let low = runs.iter().copied().min_by(f64::total_cmp)?;
    Some((low, runs.iter().copied().max_by(f64::total_cmp)?))
}
