//! udperf measures and stresses UDP: datagrams per second, loss and latency of the send/recvfrom
//! hot path. Every datagram has exactly one outcome in the report.
//!
//! # Layers
//! The modules up to `run`, and `request` and `echo`, are in the crate `udperf-core`. It is built
//! with full optimisation, because only there does anything run once a datagram. Both crates name
//! each module `crate::NAME`.
//!
//! A module imports only from lower layers. `tests/tidy` reads this table and checks it, and that
//! no file is in an import cycle.
//!
//! ```text
//!  8  main.rs  cli/                             command line in, exit code out
//!  7  compare/  search/  scenario_result/       pure functions of documents
//!  7  selftest/                                whether reports are true on this host
//!  6  report/                                   document to warnings, text, CSV, HTML, ...
//!  5  request/  remote/  echo/  talk/  fleet/   what each family of commands adds to a run
//!  4  run/                                      worker threads, phases, hot loops
//!  3  plan/  host/                              what is asked and decided; what this host can do
//!  2  engine/  net/                             ways of sending and receiving; sockets, waiting
//!  1  measure/  payload/  pace/  wire/  clock/
//!  0  unit/  sys/  document/                    quantities with units; the system; plain data
//!
//! in run:     flow.rs sampler.rs sender_bounds.rs < phase.rs < live.rs outage.rs probe/
//!             < receive.rs send_job/ < send.rs < worker.rs < dispatch.rs < worker_pool.rs
//!             < session.rs < autoselect.rs cell.rs
//! in remote:  protocol/ < rpc/ phase.rs < client/ sink/
//! in report:  error.rs schema.rs < checks/ < build/ format/ read.rs
//! in cli:     version.rs < args/ error.rs < stop.rs output.rs < progress.rs < live/ telemetry/
//!             < target.rs fleet.rs < sources.rs < scenario.rs < requests.rs < commands/
//!
//! document uses sys: what the system reports is documented as it is
//! engine uses net
//! scenario_result uses compare: steps may be comparisons
//! selftest uses compare: verdicts are among what it checks
//! host uses plan: probing yields the `plan::Machine` that planning needs
//! ```
//!
//! docs/architecture.md describes each module, the life of a run and of a datagram, runs between
//! two hosts, requests, and what is deliberately omitted.

pub use udperf_core::{
    clock, document, echo, engine, host, measure, net, pace, payload, plan, request, run, sys,
    unit, wire,
};

pub mod cli;
pub mod compare;
pub mod fleet;
pub mod remote;
pub mod report;
mod scenario_result;
pub mod search;
mod selftest;
pub mod talk;
