//! The phases of a cell with a sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::control_client::{ControlClient, RemoteError};
use crate::clock::Offset;
use crate::host::counters::CounterSnapshot;
use crate::net::steer::next_phase;
use crate::plan::Limit;
use crate::remote::client::clock_corrections::ClockCorrections;
use crate::remote::phase::{RunningPhase, ring_drops};
use crate::remote::protocol::spec::{
    CellSpec, ControlRequest, ControlResponse, PhaseEnd, PhaseSpec,
};
use crate::run::worker_pool::{PhaseProgress, WorkerPool};
use crate::run::{DropReadings, LiveCell, RunError, StartRule, Tick};
use crate::sys;
use crate::unit::Nanos;

/// The least time between an order and its start, in round trips, in addition to what workers need.
/// Arbitrary: retries take a few.
const LEAD_TRIPS: u64 = 4;
/// How long before its start a phase must be confirmed. Arbitrary: a wake-up takes 60 µs, measured.
const MARGIN: Nanos = Nanos::from_micros(300);
/// The most attempts to start a phase, each with twice the lead. Arbitrary: the last has minutes.
const START_ATTEMPTS: u32 = 12;
/// How much earlier than clock error requires receivers begin: estimates change. Arbitrary.
const SLACK: Nanos = Nanos::from_micros(50);
/// How often the client polls for the end of a phase; arbitrary.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A cell that is set up at both ends.
pub(super) struct RemoteCell<'a> {
    pub(super) control: &'a ControlClient,
    pub(super) receivers: u16,
    pub(super) spec: CellSpec,
    pub(super) pool: WorkerPool,
    pub(super) tag: u16,
}

