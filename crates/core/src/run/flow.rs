//! One flow as its receiver sees it.

use crate::measure::{InterarrivalJitter, Window};
use crate::unit::Nanos;

/// The properties that decide the figures of a datagram.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Alike {
    /// Payload in bytes; 0: there is no datagram.
    pub(super) len: usize,
    pub(super) intended_ns: u64,
    pub(super) transit_ns: u64,
    /// How late it left, if there is a schedule and the payload has room for it.
    pub(super) lag_ns: Option<u64>,
    pub(super) waited: Option<Nanos>,
}

/// A datagram more than a window ahead: damaged or forged, unless a later one confirms it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) sequence: u64,
    pub(super) copies: u64,
    pub(super) alike: Alike,
}

#[derive(Debug, Default)]
pub(super) struct RxFlow {
    pub(super) window: Window,
    pub(super) jitter: InterarrivalJitter,
    /// Each sequence number once.
    pub(super) received: u64,
    /// A datagram too far ahead, which waits for confirmation.
    pub(super) held: Option<Held>,
}

impl RxFlow {
    /// The flows of receiver `worker` of `of`, which get them in turn; others' take no memory here.
    // cold: once for each receiver, before the barrier
    pub(super) fn in_turn(flows: usize, (worker, of): (usize, usize)) -> Vec<Self> {
        let flow = |flow: usize| match flow % of.max(1) == worker {
            true => Self::default(),
            false => Self { window: Window::closed(), ..Self::default() },
        };
        (0..flows).map(flow).collect()
    }

    /// The datagrams that sequence numbers show to be sent; 0 for a flow of another receiver.
    pub(super) fn numbered(&self) -> u64 {
        let next = self.window.next();
        if next == u64::MAX { 0 } else { next }
    }
}
