//! How much of its intervals a chart over time shows.

use super::Value;
use crate::document::Interval;

/// Charts of a kind that are not folded. Arbitrary: two rows of three.
pub(super) const UNFOLDED: usize = 6;

/// The most points of a line, and the most columns of a heat map and of stalls: those of more
/// intervals are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Detail {
    points: usize,
    columns: usize,
}

impl Detail {
    /// Arbitrary: 2 units of the drawing a column, and 100 kB of the page a map.
    pub(super) const FULL: Self = Self { points: usize::MAX, columns: 120 };
    /// Of charts that are folded, of which a page may have hundreds. Arbitrary: a point for 2 units
    /// of the drawing, and 60 kB of the page a chart.
    pub(super) const FOLDED: Self = Self { points: 128, columns: 32 };

    /// The intervals of each column.
    pub(super) fn columns(self, intervals: &[Interval]) -> impl Iterator<Item = &[Interval]> {
        intervals.chunks(intervals.len().div_ceil(self.columns).max(1))
    }

    /// How many of so many intervals two points stand for; 1 if each has its point.
    pub(super) const fn group(self, intervals: usize) -> usize {
        if intervals > self.points { intervals.div_ceil(self.points / 2) } else { 1 }
    }

    /// The lowest and the highest of each group of points, in their order, or an unknown one if all
    /// are unknown.
    pub(super) fn thin(self, points: &[(f64, Option<Value>)]) -> Vec<(f64, Option<Value>)> {
        let group = self.group(points.len());
        if group == 1 {
            return points.to_vec();
        }
        let extremes = points.chunks(group).flat_map(|group| {
            let known = group.iter().enumerate();
            let known = known.filter_map(|(at, (_, value))| Some((at, value.as_ref()?.y)));
            let by_value = |one: &(usize, f64), other: &(usize, f64)| one.1.total_cmp(&other.1);
            let low = known.clone().min_by(by_value).map_or(0, |(at, _)| at);
            let high = known.max_by(by_value).map_or(0, |(at, _)| at);
            let (first, last) = (low.min(high), low.max(high));
            let last = (last > first).then(|| group[last].clone());
            [Some(group[first].clone()), last]
        });
        extremes.flatten().collect()
    }
}
