//! Worker threads: placed first, then given sockets, engine and memory, then led through phases.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use mio::Interest;

use super::count_end::planned_end;
use super::outage::TargetWatch;
use super::probe::ReceiveProbe;
use super::receive::{Drops, ReceiveJob, receive};
use super::sampler::Sampler;
use super::send::{SendJob, send};
use crate::clock::Clock;
use crate::engine::{Rx, Tx};
use crate::host::Meter;
use crate::measure::{KernelDelta, RxResult, StallMeter, Timing, TxResult, TxTally};
use crate::net::{NetError, Options, Waiter, enter_netns, pin_to};
use crate::pace::{Arrivals, FlatOut, Pace, Part, Scheduled, Slots, catch_up};
use crate::plan::{LONGEST, Limit, RxConfig, TxConfig, WaitKind, WorkerConfig, WorkerLoad};
use crate::run::phase::PhaseState;
use crate::run::sender_bounds::SenderBounds;
use crate::sys;
use crate::unit::Nanos;

/// How long before a phase begins its workers are awake: longer than a sleep overshoots (about
/// 60 µs on the reference machine, measured).
const EARLY: Nanos = Nanos::from_micros(200);

/// How often a worker that sleeps until a phase begins looks whether it is stopped before. A phase
/// between hosts may be seconds ahead; arbitrary, longer than the lead of most.
const LOOK: Nanos = Nanos::from_millis(100);

/// What a worker is told to do next.
#[derive(Debug, Clone)]
pub struct Phase {
    /// When it begins, on the monotonic clock.
    pub epoch: Nanos,
    /// What its datagrams carry to be told from those of other phases.
    pub tag: u16,
    /// When it ends.
    pub limit: Limit,
    /// How datagrams follow each other.
    pub load: WorkerLoad,
    /// What its workers share.
    pub control: Arc<PhaseState>,
}

/// What a worker says.
#[derive(Debug)]
pub(crate) enum WorkerEvent {
    /// Set up; a receiver of UDP says where.
    Ready(Option<SocketAddr>),
    /// Through a phase: datagrams sent, or received.
    Done(PhaseDone),
    /// Not set up.
    Failed(NetError),
}

/// What a worker did in a phase.
#[derive(Debug, Default)]
pub(crate) struct PhaseDone {
    /// Datagrams sent.
    pub(crate) sent: u64,
    /// Datagrams received.
    pub(crate) received: u64,
    /// Number of the first flow of a sender, and datagrams sent by flow from there on.
    pub(crate) flows: (u16, Vec<u64>),
}

/// The two ends of a worker's conversation with the coordinator.
pub(crate) struct WorkerChannel {
    pub(crate) orders: Receiver<Phase>,
    pub(crate) events: Sender<WorkerEvent>,
}

/// What a socket of this share is.
pub(crate) fn options(share: &WorkerConfig) -> Options {
    Options {
        bind: share.bind,
        buffer: share.socket_buffer,
        dscp: share.ip.dscp,
        ttl: share.ip.ttl,
        df: share.ip.df,
        dev: share.ip.dev.clone(),
        broadcast: share.broadcast,
        ..Options::default()
    }
}

/// Places the thread: on its core, and in its network namespace.
pub(crate) fn place_thread(share: &WorkerConfig) -> Result<(), NetError> {
    share.core.map_or(Ok(()), pin_to)?;
    share.netns.as_deref().map_or(Ok(()), enter_netns)?;
    Ok(())
}

/// The event loop of a worker.
pub(crate) fn waiter(share: &WorkerConfig, interest: Interest) -> Result<Waiter, NetError> {
    let spin_for = match share.wait {
        WaitKind::Spin => Waiter::SPIN,
        WaitKind::Hybrid => Waiter::HYBRID,
        WaitKind::Epoll => Waiter::EPOLL,
    };
    Waiter::new(spin_for, interest).map_err(|source| NetError::Poll { source })
}

