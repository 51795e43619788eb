//! The sink's side of a cell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::budget::BudgetLease;
use crate::host::counters::{CounterDelta, CounterSnapshot};
use crate::net::Slot;
use crate::net::steer::{BY_SOURCE, PHASES, PROBE_PHASE, SLOT_SHIFT, next_phase};
use crate::remote::protocol::spec::{CellSpec, ControlResponse, PhaseEnd, PhaseSpec};
use crate::run::RunError;
use crate::run::count_end::planned_end;
use crate::run::phase::{Phase, PhaseState};
use crate::run::worker_pool::{Running, WorkerPool};
use crate::sys;
use crate::unit::Nanos;

/// The least time between an order and its start: workers have to wake up. Arbitrary; a wake-up
/// takes about 60 µs (measured).
const MARGIN: Nanos = Nanos::from_micros(200);

/// How long to wait for the end of a phase before responding `Running`. Arbitrary: shorter than the
/// client's first retry on most paths.
const LOOK: Duration = Duration::from_millis(5);

/// The largest clock correction in ns: 1 s. Even 200 ppm, more than clocks drift, take more than an
/// hour for it. Arbitrary.
const MAX_SHIFT_NS: u64 = 1_000_000_000;

pub(super) struct SinkCell {
    pub(super) spec: CellSpec,
    pub(super) pool: WorkerPool,
    pub(super) slot: Slot,
    pub(super) lease: BudgetLease,
    /// The device on the route to the client, if known.
    pub(super) device: Option<String>,
    pub(super) targets: Vec<Option<SocketAddr>>,
    pub(super) phase: Option<SinkPhase>,
    /// The kernel counters of the last phase.
    pub(super) counters: Option<CounterDelta>,
}

pub(super) struct SinkPhase {
    pub(super) tx: Arc<PhaseState>,
    rx: Arc<PhaseState>,
    pub(super) halt: Arc<AtomicBool>,
    running: Running,
    snapshot: CounterSnapshot,
    /// The receivers' epoch.
    pub(super) began: Nanos,
    /// When the receivers' window should end, since their epoch; zero for a count sent flat out.
    planned: Nanos,
}

impl SinkCell {
    /// Ends the running phase, if any, without waiting for datagrams.
    pub(super) fn abandon(&mut self) {
        if let Some(mut phase) = self.phase.take() {
            phase.halt.store(true, Ordering::Relaxed);
            phase.rx.shift(0);
            phase.rx.senders_done(Nanos::ZERO, Nanos::ZERO, &vec![0; self.pool.receivers()]);
            // `collect` reports a worker that failed.
            let _ = self.pool.await_end(&mut phase.running, &mut || {});
        }
    }

    /// Applies a clock correction. Implausibly large ones are ignored.
    pub(super) fn shift(&self, by_ns: i64) {
        if let Some(phase) = self.phase.as_ref().filter(|_| by_ns.unsigned_abs() <= MAX_SHIFT_NS) {
            phase.rx.shift(by_ns);
        }
    }

    /// Begins a phase, unless its start is too near.
    pub(super) fn start(&mut self, order: PhaseSpec) -> ControlResponse {
        self.abandon();
        if order.tag & PHASES == PROBE_PHASE {
            let why = "this phase number is reserved for announcements";
            return ControlResponse::Refused(why.into());
        }
        // Read before the time check, because it takes a while.
        let mut snapshot = CounterSnapshot::begin(self.device.as_deref());
        if let Some(target) = self.targets.iter().flatten().next() {
            snapshot = snapshot.towards(*target, self.device.as_deref());
        }
        if Nanos(sys::monotonic_ns()) + self.pool.lead() + MARGIN > order.epoch {
            return ControlResponse::TooLate;
        }
        let halt = Arc::new(AtomicBool::new(false));
        let tx = PhaseState::new(Arc::clone(&halt), self.pool.senders());
        let receivers = self.pool.receivers();
        let bias = order.epoch - order.rx_epoch;
        let rx = PhaseState::across(Arc::clone(&halt), receivers, order.window_end, bias);
        let PhaseSpec { tag, limit, .. } = order;
        // The slot is that of this session, whatever tag the client sends.
        let own = (self.slot.number << SLOT_SHIFT) | (tag & (PHASES | BY_SOURCE));
        // The next user of the slot must not mistake late datagrams of this phase for its own.
        self.slot.phase = next_phase(own & PHASES);
        let load = self.spec.load;
        let phase = Phase { epoch: order.epoch, tag: own, limit, load, control: Arc::clone(&tx) };
        let rx_phase = Phase { epoch: order.rx_epoch, control: Arc::clone(&rx), ..phase.clone() };
        let running = self.pool.running();
        self.pool.begin_receivers(&rx_phase);
        self.pool.begin_senders(&phase);
        let (began, planned) = (order.rx_epoch, planned_end(limit, load) + bias);
        self.phase = Some(SinkPhase { tx, rx, halt, running, snapshot, began, planned });
        ControlResponse::Started
    }

    /// Records that the client's senders have ended; responds whether all workers here have, too.
    pub(super) fn finish(&mut self, ended: &PhaseEnd) -> Result<ControlResponse, RunError> {
        let Some(phase) = &mut self.phase else {
            return Ok(ControlResponse::Refused("there is no phase to finish".into()));
        };
        if self.spec.directions.forward {
            // No later than now or planned, whatever the peer reports: the wait for silence starts
            // there.
            let now = Nanos(sys::monotonic_ns()).since(phase.began);
            let end = ended.end.min(now.max(phase.planned));
            phase.rx.senders_done(end, ended.finished.min(now), &ended.sent_to);
        }
        while phase.running.workers > 0 {
            if !self.pool.look(&mut phase.running, LOOK)? {
                return Ok(ControlResponse::Running);
            }
        }
        let there = PhaseEnd {
            end: if self.pool.senders() > 0 { phase.tx.window_end() } else { Nanos::ZERO },
            finished: phase.tx.senders_finished(),
            sent_to: (0..self.pool.senders()).map(|worker| phase.tx.sent_to(worker)).collect(),
            sent: phase.running.sent,
            received: phase.running.received,
        };
        if let Some(phase) = self.phase.take() {
            self.counters = Some(phase.snapshot.end());
        }
        Ok(ControlResponse::Finished(there))
    }
}
