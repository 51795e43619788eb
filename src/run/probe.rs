//! What a receiver does with each datagram: tells whose it is, gives it its fate, takes its time.

use super::control::Control;
use crate::measure::{Fate, Jitter, Latency, OneWay, RxTally, STALL_THRESHOLD, StallMeter, Window};
use crate::net::engine::Pull;
use crate::unit::{Nanos, PayloadSize};
use crate::wire::{Header, decode_lag, decode_own};

/// The shortest silence after which a receiver believes that nothing more comes. Long enough for
/// a softirq that was put off to run (ksoftirqd gets its time slice within a few ms); arbitrary.
const QUIET: Nanos = Nanos::from_millis(50);

/// The same where all has come, or the kernel has said that what is missing was dropped: only
/// repeated datagrams could still be under way. Arbitrary.
const QUIET_ACCOUNTED: Nanos = Nanos::from_millis(2);

/// The longest silence waited for, however slow datagrams were before; arbitrary.
const QUIET_MOST: Nanos = Nanos::from_millis(1_000);

/// When a receiver ends although datagrams keep coming: they are not ours, or will never end.
const DRAIN_MOST: Nanos = Nanos::from_millis(5_000);

/// How far ahead of our clock a departure may lie before its header is taken for corrupt: clocks of
/// two CPUs agree within less. Arbitrary.
const CLOCK_SLACK_NS: u64 = 1_000;

/// One flow as its receiver sees it.
#[derive(Debug, Default)]
struct RxFlow {
    window: Window,
    jitter: Jitter,
}

/// All that one receiver counts and times.
#[derive(Debug)]
pub struct Probe {
    tag: u16,
    former_tag: u16,
    first_flow: u16,
    flows: Vec<RxFlow>,
    size: PayloadSize,
    /// Whether there is a schedule, so that departures differ from it.
    paced: bool,
    window_closed: bool,
    last_arrival: Nanos,
    /// When the sender's latest stall ended.
    sender_stall_ended: Nanos,
    /// The latest slow datagram, intended moment and transit time: whether its sender stood still
    /// meanwhile shows only once that is awake again.
    slow: Option<(u64, u64)>,
    /// What it counts.
    pub tally: RxTally,
    /// Latency of what it received.
    pub latency: OneWay,
    /// When it stood still.
    pub stall: StallMeter,
}

impl Probe {
    /// For so many flows from `first_flow` on, with this payload.
    #[must_use]
    pub fn new(first_flow: u16, flows: usize, size: PayloadSize) -> Self {
        Self {
            tag: 0,
            former_tag: 0,
            first_flow,
            flows: (0..flows).map(|_| RxFlow::default()).collect(),
            size,
            paced: false,
            window_closed: false,
            last_arrival: Nanos::ZERO,
            sender_stall_ended: Nanos::ZERO,
            slow: None,
            tally: RxTally::default(),
            latency: OneWay::default(),
            stall: StallMeter::default(),
        }
    }

    /// Begins a phase, forgetting the one before.
    pub fn start(&mut self, tag: u16, paced: bool, now: Nanos) {
        (self.former_tag, self.tag) = (self.tag, tag);
        (self.paced, self.window_closed, self.last_arrival) = (paced, false, Nanos::ZERO);
        (self.sender_stall_ended, self.slow) = (Nanos::ZERO, None);
        for flow in &mut self.flows {
            flow.window.reset();
            flow.jitter = Jitter::default();
        }
        self.tally = RxTally::default();
        let OneWay { from_schedule, from_send, in_stall } = &mut self.latency;
        [from_schedule, from_send, in_stall].into_iter().for_each(Latency::reset);
        self.stall.start(now);
    }

    /// Takes note of a pull, at the read time that all its datagrams share.
    #[inline]
    pub fn pulled(&mut self, pull: &Pull, now: Nanos, sender_stall_ended: Nanos) {
        self.stall.observe(now);
        self.sender_stall_ended = sender_stall_ended;
        self.tally.syscalls += pull.syscalls;
        self.tally.errors += pull.errors;
        self.tally.arrived += pull.datagrams as u64;
        self.tally.batch_max = self.tally.batch_max.max(pull.datagrams as u64);
    }

