//! Cells between two hosts: the client's end, and what both ends say to each other.
//!
//! - `spec`: what is asked and told; `control_client`: the line to the sink; `control_thread`: its
//!   thread, which also compares clocks
//! - `blast`: the client's end of a cell; `cell`: its phases; `send_only`: sending without a sink
//! - `sanitize`: the other end's texts, made safe to print; `bodies`: encoding of calls

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
