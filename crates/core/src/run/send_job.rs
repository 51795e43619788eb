//! One sender's part of a phase: its state, and the effect of each push.

use super::outage::{STUCK, TargetWatch};
use super::sampler::{Batch, Sampler};
use super::sender_bounds::planned_end;
use crate::clock::Clock;
use crate::engine::{Push, Tx};
use crate::measure::{
    Count, IntervalRecorder, STALL_THRESHOLD, StallMeter, Timing, TxResult, TxTally,
};
use crate::pace::{Arrivals, Due, Pace, Part, Scheduled, Slots, catch_up};
use crate::plan::{LONGEST, Limit, TxConfig, WorkerLoad};
use crate::run::phase::{Phase, PhaseState, WAKE_AHEAD, early, sleep_until_before};
use crate::sys::{self, SendError, TxClock, Unreachable};
use crate::unit::{Nanos, PayloadSize};

/// One sender's part of a phase, with all numbers it owns.
#[derive(Debug)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct SendJob {
    pub clock: Clock,
    pub epoch: Nanos,
    /// How long before it this worker is awake.
    pub early: Nanos,
    /// How long after it this worker began.
    pub start_lag: Nanos,
    /// Number of this worker among the senders.
    pub worker: usize,
    pub pace: Pace,
    /// The most datagrams a batch takes.
    pub batch: usize,
    pub tag: u16,
    pub first_flow: u16,
    /// Next sequence number by flow.
    pub next: Vec<u64>,
    pub size: PayloadSize,
    /// Gives up where a count cannot be reached.
    pub must_reach_count: bool,
    pub tally: TxTally,
    /// How punctual it is; `None` flat out.
    pub timing: Option<Timing>,
    pub stall: StallMeter,
    pub departed: Option<Nanos>,
    /// The first of consecutive refusals, and whether the target is unreachable by them; each kind
    /// has its own patience.
    pub refused_since: Option<(Nanos, bool)>,
    /// Refusals whose reason the next push may report.
    pub unexplained: Option<u64>,
    pub target: TargetWatch,
    pub stuck: bool,
    /// Whether it gave up on a target that was unreachable and never reached.
    pub unreachable: bool,
    pub sampler: Sampler,
    /// The clock of times of departure, if the kernel releases datagrams.
    pub departures: Option<TxClock>,
    /// How long before its due time a datagram may be handed to the kernel.
    pub lead: Nanos,
    /// The beginning of the phase on the clock of departures.
    pub departure_epoch_ns: u64,
    /// Counts by interval; `None` without intervals.
    pub intervals: Option<IntervalRecorder>,
}

impl SendJob {
    /// The job of this config, before its first phase.
    // cold: before the start barrier
    pub fn new(config: &TxConfig, tx: &impl Tx) -> Self {
        let timing = (config.load != WorkerLoad::FlatOut).then(Timing::default);
        let paced = timing.is_some();
        let batch = tx.batch(paced);
        Self {
            clock: Clock::Monotonic,
            epoch: Nanos::ZERO,
            early: early(config.common.wait, !paced || config.part == 0),
            start_lag: Nanos::ZERO,
            worker: config.common.worker,
            pace: Pace::FlatOut { end: Nanos::ZERO, to_send: 0 },
            batch,
            tag: 0,
            first_flow: config.common.flows.start,
            next: vec![0; config.common.flows.len()],
            size: config.common.size,
            must_reach_count: false,
            tally: TxTally::default(),
            timing,
            // On a schedule a batch is what is due at once, and short.
            stall: StallMeter::of_batches(if paced { 1 } else { batch }),
            departed: None,
            refused_since: None,
            unexplained: None,
            departures: tx.departures(),
            lead: Nanos::ZERO,
            departure_epoch_ns: 0,
            intervals: None,
            target: TargetWatch::new(config.abort_on_unreachable, config.answers),
            stuck: false,
            unreachable: false,
            // AF_UNIX has no send timestamps.
            sampler: Sampler::new(
                config.stamps && config.common.unix.is_none(),
                config.common.flows.start,
            ),
        }
    }

