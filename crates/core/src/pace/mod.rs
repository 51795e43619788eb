//! Schedules: when each datagram should leave. Every moment is counted from the start, so no
//! schedule drifts; what is long overdue is missed, never sent in a burst.

mod schedule;
mod slots;

pub use schedule::{Due, FlatOut, Pace, Scheduled, catch_up};
pub use slots::{Arrivals, Part, Slots};
