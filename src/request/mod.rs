//! Requests and replies: one worker asks and hears at the same ports, so that a reply meets the
//! request that it answers without a word between threads.

mod ids;
pub mod in_flight;
mod matcher;
mod runner;
pub mod streams;
mod worker;
mod writer;

pub use crate::request::matcher::RequestSpec;
pub use crate::request::runner::RequestRunner;
pub use ids::RunIds;

use std::collections::VecDeque;

use crate::request::matcher::ResponseMatcher;
use crate::request::writer::RequestWriter;

use crate::engine::{Rx, Tx};
use crate::host::{Meter, Reading};
use crate::net::{Datagram, Waited, Waiter};
use crate::pace::Due;
use crate::run::phase::PhaseState;
use crate::run::send::{SendJob, Step, step};
use crate::sys::{SendError, Unreachable};
use crate::unit::Nanos;

/// Pulls between two looks at the schedule, at most. Arbitrary: as many replies as the engines'
/// batches are requests, a few times over, so that neither side starves the other.
const PULLS: usize = 4;

/// Reads of several sockets between two looks for others that have something to read, at most.
/// Arbitrary: a look costs a system call, as a read does.
const READS: usize = 16;

/// How soon a full send buffer is tried again: about what a few datagrams take to leave. Arbitrary.
const ROOM_WITHIN: Nanos = Nanos::from_micros(20);

/// How often one that is draining looks whether it is done; arbitrary.
const DRAIN_LOOK: Nanos = Nanos::from_millis(1);

/// One worker that asks and hears.
#[derive(Debug)]
struct Pair {
    job: SendJob,
    writer: RequestWriter,
    matcher: ResponseMatcher,
    ready: Ready,
    /// Requests in flight at most, in a closed loop.
    window: Option<u64>,
    /// Until when the socket's buffer is taken to be full.
    held_until: Nanos,
    /// When all ids became busy, so that no request can be sent.
    out_of_ids_since: Option<Nanos>,
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

/// The sockets that may be readable, served in turn: the first reported is read first, and a socket
/// with more datagrams goes to the end, so that no socket delays the others.
#[derive(Debug)]
struct Ready {
    /// Their indices, each once.
    queue: VecDeque<usize>,
    is_in: Vec<bool>,
    /// Reads since the latest look for others.
    reads: usize,
    /// The one that is looked at.
    at: usize,
}

impl Ready {
    /// Of so many sockets. A single one always may.
    // cold: set-up
    fn new(sockets: usize) -> Self {
        let queue = VecDeque::with_capacity(sockets);
        let mut ready = Self { queue, is_in: vec![false; sockets], reads: 0, at: 0 };
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
            self.queue.push_back(at);
        }
    }

    /// Records that the first one was read, and whether it is empty. A single socket always stays.
    #[inline]
    fn was_read(&mut self, drained: bool) {
        if self.has_several()
            && let Some(at) = self.queue.pop_front()
        {
            self.reads += 1;
            self.is_in[at] = !drained;
            if !drained {
                self.queue.push_back(at);
            }
        }
    }

    /// Whether there are several sockets, so that those in the queue are read, and no others.
    #[inline]
    fn has_several(&self) -> bool {
        self.is_in.len() > 1
    }

    /// Whether to look which others of several have something to read: those that always have
    /// more must not keep them out of the queue.
    #[inline]
    fn wants_look(&self) -> bool {
        self.has_several() && (self.queue.is_empty() || self.reads >= READS)
    }
}

/// Asks and hears until the pace is over and every request has its fate, or the run is stopped;
/// returns when asking ended, since the phase began.
fn exchange<T: Tx, R: Rx>(
    tx: &mut T,
    rx: &mut R,
    pair: &mut Pair,
    waiter: &mut Waiter,
    control: &PhaseState,
) -> Nanos {
    let (mut end, mut idle_since) = (None, None);
    loop {
        let now = pair.job.clock.now() - pair.job.epoch;
        if let Some(since) = idle_since.take()
            && end.is_none()
        {
            pair.matcher.exchange.idle += now.since(since);
        }
        if pair.job.stall.observe(now) {
            control.sender_stalled(pair.job.worker, now);
        }
        let mut next = now + DRAIN_LOOK;
        let mut busy = false;
        if end.is_none() {
            match pair.ask(tx, control, now) {
                Step::Pushed => busy = true,
                Step::Full(_) => {
                    pair.held_until = now + ROOM_WITHIN;
                    next = pair.held_until;
                }
                Step::At(at) => next = at.min(pair.matcher.next_timeout()),
                Step::Over => {
                    pair.note_ids_free(now);
                    pair.matcher.close_window();
                    pair.at_close = Some(pair.meter.read());
                    end = Some(now);
                }
            }
        }
        let heard = pair.hear(rx, control);
        busy |= heard != Heard::Nothing;
        // What lies in a socket by now has come in time, and is read before it is given up.
        let has_read_all = heard != Heard::SomeOfIt && pair.has_read_all(rx, waiter, now);
        if has_read_all || end.is_some() || pair.matcher.is_short_of_room() {
            pair.matcher.expire(now, has_read_all);
        }
        if busy {
            waiter.busy(now, rx.sockets());
        }
        if let Some(end) = end
            && pair.matcher.finished(end, now, control.stopped() || pair.job.stuck)
        {
            return end;
        }
        if !busy && now >= pair.held_until {
            idle_since = Some(now);
        }
        // Of several sockets, those in the queue have no edge to come.
        if pair.ready.wants_look() || (!busy && !pair.ready.has_several()) {
            pair.wait(rx, waiter, now, if busy { now } else { next });
        }
    }
}

