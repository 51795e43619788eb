//! The sink's side of a cell.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::budget::BudgetLease;
use crate::host::counters::{CounterDelta, CounterSnapshot};
use crate::measure::IntervalSeries;
use crate::net::Slot;
use crate::net::steer::{BY_SOURCE, PHASES, PROBE_PHASE, SLOT_SHIFT, next_phase};
use crate::remote::phase::{RunningPhase, ring_drops};
use crate::remote::protocol::spec::{CellSpec, ControlResponse, PhaseEnd, PhaseSpec};
use crate::run::DropReadings;
use crate::run::worker_pool::WorkerPool;
use crate::sys;
use crate::unit::Nanos;

/// The least time between an order and its start. Arbitrary; a wake-up takes 60 µs (measured).
const MARGIN: Nanos = Nanos::from_micros(200);
/// How long to wait for the end of a phase before responding `Running`. Arbitrary: shorter than the
/// client's first retry on most paths.
const LOOK: Duration = Duration::from_millis(5);

/// The response to a request, or why it is refused.
pub(super) type Outcome = Result<ControlResponse, Box<dyn Error>>;

pub(super) struct SinkCell {
    pub(super) spec: CellSpec,
    pub(super) pool: WorkerPool,
    pub(super) slot: Slot,
    pub(super) lease: BudgetLease,
    /// The device on the route to the client, if known.
    pub(super) device: Option<String>,
    pub(super) targets: Vec<Option<SocketAddr>>,
    pub(super) phase: Option<(RunningPhase, CounterSnapshot)>,
    /// The kernel counters of the last phase.
    pub(super) counters: Option<CounterDelta>,
    /// The sink's own width of intervals, for phases without.
    pub(super) interval: Option<Nanos>,
    /// Whether the client asked for intervals in the last phase.
    pub(super) has_intervals: bool,
    /// Whether the last phase was measured.
    pub(super) is_measured: bool,
    /// What senders and receivers counted by interval in the last phase, and when that began.
    pub(super) intervals: [IntervalSeries; 2],
    pub(super) began: Nanos,
    /// Drops at the ends of intervals of the last phase, at its senders and at its receivers.
    pub(super) drops: [DropReadings; 2],
}

impl SinkCell {
    /// Ends the running phase, if any, without waiting for datagrams.
    pub(super) fn abandon(&mut self) {
        if let Some((mut phase, _)) = self.phase.take() {
            // `collect` reports a worker that failed.
            let _ = phase.abandon(&self.pool);
            (self.intervals, self.began) = (phase.intervals(), phase.began());
        }
    }

    pub(super) fn start(&mut self, order: PhaseSpec) -> Outcome {
        self.abandon();
        self.is_measured = false;
        if order.tag & PHASES == PROBE_PHASE {
            return Err("this phase number is reserved for announcements".into());
        }
        // Read before the time check, because it takes a while.
        let device = self.device.as_deref();
        let mut snapshot = CounterSnapshot::begin(device);
        if let Some(target) = self.targets.iter().flatten().next() {
            snapshot = snapshot.towards(*target, device);
        }
        if Nanos(sys::monotonic_ns()) + self.pool.lead() + MARGIN > order.epoch {
            return Ok(ControlResponse::TooLate);
        }
        // The slot is that of this session, whatever tag the client sends.
        let tag = (self.slot.number << SLOT_SHIFT) | (order.tag & (PHASES | BY_SOURCE));
        // The next user of the slot must not mistake late datagrams of this phase for its own.
        self.slot.phase = next_phase(tag & PHASES);
        (self.has_intervals, self.drops) = (order.interval.is_some(), Default::default());
        let interval = order.interval.or(self.interval);
        let (order, halt) = (PhaseSpec { tag, interval, ..order }, Arc::default());
        let stop = (Arc::clone(&halt), &halt);
        let mut phase = RunningPhase::begin_receivers(&self.pool, order, self.spec.load, stop);
        phase.begin_senders(&self.pool);
        self.is_measured = order.is_measured;
        self.phase = Some((phase, snapshot));
        Ok(ControlResponse::Started)
    }

    /// Reads the kernel's drops if an interval has ended.
    pub(super) fn observe_drops(&mut self) {
        if let Some((phase, snapshot)) = self.phase.as_ref().filter(|_| self.has_intervals) {
            let (drops, ended) = (self.drops.each_mut(), phase.ended_intervals());
            let rings = || ring_drops(&phase.tx.control, &phase.rx);
            DropReadings::observe(drops, ended, Some(snapshot), rings);
        }
    }

    /// Records that the client's senders have ended; responds whether all workers here have, too.
    pub(super) fn finish(&mut self, ended: &PhaseEnd) -> Outcome {
        let (phase, snapshot) = self.phase.as_mut().ok_or("there is no phase to finish")?;
        phase.peer_ended(ended);
        while phase.running.workers > 0 {
            if !self.pool.poll(&mut phase.running, LOOK)? {
                return Ok(ControlResponse::Running);
            }
        }
        let control = &phase.tx.control;
        let sent_to = (0..self.pool.senders()).map(|worker| control.sent_to(worker)).collect();
        let there = phase.end(&self.pool, sent_to);
        self.counters = Some(snapshot.end());
        (self.intervals, self.began) = (phase.intervals(), phase.began());
        self.phase = None;
        Ok(ControlResponse::Finished(there))
    }
}
