//! What one side of a cell measured; the two sides may come from two hosts.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    DropReading, IntervalSeries, KernelDelta, LatencyHistograms, RequestCounts, RxTally,
    SAME_OUTAGE, StepResult, TxTally, Usage, combine, merge_outages,
};
use crate::document::{Outage, StallSum, XdpGranted};
use crate::unit::{Nanos, sum_counts};

/// The results of the senders of one host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct TxResult {
    /// The senders' window: from the start to its planned end; where a count decides, to the last
    /// departure, or to the end of the schedule.
    pub end: Nanos,
    /// How long after the start the latest of them began.
    pub start_lag: Nanos,
    pub tally: TxTally,
    /// How punctual they were; `None` flat out.
    pub timing: Option<Timing>,
    pub stalls: StallSum,
    /// Their usage up to their last departure, including the receipt of replies.
    pub usage: Usage,
    /// The smallest socket buffer granted, in bytes.
    pub buffer: Option<u64>,
    /// What the kernel granted the engine `xdp`.
    pub xdp: Option<XdpGranted>,
    /// Datagrams in a super-packet at first and at last, the fewest; `None`: they make none.
    pub segments: Option<(u64, u64)>,
    /// Datagrams sent by flow; all flows of the cell, in order.
    pub flows: Vec<u64>,
    pub samples: Vec<TxSample>,
    pub stuck: bool,
    /// Whether all that gave up had a target that was unreachable and never reached. Not sent
    /// between hosts: a client has reached the host that sends for it.
    #[serde(skip)]
    pub unreachable: bool,
    pub stopped: bool,
    pub outages: Vec<Outage>,
    pub kernel: KernelDelta,
    pub stolen: Option<Nanos>,
    /// What they counted by interval, with their lag.
    pub intervals: IntervalSeries,
    /// Drops of their host's kernel by interval; empty where they were not read meanwhile, or are
    /// those of the receivers.
    pub drop_readings: Vec<DropReading>,
}

impl TxResult {
    /// Of senders on a host that was lost, in a window of this length: they have sent what arrived,
    /// and what sequence numbers showed to be missing.
    pub fn at_least(rx: &RxResult, end: Nanos) -> Self {
        let RxTally { received, bytes, packets, .. } = rx.tally;
        let sent = sum_counts(rx.numbered.iter().copied()).max(received);
        let lost = sent - received;
        // One packet for each that is missing: how they were sent is unknown.
        let packets = packets.saturating_add(lost);
        let tally = TxTally { sent, bytes, packets, ..TxTally::default() };
        let intervals = rx.intervals.sent_at_least(lost);
        Self { tally, end, intervals, flows: rx.numbered.clone(), ..Self::default() }
    }

    /// Adds another worker of the same host, with later flows.
    pub fn merge(&mut self, other: Self) {
        self.end = self.end.max(other.end);
        self.start_lag = self.start_lag.max(other.start_lag);
        self.tally.merge(&other.tally);
        if let Some(timing) = &other.timing {
            self.timing.get_or_insert_default().merge(timing);
        }
        self.stalls.merge(&other.stalls);
        self.usage = self.usage.plus(other.usage);
        self.buffer = combine(self.buffer, other.buffer, u64::min);
        self.xdp = combine(self.xdp.take(), other.xdp, XdpGranted::with);
        self.segments = combine(self.segments, other.segments, |a, b| (a.0.min(b.0), a.1.min(b.1)));
        self.flows.extend(other.flows);
        self.samples.extend(other.samples);
        self.unreachable = match (self.stuck, other.stuck) {
            (true, true) => self.unreachable && other.unreachable,
            _ => self.unreachable || other.unreachable,
        };
        self.stuck |= other.stuck;
        self.stopped |= other.stopped;
        self.kernel.merge_workers(&other.kernel);
        merge_outages(&mut self.outages, other.outages, SAME_OUTAGE);
    }
}

