//! The send loop: what is due, stamped, pushed and counted.

use super::outage::{STUCK, TargetWatch};
use super::sampler::{Batch, Sampler};
use crate::clock::Clock;
use crate::engine::{Push, Tx, explained, place, socket_of};
use crate::measure::{STALL_THRESHOLD, SendErrorKind, StallMeter, Timing, TxTally};
use crate::net::{Waited, Waiter};
use crate::pace::{Due, Pace};
use crate::run::phase::PhaseState;
use crate::sys::{SendError, Unreachable};
use crate::unit::{Nanos, PayloadSize};
use crate::wire::{Header, encode, encode_lag};

/// One sender's part of a phase, with all numbers it owns.
#[derive(Debug)]
pub struct SendJob {
    /// Where time comes from.
    pub clock: Clock,
    /// When the phase begins.
    pub epoch: Nanos,
    /// Number of this worker among the senders.
    pub worker: usize,
    /// When datagrams leave.
    pub pace: Pace,
    /// The most datagrams a batch takes.
    pub batch: usize,
    /// The tag of the phase.
    pub tag: u16,
    /// Number of the first flow.
    pub first_flow: u16,
    /// Next sequence number by flow.
    pub next: Vec<u64>,
    /// The payload.
    pub size: PayloadSize,
    /// Gives up where a count cannot be reached.
    pub must_reach_count: bool,
    /// What it counts.
    pub tally: TxTally,
    /// How punctual it is; `None` flat out.
    pub timing: Option<Timing>,
    /// When it stood still.
    pub stall: StallMeter,
    /// The latest departure, for gaps.
    pub departed: Option<Nanos>,
    /// The first of an unbroken row of refusals, for giving up, and whether they say that the
    /// target cannot be reached: others have less patience, and begin a row of their own.
    pub refused_since: Option<(Nanos, bool)>,
    /// Refusals whose reason the next push may tell.
    pub untold: Option<u64>,
    /// The state of its target.
    pub target: TargetWatch,
    /// Whether it gave up.
    pub stuck: bool,
    /// Whether it gave up on a target that was unreachable and never reached.
    pub unreachable: bool,
    /// What is timed leg by leg.
    pub sampler: Sampler,
}

/// What a batch carries, and on which flow it leaves.
pub(crate) trait Stamp {
    /// The flow that is next, and how many of so many that are due it takes.
    fn turn(&mut self, job: &SendJob, due: usize) -> (usize, usize);

    /// Leases slots for so many and writes them; returns how many there were.
    fn stamp<T: Tx>(&mut self, job: &SendJob, tx: &mut T, batch: Leaving) -> usize;

    /// So many of those have left, the first ones; as a refused one gives its number back, the rest
    /// are as if they had never been.
    fn left(&mut self, job: &mut SendJob, sent: usize);
}

/// A batch to be stamped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaving {
    /// Index of its flow.
    pub(crate) flow: usize,
    /// How many are due.
    pub(crate) count: usize,
    /// The clock read that it shares.
    pub(crate) now: Nanos,
}

/// Our own header: who, which and when. Flows take turns.
#[derive(Debug, Default)]
struct Headers {
    flow: usize,
}

/// What a step of sending came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A batch was pushed.
    Pushed,
    /// A batch was pushed; the buffer of this flow's socket is full.
    Full(usize),
    /// Nothing is due before this moment.
    At(Nanos),
    /// The pace is over.
    Over,
}

/// Sends until the pace is over or the run is stopped; returns when, since the phase began.
pub fn send<T: Tx>(
    tx: &mut T,
    job: &mut SendJob,
    waiter: &mut Waiter,
    control: &PhaseState,
) -> Nanos {
    let mut headers = Headers::default();
    loop {
        // The one clock read of this batch.
        let now = job.clock.now() - job.epoch;
        if job.stall.observe(now) {
            control.sender_stalled(job.worker, now);
        }
        if control.stopped() || job.stuck {
            return now;
        }
        match step(tx, job, &mut headers, control, now, job.batch) {
            Step::Pushed => waiter.busy(now, tx.sockets()),
            Step::Full(flow) => {
                let waited = match tx.sockets() {
                    sockets @ ([] | [_]) => waiter.idle(now, false, sockets),
                    sockets => waiter.idle_on(now, &mut sockets[place(sockets, flow)]),
                };
                if let Waited::Slept(until) = waited {
                    job.stall.excuse(until);
                }
            }
            Step::At(at) => {
                if let Waited::Slept(until) = waiter.until(job.epoch + at, job.epoch + now) {
                    job.stall.excuse(until - job.epoch);
                }
            }
            Step::Over => return now,
        }
    }
}

