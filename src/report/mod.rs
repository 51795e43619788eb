//! The document of a measurement, what casts doubt on it, and the faces that show it. Everything
//! here is a pure function of finished data.

mod build;
pub mod csv;
pub mod doctor;
pub mod document;
mod echo;
mod error;
pub mod explain;
pub mod fail_if;
mod findings;
#[cfg(test)]
pub(crate) mod fixture;
mod gates;
pub mod hdr;
#[cfg(test)]
pub(crate) mod hostile;
pub mod html;
pub mod junit;
mod legs;
pub mod markdown;
pub mod metric;
pub mod read;
mod schema;
mod sink;
pub mod text;
pub mod validity;
mod warnings;
mod with_loss;

pub use build::{CellFacts, CodeName, cell, choice};
pub use doctor::render as doctor;
pub use document::{Report, Warning};
pub use echo::{EchoFacts, echo};
pub use error::FaceError;
pub use fail_if::{Condition, ConditionError, Failure};
pub use findings::{Finding, Grade, Wants, findings, host, host_warnings, sink_warnings};
pub use gates::gates;
pub use schema::{schema, schema_of};
pub use sink::sink;
pub use validity::judge_validity;
pub use warnings::codes;
pub use warnings::{CellContext, cell_warnings, left_out, over_loopback, size_warnings, throttled};
