//! Exponential back-off with jitter, so that clients that start together do not stay in step.

use fastrand::Rng;

use crate::unit::Nanos;

/// The first interval before any round trip is measured. Arbitrary: longer than most paths.
const UNMEASURED: Nanos = Nanos::from_millis(100);

/// The shortest first interval. Arbitrary: a busy server's thread may wait as long for its core.
const SHORTEST: Nanos = Nanos::from_millis(10);

/// The longest interval after doubling. Arbitrary: fifty tries within the usual patience of 10 s.
/// If half is lost each way, one try in four succeeds, and all fifty fail once in a million times.
const LONGEST: Nanos = Nanos::from_millis(200);

/// The longest first interval, for long round trips. Arbitrary: five tries within 10 s.
const LONGEST_FIRST: Nanos = Nanos::from_millis(2_000);

/// The first interval in round trips. Arbitrary: more than TCP's initial timeout of three (RFC 6298
/// §2).
const ROUND_TRIPS: u64 = 4;

/// A random interval around `gap`: three to five quarters of it.
fn with_jitter(gap: Nanos, random: &mut Rng) -> Nanos {
    Nanos(gap.0 - gap.0 / 4 + random.u64(..=gap.0 / 2))
}

/// The smoothed round-trip time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RoundTrip(Option<Nanos>);

impl RoundTrip {
    /// Adds a sample with a weight of an eighth (RFC 6298 §2). Karn: none of messages sent twice.
    pub(super) fn add_sample(&mut self, sample: Option<Nanos>) {
        let Some(sample) = sample else { return };
        self.0 = Some(match self.0 {
            Some(old) => Nanos(old.0 - old.0 / 8 + sample.0 / 8),
            None => sample,
        });
    }

    fn first_gap(self) -> Nanos {
        let gap = |rtt: Nanos| Nanos(rtt.0.saturating_mul(ROUND_TRIPS));
        self.0.map_or(UNMEASURED, gap).clamp(SHORTEST, LONGEST_FIRST)
    }
}

/// A message that is sent until it is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    due: Nanos,
    gap: Nanos,
    last: Nanos,
    tries: u32,
}

impl Retry {
    /// For a message that is due at once.
    pub(super) fn new(now: Nanos, rtt: RoundTrip) -> Self {
        Self { due: now, gap: rtt.first_gap(), last: now, tries: 0 }
    }

    pub(super) const fn due(&self) -> Nanos {
        self.due
    }

    pub(super) const fn tries(&self) -> u32 {
        self.tries
    }

    /// Whether a try is due now; if so, counts it.
    pub(super) fn fire(&mut self, now: Nanos, random: &mut Rng) -> bool {
        if now < self.due {
            return false;
        }
        self.tries = self.tries.saturating_add(1);
        self.last = now;
        self.due = now + with_jitter(self.gap, random);
        self.gap = Nanos(self.gap.0 * 2).min(LONGEST).max(self.gap);
        true
    }

    /// The round-trip time if the answer arrives now; `None` after more than one try.
    pub(super) fn round_trip(&self, now: Nanos) -> Option<Nanos> {
        (self.tries == 1).then(|| now.since(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_double_up_to_the_longest() {
        let mut random = Rng::with_seed(1);
        let mut rtt = RoundTrip::default();
        rtt.add_sample(Some(Nanos::from_millis(5)));
        let mut retry = Retry::new(Nanos(7), rtt);
        for gap in [20_u64, 40, 80, 160, 200, 200, 200] {
            let now = retry.due();
            assert!(now == Nanos(7) || !retry.fire(now - Nanos(1), &mut random));
            assert!(retry.fire(now, &mut random));
            let (least, most) = (gap * 750_000, gap * 1_250_000);
            assert!((least..=most).contains(&(retry.due() - now).0), "{gap}");
            // A message sent twice does not measure the round trip.
            let round_trip = retry.round_trip(now + Nanos(9));
            assert_eq!(round_trip, (retry.tries() == 1).then_some(Nanos(9)));
        }
        assert_eq!(retry.tries(), 7);
    }

    #[test]
    fn the_first_interval_follows_the_round_trip_within_bounds() {
        let first = |rtt: Option<u64>| {
            let mut measured = RoundTrip::default();
            measured.add_sample(rtt.map(Nanos::from_micros));
            measured.first_gap()
        };
        assert_eq!(first(None), UNMEASURED);
        assert_eq!(first(Some(30)), SHORTEST);
        assert_eq!(first(Some(20_000)), Nanos::from_millis(80));
        assert_eq!(first(Some(u64::MAX / 1_000)), LONGEST_FIRST);
    }
}
