//! The bound receiver: serves clients, each in a session of its own, and counts whatever else
//! arrives.
//!
//! - `server`: the event loop of the port; `seat`: its core; `session`: one client; `cell`: its
//!   present cell; `tally`: what its cells came to
//! - `listener`: what came to one socket; `others`: those beside the first; `farewell`: who left

mod cell;
mod client;
mod doors;
mod farewell;
mod home;
mod listener;
mod options;
mod others;
mod seat;
mod server;
mod session;
mod tally;

pub use options::{SinkEnd, SinkEvent, SinkOptions};
pub use server::serve;
