//! One listening socket: the datagrams of no session that arrive, and those the kernel drops.

use std::net::SocketAddr;
use std::slice::from_ref;
use std::time::Duration;

use crate::clock::Clock;
use crate::measure::{ListenerTally, Numbered, Snapshot, UnsolicitedTraffic};
use crate::net::steer::{CONTROL_TAG, SLOT_SHIFT};
use crate::net::{Udp, max_queued};
use crate::run::Drops;
use crate::unit::Nanos;
use crate::wire::decode_own;

/// The counters of one listening socket.
#[derive(Debug)]
pub(super) struct ControlListener {
    at: SocketAddr,
    /// A duplicate of the socket, to read its kernel counters.
    counter_socket: Option<Udp>,
    drops: Drops,
    requested: usize,
    pub(super) core: Option<usize>,
    pub(super) unsolicited: UnsolicitedTraffic,
}

impl ControlListener {
    /// For the socket at `at`, for which a receive buffer of `requested` bytes was asked.
    pub(super) fn new(at: SocketAddr, requested: usize, counter_socket: Option<Udp>) -> Self {
        let mut drops = Drops::default();
        if let Some(socket) = &counter_socket {
            drops.restart_at(from_ref(&socket.socket));
        }
        let unsolicited =
            UnsolicitedTraffic { since: Clock::Monotonic.now(), ..UnsolicitedTraffic::default() };
        Self { at, counter_socket, drops, requested, core: None, unsolicited }
    }

    pub(super) fn count(&mut self, from: SocketAddr, datagram: &[u8], now: Nanos) {
        self.unsolicited.count(from, datagram.len(), numbered(datagram), now);
    }

    /// The most datagrams that the receive buffer can hold. At the end, no more than these are
    /// read: later ones may keep arriving.
    pub(super) fn waiting(&self) -> usize {
        max_queued(self.granted().unwrap_or(self.requested))
    }

    /// The size of the receive buffer that the system granted, in bytes.
    fn granted(&self) -> Option<usize> {
        self.counter_socket.as_ref()?.receive_buffer
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        Snapshot { drops: self.sample(), ..self.unsolicited.glimpse() }
    }

    /// Datagrams dropped so far. Call it before the kernel's 32-bit counter wraps.
    fn sample(&mut self) -> u64 {
        let socket = self.counter_socket.as_ref();
        socket.map_or(0, |socket| self.drops.sample_at(from_ref(&socket.socket)))
    }

    /// The final counts, of the socket and by source.
    fn end(mut self) -> (ListenerTally, UnsolicitedTraffic) {
        self.sample();
        let granted = self.granted();
        let tally = ListenerTally {
            at: self.at,
            core: self.core,
            datagrams: self.unsolicited.datagrams,
            drops: self.drops.known_total(),
            asked: self.requested as u64,
            granted: granted.map(|bytes| bytes as u64),
        };
        (tally, self.unsolicited)
    }
}

/// The header fields of a datagram sent without a session, as by `blast --no-peer`: its tag belongs
/// to no slot.
fn numbered(datagram: &[u8]) -> Option<Numbered> {
    let tag = u16::from_be_bytes(*datagram.first_chunk()?);
    let is_ours = tag > CONTROL_TAG && tag >> SLOT_SHIFT == 0;
    let header = decode_own(datagram, tag).filter(|_| is_ours)?;
    Some(Numbered {
        phase: u32::from(tag) << 16 | u32::from(header.flow),
        sequence: header.sequence,
        intended: Nanos(header.intended_ns),
    })
}

/// The final counts of all listeners.
pub(super) fn sum(
    all: impl Iterator<Item = ControlListener>,
) -> (Vec<ListenerTally>, UnsolicitedTraffic) {
    let (tallies, each): (Vec<_>, Vec<_>) = all.map(ControlListener::end).unzip();
    let mut sum = UnsolicitedTraffic::default();
    each.into_iter().for_each(|unsolicited| sum.merge(unsolicited));
    (tallies, sum)
}

/// How often a loop reports progress and checks whether to end; arbitrary.
pub(super) const TICK: Duration = Duration::from_millis(250);
