//! What the receiving half of a pair does with a reply: finds its request, makes sure that it is
//! the answer to that, takes its time.

use std::sync::Arc;

use crate::engine::Pull;
use crate::measure::{LatencyHistograms, OneWay, PartSeen, Parts, RequestCounts, RxTally};
use crate::payload::{Matching, RequestNumber, Requests, Role};
use crate::plan::RequestOptions;
use crate::request::ids::FirstIds;
use crate::request::in_flight::{Completion, InFlightTable};
use crate::request::writer::low_bits;
use crate::unit::Nanos;

/// The shortest silence behind the last reply after which no other is waited for: one that repeats
/// another comes close behind it. Arbitrary.
const QUIET: Nanos = Nanos::from_millis(2);

/// The longest such silence, however slow replies were; arbitrary.
const QUIET_MOST: Nanos = Nanos::from_millis(250);

/// How long after the last timeout, or after the run was stopped, a phase ends although replies
/// keep coming: they may never end. Arbitrary; four times [`QUIET_MOST`], so that a path whose
/// round trip is longer than that still has its replies counted.
const DRAIN_MOST: Nanos = Nanos::from_millis(1_000);

/// Bits of an id that stand for all of it in a datagram that carries no more: the message id of
/// CoAP, RFC 7252 section 3.
const SHORT_ID_BITS: u32 = 16;

/// What a pair asks, and what it takes for an answer.
#[derive(Debug, Clone)]
pub struct RequestSpec {
    /// What is sent.
    pub requests: Arc<Requests>,
    /// What comes back.
    pub matching: Arc<Matching>,
}

/// Gives replies their fate.
#[derive(Debug)]
pub(super) struct ResponseMatcher {
    dialogue: RequestSpec,
    flights: Arc<InFlightTable>,
    /// Where the ids and unique numbers of this worker begin.
    first_ids: FirstIds,
    /// How long a reply is waited for.
    timeout: Nanos,
    /// How long the id of a request without a reply is not reused.
    id_lifetime: Nanos,
    /// Free slots below which finished requests are released at once.
    spare: u64,
    id_bits: u32,
    /// Replies in several datagrams, if the protocol has them.
    parts: Option<Parts>,
    /// The first request of this phase: replies to earlier ones are the former phase's.
    first: u64,
    /// Whether there is a schedule, so that departures differ from it.
    paced: bool,
    /// Requests that are no longer waited for, of all phases.
    settled: u64,
    /// Where replies answer in order: the oldest of each port that may still be open, by place.
    oldest: Vec<u64>,
    /// Answered requests by port.
    answered: Vec<u64>,
    /// Room to write a request again.
    scratch: Vec<u8>,
    /// When the latest reply to a request of this phase came.
    last_arrival: Nanos,
    window_closed: bool,
    /// When this worker's latest stall ended.
    stall_ended: Nanos,
    /// What it counts.
    pub(super) tally: RxTally,
    /// What it times.
    pub(super) latency: OneWay,
    /// What became of requests.
    pub(super) exchange: RequestCounts,
}

impl ResponseMatcher {
    /// For replies to what is asked on these terms, in batches of `batch` at most.
    // cold: set-up
    pub(super) fn new(
        dialogue: RequestSpec,
        flights: Arc<InFlightTable>,
        asking: &RequestOptions,
        first_ids: FirstIds,
        batch: u64,
        streams: usize,
    ) -> Self {
        let by_order = dialogue.matching.by_order();
        let oldest = vec![0; if by_order { streams } else { 0 }];
        let scratch = vec![0; dialogue.requests.largest()];
        Self {
            id_bits: dialogue.requests.id_bits(),
            parts: dialogue.matching.has_parts().then(|| Parts::new(flights.capacity())),
            dialogue,
            first_ids,
            spare: batch.min(flights.capacity() / 2),
            first: 0,
            flights,
            timeout: asking.timeout,
            id_lifetime: asking.id_lifetime(),
            paced: false,
            settled: 0,
            oldest,
            answered: vec![0; streams],
            scratch,
            last_arrival: Nanos::ZERO,
            window_closed: false,
            stall_ended: Nanos::ZERO,
            tally: RxTally::default(),
            latency: OneWay::default(),
            exchange: RequestCounts::default(),
        }
    }

    /// Begins a phase, forgetting the one before, which began so much earlier.
    pub(super) fn start(&mut self, paced: bool, later: Nanos) {
        (self.paced, self.window_closed) = (paced, false);
        self.flights.rebase(later);
        self.first = self.flights.head();
        (self.last_arrival, self.stall_ended) = (Nanos::ZERO, Nanos::ZERO);
        self.answered.fill(0);
        (self.tally, self.exchange) = (RxTally::default(), RequestCounts::default());
        let OneWay { from_schedule, from_send, in_stall, .. } = &mut self.latency;
        [from_schedule, from_send, in_stall].into_iter().for_each(LatencyHistograms::reset);
    }