    /// Returns at the moment the phase begins, or where it is stopped before.
    pub fn await_epoch(&mut self, control: &PhaseState) {
        // Awake once before, as the first wake-up of an idle CPU takes longest.
        sleep_until_before(self.epoch, WAKE_AHEAD, control);
        sleep_until_before(self.epoch, self.early, control);
        let mut now = self.clock.now();
        while now < self.epoch && !control.stopped() {
            std::hint::spin_loop();
            now = self.clock.now();
        }
        self.start_lag = now.since(self.epoch);
    }

    /// The result of a phase up to its end: the last datagram left by `last`, in a window planned
    /// to end at `planned_end`. All that left was due in the window returned.
    pub fn phase_result(&mut self, last: Nanos, planned_end: Nanos, stopped: bool) -> TxResult {
        let complete = !self.stuck && !stopped;
        // Datagrams that were due until then have been handed over.
        let last = last + self.lead;
        if let Some(intervals) = &mut self.intervals {
            intervals.close_window(last);
        }
        if let (Some(timing), Some(scheduled)) = (&mut self.timing, self.pace.scheduled()) {
            (timing.scheduled, timing.missed) = (scheduled.scheduled(), scheduled.missed());
        }
        if let Some(unexplained) = self.unexplained.take() {
            self.tally.count_unexplained(unexplained);
        }
        let latest = self.pace.scheduled().map(Scheduled::latest);
        let end = match (self.must_reach_count, latest) {
            // Even if this thread noticed it later.
            (false, _) if complete => planned_end,
            (false, _) => last.min(planned_end),
            (true, Some(latest)) if complete => latest.max(planned_end),
            (true, _) => last,
        };
        let outages = self.target.outages();
        let (stuck, unreachable, start_lag) = (self.stuck, self.unreachable, self.start_lag);
        TxResult { end, start_lag, stuck, unreachable, stopped, outages, ..TxResult::default() }
    }

    /// The result of the latest phase, with all counts.
    pub fn into_result(self, phase: TxResult) -> TxResult {
        let paced = self.pace.scheduled().is_some();
        TxResult {
            tally: self.tally,
            stalls: self.stall.stalls(),
            timing: self.timing.filter(|_| paced),
            flows: self.next,
            samples: self.sampler.into_samples(),
            ..phase
        }
    }

    /// Begins a phase, forgetting the one before; returns when its window is meant to end.
    pub fn start(&mut self, config: &TxConfig, phase: &Phase) -> Nanos {
        let (index, of) = (config.part as u64, config.of as u64);
        let (end, to_send) = match phase.limit {
            Limit::Time(time) => (time, u64::MAX),
            Limit::Count(count) => (LONGEST, count / of + u64::from(index < count % of)),
        };
        let former = phase.epoch.since(std::mem::replace(&mut self.epoch, phase.epoch));
        self.tag = phase.tag;
        self.lead = self.departures.map_or(Nanos::ZERO, |_| lead(phase.load, of));
        let ahead_ns = self.departures.map_or(0, sys::ahead_of_monotonic_ns);
        self.departure_epoch_ns = phase.epoch.0 + ahead_ns;
        self.pace = pace(phase.load, end, to_send, Part { index, of }).with_lead(self.lead);
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
        self.unexplained = None;
        self.intervals = phase.control.tx_intervals(config.common.worker);
        let planned_end = planned_end(phase.limit, phase.load);
        self.sampler.start(phase.epoch, planned_end);
        planned_end
    }

    /// What is due at `now`, `most` at most; counts what is missed.
    #[inline]
    pub fn due(&mut self, now: Nanos, most: usize) -> Due {
        let Self { pace, intervals, lead, .. } = self;
        let due = pace.due_or_missed(now + *lead, most, |due| {
            if let Some(intervals) = intervals {
                intervals.count(due, Count::Missed, 1);
            }
        });
        match due {
            // Half of the lead is for a late wake-up, and the other half for a batch.
            Due::At(at) => Due::At(at - Nanos(lead.0 / 2)),
            other => other,
        }
    }

