//! Exchanges of several requests: counts what a datagram answers, and sends what follows it.

use std::net::SocketAddr;

use mio::net::UdpSocket;

use crate::engine::{Push, Tx, socket_of};
use crate::measure::Count;
use crate::payload::Role;
use crate::request::RequestWorker;
use crate::request::answered::Answered;
use crate::request::in_flight::{Completion, PendingRequest};
use crate::request::matcher::ResponseMatcher;
use crate::request::steps::{ExchangeNumbers, NotQueued, Queued, Steps, Waiting};
use crate::run::phase::PhaseState;
use crate::sys::{self, SendError};
use crate::unit::{ErrorCode, Nanos};

impl ResponseMatcher {
    /// Classifies one datagram of an exchange of several requests; `head` is that at the time of
    /// the read, `from` the sender unless the socket is connected.
    pub(super) fn datagram_of_steps(
        &mut self,
        stream: usize,
        reply: &[u8],
        from: Option<SocketAddr>,
        now: Nanos,
        head: u64,
    ) {
        let Some(mut steps) = self.steps.take() else { return };
        let is_of_server = steps
            .server
            .is_none_or(|server| from.is_some_and(|from| from.ip().to_canonical() == server));
        let answered =
            if is_of_server { self.answered_by(&mut steps, stream, reply, head) } else { None };
        // A server that does not get it repeats its response.
        if answered.is_some()
            && let Some(messages) = steps.second.messages()
            && let Some(acknowledgement) = messages.acknowledgement_of(reply)
        {
            steps.push_acknowledgement(stream, acknowledgement, from);
        }
        match answered {
            None => self.tally.foreign += 1,
            Some(
                Answered::First(number) | Answered::Second(number) | Answered::Neither(number),
            ) if number < self.first => {
                self.tally.arrived -= 1;
                self.exchange.stale += 1;
            }
            Some(answered) => {
                self.last_arrival = now;
                match answered {
                    _ if self.spec.matching.role_of(reply) == Role::Acknowledgement => {
                        self.tally.arrived -= 1;
                        self.exchange.continued += 1;
                        self.exchange.acknowledged += 1;
                    }
                    Answered::First(number) => {
                        self.first_reply(&mut steps, stream, number, reply, from, now);
                    }
                    Answered::Second(number) => {
                        self.second_reply(&mut steps, stream, number, reply, from, now);
                    }
                    Answered::Neither(number) => {
                        let is_late = !self.table.is_continuing(number)
                            && self.table.complete(number, head) == Completion::Late;
                        let (count, what) = match is_late {
                            true => (&mut self.tally.late, Count::Late),
                            false => (&mut self.tally.duplicate, Count::Duplicate),
                        };
                        *count += 1;
                        self.count_in_interval(number, what);
                    }
                }
            }
        }
        self.steps = Some(steps);
    }

    fn first_reply(
        &mut self,
        steps: &mut Steps,
        stream: usize,
        number: u64,
        reply: &[u8],
        from: Option<SocketAddr>,
        now: Nanos,
    ) {
        let Some(pending) = self.table.begin_second(number) else {
            self.tally.foreign += 1;
            return;
        };
        let first = &mut steps.results[0];
        first.answered += 1;
        let took = now.since(pending.intended).0;
        first.latency.record(took);
        if let Some(intervals) = &mut self.intervals {
            intervals.step(pending.intended, true, took);
        }
        let named = self.spec.matching.named_error_of(reply);
        // Without a condition, an error of the user ends the exchange.
        let is_end = named.is_some() && !steps.second.is_conditional();
        if is_end || !steps.second.follows(reply, 0) {
            return self.end_by_first(stream, number, reply, pending, now);
        }
        let expects_reply = steps.second.matching().expects_reply();
        match self.queue_second(steps, (stream, number), (reply, 0), from, now) {
            Ok(()) if expects_reply => {
                let progress = steps.second.after(reply, 0);
                steps.note_reply(number, reply, progress, pending.sent, now);
                // Part of a reply that is not complete yet.
                self.tally.arrived -= 1;
                self.exchange.continued += 1;
            }
            Ok(()) => self.end_by_first(stream, number, reply, pending, now),
            Err(NotQueued::ShortReply) => {
                let code = named.or(Some(ErrorCode::SHORT_REPLY));
                self.complete_exchange(stream, number, reply, (pending, code), now);
            }
            Err(NotQueued::Full) => {
                steps.results[1].refused += 1;
                if expects_reply {
                    self.tally.arrived -= 1;
                    self.exchange.continued += 1;
                    self.time_out(number);
                } else {
                    self.end_by_first(stream, number, reply, pending, now);
                }
            }
        }
    }

