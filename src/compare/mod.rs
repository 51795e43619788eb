//! Runs that were kept: read again, and one beside the other. Pure functions of finished data, but
//! for the reading.

pub mod history;
pub mod store;
