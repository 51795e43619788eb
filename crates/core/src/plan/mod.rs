//! All decisions of a run, made before it starts: [`Scenario`] is the request, [`Plan`] the
//! decisions; [`TxConfig`], [`RxConfig`] and [`RequestConfig`] are one worker's part of it.

mod build;
mod error;
mod options;
mod place;
mod ports;
mod scenario;
mod sources;

pub use crate::engine::{EchoKind, EngineError, EngineKind, EnginePair, RxKind, TxKind};
pub use build::{CellRate, LONGEST, NARROWEST_INTERVAL, Plan, PlannedCell, check_scenario};
pub use error::{MAX_BATCH, PlanError};
pub use options::{
    Direction, DropRule, EngineWord, Member, MissingEngine, PaceBy, PaceKind, Pinning, Route,
    TimestampKind, WaitKind, WordError,
};
pub use place::Machine;
pub use ports::{EXCHANGE_LIFETIME, REQUEST_BATCH, block};
pub use scenario::{
    IpOptions, Limit, RequestConfig, RequestOptions, RxConfig, Scenario, TxConfig, WorkerConfig,
    WorkerLoad, XdpSettings,
};
pub use sources::Sources;