/// The results of the receivers of one host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct RxResult {
    pub tally: RxTally,
    pub latency: OneWay,
    pub stalls: StallSum,
    /// Their usage up to the end of the senders' window; empty if senders are the same threads.
    pub usage: Usage,
    /// Whether their sockets take super-packets whole.
    pub takes_super_packets: bool,
    /// Sum of the jitter of all flows that have one, and how many have.
    pub jitter: (Nanos, u64),
    /// The smallest socket buffer granted, in bytes.
    pub buffer: Option<u64>,
    /// What the kernel granted the engine `xdp`.
    pub xdp: Option<XdpGranted>,
    /// Datagrams received by flow, each sequence number once; all flows of the cell, in order.
    pub flows: Vec<u64>,
    /// Datagrams by flow that sequence numbers show to be sent. Not sent between hosts: it stands
    /// for senders that are lost.
    #[serde(skip)]
    pub numbered: Vec<u64>,
    pub samples: Vec<RxSample>,
    pub exchange: Option<RequestCounts>,
    /// The steps of exchanges of two requests; empty if each has one request.
    pub steps: Vec<StepResult>,
    /// Datagrams received by worker.
    pub workers: Vec<u64>,
    pub kernel: KernelDelta,
    pub stolen: Option<Nanos>,
    /// What they counted by interval, with the latency of what they received.
    pub intervals: IntervalSeries,
    /// Drops of their host's kernel by interval; empty where they were not read meanwhile.
    pub drop_readings: Vec<DropReading>,
}

impl RxResult {
    /// Adds another worker of the same host. Any worker may have received any flow.
    pub fn merge(&mut self, other: Self) {
        self.tally.merge(&other.tally);
        self.latency.merge(&other.latency);
        self.stalls.merge(&other.stalls);
        self.usage = self.usage.plus(other.usage);
        self.takes_super_packets |= other.takes_super_packets;
        self.jitter =
            (self.jitter.0 + other.jitter.0, self.jitter.1.saturating_add(other.jitter.1));
        self.buffer = combine(self.buffer, other.buffer, u64::min);
        self.xdp = combine(self.xdp.take(), other.xdp, XdpGranted::with);
        add_by_flow(&mut self.flows, other.flows);
        add_by_flow(&mut self.numbered, other.numbered);
        self.samples.extend(other.samples);
        self.workers.extend(other.workers);
        if let Some(exchange) = &other.exchange {
            self.exchange.get_or_insert_default().merge(exchange);
        }
        self.steps.resize_with(self.steps.len().max(other.steps.len()), StepResult::default);
        self.steps.iter_mut().zip(&other.steps).for_each(|(sum, step)| sum.merge(step));
        self.kernel.merge_workers(&other.kernel);
    }
}

fn add_by_flow(sums: &mut Vec<u64>, more: Vec<u64>) {
    sums.resize(sums.len().max(more.len()), 0);
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
}

/// One-way latency of the received datagrams.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OneWay {
    /// From the intended moment; without a schedule, from the batch's departure.
    pub from_schedule: LatencyHistograms,
    /// From the actual departure; empty where it equals the other or the payload has no room.
    pub from_send: LatencyHistograms,
    /// Those of `from_schedule` that overlapped a stall of either end.
    pub in_stall: LatencyHistograms,
    /// From the intended moment to the kernel's receive timestamp; empty without timestamps.
    pub to_socket: LatencyHistograms,
    /// From there to the application's read.
    pub in_socket: LatencyHistograms,
    /// Between arrivals at one receiver; empty without a schedule.
    pub gap: LatencyHistograms,
    /// The uncertainty (±) between two hosts' clocks, of all but `in_socket` and `gap`.
    /// Zero: one clock.
    pub bound: Nanos,
}

impl OneWay {
    /// Adds that of another worker.
    pub fn merge(&mut self, other: &Self) {
        self.from_schedule.merge(&other.from_schedule);
        self.from_send.merge(&other.from_send);
        self.in_stall.merge(&other.in_stall);
        self.to_socket.merge(&other.to_socket);
        self.in_socket.merge(&other.in_socket);
        self.gap.merge(&other.gap);
        self.bound = self.bound.max(other.bound);
    }

