//! One flow as its receiver sees it.

use crate::measure::{InterarrivalJitter, WINDOW, Window};
use crate::unit::Nanos;

/// How far below the held number another may be and still confirm it, as if it was overtaken.
/// Arbitrary: as far as paths reorder, and far less than a window, so that the number which the
/// flow had reached never confirms a wrong one.
const REORDERED: u64 = 1_024;

/// What the figures of a datagram depend on.
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

/// A datagram more than a window ahead of its flow: damaged or forged, unless a later one confirms
/// it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) sequence: u64,
    pub(super) copies: u64,
    pub(super) alike: Alike,
}

/// The effect of an arrival on the held datagram.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decision {
    /// Nothing.
    Open,
    /// A duplicate of it.
    Copy,
    /// Its number is right: the flow continues after it.
    Confirmed(Held),
    /// Its number is wrong: the flow continues before it.
    Refuted(Held),
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

    /// The effect of an arrival on the held datagram, which is released once decided.
    // cold: behind a number that is far ahead
    pub(super) fn decide(&mut self, sequence: u64) -> Decision {
        let Some(held) = &mut self.held else { return Decision::Open };
        if sequence == held.sequence {
            held.copies += 1;
            return Decision::Copy;
        }
        let held = *held;
        if sequence < self.window.next() {
            return Decision::Open;
        }
        self.held = None;
        let ahead = sequence > held.sequence && sequence - held.sequence <= WINDOW;
        let reordered = sequence < held.sequence && held.sequence - sequence <= REORDERED;
        if ahead || reordered {
            self.take(held);
            Decision::Confirmed(held)
        } else {
            Decision::Refuted(held)
        }
    }

    /// Counts a released datagram.
    // cold: behind a number that is far ahead
    pub(super) fn take(&mut self, held: Held) {
        self.window.jump(held.sequence);
        self.jitter.record(held.alike.transit_ns);
        self.received += 1;
    }
}
