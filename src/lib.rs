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
//!  7  compare/  search/                         pure functions of documents
//!  6  report/                                   document to warnings, text, CSV, HTML, ...
//!  5  request/  remote/  echo/  talk/           what each family of commands adds to a run
//!  4  run/                                      worker threads, phases, hot loops
//!  3  plan/  host/                              what is asked and decided; what this host can do
//!  2  engine/  net/                             ways of sending and receiving; sockets, waiting
//!  1  measure/  payload/  pace/  wire/  clock/  document/
//!  0  unit/  sys/                               quantities with units; the operating system
//!
//! in run:     count_end.rs flow.rs phase.rs sampler.rs sender_bounds.rs < outage.rs probe/
//!             < receive.rs send_job/ < send.rs < worker.rs < dispatch.rs < worker_pool.rs
//!             < cell.rs < session.rs < autoselect.rs
//! in remote:  protocol/ < rpc/ < client/ sink/
//! in report:  error.rs schema.rs < checks/ < build/ format/ read.rs
//! in cli:     args/ error.rs < guard.rs < output.rs progress.rs document.rs requests.rs
//!             < target.rs noise.rs < scenario.rs judge.rs < recorded.rs < commands/
//!
//! engine uses net
//! host uses plan: probing yields the `plan::Machine` that planning needs
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`unit`](mod@unit) | nanoseconds, rates, sizes, endpoints; parsing and printing |
//! | [`sys`] | every libc call and `cfg(target_os)`: Linux, and stubs elsewhere |
//! | [`clock`] | the monotonic clock, a manual clock for tests, the offset between two hosts |
//! | [`wire`] | the 16-byte header of our datagrams |
//! | [`payload`] | requests for other servers: templates, protocols, captures, matching |
//! | [`pace`] | schedules: flat out, even, burst, Poisson, ramp, recorded |
//! | [`measure`] | counters, sequence window, latency, stalls, drop attribution, cell results |
//! | [`document`] | the structures of the JSON document |
//! | [`net`] | UDP and AF_UNIX sockets, port groups, waiting, pinning |
//! | [`engine`] | one file for each way of sending and receiving, one table of all |
//! | [`plan`] | `Scenario` (asked), `Plan` (decided), `WorkerConfig` (one worker's part) |
//! | [`host`] | hardware, kernel settings, capability probes, kernel counters, usage |
//! | [`run`] | workers, phases, the send loop and the receive loop |
//! | [`request`] | `load` and `ping`: requests in flight, writer, matcher |
//! | [`remote`] | `blast` and `sink`: control protocol, calls, client, server |
//! | [`echo`] | the echo server |
//! | [`talk`] | manual send and receive |
//! | [`report`] | measurements to document, warnings, output formats |
//! | [`compare`] | verdicts between runs: statistics, rules, noise floor |
//! | [`search`] | the highest rate that meets a goal |
//! | [`cli`] | command line, progress, exit codes |
//!
//! # Life of a datagram
//! `pace` says when it is due. `run/send.rs` takes a slot from `engine`, stamps it with `wire`, and
//! pushes it. `run/receive.rs` pulls it, and `run/probe.rs` classifies it with the window in
//! `measure`. `measure/ledger/attribution.rs` attributes losses with the kernel's counters, and
//! `report` shows the result.
//!
//! # Two hosts
//! A cell has two sides, `TxResult` and `RxResult`. The same workers measure each, whether the
//! other side is in this process or on another host. `run/worker_pool.rs` runs the workers of one
//! host; `run/cell.rs` has one pool for both sides, and `remote/client/` and `remote/sink/` have
//! one each. The hosts talk with `remote/rpc/`: each call runs once, over datagrams of
//! `remote/protocol/`, on the port that data uses. The kernel steers datagrams by their first bytes
//! (`net/group.rs`): control and foreign traffic to the listeners, data to its session's sockets.
//!
//! # Requests
//! `payload` compiles a request into bytes and fields to patch. One worker sends and receives on
//! the same sockets (`request/`). The writer enters each request in `request/in_flight.rs`, a table
//! of fixed slots, before it leaves. The matcher finds it by the response's id, checks that the
//! response belongs to it, and records its latency. A request without a response times out.
//!
//! # Deliberately omitted
//! No async runtime, no logger. The hot loops have no `dyn`, no lock, no allocation, and no counter
//! that two threads write. They read the clock at most once a batch.

pub use udperf_core::{
    clock, document, echo, engine, host, measure, net, pace, payload, plan, request, run, sys,
    unit, wire,
};

pub mod cli;
pub mod compare;
pub mod remote;
pub mod report;
pub mod search;
pub mod talk;
