//! Tests that share one program, so that the crate is linked once for all of them: tests of the
//! binary over loopback and in network namespaces, and of the library's public parts.
//!
//! Tests that must not run beside others, or have an allocator of their own, have own programs.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/cases.rs"]
mod cases;
#[path = "../common/mod.rs"]
mod common;

mod ab;
mod bench;
mod control_model;
mod counters;
mod doc_blocks;
mod docs;
mod doctor;
mod echo;
mod engines;
mod exit_codes;
mod fleet;
mod fleet_parts;
mod formats;
mod ground_truth;
mod host;
mod hosts;
mod interval_output;
mod intervals;
mod invalid;
mod latency_breakdown;
#[cfg(all(unix, feature = "live"))]
mod live;
mod loops;
mod metrics;
mod multicast;
mod netns;
mod offset;
mod pacing;
mod pages;
mod passed_sockets;
mod program;
mod prometheus;
mod properties;
#[cfg(all(unix, feature = "live"))]
mod pty;
mod realtime;
mod rebuild;
mod report;
mod scenario_file;
mod scenario_steps;
mod selftest;
mod server_intervals;
mod socket_group;
mod telemetry;
mod templates;
mod transcripts;
mod two_ends;
mod unix;
mod unpaired;
mod unsolicited;
mod uring;
mod xdp;
