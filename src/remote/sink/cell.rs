//! The sink's part of a cell: set up, led through phases as its client says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::budget::BudgetLease;
use crate::host::counters::{CounterDelta, CounterSnapshot};
use crate::net::Slot;
use crate::net::steer::{BY_SOURCE, PHASES, SHOWN, SLOT_SHIFT, next_phase};
use crate::remote::protocol::spec::{CellSpec, ControlResponse, Ended, PhaseSpec};
use crate::run::RunError;
use crate::run::count_end::planned_end;
use crate::run::phase::Phase;
use crate::run::phase::PhaseState;
use crate::run::worker_pool::{Running, WorkerPool};
use crate::sys;
use crate::unit::Nanos;

/// What must be left of the time before its start when an order comes: workers have to wake up.
/// Arbitrary; a wake-up takes about 60 µs (measured).
const MARGIN: Nanos = Nanos::from_micros(200);

/// How long the end of a phase is waited for before the client is told to ask again. Arbitrary:
/// shorter than the client's first retry would be on most paths.
const LOOK: Duration = Duration::from_millis(5);

/// The largest correction between two clocks, in ns. 1 s; 200 ppm, which is more than clocks drift,
/// take more than an hour for it. Arbitrary.
const MOST_SHIFT_NS: u64 = 1_000_000_000;

/// A cell that is set up.
pub(super) struct SinkCell {
    pub(super) spec: CellSpec,
    pub(super) crew: WorkerPool,
    pub(super) slot: Slot,
    /// What of the budget of all it has.
    pub(super) taken: BudgetLease,
    /// The device on the way to the client, where it is known.
    pub(super) device: Option<String>,
    /// Where to send, by sender.
    pub(super) targets: Vec<Option<SocketAddr>>,
    pub(super) phase: Option<Under>,
    /// What the kernel counted in the latest phase.
    pub(super) seen: Option<CounterDelta>,
}

/// A phase that runs.
pub(super) struct Under {
    tx: Arc<PhaseState>,
    rx: Arc<PhaseState>,
    halt: Arc<AtomicBool>,
    running: Running,
    watch: CounterSnapshot,
    began: Nanos,
    /// When the receivers' window is meant to end, by their clock; zero where a count is sent flat
    /// out.
    planned: Nanos,
}

impl SinkCell {
    /// Ends the phase that runs, if one does: nothing more is expected.
    pub(super) fn abandon(&mut self) {
        if let Some(mut under) = self.phase.take() {
            under.halt.store(true, Ordering::Relaxed);
            under.rx.shift(0);
            under.rx.senders_done(Nanos::ZERO, Nanos::ZERO, &vec![0; self.crew.receivers()]);
            // A worker that failed is noticed when it is collected.
            let _ = self.crew.await_end(&mut under.running, &mut || {});
        }
    }

    /// Corrects the client's clock. What no pair of clocks does within a phase is ignored.
    pub(super) fn shift(&self, by_ns: i64) {
        if let Some(under) = self.phase.as_ref().filter(|_| by_ns.unsigned_abs() <= MOST_SHIFT_NS) {
            under.rx.shift(by_ns);
        }
    }

    /// When the phase that runs began for the receivers here.
    pub(super) fn began(&self) -> Option<Nanos> {
        self.phase.as_ref().map(|under| under.began)
    }

    /// Where to send, as far as it is known.
    pub(super) fn known_targets(&self) -> Vec<SocketAddr> {
        self.targets.iter().flatten().copied().collect()
    }

    /// Whether workers here may be sending.
    pub(super) fn is_sending(&self) -> bool {
        self.crew.senders() > 0 && self.phase.is_some()
    }

    /// Whether a sender here was told that nobody is there, since this was asked last.
    pub(super) fn take_unreachable(&self) -> bool {
        self.phase.as_ref().is_some_and(|under| under.tx.take_unreachable())
    }

    /// Stops the senders here.
    pub(super) fn halt(&self) {
        if let Some(under) = &self.phase {
            under.halt.store(true, Ordering::Relaxed);
        }
    }

    /// Begins a phase, unless its moment is too near.
    pub(super) fn start(&mut self, order: PhaseSpec) -> ControlResponse {
        self.abandon();
        if order.tag & PHASES == SHOWN {
            return ControlResponse::Refused(
                "that phase is for sockets that show themselves".into(),
            );
        }
        // Read first: it takes a while.
        let mut watch = CounterSnapshot::begin(self.device.as_deref());
        if let Some(target) = self.targets.iter().flatten().next() {
            watch = watch.towards(*target, self.device.as_deref());
        }
        if Nanos(sys::monotonic_ns()) + self.crew.lead() + MARGIN > order.epoch {
            return ControlResponse::TooLate;
        }
        let halt = Arc::new(AtomicBool::new(false));
        let tx = PhaseState::new(Arc::clone(&halt), self.crew.senders());
        let receivers = self.crew.receivers();
        let bias = order.epoch - order.rx_epoch;
        let rx = PhaseState::across(Arc::clone(&halt), receivers, order.window_end, bias);
        let PhaseSpec { tag, limit, .. } = order;
        // The slot is this session's, whatever it asks for.
        let own = (self.slot.number << SLOT_SHIFT) | (tag & (PHASES | BY_SOURCE));
        // Whoever has the slot next, or this client's next cell, must not take a late datagram of
        // this phase for its own.
        self.slot.phase = next_phase(own & PHASES);
        let load = self.spec.load;
        let phase = Phase { epoch: order.epoch, tag: own, limit, load, control: Arc::clone(&tx) };
        let rx_phase = Phase { epoch: order.rx_epoch, control: Arc::clone(&rx), ..phase.clone() };
        let running = self.crew.running();
        self.crew.begin_receivers(&rx_phase);
        self.crew.begin_senders(&phase);
        let (began, planned) = (order.rx_epoch, planned_end(limit, load) + bias);
        self.phase = Some(Under { tx, rx, halt, running, watch, began, planned });
        ControlResponse::Started
    }

    /// Takes note that the client's senders have ended; whether all workers here have, too.
    pub(super) fn finish(&mut self, ended: &Ended) -> Result<ControlResponse, RunError> {
        let Some(under) = &mut self.phase else {
            return Ok(ControlResponse::Refused("there is no phase to finish".into()));
        };
        if self.spec.ways.forward {
            // Not later than now or planned, whatever a peer says: silence is waited for from then
            // on.
            let now = Nanos(sys::monotonic_ns()).since(under.began);
            let end = ended.end.min(now.max(under.planned));
            under.rx.senders_done(end, ended.finished.min(now), &ended.sent_to);
        }
        while under.running.workers > 0 {
            if !self.crew.look(&mut under.running, LOOK)? {
                return Ok(ControlResponse::Running);
            }
        }
        let there = Ended {
            end: if self.crew.senders() > 0 { under.tx.window_end() } else { Nanos::ZERO },
            finished: under.tx.senders_finished(),
            sent_to: (0..self.crew.senders()).map(|worker| under.tx.sent_to(worker)).collect(),
            sent: under.running.sent,
            received: under.running.received,
        };
        if let Some(under) = self.phase.take() {
            self.seen = Some(under.watch.end());
        }
        Ok(ControlResponse::Finished(there))
    }
}
