//! The phases of a cell with a sink.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::error::RemoteError;
use crate::clock::Offset;
use crate::net::steer::next_phase;
use crate::plan::{Limit, WorkerLoad};
use crate::remote::client::clock_corrections::ClockCorrections;
use crate::remote::client::control_client::ControlClient;
use crate::remote::protocol::spec::{
    CellSpec, ControlRequest, ControlResponse, PhaseEnd, PhaseSpec,
};
use crate::run::RunError;
use crate::run::count_end::planned_end;
use crate::run::phase::{Phase, PhaseState};
use crate::run::worker_pool::{Running, WorkerPool};
use crate::sys;
use crate::unit::Nanos;

/// The least time between an order and its start, in round trips, in addition to what workers need.
/// Arbitrary: retries take a few.
const LEAD_TRIPS: u64 = 4;

/// How long before its start a phase must be confirmed: workers are awake by then. Arbitrary; a
/// wake-up takes about 60 µs (measured).
const MARGIN: Nanos = Nanos::from_micros(300);

/// The most attempts to start a phase, each with twice the lead time. Arbitrary: the last has
/// minutes, more than the control thread's patience.
const START_ATTEMPTS: u32 = 12;

/// How much earlier than the error bound of the clocks receivers begin, so that a changing estimate
/// does not make a latency negative. Arbitrary.
const SLACK: Nanos = Nanos::from_micros(50);

/// A cell that is set up at both ends.
pub(super) struct RemoteCell<'a> {
    pub(super) control: &'a ControlClient,
    pub(super) target: SocketAddr,
    pub(super) receivers: u16,
    pub(super) spec: CellSpec,
    pub(super) pool: WorkerPool,
    pub(super) tag: u16,
    pub(super) load: WorkerLoad,
}

pub(super) struct RunningPhase {
    tx: Arc<PhaseState>,
    rx: Arc<PhaseState>,
    halt: Arc<AtomicBool>,
    pub(super) running: Running,
    /// How much earlier than their senders receivers begin.
    pub(super) bias: Nanos,
    /// When it began, on the local clock.
    epoch: Nanos,
    offset_ns: i64,
}

