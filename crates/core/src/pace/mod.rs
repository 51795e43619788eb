//! Schedules: when each datagram should leave. All moments count from the start.

mod schedule;
mod slots;

pub use schedule::{Due, FlatOut, Pace, Scheduled, catch_up};
pub use slots::{Arrivals, Part, Slots};
