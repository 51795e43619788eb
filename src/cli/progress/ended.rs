//! Which intervals of a running cell have ended.

use crate::document::Interval;
use crate::report::{self, IntervalFacts};
use crate::run::LiveCell;
use crate::unit::Nanos;

/// Reads each interval of a running cell once, when it has ended.
#[derive(Debug)]
pub(crate) struct EndedIntervals {
    /// How long after its end an interval is read.
    wait: Nanos,
    /// The index of the next interval to read.
    next: usize,
}

impl EndedIntervals {
    pub(crate) const fn new(wait: Nanos) -> Self {
        Self { wait, next: 0 }
    }

    /// Another cell begins.
    pub(crate) const fn restart(&mut self) {
        self.next = 0;
    }

    /// The intervals that have ended since the last call. The last one of a cell may be shorter
    /// than the others, so that only its result has it: what is due later shows that the cell goes
    /// on.
    pub(crate) fn read(&mut self, facts: IntervalFacts, live: LiveCell<'_>) -> Vec<Interval> {
        let (now, current) = (live.elapsed(), live.ended());
        let has_ended = |index: &usize| live.bounds(*index).1 + self.wait <= now;
        let ended = self.next + (self.next..current).take_while(has_ended).count();
        if ended == self.next {
            return Vec::new();
        }
        let is_in_use = |index: &usize| live.is_in_use(*index);
        let latest = (self.next..=current).rev().find(is_in_use).unwrap_or(self.next);
        let read = |index| report::live_interval(facts, live, index);
        let first = std::mem::replace(&mut self.next, latest.min(ended));
        (first..self.next).map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Count;
    use crate::plan::{Limit, WorkerLoad};
    use crate::run::PhaseState;
    use crate::sys;

    #[test]
    fn an_interval_has_ended_where_something_is_due_later() {
        let width = Nanos::from_millis(10);
        let limit = Limit::Time(Nanos::from_millis(1_000));
        let state = PhaseState::new(Default::default(), 1).with_intervals(
            Some(width),
            limit,
            WorkerLoad::FlatOut,
        );
        let mut sender = state.tx_intervals(0).unwrap();
        // Half an hour ago, so that a slow machine changes nothing. Some clocks begin with the
        // program, so wait.
        let epoch = Nanos(sys::monotonic_ns()).since(Nanos::from_millis(1_800_000));
        let live = LiveCell::new(&state, epoch).unwrap();
        while live.ended() < 5 {
            std::thread::yield_now();
        }
        let mut ended = EndedIntervals::new(Nanos::ZERO);
        let mut read = || {
            let read = ended.read(IntervalFacts::default(), live);
            read.iter().map(|one| (one.start_ns / width.0, one.sent)).collect::<Vec<_>>()
        };
        assert_eq!(read(), []);
        sender.count(Nanos::ZERO, Count::Sent, 5);
        assert_eq!(read(), []);
        sender.count(width, Count::Sent, 3);
        assert_eq!(read(), [(0, 5)]);
        sender.count(Nanos(4 * width.0), Count::Missed, 1);
        assert_eq!(read(), [(1, 3), (2, 0), (3, 0)]);
        assert_eq!(read(), []);
        let mut patient = EndedIntervals::new(Nanos::from_millis(3_600_000));
        assert_eq!(patient.read(IntervalFacts::default(), live), []);
    }
}