    /// How many requests are waited for.
    #[inline]
    pub(super) fn in_flight(&self) -> u64 {
        self.flights.head() - self.settled
    }

    /// How many more may be in flight, of `most`, where a closed loop says so.
    #[inline]
    pub(super) fn room(&self, most: Option<u64>) -> u64 {
        let in_flight = self.in_flight();
        most.map_or(u64::MAX, |most| most.saturating_sub(in_flight)).min(self.flights.room())
    }

    /// Whether no request can be sent because all ids are in use.
    #[inline]
    pub(super) fn is_out_of_ids(&self) -> bool {
        self.flights.room() == 0
    }

    /// Takes note of what is in flight now.
    #[inline]
    pub(super) fn note_in_flight(&mut self) {
        self.exchange.in_flight_max = self.exchange.in_flight_max.max(self.in_flight());
    }

    /// Releases finished requests and, if all sockets were read empty, gives up requests that have
    /// timed out.
    #[inline]
    pub(super) fn expire(&mut self, now: Nanos, has_read_all: bool) {
        let ago = |time: Nanos| (now > time).then(|| now - time);
        let before = ago(self.timeout).filter(|_| has_read_all);
        let given_up = self.flights.expire(before, ago(self.id_lifetime));
        self.settled += given_up;
        self.exchange.timeouts += given_up;
    }

    /// When the oldest request times out, or its id may be reused.
    #[inline]
    pub(super) fn next_timeout(&self) -> Nanos {
        let timeout = self.flights.oldest_sent().map_or(Nanos::NEVER, |sent| sent + self.timeout);
        if !self.is_out_of_ids() {
            return timeout;
        }
        let rested = self.flights.resting_sent().map(|sent| sent + self.id_lifetime);
        rested.map_or(timeout, |rested| rested.min(timeout))
    }

    /// Requests that there is room for.
    pub(super) fn capacity(&self) -> u64 {
        self.flights.capacity()
    }

    /// Whether room for another batch has to be made.
    #[inline]
    pub(super) fn is_short_of_room(&self) -> bool {
        self.flights.room() < self.spare
    }

    /// Takes note of a pull.
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

    /// Gives one datagram its fate; `head` as it was when it was read.
    #[inline]
    pub(super) fn datagram(&mut self, stream: usize, reply: &[u8], now: Nanos, head: u64) {
        let Some(number) = self.request_of(stream, reply, head) else {
            self.tally.foreign += 1;
            return;
        };
        if number < self.first {
            // Of the phase before, and nothing to this one.
            self.tally.arrived -= 1;
            self.exchange.stale += 1;
            return;
        }
        let role = self.dialogue.matching.role_of(reply);
        let is_later_part = matches!(role, Role::Part { index: 1.., .. });
        let asked = self.flights.asked(number, head);
        if is_later_part && !(asked.is_some() && self.flights.is_open(number)) {
            self.last_arrival = now;
            self.continued(number, role, asked.is_some());
            return;
        }
        let Some(asked) = asked else {
            self.last_arrival = now;
            self.tally.late += 1;
            return;
        };
        // A later part of a reply does not repeat the question.
        if !is_later_part && !self.answers(stream, number, asked, reply) {
            self.tally.foreign += 1;
            return;
        }
        // What is none of ours says nothing of when the last reply will come.
        self.last_arrival = now;
        if role == Role::Acknowledgement {
            self.tally.arrived -= 1;
            self.exchange.continued += 1;
            self.exchange.acknowledged += 1;
            return;
        }
        if self.flights.is_open(number) && !self.is_complete(number, role) {
            return;
        }
        match self.flights.complete(number, head) {
            Completion::Answer(flight) => {
                if let Some(code) = self.dialogue.matching.code_of(reply) {
                    self.exchange.errors.count(code);
                }
                self.settled += 1;
                self.answered[stream] += 1;
                self.tally.received += 1;
                self.tally.bytes += reply.len() as u64;
                self.time(flight.intended, flight.sent, now);
            }
            Completion::Duplicate => self.tally.duplicate += 1,
            Completion::Late => self.tally.late += 1,
        }
    }

    /// The request that a datagram may belong to.
    #[inline]
    fn request_of(&mut self, stream: usize, reply: &[u8], head: u64) -> Option<u64> {
        let matching = &self.dialogue.matching;
        if matching.by_order() {
            return self.oldest_open(stream, head);
        }
        let (id, bits) = match matching.id_of(reply) {
            Some(id) => (id, self.id_bits),
            None => (matching.short_id_of(reply)?, SHORT_ID_BITS.min(self.id_bits)),
        };
        let place = id.wrapping_sub(self.first_ids.first_of(stream));
        self.flights.find(stream, place, bits, head)
    }

