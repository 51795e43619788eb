//! Stalls: when the CPU was taken away from a worker.

use crate::document::StallSum;
use crate::unit::Nanos;

/// The shortest gap between two clock reads of a worker that counts as a stall. A batch of 16 sends
/// takes 0.1 ms at most, a timer interrupt less; a hypervisor takes the CPU for 1 ms and more
/// (measured on a 2-core virtual machine).
pub const STALL_THRESHOLD: Nanos = Nanos::from_millis(1);

impl StallSum {
    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        add_counts!(self, other; count, total_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}

/// Time allowed for each datagram of a system call that moves many, in nanoseconds: as long as the
/// slowest takes alone (3 to 4 µs measured).
const DATAGRAM_NS: u64 = 4_000;

/// Finds stalls in the clock reads of a worker.
#[derive(Debug, Clone, Copy)]
pub struct StallMeter {
    threshold: Nanos,
    last: Nanos,
    ended: Nanos,
    length: Nanos,
    stalls: StallSum,
}

impl Default for StallMeter {
    fn default() -> Self {
        Self::of_batches(1)
    }
}

impl StallMeter {
    /// For a worker that moves this many datagrams between two clock reads.
    pub fn of_batches(datagrams: usize) -> Self {
        let threshold = STALL_THRESHOLD.max(Nanos(datagrams as u64 * DATAGRAM_NS));
        let (last, ended, length) = (Nanos::ZERO, Nanos::ZERO, Nanos::ZERO);
        Self { threshold, last, ended, length, stalls: StallSum::default() }
    }

    /// Begins a phase at `now`.
    pub fn start(&mut self, now: Nanos) {
        *self = Self { last: now, ended: Nanos::ZERO, stalls: StallSum::default(), ..*self };
    }

    /// Takes a clock read; true where a stall has just ended.
    #[inline]
    pub fn observe(&mut self, now: Nanos) -> bool {
        let gap = now.since(self.last);
        self.last = now;
        gap > self.threshold && self.note(now, gap)
    }

    fn note(&mut self, now: Nanos, gap: Nanos) -> bool {
        self.stalls.merge(&StallSum { count: 1, total_ns: gap.0, max_ns: gap.0 });
        (self.ended, self.length) = (now, gap);
        true
    }

    /// Excludes the time up to `now`, in which a system call waited on purpose.
    #[inline]
    pub fn exclude_until(&mut self, now: Nanos) {
        self.last = now;
    }

    /// When the latest stall ended; zero before the first.
    #[inline]
    pub const fn ended(&self) -> Nanos {
        self.ended
    }

    /// How long the latest stall took; zero before the first.
    pub const fn length(&self) -> Nanos {
        self.length
    }

    /// All stalls so far.
    pub const fn stalls(&self) -> StallSum {
        self.stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unexpected_long_gaps_count() {
        let mut meter = StallMeter::default();
        meter.start(Nanos(10));
        assert!(!meter.observe(Nanos(500_000)));
        assert!(meter.observe(Nanos(5_500_000)));
        meter.exclude_until(Nanos(50_000_000));
        assert!(!meter.observe(Nanos(50_000_001)));
        let (total_ns, max_ns) = (5_000_000, 5_000_000);
        assert_eq!(meter.stalls(), StallSum { count: 1, total_ns, max_ns });
        assert_eq!(meter.ended(), Nanos(5_500_000));
    }
}
