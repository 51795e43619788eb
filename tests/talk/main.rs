//! Conversations by hand, driven through pipes and a pseudo-terminal; what leaves and what arrives
//! is checked byte by byte at plain sockets.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod datagrams;
mod once;
mod pause;
mod rig;
mod streams;
#[cfg(unix)]
mod terminal;
mod usage;
