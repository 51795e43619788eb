//! Matches replies: finds the request, checks that the reply answers it, records its latency.

mod parts;

use std::sync::Arc;

use crate::engine::Pull;
use crate::measure::{
    Count, IntervalRecorder, LatencyHistograms, OneWay, Parts, RequestCounts, RxTally,
};
use crate::payload::{Matching, RequestNumber, Requests, Role, SecondRequest};
use crate::plan::RequestOptions;
use crate::request::cookies::ServerCookies;
use crate::request::ids::FirstIds;
use crate::request::in_flight::{Completion, InFlightTable, PendingRequest};
use crate::request::steps::Steps;
use crate::unit::{ErrorCode, Nanos};

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
    /// How replies are matched; each worker has its own clone.
    pub matching: Arc<Matching>,
    /// The second request of each exchange, if there is one.
    pub second: Option<Arc<SecondRequest>>,
}

#[derive(Debug)]
pub(super) struct ResponseMatcher {
    pub(super) spec: RequestSpec,
    pub(super) table: Arc<InFlightTable>,
    pub(super) first_ids: FirstIds,
    pub(super) timeout: Nanos,
    id_lifetime: Nanos,
    /// Free slots below which finished requests are released at once.
    min_free: u64,
    pub(super) id_bits: u32,
    parts: Option<Parts>,
    /// The second steps of exchanges; `None`: exchanges have one request.
    pub(super) steps: Option<Box<Steps>>,
    pub(super) first: u64,
    /// The start of the phase in ns since 1970.
    calendar_ns: u64,
    paced: bool,
    /// Answered and timed-out requests of all phases.
    pub(super) finished: u64,
    /// For replies in order: index of the oldest request of each port that may be open.
    pub(super) oldest: Vec<u64>,
    answered: Vec<u64>,
    scratch: Vec<u8>,
    pub(super) last_arrival: Nanos,
    window_closed: bool,
    stall_ended: Nanos,
    pub(super) tally: RxTally,
    pub(super) latency: OneWay,
    pub(super) exchange: RequestCounts,
    /// `None`: the server's cookies are not sent back.
    pub(super) cookies: Option<ServerCookies>,
    /// Counts by interval; `None` without intervals.
    pub(super) intervals: Option<IntervalRecorder>,
}

impl ResponseMatcher {
    // cold: set-up
    pub(super) fn new(
        RequestSpec { requests, matching, second }: RequestSpec,
        table: Arc<InFlightTable>,
        asking: &RequestOptions,
        first_ids: FirstIds,
        batch: u64,
        streams: usize,
    ) -> Self {
        let matching = Arc::new(Matching::clone(&matching));
        // Allocates the memory of expressions, and gives it to this thread.
        let _ = (matching.id_of(&[]), matching.code_of(&[]));
        let spec = RequestSpec { requests, matching, second };
        let by_order = spec.matching.by_order();
        Self {
            id_bits: spec.requests.id_bits,
            parts: spec.matching.has_parts().then(|| Parts::new(table.capacity())),
            steps: None,
            oldest: vec![0; if by_order { streams } else { 0 }],
            scratch: vec![0; spec.requests.largest],
            spec,
            first_ids,
            min_free: batch.min(table.capacity() / 2),
            first: 0,
            calendar_ns: 0,
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
            cookies: None,
            intervals: None,
        }
    }

    /// Starts a phase at `calendar_ns` since 1970, `later` than the previous one, and resets
    /// counters.
    pub(super) fn start(&mut self, paced: bool, calendar_ns: u64, later: Nanos) {
        (self.paced, self.window_closed, self.calendar_ns) = (paced, false, calendar_ns);
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
        let Some(steps) = &mut self.steps else { return given_up };
        steps.results[0].timeouts += given_up;
        given_up + self.give_up_second(before)
    }

    /// Counts a datagram by the interval in which its request was due; where that is not known any
    /// more, by the interval in which it arrived.
    // cold: behind a duplicate
    pub(super) fn count_in_interval(&mut self, number: u64, what: Count) {
        if let Some(intervals) = &mut self.intervals {
            let due = self.table.intended(number, self.table.head());
            intervals.count(due.unwrap_or(self.last_arrival), what, 1);
        }
    }

    /// When the oldest request times out, or its id may be reused.
    #[inline]
    pub(super) fn next_timeout(&mut self) -> Nanos {
        let timeout = self.table.oldest_sent().map_or(Nanos::NEVER, |sent| sent + self.timeout);
        let timeout = timeout.min(self.next_second_timeout());
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
        self.tally.corrupt += pull.corrupt;
        self.tally.arrived += pull.datagrams as u64 + pull.corrupt;
        if pull.datagrams > 0 {
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
        if let Some(turn) = turn.filter(|_| !is_later_part && !self.spec.matching.id_is_enough())
            && !self.answers(stream, number, turn, reply, head)
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
                let code = self.spec.matching.code_of(reply);
                self.cookies.iter().for_each(|cookies| cookies.note(stream, reply));
                self.count_answer(stream, reply, pending, code, now);
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

    /// Counts an answered request, and the error that its reply reports.
    #[inline]
    pub(super) fn count_answer(
        &mut self,
        stream: usize,
        reply: &[u8],
        pending: PendingRequest,
        code: Option<ErrorCode>,
        now: Nanos,
    ) {
        if let Some(code) = code {
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
    fn answers(&mut self, stream: usize, number: u64, turn: u64, reply: &[u8], head: u64) -> bool {
        let (request, id) = self.numbers_of(stream, number, turn);
        let RequestSpec { requests, matching, .. } = &self.spec;
        let due = if requests.has_times { self.table.intended(number, head) } else { None };
        let due_ns = self.calendar_ns + due.unwrap_or_default().0;
        matching.answers(requests, request, id, due_ns, reply, &mut self.scratch)
    }

    /// The numbers and the id that this request was written with.
    #[inline]
    pub(super) fn numbers_of(&self, stream: usize, number: u64, turn: u64) -> (RequestNumber, u64) {
        let place = self.table.stream_map().place(number);
        let id = self.first_ids.first_of(stream).wrapping_add(place);
        let (stream, unique) = (self.first_ids.stream(stream), self.first_ids.unique(number));
        let request = RequestNumber { turn, unique, stream, place };
        (request, id & self.spec.requests.id_mask())
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

    pub(super) fn oldest_open(&mut self, stream: usize, head: u64) -> Option<u64> {
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
        // Each request of an exchange has the whole timeout.
        let steps = self.steps.as_ref();
        let requests = steps.map_or(1, |steps| steps.second.most_requests().into());
        let timeout = Nanos(self.timeout.0.saturating_mul(requests));
        let max_wait = if stopped { MAX_DRAIN } else { timeout + MAX_DRAIN };
        let is_overdue = now.since(end) > max_wait;
        if is_overdue || (stopped && silence > MAX_QUIET) {
            self.exchange.given_up += self.give_up(Some(Nanos::NEVER), None);
        }
        let slowest = self.latency.from_schedule.max_ns().unwrap_or(0);
        let quiet = Nanos(slowest.saturating_mul(4)).clamp(MIN_QUIET, MAX_QUIET);
        let steps = self.steps.as_ref();
        let is_idle = steps.is_none_or(|steps| !steps.has_queued() && self.in_flight() == 0);
        self.table.is_empty() && is_idle && (is_overdue || silence > quiet)
    }
}
