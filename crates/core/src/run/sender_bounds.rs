//! Upper bounds of the sequence numbers that a sender can have reached by a moment.

use crate::plan::{Limit, MAX_BATCH, WorkerLoad};
use crate::unit::Nanos;

/// Bounds of one phase.
#[derive(Debug, Clone, Copy)]
pub struct SenderBounds {
    end: Nanos,
    count: u64,
    /// Maximum rate in datagrams per nanosecond, and the additional burst.
    rate: (f64, f64),
    /// Whether the number due by a moment is random (Poisson).
    by_chance: bool,
}

impl Default for SenderBounds {
    fn default() -> Self {
        Self::new(Limit::Time(Nanos::NEVER), WorkerLoad::FlatOut)
    }
}

impl SenderBounds {
    /// The bounds for this limit and load.
    // cold: once a phase
    pub fn new(limit: Limit, load: WorkerLoad) -> Self {
        let (end, count) = match limit {
            Limit::Time(time) => (time, u64::MAX),
            Limit::Count(count) => (Nanos::NEVER, count),
        };
        let at_once = match load {
            WorkerLoad::Burst(_, size) => f64::from(size),
            _ => 1.0,
        };
        let rate = match load.peak_pps() {
            // One more for rounding.
            Some(pps) => (pps / 1e9, at_once + 1.0),
            // None is faster than one a nanosecond: a system call or a stamp takes longer.
            None => (1.0, f64::from(MAX_BATCH)),
        };
        Self { end, count, rate, by_chance: matches!(load, WorkerLoad::Poisson(..)) }
    }

    /// The latest due time of the last datagram.
    #[inline]
    pub const fn end(&self) -> Nanos {
        self.end
    }

    /// Exclusive upper bound of the number of a datagram that is due at this moment.
    // cold: behind a gap
    pub fn sent_by(&self, intended_ns: u64) -> u64 {
        let (per_ns, at_once) = self.rate;
        let mean = per_ns * intended_ns as f64;
        // Ten standard deviations, and ten datagrams for small numbers: practically never exceeded.
        let chance = if self.by_chance { 10.0 * mean.sqrt() + 100.0 } else { 0.0 };
        // A millionth for the rounding of times.
        let most = mean * (1.0 + 1e-6) + at_once + chance;
        self.count.min(most as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::PacketRate;

    #[test]
    fn bounds_follow_from_time_rate_and_count() {
        let rate = |pps| PacketRate::from_pps(pps).unwrap();
        let second = 1_000_000_000;
        let even = SenderBounds::new(Limit::Time(Nanos(second)), WorkerLoad::Even(rate(200.0)));
        assert_eq!((even.sent_by(0), even.end()), (2, Nanos(second)));
        // Number 200 is due at 1 s; none is due before and has number 202.
        assert!((201..=202).contains(&even.sent_by(second)), "{}", even.sent_by(second));
        let burst = SenderBounds::new(Limit::Count(90), WorkerLoad::Burst(rate(200.0), 32));
        assert!((32..=34).contains(&burst.sent_by(0)));
        assert_eq!((burst.sent_by(second), burst.end()), (90, Nanos::NEVER));
        let ramp = WorkerLoad::Ramp(rate(10.0), rate(1_000.0), Nanos(second));
        assert!(SenderBounds::new(Limit::Count(u64::MAX), ramp).sent_by(second) >= 1_000);
        let chance = SenderBounds::new(Limit::Count(u64::MAX), WorkerLoad::Poisson(rate(1e4), 1));
        assert!((11_000..12_000).contains(&chance.sent_by(second)));
        let flat = SenderBounds::default();
        assert!(flat.sent_by(0) >= 1_024 && flat.sent_by(5_000) < 1 << 20);
        assert_eq!(SenderBounds::new(Limit::Count(7), WorkerLoad::FlatOut).sent_by(second), 7);
    }
}
