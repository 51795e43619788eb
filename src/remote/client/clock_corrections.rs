//! The clock corrections that a client sent during a phase, in bounded memory.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::run::phase::PhaseState;

/// The number of recent corrections that a reply may confirm: as many as the session keeps.
/// Arbitrary.
pub(super) const CONFIRMABLE: usize = 32;

/// The most stretches; with more, each two are merged. Arbitrary: some 30 KiB, in which a stretch
/// has 1 s after a quarter of an hour, and 2 min after a day.
const STRETCHES: usize = 1_024;

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
    /// The corrections before those.
    stretches: Vec<Stretch>,
}

/// A correction.
#[derive(Debug, Clone, Copy)]
struct Shift {
    at_ns: u64,
    /// How far the sink's clock is ahead of the estimate.
    shift_ns: i64,
    confirmed: bool,
}

impl ClockCorrections {
    pub(super) fn new(offset_ns: i64, receivers: Option<Arc<PhaseState>>) -> Self {
        let (recent, stretches) = (VecDeque::new(), Vec::new());
        Self { offset_ns, receivers, recent, in_force: (0, 0), stretches }
    }

    pub(super) fn push(&mut self, at_ns: u64, shift_ns: i64) {
        self.recent.push_back(Shift { at_ns, shift_ns, confirmed: false });
        if self.recent.len() > CONFIRMABLE
            && let Some(shift) = self.recent.pop_front()
        {
            let Self { in_force, stretches, .. } = self;
            apply_shift(shift, in_force, &mut |at_ns, in_force| {
                stretches.push(Stretch::at(at_ns, in_force))
            });
            if stretches.len() > STRETCHES {
                let halved = stretches.chunks(2).map(|pair| match pair {
                    [one, next] => one.merge(next),
                    _ => pair[0],
                });
                *stretches = halved.collect();
            }
        }
    }

    pub(super) fn confirm(&mut self, at_ns: u64) {
        self.recent.iter_mut().for_each(|shift| shift.confirmed |= shift.at_ns == at_ns);
    }

    /// Calls `visit` with the range of corrections that may have been in force, at and just before
    /// each correction, and at `end_ns`. An unconfirmed one may have been lost: until the next
    /// confirmed one, it and its predecessor may be in force.
    pub(super) fn visit_all(mut self, end_ns: u64, visit: &mut impl FnMut(u64, (i64, i64))) {
        self.stretches.iter().for_each(|stretch| stretch.visit_all(visit));
        self.recent.iter().for_each(|&shift| apply_shift(shift, &mut self.in_force, visit));
        visit(end_ns, self.in_force);
    }
}

/// Advances the range in force by one correction.
fn apply_shift(shift: Shift, in_force: &mut (i64, i64), visit: &mut impl FnMut(u64, (i64, i64))) {
    let Shift { at_ns, shift_ns, confirmed } = shift;
    let (least, most) = *in_force;
    *in_force = (least.min(shift_ns), most.max(shift_ns));
    visit(at_ns, *in_force);
    if confirmed {
        *in_force = (shift_ns, shift_ns);
    }
}

/// The range in force over a time: a line, and the distances below and above it.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: (u64, i64),
    to: (u64, i64),
    below: i64,
    above: i64,
}

impl Stretch {
    /// At one time.
    const fn at(at_ns: u64, (least, most): (i64, i64)) -> Self {
        let point = (at_ns, least);
        Self { from: point, to: point, below: 0, above: most.saturating_sub(least) }
    }

    fn line(&self, at_ns: u64) -> i64 {
        let (from, to) = (self.from, self.to);
        let whole = i128::from(to.0.saturating_sub(from.0)).max(1);
        let part = i128::from(at_ns.saturating_sub(from.0));
        let rise = (i128::from(to.1) - i128::from(from.1)) * part / whole;
        from.1.saturating_add(i64::try_from(rise).unwrap_or_default())
    }

