//! The sink: serves each client in a session of its own, and counts datagrams of no session.
//!
//! `server` is the event loop, which sees sessions as `client`; `session` is the thread of one.

mod budget;
mod cell;
mod client;
mod listeners;
mod server;
mod session;
mod setup;

use std::net::SocketAddr;

use crate::measure::{ClientStats, Snapshot};
use crate::net::Options;
use crate::plan::WaitKind;
use crate::remote::protocol::Key;
use crate::unit::{Nanos, PacketRate};

pub(crate) use server::serve;

#[derive(Debug, Clone)]
pub(crate) struct SinkOptions {
    /// Addresses to listen at; each gets a group of sockets.
    pub(crate) sockets: Vec<Options>,
    /// Receivers of each client, and listeners of each address.
    pub(crate) threads: u16,
    pub(crate) sessions: usize,
    /// The highest rate that a client may request, in datagrams a second, in either direction.
    pub(crate) max_rate: Option<PacketRate>,
    pub(crate) max_time: Option<Nanos>,
    pub(crate) once: bool,
    /// Whether to end after this time without a datagram.
    pub(crate) idle: Option<Nanos>,
    pub(crate) wait: WaitKind,
    /// Cores of workers in the order of assignment; empty: not pinned.
    pub(crate) cores: Vec<usize>,
    pub(crate) key: Option<Key>,
    /// A random secret of this sink; cookies and session ids derive from it.
    pub(crate) secret: [u8; 32],
}

impl SinkOptions {
    /// The core of the listener with this index, from the second core on; `None`: not pinned.
    fn core(&self, worker: usize) -> Option<usize> {
        let cores = &self.cores;
        (!cores.is_empty()).then(|| cores[(worker + 1) % cores.len()])
    }
}

#[derive(Debug)]
pub(crate) enum SinkEvent<'a> {
    Listening(SocketAddr),
    Opened(SocketAddr),
    Closed(&'a ClientStats),
    /// Regular progress: the number of clients, and the counts of datagrams of no session.
    Tick(usize, Snapshot),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SinkEnd {
    Stopped,
    /// The client of `--once` ended.
    Once,
    Idle,
}