    /// The departure time of a datagram with this due time, on the clock of departures.
    #[inline]
    pub const fn departure_ns(&self, due: Nanos) -> u64 {
        self.departure_epoch_ns + due.0
    }

    /// Takes the clock read of a batch; publishes a stall that has just ended.
    #[inline]
    pub fn observe(&mut self, now: Nanos, control: &PhaseState) {
        if let Some(intervals) = &mut self.intervals {
            intervals.observe(now);
        }
        if self.stall.observe(now) {
            control.sender_stalled(self.worker, now);
            if let Some(intervals) = &mut self.intervals {
                intervals.stall(now, self.stall.length());
            }
        }
    }

    pub(super) fn push_sampled<T: Tx>(
        &mut self,
        tx: &mut T,
        flow: usize,
        count: usize,
        now: Nanos,
    ) -> Push {
        let next_flow = if flow + 1 == self.next.len() { 0 } else { flow + 1 };
        let (first, intended) = (self.next[flow], self.pace.intended(0, now));
        self.sampler.push(tx, &Batch { flow, next_flow, first, count, intended, now })
    }

    /// Counts what a push did. A refused datagram gives its sequence number back.
    #[inline]
    pub(super) fn note(&mut self, push: &Push, flow: usize, now: Nanos, control: &PhaseState) {
        let sent = push.sent as u64;
        self.tally.sent += sent;
        self.tally.packets += push.packets;
        self.tally.bytes += match self.size {
            PayloadSize::Fixed(size) => sent * u64::from(size),
            // The writer of requests counts them.
            PayloadSize::Varied { .. } => 0,
            mixed => (self.next[flow]..).take(push.sent).map(|s| mixed.at(s) as u64).sum(),
        };
        self.tally.syscalls += push.syscalls;
        self.next[flow] += sent;
        if push.sent > 0 {
            match (&self.timing, &mut self.intervals) {
                (Some(_), _) => self.note_timing(push.sent, now),
                (None, Some(intervals)) => intervals.count(now, Count::Sent, sent),
                (None, None) => {}
            }
        }
        if push.sent > 0 {
            self.refused_since = None;
        }
        let refused = push.refused as u64;
        if let Some(unexplained) = self.unexplained.take() {
            self.attribute_unexplained(unexplained, push);
        }
        if let Some(error) = push.error {
            if let Some(intervals) = &mut self.intervals {
                for i in push.sent..push.sent + push.refused {
                    intervals.count(self.pace.intended(i, now), Count::Refused, 1);
                }
            }
            self.note_refusal(error, refused, now, control);
        }
        self.pace.advance(sent, refused);
    }

    #[inline]
    fn note_timing(&mut self, sent: usize, now: Nanos) {
        let Some(timing) = &mut self.timing else {
            return;
        };
        let oldest = self.pace.intended(0, now);
        let catching_up = oldest <= self.stall.ended() || now.since(oldest) > STALL_THRESHOLD;
        let gap = self.departed.replace(now).map(|before| now.since(before));
        for i in 0..sent {
            let due = self.pace.intended(i, now);
            timing.lag.record(now.since(due).0);
            if let Some(intervals) = &mut self.intervals {
                intervals.timed(due, Count::Sent, now.since(due).0, 1);
            }
        }
        // The rest left in the same batch.
        let gaps = [(gap, 1), (Some(Nanos::ZERO), sent as u64 - 1)];
        for (gap, times) in gaps.into_iter().filter_map(|(gap, times)| Some((gap?, times))) {
            timing.gap.record_n(gap.0, times);
            if catching_up {
                timing.gap_in_stall.record_n(gap.0, times);
            }
        }
    }

