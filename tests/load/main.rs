//! `udperf load` and `udperf ping` against servers with known behaviour: the document must equal
//! what the server did, to the datagram.
//!
//! - `shim`, `protocols`, `actions`: a server that misbehaves by a written list; expected counts
//! - `rig`: runs of the program, and checks of every document
//! - `lists`: each kind of misbehaviour, with every engine, in open and closed loops
//! - `omission`: coordinated omission while a server stalls
//! - `pings`: open and closed loops against echo servers
//! - `edges`: ids that wrap around, requests that are empty or large, captures without gaps
//! - `endless_servers`: servers that never stop sending
//! - `files`: names and captures, valid and invalid, and raw replies of DNS
//! - `unique_ids`: labels, ids and ports that no two requests of a run share
//! - `id_reuse`: ids are not used again too early
//! - `replies`: replies that are large, incomplete or empty, or matched by protocol rules
//! - `rules`: ids found by search, and replies judged by rules, on paths that harm them
//! - `second`: exchanges of two requests
//! - `exchanges`: CoAP, QUIC and DNS servers that want another request, real ones and doubles
//! - `recorder`: a server that records its requests
//! - `sources`: many source addresses
//! - `failures`: closed ports, unsuitable requests, refused targets, interrupts
//! - `capacity`: runs without a rate: the probe, and the cells at shares of what it found
//! - `server_usage`: CPU time, memory and drops of the server's processes
//! - `words`: the unit of rates in each report about requests
//! - `edns`: options of EDNS, against a second encoder and a real server
//! - `daemons`, `servers`, `presets`: real servers of DNS, memcached, NTP, STUN, SNMP, RADIUS, TFTP and
//!   SIP
//!
//! Tests that need root or a missing program report that and are skipped.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code)]
#[path = "../across/proc.rs"]
mod proc;
#[allow(unused_imports)]
#[path = "../common/relay.rs"]
mod relay;

mod actions;
mod capacity;
mod daemons;
mod edges;
mod edns;
mod endless_servers;
mod exchanges;
mod failures;
mod fields;
mod files;
mod id_reuse;
mod lists;
mod omission;
mod pings;
mod presets;
mod protocols;
mod recorder;
mod replies;
mod rig;
mod rules;
mod second;
mod server_usage;
mod servers;
mod shim;
mod sources;
mod unique_ids;
mod words;
