//! udperf measures and stresses UDP: datagrams per second, loss and latency of the send/recvfrom
//! hot path, with exactly one fate for every datagram.
//!
//! # The map of the house
//! A room imports only from lower floors, on floors 0 and 1 never sideways; `tests/tidy` checks.
//!
//! ```text
//!  5  main.rs  cli/                                   words in, exit code out
//!  4  report/                                         pure functions of finished data
//!  3  run/                                            threads, phases, the hot loops
//!  2  plan/                                           what will happen, fully decided
//!  1  clock/  wire/  pace/  measure/  net/            rooms that do not know each other
//!  0  unit/   sys/                                    numbers with units; the operating system
//! ```
//!
//! | room | holds |
//! | --- | --- |
//! | [`unit`](mod@unit) | nanoseconds, rates, payload sizes; how they are written and read |
//! | [`sys`] | every libc call and `cfg(target_os)`, live on Linux, inert twins elsewhere |
//! | [`clock`] | the monotonic clock, and one turned by hand for tests |
//! | [`wire`] | the 16-byte header of our datagrams |
//! | [`pace`] | schedules: flat out, even, burst, Poisson, ramp |
//! | [`measure`] | tallies, sequence window, latency, jitter, stalls, the ledger |
//! | [`net`] | sockets of UDP and AF_UNIX, waiting, pinning, and `engine/`: one file an engine |
//! | [`plan`] | what was asked (`Scenario`), what will be (`Plan`), a worker's part (`Share`) |
//! | [`run`] | workers and phases; `send.rs` and `receive.rs` are the hot loops |
//! | [`report`] | the document, and the faces that show it |
//! | [`cli`] | command line, progress, exit codes |
//!
//! # The way of a datagram
//! `pace` says it is due; `run/send.rs` stamps it by `wire` into a slot that `net/engine` leased,
//! and pushes it. `run/receive.rs` pulls it, and `run/probe.rs` gives it its fate by the window in
//! `measure`. `measure/ledger.rs` settles all fates with the counters of the kernel, and `report`
//! shows it.
//!
//! # What is not here on purpose
//! No async runtime and no logger; in the loops no `dyn`, no lock, no allocation, no counter that
//! two threads write, and one clock read a batch.

pub mod cli;
pub mod clock;
pub mod measure;
pub mod net;
pub mod pace;
pub mod plan;
pub mod report;
pub mod run;
pub mod sys;
pub mod unit;
pub mod wire;
