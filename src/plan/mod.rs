//! What will happen, fully decided before anything does: [`Scenario`] is what was asked,
//! [`Plan`] what will be, [`TxShare`] and [`Share`] one worker's part of it.

mod decide;
mod error;
mod scenario;
mod share;
mod words;

pub use decide::{Cell, CellRate, LONGEST, Machine, Plan};
pub use error::PlanError;
pub use scenario::{IpOptions, Limit, Scenario};
pub use share::{Load, Share, TxShare};
pub use words::{EngineKind, EnginePair, PaceKind, PaceShape, Pinning, WaitKind, WordError};
