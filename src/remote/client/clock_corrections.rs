//! What a client has told its sink of their clocks while a phase ran, in a room that does not grow.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::run::phase::PhaseState;

/// How many of the latest corrections an answer may belong to: as many as the session keeps open.
/// Arbitrary.
pub(super) const CONFIRMABLE: usize = 32;

/// Stretches that are kept; with more, two become one. Arbitrary: some 30 KiB, in which a stretch
/// is of 1 s after a quarter of an hour, and of 2 min after a day.
const STRETCHES: usize = 1_024;

/// A phase whose receivers rest on an estimate of the other clock, which gets better meanwhile.
#[derive(Debug, Clone)]
pub(super) struct ClockCorrections {
    /// How much later the sink's clock was believed to be when the phase began.
    pub(super) offset_ns: i64,
    /// The receivers here, whose senders are there.
    pub(super) receivers: Option<Arc<PhaseState>>,
    /// The latest corrections that were sent.
    open: VecDeque<Shift>,
    /// The least and the most that may be in force before those.
    force: (i64, i64),
    /// What may have been in force before those, and when.
    settled: Vec<Stretch>,
}

/// A correction between the clocks.
#[derive(Debug, Clone, Copy)]
struct Shift {
    /// When it was sent, on the client's clock.
    at_ns: u64,
    /// How much further ahead the sink's clock is than was believed.
    shift_ns: i64,
    /// Whether an answer says that it arrived.
    confirmed: bool,
}

impl ClockCorrections {
    /// From the beginning of a phase on.
    pub(super) fn new(offset_ns: i64, receivers: Option<Arc<PhaseState>>) -> Self {
        let (open, settled) = (VecDeque::new(), Vec::new());
        Self { offset_ns, receivers, open, force: (0, 0), settled }
    }

    /// A correction is sent.
    pub(super) fn push(&mut self, at_ns: u64, shift_ns: i64) {
        self.open.push_back(Shift { at_ns, shift_ns, confirmed: false });
        if self.open.len() > CONFIRMABLE
            && let Some(shift) = self.open.pop_front()
        {
            let Self { force, settled, .. } = self;
            apply_shift(shift, force, &mut |at_ns, force| settled.push(Stretch::at(at_ns, force)));
            if settled.len() > STRETCHES {
                let halved = settled.chunks(2).map(|pair| match pair {
                    [one, next] => one.and(next),
                    _ => pair[0],
                });
                *settled = halved.collect();
            }
        }
    }

    /// The one that was sent at this moment has arrived.
    pub(super) fn confirm(&mut self, at_ns: u64) {
        self.open.iter_mut().for_each(|shift| shift.confirmed |= shift.at_ns == at_ns);
    }

    /// Shows `look` all that may have been in force, at every moment that a correction was sent and
    /// just before, and at `end_ns`. One that was never confirmed may have arrived or not: until
    /// the next one that was, both it and what was before may be in force.
    pub(super) fn each(mut self, end_ns: u64, look: &mut impl FnMut(u64, (i64, i64))) {
        self.settled.iter().for_each(|stretch| stretch.each(look));
        self.open.iter().for_each(|&shift| apply_shift(shift, &mut self.force, look));
        look(end_ns, self.force);
    }
}

/// Goes past a correction.
fn apply_shift(shift: Shift, force: &mut (i64, i64), look: &mut impl FnMut(u64, (i64, i64))) {
    let Shift { at_ns, shift_ns, confirmed } = shift;
    let (least, most) = *force;
    *force = (least.min(shift_ns), most.max(shift_ns));
    look(at_ns, *force);
    if confirmed {
        *force = (shift_ns, shift_ns);
    }
}

/// All that may have been in force for a while: a line, and how far below and above it that is.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: (u64, i64),
    to: (u64, i64),
    below: i64,
    above: i64,
}

impl Stretch {
    /// Of one moment.
    const fn at(at_ns: u64, (least, most): (i64, i64)) -> Self {
        let point = (at_ns, least);
        Self { from: point, to: point, below: 0, above: most.saturating_sub(least) }
    }

