//! The planned end of a phase, and upper bounds of the sequence numbers reached by a moment.

use crate::pace::{Arrivals, Part, Slots};
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
    // cold: after a gap
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

/// The planned end of a phase; zero for a count that is sent flat out.
pub fn planned_end(limit: Limit, load: WorkerLoad) -> Nanos {
    match limit {
        Limit::Time(time) => time,
        Limit::Count(count) => count_end(load, count),
    }
}

/// The end of a count: each datagram has its period, the last one too. A capture has the times of
/// those that are sent, whatever gaps follow.
fn count_end(load: WorkerLoad, count: u64) -> Nanos {
    match (load, load.mean_pps()) {
        (WorkerLoad::Recorded(_, moments_ns), _) if count > 1 => {
            let last = Part { index: count - 1, of: 1 };
            let last_ns = Slots::new(Arrivals::Recorded(moments_ns), last).next_ns();
            Nanos(last_ns.saturating_add(last_ns / (count - 1)))
        }
        (_, Some(pps)) => Nanos((count as f64 * 1e9 / pps) as u64),
        (_, None) => Nanos::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::{Due, Scheduled};
    use crate::run::send_job::pace;
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

    #[test]
    fn a_leap_of_a_capture_moves_neither_its_window_nor_its_bound() {
        // 100 packets, 1 ms apart, and one an hour later.
        let hour_ns = 3_600_000_000_000;
        let moments = (0..101).map(|n| if n < 100 { n * 1_000_000 } else { hour_ns });
        let moments: &'static [u64] = Box::leak(moments.collect());
        let load = WorkerLoad::Recorded(PacketRate::KILO, moments);
        assert_eq!(count_end(load, 100), Nanos::from_millis(100));
        let mut pace = pace(load, Nanos::NEVER, u64::MAX, Part { index: 0, of: 1 });
        assert_eq!(pace.due(Nanos::from_millis(50), 64), Due::Now(2));
        assert_eq!(pace.scheduled().map(Scheduled::missed), Some(49));
    }
}