impl Pair {
    /// Asks what is due, if it may.
    #[inline]
    fn ask<T: Tx>(&mut self, tx: &mut T, control: &PhaseState, now: Nanos) -> Step {
        if control.stopped() || self.job.stuck {
            return Step::Over;
        }
        if now < self.held_until {
            return Step::At(self.held_until);
        }
        let room = self.matcher.room(self.window);
        if (room == 0 || self.out_of_ids_since.is_some())
            && let Some(step) = self.without_room(now, room)
        {
            return step;
        }
        let most = usize::try_from(room).unwrap_or(usize::MAX).min(self.job.batch);
        let step = step(tx, &mut self.job, &mut self.writer, control, now, most);
        self.matcher.note_in_flight();
        step
    }

    /// The step to take while no request may be sent, or sending has just become possible: the
    /// schedule continues meanwhile, and requests that it cannot send are missed. `None`: requests
    /// can leave.
    // cold: nothing is sent
    fn without_room(&mut self, now: Nanos, room: u64) -> Option<Step> {
        let is_out_of_ids = self.matcher.is_out_of_ids();
        if is_out_of_ids {
            self.out_of_ids_since.get_or_insert(now);
        }
        let before = self.job.pace.missed();
        let due = self.job.pace.due(now, 0);
        if self.out_of_ids_since.is_some() {
            self.matcher.exchange.no_room += self.job.pace.missed() - before;
        }
        if due == Due::At(now) {
            // It has not passed over all of them yet.
            return Some(Step::At(now));
        }
        // What a closed loop has no room for from now on is not for want of ids.
        if !is_out_of_ids {
            self.note_ids_free(now);
        }
        match due {
            Due::Over => Some(Step::Over),
            _ if room > 0 => None,
            _ => Some(Step::At(self.job.pace.end())),
        }
    }

    /// Adds the time in which there were no ids, where there were none until now.
    // cold: nothing was sent
    fn note_ids_free(&mut self, now: Nanos) {
        if let Some(since) = self.out_of_ids_since.take() {
            self.matcher.exchange.no_room_time += now.since(since);
        }
    }

    /// Whether all that had come by `now` was read, where that is so of all sockets that were
    /// reported. Others are looked for only where a request may be over.
    #[inline]
    fn has_read_all<R: Rx>(&mut self, rx: &mut R, waiter: &mut Waiter, now: Nanos) -> bool {
        if !self.ready.has_several() {
            return true;
        }
        if self.matcher.next_timeout() <= now {
            self.wait(rx, waiter, now, now);
        }
        self.ready.queue.is_empty()
    }

    /// Hears what has come, up to some pulls.
    #[inline]
    fn hear<R: Rx>(&mut self, rx: &mut R, control: &PhaseState) -> Heard {
        let (mut any, mut drained) = (false, false);
        let answered = self.matcher.tally.received;
        for _ in 0..PULLS {
            let Some(&at) = self.ready.queue.front() else { break };
            if at != self.ready.at {
                self.ready.at = at;
                rx.turn_to(at);
            }
            let pull = rx.pull();
            let now = self.job.clock.now() - self.job.epoch;
            self.job.stall.observe(now);
            self.matcher.pulled(&pull, self.job.stall.ended());
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
                let (matcher, head) = (&mut self.matcher, self.writer.head());
                rx.each(|reply, _waited| matcher.datagram(at, reply, now, head));
                rx.release();
            }
            self.ready.was_read(pull.drained);
            if pull.drained && !self.ready.has_several() {
                drained = true;
                break;
            }
        }
        drained |= self.ready.queue.is_empty();
        if self.matcher.tally.received > answered {
            self.job.target.answered(control);
        }
        Heard::of(any, drained)
    }

    /// Waits for a reply, or for the moment `next`.
    #[inline]
    fn wait<R: Rx>(&mut self, rx: &mut R, waiter: &mut Waiter, now: Nanos, next: Nanos) {
        let ready = &mut self.ready;
        ready.reads = 0;
        if let Waited::Slept(until) = waiter.either(now, next, rx.sockets(), |at| ready.mark(at)) {
            self.job.stall.excuse(until);
        }
    }
}

#[cfg(test)]
mod tests;