    /// Where its line is at a moment.
    fn line(&self, at_ns: u64) -> i64 {
        let (from, to) = (self.from, self.to);
        let whole = i128::from(to.0.saturating_sub(from.0)).max(1);
        let part = i128::from(at_ns.saturating_sub(from.0));
        let rise = (i128::from(to.1) - i128::from(from.1)) * part / whole;
        from.1.saturating_add(i64::try_from(rise).unwrap_or_default())
    }

    /// Twice its middle: when, and what.
    fn middle(&self) -> (i128, i128) {
        let of = |one: u64, other: u64| i128::from(one) + i128::from(other);
        let what = i128::from(self.from.1) + i128::from(self.to.1);
        (of(self.from.0, self.to.0), what + i128::from(self.above) - i128::from(self.below))
    }

    /// This one and the next one, by a line through the middles of both: by their ends, each
    /// correction that is far off would tilt it. It leaves nothing out.
    fn and(&self, next: &Self) -> Self {
        let ((when, what), (then, thing)) = (self.middle(), next.middle());
        let on = |at_ns: u64| {
            let rise = (thing - what) * (2 * i128::from(at_ns) - when) / (then - when).max(1);
            (at_ns, i64::try_from((what + rise) / 2).unwrap_or(self.from.1))
        };
        let (from, to) = (on(self.from.0), on(next.to.0));
        let mut both = Self { from, to, below: 0, above: 0 };
        let line = both;
        let mut take = |at_ns: u64, (least, most): (i64, i64)| {
            // One more for what the line was rounded by.
            let (low, high) = (line.line(at_ns).saturating_sub(1), line.line(at_ns) + 1);
            both.below = both.below.max(high.saturating_sub(least));
            both.above = both.above.max(most.saturating_sub(low));
        };
        self.each(&mut take);
        next.each(&mut take);
        both
    }

    /// Its corners: whatever changes evenly with time has its extremes there.
    fn each(&self, look: &mut impl FnMut(u64, (i64, i64))) {
        for (at_ns, shift_ns) in [self.from, self.to] {
            let least = shift_ns.saturating_sub(self.below);
            look(at_ns, (least, shift_ns.saturating_add(self.above)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least and the most of `offset - shift` by an offset that drifts by 50 ppm.
    fn errors(follow: ClockCorrections, end_ns: u64) -> (i64, i64) {
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        follow.each(end_ns, &mut |at_ns, (low, high)| {
            let offset = (at_ns / 20_000) as i64;
            (least, most) = (least.min(offset - high), most.max(offset - low));
        });
        (least, most)
    }

    #[test]
    fn a_day_takes_no_more_room_than_an_hour_and_hides_nothing() {
        let step_ns = 100_000_000;
        let mut follow = ClockCorrections::new(0, None);
        let (mut low, mut high) = (i64::MAX, i64::MIN);
        let mut random = fastrand::Rng::with_seed(0);
        for step in 1..=864_000_u64 {
            let at_ns = step * step_ns;
            // Follows the drift, some hundred ns off, and once by 7 µs.
            let off = random.i64(0..100);
            let off = if step == 300_000 { 7_000 } else { off };
            follow.push(at_ns, (at_ns / 20_000) as i64 - off);
            follow.confirm(at_ns);
            (low, high) = (low.min(off), high.max(off));
            assert!(follow.open.len() <= CONFIRMABLE && follow.settled.len() <= STRETCHES);
        }
        let (least, most) = errors(follow, 864_000 * step_ns);
        assert!(least <= low && most >= high, "{least} {most}");
        // What was in force just before a correction is 5 µs of drift further off; and little more
        // is made of it than that: twice as much.
        assert!(most >= 12_000 && most - least < 30_000, "{least} {most}");
    }

    #[test]
    fn what_nobody_confirmed_may_be_in_force_or_not() {
        let mut follow = ClockCorrections::new(0, None);
        (1..=1_000).for_each(|step| follow.push(step, -5 * step as i64));
        let (least, most) = errors(follow.clone(), 1_001);
        assert_eq!((least, most), (0, 5_000));
        follow.confirm(1_000);
        let mut last = (0, (0, 0));
        follow.each(1_001, &mut |at_ns, force| last = (at_ns, force));
        assert_eq!(last, (1_001, (-5_000, -5_000)));
    }
}
