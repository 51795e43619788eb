//! The clock corrections that a client sent during a phase, in little memory.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::run::phase::PhaseState;

/// The recent corrections that a reply may confirm. Arbitrary: as many as the session keeps syncs.
pub(super) const CONFIRMABLE: usize = 32;

/// The corrections of a phase: its estimate of the sink's clock improves while it runs.
#[derive(Debug, Clone)]
pub(super) struct ClockCorrections {
    /// The estimated offset of the sink's clock when the phase began.
    pub(super) offset_ns: i64,
    /// The local receivers, whose senders are at the sink.
    pub(super) receivers: Option<Arc<PhaseState>>,
    recent: VecDeque<Shift>,
    /// The least and the most correction that may be in force before those.
    in_force: (i64, i64),
    /// The hulls of the ranges in force earlier.
    lower: Vec<Point>,
    upper: Vec<Point>,
}

#[derive(Debug, Clone, Copy)]
struct Shift {
    at_ns: u64,
    /// How far the sink's clock is ahead of the estimate.
    shift_ns: i64,
    confirmed: bool,
}

/// A time and a correction.
type Point = (u64, i64);

impl ClockCorrections {
    pub(super) fn new(offset_ns: i64, receivers: Option<Arc<PhaseState>>) -> Self {
        let (recent, lower, upper) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { offset_ns, receivers, recent, in_force: (0, 0), lower, upper }
    }

    pub(super) fn push(&mut self, at_ns: u64, shift_ns: i64) {
        self.recent.push_back(Shift { at_ns, shift_ns, confirmed: false });
        if self.recent.len() > CONFIRMABLE
            && let Some(shift) = self.recent.pop_front()
        {
            let (least, most) = shift.apply(&mut self.in_force);
            extend_hull(&mut self.lower, (shift.at_ns, least), 1);
            extend_hull(&mut self.upper, (shift.at_ns, most), -1);
        }
    }

    pub(super) fn confirm(&mut self, at_ns: u64) {
        self.recent.iter_mut().for_each(|shift| shift.confirmed |= shift.at_ns == at_ns);
    }

    /// The corrections that may be in force at or just before each correction, and at `end_ns`, as
    /// far as a line can be farthest from them. An unconfirmed one may have been lost: until the
    /// next confirmed one, it and its predecessor may be in force.
    pub(super) fn extremes(mut self, end_ns: u64) -> Vec<(u64, i64)> {
        let mut points = [self.lower, self.upper].concat();
        for shift in self.recent {
            let (least, most) = shift.apply(&mut self.in_force);
            points.extend([(shift.at_ns, least), (shift.at_ns, most)]);
        }
        points.extend([(end_ns, self.in_force.0), (end_ns, self.in_force.1)]);
        points
    }
}

impl Shift {
    /// Advances the range in force, and returns the one at this correction.
    fn apply(self, in_force: &mut (i64, i64)) -> (i64, i64) {
        let range = (in_force.0.min(self.shift_ns), in_force.1.max(self.shift_ns));
        *in_force = if self.confirmed { (self.shift_ns, self.shift_ns) } else { range };
        range
    }
}

/// Adds a later point to a convex hull, the lower one if `side` is 1, the upper one if it is -1:
/// the distance to a line is least and greatest at a corner of a hull. Clocks drift evenly, so few
/// points are corners; ten a second would take 14 MB a day.
fn extend_hull(hull: &mut Vec<Point>, point: Point, side: i128) {
    let minus =
        |a: Point, b: Point| (i128::from(a.0) - i128::from(b.0), i128::from(a.1) - i128::from(b.1));
    while let [.., first, last] = hull[..] {
        let ((dx, dy), (ex, ey)) = (minus(last, first), minus(point, first));
        if side * (dx * ey - dy * ex) > 0 {
            break;
        }
        hull.pop();
    }
    hull.push(point);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least and the most of `offset - shift` by an offset that drifts by 50 ppm.
    fn errors(corrections: ClockCorrections, end_ns: u64) -> (i64, i64) {
        let error = |(at_ns, shift_ns): Point| (at_ns / 20_000) as i64 - shift_ns;
        let errors: Vec<_> = corrections.extremes(end_ns).into_iter().map(error).collect();
        (*errors.iter().min().unwrap(), *errors.iter().max().unwrap())
    }

    #[test]
    fn a_day_takes_little_memory_and_keeps_the_extremes() {
        let step_ns = 100_000_000;
        let mut corrections = ClockCorrections::new(0, None);
        let (mut low, mut high) = (i64::MAX, i64::MIN);
        let mut random = fastrand::Rng::with_seed(0);
        for step in 1..=864_000_u64 {
            let at_ns = step * step_ns;
            // Follows the drift with an error of up to 100 ns, and once of 7 µs.
            let error = if step == 300_000 { 7_000 } else { random.i64(0..100) };
            corrections.push(at_ns, (at_ns / 20_000) as i64 - error);
            corrections.confirm(at_ns);
            (low, high) = (low.min(error), high.max(error));
        }
        assert!(corrections.recent.len() + corrections.lower.len() + corrections.upper.len() < 500);
        let (least, most) = errors(corrections, 864_000 * step_ns);
        // Just before a correction, the error has 5 µs of drift more.
        assert_eq!(least, low);
        assert_eq!(most, high + 5_000);
    }

    #[test]
    fn an_unconfirmed_correction_may_be_in_force_or_not() {
        let mut corrections = ClockCorrections::new(0, None);
        (1..=1_000).for_each(|step| corrections.push(step, -5 * step as i64));
        assert_eq!(errors(corrections.clone(), 1_001), (0, 5_000));
        corrections.confirm(1_000);
        assert!(corrections.extremes(1_001).ends_with(&[(1_001, -5_000); 2]));
    }
}
