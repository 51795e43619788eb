//! What happened to the datagrams that were due in each interval of a cell.
//!
//! Each worker has an [`IntervalBoard`] of counters, which only it writes; anyone may read it at
//! any time. A datagram counts in the interval in which it was due, wherever and whenever it
//! arrives, so that the sums over intervals are those of the cell.

mod latencies;
mod layout;
mod scale;
mod series;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use latencies::Latencies;
pub use layout::Count;
use layout::{COUNTS, STRIDE, bucket_of};
pub use scale::{IntervalScale, MAX_INTERVALS};
pub use series::{IntervalCounts, IntervalSeries, StepCounts};
pub use server::{ServerIntervals, ServerRecorder, ServerSums};

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

    /// Whether one of these counters of the interval of this index is not 0.
    pub fn has_any(&self, index: usize, counts: &[Count]) -> bool {
        let interval = self.all.chunks_exact(STRIDE).nth(index);
        let is_any = |interval: &[AtomicU64]| {
            counts.iter().any(|what| interval[*what as usize].load(Ordering::Relaxed) > 0)
        };
        interval.is_some_and(is_any)
    }

    /// The sum of a counter over all intervals.
    pub fn total(&self, what: Count) -> u64 {
        let counters = self.all.iter().skip(what as usize).step_by(STRIDE);
        counters.map(|counter| counter.load(Ordering::Relaxed)).sum()
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
    /// When this thread's CPU time is read next, and what it was, if known; `None` before the first
    /// time.
    cpu: Option<(Nanos, Option<u64>)>,
    /// The latest interval that a mark has ended, and the sums at that mark.
    marked: usize,
    sums: [u64; 2],
}

impl IntervalRecorder {
    /// Writes this board.
    pub fn new(board: Arc<IntervalBoard>) -> Self {
        let width = board.scale.width().0;
        Self { board, start: 0, width, at: 0, cpu: None, marked: 0, sums: [0; 2] }
    }

    /// The counters of the interval of `due`, and whether it is later than the latest mark.
    #[inline]
    fn seek(&mut self, due: Nanos) -> (&[AtomicU64], bool) {
        let jumps = due.0.wrapping_sub(self.start) >= self.width;
        let is_new = jumps && self.jump(due);
        (&self.board.all[self.at..self.at + STRIDE], is_new)
    }

    // cold: once an interval, or behind a late datagram
    fn jump(&mut self, due: Nanos) -> bool {
        let last = self.board.all.len() / STRIDE - 1;
        let index = self.board.scale.index(due).min(last);
        let (start, end) = self.board.scale.bounds(index);
        (self.start, self.width, self.at) = (start.0, end.0 - start.0, index * STRIDE);
        index > self.marked
    }

    /// Counts what was added to these sums since the latest mark, in the interval of that mark: the
    /// datagrams that sequence numbers showed to be sent, and the bytes received.
    // cold: once an interval, and at the end of a phase
    pub fn mark(&mut self, sums: [u64; 2]) {
        let interval = &self.board.all[self.marked * STRIDE..];
        for (what, (now, then)) in
            [Count::Expected, Count::Bytes].into_iter().zip(sums.into_iter().zip(self.sums))
        {
            add(&interval[what as usize], now.saturating_sub(then));
        }
        self.sums = sums;
        self.marked = self.marked.max(self.at / STRIDE);
    }

    /// Takes a clock read of the worker's thread: at the end of each interval, what it used of its
    /// CPU since the latest one. Returns that end, once.
    #[inline]
    pub fn observe(&mut self, now: Nanos) -> Option<Nanos> {
        if self.cpu.is_none_or(|(next, _)| now >= next) { self.read_cpu(now) } else { None }
    }

    // cold: once an interval
    fn read_cpu(&mut self, now: Nanos) -> Option<Nanos> {
        let cpu_ns = sys::thread_cpu_ns();
        let scale = self.board.scale;
        let next = scale.bounds(scale.index(now)).1;
        let (end, before_ns) = self.cpu.replace((next, cpu_ns))?;
        if let Some((now_ns, then_ns)) = cpu_ns.zip(before_ns) {
            // Up to that end; the interval of `now` has just begun.
            self.count(end - Nanos(1), Count::CpuNs, now_ns.saturating_sub(then_ns));
        }
        Some(end)
    }

    /// Counts the CPU time of the last interval; later time does not count.
    pub fn close_window(&mut self, now: Nanos) {
        if let Some((end, _)) = &mut self.cpu {
            *end = (*end).min(now + Nanos(1));
            self.read_cpu(now);
            self.cpu = Some((Nanos::NEVER, None));
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
        add(&self.seek(due).0[what as usize], count);
    }

    /// Counts `count` datagrams that were due at `due`, and their latency. Returns whether they are
    /// the first of an interval after the latest mark.
    #[inline]
    pub fn timed(&mut self, due: Nanos, what: Count, ns: u64, count: u64) -> bool {
        let (interval, is_new) = self.seek(due);
        add(&interval[what as usize], count);
        add(&interval[COUNTS + bucket_of(ns)], count);
        raise(&interval[Count::MaxNs as usize], ns);
        is_new
    }

    /// Counts a reply to a request of the exchange that was due at `due`, and its latency: to the
    /// first request or to a later one.
    #[inline]
    pub fn step(&mut self, due: Nanos, is_first: bool, ns: u64) {
        let [answered, sum, longest] = Count::STEPS[usize::from(!is_first)];
        let interval = self.seek(due).0;
        add(&interval[answered as usize], 1);
        add(&interval[sum as usize], ns);
        raise(&interval[longest as usize], ns);
    }
}

/// Raises a maximum that no other thread writes.
#[inline]
fn raise(longest: &AtomicU64, ns: u64) {
    if ns > longest.load(Ordering::Relaxed) {
        longest.store(ns, Ordering::Relaxed);
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
    fn a_mark_counts_what_came_before_a_new_interval() {
        let end = Nanos(100);
        let board = IntervalBoard::new(IntervalScale::new(Nanos(10), end), end);
        let mut recorder = IntervalRecorder::new(Arc::clone(&board));
        let timed = |recorder: &mut IntervalRecorder, due| {
            recorder.timed(Nanos(due), Count::Received, 1, 1)
        };
        assert!(!timed(&mut recorder, 9));
        assert!(timed(&mut recorder, 25));
        recorder.mark([4, 400]);
        // A late one, and another of the same interval.
        assert!(!timed(&mut recorder, 8) && !timed(&mut recorder, 27));
        assert!(timed(&mut recorder, 31));
        recorder.mark([9, 600]);
        recorder.mark([11, 700]);
        let counts: Vec<_> = (0..4).map(|index| board.read(index)).collect();
        let of = |one: &IntervalCounts| [one.expected, one.bytes, one.received];
        let expected = [[4, 400, 2], [0, 0, 0], [5, 200, 2], [2, 100, 1]];
        assert_eq!(counts.iter().map(of).collect::<Vec<_>>(), expected);
        let totals = [Count::Expected, Count::Bytes, Count::Received].map(|what| board.total(what));
        assert_eq!(totals, [11, 700, 5]);
    }

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
