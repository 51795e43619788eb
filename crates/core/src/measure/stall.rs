//! Stalls: when the CPU was taken away from a worker.

use serde::{Deserialize, Serialize};

use crate::unit::Nanos;

/// The shortest gap between two clock reads of a worker that counts as a stall. A batch of 16 sends
/// takes 0.1 ms at most, a timer interrupt less; a hypervisor takes the CPU for 1 ms and more
/// (measured on a 2-core virtual machine).
pub const STALL_THRESHOLD: Nanos = Nanos::from_millis(1);

/// Number and length of the stalls of a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StallCounts {
    /// Gaps above [`STALL_THRESHOLD`], or above what the worker's batches may take.
    pub count: u64,
    /// Their sum.
    pub total: Nanos,
    /// The longest one.
    pub max: Nanos,
}

impl StallCounts {
    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.total += other.total;
        self.max = self.max.max(other.max);
    }
}

/// Time allowed for each datagram of a system call that moves many, in nanoseconds: as long as the
/// slowest takes alone (3 to 4 µs measured).
const DATAGRAM_NS: u64 = 4_000;

/// Watches a worker's clock reads.
#[derive(Debug, Clone, Copy)]
pub struct StallMeter {
    threshold: Nanos,
    last: Nanos,
    ended: Nanos,
    stalls: StallCounts,
}

impl Default for StallMeter {
    fn default() -> Self {
        Self::of_batches(1)
    }
}

impl StallMeter {
    /// For a worker that moves so many datagrams between two clock reads.
    pub fn of_batches(datagrams: usize) -> Self {
        let threshold = STALL_THRESHOLD.max(Nanos(datagrams as u64 * DATAGRAM_NS));
        let (last, ended) = (Nanos::ZERO, Nanos::ZERO);
        Self { threshold, last, ended, stalls: StallCounts::default() }
    }

    /// Begins a phase at `now`.
    pub fn start(&mut self, now: Nanos) {
        *self = Self { last: now, ended: Nanos::ZERO, stalls: StallCounts::default(), ..*self };
    }

    /// Takes a clock read; true where a stall has just ended.
    #[inline]
    pub fn observe(&mut self, now: Nanos) -> bool {
        let gap = now.since(self.last);
        self.last = now;
        gap > self.threshold && self.note(now, gap)
    }

    fn note(&mut self, now: Nanos, gap: Nanos) -> bool {
        self.stalls.count += 1;
        self.stalls.total += gap;
        self.stalls.max = self.stalls.max.max(gap);
        self.ended = now;
        true
    }

    /// Excludes the time up to `now`, in which a system call waited as asked.
    #[inline]
    pub fn excuse(&mut self, now: Nanos) {
        self.last = now;
    }

    /// When the latest stall ended; zero before the first.
    #[inline]
    pub const fn ended(&self) -> Nanos {
        self.ended
    }

    /// All stalls so far.
    pub const fn stalls(&self) -> StallCounts {
        self.stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unexcused_long_gaps_count() {
        let mut meter = StallMeter::default();
        meter.start(Nanos(10));
        assert!(!meter.observe(Nanos(500_000)));
        assert!(meter.observe(Nanos(5_500_000)));
        meter.excuse(Nanos(50_000_000));
        assert!(!meter.observe(Nanos(50_000_001)));
        let StallCounts { count, total, max } = meter.stalls();
        assert_eq!((count, total, max), (1, Nanos(5_000_000), Nanos(5_000_000)));
        assert_eq!(meter.ended(), Nanos(5_500_000));
    }
}
