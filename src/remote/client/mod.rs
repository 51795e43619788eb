//! The client of a two-host run.
//!
//! - `blast`: runs cells with a sink, or without one; `cell`: the phases of one
//! - `control_client`: calls to the sink; `control_thread`: its thread, which also compares clocks;
//!   `clock_corrections`: the corrections of a phase
//! - `sanitize`: makes text of the sink safe to print; `bodies`: decoding, for fuzzing

mod blast;
mod bodies;
mod cell;
mod clock_corrections;
mod control_client;
mod control_thread;
mod sanitize;

pub(crate) use blast::{RemoteRunner, SendOnlyRunner};
pub use bodies::{Bodies, read_bodies};
