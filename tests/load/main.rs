//! `udperf load` and `udperf ping` against servers whose every deed is known: what a document says
//! has to equal what was done, to the datagram.
//!
//! - `shim`, `speech`, `deeds`: a server that misbehaves by a written list, and what follows from it
//! - `rig`: runs of the program, and what holds of every document
//! - `lists`: each kind of misbehaviour, by every engine, in either loop
//! - `omission`: a server that stands still is seen standing still
//! - `pings`: closed and open loops against who returns what it gets
//! - `edges`: ids that come round, requests that are empty or large, captures without gaps
//! - `endless`: servers that never stop sending
//! - `files`: names and captures, right and wrong, and raw replies of DNS
//! - `fresh`: labels, ids and ports that no two requests of a run share
//! - `room`: ids that are not used again too early
//! - `replies`: replies that are large, incomplete, empty, or matched as a protocol has it
//! - `recorder`: a server that keeps what it was asked
//! - `doors`: nobody there, nothing to ask, strangers, interrupts
//! - `daemons`, `servers`: DNS, memcached, NTP and STUN as people run them
//!
//! What needs root or a missing program says so and does nothing.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code)]
#[path = "../across/proc.rs"]
mod proc;

mod daemons;
mod deeds;
mod doors;
mod edges;
mod endless;
mod files;
mod fresh;
mod lists;
mod omission;
mod pings;
mod recorder;
mod replies;
mod rig;
mod room;
mod servers;
mod shim;
mod speech;
