//! `udperf blast` against `udperf sink`: over loopback, through a relay that drops, repeats and
//! delays datagrams by a written list, and between network namespaces whose kernels count drops.
//! The report must equal what was done, to the datagram.
//!
//! - `proc`, `nets`, `rig`: running programs, two namespaces, a sink, and checks of every report
//! - `../common/relay.rs`: the relay; `relay_itself` tests it with bare sockets
//! - `firewall`, `queues`, `drop_locations`, `ip_layer`: the kernel drops and counts
//! - `damage`: damaged or forged headers; `delay`: long paths
//! - `relay_faults`: the relay drops, repeats and reorders data and control messages
//! - `families`: IPv6; `hash`: flows that are distributed by a hash
//! - `many_clients`: many clients, and many flows; `flows`: ports and counters of single flows
//! - `killed_ends`: one end is killed; `unreachable_client`: its kernel sends ICMP errors
//! - `outages`: a path that fails and recovers
//! - `leaks`: sessions that are opened and abandoned
//! - `invalid_traffic`: random, damaged and replayed datagrams sent to a sink; `abuse`: these,
//!   abandoned and slow sessions, killed and stopped clients, all at once
//! - `reply_address`: a sink bound to every address answers from the one that was called
//! - `clocks`: ends with different clocks; `slow_path`: delays longer than the silence timeouts
//! - `connection_errors`: no sink, no answer, the wrong key
//! - `limits`: limits of a sink on clients and their runs
//! - `xdp`: AF_XDP at one end or both; `xdp_threads`: requests by AF_XDP with several threads
//! - `sources`: source addresses that this host does not have
//!
//! Tests that need root or a missing program report that and are skipped.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/relay.rs"]
mod relay;

mod abuse;
mod clocks;
mod connection_errors;
mod damage;
mod delay;
mod drop_locations;
mod families;
mod firewall;
mod flows;
mod hash;
mod intervals;
mod invalid_traffic;
mod ip_layer;
mod killed_ends;
mod leaks;
mod limits;
mod many_clients;
mod nets;
mod outages;
mod proc;
mod queues;
mod relay_faults;
mod relay_itself;
mod reply_address;
mod rig;
mod slow_path;
mod sources;
mod unreachable_client;
mod xdp;
mod xdp_threads;
