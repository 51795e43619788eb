//! What the thread of a session and the event loop share.

use std::sync::Arc;

use crate::run::PhaseState;
use crate::unit::Nanos;

/// How long a client must be silent before ICMP errors, or a new client of its host that needs its
/// queues, end its session. Clients send every 100 ms.
/// Arbitrary: as long as a client waits for an unreachable sink.
const GRACE: Nanos = Nanos::from_millis(2_000);
/// The largest clock correction in ns. Arbitrary: 200 ppm of drift, a lot, take an hour for it.
const MAX_SHIFT_NS: u64 = 1_000_000_000;

/// What the workers of the running phase share.
#[derive(Debug)]
pub(super) struct RunningCounts {
    pub(super) senders: Arc<PhaseState>,
    pub(super) receivers: Arc<PhaseState>,
    pub(super) is_measured: bool,
    /// Whether the client sends, too. It orders another phase if the answer to its order comes too
    /// late, and sends nothing in this one.
    pub(super) client_sends: bool,
}

/// State of a session that its thread and the event loop share.
#[derive(Debug)]
pub(super) struct Liveness {
    pub(super) received_at: Nanos,
    /// Whether ICMP errors reported the client as unreachable after [`GRACE`] of silence.
    pub(super) unreachable: bool,
    /// The end of the running phase; zero if no phase runs, or its end is unknown.
    pub(super) busy_until: Nanos,
    pub(super) running: Option<RunningCounts>,
    /// Whether its cell has queues of a device, which no other session can use, or waits for them.
    pub(super) holds_queues: bool,
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
            holds_queues: false,
            counted: [0; 2],
            known_lost: 0,
        }
    }

    pub(super) fn is_silent(&self, now: Nanos) -> bool {
        now.since(self.received_at) > GRACE
    }

    /// Whether its cell has no phase yet, and may wait for queues that another session has.
    pub(super) const fn needs_queues(&self) -> bool {
        self.holds_queues && self.running.is_none()
    }

    /// Whether the client is unreachable and still silent; resets the record.
    pub(super) fn is_lost(&mut self, now: Nanos) -> bool {
        std::mem::take(&mut self.unreachable) && self.is_silent(now)
    }

    pub(super) fn end_phase(&mut self) {
        (self.running, self.busy_until) = (None, Nanos::ZERO);
    }

    /// Datagrams sent to the client, and received from it, so far; of the running phase only with
    /// intervals, and once it is certain that the client takes part.
    pub(super) fn totals(&self) -> [u64; 2] {
        let [sent, received] = self.counted;
        let running = self.running.as_ref().filter(|running| running.is_measured);
        let more = running.map(|one| (one, one.senders.totals()[0], one.receivers.totals()[1]));
        match more {
            Some((one, more_sent, more_received)) if more_received > 0 || !one.client_sends => {
                [sent.saturating_add(more_sent), received.saturating_add(more_received)]
            }
            _ => self.counted,
        }
    }

    /// Applies a clock correction. Implausibly large ones are ignored.
    pub(super) fn shift(&self, by_ns: i64) {
        if let Some(running) = &self.running
            && by_ns.unsigned_abs() <= MAX_SHIFT_NS
        {
            running.receivers.shift(by_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Count, IntervalRecorder};
    use crate::plan::{Limit, WorkerLoad};

    #[test]
    fn what_a_client_may_not_take_part_in_does_not_count_yet() {
        let state = || {
            let state = PhaseState::new(Arc::default(), 1);
            let time = Limit::Time(Nanos::from_millis(100));
            state.with_intervals(Some(Nanos::from_millis(10)), time, WorkerLoad::FlatOut)
        };
        let (senders, receivers) = (state(), state());
        let count = |recorder: Option<IntervalRecorder>, what| {
            recorder.unwrap().count(Nanos(1), what, 3);
        };
        count(senders.tx_intervals(0), Count::Sent);
        let mut liveness = Liveness { counted: [10, 20], ..Liveness::at(Nanos(5)) };
        let running = |is_measured, client_sends| {
            let (senders, receivers) = (Arc::clone(&senders), Arc::clone(&receivers));
            Some(RunningCounts { senders, receivers, is_measured, client_sends })
        };
        for (is_measured, client_sends, totals) in
            [(false, false, [10, 20]), (true, true, [10, 20]), (true, false, [13, 20])]
        {
            liveness.running = running(is_measured, client_sends);
            assert_eq!(liveness.totals(), totals, "{is_measured} {client_sends}");
        }
        count(receivers.rx_intervals(0), Count::Received);
        liveness.running = running(true, true);
        liveness.holds_queues = true;
        assert!(!liveness.needs_queues(), "it has them");
        assert_eq!(liveness.totals(), [13, 23]);
    }

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

    #[test]
    fn only_a_cell_of_the_engine_xdp_waits_for_queues() {
        let mut liveness = Liveness::at(Nanos(5));
        assert!(!liveness.needs_queues());
        liveness.holds_queues = true;
        assert!(liveness.needs_queues());
    }
}
