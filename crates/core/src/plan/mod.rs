//! What will happen, fully decided before anything does: [`Scenario`] is the request, [`Plan`] the
//! decisions; [`TxConfig`], [`RxConfig`] and [`RequestConfig`] are one worker's part of it.

mod build;
mod echo;
mod engines;
mod error;
mod options;
mod place;
mod ports;
mod scenario;
mod worker_config;

pub use crate::engine::{EchoKind, EngineError, EngineKind, EnginePair, RxKind, TxKind};
pub use crate::plan::build::{CellRate, LONGEST, Plan, PlannedCell};
pub use crate::plan::options::{
    Direction, PaceKind, PaceShape, Pinning, Route, TimestampKind, WaitKind, WordError,
};
pub use echo::DropRule;
pub use engines::{EngineTrial, EngineWord, MissingEngine};
pub use error::{MAX_BATCH, PlanError};
pub use place::Machine;
pub use ports::{EXCHANGE_LIFETIME, REQUEST_BATCH, block};
pub use scenario::{IpOptions, Limit, RequestOptions, Scenario};
pub use worker_config::{RequestConfig, RxConfig, TxConfig, WorkerConfig, WorkerLoad};