    /// Completes an exchange by its first reply.
    fn end_by_first(
        &mut self,
        stream: usize,
        number: u64,
        reply: &[u8],
        pending: PendingRequest,
        now: Nanos,
    ) {
        let code = self.spec.matching.code_of(reply);
        self.complete_exchange(stream, number, reply, (pending, code), now);
    }

    fn queue_second(
        &self,
        steps: &mut Steps,
        (stream, number): (usize, u64),
        reply: (&[u8], u16),
        from: Option<SocketAddr>,
        now: Nanos,
    ) -> Result<(), NotQueued> {
        let turn = self.table.turn(number, self.table.head()).unwrap_or(0);
        let (n, id) = self.numbers_of(stream, number, turn);
        steps.push(ExchangeNumbers { number, stream, n, id }, reply, from, now)
    }

    fn second_reply(
        &mut self,
        steps: &mut Steps,
        stream: usize,
        number: u64,
        reply: &[u8],
        from: Option<SocketAddr>,
        now: Nanos,
    ) {
        let Some(first) = steps.first_reply(number) else {
            self.tally.foreign += 1;
            return;
        };
        let second = &mut steps.results[1];
        second.answered += 1;
        let took = now.since(first.at).0;
        second.latency.record(took);
        let pending = PendingRequest { sent: first.first_sent, ..self.table.pending(number) };
        if let Some(intervals) = &mut self.intervals {
            intervals.step(pending.intended, false, took);
        }
        let step = first.progress.step;
        if steps.second.follows(reply, step) {
            self.tally.arrived -= 1;
            self.exchange.continued += 1;
            match self.queue_second(steps, (stream, number), (reply, step), from, now) {
                Ok(()) => {
                    let progress = steps.second.after(reply, step);
                    steps.note_reply(number, reply, progress, first.first_sent, now);
                }
                Err(_) => {
                    steps.results[1].refused += 1;
                    self.time_out(number);
                }
            }
            return;
        }
        let code = steps.second.matching().code_of(reply);
        self.complete_exchange(stream, number, reply, (pending, code), now);
    }

    /// Completes an exchange by its last reply, which reports this error.
    fn complete_exchange(
        &mut self,
        stream: usize,
        number: u64,
        reply: &[u8],
        (pending, code): (PendingRequest, Option<ErrorCode>),
        now: Nanos,
    ) {
        self.table.end_second(number, true);
        self.count_answer(stream, reply, pending, code, now);
    }

    fn time_out(&mut self, number: u64) {
        let due = self.table.end_second(number, false);
        self.finished += 1;
        self.exchange.timeouts += 1;
        if let Some(intervals) = &mut self.intervals {
            intervals.count(due, Count::Timeouts, 1);
        }
    }

    /// Times out exchanges whose second request was sent by `before`, and returns their number.
    /// With [`Nanos::NEVER`], also those whose second request waits to be sent.
    pub(super) fn give_up_second(&mut self, before: Option<Nanos>) -> u64 {
        let Some(before) = before else { return 0 };
        let Some(mut steps) = self.steps.take() else { return 0 };
        let timeouts = self.exchange.timeouts;
        while let Some(number) = steps.oldest_sent(|number| self.table.is_continuing(number))
            && self.table.sent(number) <= before
        {
            self.time_out(number);
            steps.results[1].timeouts += 1;
        }
        while before == Nanos::NEVER
            && let Some(queued) = steps.pop()
        {
            self.second_refused(&mut steps, queued);
        }
        self.steps = Some(steps);
        self.exchange.timeouts - timeouts
    }

    fn second_refused(&mut self, steps: &mut Steps, queued: Queued) {
        let Waiting::Request { number, .. } = queued.what else { return };
        steps.results[1].refused += 1;
        if self.table.is_continuing(number) && steps.second.matching().expects_reply() {
            self.time_out(number);
        }
    }

