//! The client of a two-host run: `blast` runs cells, by calls of `control_client` to the sink.

mod blast;
mod bodies;
mod cell;
mod clock_corrections;
mod control_client;
mod control_thread;
mod sanitize;

pub(crate) use blast::{RemoteRunner, SendOnlyRunner};
pub use bodies::{Bodies, read_bodies};
