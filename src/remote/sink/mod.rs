//! The sink: serves each client in a session of its own, and counts datagrams of no session.
//!
//! - `server`: the event loop; `affinity`: its core; `sockets`: its sockets
//! - `client`: sessions as the loop sees them; `session`: the thread of one; `setup`, `cell`: its
//!   cell; `liveness`: state shared with the loop; `budget`: limits of all sessions together
//! - `listeners`: counts of each socket, and the threads of all after the first

mod affinity;
mod budget;
mod cell;
mod client;
mod listeners;
mod liveness;
mod server;
mod session;
mod setup;
mod sockets;

use std::net::SocketAddr;

use crate::measure::{ClientStats, Snapshot};
use crate::net::Options;
use crate::plan::WaitKind;
use crate::remote::protocol::Key;
use crate::unit::{Nanos, PacketRate};

pub use server::serve;

/// Options of a sink.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// Addresses to listen at; each gets a group of sockets.
    pub sockets: Vec<Options>,
    /// Receivers of each client, and listeners of each address.
    pub threads: u16,
    /// The most clients at the same time.
    pub sessions: usize,
    /// The highest rate that a client may request, in datagrams a second, in either direction.
    pub max_rate: Option<PacketRate>,
    /// The longest phase that a client may request.
    pub max_time: Option<Nanos>,
    /// Whether to end after the first client.
    pub once: bool,
    /// Whether to end after this time without a datagram.
    pub idle: Option<Nanos>,
    /// How workers wait.
    pub wait: WaitKind,
    /// Cores of workers in the order of assignment; empty: not pinned.
    pub cores: Vec<usize>,
    /// The key that clients must have.
    pub key: Option<Key>,
    /// A random secret of this sink; cookies and session ids derive from it.
    pub secret: [u8; 32],
}

impl SinkOptions {
    /// The core of the listener with this index, from the second core on; `None`: not pinned.
    pub(super) fn core(&self, worker: usize) -> Option<usize> {
        let cores = &self.cores;
        (!cores.is_empty()).then(|| cores[(worker + 1) % cores.len()])
    }
}

/// An event of a running sink.
#[derive(Debug)]
pub enum SinkEvent<'a> {
    /// The sink listens at this address.
    Listening(SocketAddr),
    /// A client opened a session.
    Opened(SocketAddr),
    /// A session ended.
    Closed(&'a ClientStats),
    /// Regular progress: the number of clients, and the counts of datagrams of no session.
    Tick(usize, Snapshot),
}

/// Why a sink ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkEnd {
    /// The caller stopped it.
    Stopped,
    /// The client of `--once` ended.
    Once,
    /// No datagram arrived for the idle time.
    Idle,
}
