//! The sink: serves each client in a session of its own, and counts datagrams of no session.
//!
//! - `server`: the event loop; `affinity`: its core; `sockets`: its sockets
//! - `client`: a session as the loop sees it; `session`: its thread; `setup`, `cell`: its cell;
//!   `tally`: its counts; `liveness`: state shared with the loop; `closing`: ended sessions
//! - `budget`: limits of all sessions together
//! - `listener`: counts of one socket; `listeners`: threads of the sockets after the first

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
