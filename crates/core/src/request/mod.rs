//! Requests and replies. One worker sends and receives on the same ports.

mod answered;
mod cookies;
mod ids;
pub mod in_flight;
mod matcher;
mod runner;
mod second;
mod steps;
mod worker;
mod writer;

pub use ids::RunIds;
pub use matcher::RequestSpec;
pub use runner::RequestRunner;

use std::collections::VecDeque;
use std::net::SocketAddr;

use mio::net::UdpSocket;

use self::matcher::ResponseMatcher;
use self::writer::RequestWriter;
use crate::engine::{Pull, Rx, Tx};
use crate::host::Meter;
use crate::measure::Usage;
use crate::net::{Datagram, Waited, Waiter};
use crate::pace::Due;
use crate::run::phase::PhaseState;
use crate::run::send::{Step, step};
use crate::run::send_job::SendJob;
use crate::sys::{SendError, Unreachable};
use crate::unit::Nanos;

/// Maximum pulls between two checks of the schedule, and reads between two polls. Arbitrary.
const MAX_PULLS: usize = 4;
const MAX_READS: usize = 16;
/// How soon to retry a full send buffer, and how often the end of draining is checked. Arbitrary.
const RETRY_AFTER: Nanos = Nanos::from_micros(20);
const DRAIN_INTERVAL: Nanos = Nanos::from_millis(1);

#[derive(Debug)]
struct RequestWorker {
    job: SendJob,
    writer: RequestWriter,
    matcher: ResponseMatcher,
    ready: Ready,
    window: Option<u64>,
    /// Until when the send buffer is assumed to be full.
    blocked_until: Nanos,
    /// Since when all ids are in use, so that no request can be sent.
    out_of_ids_since: Option<Nanos>,
    meter: Meter,
    /// The reading at the end of sending, before the last replies.
    at_close: Option<Usage>,
    /// The only address whose replies count, where the kernel does not refuse others.
    only_from: Option<SocketAddr>,
}

/// A queue of sockets that may be readable; those with more datagrams go to its end.
#[derive(Debug)]
struct Ready {
    queue: VecDeque<usize>,
    is_queued: Vec<bool>,
    reads: usize,
    at: usize,
}

impl Ready {
    /// The queue of this many sockets; a single one is always in it.
    // cold: set-up
    fn new(sockets: usize) -> Self {
        let queue = VecDeque::with_capacity(sockets);
        let mut ready = Self { queue, is_queued: vec![false; sockets], reads: 0, at: 0 };
        if sockets == 1 {
            ready.mark(0);
        }
        ready
    }

    #[inline]
    fn mark(&mut self, at: usize) {
        if let Some(is_queued) = self.is_queued.get_mut(at)
            && !std::mem::replace(is_queued, true)
        {
            self.queue.push_back(at);
        }
    }

    /// Records a read of the first socket, and whether it is empty. A single socket always stays.
    #[inline]
    fn was_read(&mut self, drained: bool) {
        if self.has_several()
            && let Some(at) = self.queue.pop_front()
        {
            self.reads += 1;
            self.is_queued[at] = !drained;
            if !drained {
                self.queue.push_back(at);
            }
        }
    }

    #[inline]
    fn has_several(&self) -> bool {
        self.is_queued.len() > 1
    }

    /// Whether to poll for other sockets, which those with more datagrams must not starve.
    #[inline]
    fn should_poll(&self) -> bool {
        self.has_several() && (self.queue.is_empty() || self.reads >= MAX_READS)
    }
}

