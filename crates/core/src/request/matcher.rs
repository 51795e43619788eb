//! Matches replies: finds the request, checks that the reply answers it, records its latency.

use std::sync::Arc;

use crate::engine::Pull;
use crate::measure::{
    Count, IntervalRecorder, LatencyHistograms, OneWay, PartSeen, Parts, RequestCounts, RxTally,
};
use crate::payload::{Matching, RequestNumber, Requests, Role};
use crate::plan::RequestOptions;
use crate::request::ids::FirstIds;
use crate::request::in_flight::{Completion, InFlightTable, PendingRequest};
use crate::unit::Nanos;

/// Minimum and maximum silence after the last reply that ends draining. Arbitrary.
const MIN_QUIET: Nanos = Nanos::from_millis(2);
const MAX_QUIET: Nanos = Nanos::from_millis(250);
/// Maximum drain after the last timeout or a stop. Arbitrary: four times [`MAX_QUIET`].
const MAX_DRAIN: Nanos = Nanos::from_millis(1_000);
/// Bits of the message id of CoAP; RFC 7252 section 3.
const SHORT_ID_BITS: u32 = 16;

/// The requests to send and how to match replies.
#[derive(Debug, Clone)]
pub struct RequestSpec {
    /// The requests.
    pub requests: Arc<Requests>,
    /// How replies are matched.
    pub matching: Arc<Matching>,
}

#[derive(Debug)]
pub(super) struct ResponseMatcher {
    spec: RequestSpec,
    table: Arc<InFlightTable>,
    first_ids: FirstIds,
    timeout: Nanos,
    id_lifetime: Nanos,
    /// Free slots below which finished requests are released at once.
    min_free: u64,
    id_bits: u32,
    parts: Option<Parts>,
    first: u64,
    paced: bool,
    /// Answered and timed-out requests of all phases.
    finished: u64,
    /// For replies in order: index of the oldest request of each port that may be open.
    oldest: Vec<u64>,
    answered: Vec<u64>,
    scratch: Vec<u8>,
    last_arrival: Nanos,
    window_closed: bool,
    stall_ended: Nanos,
    pub(super) tally: RxTally,
    pub(super) latency: OneWay,
    pub(super) exchange: RequestCounts,
    /// Counts by interval; `None` without intervals.
    pub(super) intervals: Option<IntervalRecorder>,
}

impl ResponseMatcher {
    // cold: set-up
    pub(super) fn new(
        spec: RequestSpec,
        table: Arc<InFlightTable>,
        asking: &RequestOptions,
        first_ids: FirstIds,
        batch: u64,
        streams: usize,
    ) -> Self {
        let by_order = spec.matching.by_order();
        Self {
            id_bits: spec.requests.id_bits,
            parts: spec.matching.has_parts().then(|| Parts::new(table.capacity())),
            oldest: vec![0; if by_order { streams } else { 0 }],
            scratch: vec![0; spec.requests.largest],
            spec,
            first_ids,
            min_free: batch.min(table.capacity() / 2),
            first: 0,
            table,
            timeout: asking.timeout,
            id_lifetime: asking.id_lifetime(),
            paced: false,
            finished: 0,
            answered: vec![0; streams],
            last_arrival: Nanos::ZERO,
            window_closed: false,
            stall_ended: Nanos::ZERO,
            tally: RxTally::default(),
            latency: OneWay::default(),
            exchange: RequestCounts::default(),
            intervals: None,
        }
    }

    /// Starts a phase, `later` than the previous one, and resets counters.
    pub(super) fn start(&mut self, paced: bool, later: Nanos) {
        (self.paced, self.window_closed) = (paced, false);
        self.table.rebase(later);
        self.first = self.table.head();
        (self.last_arrival, self.stall_ended) = (Nanos::ZERO, Nanos::ZERO);
        self.answered.fill(0);
        let room = self.table.capacity();
        self.exchange = RequestCounts { room, ..RequestCounts::default() };
        self.tally = RxTally::default();
        let OneWay { from_schedule, from_send, in_stall, .. } = &mut self.latency;
        [from_schedule, from_send, in_stall].into_iter().for_each(LatencyHistograms::reset);
    }

    #[inline]
    pub(super) fn in_flight(&self) -> u64 {
        self.table.head() - self.finished
    }

    /// How many more requests may be in flight; `most`: the window of a closed loop.
    #[inline]
    pub(super) fn free_slots(&self, most: Option<u64>) -> u64 {
        let in_flight = self.in_flight();
        most.map_or(u64::MAX, |most| most.saturating_sub(in_flight)).min(self.table.free_slots())
    }

    #[inline]
    pub(super) fn is_out_of_ids(&self) -> bool {
        self.table.free_slots() == 0
    }

    #[inline]
    pub(super) fn note_in_flight(&mut self) {
        self.exchange.in_flight_max = self.exchange.in_flight_max.max(self.in_flight());
    }

