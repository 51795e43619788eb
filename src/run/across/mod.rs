//! Cells between two hosts: the client's end, and what both ends say to each other.
//!
//! - `spec`: what is asked and told; `link`: the line to the sink, which also compares clocks
//! - `blast`: the client's end of a cell; `alone`: sending to whoever is there

mod alone;
mod blast;
mod link;
pub(crate) mod spec;

pub use alone::Alone;
pub use blast::{Blast, Peer};