/// Sends and receives until every request has an outcome; returns when sending ended.
fn run_phase<T: Tx<Socket = UdpSocket>, R: Rx>(
    tx: &mut T,
    rx: &mut R,
    worker: &mut RequestWorker,
    waiter: &mut Waiter,
    control: &PhaseState,
) -> Nanos {
    let (mut end, mut idle_since) = (None, None);
    loop {
        let now = worker.job.clock.now() - worker.job.epoch;
        if let Some(since) = idle_since.take()
            && end.is_none()
        {
            worker.matcher.exchange.idle += now.since(since);
        }
        worker.job.observe(now, control);
        let mut next = now + DRAIN_INTERVAL;
        let mut busy = false;
        if end.is_none() {
            match worker.send_due(tx, control, now) {
                Step::Pushed => busy = true,
                Step::Full(_) => {
                    worker.blocked_until = now + RETRY_AFTER;
                    next = worker.blocked_until;
                }
                Step::At(at) => next = at.min(worker.matcher.next_timeout()),
                Step::Over => {
                    worker.note_ids_free(now);
                    worker.matcher.close_window();
                    worker.at_close = Some(worker.meter.read());
                    end = Some(now);
                }
            }
        }
        let (any, drained) = worker.receive(rx, waiter.spins(now), control);
        busy |= any || !drained;
        if worker.matcher.has_second_requests() {
            match worker.send_second(tx, control) {
                true => busy = true,
                false => next = next.min(now + RETRY_AFTER),
            }
        }
        // A reply that is queued by now is in time, and is read before its request times out.
        let has_read_all = drained && worker.has_read_all(rx, waiter, now);
        if has_read_all || end.is_some() || worker.matcher.is_short_of_slots() {
            worker.matcher.expire(now, has_read_all);
        }
        if busy {
            waiter.busy(now, rx.sockets());
        }
        if let Some(end) = end
            && worker.matcher.is_finished(end, now, control.stopped() || worker.job.stuck)
            && rx.end_phase()
        {
            return end;
        }
        if !busy && now >= worker.blocked_until {
            idle_since = Some(now);
        }
        // Queued sockets cause no further edge.
        if worker.ready.should_poll() || (!busy && !worker.ready.has_several()) {
            worker.wait(rx, waiter, now, if busy { now } else { next });
        }
    }
}

impl RequestWorker {
    // cold: set-up
    fn new(
        job: SendJob,
        mut writer: RequestWriter,
        matcher: ResponseMatcher,
        window: Option<u64>,
        sockets: usize,
    ) -> Self {
        if window == Some(1) {
            writer.prepare_ahead(job.size.largest());
        }
        Self {
            job,
            writer,
            matcher,
            window,
            ready: Ready::new(sockets),
            blocked_until: Nanos::ZERO,
            out_of_ids_since: None,
            meter: Meter::of_this_thread(),
            at_close: None,
            only_from: None,
        }
    }

    #[inline]
    fn send_due<T: Tx>(&mut self, tx: &mut T, control: &PhaseState, now: Nanos) -> Step {
        if control.stopped() || self.job.stuck {
            return Step::Over;
        }
        if now < self.blocked_until {
            return Step::At(self.blocked_until);
        }
        let free_slots = self.matcher.free_slots(self.window);
        if (free_slots == 0 || self.out_of_ids_since.is_some())
            && let Some(step) = self.step_when_full(now, free_slots)
        {
            return step;
        }
        let most = usize::try_from(free_slots).unwrap_or(usize::MAX).min(self.job.batch);
        let step = step(tx, &mut self.job, &mut self.writer, control, now, most);
        self.matcher.note_in_flight();
        if step == Step::Pushed {
            self.writer.write_ahead();
        }
        step
    }

    /// The step while no request may be sent, or when that just ended; requests due meanwhile are
    /// missed. `None`: requests can be sent.
    // cold: nothing is sent
    fn step_when_full(&mut self, now: Nanos, free_slots: u64) -> Option<Step> {
        let is_out_of_ids = self.matcher.is_out_of_ids();
        if is_out_of_ids {
            self.out_of_ids_since.get_or_insert(now);
        }
        let before = self.job.pace.missed();
        let due = self.job.due(now, 0);
        if self.out_of_ids_since.is_some() {
            self.matcher.exchange.no_room += self.job.pace.missed() - before;
        }
        if due == Due::At(now) {
            // The schedule has not skipped all of them yet.
            return Some(Step::At(now));
        }
        // From now on a closed loop is limited by its window, not by ids.
        if !is_out_of_ids {
            self.note_ids_free(now);
        }
        match due {
            Due::Over => Some(Step::Over),
            _ if free_slots > 0 => None,
            _ => Some(Step::At(self.job.pace.end())),
        }
    }

    // cold: nothing was sent
    fn note_ids_free(&mut self, now: Nanos) {
        if let Some(since) = self.out_of_ids_since.take() {
            self.matcher.exchange.no_room_time += now.since(since);
        }
    }