/// Leads a sender through its phases.
pub(crate) fn send_phases<T: Tx>(
    mut tx: T,
    share: &TxConfig,
    buffer: Option<u64>,
    line: &WorkerChannel,
) -> Result<TxResult, NetError> {
    let mut waiter = waiter(&share.common, Interest::WRITABLE)?;
    let mut job = SendJob::new(share, &tx);
    let mut half = TxResult::default();
    let meter = Meter::of_this_thread();
    sys::set_timer_slack_ns(crate::net::TIMER_SLACK_NS);
    let _ = line.events.send(WorkerEvent::Ready(None));
    while let Ok(phase) = line.orders.recv() {
        let planned_end = job.start(share, &phase);
        let segments_at_first = tx.segments().map(|segments| segments.now);
        waiter.restart();
        // The window ends for the receivers even if this thread dies of a bug.
        let mut done = SenderDone { control: &phase.control, worker: share.common.worker, sent: 0 };
        job.await_epoch(&phase.control);
        let before = meter.read();
        job.stall.start(Nanos::ZERO);
        let last = send(&mut tx, &mut job, &mut waiter, &phase.control);
        let usage = meter.between(before, meter.read());
        job.sampler.end(tx.sockets());
        let stopped = phase.control.stopped();
        done.sent = job.tally.sent;
        half = job.half(last, planned_end, stopped);
        done.publish(half.end, last);
        let segments = tx.segments().zip(segments_at_first);
        half.segments = segments.map(|(last, at_first)| (at_first as u64, last.now as u64));
        (half.usage, half.buffer) = (usage, buffer);
        let _ = line.events.send(WorkerEvent::Done(PhaseDone {
            sent: job.tally.sent,
            received: 0,
            flows: (job.first_flow, job.next.clone()),
        }));
    }
    Ok(job.into_half(half))
}

/// Publishes a sender's end, at the latest when it goes out of scope.
pub(crate) struct SenderDone<'a> {
    pub(crate) control: &'a PhaseState,
    pub(crate) worker: usize,
    pub(crate) sent: u64,
}

impl SenderDone<'_> {
    pub(crate) fn publish(self, end: Nanos, finished: Nanos) {
        self.control.sender_finished(finished);
        self.control.sender_done(self.worker, end, self.sent);
        std::mem::forget(self);
    }
}

impl Drop for SenderDone<'_> {
    fn drop(&mut self) {
        self.control.sender_done(self.worker, Nanos::ZERO, self.sent);
    }
}

/// Sleeps until just before a phase begins; returns when it does, or where it is stopped long
/// before, now.
fn sleep_until_shortly_before(epoch: Nanos, control: &PhaseState) -> Nanos {
    let eve = epoch - EARLY;
    loop {
        let now = Nanos(sys::monotonic_ns());
        if now >= eve {
            return epoch;
        }
        if control.stopped() {
            return now;
        }
        sys::sleep_until_ns(eve.min(now + LOOK).0);
    }
}