    /// Whether second requests wait to be sent.
    #[inline]
    pub(super) fn has_second_requests(&self) -> bool {
        self.steps.as_ref().is_some_and(|steps| steps.has_queued())
    }

    /// When the oldest second request times out.
    #[inline]
    pub(super) fn next_second_timeout(&mut self) -> Nanos {
        let Some(steps) = &mut self.steps else { return Nanos::NEVER };
        let table = &self.table;
        let oldest = steps.oldest_sent(|number| table.is_continuing(number));
        oldest.map_or(Nanos::NEVER, |number| table.sent(number) + self.timeout)
    }
}

impl RequestWorker {
    /// Sends second requests, after replies were read; returns whether none is left, as some are if
    /// the send buffer is full.
    pub(super) fn send_second<T: Tx<Socket = UdpSocket>>(
        &mut self,
        tx: &mut T,
        control: &PhaseState,
    ) -> bool {
        let Some(mut steps) = self.matcher.steps.take() else { return true };
        let expects_reply = steps.second.matching().expects_reply();
        let now = self.job.clock.now() - self.job.epoch;
        let mut is_done = true;
        while let Some((next, _)) = steps.next() {
            let push = match (next.to, next.what) {
                // Super-packets hold datagrams of one length.
                (Some(_), _) | (_, Waiting::Acknowledgement) => push_one(tx, &steps, next.to),
                (None, Waiting::Request { .. }) => push_row(tx, &steps, next.stream),
            };
            self.job.tally.syscalls += push.syscalls;
            for _ in 0..push.sent {
                let Some(queued) = steps.pop() else { break };
                match queued.what {
                    Waiting::Acknowledgement => self.matcher.exchange.acknowledgements_sent += 1,
                    Waiting::Request { number, step } => {
                        let table = &self.matcher.table;
                        table.set_sent(number, now);
                        let is_open = |number| table.is_continuing(number);
                        steps.note_sent((number, step), expects_reply, is_open);
                    }
                }
            }
            match push.error {
                None if push.sent > 0 => {}
                // What hinders it is reported by the next call.
                Some(SendError::Unexplained) if push.sent > 0 => {}
                None | Some(SendError::WouldBlock) => {
                    is_done = false;
                    break;
                }
                Some(error) => {
                    if let Some(why) = error.unreachable() {
                        self.job.note_unreachable(why, 1, now, control);
                    }
                    if let Some(queued) = steps.pop() {
                        self.matcher.second_refused(&mut steps, queued);
                    }
                }
            }
        }
        self.matcher.steps = Some(steps);
        is_done
    }
}

/// Sends the first of the queue, to the port that its first reply came from if that may differ.
#[inline]
fn push_one<T: Tx<Socket = UdpSocket>>(tx: &mut T, steps: &Steps, to: Option<SocketAddr>) -> Push {
    let found = steps.next();
    let socket = found.and_then(|(next, _)| socket_of(tx.sockets(), next.stream));
    let Some((socket, (_, bytes))) = socket.zip(found) else { return Push::default() };
    match to.map_or_else(|| socket.send(bytes), |to| socket.send_to(bytes, to)) {
        Ok(_) => Push { sent: 1, packets: 1, syscalls: 1, ..Push::default() },
        Err(error) => {
            let error = sys::send_error_of(&error);
            let error = (error != SendError::Interrupted).then_some(error);
            Push { refused: usize::from(error.is_some()), error, syscalls: 1, ..Push::default() }
        }
    }
}

/// Sends the first of the queue that are of one port, by the engine.
#[inline]
fn push_row<T: Tx<Socket = UdpSocket>>(tx: &mut T, steps: &Steps, stream: usize) -> Push {
    let most = tx.batch(false);
    let row = || steps.queued().take(most).take_while(|(queued, _)| queued.is_request_of(stream));
    let stride = tx.stride();
    let slots = tx.lease(row().count()).chunks_exact_mut(stride);
    let mut count = 0;
    for (slot, (_, bytes)) in slots.zip(row()) {
        slot[..bytes.len()].copy_from_slice(bytes);
        count += 1;
    }
    for (len, (_, bytes)) in tx.lens().iter_mut().zip(row()) {
        *len = bytes.len() as u16;
    }
    tx.push(stream, 0, count)
}
