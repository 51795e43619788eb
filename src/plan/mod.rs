//! What will happen, fully decided before anything does: [`Scenario`] is what was asked,
//! [`Plan`] what will be, [`TxConfig`], [`RxConfig`] and [`RequestConfig`] one worker's part of it.

mod build;
mod echo;
mod engines;
mod error;
mod options;
mod place;
mod ports;
mod scenario;
mod share;

pub use crate::engine::{EchoKind, EngineError, EngineKind, EnginePair, RxKind, TxKind};
pub use crate::plan::build::{Cell, CellRate, LONGEST, MAX_BATCH, Machine, Plan};
pub use crate::plan::options::{
    Direction, PaceKind, PaceShape, Pinning, Route, TimestampKind, WaitKind, WordError,
};
pub use echo::DropRule;
pub use engines::{Choice, EngineWord, MissingEngine};
pub use error::PlanError;
pub use ports::{EXCHANGE_LIFETIME, REQUEST_BATCH, block};
pub use scenario::{IpOptions, Limit, RequestOptions, Scenario};
pub use share::{RequestConfig, RxConfig, TxConfig, WorkerConfig, WorkerLoad};
