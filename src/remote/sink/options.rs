//! How a sink is to serve, and what it tells while it does.

use std::net::SocketAddr;

use crate::measure::{ClientStats, Snapshot};
use crate::net::Options;
use crate::plan::WaitKind;
use crate::remote::protocol::Key;
use crate::unit::{Nanos, PacketRate};

/// How a sink is to serve.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// Where to listen; one group of sockets each.
    pub sockets: Vec<Options>,
    /// Receivers that each client gets, and threads that count strangers.
    pub threads: u16,
    /// Clients at once at most.
    pub sessions: usize,
    /// The most that may be asked for in datagrams a second, either way.
    pub max_rate: Option<PacketRate>,
    /// The longest phase that may be asked for.
    pub max_time: Option<Nanos>,
    /// Whether to end with the first client.
    pub once: bool,
    /// Whether to end after so long without a datagram.
    pub idle: Option<Nanos>,
    /// How workers wait.
    pub wait: WaitKind,
    /// Cores for workers, in the order they are given out; empty: not pinned.
    pub cores: Vec<usize>,
    /// What clients must know.
    pub key: Option<Key>,
    /// Drawn anew for each sink; cookies and ids rest on it.
    pub secret: [u8; 32],
}

impl SinkOptions {
    /// The core of a listener's worker, by its number; `None`: not pinned. The first one given out
    /// is the second in the order, as for clients.
    pub(super) fn core(&self, worker: usize) -> Option<usize> {
        let cores = &self.cores;
        (!cores.is_empty()).then(|| cores[(worker + 1) % cores.len()])
    }
}

/// What happens at a sink while it serves.
#[derive(Debug)]
pub enum SinkEvent<'a> {
    /// It is bound here.
    Listening(SocketAddr),
    /// A client has come.
    Opened(SocketAddr),
    /// A client has left.
    Closed(&'a ClientStats),
    /// A moment has passed: clients that are here, and what strangers have sent so far.
    Tick(usize, Snapshot),
}

/// Why a sink ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkEnd {
    /// It was told to from outside.
    Stopped,
    /// Its one client has left.
    Once,
    /// Nobody came for as long as it was to wait.
    Idle,
}
