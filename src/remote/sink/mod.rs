//! The bound receiver: serves clients, each in a session of its own, and counts whatever else
//! arrives.
//!
//! - `server`: the event loop of the port; `affinity`: its core; `doors`: where clients call
//! - `client`, `session`: one client, which sets up a cell in `setup`; `cell`: its present cell;
//!   `tally`: what its cells came to; `liveness`: what it and the loop tell each other by the way
//! - `budget`: what all sessions take together; `closing`: who left
//! - `listener`: what came to one socket; `listeners`: those beside the first

mod affinity;
mod budget;
mod cell;
mod client;
mod closing;
mod listener;
mod listeners;
mod liveness;
mod options;
mod server;
mod session;
mod setup;
mod sockets;
mod tally;

pub use options::{SinkEnd, SinkEvent, SinkOptions};
pub use server::serve;
