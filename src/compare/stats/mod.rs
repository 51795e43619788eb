//! What can be concluded from a handful of runs, without supposing how they are distributed.

mod bootstrap;
mod holm;
mod rank;

pub use bootstrap::{Interval, RESAMPLES, difference_of_means, ratio_of_medians, split_noise};
pub use holm::holm;
pub use rank::{mann_whitney, runs_needed, smallest_p};

/// The mean; `None` of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The same values, ascending.
#[must_use]
pub fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_nothing_is_none() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
    }
}
