//! Classifies and times the datagrams of one receiver.

mod held;

use super::flow::{Alike, Held, RxFlow};
use crate::engine::Pull;
use crate::measure::{
    Arrival, Count, InterarrivalJitter, IntervalRecorder, OneWay, RX_SAMPLES, RxSample, RxTally,
    STALL_THRESHOLD, StallMeter,
};
use crate::run::phase::PhaseState;
use crate::run::sender_bounds::SenderBounds;
use crate::unit::{Nanos, PayloadSize, sum_counts};
use crate::wire::{self, Header, decode_lag, decode_own};

/// The silence that ends a phase if all arrived, or the kernel counted the rest as dropped: only
/// duplicates could follow. Arbitrary.
const QUIET_ACCOUNTED: Nanos = Nanos::from_millis(2);
/// When a receiver ends although datagrams keep coming: of others, or without end. Arbitrary.
const DRAIN_MOST: Nanos = Nanos::from_millis(5_000);
/// How far ahead of the receiver's clock a departure may be before the header counts as corrupt:
/// clocks of two CPUs agree within less. Arbitrary.
const CLOCK_SLACK_NS: u64 = 1_000;
/// The same with a sender on another clock, which must not decide. Arbitrary: an hour.
const CLOCK_SLACK_ACROSS_NS: u64 = 3_600_000_000_000;

/// Consecutive datagrams of one pull, due at the same moment and so of the same latency: each is
/// checked, and all are counted at once.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    count: u64,
    /// The header that continues it.
    next: u128,
    flow: usize,
    alike: Alike,
}

/// All that one receiver counts and times.
#[derive(Debug)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct ReceiveProbe {
    tag: u16,
    former_tag: u16,
    first_flow: u16,
    flows: Vec<RxFlow>,
    size: PayloadSize,
    /// Numbers beyond these count as corrupt.
    pub bounds: SenderBounds,
    slack_ns: u64,
    /// How much earlier than its senders it begins to count time.
    pub bias: Nanos,
    paced: bool,
    window_closed: bool,
    last_arrival: Nanos,
    last_stamp: Option<Nanos>,
    sender_stall_ended: Nanos,
    /// The latest slow datagram, intended moment and transit time, and how many like it.
    slow: Option<(u64, u64, u64)>,
    row: Row,
    pub tally: RxTally,
    pub latency: OneWay,
    pub samples: Vec<RxSample>,
    pub stall: StallMeter,
    /// Counts by interval; `None` without intervals.
    pub intervals: Option<IntervalRecorder>,
}

impl ReceiveProbe {
    /// For this number of flows from `first_flow` on, with this payload.
    // cold: once for each receiver, before the barrier
    pub fn new(first_flow: u16, flows: usize, size: PayloadSize) -> Self {
        Self::in_turn(first_flow, flows, size, (0, 1))
    }

    /// The same for receiver `worker` of `of`, which get flows in turn; others' take no memory.
    // cold: once for each receiver, before the barrier
    pub fn in_turn(first_flow: u16, flows: usize, size: PayloadSize, turn: (usize, usize)) -> Self {
        Self {
            tag: 0,
            former_tag: 0,
            first_flow,
            flows: RxFlow::in_turn(flows, turn),
            size,
            bounds: SenderBounds::default(),
            slack_ns: CLOCK_SLACK_NS,
            bias: Nanos::ZERO,
            paced: false,
            window_closed: false,
            last_arrival: Nanos::ZERO,
            last_stamp: None,
            sender_stall_ended: Nanos::ZERO,
            slow: None,
            row: Row::default(),
            tally: RxTally::default(),
            latency: OneWay::default(),
            samples: Vec::new(),
            stall: StallMeter::default(),
            intervals: None,
        }
    }

    /// The same where the sender has another clock.
    pub const fn across(mut self) -> Self {
        self.slack_ns = CLOCK_SLACK_ACROSS_NS;
        self
    }

    /// The same where marked datagrams are timed in parts.
    // cold: once for each receiver, before the barrier
    pub fn sampling(mut self) -> Self {
        // Written now, so that memory is not mapped during the measurement.
        self.samples = vec![RxSample::default(); RX_SAMPLES];
        self.samples.clear();
        self
    }

    /// Begins a phase, forgetting the one before.
    pub fn start(&mut self, tag: u16, paced: bool, now: Nanos) {
        (self.former_tag, self.tag) = (self.tag, tag);
        (self.paced, self.window_closed, self.last_arrival) = (paced, false, Nanos::ZERO);
        (self.sender_stall_ended, self.slow, self.row) = (Nanos::ZERO, None, Row::default());
        self.last_stamp = None;
        for flow in &mut self.flows {
            flow.window.reset();
            flow.jitter = InterarrivalJitter::default();
            flow.received = 0;
            flow.held = None;
        }
        self.tally = RxTally::default();
        self.samples.clear();
        self.latency.reset();
        self.stall.start(now);
    }

