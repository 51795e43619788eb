//! What a cell has counted while it runs.

use crate::host::counters::CounterSnapshot;
use crate::measure::{IntervalCounts, IntervalScale, KernelDelta};
use crate::run::phase::PhaseState;
use crate::sys;
use crate::unit::Nanos;

/// The measured phase of a cell with intervals, while it runs.
#[derive(Debug, Clone, Copy)]
pub struct LiveCell<'a> {
    state: &'a PhaseState,
    scale: IntervalScale,
    /// When the phase began, on the monotonic clock.
    epoch: Nanos,
}

impl<'a> LiveCell<'a> {
    /// The phase of this state; `None` without intervals.
    pub fn new(state: &'a PhaseState, epoch: Nanos) -> Option<Self> {
        Some(Self { state, scale: state.interval_scale()?, epoch })
    }

    /// Time since the phase began; zero before.
    pub fn elapsed(&self) -> Nanos {
        Nanos(sys::monotonic_ns()).since(self.epoch)
    }

    /// The number of intervals that have ended: the index of the current one.
    pub fn ended(&self) -> usize {
        self.scale.index(self.elapsed())
    }

    /// Start and end of the interval of this index.
    pub fn bounds(&self, index: usize) -> (Nanos, Nanos) {
        self.scale.bounds(index)
    }

    /// What senders and receivers of this host have counted in the interval of this index so far.
    /// Datagrams that arrive later may still add to it.
    pub fn interval(&self, index: usize) -> [IntervalCounts; 2] {
        self.state.interval(index)
    }
}

/// Readings of the kernel's counters at the ends of intervals. The coordinator takes them, a
/// quarter of a second late at most.
#[derive(Debug, Default)]
pub struct DropReadings {
    /// The changes since the phase began, by the index of the interval that had just begun.
    readings: Vec<(usize, KernelDelta)>,
}

impl DropReadings {
    /// Takes a reading if an interval has ended since the latest one.
    pub fn observe(&mut self, live: Option<LiveCell<'_>>, counters: &CounterSnapshot) {
        let Some(ended) = live.map(|live| live.ended()) else { return };
        if ended > self.readings.last().map_or(0, |(index, _)| *index) {
            self.readings.push((ended, counters.end().kernel()));
        }
    }

    /// All of them; the last one covers what came up to the end of the phase.
    pub fn into_readings(mut self, at_end: KernelDelta) -> Vec<(usize, KernelDelta)> {
        self.readings.push((usize::MAX, at_end));
        self.readings
    }
}
