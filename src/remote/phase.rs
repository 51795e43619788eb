//! A phase on one side of a cell between two hosts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::measure::{IntervalScale, IntervalSeries};
use crate::plan::WorkerLoad;
use crate::remote::protocol::spec::{PhaseEnd, PhaseSpec};
use crate::run::phase::{Phase, PhaseState};
use crate::run::sender_bounds::planned_end;
use crate::run::worker_pool::{PhaseProgress, WorkerPool};
use crate::run::{PollSchedule, RunError};
use crate::sys;
use crate::unit::Nanos;

/// Drops at rings of the senders and of the receivers here so far, for a reading of each.
pub(super) fn ring_drops(tx: &PhaseState, rx: &PhaseState) -> [[Option<u64>; 2]; 2] {
    [[tx.ring_drops(0), None], [rx.ring_drops(1), None]]
}

/// A phase whose receivers run; they begin earlier than their senders, so that clock error makes no
/// latency negative.
pub(super) struct RunningPhase {
    /// The phase of the senders here.
    pub(super) tx: Phase,
    /// The state of the receivers here, whose senders are on the other host.
    pub(super) rx: Arc<PhaseState>,
    /// Ends the senders here.
    pub(super) halt: Arc<AtomicBool>,
    pub(super) running: PhaseProgress,
    pub(super) bias: Nanos,
    /// When the receivers' window should end, since their epoch; the bias, if that is unknown.
    planned: Nanos,
}

impl RunningPhase {
    /// Starts the receivers, which `stop` ends; `halt` ends the senders. Times are of this host.
    pub(super) fn begin_receivers(
        pool: &WorkerPool,
        order: PhaseSpec,
        load: WorkerLoad,
        (halt, stop): (Arc<AtomicBool>, &Arc<AtomicBool>),
    ) -> Self {
        let PhaseSpec { tag, epoch, rx_epoch, limit, window_end, interval, .. } = order;
        let bias = epoch - rx_epoch;
        let control = PhaseState::new(Arc::clone(&halt), pool.senders())
            .with_intervals(interval, limit, load);
        let tx = Phase { epoch, tag, limit, load, control };
        let rx = PhaseState::across(Arc::clone(stop), pool.receivers(), window_end, bias)
            .with_intervals(interval, limit, load);
        let running = PhaseProgress { workers: pool.receivers(), ..pool.running() };
        let control = Arc::clone(&rx);
        pool.begin_receivers(&Phase { epoch: rx_epoch, control, ..tx.clone() });
        let planned = planned_end(limit, load) + bias;
        Self { tx, rx, halt, running, bias, planned }
    }

    pub(super) fn begin_senders(&mut self, pool: &WorkerPool) {
        self.running.workers += pool.senders();
        pool.begin_senders(&self.tx);
    }

    pub(super) fn began(&self) -> Nanos {
        self.tx.epoch - self.bias
    }

    fn scale(&self) -> Option<IntervalScale> {
        self.rx.interval_scale().or_else(|| self.tx.control.interval_scale())
    }

    /// How many intervals have ended; `None` without intervals.
    pub(super) fn ended_intervals(&self) -> Option<usize> {
        Some(self.scale()?.index(Nanos(sys::monotonic_ns()).since(self.tx.epoch)))
    }

    /// When to look at the intervals.
    pub(super) fn schedule(&self) -> PollSchedule {
        PollSchedule::new(self.tx.epoch, self.scale())
    }

    /// What the senders and the receivers here have counted by interval.
    pub(super) fn intervals(&self) -> [IntervalSeries; 2] {
        let [tx, _] = self.tx.control.intervals();
        let [_, rx] = self.rx.intervals();
        [tx, rx]
    }

    /// The end of this side. `sent_to`: datagrams sent to each receiver; empty if unknown.
    pub(super) fn end(&self, pool: &WorkerPool, sent_to: Vec<u64>) -> PhaseEnd {
        let control = &self.tx.control;
        let has_senders = pool.senders() > 0;
        PhaseEnd {
            end: if has_senders { control.window_end() + self.bias } else { Nanos::ZERO },
            finished: control.senders_finished() + self.bias,
            sent_to,
            sent: self.running.sent,
            received: self.running.received,
        }
    }

    /// Records that the senders of the other host have ended.
    pub(super) fn peer_ended(&self, peer: &PhaseEnd) {
        // The wait for silence starts there, whatever the peer reports.
        let now = Nanos(sys::monotonic_ns()) - self.began();
        let end = peer.end.min(now.max(self.planned));
        self.rx.senders_done(end, peer.finished.min(now), &peer.sent_to);
    }

    /// Ends the window of the receivers here at its planned end, or now, because the other host was
    /// lost; what its senders have sent is unknown. Returns the length of their window.
    pub(super) fn peer_lost(&mut self, pool: &WorkerPool) -> Result<Nanos, RunError> {
        self.halt.store(true, Ordering::Relaxed);
        let now = Nanos(sys::monotonic_ns()) - self.began();
        let end = if self.planned > self.bias { now.min(self.planned) } else { now };
        self.rx.senders_done(end, end, &[]);
        self.await_end(pool)?;
        Ok(end - self.bias)
    }

    /// Ends the phase without waiting for datagrams.
    pub(super) fn abandon(&mut self, pool: &WorkerPool) -> Result<(), RunError> {
        self.halt.store(true, Ordering::Relaxed);
        self.rx.shift(0);
        self.rx.senders_done(Nanos::ZERO, Nanos::ZERO, &vec![0; pool.receivers()]);
        self.await_end(pool)
    }

    fn await_end(&mut self, pool: &WorkerPool) -> Result<(), RunError> {
        let schedule = self.schedule();
        pool.await_end(&mut self.running, schedule, &mut || {})
    }
}
