//! The bound receiver: serves clients, each in a session of its own, and counts whatever else
//! arrives.
//!
//! - `server`: the event loop of the port; `session`: one client, which sets up a cell in `setup`;
//!   `cell`: its present cell; `budget`: what all take together; `pulse`: what the loop and a
//!   session tell each other by the way

mod budget;
mod cell;
mod client;
mod home;
mod options;
mod others;
mod pulse;
mod server;
mod session;
mod setup;

pub use options::{SinkEnd, SinkEvent, SinkOptions};
pub use server::serve;
