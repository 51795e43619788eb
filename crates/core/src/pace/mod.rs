//! Schedules: when each datagram should leave. All moments are relative to the start.

mod slots;

pub use slots::{Arrivals, Part, Slots};

use crate::unit::Nanos;

/// Number of computed upcoming moments, and so the maximum datagrams due at once. A whole
/// super-packet (`UDP_MAX_SEGMENTS`); otherwise arbitrary.
const AHEAD: usize = 128;

/// The shortest catch-up bound: slots overdue by less are still sent. Arbitrary: longer than a
/// timer tick or an interrupt; the datagrams sent after a stall fit a default socket queue.
const CATCH_UP: Nanos = Nanos::from_millis(1);

/// How long a slot may be overdue before it is missed: 1 ms, or the mean gap between a worker's
/// slots if that is longer.
pub fn catch_up(mean_gap: Nanos) -> Nanos {
    CATCH_UP.max(mean_gap)
}

/// Maximum missed slots skipped before the clock is read again. Arbitrary: under 0.1 ms of work,
/// which is no stall.
const MAX_SKIPPED: u32 = 8_192;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// This many datagrams, at least one.
    Now(usize),
    /// The next one is due at this moment.
    At(Nanos),
    /// The schedule has ended.
    Over,
}

/// When datagrams leave. Matched once a batch.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per worker, and a box would cost a look-up per batch"
)]
pub enum Pace {
    /// As fast as the engine sends, until `end` (since the start) or `to_send` sent datagrams.
    #[allow(missing_docs)]
    FlatOut { end: Nanos, to_send: u64 },
    /// Each datagram has an intended moment.
    Scheduled(Scheduled),
}

/// A schedule with bounded catch-up.
#[derive(Debug)]
pub struct Scheduled {
    slots: Slots,
    end: Nanos,
    to_send: u64,
    bound: Nanos,
    ahead: [Nanos; AHEAD],
    first: usize,
    latest: Nanos,
    missed: u64,
    attempted: u64,
}

impl Scheduled {
    /// Follows `slots` before `end`, or until `to_send` datagrams have left, whichever is first;
    /// slots overdue by more than `bound` are missed.
    pub fn new(mut slots: Slots, end: Nanos, to_send: u64, bound: Nanos) -> Self {
        let ahead = std::array::from_fn(|_| Nanos(slots.next_ns()));
        let (latest, missed, attempted) = (Nanos::ZERO, 0, 0);
        Self { slots, end, to_send, bound, ahead, first: 0, latest, missed, attempted }
    }

    /// Slots that were too late to be sent.
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// The due time of the latest slot.
    pub const fn latest(&self) -> Nanos {
        self.latest
    }

    /// Slots so far: attempted or missed.
    pub const fn scheduled(&self) -> u64 {
        self.attempted + self.missed
    }

    #[inline]
    fn nth(&self, i: usize) -> Nanos {
        self.ahead[(self.first + i) % AHEAD]
    }

    #[inline]
    fn advance(&mut self) {
        self.latest = std::mem::replace(&mut self.ahead[self.first], Nanos(self.slots.next_ns()));
        self.first = (self.first + 1) % AHEAD;
    }

    fn due(&mut self, now: Nanos, most: usize, mut on_missed: impl FnMut(Nanos)) -> Due {
        if self.to_send == 0 {
            return Due::Over;
        }
        // Slots overdue by more than the bound are missed, unless no newer one is due.
        let mut skipped = 0;
        while self.nth(0) + self.bound < now && self.nth(1) <= now && self.nth(1) < self.end {
            self.missed += 1;
            on_missed(self.nth(0));
            self.advance();
            skipped += 1;
            if skipped == MAX_SKIPPED {
                return Due::At(now);
            }
        }
        let next = self.nth(0);
        if next >= self.end {
            return Due::Over;
        }
        if next > now {
            return Due::At(next);
        }
        let limit = most.min(AHEAD).min(usize::try_from(self.to_send).unwrap_or(usize::MAX));
        let mut count = 1;
        while count < limit && self.nth(count) <= now && self.nth(count) < self.end {
            count += 1;
        }
        Due::Now(count)
    }
}

impl Pace {
    /// The same schedule for a sender that sends up to `lead` before the due time: a slot is missed
    /// after the same delay.
    #[must_use]
    pub fn with_lead(mut self, lead: Nanos) -> Self {
        if let Self::Scheduled(scheduled) = &mut self {
            scheduled.bound += lead;
        }
        self
    }

    /// How many datagrams, at most `most`, are due at `now` (since the start).
    #[inline]
    pub fn due(&mut self, now: Nanos, most: usize) -> Due {
        self.due_or_missed(now, most, |_| {})
    }

