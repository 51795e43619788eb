//! One socket that listens: what strangers sent there, and what it had no room for.

use std::net::SocketAddr;
use std::slice::from_ref;
use std::time::Duration;

use crate::clock::Clock;
use crate::measure::{ListenerTally, Numbered, Snapshot, UnsolicitedTraffic};
use crate::net::steer::{CONTROL_TAG, SLOT_SHIFT};
use crate::net::{Udp, most_waiting};
use crate::run::Drops;
use crate::unit::Nanos;
use crate::wire::decode_own;

/// The account of one socket, kept by whoever reads it.
#[derive(Debug)]
pub(super) struct ControlListener {
    at: SocketAddr,
    /// A duplicate, to read its counters by; `None` where there is none.
    gauge: Option<Udp>,
    drops: Drops,
    asked: usize,
    /// Where its worker is pinned.
    pub(super) core: Option<usize>,
    /// What came there.
    pub(super) strangers: UnsolicitedTraffic,
}

impl ControlListener {
    /// Of a socket at `at` that was to have a receive buffer of `asked` bytes.
    pub(super) fn new(at: SocketAddr, asked: usize, gauge: Option<Udp>) -> Self {
        let mut drops = Drops::default();
        if let Some(gauge) = &gauge {
            drops.restart_at(from_ref(&gauge.socket));
        }
        let strangers =
            UnsolicitedTraffic { since: Clock::Monotonic.now(), ..UnsolicitedTraffic::default() };
        Self { at, gauge, drops, asked, core: None, strangers }
    }

    /// Counts a datagram of no client's session.
    pub(super) fn count(&mut self, from: SocketAddr, datagram: &[u8], now: Nanos) {
        self.strangers.count(from, datagram.len(), numbered(datagram), now);
    }

    /// Datagrams that may wait there. Whoever ends reads no more than these: they came in time, and
    /// somebody may still send.
    pub(super) fn waiting(&self) -> usize {
        let granted = self.gauge.as_ref().and_then(|gauge| gauge.receive_buffer);
        most_waiting(granted.unwrap_or(self.asked))
    }

    /// What it came to so far.
    pub(super) fn glimpse(&mut self) -> Snapshot {
        Snapshot { drops: self.sample(), ..self.strangers.glimpse() }
    }

    /// Datagrams that it had no room for so far. To be called before the kernel's 32 bits wrap.
    fn sample(&mut self) -> u64 {
        let gauge = self.gauge.as_ref();
        gauge.map_or(0, |gauge| self.drops.sample_at(from_ref(&gauge.socket)))
    }

    /// What it came to, by itself and by source.
    fn end(mut self) -> (ListenerTally, UnsolicitedTraffic) {
        self.sample();
        let granted = self.gauge.as_ref().and_then(|gauge| gauge.receive_buffer);
        let tally = ListenerTally {
            at: self.at,
            core: self.core,
            datagrams: self.strangers.datagrams,
            drops: self.drops.known_total(),
            asked: self.asked as u64,
            granted: granted.map(|bytes| bytes as u64),
        };
        (tally, self.strangers)
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

/// What all of them came to.
pub(super) fn sum(
    all: impl Iterator<Item = ControlListener>,
) -> (Vec<ListenerTally>, UnsolicitedTraffic) {
    let (tallies, each): (Vec<_>, Vec<_>) = all.map(ControlListener::end).unzip();
    let mut sum = UnsolicitedTraffic::default();
    each.into_iter().for_each(|strangers| sum.merge(strangers));
    (tallies, sum)
}

/// How often the loop wakes to show progress and to see whether it should end; arbitrary.
pub(super) const TICK: Duration = Duration::from_millis(250);