    /// Counts a pull, at the read time that all its datagrams share.
    #[inline]
    pub fn pulled(&mut self, pull: &Pull, now: Nanos, sender_stall_ended: Nanos) {
        let stalled = self.stall.observe(now);
        if let Some(intervals) = &mut self.intervals {
            intervals.observe(now);
            if stalled {
                intervals.stall(now, self.stall.length());
            }
        }
        self.sender_stall_ended = sender_stall_ended;
        self.tally.syscalls += pull.syscalls;
        self.tally.errors += pull.errors;
        self.tally.arrived += pull.datagrams as u64 + pull.corrupt;
        self.tally.corrupt += pull.corrupt;
        self.tally.packets += pull.packets;
        self.tally.uncut += pull.uncut;
        self.tally.truncated += pull.truncated;
        self.tally.no_buffers += pull.no_buffers;
        self.tally.batch_max = self.tally.batch_max.max(pull.datagrams as u64);
    }

    /// Classifies one datagram; [`Self::pull_ends`] must follow the last one of a pull. Always
    /// inline, since most datagrams of a super-packet only continue the row.
    #[inline(always)]
    pub fn datagram(&mut self, payload: &[u8], now: Nanos, waited: Option<Nanos>) {
        let row = &mut self.row;
        if wire::word(payload) == Some(row.next)
            && payload.len() == row.alike.len
            && waited == row.alike.waited
        {
            row.next = row.next.wrapping_add(wire::NEXT);
            row.count += 1;
        } else {
            self.datagram_beside_the_row(payload, now, waited);
        }
    }

    /// Classifies a datagram that does not continue the row.
    #[inline(never)]
    fn datagram_beside_the_row(&mut self, payload: &[u8], now: Nanos, waited: Option<Nanos>) {
        self.pull_ends();
        let Some(header) = decode_own(payload, self.tag) else {
            return self.not_of_this_phase(payload, now);
        };
        let index = usize::from(header.flow.wrapping_sub(self.first_flow));
        let plausible = header.intended_ns <= now.0 + self.slack_ns
            && header.intended_ns < self.bounds.end().0
            && payload.len() == self.size.at(header.sequence);
        if !plausible || index >= self.flows.len() {
            self.tally.corrupt += 1;
            return;
        }
        let beyond = header.sequence > self.flows[index].window.next()
            && header.sequence >= self.bounds.sent_by(header.intended_ns);
        if beyond {
            self.tally.corrupt += 1;
            return;
        }
        if self.flows[index].held.is_some() && self.is_copy_of_held(index, header.sequence) {
            return;
        }
        let flow = &mut self.flows[index];
        let transit_ns = now.0.saturating_sub(header.intended_ns);
        let lag_ns = if self.paced { decode_lag(payload) } else { None };
        let (intended_ns, due) = (header.intended_ns, Nanos(header.intended_ns));
        let alike = Alike { len: payload.len(), intended_ns, transit_ns, lag_ns, waited };
        let arrival = flow.window.arrive(header.sequence);
        match arrival {
            Arrival::InOrder => {}
            Arrival::Reordered(extent) => {
                self.tally.reordered += 1;
                self.tally.reorder_extent = self.tally.reorder_extent.max(extent);
                self.count_in_interval(due, Count::Reordered, 1);
            }
            Arrival::Duplicate => {
                self.tally.duplicate += 1;
                return self.count_in_interval(due, Count::Duplicate, 1);
            }
            Arrival::Late => {
                self.tally.late += 1;
                return self.count_in_interval(due, Count::Late, 1);
            }
            Arrival::Ahead => {
                flow.held = Some(Held { sequence: header.sequence, copies: 0, alike });
                return self.note_arrival(now, waited);
            }
        }
        let flow = &mut self.flows[index];
        flow.jitter.record(transit_ns);
        flow.received += 1;
        self.note_arrival(now, waited);
        // The first of a batch is never within a row.
        if wire::is_marked(payload)
            && let Some(waited) = waited
        {
            self.sample(&header, now, waited);
        }
        // On a schedule each has its own moment, in a mix its own length.
        let goes_on = !self.paced
            && arrival == Arrival::InOrder
            && matches!(self.size, PayloadSize::Fixed(_));
        match wire::word(payload).filter(|_| goes_on) {
            Some(word) => {
                let next = wire::unmarked(word).wrapping_add(wire::NEXT);
                self.row = Row { count: 1, next, flow: index, alike };
            }
            None => self.take(alike, 1),
        }
    }

    #[inline]
    fn count_in_interval(&mut self, due: Nanos, what: Count, count: u64) {
        if let Some(intervals) = &mut self.intervals {
            intervals.count(due, what, count);
        }
    }

    fn sample(&mut self, header: &Header, now: Nanos, waited: Nanos) {
        if self.samples.len() < self.samples.capacity() {
            let &Header { flow, sequence, .. } = header;
            self.samples.push(RxSample { flow, sequence, stamp: now - waited, read: now });
        }
    }

    /// Ends a pull: the next one has another time, so the row ends too.
    #[inline]
    pub fn pull_ends(&mut self) {
        let Row { count, flow, alike, .. } = self.row;
        if count == 0 {
            return;
        }
        // No datagram is that short, so none continues it.
        (self.row.count, self.row.alike.len) = (0, 0);
        if count > 1
            && let Some(flow) = self.flows.get_mut(flow)
        {
            flow.window.advance(count - 1);
            flow.jitter.repeat(count - 1);
            flow.received += count - 1;
        }
        self.take(alike, count);
    }