    /// Empties it.
    pub fn reset(&mut self) {
        let Self { from_schedule, from_send, in_stall, to_socket, in_socket, gap, bound } = self;
        *bound = Nanos::ZERO;
        [from_schedule, from_send, in_stall, to_socket, in_socket, gap]
            .into_iter()
            .for_each(LatencyHistograms::reset);
    }

    /// The same with a receiver's clock corrected by this many ns, known within `bound`.
    pub fn shifted(&self, by_ns: i64, bound: Nanos) -> Self {
        Self {
            from_schedule: self.from_schedule.shifted(by_ns),
            from_send: self.from_send.shifted(by_ns),
            in_stall: self.in_stall.shifted(by_ns),
            to_socket: self.to_socket.shifted(by_ns),
            // Begins and ends with the same clock.
            in_socket: self.in_socket.clone(),
            gap: self.gap.clone(),
            bound,
        }
    }
}

/// How punctual the senders were. Absent where there is no schedule.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::Schedule` describes the fields")]
pub struct Timing {
    pub scheduled: u64,
    pub missed: u64,
    pub lag: LatencyHistograms,
    pub gap: LatencyHistograms,
    /// Those of `gap` that held a stall of the sender, or its catching up after one.
    pub gap_in_stall: LatencyHistograms,
}

impl Timing {
    /// Adds that of another worker.
    pub fn merge(&mut self, other: &Self) {
        add_counts!(self, other; scheduled, missed);
        self.lag.merge(&other.lag);
        self.gap.merge(&other.gap);
        self.gap_in_stall.merge(&other.gap_in_stall);
    }
}

/// Samples that one sender takes at most. Arbitrary: 320 KiB, and a p99.9 with eight beyond it.
pub const TX_SAMPLES: usize = 8_192;
/// Samples that one receiver takes at most. Arbitrary: those of four senders.
pub const RX_SAMPLES: usize = 4 * TX_SAMPLES;

/// A datagram at the sending end; moments are since the senders' epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct TxSample {
    pub flow: u16,
    pub sequence: u64,
    /// When it was due.
    pub intended: Nanos,
    /// The clock read of its batch.
    pub departure: Nanos,
    /// When the driver got it.
    pub stamp: Nanos,
}

/// A datagram at the receiving end; moments are since the receivers' epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct RxSample {
    pub flow: u16,
    pub sequence: u64,
    /// When the kernel took it from the device.
    pub stamp: Nanos,
    /// When it was read.
    pub read: Nanos,
}

impl RxSample {
    /// The same with the clock corrected by this many ns.
    pub fn shifted(self, by_ns: i64) -> Self {
        let shift = |at: Nanos| Nanos(at.0.saturating_add_signed(by_ns));
        Self { stamp: shift(self.stamp), read: shift(self.read), ..self }
    }
}

/// The parts of all samples that both ends know; they add up to the total, and so do their means:
///
/// ```text
/// intended ─ lag ─ departure ─ system call ─ send stamp ─ path ─ receive stamp ─ socket ─ read
/// ```
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "`document::Legs` describes other fields")]
pub struct LatencyBreakdown {
    pub lag: LatencyHistograms,
    pub system_call: LatencyHistograms,
    pub path: LatencyHistograms,
    pub in_socket: LatencyHistograms,
    pub total: LatencyHistograms,
    /// The uncertainty, ±, of path and total. Zero: one clock.
    pub bound: Nanos,
}

impl LatencyBreakdown {
    /// Combines what both ends know of the same datagrams; `None` without a common one.
    ///
    /// Stamps of the calendar clock, converted to the monotonic one, may be tens of ns off. On one
    /// clock, the send stamp is never later than the receive stamp; on two, a negative path is 0.
    pub fn of(tx: &[TxSample], rx: &[RxSample], bound: Nanos) -> Option<Self> {
        let received: HashMap<_, _> =
            rx.iter().map(|sample| ((sample.flow, sample.sequence), sample)).collect();
        let mut parts = Self { bound, ..Self::default() };
        for sent in tx {
            if let Some(received) = received.get(&(sent.flow, sent.sequence)) {
                parts.add(sent, received);
            }
        }
        (parts.total.count() > 0).then_some(parts)
    }