    /// Gives one datagram its fate.
    #[inline]
    pub fn datagram(&mut self, payload: &[u8], now: Nanos) {
        let Some(header) = decode_own(payload, self.tag) else {
            return self.not_of_this_phase(payload);
        };
        let flow = usize::from(header.flow.wrapping_sub(self.first_flow));
        let plausible = header.intended_ns <= now.0 + CLOCK_SLACK_NS;
        let sound = plausible && payload.len() == self.size.at(header.sequence);
        let Some(flow) = self.flows.get_mut(flow).filter(|_| sound) else {
            self.tally.corrupt += 1;
            return;
        };
        match flow.window.arrive(header.sequence) {
            Fate::InOrder => {}
            Fate::Reordered(extent) => {
                self.tally.reordered += 1;
                self.tally.reorder_extent = self.tally.reorder_extent.max(extent);
            }
            Fate::Duplicate => return self.tally.duplicate += 1,
            Fate::Late => return self.tally.late += 1,
            Fate::Implausible => return self.tally.corrupt += 1,
        }
        self.tally.received += 1;
        self.tally.bytes += payload.len() as u64;
        self.last_arrival = now;
        let transit_ns = now.0.saturating_sub(header.intended_ns);
        flow.jitter.record(transit_ns);
        self.latency.from_schedule.record(transit_ns);
        self.depart(header, payload, transit_ns);
    }

    /// Takes the latency from the actual departure, and whether a stall was in the way.
    #[inline]
    fn depart(&mut self, header: Header, payload: &[u8], transit_ns: u64) {
        if self.paced
            && let Some(lag_ns) = decode_lag(payload)
        {
            self.latency.from_send.record(transit_ns.saturating_sub(lag_ns));
        }
        // Due before a stall of either end was over: it overlapped, however short its way was.
        let overlapped = header.intended_ns < self.stall.ended().0
            || header.intended_ns < self.sender_stall_ended.0;
        if overlapped {
            self.latency.in_stall.record(transit_ns);
        } else if transit_ns > STALL_THRESHOLD.0 {
            self.settle_slow();
            self.slow = Some((header.intended_ns, transit_ns));
        }
    }

    /// Decides whether the latest slow datagram was slow because its sender stood still.
    fn settle_slow(&mut self) {
        if let Some((intended_ns, transit_ns)) = self.slow.take()
            && intended_ns < self.sender_stall_ended.0
        {
            self.latency.in_stall.record(transit_ns);
        }
    }

    /// What carries another tag: left over from the phase before, or not ours.
    fn not_of_this_phase(&mut self, payload: &[u8]) {
        if self.former_tag != 0 && decode_own(payload, self.former_tag).is_some() {
            self.tally.late += 1;
        } else {
            self.tally.foreign += 1;
        }
    }

    /// The senders' window is over: what comes from now on does not count for the rate. True the
    /// first time.
    pub fn close_window(&mut self) -> bool {
        let closes = !self.window_closed;
        if closes {
            self.window_closed = true;
            self.tally.in_window = self.tally.received;
            self.tally.bytes_in_window = self.tally.bytes;
        }
        closes
    }

    /// Whether, the window being over, nothing more is to come. `drained`: the queue was just found
    /// empty, by a look that began after `before`: only silence up to then is silence, for the CPU
    /// may have been taken away since. `dropped`: what the socket says it dropped.
    #[must_use]
    pub fn finished(
        &self,
        control: &Control,
        worker: usize,
        before: Nanos,
        drained: bool,
        dropped: impl FnOnce() -> u64,
    ) -> bool {
        let (sent, end) = (control.sent_to(worker), control.window_end());
        if !drained {
            return before > end + DRAIN_MOST;
        }
        let silence = before.since(self.last_arrival.max(end));
        let slowest = self.latency.from_schedule.max_ns().unwrap_or(0);
        // Four times the slowest so far, where that is longer: a slow path is given its time.
        let quiet = Nanos(slowest.saturating_mul(4)).clamp(QUIET, QUIET_MOST);
        silence > quiet
            || before > end + DRAIN_MOST
            || (silence > QUIET_ACCOUNTED
                && (self.tally.received >= sent || self.tally.received + dropped() >= sent))
    }

    /// Ends the phase: all that was left open is decided.
    pub fn finish(&mut self, control: &Control, worker: usize) {
        self.sender_stall_ended = control.stall_ended(worker);
        self.settle_slow();
    }

    /// Jitter of all flows that have one.
    pub fn jitters(&self) -> impl Iterator<Item = Nanos> {
        self.flows.iter().filter_map(|flow| flow.jitter.estimate())
    }
}