    /// Records errors that report the target as unreachable.
    pub fn note_unreachable(
        &mut self,
        why: Unreachable,
        errors: u64,
        now: Nanos,
        control: &PhaseState,
    ) {
        if why.is_closed_port() {
            control.sender_unreachable();
        }
        let sent = self.tally.sent > 0;
        if self.target.note_error(why, errors, now, sent, control) {
            (self.stuck, self.unreachable) = (true, true);
        }
    }

    /// Counts refusals without a reason: if it lasts, it is that of the next push's first refusal.
    // cold: after a refusal
    fn attribute_unexplained(&mut self, unexplained: u64, push: &Push) {
        match push.error.filter(|_| push.sent == 0) {
            Some(error) => self.tally.refused.count(error, unexplained),
            None => self.tally.count_unexplained(unexplained),
        }
    }

    fn note_refusal(&mut self, error: SendError, refused: u64, now: Nanos, control: &PhaseState) {
        match error {
            SendError::Unexplained => self.unexplained = Some(refused),
            _ => self.tally.refused.count(error, refused),
        }
        if let SendError::Other(errno) = error {
            self.tally.last_errno = errno;
        }
        let why = error.unreachable();
        let unreachable = why.is_some();
        let row = self.refused_since.filter(|(_, kind)| *kind == unreachable);
        let (since, _) = *self.refused_since.insert(row.unwrap_or((now, unreachable)));
        let mut patience = STUCK;
        if let Some(why) = why {
            patience = self.target.patience(self.tally.sent > 0);
            self.note_unreachable(why, refused, now, control);
        }
        if self.must_reach_count && now.since(since) > patience {
            self.unreachable |= unreachable && !self.target.was_reached(control);
            self.stuck = true;
        }
    }
}

/// The longest time before its due time that a datagram is handed to the kernel. Arbitrary: longer
/// than most wake-ups of a sleeping thread are late.
const LONGEST_LEAD: Nanos = Nanos::from_millis(1);

/// The most datagrams that wait for their time in the kernel: half of what fq holds for a flow
/// (`flow_limit`, 100; tc-fq(8)).
const MAX_AHEAD: u64 = 50;

/// How long before its due time a datagram of one of `of` parts of a load is handed over.
fn lead(load: WorkerLoad, of: u64) -> Nanos {
    let all_ns = load.mean_pps().map_or(0.0, |pps| (MAX_AHEAD * of) as f64 * 1e9 / pps);
    LONGEST_LEAD.min(Nanos(all_ns as u64))
}

/// The mean gap between departures of one of `of` parts of a load.
fn mean_gap(load: WorkerLoad, of: u64) -> Nanos {
    let group = if let WorkerLoad::Burst(_, size) = load { f64::from(size) } else { 1.0 };
    Nanos(load.mean_pps().map_or(0.0, |pps| group * 1e9 * of as f64 / pps) as u64)
}

/// The pace of one part of a load.
pub fn pace(load: WorkerLoad, end: Nanos, to_send: u64, part: Part) -> Pace {
    let arrivals = match load {
        WorkerLoad::FlatOut => return Pace::FlatOut { end, to_send },
        WorkerLoad::Even(rate) => Arrivals::Even(rate),
        WorkerLoad::Burst(rate, size) => Arrivals::Burst(rate, size),
        WorkerLoad::Poisson(rate, seed) => Arrivals::Poisson(rate, seed),
        WorkerLoad::Ramp(from, to, over) => Arrivals::Ramp(from, to, over.0),
        WorkerLoad::Recorded(_, moments_ns) => Arrivals::Recorded(moments_ns),
    };
    // One long gap makes the mean gap of a capture long; catching up that much would be a burst.
    let is_recorded = matches!(load, WorkerLoad::Recorded(..));
    let bound = catch_up(if is_recorded { Nanos::ZERO } else { mean_gap(load, part.of) });
    Pace::Scheduled(Scheduled::new(Slots::new(arrivals, part), end, to_send, bound))
}

#[cfg(test)]
mod tests;
