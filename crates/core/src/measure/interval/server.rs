//! What a server counts by interval of arrival: the increase of its sums.

use std::sync::Arc;

use super::super::DropReading;
use super::{Count, IntervalBoard, IntervalRecorder, IntervalScale, IntervalSeries};
use crate::unit::Nanos;

/// All that a server counted by interval.
#[derive(Debug, Clone, Default)]
pub struct ServerIntervals {
    /// The boundaries of intervals, since the server began; `None`: it counts none.
    pub scale: Option<IntervalScale>,
    /// When the server was to end, since it began; `None`: not known before.
    pub planned_end: Option<Nanos>,
    /// Of an echo server, its datagrams and replies; of a sink, those of clients.
    pub counts: IntervalSeries,
    /// Datagrams outside the sessions of a sink.
    pub unsolicited: IntervalSeries,
    /// Drops of the kernel.
    pub drop_readings: Vec<DropReading>,
}

/// What the sums of a worker count, in order.
const SUMS: [Count; 5] =
    [Count::Received, Count::Bytes, Count::Sent, Count::Refused, Count::SocketDrops];

/// The sums of a worker: datagrams received, their bytes, datagrams sent and refused, and drops at
/// its socket.
pub type ServerSums = [u64; SUMS.len()];

/// Counts by interval for one worker of a server. Nothing is done for each datagram: the sums are
/// compared at the end of each interval.
#[derive(Debug)]
pub struct ServerRecorder {
    recorder: IntervalRecorder,
    board: Arc<IntervalBoard>,
    began: Nanos,
    counted: ServerSums,
}

impl ServerRecorder {
    /// Intervals of at least `width` since `began`; with a known end, for a server that ends then.
    // cold: before the start
    pub fn new(width: Nanos, began: Nanos, end: Nanos) -> Self {
        let board = IntervalBoard::new(IntervalScale::new(width, end), end);
        let recorder = IntervalRecorder::new(Arc::clone(&board));
        Self { recorder, board, began, counted: Default::default() }
    }

    /// Takes a clock read; at the end of an interval, also `sums`.
    #[inline]
    pub fn observe(&mut self, now: Nanos, sums: impl FnOnce() -> ServerSums) {
        if let Some(end) = self.recorder.observe(now.since(self.began)) {
            self.count(end - Nanos(1), sums());
        }
    }

    // cold: once an interval
    fn count(&mut self, at: Nanos, sums: ServerSums) {
        for (what, (now, then)) in SUMS.into_iter().zip(sums.into_iter().zip(self.counted)) {
            self.recorder.count(at, what, now.saturating_sub(then));
        }
        self.counted = sums;
    }

    /// All intervals of a worker that ended with these sums.
    // cold: after the end
    pub fn into_series(mut self, now: Nanos, sums: ServerSums) -> IntervalSeries {
        let at = now.since(self.began);
        self.count(at, sums);
        self.recorder.close_window(at);
        let mut series = IntervalSeries::default();
        self.board.add_to(&mut series);
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_count_in_the_interval_that_ends() {
        let mut recorder = ServerRecorder::new(Nanos(10), Nanos(100), Nanos::NEVER);
        recorder.observe(Nanos(100), || unreachable!());
        recorder.observe(Nanos(109), || unreachable!());
        recorder.observe(Nanos(111), || [3, 30, 2, 1, 0]);
        recorder.observe(Nanos(119), || unreachable!());
        // Nothing was read meanwhile.
        recorder.observe(Nanos(145), || [7, 70, 6, 1, 5]);
        let series = recorder.into_series(Nanos(152), [8, 80, 7, 1, 5]);
        let counts = series
            .iter()
            .map(|(_, one)| [one.received, one.bytes, one.sent, one.refused, one.socket_drops]);
        let expected =
            [[3, 30, 2, 1, 0], [4, 40, 4, 0, 5], [0; 5], [0; 5], [0; 5], [1, 10, 1, 0, 0]];
        assert_eq!(counts.collect::<Vec<_>>(), expected);
    }
}
