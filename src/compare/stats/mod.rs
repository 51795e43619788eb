//! What can be concluded from a handful of runs, without supposing how they are distributed.

mod bootstrap;
mod holm;
mod rank;

pub use bootstrap::{Interval, RESAMPLES, difference_of_means, ratio_of_medians, split_noise};
pub use holm::holm;
pub use rank::{mann_whitney, runs_needed, smallest_p};

/// The median: the mean of the two in the middle where their number is even; `None` of nothing.
/// Values have to be sorted.
#[must_use]
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

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
    fn the_middle_of_an_even_number_is_between_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 4.0]), Some(2.5));
        assert_eq!(median(&sorted(vec![9.0, 1.0, 4.0])), Some(4.0));
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
    }
}