    /// The same, and reports the due time of each slot that is missed.
    #[inline]
    pub fn due_or_missed(&mut self, now: Nanos, most: usize, on_missed: impl FnMut(Nanos)) -> Due {
        match self {
            Self::FlatOut { end, to_send } if now >= *end || *to_send == 0 => Due::Over,
            Self::FlatOut { to_send, .. } => {
                Due::Now(most.min(usize::try_from(*to_send).unwrap_or(usize::MAX)))
            }
            Self::Scheduled(scheduled) => scheduled.due(now, most, on_missed),
        }
    }

    /// The intended moment of the `i`-th datagram that is due; without a schedule, `now`.
    #[inline]
    pub fn intended(&self, i: usize, now: Nanos) -> Nanos {
        match self {
            Self::FlatOut { .. } => now,
            Self::Scheduled(scheduled) => scheduled.nth(i),
        }
    }

    /// Records how many of the first due datagrams were sent and how many refused. A refused one
    /// has used its slot; later ones are due again.
    #[inline]
    pub fn advance(&mut self, sent: u64, refused: u64) {
        match self {
            Self::FlatOut { to_send, .. } => *to_send = to_send.saturating_sub(sent),
            Self::Scheduled(scheduled) => {
                for _ in 0..sent + refused {
                    scheduled.advance();
                }
                scheduled.attempted += sent + refused;
                scheduled.to_send = scheduled.to_send.saturating_sub(sent);
            }
        }
    }

    /// The latest end of the schedule; [`Nanos::NEVER`] if a count decides.
    pub const fn end(&self) -> Nanos {
        match self {
            Self::FlatOut { end, .. } | Self::Scheduled(Scheduled { end, .. }) => *end,
        }
    }

    /// Missed slots; none without a schedule.
    pub fn missed(&self) -> u64 {
        self.scheduled().map_or(0, Scheduled::missed)
    }

    /// The schedule, if there is one.
    pub const fn scheduled(&self) -> Option<&Scheduled> {
        if let Self::Scheduled(scheduled) = self { Some(scheduled) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::PacketRate;

    /// A slot every 10 µs.
    fn even(end: Nanos, to_send: u64) -> Pace {
        let rate = PacketRate::from_pps(100_000.0).unwrap();
        let slots = Slots::new(Arrivals::Even(rate), Part { index: 0, of: 1 });
        Pace::Scheduled(Scheduled::new(slots, end, to_send, catch_up(Nanos(10_000))))
    }

    #[test]
    fn slots_are_due_on_time_until_the_end() {
        let mut pace = even(Nanos(25_000), u64::MAX);
        for (now, intended) in [(0, 0), (10_000, 10_000), (90_000, 20_000)] {
            assert_eq!(pace.due(Nanos(now), 8), Due::Now(1));
            assert_eq!(pace.intended(0, Nanos(now)), Nanos(intended));
            pace.advance(1, 0);
            let next =
                if intended < 20_000 { Due::At(Nanos(intended + 10_000)) } else { Due::Over };
            assert_eq!(pace.due(Nanos(intended + 9_999), 8), next);
        }
        assert_eq!(pace.scheduled().unwrap().scheduled(), 3);
    }

    #[test]
    fn misses_slots_beyond_the_bound_but_never_the_newest() {
        // 5 ms late: 501 slots are due, 400 are older than 1 ms.
        for (end, now, missed) in [(u64::MAX, 5_000_000, 400), (20_000, 50_000_000, 1)] {
            let mut pace = even(Nanos(end), u64::MAX);
            let count = if end == u64::MAX { 101 } else { 1 };
            assert_eq!(pace.due(Nanos(now), 200), Due::Now(count));
            assert_eq!(
                (pace.missed(), pace.intended(0, Nanos::ZERO)),
                (missed, Nanos(missed * 10_000))
            );
        }
    }

    #[test]
    fn refused_datagrams_use_slots_but_not_the_count() {
        let mut pace = even(Nanos::NEVER, 2);
        assert_eq!(pace.due(Nanos(100_000), 8), Due::Now(2));
        pace.advance(1, 1);
        assert_eq!(pace.due(Nanos(100_000), 8), Due::Now(1));
        assert_eq!(pace.intended(0, Nanos::ZERO), Nanos(20_000));
        pace.advance(1, 0);
        assert_eq!(pace.due(Nanos(100_000), 8), Due::Over);
        let scheduled = pace.scheduled().unwrap();
        assert_eq!((scheduled.scheduled(), scheduled.latest()), (3, Nanos(20_000)));
    }

    #[test]
    fn flat_out_ends_by_time_or_count() {
        let mut pace = Pace::FlatOut { end: Nanos(100), to_send: 20 };
        assert_eq!(pace.due(Nanos(100), 16), Due::Over);
        for (count, most) in [(16, 16), (4, 16)] {
            assert_eq!(pace.due(Nanos(99), most), Due::Now(count));
            pace.advance(count as u64, 0);
        }
        assert_eq!(pace.due(Nanos(99), 16), Due::Over);
    }
}