    /// Records the figures of datagrams. Inline at both places: one of them has a single datagram.
    #[inline(always)]
    fn take(&mut self, alike: Alike, count: u64) {
        let Alike { len, intended_ns, transit_ns, lag_ns, waited } = alike;
        self.tally.received += count;
        self.tally.bytes += len as u64 * count;
        self.latency.from_schedule.record_n(transit_ns, count);
        if let Some(intervals) = &mut self.intervals
            && intervals.timed(Nanos(intended_ns), Count::Received, transit_ns, count)
        {
            self.mark_interval(len as u64, count);
        }
        if let Some(lag_ns) = lag_ns {
            self.latency.from_send.record_n(transit_ns.saturating_sub(lag_ns), count);
        }
        if let Some(waited) = waited {
            self.latency.in_socket.record_n(waited.0, count);
            self.latency.to_socket.record_n(transit_ns.saturating_sub(waited.0), count);
        }
        // Due before a stall of either end was over, it overlapped.
        let overlapped = intended_ns + self.bias.0 < self.stall.ended().0
            || intended_ns < self.sender_stall_ended.0;
        if overlapped {
            self.latency.in_stall.record_n(transit_ns, count);
        } else if transit_ns > STALL_THRESHOLD.0 + self.bias.0 {
            self.slow_ones(intended_ns, transit_ns, count);
        }
    }

    /// Ends the intervals before the first `count` datagrams of a new one, of `len` bytes each.
    // cold: once an interval, and at the end of a phase
    fn mark_interval(&mut self, len: u64, count: u64) {
        let expected = sum_counts(self.flows.iter().map(RxFlow::numbered)).saturating_sub(count);
        if let Some(intervals) = &mut self.intervals {
            intervals.mark([expected, self.tally.bytes - len * count]);
        }
    }

    fn slow_ones(&mut self, intended_ns: u64, ns: u64, count: u64) {
        match &mut self.slow {
            Some((intended, slow_ns, times)) if (*intended, *slow_ns) == (intended_ns, ns) => {
                *times += count;
            }
            _ => {
                self.attribute_slow();
                self.slow = Some((intended_ns, ns, count));
            }
        }
    }

    /// Decides whether the latest slow datagram was slow because its sender was stalled.
    fn attribute_slow(&mut self) {
        if let Some((intended_ns, transit_ns, count)) = self.slow.take()
            && intended_ns < self.sender_stall_ended.0
        {
            self.latency.in_stall.record_n(transit_ns, count);
        }
    }

    fn not_of_this_phase(&mut self, payload: &[u8], now: Nanos) {
        if wire::has_tag(payload, self.tag) {
            self.tally.corrupt += 1;
        } else if self.former_tag != 0 && decode_own(payload, self.former_tag).is_some() {
            self.tally.late += 1;
            self.count_in_interval(now, Count::Late, 1);
        } else {
            self.tally.foreign += 1;
        }
    }

    /// Ends the senders' window: datagrams that come from now on are its tail. True the first time.
    pub fn close_window(&mut self, now: Nanos) -> bool {
        let closes = !self.window_closed;
        if closes {
            self.window_closed = true;
            self.tally.read_in_window = self.tally.received;
            if let Some(intervals) = &mut self.intervals {
                intervals.close_window(now);
            }
            self.tally.syscalls_in_window = self.tally.syscalls;
        }
        closes
    }

    /// Whether nothing more is expected after the window. `drained`: the queue was found empty by
    /// a read that began after `before`; silence counts up to then, as this thread may have been
    /// preempted since. `dropped`: drops at the socket.
    pub fn finished(
        &self,
        control: &PhaseState,
        worker: usize,
        before: Nanos,
        drained: bool,
        dropped: impl FnOnce() -> u64,
    ) -> bool {
        let (sent, end) = (control.sent_to(worker), control.senders_ended());
        if !drained {
            return before > end + DRAIN_MOST;
        }
        let silence = before.since(self.last_arrival.max(end));
        let quiet = control.quiet(self.latency.from_schedule.max_ns());
        silence > quiet
            || before > end + DRAIN_MOST
            || (silence > QUIET_ACCOUNTED
                && (self.tally.received >= sent || self.tally.received + dropped() >= sent))
    }

    /// Of each flow, by number from 0: datagrams received, each sequence number once, and those
    /// that sequence numbers show to be sent.
    pub fn counts_by_flow(&self) -> (Vec<u64>, Vec<u64>) {
        let before = std::iter::repeat_n((0, 0), self.first_flow.into());
        before.chain(self.flows.iter().map(|flow| (flow.received, flow.numbered()))).unzip()
    }

    /// Jitter of all flows that have one.
    pub fn jitters(&self) -> impl Iterator<Item = Nanos> {
        self.flows.iter().filter_map(|flow| flow.jitter.estimate())
    }
}