    /// Whether all datagrams that arrived by `now` were read; polls only if a request timed out.
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

    /// Whether a closed loop has the reply to each request.
    #[inline]
    fn has_all_answers(&self) -> bool {
        self.window.is_some() && self.matcher.in_flight() == 0
    }

    /// Whether any datagram was read, and whether none is left. `spins`: the next wait of the
    /// worker spins, and does not sleep.
    #[inline]
    fn receive<R: Rx>(&mut self, rx: &mut R, spins: bool, control: &PhaseState) -> (bool, bool) {
        let (mut any, mut drained) = (false, false);
        let answered = self.matcher.tally.received;
        for _ in 0..MAX_PULLS {
            let Some(&at) = self.ready.queue.front() else { break };
            if at != self.ready.at {
                self.ready.at = at;
                rx.turn_to(at);
            }
            let pull = rx.pull();
            any |= pull.forwarded > 0;
            // An empty pull needs no clock reading: the loop is about to read the clock.
            if pull.datagrams > 0 || pull.errors > 0 {
                any |= pull.datagrams > 0;
                self.process_pull(rx, &pull, at, control);
            } else {
                self.matcher.pulled(&pull, self.job.stall.ended());
            }
            self.ready.was_read(pull.drained);
            if self.ready.has_several() {
                continue;
            }
            drained = pull.drained;
            if drained {
                // Only a reply lets the loop go on, so it reads again before it does the rest.
                let spins = spins && pull.datagrams == 0 && self.window.is_some();
                if !spins || self.matcher.free_slots(self.window) > 0 {
                    break;
                }
                std::hint::spin_loop();
            } else if pull.datagrams > 0 && self.has_all_answers() {
                // Another call would only delay the next request.
                break;
            }
        }
        drained |= self.ready.queue.is_empty();
        if self.matcher.tally.received > answered {
            self.job.target.answered(control);
        }
        (any, drained)
    }

    /// Classifies the datagrams of one pull from the socket `at`, with one clock reading.
    #[inline]
    fn process_pull<R: Rx>(&mut self, rx: &mut R, pull: &Pull, at: usize, control: &PhaseState) {
        let now = self.job.clock.now() - self.job.epoch;
        self.job.observe(now, control);
        self.matcher.pulled(pull, self.job.stall.ended());
        if pull.errors > 0 {
            // Unread errors fill the receive buffer.
            let queued = rx.sockets().get(at).and_then(Datagram::drain_error_queue);
            let queued = queued.and_then(SendError::unreachable);
            if let Some(why) = pull.errno.map(Unreachable::returned) {
                let why =
                    queued.filter(|one| one.errno == why.errno).unwrap_or_else(|| why.came_back());
                self.job.note_unreachable(why, pull.unreachable, now, control);
            }
        }
        if pull.datagrams == 0 {
            return;
        }
        let (matcher, head, epoch) = (&mut self.matcher, self.writer.head(), self.job.epoch);
        let (has_steps, only_from) = (matcher.steps.is_some(), self.only_from);
        let (received, mut indices) = (&*rx, 0..);
        received.each(|reply, _waited| {
            let index = indices.next().unwrap_or_default();
            let stream = received.stream(index).unwrap_or(at);
            let arrived = received.arrived_at(index).map_or(now, |at| at.since(epoch));
            if only_from.is_some_and(|from| received.sender(index) != Some(from)) {
                matcher.tally.foreign += 1;
            } else if has_steps {
                let from = received.sender(index);
                matcher.datagram_of_steps(stream, reply, from, arrived, head);
            } else {
                matcher.datagram(stream, reply, arrived, head);
            }
        });
        rx.release();
    }

    #[inline]
    fn wait<R: Rx>(&mut self, rx: &mut R, waiter: &mut Waiter, now: Nanos, next: Nanos) {
        let ready = &mut self.ready;
        ready.reads = 0;
        if waiter.sleeps(now, next) && !rx.prepare_sleep() {
            return;
        }
        if let Waited::Slept(until) = waiter.either(now, next, rx.sockets(), |at| ready.mark(at)) {
            self.job.stall.exclude_until(until);
        }
    }
}

#[cfg(test)]
mod tests;