    /// Whether this answers the request.
    #[inline]
    fn answers(&mut self, stream: usize, number: u64, turn: u64, reply: &[u8]) -> bool {
        let RequestSpec { requests, matching } = &self.dialogue;
        let place = self.flights.lanes().place(number);
        let id = self.first_ids.first_of(stream).wrapping_add(place) & low_bits(self.id_bits);
        let asks = RequestNumber { turn, unique: self.first_ids.unique(number) };
        matching.answers(requests, asks, id, reply, &mut self.scratch)
    }

    /// Whether this datagram completes a reply. If not, counts the datagram; the request is
    /// incomplete until the reply is complete.
    #[inline]
    fn is_complete(&mut self, number: u64, role: Role) -> bool {
        let Some(parts) = &mut self.parts else { return true };
        let Role::Part { index, of } = role else {
            // A reply in one datagram ends one in several that has begun.
            self.exchange.incomplete -= u64::from(parts.has_begun(number));
            return true;
        };
        let seen = parts.note(number, index, of);
        match seen {
            PartSeen::First => self.exchange.incomplete += 1,
            PartSeen::Last => self.exchange.incomplete -= 1,
            PartSeen::Another => {}
            PartSeen::Again => {
                self.tally.duplicate += 1;
                return false;
            }
        }
        if seen != PartSeen::Last {
            self.tally.arrived -= 1;
            self.exchange.continued += 1;
        }
        seen == PartSeen::Last
    }

    /// Counts a datagram that continues a reply to a request that is no longer awaited, whether or
    /// not it is still in the table.
    #[inline]
    fn continued(&mut self, number: u64, role: Role, is_known: bool) {
        let (Role::Part { index, of }, Some(parts)) = (role, &mut self.parts) else { return };
        if is_known && parts.note(number, index, of) == PartSeen::Again {
            self.tally.duplicate += 1;
        } else {
            self.tally.arrived -= 1;
            self.exchange.continued += 1;
        }
    }

    /// Takes the time of an answer.
    #[inline]
    fn time(&mut self, intended: Nanos, sent: Nanos, now: Nanos) {
        let took = now.since(intended);
        self.latency.from_schedule.record(took.0);
        if self.paced {
            self.latency.from_send.record(now.since(sent).0);
        }
        // Due before a stall was over: it overlapped.
        if intended < self.stall_ended {
            self.latency.in_stall.record(took.0);
        }
    }

    /// The oldest request of this port that waits for its reply.
    fn oldest_open(&mut self, stream: usize, head: u64) -> Option<u64> {
        let lanes = self.flights.lanes();
        let last = lanes.places(stream, head);
        let oldest = &mut self.oldest[stream];
        // What left the table has been given up.
        let first = lanes.places(stream, head.saturating_sub(self.flights.capacity()));
        *oldest = (*oldest).max(first);
        while *oldest < last {
            let number = lanes.number(stream, *oldest);
            if self.flights.is_open(number) {
                return Some(number);
            }
            *oldest += 1;
        }
        None
    }

    /// Answered requests by port, in order of their numbers from 0 on, where ours begin with
    /// `first`.
    pub(super) fn answered(&self, first: u16) -> Vec<u64> {
        std::iter::repeat_n(0, first.into()).chain(self.answered.iter().copied()).collect()
    }

    /// Ends the window: replies from now on are its tail.
    pub(super) const fn close_window(&mut self) {
        if !self.window_closed {
            self.window_closed = true;
            self.tally.read_in_window = self.tally.received;
            self.tally.syscalls_in_window = self.tally.syscalls;
        }
    }

    /// Whether, the window having ended at `end`, nothing more is to come, or is waited for;
    /// `stopped`: before its time. What is open then is given up.
    pub(super) fn finished(&mut self, end: Nanos, now: Nanos, stopped: bool) -> bool {
        let silence = now.since(self.last_arrival.max(end));
        let patience = if stopped { DRAIN_MOST } else { self.timeout + DRAIN_MOST };
        let is_overdue = now.since(end) > patience;
        if is_overdue || (stopped && silence > QUIET_MOST) {
            let given_up = self.flights.expire(Some(Nanos::NEVER), None);
            self.settled += given_up;
            self.exchange.timeouts += given_up;
            self.exchange.given_up += given_up;
        }
        let slowest = self.latency.from_schedule.max_ns().unwrap_or(0);
        let quiet = Nanos(slowest.saturating_mul(4)).clamp(QUIET, QUIET_MOST);
        self.flights.is_empty() && (is_overdue || silence > quiet)
    }
}