impl RemoteCell<'_> {
    /// Begins a phase at both ends at the same time; tries again if the order arrives too late.
    pub(super) fn begin(
        &mut self,
        limit: Limit,
        stop: &Arc<AtomicBool>,
    ) -> Result<RunningPhase, RunError> {
        let control = self.control;
        for attempt in 0..START_ATTEMPTS {
            let offset = control.offset().unwrap_or_else(Offset::same_clock);
            let bias = match control.same_clock {
                true => Nanos::ZERO,
                false => Nanos(offset.bound_ns.saturating_mul(2)) + SLACK,
            };
            let trips = Nanos(control.rtt().0.saturating_mul(LEAD_TRIPS));
            // Twice the workers' lead: the sink's workers need it, too, after the order arrives.
            let least = self.pool.lead() + self.pool.lead() + trips;
            let lead = Nanos(least.0.saturating_mul(1 << attempt));
            let epoch = Nanos(sys::monotonic_ns()) + lead + MARGIN;
            let offset_ns = offset.at(epoch.0);
            let there = Nanos(epoch.0.saturating_add_signed(offset_ns));
            let window_end = match limit {
                Limit::Time(time) => time + bias,
                Limit::Count(_) => Nanos::NEVER,
            };
            let halt = Arc::new(AtomicBool::new(stop.load(Ordering::Relaxed)));
            let tx = PhaseState::new(Arc::clone(&halt), self.pool.senders());
            let receivers = self.pool.receivers();
            let rx = PhaseState::across(Arc::clone(stop), receivers, window_end, bias);
            let (tag, load) = (self.tag, self.load);
            self.tag = next_phase(tag);
            let phase = Phase { epoch, tag, limit, load, control: Arc::clone(&tx) };
            let rx_phase = Phase { epoch: epoch - bias, control: Arc::clone(&rx), ..phase.clone() };
            let mut running = self.pool.running();
            self.pool.begin_receivers(&rx_phase);
            let order = PhaseSpec { tag, epoch: there, rx_epoch: there - bias, limit, window_end };
            let response = control.call(&ControlRequest::Start(order))?;
            let in_time = Nanos(sys::monotonic_ns()) + MARGIN < epoch;
            match response {
                ControlResponse::Started if in_time || self.pool.senders() == 0 => {
                    self.pool.begin_senders(&phase);
                    let receivers = (self.pool.receivers() > 0).then(|| Arc::clone(&rx));
                    control.start_corrections(ClockCorrections::new(offset_ns, receivers));
                    if let Limit::Time(time) = limit {
                        control.set_busy_until(Nanos(epoch.0.saturating_add(time.0)));
                    }
                    return Ok(RunningPhase { tx, rx, halt, running, bias, epoch, offset_ns });
                }
                ControlResponse::Started | ControlResponse::TooLate => {}
                _ => return Err(RemoteError::Damaged(self.target).into()),
            }
            // No sender has started: end the receivers at once.
            rx.senders_done(Nanos::ZERO, Nanos::ZERO, &vec![0; self.pool.receivers()]);
            running.workers -= self.pool.senders();
            self.pool.await_end(&mut running, &mut || {})?;
        }
        Err(RemoteError::NeverInTime(self.target).into())
    }

    pub(super) fn finish(
        &self,
        phase: &mut RunningPhase,
        limit: Limit,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<PhaseEnd, RunError> {
        let control = self.control;
        let senders = self.pool.senders();
        let receivers = self.pool.receivers();
        while phase.running.workers > receivers {
            if !self.pool.look(&mut phase.running, POLL_INTERVAL)? {
                tick();
            }
            if phase.tx.take_unreachable() {
                control.suspect_closed_port();
            }
            if stop.load(Ordering::Relaxed) || control.has_failed() {
                phase.halt.store(true, Ordering::Relaxed);
            }
        }
        if senders == 0
            && let Limit::Time(time) = limit
        {
            let over = || control.has_failed() || stop.load(Ordering::Relaxed);
            wait_until(phase.epoch + time, over, tick);
        }
        let ended = PhaseEnd {
            end: if senders > 0 { phase.tx.window_end() + phase.bias } else { Nanos::ZERO },
            finished: phase.tx.senders_finished() + phase.bias,
            sent_to: self.sent_to_receivers(&phase.running),
            sent: phase.running.sent,
            received: 0,
        };
        let mut has_stopped = false;
        let there = loop {
            if stop.load(Ordering::Relaxed) && !has_stopped && self.spec.directions.reverse {
                control.call(&ControlRequest::Stop)?;
                has_stopped = true;
            }
            match control.call(&ControlRequest::Finish(ended.clone()))? {
                ControlResponse::Finished(there) => {
                    control.set_busy_until(Nanos::ZERO);
                    break there;
                }
                ControlResponse::Running => {
                    tick();
                    thread::sleep(POLL_INTERVAL);
                }
                _ => return Err(RemoteError::Damaged(self.target).into()),
            }
        };
        // No later than now or planned, whatever the peer reports: the wait for silence starts
        // there.
        let now = Nanos(sys::monotonic_ns()).since(phase.epoch - phase.bias);
        let planned = planned_end(limit, self.load) + phase.bias;
        let by_peer = |moment: Nanos| Nanos(moment.0.saturating_add(phase.bias.0));
        let end = by_peer(there.end).min(now.max(planned));
        phase.rx.senders_done(end, by_peer(there.finished).min(now), &there.sent_to);
        self.pool.await_end(&mut phase.running, tick)?;
        Ok(there)
    }

    /// Datagrams sent to each receiver of the sink; empty if a hash distributes them.
    fn sent_to_receivers(&self, running: &Running) -> Vec<u64> {
        let receivers = usize::from(self.receivers.max(1));
        if self.spec.by_hash && receivers > 1 {
            return Vec::new();
        }
        let mut sent_to = vec![0; receivers];
        for (flow, sent) in running.sent_by_flow.iter().enumerate() {
            sent_to[flow % receivers] += sent;
        }
        sent_to
    }

    /// The clock error of all latencies of a phase in ns, and its bound.
    pub(super) fn correction(
        &self,
        phase: &RunningPhase,
        corrections: Option<ClockCorrections>,
    ) -> (i64, Nanos) {
        let control = self.control;
        if control.same_clock {
            return (0, Nanos::ZERO);
        }
        let Some(offset) = control.offset() else {
            return (0, Nanos::NEVER);
        };
        // Compares the offset in force with the present estimate, at and just before each
        // correction.
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        let mut look = |at_ns: u64, (low, high): (i64, i64)| {
            for shift_ns in [low, high] {
                let believed = phase.offset_ns.saturating_add(shift_ns);
                let error = offset.at(at_ns).saturating_sub(believed);
                (least, most) = (least.min(error), most.max(error));
            }
        };
        look(phase.epoch.0, (0, 0));
        let corrections =
            corrections.unwrap_or_else(|| ClockCorrections::new(phase.offset_ns, None));
        corrections.visit_all(sys::monotonic_ns(), &mut look);
        let middle = least.midpoint(most);
        let spread = Nanos(most.abs_diff(least).div_ceil(2));
        (middle, Nanos(offset.bound_ns) + spread)
    }
}

/// Sleeps until a time or until `over`, with progress.
fn wait_until(at: Nanos, over: impl Fn() -> bool, tick: &mut dyn FnMut()) {
    loop {
        let left = at.since(Nanos(sys::monotonic_ns()));
        if left == Nanos::ZERO || over() {
            return;
        }
        tick();
        thread::sleep(left.to_duration().min(POLL_INTERVAL));
    }
}

/// How often the sink is asked for the end of a phase; arbitrary.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(20);
