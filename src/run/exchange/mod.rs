//! Requests and replies: one worker asks and hears at the same ports, so that a reply meets the
//! request that it answers without a word between threads.

mod asker;
mod bed;
mod hearer;
mod phases;

pub use bed::Exchanger;
pub use hearer::Dialogue;
pub(crate) use phases::{PairHalves, run_pair};

use asker::Asker;
use hearer::Hearer;

use super::control::Control;
use super::send::{SendJob, Step, step};
use super::usage::{Meter, Reading};
use crate::net::engine::{Rx, Tx};
use crate::net::{Datagram, Waited, Waiter};
use crate::sys::{SendError, Unreachable};
use crate::unit::Nanos;

/// Pulls between two looks at the schedule, at most. Arbitrary: as many replies as the engines'
/// batches are requests, a few times over, so that neither side starves the other.
const PULLS: usize = 4;

/// How soon a full send buffer is tried again: about what a few datagrams take to leave. Arbitrary.
const ROOM_WITHIN: Nanos = Nanos::from_micros(20);

/// How often one that is draining looks whether it is done; arbitrary.
const DRAIN_LOOK: Nanos = Nanos::from_millis(1);

/// One worker that asks and hears.
#[derive(Debug)]
struct Pair {
    job: SendJob,
    asker: Asker,
    hearer: Hearer,
    ready: Ready,
    /// Requests in flight at most, in a closed loop.
    window: Option<u64>,
    /// Until when the socket's buffer is taken to be full.
    held_until: Nanos,
    /// Reads what the thread costs.
    meter: Meter,
    /// What that was when asking ended: waiting for the last replies does not count.
    at_close: Option<Reading>,
}

/// What a look at the sockets came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// There was nothing.
    Nothing,
    /// All that there was.
    All,
    /// There may be more.
    SomeOfIt,
}

impl Heard {
    const fn of(any: bool, drained: bool) -> Self {
        match (any, drained) {
            (_, false) => Self::SomeOfIt,
            (true, true) => Self::All,
            (false, true) => Self::Nothing,
        }
    }
}

/// The sockets that may have something to read.
#[derive(Debug)]
struct Ready {
    /// Their indices, each once.
    queue: Vec<usize>,
    is_in: Vec<bool>,
    /// The one that is looked at.
    at: usize,
}

impl Ready {
    /// Of so many sockets. A single one always may.
    // cold: set-up
    fn new(sockets: usize) -> Self {
        let mut ready =
            Self { queue: Vec::with_capacity(sockets), is_in: vec![false; sockets], at: 0 };
        if sockets == 1 {
            ready.mark(0);
        }
        ready
    }

    #[inline]
    fn mark(&mut self, at: usize) {
        if let Some(is_in) = self.is_in.get_mut(at)
            && !std::mem::replace(is_in, true)
        {
            self.queue.push(at);
        }
    }

    /// The latest one was found empty.
    #[inline]
    fn drained(&mut self) {
        if self.is_in.len() > 1
            && let Some(at) = self.queue.pop()
        {
            self.is_in[at] = false;
        }
    }
}

