//! The bound receiver: serves clients, each in a session of its own, and counts whatever else
//! arrives.
//!
//! - `server`: the event loop of the port; `session`: one client's cells

mod server;
mod session;

pub use server::{SinkEnd, SinkEvent, SinkOptions, serve};