    /// Releases finished requests and, if all sockets were read empty, gives up timed-out ones.
    #[inline]
    pub(super) fn expire(&mut self, now: Nanos, has_read_all: bool) {
        let ago = |time: Nanos| (now > time).then(|| now - time);
        self.give_up(ago(self.timeout).filter(|_| has_read_all), ago(self.id_lifetime));
    }

    /// Gives up requests sent by `before`, and returns their number.
    #[inline]
    fn give_up(&mut self, before: Option<Nanos>, released_before: Option<Nanos>) -> u64 {
        let intervals = &mut self.intervals;
        let given_up = self.table.expire(before, released_before, |due| {
            if let Some(intervals) = intervals {
                intervals.count(due, Count::Timeouts, 1);
            }
        });
        self.finished += given_up;
        self.exchange.timeouts += given_up;
        given_up
    }

    /// Counts a datagram by the interval in which its request was due; where that is not known any
    /// more, by the interval in which it arrived.
    // cold: behind a duplicate
    fn count_in_interval(&mut self, number: u64, what: Count) {
        if let Some(intervals) = &mut self.intervals {
            let due = self.table.intended(number, self.table.head());
            intervals.count(due.unwrap_or(self.last_arrival), what, 1);
        }
    }

    /// When the oldest request times out, or its id may be reused.
    #[inline]
    pub(super) fn next_timeout(&self) -> Nanos {
        let timeout = self.table.oldest_sent().map_or(Nanos::NEVER, |sent| sent + self.timeout);
        if !self.is_out_of_ids() {
            return timeout;
        }
        let unreleased = self.table.unreleased_sent();
        unreleased.map_or(timeout, |sent| timeout.min(sent + self.id_lifetime))
    }

    #[inline]
    pub(super) fn is_short_of_slots(&self) -> bool {
        self.table.free_slots() < self.min_free
    }

    #[inline]
    pub(super) fn pulled(&mut self, pull: &Pull, stall_ended: Nanos) {
        self.stall_ended = stall_ended;
        self.tally.syscalls += pull.syscalls;
        self.tally.errors += pull.errors - pull.unreachable;
        self.exchange.unreachable += pull.unreachable;
        if pull.datagrams > 0 {
            self.tally.arrived += pull.datagrams as u64;
            self.tally.packets += pull.packets;
            self.tally.uncut += pull.uncut;
            self.tally.truncated += pull.truncated;
            self.tally.batch_max = self.tally.batch_max.max(pull.datagrams as u64);
        }
    }

    /// Classifies one datagram; `head` is that at the time of the read.
    #[inline]
    pub(super) fn datagram(&mut self, stream: usize, reply: &[u8], now: Nanos, head: u64) {
        let Some(number) = self.request_of(stream, reply, head) else {
            self.tally.foreign += 1;
            return;
        };
        if number < self.first {
            // A reply to an earlier phase.
            self.tally.arrived -= 1;
            self.exchange.stale += 1;
            return;
        }
        let role = self.spec.matching.role_of(reply);
        let is_later_part = matches!(role, Role::Part { index: 1.., .. });
        let turn = self.table.turn(number, head);
        // A later part of a reply does not repeat the question.
        if let Some(turn) = turn.filter(|_| !is_later_part)
            && !self.answers(stream, number, turn, reply)
        {
            self.tally.foreign += 1;
            return;
        }
        // Foreign datagrams do not extend draining.
        self.last_arrival = now;
        if is_later_part && !(turn.is_some() && self.table.is_open(number)) {
            self.continued(number, role, turn.is_some());
            return;
        }
        if turn.is_none() {
            self.tally.late += 1;
            self.count_in_interval(number, Count::Late);
            return;
        }
        if role == Role::Acknowledgement {
            self.tally.arrived -= 1;
            self.exchange.continued += 1;
            self.exchange.acknowledged += 1;
            return;
        }
        if self.table.is_open(number) && !self.is_complete(number, role) {
            return;
        }
        match self.table.complete(number, head) {
            Completion::Answer(pending) => {
                if let Some(code) = self.spec.matching.code_of(reply) {
                    self.exchange.errors.count(code);
                    if let Some(intervals) = &mut self.intervals {
                        intervals.count(pending.intended, Count::Errors, 1);
                    }
                }
                self.finished += 1;
                self.answered[stream] += 1;
                self.tally.received += 1;
                self.tally.bytes += reply.len() as u64;
                self.record_times(pending, now);
            }
            Completion::Duplicate => {
                self.tally.duplicate += 1;
                self.count_in_interval(number, Count::Duplicate);
            }
            Completion::Late => {
                self.tally.late += 1;
                self.count_in_interval(number, Count::Late);
            }
        }
    }

