//! The send loop: stamps, pushes and counts what is due.

use super::send_job::SendJob;
use crate::engine::{Tx, explained, place, socket_of};
use crate::net::{Waited, Waiter};
use crate::pace::{Due, Pace};
use crate::run::phase::PhaseState;
use crate::sys::SendError;
use crate::unit::{Nanos, PayloadSize};
use crate::wire::{Header, encode, encode_batch, encode_lag};

/// Writes batches and chooses their flows.
pub trait Stamp {
    /// The next flow, and how many of `due` datagrams it takes.
    fn turn(&mut self, job: &SendJob, due: usize) -> (usize, usize);

    /// Leases slots for a batch and writes them; returns how many there were.
    fn stamp<T: Tx>(&mut self, job: &SendJob, tx: &mut T, batch: Leaving) -> usize;

    /// Records that the first `sent` of those have left. A refused datagram gives its number back.
    fn left(&mut self, job: &mut SendJob, sent: usize);
}

/// A batch to be stamped.
#[derive(Debug, Clone, Copy)]
pub struct Leaving {
    /// Index of its flow.
    pub flow: usize,
    /// How many are due.
    pub count: usize,
    /// The clock read that it shares.
    pub now: Nanos,
}

#[derive(Debug, Default)]
struct Headers {
    flow: usize,
}

/// The result of a step of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
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
        job.observe(now, control);
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
                    job.stall.exclude_until(until);
                }
            }
            Step::At(at) => {
                if let Waited::Slept(until) = waiter.until(job.epoch + at, job.epoch + now) {
                    job.stall.exclude_until(until - job.epoch);
                }
            }
            Step::Over => return now,
        }
    }
}

/// Stamps, pushes and counts what is due at `now`, `most` at most. Inline: each has its own stamp.
#[inline(always)]
pub fn step<T: Tx, S: Stamp>(
    tx: &mut T,
    job: &mut SendJob,
    stamp: &mut S,
    control: &PhaseState,
    now: Nanos,
    most: usize,
) -> Step {
    let due = match job.due(now, most) {
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
        // Read now: left in the queue, it takes room of the receive buffer.
        let socket = socket_of(tx.sockets(), flow);
        push.error = Some(socket.map_or(error, |socket| explained(error, socket)));
    }
    job.note(&push, flow, now, control);
    stamp.left(job, push.sent);
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
        // Flat out, all are due now. In a mix of sizes, each has its own length.
        if let (Pace::FlatOut { .. }, PayloadSize::Fixed(len)) = (&job.pace, job.size) {
            let header = Header { tag, flow, sequence: first, intended_ns: now.0 };
            let payloads = slots.chunks_exact_mut(stride).map(|slot| &mut slot[..len.into()]);
            encode_batch(header, payloads);
        } else {
            for (i, slot) in slots.chunks_exact_mut(stride).enumerate() {
                let intended = job.pace.intended(i, now);
                let (sequence, intended_ns) = (first + i as u64, intended.0);
                encode(Header { tag, flow, sequence, intended_ns }, slot);
                encode_lag(now.since(intended).0, &mut slot[..job.size.at(sequence)]);
            }
        }
        let leased = slots.len() / stride;
        if job.lead > Nanos::ZERO {
            for slot in 0..leased {
                tx.set_departure(slot, job.departure_ns(job.pace.intended(slot, now)));
            }
        }
        leased
    }

    #[inline(always)]
    fn left(&mut self, _job: &mut SendJob, _sent: usize) {}
}