/// Stamps, pushes and counts what is due at `now`, `most` at most. In line at each of its places:
/// each has a stamp of its own.
#[inline(always)]
pub(crate) fn step<T: Tx, S: Stamp>(
    tx: &mut T,
    job: &mut SendJob,
    stamp: &mut S,
    control: &PhaseState,
    now: Nanos,
    most: usize,
) -> Step {
    let due = match job.pace.due(now, most) {
        Due::Now(count) => count,
        Due::At(at) => return Step::At(at),
        Due::Over => return Step::Over,
    };
    let (flow, count) = stamp.turn(job, due);
    let first = job.next[flow];
    let leased = stamp.stamp(job, tx, Leaving { flow, count, now });
    let mut push = if now < job.sampler.at {
        tx.push(flow, first, leased)
    } else {
        job.push_sampled(tx, flow, leased, now)
    };
    if let Some(error @ SendError::Unreachable(_)) = push.error {
        // Read now. What is left in the queue takes room of the socket's receive buffer.
        let socket = socket_of(tx.sockets(), flow);
        push.error = Some(socket.map_or(error, |socket| explained(error, socket)));
    }
    job.note(&push, flow, now, control);
    stamp.left(job, push.sent);
    tx.reclaim();
    if push.error == Some(SendError::WouldBlock) { Step::Full(flow) } else { Step::Pushed }
}

impl Stamp for Headers {
    #[inline(always)]
    fn turn(&mut self, job: &SendJob, due: usize) -> (usize, usize) {
        let flow = self.flow;
        self.flow = if flow + 1 == job.next.len() { 0 } else { flow + 1 };
        (flow, due)
    }

    #[inline(always)]
    fn stamp<T: Tx>(&mut self, job: &SendJob, tx: &mut T, batch: Leaving) -> usize {
        let Leaving { flow, count, now } = batch;
        let (tag, first) = (job.tag, job.next[flow]);
        let flow = job.first_flow + flow as u16;
        let stride = tx.stride();
        let slots = tx.lease(count);
        for (i, slot) in slots.chunks_exact_mut(stride).enumerate() {
            let intended = job.pace.intended(i, now);
            let (sequence, intended_ns) = (first + i as u64, intended.0);
            encode(Header { tag, flow, sequence, intended_ns }, slot);
            encode_lag(now.since(intended).0, &mut slot[..job.size.at(sequence)]);
        }
        slots.len() / stride
    }

    #[inline(always)]
    fn left(&mut self, _job: &mut SendJob, _sent: usize) {}
}

impl SendJob {
    /// Pushes a batch that may be timed leg by leg.
    fn push_sampled<T: Tx>(&mut self, tx: &mut T, flow: usize, count: usize, now: Nanos) -> Push {
        let next_flow = if flow + 1 == self.next.len() { 0 } else { flow + 1 };
        let (first, intended) = (self.next[flow], self.pace.intended(0, now));
        self.sampler.push(tx, &Batch { flow, next_flow, first, count, intended, now })
    }

    /// Counts what a push did. A refused datagram gives its sequence number back.
    #[inline]
    fn note(&mut self, push: &Push, flow: usize, now: Nanos, control: &PhaseState) {
        let sent = push.sent as u64;
        self.tally.sent += sent;
        self.tally.packets += push.packets;
        self.tally.bytes += match self.size {
            PayloadSize::Fixed(size) => sent * u64::from(size),
            // Whoever writes them says so.
            PayloadSize::Varied { .. } => 0,
            mixed => (self.next[flow]..).take(push.sent).map(|s| mixed.at(s) as u64).sum(),
        };
        self.tally.syscalls += push.syscalls;
        self.next[flow] += sent;
        if self.timing.is_some() && push.sent > 0 {
            self.note_timing(push.sent, now);
        }
        if push.sent > 0 {
            self.refused_since = None;
        }
        let refused = push.refused as u64;
        if let Some(untold) = self.untold.take() {
            self.attribute_untold(untold, push);
        }
        if let Some(error) = push.error {
            self.note_refusal(error, refused, now, control);
        }
        self.pace.advance(sent, refused);
    }

    /// Takes lags and gaps of what has left.
    #[inline]
    fn note_timing(&mut self, sent: usize, now: Nanos) {
        let Some(timing) = &mut self.timing else {
            return;
        };
        let oldest = self.pace.intended(0, now);
        let catching_up = oldest <= self.stall.ended() || now.since(oldest) > STALL_THRESHOLD;
        let gap = self.departed.replace(now).map(|before| now.since(before));
        for i in 0..sent {
            timing.lag.record(now.since(self.pace.intended(i, now)).0);
        }
        // Those behind the first left in the same batch.
        let gaps = [(gap, 1), (Some(Nanos::ZERO), sent as u64 - 1)];
        for (gap, times) in gaps.into_iter().filter_map(|(gap, times)| Some((gap?, times))) {
            timing.gap.record_n(gap.0, times);
            if catching_up {
                timing.gap_in_stall.record_n(gap.0, times);
            }
        }
    }