    /// How many datagrams.
    pub fn samples(&self) -> u64 {
        self.total.count()
    }

    fn add(&mut self, sent: &TxSample, received: &RxSample) {
        let one_clock = self.bound == Nanos::ZERO;
        let stamp = if one_clock { sent.stamp.min(received.stamp) } else { sent.stamp };
        let stamp = stamp.max(sent.departure);
        let parts = [
            sent.departure.since(sent.intended),
            stamp.since(sent.departure),
            received.stamp.since(stamp),
            received.read.since(received.stamp),
        ];
        let total = parts.into_iter().fold(Nanos::ZERO, |sum, part| sum + part);
        let all = [&mut self.lag, &mut self.system_call, &mut self.path, &mut self.in_socket];
        all.into_iter().zip(parts).for_each(|(all, part)| all.record(part.0));
        self.total.record(total.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_unreachable_if_every_stuck_worker_reports_it() {
        let side = |(stuck, unreachable)| TxResult { stuck, unreachable, ..TxResult::default() };
        for (one, other, unreachable) in [
            ((true, true), (true, true), true),
            ((true, true), (false, false), true),
            ((true, true), (true, false), false),
            ((true, false), (false, false), false),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                let mut sum = side(one);
                sum.merge(side(other));
                assert_eq!((sum.stuck, sum.unreachable), (true, unreachable));
            }
        }
    }

    fn sent(sequence: u64, at: [u64; 3]) -> TxSample {
        let [intended, departure, stamp] = at.map(Nanos);
        TxSample { flow: 3, sequence, intended, departure, stamp }
    }

    fn received(sequence: u64, at: [u64; 2]) -> RxSample {
        let [stamp, read] = at.map(Nanos);
        RxSample { flow: 3, sequence, stamp, read }
    }

    /// The number of samples, and the mean of each part.
    fn means(tx: &[TxSample], rx: &[RxSample], bound: u64) -> Option<(u64, [u64; 5])> {
        let of = LatencyBreakdown::of(tx, rx, Nanos(bound))?;
        assert_eq!(of.bound, Nanos(bound));
        let parts = [&of.lag, &of.system_call, &of.path, &of.in_socket, &of.total];
        Some((of.samples(), parts.map(|part| part.mean_ns().unwrap())))
    }

    #[test]
    fn parts_of_samples_of_both_ends_add_up() {
        let tx = [sent(1, [10, 12, 20]), sent(2, [20, 20, 30]), sent(7, [9, 99, 999])];
        let rx = [received(2, [34, 50]), received(1, [22, 32]), received(8, [1, 2])];
        assert_eq!(means(&tx, &rx, 0), Some((2, [1, 9, 3, 13, 26])));
        assert_eq!(means(&tx, &rx[2..], 0), None);
        assert_eq!(means(&[TxSample { flow: 4, ..tx[0] }], &rx, 0), None);
    }

    #[test]
    fn a_clock_offset_makes_no_part_negative() {
        let (tx, rx) = ([sent(0, [10, 20, 35])], [received(0, [30, 40])]);
        let shifted = rx.map(|sample| sample.shifted(7));
        for (tx, rx, bound, expected) in [
            (tx, rx, 0, [10, 10, 0, 10, 30]),
            ([sent(0, [10, 20, 15])], rx, 0, [10, 0, 10, 10, 30]),
            // Stamps of one host's clock are kept.
            (tx, rx, 8, [10, 15, 0, 10, 35]),
            (tx, shifted, 8, [10, 15, 2, 10, 37]),
        ] {
            assert_eq!(means(&tx, &rx, bound), Some((1, expected)));
        }
    }
}
