//! The sink: serves each client in a session of its own, and counts datagrams of no session.
//!
//! `server` is the event loop, which sees sessions as `client`; `session` is the thread of one.

mod budget;
mod cell;
mod client;
mod listeners;
mod liveness;
mod server;
mod session;
mod setup;

use std::net::SocketAddr;

use crate::measure::{ClientStats, ServerRecorder, Snapshot};
use crate::net::{Options, PassedSockets};
use crate::plan::{WaitKind, XdpSettings};
use crate::remote::protocol::Key;
use crate::unit::{Nanos, PacketRate};

pub(crate) use server::serve;

#[derive(Debug, Clone)]
pub(crate) struct SinkOptions {
    /// Addresses to listen at; each gets a group of sockets.
    pub(crate) sockets: Vec<Options>,
    /// The sockets at these addresses, if they were passed to this process.
    pub(crate) passed: PassedSockets,
    /// Receivers of each client, and listeners of each address.
    pub(crate) threads: u16,
    pub(crate) sessions: usize,
    /// The highest rate that a client may request, in datagrams a second, in either direction.
    pub(crate) max_rate: Option<PacketRate>,
    pub(crate) max_time: Option<Nanos>,
    pub(crate) once: bool,
    /// Whether to end after this time without a datagram.
    pub(crate) idle: Option<Nanos>,
    /// Width of intervals; `None`: none.
    pub(crate) interval: Option<Nanos>,
    pub(crate) wait: WaitKind,
    /// Whether workers of sessions run in real time.
    pub(crate) realtime: bool,
    pub(crate) xdp: XdpSettings,
    /// Cores of workers in the order of assignment; empty: not pinned.
    pub(crate) cores: Vec<usize>,
    pub(crate) key: Option<Key>,
    /// A random secret of this sink; cookies and session ids derive from it.
    pub(crate) secret: [u8; 32],
}

impl SinkOptions {
    /// The core of the listener with this index, from the second core on; `None`: not pinned, as
    /// real-time workers could keep it from running there.
    fn core(&self, worker: usize) -> Option<usize> {
        let cores = &self.cores;
        (!cores.is_empty() && !self.realtime).then(|| cores[(worker + 1) % cores.len()])
    }

    /// Counts by interval since `began`; `None` without intervals.
    fn recorder(&self, began: Nanos) -> Option<ServerRecorder> {
        self.interval.map(|width| ServerRecorder::new(width, began, Nanos::NEVER))
    }
}

#[derive(Debug)]
pub(crate) enum SinkEvent<'a> {
    Listening(SocketAddr),
    Opened(SocketAddr),
    Closed(&'a ClientStats),
    /// Regular progress: what each client that has not left has counted, and the counts of
    /// datagrams of no session.
    Tick(&'a [ClientCounts], Snapshot),
}

/// What a session has counted so far, without warm-ups; of a running cell, only with intervals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientCounts {
    pub(crate) from: SocketAddr,
    /// Datagrams sent to the client.
    pub(crate) sent: u64,
    /// Datagrams received from it, each sequence number once.
    pub(crate) received: u64,
    /// Lost of what it sent in the cells that have ended, as far as it reported that.
    pub(crate) lost: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SinkEnd {
    Stopped,
    /// The client of `--once` ended.
    Once,
    Idle,
}
