//! The time scale of intervals: which interval a moment falls into.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::unit::Nanos;

/// The most intervals of the first width; after that many, the width doubles, and again after as
/// many intervals as cover the same time as all before. Arbitrary: 17 minutes of seconds; a worker
/// that uses all of them takes about 12 MiB.
pub const MAX_INTERVALS: u64 = 1_024;
/// The latest moment: what the 47 bits of a header's time field hold, 39 hours.
const LATEST: Nanos = Nanos((1 << 47) - 1);

/// The boundaries of intervals: 1,024 of the first width, then half as many of each doubled one,
/// so that an open end takes bounded memory and no interval moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntervalScale {
    width_ns: NonZeroU64,
}

impl IntervalScale {
    /// A scale of intervals of at least `width` for a window that ends at `end`;
    /// [`Nanos::NEVER`] if that is not known. The width doubles until 1,024 cover a known end.
    pub fn new(width: Nanos, end: Nanos) -> Self {
        let mut width_ns = width.0.clamp(1, LATEST.0);
        while end != Nanos::NEVER && end.0.div_ceil(width_ns) > MAX_INTERVALS {
            width_ns *= 2;
        }
        Self { width_ns: NonZeroU64::new(width_ns).unwrap_or(NonZeroU64::MIN) }
    }

    /// The width of the first interval.
    pub const fn width(self) -> Nanos {
        Nanos(self.width_ns.get())
    }

    /// The number of intervals up to `end`; [`Nanos::NEVER`] if that is not known. Nothing that a
    /// peer claims makes more.
    pub fn len(self, end: Nanos) -> usize {
        self.index(Nanos(end.0.saturating_sub(1))) + 1
    }

    /// How often the width has doubled at this moment.
    fn level(self, at_ns: u64) -> u32 {
        (at_ns / self.width_ns / MAX_INTERVALS).checked_ilog2().map_or(0, |log| log + 1)
    }

    /// The index of the interval of this moment.
    pub fn index(self, at: Nanos) -> usize {
        let at = at.min(LATEST);
        let level = self.level(at.0);
        let steps = at.0 / (self.width_ns.get() << level);
        (steps + u64::from(level) * (MAX_INTERVALS / 2)) as usize
    }

    /// Start and end of the interval of this index.
    pub fn bounds(self, index: usize) -> (Nanos, Nanos) {
        let index = index as u64;
        let level = (index / (MAX_INTERVALS / 2)).saturating_sub(1);
        let width = self.width_ns.get() << level;
        let start = (index - level * (MAX_INTERVALS / 2)) * width;
        (Nanos(start), Nanos(start + width))
    }

    /// The next moment after this one at which to poll the intervals, at most `most` later: an
    /// interval of that width or more is divided equally, so that its end is among these moments.
    /// Narrower ones are polled less often than they end.
    pub fn next_poll(self, at: Nanos, most: Nanos) -> Nanos {
        let (start, end) = self.bounds(self.index(at));
        let (width, most) = ((end - start).0, most.0.max(1));
        let (start, part) = match width < most {
            true => (Nanos::ZERO, most),
            false => (start, width.div_ceil(width.div_ceil(most))),
        };
        let next = start + Nanos((at.since(start).0 / part + 1) * part);
        if width < most { next } else { next.min(end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_lies_in_the_interval_of_its_index() {
        let scale = IntervalScale::new(Nanos(10), Nanos::NEVER);
        let mut index = 0;
        for at in 0..10 * MAX_INTERVALS * 9 {
            let now = scale.index(Nanos(at));
            assert!(now == index || now == index + 1, "{at}: {index} {now}");
            index = now;
            let (start, end) = scale.bounds(index);
            assert!((start.0..end.0).contains(&at), "{at}: {index} {start:?} {end:?}");
        }
        // 9 times the first 1,024 intervals: three doublings, the last one in part.
        assert_eq!(index as u64, MAX_INTERVALS + 3 * (MAX_INTERVALS / 2) + MAX_INTERVALS / 16 - 1);
        assert_eq!(scale.bounds(index).1.0 - scale.bounds(index).0.0, 160);
    }

    #[test]
    fn the_end_of_each_interval_is_looked_at_however_late_the_looks_are() {
        let most = Nanos::from_millis(250);
        for (width_ms, late_ms) in [(250, 1), (250, 200), (251, 60), (300, 100), (1_000, 200)] {
            let scale = IntervalScale::new(Nanos::from_millis(width_ms), Nanos::NEVER);
            // Later than a moment that was due, as a sleep ends late; past two doublings.
            let (mut at, mut seen) = (Nanos::ZERO, 0);
            while seen < 2_000 {
                let due = scale.next_poll(at, most);
                assert!(due > at && due - at <= most, "{width_ms} ms: {at} {due}");
                at = due + Nanos::from_millis(late_ms);
                let ended = scale.index(at);
                assert!(ended <= seen + 1, "{width_ms} ms, {late_ms} ms late: {seen} {ended}");
                seen = ended;
            }
        }
        // Narrow intervals do not make looks more frequent.
        let narrow = IntervalScale::new(Nanos::from_millis(10), Nanos::NEVER);
        assert_eq!(narrow.next_poll(Nanos::from_millis(260), most), Nanos::from_millis(500));
    }

    #[test]
    fn a_known_end_needs_no_more_than_the_most() {
        for (end_ns, width_ns) in [(10_000, 10), (10_240, 10), (10_241, 20), (100_000, 160)] {
            let scale = IntervalScale::new(Nanos(10), Nanos(end_ns));
            assert_eq!(scale.width(), Nanos(width_ns));
            assert!(scale.index(Nanos(end_ns - 1)) < MAX_INTERVALS as usize);
        }
    }
}
