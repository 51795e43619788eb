//! Medians.

/// The median; between the two middle values their mean. `None` without values.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    Some(f64::midpoint(values[(values.len() - 1) / 2], *upper))
}

/// The lower of the two middle values, which was measured. `None` without values.
pub fn lower_median<T: PartialOrd>(values: impl IntoIterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    (!values.is_empty()).then(|| values.swap_remove((values.len() - 1) / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_number_of_values_has_two_middle_ones() {
        assert_eq!((median([]), lower_median::<u64>([])), (None, None));
        for (values, mean, lower) in [
            (vec![3.0], 3.0, 3.0),
            (vec![9.0, 1.0, 4.0], 4.0, 4.0),
            (vec![4.0, 1.0], 2.5, 1.0),
            (vec![9.0, 4.0, 7.0, 1.0], 5.5, 4.0),
            (vec![f64::INFINITY, f64::INFINITY], f64::INFINITY, f64::INFINITY),
        ] {
            assert_eq!(median(values.clone()), Some(mean), "{values:?}");
            assert_eq!(lower_median(values.clone()), Some(lower), "{values:?}");
        }
    }
}
