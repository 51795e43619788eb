//! Cells between two hosts: the client's end, and what both ends say to each other.
//!
//! - `spec`: what is asked and told; `link`: the line to the sink; `line`: its
//!   thread, which also compares clocks
//! - `blast`: the client's end of a cell; `stage`: its phases; `alone`: sending to whoever is there
//! - `clean`: what the other end says of itself, fit to be printed; `bodies`: any bytes as what is
//!   asked and told

mod alone;
mod blast;
mod bodies;
mod clean;
mod error;
mod follow;
mod line;
mod link;
mod stage;

pub use alone::SendOnlyRunner;
pub use blast::{RemoteRunner, SinkPeer};
pub use bodies::{Bodies, read_bodies};
