//! One end of udperf against another: `blast` and `sink`, over loopback, through a relay that harms
//! datagrams by a written list, and between network namespaces whose kernels count what they drop.
//! What a report says has to equal what was done, to the datagram.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/relay.rs"]
mod relay;

mod relay_itself;
