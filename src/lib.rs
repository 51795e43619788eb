//! udperf measures and stresses UDP: datagrams per second, loss and latency of the send/recvfrom
//! hot path, with exactly one fate for every datagram.
//!
//! # The map of the house
//! A room imports only from lower floors, on floors 0 and 1 never sideways; `tests/tidy` checks.
//!
//! ```text
//!  5  main.rs  cli/                                   words in, exit code out
//!  4  report/  compare/  search/                      pure functions of finished data
//!  3  run/                                            threads, phases, the hot loops
//!  2  plan/                                           what will happen, fully decided
//!  1  clock/  wire/  payload/  pace/  measure/  net/  rooms that do not know each other
//!  0  unit/   sys/                                    numbers with units; the operating system
//! ```
//!
//! | room | holds |
//! | --- | --- |
//! | [`unit`](mod@unit) | nanoseconds, rates, sizes, places; how they are written and read |
//! | [`sys`] | every libc call and `cfg(target_os)`, live on Linux, inert twins elsewhere |
//! | [`clock`] | the monotonic clock, one turned by hand for tests, and how far two differ |
//! | [`wire`] | the 16-byte header of our datagrams; `control/`: how client and sink talk |
//! | [`payload`] | what others' servers are sent: templates, protocols; which reply is to which |
//! | [`pace`] | schedules: flat out, even, burst, Poisson, ramp, recorded |
//! | [`measure`] | tallies, windows, requests in flight, latency, stalls, halves, the ledger |
//! | [`net`] | UDP and AF_UNIX sockets, groups that share a port, waiting, pinning, `engine/` |
//! | [`plan`] | what was asked (`Scenario`), what will be (`Plan`), a worker's part (`Share`) |
//! | [`run`] | workers, phases; loops: `send`, `receive`, `exchange`, `echo`; `across`, `talk` |
//! | [`report`] | the document, and the formats that render it |
//! | [`compare`] | verdicts between runs: statistics, rules, what a machine makes of nothing |
//! | [`search`] | where the next trial is, and what all say; pure functions of finished trials |
//! | [`cli`] | command line, progress, exit codes |
//!
//! # The way of a datagram
//! `pace` says it is due; `run/send.rs` stamps it by `wire` into a slot that `net/engine` leased,
//! and pushes it. `run/receive.rs` pulls it, and `run/probe.rs` gives it its fate by the window in
//! `measure`. `measure/ledger.rs` settles all fates with the counters of the kernel, and `report`
//! shows it.
//!
//! # Between two hosts
//! A cell has two halves, `TxHalf` and `RxHalf`, and each is measured by the same workers whether
//! the other half is in this process or on another host. `run/crew.rs` leads the workers of one
//! host; `run/cell.rs` has one crew for both halves, `run/across/` is the client's end of two, and
//! `run/sink/` the other. They talk by `run/rpc/`: requests that are executed once and answered
//! whole, over datagrams of `wire/control/`, on the port that data use, too. `net/group.rs` has
//! the kernel steer by the tag that every datagram begins with: control and strangers to the
//! listeners, data to the sockets of their session, which are served by the same engines as
//! everywhere.
//!
//! # Requests and replies
//! `payload` compiles what is asked into bytes and places to patch. One worker asks and hears at
//! the same ports (`run/exchange/`): its `asker` writes a request into a leased slot and enters it
//! in `measure/flights.rs`, a table of fixed slots, before it leaves; its `hearer` finds it there
//! by the id of the reply, has `payload` make sure that the one answers the other, and takes its
//! time. What nobody answers leaves the table after its timeout.
//!
//! # What is not here on purpose
//! No async runtime and no logger; in the loops no `dyn`, no lock, no allocation, no counter that
//! two threads write, and one clock read a batch.

pub mod cli;
pub mod clock;
pub mod compare;
pub mod document;
pub mod echo;
pub mod engine;
pub mod host;
pub mod measure;
pub mod net;
pub mod pace;
pub mod payload;
pub mod plan;
pub mod remote;
pub mod report;
pub mod request;
pub mod run;
pub mod search;
pub mod sys;
pub mod talk;
pub mod unit;
pub mod wire;