    #[inline]
    fn request_of(&mut self, stream: usize, reply: &[u8], head: u64) -> Option<u64> {
        let matching = &self.spec.matching;
        if matching.by_order() {
            return self.oldest_open(stream, head);
        }
        let (id, bits) = match matching.id_of(reply) {
            Some(id) => (id, self.id_bits),
            None => (matching.short_id_of(reply)?, SHORT_ID_BITS.min(self.id_bits)),
        };
        let place = id.wrapping_sub(self.first_ids.first_of(stream));
        self.table.find(stream, place, bits, head)
    }

    #[inline]
    fn answers(&mut self, stream: usize, number: u64, turn: u64, reply: &[u8]) -> bool {
        let RequestSpec { requests, matching } = &self.spec;
        let place = self.table.stream_map().place(number);
        let id = self.first_ids.first_of(stream).wrapping_add(place) & requests.id_mask();
        let request = RequestNumber { turn, unique: self.first_ids.unique(number) };
        matching.answers(requests, request, id, reply, &mut self.scratch)
    }

    /// Whether this datagram completes a reply. If not, counts it; the reply is then incomplete.
    #[inline]
    fn is_complete(&mut self, number: u64, role: Role) -> bool {
        let Some(parts) = &mut self.parts else { return true };
        let Role::Part { index, of } = role else {
            // A reply in one datagram ends one in several that has begun.
            self.exchange.incomplete -= u64::from(parts.has_begun(number));
            return true;
        };
        match parts.note(number, index, of) {
            PartSeen::Last => {
                self.exchange.incomplete -= 1;
                return true;
            }
            PartSeen::Again => {
                self.tally.duplicate += 1;
                self.count_in_interval(number, Count::Duplicate);
                return false;
            }
            PartSeen::First => self.exchange.incomplete += 1,
            PartSeen::Another => {}
        }
        self.tally.arrived -= 1;
        self.exchange.continued += 1;
        false
    }

    /// Counts a further datagram of a request that is not open.
    #[inline]
    fn continued(&mut self, number: u64, role: Role, is_known: bool) {
        let (Role::Part { index, of }, Some(parts)) = (role, &mut self.parts) else { return };
        if is_known && parts.note(number, index, of) == PartSeen::Again {
            self.tally.duplicate += 1;
            self.count_in_interval(number, Count::Duplicate);
        } else {
            self.tally.arrived -= 1;
            self.exchange.continued += 1;
        }
    }

    #[inline]
    fn record_times(&mut self, pending: PendingRequest, now: Nanos) {
        let PendingRequest { intended, sent } = pending;
        let took = now.since(intended);
        self.latency.from_schedule.record(took.0);
        if let Some(intervals) = &mut self.intervals {
            intervals.timed(intended, Count::Received, took.0, 1);
        }
        if self.paced {
            self.latency.from_send.record(now.since(sent).0);
        }
        if intended < self.stall_ended {
            self.latency.in_stall.record(took.0);
        }
    }

    fn oldest_open(&mut self, stream: usize, head: u64) -> Option<u64> {
        let stream_map = self.table.stream_map();
        let last = stream_map.places(stream, head);
        let oldest = &mut self.oldest[stream];
        // Requests that left the table have timed out.
        let first = stream_map.places(stream, head.saturating_sub(self.table.capacity()));
        *oldest = (*oldest).max(first);
        while *oldest < last {
            let number = stream_map.number(stream, *oldest);
            if self.table.is_open(number) {
                return Some(number);
            }
            *oldest += 1;
        }
        None
    }

    /// Answered requests by port number from 0; those of this worker start at `first`.
    pub(super) fn answered(&self, first: u16) -> Vec<u64> {
        std::iter::repeat_n(0, first.into()).chain(self.answered.iter().copied()).collect()
    }

    /// Ends the window: later replies are its tail.
    pub(super) const fn close_window(&mut self) {
        if !self.window_closed {
            self.window_closed = true;
            self.tally.read_in_window = self.tally.received;
            self.tally.syscalls_in_window = self.tally.syscalls;
        }
    }

    /// Whether draining after `end` is complete; if `stopped`, open requests are given up.
    pub(super) fn is_finished(&mut self, end: Nanos, now: Nanos, stopped: bool) -> bool {
        let silence = now.since(self.last_arrival.max(end));
        let max_wait = if stopped { MAX_DRAIN } else { self.timeout + MAX_DRAIN };
        let is_overdue = now.since(end) > max_wait;
        if is_overdue || (stopped && silence > MAX_QUIET) {
            self.exchange.given_up += self.give_up(Some(Nanos::NEVER), None);
        }
        let slowest = self.latency.from_schedule.max_ns().unwrap_or(0);
        let quiet = Nanos(slowest.saturating_mul(4)).clamp(MIN_QUIET, MAX_QUIET);
        self.table.is_empty() && (is_overdue || silence > quiet)
    }
}
