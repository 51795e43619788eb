//! A cell that is set up at both ends, and its phases.

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
use crate::remote::protocol::spec::{CellSpec, ControlRequest, ControlResponse, Ended, PhaseSpec};
use crate::run::RunError;
use crate::run::count_end::planned_end;
use crate::run::phase::PhaseState;
use crate::run::worker::Phase;
use crate::run::worker_pool::{Running, WorkerPool};
use crate::sys;
use crate::unit::Nanos;

/// How much lies between the order of a phase and its start at least, for the order to get there:
/// beside the time that workers need, so many round trips. Arbitrary: retries take a few.
const LEAD_TRIPS: u64 = 4;

/// How much before its start a phase must have been confirmed: workers are awake by then.
/// Arbitrary; a wake-up takes about 60 µs (measured).
const MARGIN: Nanos = Nanos::from_micros(300);

/// How often a phase is ordered anew, each time with twice the lead. Arbitrary: the last one has
/// minutes, more than the line's patience.
const ATTEMPTS: u32 = 12;

/// How much the receivers' clock is set back beyond what the clocks are known within: whatever
/// moves the estimate meanwhile shall not make a latency negative. Arbitrary.
const SLACK: Nanos = Nanos::from_micros(50);

/// A cell that is set up at both ends.
pub(super) struct RemoteCell<'a> {
    pub(super) link: &'a ControlClient,
    /// The other end's address.
    pub(super) target: SocketAddr,
    /// Receivers of the other end.
    pub(super) receivers: u16,
    pub(super) spec: CellSpec,
    pub(super) crew: WorkerPool,
    /// Of the phase to come.
    pub(super) tag: u16,
    pub(super) load: WorkerLoad,
}

/// A phase that has begun.
pub(super) struct RunningPhase {
    /// What the senders here share.
    tx: Arc<PhaseState>,
    /// What the receivers here share.
    rx: Arc<PhaseState>,
    /// Stops the senders here.
    halt: Arc<AtomicBool>,
    pub(super) running: Running,
    /// How much earlier than their senders receivers begin.
    pub(super) bias: Nanos,
    /// When it began, on our clock.
    epoch: Nanos,
    offset_ns: i64,
}

