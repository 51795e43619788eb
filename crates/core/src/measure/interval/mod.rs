//! What happened to the datagrams that were due in each interval of a cell.
//!
//! Each worker has an [`IntervalBoard`] of counters, which only it writes; anyone may read it at
//! any time. A datagram counts in the interval in which it was due, wherever and whenever it
//! arrives, so that the sums over intervals are those of the cell.

mod layout;
mod merged;
mod scale;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use layout::Count;
use layout::{COUNTS, STRIDE, bucket_of};
pub use merged::{IntervalCounts, IntervalSeries, Latencies};
pub use scale::IntervalScale;

use crate::sys::{self, zeroed_counters};
use crate::unit::Nanos;

/// The counters of one worker for all intervals of a cell.
#[derive(Debug)]
pub struct IntervalBoard {
    scale: IntervalScale,
    all: Box<[AtomicU64]>,
}

impl IntervalBoard {
    /// A board for a window up to `end`; [`Nanos::NEVER`] if that is not known.
    // cold: before the start barrier
    pub fn new(scale: IntervalScale, end: Nanos) -> Arc<Self> {
        let all = zeroed_counters(scale.len(end) * STRIDE);
        Arc::new(Self { scale, all })
    }

    /// The counters of every interval, added to `sums`.
    pub fn add_to(&self, sums: &mut IntervalSeries) {
        for (index, interval) in self.all.chunks_exact(STRIDE).enumerate() {
            sums.add(index, self.scale, &IntervalCounts::read(interval));
        }
    }

    /// The counters of the interval of this index; zeroes where there is none.
    pub fn read(&self, index: usize) -> IntervalCounts {
        let interval = self.all.chunks_exact(STRIDE).nth(index);
        interval.map(IntervalCounts::read).unwrap_or_default()
    }

    /// The boundaries of its intervals.
    pub const fn scale(&self) -> IntervalScale {
        self.scale
    }
}

/// A worker's way to write its board: it holds the place of the latest interval.
#[derive(Debug)]
pub struct IntervalRecorder {
    board: Arc<IntervalBoard>,
    /// The interval of the latest record: its start, its width, and its counters' place.
    start: u64,
    width: u64,
    at: usize,
    /// When this thread's CPU time is read next, and what it was; `None` before the first time.
    cpu: Option<(Nanos, u64)>,
}

impl IntervalRecorder {
    /// Writes this board.
    pub fn new(board: Arc<IntervalBoard>) -> Self {
        let width = board.scale.width().0;
        Self { board, start: 0, width, at: 0, cpu: None }
    }

    #[inline]
    fn seek(&mut self, due: Nanos) -> &[AtomicU64] {
        if due.0.wrapping_sub(self.start) >= self.width {
            self.jump(due);
        }
        &self.board.all[self.at..self.at + STRIDE]
    }

    // cold: once an interval, or behind a late datagram
    fn jump(&mut self, due: Nanos) {
        let last = self.board.all.len() / STRIDE - 1;
        let index = self.board.scale.index(due).min(last);
        let (start, end) = self.board.scale.bounds(index);
        (self.start, self.width, self.at) = (start.0, end.0 - start.0, index * STRIDE);
    }

    /// Takes a clock read of the worker's thread: at the end of each interval, what it used of its
    /// CPU since the latest one.
    #[inline]
    pub fn observe(&mut self, now: Nanos) {
        if self.cpu.is_none_or(|(next, _)| now >= next) {
            self.read_cpu(now);
        }
    }

    // cold: once an interval
    fn read_cpu(&mut self, now: Nanos) {
        let Some(cpu_ns) = sys::thread_cpu_ns() else { return };
        let scale = self.board.scale;
        let next = scale.bounds(scale.index(now)).1;
        if let Some((end, before_ns)) = self.cpu.replace((next, cpu_ns)) {
            // Up to that end; the interval of `now` has just begun.
            self.count(end - Nanos(1), Count::CpuNs, cpu_ns.saturating_sub(before_ns));
        }
    }

    /// Counts the CPU time of the last interval; later time does not count.
    pub fn close_window(&mut self, now: Nanos) {
        if let Some((end, _)) = &mut self.cpu {
            *end = (*end).min(now + Nanos(1));
            self.read_cpu(now);
            self.cpu = Some((Nanos::NEVER, 0));
        }
    }

    /// Counts a stall that ended at `now`.
    // cold: behind a stall
    pub fn stall(&mut self, now: Nanos, length: Nanos) {
        self.count(now, Count::Stalls, 1);
        self.count(now, Count::StalledNs, length.0);
    }

    /// Counts `count` of something that was due at `due`.
    #[inline]
    pub fn count(&mut self, due: Nanos, what: Count, count: u64) {
        add(&self.seek(due)[what as usize], count);
    }

    /// Counts `count` datagrams that were due at `due`, and their latency.
    #[inline]
    pub fn timed(&mut self, due: Nanos, what: Count, ns: u64, count: u64) {
        let interval = self.seek(due);
        add(&interval[what as usize], count);
        add(&interval[COUNTS + bucket_of(ns)], count);
        let longest = &interval[Count::MaxNs as usize];
        if ns > longest.load(Ordering::Relaxed) {
            longest.store(ns, Ordering::Relaxed);
        }
    }
}

/// Adds to a counter that no other thread writes: a load and a store, without a locked instruction.
#[inline]
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_records_count_where_they_were_due() {
        let end = Nanos(100);
        let board = IntervalBoard::new(IntervalScale::new(Nanos(10), end), end);
        let mut recorder = IntervalRecorder::new(Arc::clone(&board));
        for (due, count) in [(0, 1), (99, 2), (5, 4), (10, 8), (250, 16)] {
            recorder.timed(Nanos(due), Count::Received, due * 1_000, count);
        }
        let mut series = IntervalSeries::default();
        board.add_to(&mut series);
        let received: Vec<u64> = series.iter().map(|(_, one)| one.received).collect();
        // What comes after the window counts in its last interval.
        assert_eq!(received, [5, 8, 0, 0, 0, 0, 0, 0, 0, 18]);
        let last = series.iter().last().unwrap();
        assert_eq!((last.0, last.1.latency.max_ns()), ((Nanos(90), Nanos(100)), Some(250_000)));
    }
}
