//! The document of a measurement, what casts doubt on it, and the faces that show it. Everything
//! here is a pure function of finished data.

mod build;
pub mod document;
#[cfg(test)]
pub(crate) mod fixture;
pub mod text;

pub use build::{CellFacts, cell};
pub use document::{Report, Warning};
