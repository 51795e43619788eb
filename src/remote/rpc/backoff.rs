//! When to send again: intervals that double, with jitter, so that clients that began together do
//! not stay together.

use crate::unit::{Nanos, SplitMix64};

/// The first interval where no round trip has been measured. Arbitrary: longer than most paths.
const UNMEASURED: Nanos = Nanos::from_millis(100);

/// The shortest first interval. Arbitrary: a busy server's thread may wait as long for its core.
const SHORTEST: Nanos = Nanos::from_millis(10);

/// The longest interval that doubling leads to. Arbitrary: fifty tries within the usual patience of
/// 10 s; where half of all is lost each way, one in four gets an answer, and all fifty fail once in
/// a million times.
const LONGEST: Nanos = Nanos::from_millis(200);

/// The longest first interval, where round trips take so long. Arbitrary: five tries within 10 s.
const LONGEST_FIRST: Nanos = Nanos::from_millis(2_000);

/// How many round trips the first interval is. Arbitrary: as TCP's smoothed time plus four times
/// its variation (RFC 6298 §2) while the variation is unknown, and some.
const ROUND_TRIPS: u64 = 4;

/// A seeded source of jitter; nothing depends on its being secret.
#[derive(Debug, Clone)]
pub(super) struct BackoffJitter(SplitMix64);

impl BackoffJitter {
    pub(super) const fn new(seed: u64) -> Self {
        Self(SplitMix64(seed))
    }

    /// Three to five quarters of `gap`.
    fn around(&mut self, gap: Nanos) -> Nanos {
        Nanos(gap.0 - gap.0 / 4 + self.0.next_u64() % (gap.0 / 2 + 1))
    }
}

/// The round trip, smoothed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RoundTrip(Option<Nanos>);

impl RoundTrip {
    /// Takes a measurement in, by an eighth (RFC 6298 §2). Only of what was sent once (Karn).
    pub(super) fn take(&mut self, sample: Option<Nanos>) {
        let Some(sample) = sample else { return };
        self.0 = Some(match self.0 {
            Some(old) => Nanos(old.0 - old.0 / 8 + sample.0 / 8),
            None => sample,
        });
    }

    fn first_gap(self) -> Nanos {
        let gap = |trip: Nanos| Nanos(trip.0.saturating_mul(ROUND_TRIPS));
        self.0.map_or(UNMEASURED, gap).clamp(SHORTEST, LONGEST_FIRST)
    }
}

/// Something that is sent until it is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    due: Nanos,
    gap: Nanos,
    last: Nanos,
    tries: u32,
}

impl Retry {
    /// Due at once.
    pub(super) fn new(now: Nanos, trip: RoundTrip) -> Self {
        Self { due: now, gap: trip.first_gap(), last: now, tries: 0 }
    }

    /// When it is to be sent next.
    pub(super) const fn due(&self) -> Nanos {
        self.due
    }

    /// How often it was sent.
    pub(super) const fn tries(&self) -> u32 {
        self.tries
    }

    /// Whether it is to be sent now; if so, counts it as sent.
    pub(super) fn fire(&mut self, now: Nanos, jitter: &mut BackoffJitter) -> bool {
        if now < self.due {
            return false;
        }
        self.tries = self.tries.saturating_add(1);
        self.last = now;
        self.due = now + jitter.around(self.gap);
        self.gap = Nanos(self.gap.0 * 2).min(LONGEST).max(self.gap);
        true
    }

    /// The round trip that an answer arriving now shows, if it is clear what it answers.
    pub(super) fn round_trip(&self, now: Nanos) -> Option<Nanos> {
        (self.tries == 1).then(|| now.since(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_double_up_to_the_longest() {
        let mut jitter = BackoffJitter::new(1);
        let mut trip = RoundTrip::default();
        trip.take(Some(Nanos::from_millis(5)));
        let mut retry = Retry::new(Nanos(7), trip);
        for gap in [20_u64, 40, 80, 160, 200, 200, 200] {
            let now = retry.due();
            assert!(now == Nanos(7) || !retry.fire(now - Nanos(1), &mut jitter));
            assert!(retry.fire(now, &mut jitter));
            let (least, most) = (gap * 750_000, gap * 1_250_000);
            assert!((least..=most).contains(&(retry.due() - now).0), "{gap}");
        }
        assert_eq!(retry.tries(), 7);
    }

    #[test]
    fn only_what_was_sent_once_measures_the_round_trip() {
        let mut retry = Retry::new(Nanos(0), RoundTrip::default());
        assert!(retry.fire(Nanos(0), &mut BackoffJitter::new(1)));
        assert_eq!(retry.round_trip(Nanos(9)), Some(Nanos(9)));
        assert!(retry.fire(retry.due(), &mut BackoffJitter::new(1)));
        assert_eq!(retry.round_trip(retry.due()), None);
    }

    #[test]
    fn the_first_interval_follows_the_round_trip_within_bounds() {
        let first = |trip: Option<u64>| {
            let mut measured = RoundTrip::default();
            measured.take(trip.map(Nanos::from_micros));
            measured.first_gap()
        };
        assert_eq!(first(None), UNMEASURED);
        assert_eq!(first(Some(30)), SHORTEST);
        assert_eq!(first(Some(20_000)), Nanos::from_millis(80));
        assert_eq!(first(Some(u64::MAX / 1_000)), LONGEST_FIRST);
    }
}
