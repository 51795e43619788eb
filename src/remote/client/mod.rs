//! The client of a two-host run.
//!
//! - `blast`: runs cells with a sink; `cell`: the phases of one; `send_only`: sends without a sink
//! - `control_client`: calls to the sink; `control_thread`: its thread, which also compares clocks;
//!   `clock_corrections`: the corrections of a phase
//! - `sanitize`: makes text of the sink safe to print; `bodies`: decoding, for fuzzing

mod blast;
mod bodies;
mod cell;
mod clock_corrections;
mod control_client;
mod control_thread;
mod error;
mod sanitize;
mod send_only;

pub use crate::remote::client::send_only::SendOnlyRunner;
pub use blast::{RemoteRunner, SinkPeer};
pub use bodies::{Bodies, read_bodies};
