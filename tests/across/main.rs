//! One end of udperf against another: `blast` and `sink`, over loopback, through a relay that harms
//! datagrams by a written list, and between network namespaces whose kernels count what they drop.
//! What a report says has to equal what was done, to the datagram.
//!
//! - `proc`, `nets`, `rig`: running programs, two namespaces, a sink and what holds of each report
//! - `../common/relay.rs`: the relay; `relay_itself` tries it with bare sockets
//! - `firewall`, `queues`, `places`, `ip_layer`: the kernel drops and counts
//! - `damage`: headers are damaged or forged; `delay`: paths are long
//! - `harm`: the relay drops, repeats, reorders, and mistreats control
//! - `families`: IPv6; `hash`: flows that a hash deals out
//! - `crowd`: many clients, and many streams; `flows`: their ports, and each by itself
//! - `deaths`: one end is killed; `silenced`: so that the kernel answers in its place
//! - `outages`: a way that breaks and comes back
//! - `leaks`: sessions that are opened and left
//! - `abuse`: a sink is sent what nobody should send
//! - `called`: a sink at every address answers from the one that was called
//! - `clocks`: the two ends have different clocks; `slow_path`: datagrams take longer than silences
//! - `doors`: nobody there, the wrong key
//! - `limits`: more clients, or more of one, than a sink is to take
//!
//! What needs root or a missing program says so and does nothing.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/relay.rs"]
mod relay;

mod abuse;
mod called;
mod clocks;
mod crowd;
mod damage;
mod deaths;
mod delay;
mod doors;
mod families;
mod firewall;
mod flows;
mod harm;
mod hash;
mod ip_layer;
mod leaks;
mod limits;
mod nets;
mod outages;
mod places;
mod proc;
mod queues;
mod relay_itself;
mod rig;
mod silenced;
mod slow_path;