    /// Records errors that report the target as unreachable.
    pub(crate) fn note_unreachable(
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

    /// Counts refusals without a reported reason: a lasting reason is that of the first refusal in
    /// the next push.
    // cold: behind a refusal
    fn attribute_untold(&mut self, untold: u64, push: &Push) {
        match push.error.filter(|_| push.sent == 0).map(kind_of) {
            Some(kind) => self.tally.refused.count(kind, untold),
            None => self.tally.count_untold(untold),
        }
    }

    fn note_refusal(&mut self, error: SendError, refused: u64, now: Nanos, control: &PhaseState) {
        let refusal = kind_of(error);
        match error {
            SendError::Untold => self.untold = Some(refused),
            _ => self.tally.refused.count(refusal, refused),
        }
        if let SendError::Other(errno) = error {
            self.tally.last_errno = errno;
        }
        let unreachable = matches!(error, SendError::Unreachable(_));
        let row = self.refused_since.filter(|(_, kind)| *kind == unreachable);
        let (since, _) = *self.refused_since.insert(row.unwrap_or((now, unreachable)));
        let patience = match error {
            SendError::Unreachable(_) => self.target.patience(self.tally.sent > 0),
            _ => STUCK,
        };
        if let SendError::Unreachable(why) = error {
            self.note_unreachable(why, refused, now, control);
        }
        if self.must_reach_count && now.since(since) > patience {
            let is_unreachable = matches!(error, SendError::Unreachable(_));
            self.unreachable |= is_unreachable && !self.target.was_reached(control);
            self.stuck = true;
        }
    }
}

/// The kind that a refusal is counted as.
const fn kind_of(error: SendError) -> SendErrorKind {
    match error {
        SendError::WouldBlock => SendErrorKind::WouldBlock,
        SendError::NoBuffers => SendErrorKind::NoBuffers,
        SendError::Unreachable(_) => SendErrorKind::Unreachable,
        SendError::TooBig => SendErrorKind::TooBig,
        SendError::Interrupted | SendError::Untold | SendError::Other(_) => SendErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::super::worker::Phase;
    use super::*;
    use crate::engine::{NullLink, NullTx};
    use crate::plan::{Limit, Machine, Plan, Scenario, WorkerLoad};
    use crate::sys::UnreachableErrno::{ConnRefused, NetUnreach};

    /// Gives a sender that must reach a count these errors, each so many ms after the start;
    /// whether it gave up, and whether that was for an unreachable target.
    fn gave_up(errors: &[(u64, SendError)], is_answered: bool) -> (bool, bool) {
        let plan = Plan::new(Scenario::default(), &Machine::default()).unwrap();
        let share = plan.tx_shares(&plan.cells[0], WorkerLoad::FlatOut).remove(0);
        let tx = NullTx::new(NullLink::new(1), 0, share.common.size);
        let mut job = SendJob::new(&share, &tx);
        let control = PhaseState::new(Arc::new(AtomicBool::new(false)), 1);
        let (epoch, limit, load) = (Nanos::ZERO, Limit::Count(9), WorkerLoad::FlatOut);
        job.start(&share, &Phase { epoch, tag: 2, limit, load, control: Arc::clone(&control) });
        if is_answered {
            control.note_target_reached();
        }
        for (ms, error) in errors {
            job.note_refusal(*error, 1, Nanos::from_millis(*ms), &control);
        }
        (job.stuck, job.unreachable)
    }

    #[test]
    fn only_an_unreachable_target_that_was_never_reached_is_given_up_as_such() {
        let closed = SendError::Unreachable(Unreachable::returned(ConnRefused));
        let no_route = SendError::Unreachable(Unreachable::returned(NetUnreach));
        let full = SendError::NoBuffers;
        for (errors, is_answered, expected) in [
            (&[(0, no_route), (2_001, no_route)][..], false, (true, true)),
            // Each kind is a row of its own.
            (&[(0, closed), (2_001, full)], false, (false, false)),
            (&[(0, closed), (1, full), (2_002, full)], false, (true, false)),
            (&[(0, full), (2_001, full)], false, (true, false)),
            (&[(0, no_route), (2_001, no_route)], true, (true, false)),
            (&[(0, no_route), (1_999, no_route)], false, (false, false)),
        ] {
            assert_eq!(gave_up(errors, is_answered), expected, "{errors:?} {is_answered}");
        }
    }
}
