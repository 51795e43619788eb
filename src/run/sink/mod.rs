//! The bound receiver: serves clients, each in a session of its own, and counts whatever else
//! arrives.
//!
//! - `server`: the event loop of the port; `session`: one client; `cell`: its present cell

mod cell;
mod client;
mod doors;
mod home;
mod options;
mod others;
mod server;
mod session;

pub use options::{SinkEnd, SinkEvent, SinkOptions};
pub use server::serve;