    /// Twice the middle of the range: time and correction.
    fn doubled_middle(&self) -> (i128, i128) {
        let of = |one: u64, other: u64| i128::from(one) + i128::from(other);
        let shift = i128::from(self.from.1) + i128::from(self.to.1);
        (of(self.from.0, self.to.0), shift + i128::from(self.above) - i128::from(self.below))
    }

    /// Merges with the next stretch: a line through both middles, since single outliers would tilt
    /// a line through the ends. The result contains both ranges.
    fn merge(&self, next: &Self) -> Self {
        let ((at, shift), (next_at, next_shift)) = (self.doubled_middle(), next.doubled_middle());
        let on = |at_ns: u64| {
            let rise = (next_shift - shift) * (2 * i128::from(at_ns) - at) / (next_at - at).max(1);
            (at_ns, i64::try_from((shift + rise) / 2).unwrap_or(self.from.1))
        };
        let (from, to) = (on(self.from.0), on(next.to.0));
        let mut both = Self { from, to, below: 0, above: 0 };
        let line = both;
        let mut take = |at_ns: u64, (least, most): (i64, i64)| {
            // One more for the rounding of the line.
            let (low, high) = (line.line(at_ns).saturating_sub(1), line.line(at_ns) + 1);
            both.below = both.below.max(high.saturating_sub(least));
            both.above = both.above.max(most.saturating_sub(low));
        };
        self.visit_all(&mut take);
        next.visit_all(&mut take);
        both
    }

    /// Visits its corners: linear drift has its extremes there.
    fn visit_all(&self, visit: &mut impl FnMut(u64, (i64, i64))) {
        for (at_ns, shift_ns) in [self.from, self.to] {
            let least = shift_ns.saturating_sub(self.below);
            visit(at_ns, (least, shift_ns.saturating_add(self.above)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least and the most of `offset - shift` by an offset that drifts by 50 ppm.
    fn errors(corrections: ClockCorrections, end_ns: u64) -> (i64, i64) {
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        corrections.visit_all(end_ns, &mut |at_ns, (low, high)| {
            let offset = (at_ns / 20_000) as i64;
            (least, most) = (least.min(offset - high), most.max(offset - low));
        });
        (least, most)
    }

    #[test]
    fn a_day_takes_as_much_memory_as_an_hour_and_keeps_the_extremes() {
        let step_ns = 100_000_000;
        let mut corrections = ClockCorrections::new(0, None);
        let (mut low, mut high) = (i64::MAX, i64::MIN);
        let mut random = fastrand::Rng::with_seed(0);
        for step in 1..=864_000_u64 {
            let at_ns = step * step_ns;
            // Follows the drift with an error of up to 100 ns, and once of 7 µs.
            let off = random.i64(0..100);
            let off = if step == 300_000 { 7_000 } else { off };
            corrections.push(at_ns, (at_ns / 20_000) as i64 - off);
            corrections.confirm(at_ns);
            (low, high) = (low.min(off), high.max(off));
            assert!(
                corrections.recent.len() <= CONFIRMABLE && corrections.stretches.len() <= STRETCHES
            );
        }
        let (least, most) = errors(corrections, 864_000 * step_ns);
        assert!(least <= low && most >= high, "{least} {most}");
        // Just before a correction, the error has 5 µs of drift more; merging may double it.
        assert!(most >= 12_000 && most - least < 30_000, "{least} {most}");
    }

    #[test]
    fn an_unconfirmed_correction_may_be_in_force_or_not() {
        let mut corrections = ClockCorrections::new(0, None);
        (1..=1_000).for_each(|step| corrections.push(step, -5 * step as i64));
        let (least, most) = errors(corrections.clone(), 1_001);
        assert_eq!((least, most), (0, 5_000));
        corrections.confirm(1_000);
        let mut last = (0, (0, 0));
        corrections.visit_all(1_001, &mut |at_ns, in_force| last = (at_ns, in_force));
        assert_eq!(last, (1_001, (-5_000, -5_000)));
    }
}
