//! What the thread of a session and the event loop share.

use std::sync::Arc;

use crate::run::PhaseState;
use crate::unit::Nanos;

/// How long a client must be silent before ICMP errors end its session. Clients send every 100 ms.
/// Arbitrary: as long as a client waits for an unreachable sink.
const GRACE: Nanos = Nanos::from_millis(2_000);
/// The largest clock correction in ns. Arbitrary: 200 ppm of drift, a lot, take an hour for it.
const MAX_SHIFT_NS: u64 = 1_000_000_000;

/// State of a session that its thread and the event loop share.
#[derive(Debug)]
pub(super) struct Liveness {
    pub(super) received_at: Nanos,
    /// Whether ICMP errors reported the client as unreachable after [`GRACE`] of silence.
    pub(super) unreachable: bool,
    /// The end of the running phase; zero if no phase runs, or its end is unknown.
    pub(super) busy_until: Nanos,
    /// The senders and the receivers of the running phase, and whether it is measured.
    pub(super) running: Option<([Arc<PhaseState>; 2], bool)>,
    /// Datagrams sent to the client, and received from it, in cells that have ended.
    pub(super) counted: [u64; 2],
    /// Lost in those cells, as far as that is known.
    pub(super) known_lost: u64,
}

impl Liveness {
    pub(super) const fn at(now: Nanos) -> Self {
        Self {
            received_at: now,
            unreachable: false,
            busy_until: Nanos::ZERO,
            running: None,
            counted: [0; 2],
            known_lost: 0,
        }
    }

    pub(super) fn is_silent(&self, now: Nanos) -> bool {
        now.since(self.received_at) > GRACE
    }

    /// Whether the client is unreachable and still silent; resets the record.
    pub(super) fn is_lost(&mut self, now: Nanos) -> bool {
        std::mem::take(&mut self.unreachable) && self.is_silent(now)
    }

    pub(super) fn end_phase(&mut self) {
        (self.running, self.busy_until) = (None, Nanos::ZERO);
    }

    /// Datagrams sent to the client, and received from it, so far; of the running phase only with
    /// intervals.
    pub(super) fn totals(&self) -> [u64; 2] {
        let [sent, received] = self.counted;
        let Some(([senders, receivers], true)) = &self.running else { return self.counted };
        let ([more_sent, _], [_, more_received]) = (senders.totals(), receivers.totals());
        [sent.saturating_add(more_sent), received.saturating_add(more_received)]
    }

    /// Applies a clock correction. Implausibly large ones are ignored.
    pub(super) fn shift(&self, by_ns: i64) {
        if let Some(([_, receivers], _)) = &self.running
            && by_ns.unsigned_abs() <= MAX_SHIFT_NS
        {
            receivers.shift(by_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_silent_client_is_lost() {
        let mut liveness = Liveness::at(Nanos(5));
        let late = Nanos(6) + GRACE;
        assert!(!liveness.is_silent(Nanos(5) + GRACE) && liveness.is_silent(late));
        assert!(!liveness.is_lost(late), "no ICMP error");
        liveness.unreachable = true;
        assert!(!liveness.is_lost(Nanos(5) + GRACE), "a message arrived since");
        assert!(!liveness.is_lost(late), "the record was reset");
        liveness.unreachable = true;
        assert!(liveness.is_lost(late));
    }
}
