//! What every engine owes its callers, tried with every way of sending against every way of
//! receiving, IPv4 and IPv6, connected and not: real sockets on loopback, one thread, no clock.
//!
//! - `engines`: the list of engines, one line each; unavailable ones are reported as skipped
//! - `rig`: a sender and a receiver, and the model of what their counts must be
//! - `ours`: our datagrams, to the byte
//! - `moves`: counts, order, bytes, sizes, limits
//! - `arrivals`: what others send: cut-off, empty, foreign, other segments
//! - `overflow`, `refusals`, `paths`: full buffers, closed ports, paths that are too narrow
//! - `stamps`: the kernel's timestamps
//! - `xdp`: the engine `xdp` with all others, between network namespaces
//! - `rows`: datagrams counted together are datagrams counted one by one
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/cases.rs"]
mod cases;
#[path = "../common/skip.rs"]
mod skip;

mod arrivals;
mod engines;
mod moves;
mod ours;
mod overflow;
mod paths;
mod refusals;
mod rig;
mod rows;
mod stamps;
mod xdp;