impl RemoteCell<'_> {
    /// Begins a phase, a warm-up or the measured one, at both ends at the same time; returns the
    /// offset of the sink's clock, too.
    pub(super) fn begin(
        &mut self,
        (limit, is_measured): (Limit, bool),
        interval: Option<Nanos>,
        stop: &Arc<AtomicBool>,
        start: &dyn StartRule,
    ) -> Result<(RunningPhase, i64), RunError> {
        let control = self.control;
        // After a first start that came too late, this host begins later than others of its run.
        let mut common = None;
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
            let mut epoch = Nanos(sys::monotonic_ns()) + lead + MARGIN;
            if common.is_none() {
                epoch = *common.insert(start.start_at(epoch)?);
            }
            let window_end = limit.time().map_or(Nanos::NEVER, |time| time + bias);
            let tag = self.tag;
            self.tag = next_phase(tag);
            let rx_epoch = epoch - bias;
            let here = PhaseSpec { tag, epoch, rx_epoch, limit, window_end, interval, is_measured };
            let halt = Arc::new(AtomicBool::new(stop.load(Ordering::Relaxed)));
            let load = self.spec.load;
            let mut phase = RunningPhase::begin_receivers(&self.pool, here, load, (halt, stop));
            let offset_ns = offset.at(epoch.0);
            let epoch_there = Nanos(epoch.0.saturating_add_signed(offset_ns));
            let rx_epoch = epoch_there - bias;
            let there = PhaseSpec { epoch: epoch_there, rx_epoch, ..here };
            let response = control.call(&ControlRequest::Start(there))?;
            let in_time = Nanos(sys::monotonic_ns()) + MARGIN < epoch;
            match response {
                ControlResponse::Started if in_time || self.pool.senders() == 0 => {
                    phase.begin_senders(&self.pool);
                    let receivers = (self.pool.receivers() > 0).then(|| Arc::clone(&phase.rx));
                    control.start_corrections(ClockCorrections::new(offset_ns, receivers));
                    if let Limit::Time(time) = limit {
                        control.shared.busy_until_ns.store((epoch + time).0, Ordering::Relaxed);
                    }
                    return Ok((phase, offset_ns));
                }
                ControlResponse::Started | ControlResponse::TooLate => {}
                _ => return Err(control.damaged()),
            }
            phase.abandon(&self.pool)?;
        }
        Err(RemoteError::NeverInTime(control.target).into())
    }

    pub(super) fn finish(
        &self,
        phase: &mut RunningPhase,
        limit: Limit,
        stop: &Arc<AtomicBool>,
        tick: Tick<'_>,
        (counters, drops): (Option<&CounterSnapshot>, &mut [DropReadings; 2]),
    ) -> Result<PhaseEnd, RunError> {
        let control = self.control;
        let (tx, rx, epoch) =
            (Arc::clone(&phase.tx.control), Arc::clone(&phase.rx), phase.tx.epoch);
        let (&CellSpec { forward, reverse, .. }, bias) = (&self.spec, phase.bias);
        let tick = &mut || {
            let (senders, receivers) = (forward.then_some(&tx), reverse.then_some((&rx, bias)));
            let live = LiveCell::of_two_hosts(senders, receivers, epoch);
            let ended = live.map(|live| live.ended());
            let rings = || ring_drops(&tx, &rx);
            DropReadings::observe(drops.each_mut(), ended, counters, rings);
            let none = DropReadings::default();
            let [of_tx, of_rx] = &*drops;
            let sides = [(forward, of_tx), (reverse, of_rx)];
            let sides = sides.map(|(is_here, drops)| if is_here { drops } else { &none });
            tick(live.map(|live| live.with_drops(sides)));
        };
        let is_over = || {
            let is_stopped = stop.load(Ordering::Relaxed);
            control.shared.is_stopped.store(is_stopped, Ordering::Relaxed);
            is_stopped || control.shared.failed.load(Ordering::Relaxed)
        };
        while phase.running.workers > self.pool.receivers() {
            if !self.pool.poll(&mut phase.running, POLL_INTERVAL)? {
                tick();
            }
            if phase.tx.control.take_unreachable() {
                // The sink must respond soon.
                control.shared.port_seen_closed.store(true, Ordering::Relaxed);
            }
            if is_over() {
                phase.halt.store(true, Ordering::Relaxed);
            }
        }
        if self.pool.senders() == 0
            && let Limit::Time(time) = limit
        {
            wait_until(phase.tx.epoch + time, is_over, tick);
        }
        let ended = phase.end(&self.pool, self.sent_to_receivers(&phase.running));
        let mut has_stopped = false;
        let there = loop {
            if is_over() && stop.load(Ordering::Relaxed) && !has_stopped && self.spec.reverse {
                control.call(&ControlRequest::Stop)?;
                has_stopped = true;
            }
            match control.call(&ControlRequest::Finish(ended.clone()))? {
                ControlResponse::Finished(there) => break there,
                ControlResponse::Running => {
                    tick();
                    thread::sleep(POLL_INTERVAL);
                }
                _ => return Err(control.damaged()),
            }
        };
        control.shared.busy_until_ns.store(0, Ordering::Relaxed);
        phase.peer_ended(&there);
        let schedule = phase.schedule();
        self.pool.await_end(&mut phase.running, schedule, tick)?;
        Ok(there)
    }

    /// Datagrams sent to each receiver of the sink; empty if a hash distributes them.
    fn sent_to_receivers(&self, running: &PhaseProgress) -> Vec<u64> {
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
        offset_ns: i64,
        corrections: Option<ClockCorrections>,
    ) -> (i64, Nanos) {
        if self.control.same_clock {
            return (0, Nanos::ZERO);
        }
        let Some(offset) = self.control.offset() else {
            return (0, Nanos::NEVER);
        };
        // Compares the offsets in force with the present estimate.
        let corrections = corrections.unwrap_or_else(|| ClockCorrections::new(offset_ns, None));
        let points = corrections.extremes(sys::monotonic_ns()).into_iter();
        let (least, most) = points.chain([(phase.tx.epoch.0, 0)]).fold(
            (i64::MAX, i64::MIN),
            |(least, most), (at_ns, shift_ns)| {
                let in_force = offset_ns.saturating_add(shift_ns);
                let error = offset.at(at_ns).saturating_sub(in_force);
                (least.min(error), most.max(error))
            },
        );
        let spread = Nanos(most.abs_diff(least).div_ceil(2));
        (least.midpoint(most), Nanos(offset.bound_ns) + spread)
    }
}

fn wait_until(at: Nanos, is_over: impl Fn() -> bool, tick: &mut dyn FnMut()) {
    loop {
        let left = at.since(Nanos(sys::monotonic_ns()));
        if left == Nanos::ZERO || is_over() {
            return;
        }
        tick();
        thread::sleep(left.to_duration().min(POLL_INTERVAL));
    }
}
