//! Runs by several processes on several hosts, which are network namespaces of this machine, by
//! scripts/fleet-netns: the document must equal what the server and the hosts' networks did.
//!
//! - `rig`: starts runs; what holds of every document; processes that are left
//! - `counts`: ledgers of members and of the server; loss on the link of one host; clocks
//! - `pairs`: from one process to another (`bench --pairs` and `--incast`)
//! - `failures`: processes that are killed; nothing is left
//!
//! Tests that need root or a missing program report that and are skipped.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code)]
#[path = "../across/proc.rs"]
mod proc;

mod counts;
mod failures;
mod pairs;
mod rig;