impl RemoteCell<'_> {
    /// Begins a phase at both ends at the same moment; again where the order comes too late.
    pub(super) fn begin(
        &mut self,
        limit: Limit,
        stop: &Arc<AtomicBool>,
    ) -> Result<RunningPhase, RunError> {
        let link = self.link;
        for attempt in 0..ATTEMPTS {
            let offset = link.offset().unwrap_or_else(Offset::same_clock);
            let bias = match link.same_clock() {
                true => Nanos::ZERO,
                false => Nanos(offset.bound_ns.saturating_mul(2)) + SLACK,
            };
            let trips = Nanos(link.rtt().0.saturating_mul(LEAD_TRIPS));
            // Twice what workers need: the sink's need it too, after the order has come.
            let least = self.crew.lead() + self.crew.lead() + trips;
            let lead = Nanos(least.0.saturating_mul(1 << attempt));
            let epoch = Nanos(sys::monotonic_ns()) + lead + MARGIN;
            let offset_ns = offset.at(epoch.0);
            let there = Nanos(epoch.0.saturating_add_signed(offset_ns));
            let window_end = match limit {
                Limit::Time(time) => time + bias,
                Limit::Count(_) => Nanos::NEVER,
            };
            let halt = Arc::new(AtomicBool::new(stop.load(Ordering::Relaxed)));
            let tx = PhaseState::new(Arc::clone(&halt), self.crew.senders());
            let receivers = self.crew.receivers();
            let rx = PhaseState::across(Arc::clone(stop), receivers, window_end, bias);
            let (tag, load) = (self.tag, self.load);
            self.tag = next_phase(tag);
            let phase = Phase { epoch, tag, limit, load, control: Arc::clone(&tx) };
            let rx_phase = Phase { epoch: epoch - bias, control: Arc::clone(&rx), ..phase.clone() };
            let mut running = self.crew.running();
            self.crew.begin_receivers(&rx_phase);
            let order = PhaseSpec { tag, epoch: there, rx_epoch: there - bias, limit, window_end };
            let told = link.ask(&ControlRequest::Start(order))?;
            let in_time = Nanos(sys::monotonic_ns()) + MARGIN < epoch;
            match told {
                ControlResponse::Started if in_time || self.crew.senders() == 0 => {
                    self.crew.begin_senders(&phase);
                    let receivers = (self.crew.receivers() > 0).then(|| Arc::clone(&rx));
                    link.follow(ClockCorrections::new(offset_ns, receivers));
                    if let Limit::Time(time) = limit {
                        link.set_busy_until(Nanos(epoch.0.saturating_add(time.0)));
                    }
                    return Ok(RunningPhase { tx, rx, halt, running, bias, epoch, offset_ns });
                }
                ControlResponse::Started | ControlResponse::TooLate => {}
                _ => return Err(RemoteError::Damaged { target: self.target }.into()),
            }
            // Nobody here has sent anything: the receivers have nothing to wait for.
            rx.senders_done(Nanos::ZERO, Nanos::ZERO, &vec![0; self.crew.receivers()]);
            running.workers -= self.crew.senders();
            self.crew.await_end(&mut running, &mut || {})?;
        }
        Err(RemoteError::NeverInTime { target: self.target }.into())
    }

    /// Waits until the phase is over at both ends.
    pub(super) fn finish(
        &self,
        begun: &mut RunningPhase,
        limit: Limit,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<Ended, RunError> {
        let link = self.link;
        let senders = self.crew.senders();
        let receivers = self.crew.receivers();
        while begun.running.workers > receivers {
            if !self.crew.look(&mut begun.running, ASK_EVERY)? {
                tick();
            }
            if begun.tx.take_unreachable() {
                link.doubt();
            }
            if stop.load(Ordering::Relaxed) || link.has_failed() {
                begun.halt.store(true, Ordering::Relaxed);
            }
        }
        if senders == 0
            && let Limit::Time(time) = limit
        {
            wait_until(
                begun.epoch + time,
                || link.has_failed() || stop.load(Ordering::Relaxed),
                tick,
            );
        }
        let ended = Ended {
            end: if senders > 0 { begun.tx.window_end() + begun.bias } else { Nanos::ZERO },
            finished: begun.tx.senders_finished() + begun.bias,
            sent_to: self.sent_to_receivers(&begun.running),
            sent: begun.running.sent,
            received: 0,
        };
        let mut told_to_stop = false;
        let there = loop {
            if stop.load(Ordering::Relaxed) && !told_to_stop && self.spec.ways.reverse {
                link.ask(&ControlRequest::Stop)?;
                told_to_stop = true;
            }
            match link.ask(&ControlRequest::Finish(ended.clone()))? {
                ControlResponse::Finished(there) => {
                    link.set_busy_until(Nanos::ZERO);
                    break there;
                }
                ControlResponse::Running => {
                    tick();
                    thread::sleep(ASK_EVERY);
                }
                _ => return Err(RemoteError::Damaged { target: self.target }.into()),
            }
        };
        // Not later than now or planned, whatever a peer says: silence is waited for from then on.
        let now = Nanos(sys::monotonic_ns()).since(begun.epoch - begun.bias);
        let planned = planned_end(limit, self.load) + begun.bias;
        let by_peer = |moment: Nanos| Nanos(moment.0.saturating_add(begun.bias.0));
        let end = by_peer(there.end).min(now.max(planned));
        begun.rx.senders_done(end, by_peer(there.finished).min(now), &there.sent_to);
        self.crew.await_end(&mut begun.running, tick)?;
        Ok(there)
    }

    /// What each receiver of the sink should get; empty where only a hash knows.
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

    /// How far all latencies of a phase are off, in ns, and how far that may be wrong.
    pub(super) fn correction(
        &self,
        begun: &RunningPhase,
        follow: Option<ClockCorrections>,
    ) -> (i64, Nanos) {
        let link = self.link;
        if link.same_clock() {
            return (0, Nanos::ZERO);
        }
        let Some(offset) = link.offset() else {
            return (0, Nanos::NEVER);
        };
        // What was believed and corrected meanwhile against what is known now, at every moment
        // that a correction was sent and just before.
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        let mut look = |at_ns: u64, (low, high): (i64, i64)| {
            for shift_ns in [low, high] {
                let believed = begun.offset_ns.saturating_add(shift_ns);
                let error = offset.at(at_ns).saturating_sub(believed);
                (least, most) = (least.min(error), most.max(error));
            }
        };
        look(begun.epoch.0, (0, 0));
        let follow = follow.unwrap_or_else(|| ClockCorrections::new(begun.offset_ns, None));
        follow.each(sys::monotonic_ns(), &mut look);
        let middle = least.midpoint(most);
        let spread = Nanos(most.abs_diff(least).div_ceil(2));
        (middle, Nanos(offset.bound_ns) + spread)
    }
}

/// Sleeps until a moment, showing progress, or until something else is over.
fn wait_until(at: Nanos, over: impl Fn() -> bool, tick: &mut dyn FnMut()) {
    loop {
        let left = at.since(Nanos(sys::monotonic_ns()));
        if left == Nanos::ZERO || over() {
            return;
        }
        tick();
        thread::sleep(left.to_duration().min(ASK_EVERY));
    }
}

/// How often the end of a phase on the other host is asked for; arbitrary.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(20);