/// Asks and hears until the pace is over and every request has its fate, or the run is stopped;
/// returns when asking ended, since the phase began.
fn exchange<T: Tx, R: Rx>(
    tx: &mut T,
    rx: &mut R,
    pair: &mut Pair,
    waiter: &mut Waiter,
    control: &Control,
) -> Nanos {
    let (mut end, mut idle_since) = (None, None);
    loop {
        let now = pair.job.clock.now() - pair.job.epoch;
        if let Some(since) = idle_since.take()
            && end.is_none()
        {
            pair.hearer.exchange.idle += now.since(since);
        }
        if pair.job.stall.observe(now) {
            control.sender_stalled(pair.job.worker, now);
        }
        let mut next = now + DRAIN_LOOK;
        let mut busy = false;
        if end.is_none() {
            match pair.ask(tx, control, now) {
                Step::Pushed => busy = true,
                Step::Full => {
                    pair.held_until = now + ROOM_WITHIN;
                    next = pair.held_until;
                }
                Step::At(at) => next = at.min(pair.hearer.next_timeout()),
                Step::Over => {
                    pair.hearer.close_window();
                    pair.at_close = Some(pair.meter.read());
                    end = Some(now);
                }
            }
        }
        let heard = pair.hear(rx, control);
        busy |= heard != Heard::Nothing;
        // What lies in a socket by now has come in time, and is read before it is given up.
        if heard != Heard::SomeOfIt || pair.hearer.is_short_of_room() {
            pair.hearer.expire(now);
        }
        if busy {
            waiter.busy(now, rx.sockets());
        }
        if let Some(end) = end {
            if control.stopped() || pair.job.stuck {
                pair.hearer.abandon(end, now);
            }
            if pair.hearer.finished(end, now) {
                return end;
            }
        }
        if !busy && now >= pair.held_until {
            idle_since = Some(now);
        }
        // Of several sockets, those in the queue have no edge to come.
        if pair.ready.queue.is_empty() || (!busy && pair.ready.is_in.len() == 1) {
            pair.wait(rx, waiter, now, if busy { now } else { next });
        }
    }
}

impl Pair {
    /// Asks what is due, if it may.
    #[inline]
    fn ask<T: Tx>(&mut self, tx: &mut T, control: &Control, now: Nanos) -> Step {
        if control.stopped() || self.job.stuck {
            return Step::Over;
        }
        if now < self.held_until {
            return Step::At(self.held_until);
        }
        let room = self.hearer.room(self.window);
        if room == 0 {
            // A schedule goes on meanwhile, and what it cannot send is missed.
            return match self.job.pace.due(now, 0) {
                crate::pace::Due::Over => Step::Over,
                _ => Step::At(Nanos::NEVER),
            };
        }
        let most = usize::try_from(room).unwrap_or(usize::MAX).min(self.job.batch);
        let step = step(tx, &mut self.job, &mut self.asker, control, now, most);
        self.hearer.note_in_flight();
        step
    }

    /// Hears what has come, up to some pulls.
    #[inline]
    fn hear<R: Rx>(&mut self, rx: &mut R, control: &Control) -> Heard {
        let (mut any, mut drained) = (false, false);
        let answered = self.hearer.tally.received;
        for _ in 0..PULLS {
            let Some(&at) = self.ready.queue.last() else {
                drained = true;
                break;
            };
            if at != self.ready.at {
                self.ready.at = at;
                rx.turn_to(at);
            }
            let pull = rx.pull();
            let now = self.job.clock.now() - self.job.epoch;
            self.job.stall.observe(now);
            self.hearer.pulled(&pull, now, self.job.stall.ended());
            if pull.errors > 0 {
                // Unread, they take the room of replies.
                let queued = rx.sockets().get(at).and_then(Datagram::take_queued_refusal);
                let queued = queued.and_then(SendError::unreachable);
                if let Some(why) = pull.errno.map(Unreachable::returned) {
                    let why = queued
                        .filter(|one| one.errno == why.errno)
                        .unwrap_or_else(|| why.came_back());
                    self.job.note_unreachable(why, pull.unreachable, now, control);
                }
            }
            if pull.datagrams > 0 {
                any = true;
                let (hearer, head) = (&mut self.hearer, self.asker.head());
                rx.each(|reply, _waited| hearer.datagram(at, reply, now, head));
                rx.release();
            }
            if pull.drained {
                self.ready.drained();
                if self.ready.is_in.len() == 1 {
                    drained = true;
                    break;
                }
            }
        }
        if self.hearer.tally.received > answered {
            self.job.target.answered(control);
        }
        Heard::of(any, drained)
    }

    /// Waits for a reply, or for the moment `next`.
    #[inline]
    fn wait<R: Rx>(&mut self, rx: &mut R, waiter: &mut Waiter, now: Nanos, next: Nanos) {
        let ready = &mut self.ready;
        if let Waited::Slept(until) = waiter.either(now, next, rx.sockets(), |at| ready.mark(at)) {
            self.job.stall.excuse(until);
        }
    }
}