/// Leads a receiver through its phases.
pub(crate) fn receive_phases<R: Rx>(
    mut rx: R,
    share: &RxConfig,
    local: Option<SocketAddr>,
    buffer: Option<u64>,
    line: &WorkerChannel,
) -> Result<RxResult, NetError> {
    let RxConfig { across, stamps, of, .. } = *share;
    let share = &share.common;
    let mut waiter = waiter(share, Interest::READABLE)?;
    let probe = ReceiveProbe::in_turn(
        share.flows.start,
        share.flows.len(),
        share.size,
        (share.worker % of.max(1), of),
    );
    let probe = if across { probe.across() } else { probe };
    let mut probe = if stamps { probe.sampling() } else { probe };
    let mut job = ReceiveJob {
        clock: Clock::Monotonic,
        epoch: Nanos::ZERO,
        worker: share.worker,
        drops: Drops::default(),
        meter: Meter::of_this_thread(),
        at_close: None,
    };
    let mut half = RxResult::default();
    // Before anybody sends: what is dropped while this thread wakes up counts.
    job.drops.restart(&mut rx);
    let _ = line.events.send(WorkerEvent::Ready(local));
    while let Ok(phase) = line.orders.recv() {
        rx.restart();
        waiter.restart();
        probe.set_bias(phase.control.bias());
        probe.set_bounds(SenderBounds::new(phase.limit, phase.load));
        probe.start(phase.tag, phase.load != WorkerLoad::FlatOut, Nanos::ZERO);
        // One that was stopped before it began is over for whoever counts from now on.
        job.epoch = sleep_until_shortly_before(phase.epoch, &phase.control);
        job.at_close = None;
        let before = job.meter.read();
        receive(&mut rx, &mut job, &mut probe, &mut waiter, &phase.control);
        let usage = job.at_close.map(|now| job.meter.between(before, now)).unwrap_or_default();
        probe.finish(&phase.control, share.worker);
        job.drops.sample(&mut rx);
        let kernel = KernelDelta { sockets: job.drops.known_total(), ..KernelDelta::default() };
        half = RxResult { usage, buffer, kernel, ..RxResult::default() };
        // Drained, and nobody sends before all are done: the next phase counts from here.
        job.drops.restart(&mut rx);
        let _ = line.events.send(WorkerEvent::Done(PhaseDone {
            received: probe.tally.received,
            ..PhaseDone::default()
        }));
    }
    let jitter_sum = probe.jitters().fold(Nanos::ZERO, |sum, jitter| sum + jitter);
    Ok(RxResult {
        tally: probe.tally,
        stalls: probe.stall.stalls(),
        jitter: (jitter_sum, probe.jitters().count() as u64),
        flows: probe.received_by_flow(),
        workers: vec![probe.tally.received],
        latency: probe.latency,
        samples: probe.samples,
        takes_super_packets: rx.takes_super_packets(),
        ..half
    })
}

impl SendJob {
    /// The job of this share, before its first phase.
    #[must_use]
    pub fn new(share: &TxConfig, tx: &impl Tx) -> Self {
        let timing = (share.load != WorkerLoad::FlatOut).then(Timing::default);
        let paced = timing.is_some();
        let batch = tx.batch(paced);
        Self {
            clock: Clock::Monotonic,
            epoch: Nanos::ZERO,
            worker: share.common.worker,
            pace: Pace::FlatOut(FlatOut::new(Nanos::ZERO, 0)),
            batch,
            tag: 0,
            first_flow: share.common.flows.start,
            next: vec![0; share.common.flows.len()],
            size: share.common.size,
            must_reach_count: false,
            tally: TxTally::default(),
            timing,
            // On a schedule a batch is what is due at once, and short.
            stall: StallMeter::of_batches(if paced { 1 } else { batch }),
            departed: None,
            refused_since: None,
            untold: None,
            target: TargetWatch::new(share.abort_on_unreachable, share.answers),
            stuck: false,
            unreachable: false,
            // AF_UNIX has no such stamps, and no queue of errors to tell them.
            sampler: Sampler::new(
                share.stamps && share.common.unix.is_none(),
                share.common.flows.start,
            ),
        }
    }

    /// Returns at the moment the phase begins, or where it is stopped before.
    pub(crate) fn await_epoch(&self, control: &PhaseState) {
        sleep_until_shortly_before(self.epoch, control);
        while self.clock.now() < self.epoch && !control.stopped() {
            std::hint::spin_loop();
        }
    }

