//! Which datagrams are due: asked once a batch.

use super::slots::Slots;
use crate::unit::Nanos;

/// Number of upcoming moments kept ready, and so the most datagrams due at once; more leave in the
/// next batch. A whole super-packet (`UDP_MAX_SEGMENTS`); otherwise arbitrary.
const AHEAD: usize = 128;
/// The shortest catch-up bound: slots overdue by less may still be sent. Long enough for a timer
/// tick or an interrupt, short enough that what is sent after a stall fits a default socket queue;
/// arbitrary.
const CATCH_UP: Nanos = Nanos::from_millis(1);

/// How long a slot may be overdue before it is missed: 1 ms, or the mean gap between a worker's
/// slots if that is longer.
pub fn catch_up(mean_gap: Nanos) -> Nanos {
    CATCH_UP.max(mean_gap)
}

/// The most missed slots that are skipped before the clock is read again: under 0.1 ms of work,
/// which is no stall. Arbitrary within that.
const SKIP_MOST: u32 = 8_192;

/// The answer to "what is due?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// So many datagrams, at least one.
    Now(usize),
    /// Nothing before this moment.
    At(Nanos),
    /// Nothing any more.
    Over,
}

/// When datagrams leave. Matched once a batch.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one a worker, and a box would be one look-up a batch"
)]
pub enum Pace {
    /// No schedule: as fast as the engine goes.
    FlatOut(FlatOut),
    /// Each datagram has an intended moment.
    Scheduled(Scheduled),
}

/// As fast as the engine goes, until a moment or a number of datagrams sent.
#[derive(Debug)]
pub struct FlatOut {
    end: Nanos,
    to_send: u64,
}

impl FlatOut {
    /// Ends at `end` (since the start) or after `to_send` datagrams, whichever is first.
    pub const fn new(end: Nanos, to_send: u64) -> Self {
        Self { end, to_send }
    }
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

    /// Slots that came too late to be sent.
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// The due time of the latest slot.
    pub const fn latest(&self) -> Nanos {
        self.latest
    }

    /// Slots that have come up: attempted or missed.
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

    fn due(&mut self, now: Nanos, most: usize) -> Due {
        if self.to_send == 0 {
            return Due::Over;
        }
        // Slots overdue beyond the bound are missed, unless no newer one is due.
        let mut skipped = 0;
        while self.nth(0) + self.bound < now && self.nth(1) <= now && self.nth(1) < self.end {
            self.missed += 1;
            self.advance();
            skipped += 1;
            if skipped == SKIP_MOST {
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
    /// How many datagrams, at most `most`, are due at `now` (since the start).
    #[inline]
    pub fn due(&mut self, now: Nanos, most: usize) -> Due {
        match self {
            Self::FlatOut(flat) if now >= flat.end || flat.to_send == 0 => Due::Over,
            Self::FlatOut(flat) => {
                Due::Now(most.min(usize::try_from(flat.to_send).unwrap_or(usize::MAX)))
            }
            Self::Scheduled(scheduled) => scheduled.due(now, most),
        }
    }

    /// The intended moment of the `i`-th datagram that is due; without a schedule, `now`.
    #[inline]
    pub fn intended(&self, i: usize, now: Nanos) -> Nanos {
        match self {
            Self::FlatOut(_) => now,
            Self::Scheduled(scheduled) => scheduled.nth(i),
        }
    }

    /// Records the outcome of the first due datagrams: so many were sent and so many refused, at
    /// most as many as were due. A refused one has used its slot; later ones are due again.
    #[inline]
    pub fn advance(&mut self, sent: u64, refused: u64) {
        match self {
            Self::FlatOut(flat) => flat.to_send = flat.to_send.saturating_sub(sent),
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
            Self::FlatOut(flat) => flat.end,
            Self::Scheduled(scheduled) => scheduled.end,
        }
    }

    /// Slots that came too late to be sent; none without a schedule.
    pub const fn missed(&self) -> u64 {
        match self {
            Self::FlatOut(_) => 0,
            Self::Scheduled(scheduled) => scheduled.missed,
        }
    }

    /// The schedule, where there is one.
    pub const fn scheduled(&self) -> Option<&Scheduled> {
        match self {
            Self::FlatOut(_) => None,
            Self::Scheduled(scheduled) => Some(scheduled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::{Arrivals, Part};
    use crate::unit::PacketRate;

    fn even(pps: f64, end: Nanos, to_send: u64) -> Pace {
        let rate = PacketRate::from_pps(pps).unwrap();
        let slots = Slots::new(Arrivals::Even(rate), Part { index: 0, of: 1 });
        Pace::Scheduled(Scheduled::new(slots, end, to_send, catch_up(Nanos(10_000))))
    }

    #[test]
    fn nothing_is_due_early_and_nothing_after_the_end() {
        let mut pace = even(100_000.0, Nanos(25_000), u64::MAX);
        assert_eq!(pace.due(Nanos(0), 8), Due::Now(1));
        pace.advance(1, 0);
        assert_eq!(pace.due(Nanos(9_999), 8), Due::At(Nanos(10_000)));
        assert_eq!(pace.due(Nanos(10_000), 8), Due::Now(1));
        pace.advance(1, 0);
        assert_eq!(pace.due(Nanos(90_000), 8), Due::Now(1));
        assert_eq!(pace.intended(0, Nanos(90_000)), Nanos(20_000));
        pace.advance(1, 0);
        assert_eq!(pace.due(Nanos(90_000), 8), Due::Over);
        assert_eq!(pace.scheduled().unwrap().scheduled(), 3);
    }

    #[test]
    fn a_stall_is_missed_beyond_the_bound() {
        let mut pace = even(100_000.0, Nanos::NEVER, u64::MAX);
        // 5 ms late: 501 slots are due, those older than 1 ms are gone.
        assert_eq!(pace.due(Nanos(5_000_000), 200), Due::Now(101));
        let scheduled = pace.scheduled().unwrap();
        assert_eq!(scheduled.missed(), 400);
        assert_eq!(pace.intended(0, Nanos(5_000_000)), Nanos(4_000_000));
    }

    #[test]
    fn a_slow_schedule_never_misses_its_newest_slot() {
        let mut pace = even(100_000.0, Nanos(20_000), u64::MAX);
        assert_eq!(pace.due(Nanos(50_000_000), 8), Due::Now(1));
        assert_eq!(pace.intended(0, Nanos::ZERO), Nanos(20_000 - 10_000));
    }

    #[test]
    fn a_refused_slot_is_gone_and_a_count_counts_what_was_sent() {
        let mut pace = even(100_000.0, Nanos::NEVER, 2);
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
        let mut pace = Pace::FlatOut(FlatOut::new(Nanos(100), u64::MAX));
        assert_eq!(pace.due(Nanos(99), 16), Due::Now(16));
        assert_eq!(pace.due(Nanos(100), 16), Due::Over);
        let mut pace = Pace::FlatOut(FlatOut::new(Nanos::NEVER, 20));
        assert_eq!(pace.due(Nanos(0), 16), Due::Now(16));
        pace.advance(16, 0);
        assert_eq!(pace.due(Nanos(1), 16), Due::Now(4));
        pace.advance(4, 0);
        assert_eq!(pace.due(Nanos(1), 16), Due::Over);
    }
}