    /// What is known of a phase at its end: the last datagram left by `last`, of a window meant to
    /// end at `planned_end`. All that left was due in the window that this says.
    pub(crate) fn half(&mut self, last: Nanos, planned_end: Nanos, stopped: bool) -> TxResult {
        let whole = !self.stuck && !stopped;
        if let (Some(timing), Some(scheduled)) = (&mut self.timing, self.pace.scheduled()) {
            (timing.scheduled, timing.missed) = (scheduled.scheduled(), scheduled.missed());
        }
        if let Some(untold) = self.untold.take() {
            self.tally.count_untold(untold);
        }
        let latest = self.pace.scheduled().map(Scheduled::latest);
        let end = match (self.must_reach_count, latest) {
            // Even if this thread noticed it later.
            (false, _) if whole => planned_end,
            (false, _) => last.min(planned_end),
            (true, Some(latest)) if whole => latest.max(planned_end),
            (true, _) => last,
        };
        let outages = self.target.outages();
        let (stuck, unreachable) = (self.stuck, self.unreachable);
        TxResult { end, stuck, unreachable, stopped, outages, ..TxResult::default() }
    }

    /// All that was counted and timed in the latest phase, put to what is known of its end.
    pub(crate) fn into_half(self, half: TxResult) -> TxResult {
        let paced = self.pace.scheduled().is_some();
        TxResult {
            tally: self.tally,
            stalls: self.stall.stalls(),
            timing: self.timing.filter(|_| paced),
            flows: self.next,
            samples: self.sampler.into_samples(),
            ..half
        }
    }

    /// Begins a phase, forgetting the one before; returns when its window is meant to end.
    pub fn start(&mut self, share: &TxConfig, phase: &Phase) -> Nanos {
        let (worker, of) = (share.common.worker as u64, share.of as u64);
        let (end, to_send) = match phase.limit {
            Limit::Time(time) => (time, u64::MAX),
            Limit::Count(count) => (LONGEST, count / of + u64::from(worker < count % of)),
        };
        let former = phase.epoch.since(std::mem::replace(&mut self.epoch, phase.epoch));
        self.tag = phase.tag;
        self.pace = pace(phase.load, end, to_send, Part { index: worker, of });
        self.next.fill(0);
        self.must_reach_count = matches!(phase.limit, Limit::Count(_));
        self.target.start(mean_gap(phase.load, of), former, self.tally.sent > 0);
        self.tally = TxTally::default();
        if let Some(timing) = &mut self.timing {
            [&mut timing.lag, &mut timing.gap, &mut timing.gap_in_stall]
                .into_iter()
                .for_each(crate::measure::LatencyHistograms::reset);
        }
        (self.departed, self.refused_since) = (None, None);
        (self.stuck, self.unreachable) = (false, false);
        self.untold = None;
        let planned_end = planned_end(phase.limit, phase.load);
        self.sampler.start(phase.epoch, planned_end);
        planned_end
    }
}

/// How far apart departures are on average, of one of so many parts of a load.
fn mean_gap(load: WorkerLoad, of: u64) -> Nanos {
    let group = if let WorkerLoad::Burst(_, size) = load { f64::from(size) } else { 1.0 };
    Nanos(load.mean_pps().map_or(0.0, |pps| group * 1e9 * of as f64 / pps) as u64)
}

/// The pace of one part of a load.
pub(crate) fn pace(load: WorkerLoad, end: Nanos, to_send: u64, part: Part) -> Pace {
    let arrivals = match load {
        WorkerLoad::FlatOut => return Pace::FlatOut(FlatOut::new(end, to_send)),
        WorkerLoad::Even(rate) => Arrivals::Even(rate),
        WorkerLoad::Burst(rate, size) => Arrivals::Burst(rate, size),
        WorkerLoad::Poisson(rate, seed) => Arrivals::Poisson(rate, seed),
        WorkerLoad::Ramp(from, to, over) => Arrivals::Ramp(from, to, over.0),
        WorkerLoad::Recorded(_, moments_ns) => Arrivals::Recorded(moments_ns),
    };
    // A single long gap makes the mean gap of a capture long, and lateness of that size after a
    // stall would cause a burst.
    let is_recorded = matches!(load, WorkerLoad::Recorded(..));
    let bound = catch_up(if is_recorded { Nanos::ZERO } else { mean_gap(load, part.of) });
    Pace::Scheduled(Scheduled::new(Slots::new(arrivals, part), end, to_send, bound))
}

#[cfg(test)]
mod tests;
