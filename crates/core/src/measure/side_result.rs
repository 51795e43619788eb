//! What one side of a cell measured; the two sides may come from two hosts.

use serde::{Deserialize, Serialize};

use super::{
    KernelDelta, LatencyHistograms, OutageCounts, RequestCounts, RxSample, RxTally, SAME_OUTAGE,
    StallCounts, TxSample, TxTally, Usage, combine, merge_outages,
};
use crate::unit::Nanos;

/// The results of the senders of one host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct TxResult {
    /// The senders' window: from the start to its planned end; where a count decides, to the last
    /// departure, or to the end of the schedule.
    pub end: Nanos,
    pub tally: TxTally,
    /// How punctual they were; `None` flat out.
    pub timing: Option<Timing>,
    pub stalls: StallCounts,
    /// Their usage up to their last departure, including the receipt of replies.
    pub usage: Usage,
    /// The smallest socket buffer granted, in bytes.
    pub buffer: Option<u64>,
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
    pub outages: Vec<OutageCounts>,
    pub kernel: KernelDelta,
    pub stolen: Option<Nanos>,
}

impl TxResult {
    /// Adds what another worker of the same host measured, whose flows come behind.
    pub fn merge(&mut self, other: Self) {
        self.end = self.end.max(other.end);
        self.tally.merge(&other.tally);
        if let Some(timing) = &other.timing {
            self.timing.get_or_insert_default().merge(timing);
        }
        self.stalls.merge(&other.stalls);
        self.usage = self.usage.plus(other.usage);
        self.buffer = combine(self.buffer, other.buffer, u64::min);
        self.segments = combine(self.segments, other.segments, |a, b| (a.0.min(b.0), a.1.min(b.1)));
        self.flows.extend(other.flows);
        self.samples.extend(other.samples);
        self.unreachable = match (self.stuck, other.stuck) {
            (true, true) => self.unreachable && other.unreachable,
            _ => self.unreachable || other.unreachable,
        };
        self.stuck |= other.stuck;
        self.stopped |= other.stopped;
        merge_outages(&mut self.outages, other.outages, SAME_OUTAGE);
    }
}

/// The results of the receivers of one host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct RxResult {
    pub tally: RxTally,
    pub latency: OneWay,
    pub stalls: StallCounts,
    /// Their usage up to the end of the senders' window; empty if senders are the same threads.
    pub usage: Usage,
    /// Whether their sockets take super-packets whole.
    pub takes_super_packets: bool,
    /// Sum of the jitter of all flows that have one, and how many have.
    pub jitter: (Nanos, u64),
    /// The smallest socket buffer granted, in bytes.
    pub buffer: Option<u64>,
    /// Datagrams received by flow, each sequence number once; all flows of the cell, in order.
    pub flows: Vec<u64>,
    pub samples: Vec<RxSample>,
    pub exchange: Option<RequestCounts>,
    /// Datagrams received by worker.
    pub workers: Vec<u64>,
    pub kernel: KernelDelta,
    pub stolen: Option<Nanos>,
}

impl RxResult {
    /// Adds what another worker of the same host measured. Any worker may have got any flow.
    pub fn merge(&mut self, other: Self) {
        self.tally.merge(&other.tally);
        self.latency.merge(&other.latency);
        self.stalls.merge(&other.stalls);
        self.usage = self.usage.plus(other.usage);
        self.takes_super_packets |= other.takes_super_packets;
        self.jitter =
            (self.jitter.0 + other.jitter.0, self.jitter.1.saturating_add(other.jitter.1));
        self.buffer = combine(self.buffer, other.buffer, u64::min);
        if self.flows.len() < other.flows.len() {
            self.flows.resize(other.flows.len(), 0);
        }
        self.flows.iter_mut().zip(other.flows).for_each(|(sum, more)| {
            *sum = sum.saturating_add(more);
        });
        self.samples.extend(other.samples);
        self.workers.extend(other.workers);
        if let Some(exchange) = &other.exchange {
            self.exchange.get_or_insert_default().merge(exchange);
        }
        self.kernel.sockets =
            combine(self.kernel.sockets, other.kernel.sockets, u64::saturating_add);
    }
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
    /// From the intended moment to the kernel's receive timestamp; empty without such.
    pub to_socket: LatencyHistograms,
    /// From there to the application's read.
    pub in_socket: LatencyHistograms,
    /// The uncertainty, ±, of those between two hosts' clocks: all but `in_socket`. Zero: one
    /// clock.
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
        self.bound = self.bound.max(other.bound);
    }

    /// The same with a receiver's clock corrected by so many ns, and known within `bound`.
    pub fn shifted(&self, by_ns: i64, bound: Nanos) -> Self {
        Self {
            from_schedule: self.from_schedule.shifted(by_ns),
            from_send: self.from_send.shifted(by_ns),
            in_stall: self.in_stall.shifted(by_ns),
            to_socket: self.to_socket.shifted(by_ns),
            // Begins and ends with the same clock.
            in_socket: self.in_socket.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_unreachable_if_every_worker_that_gave_up_says_so() {
        let side = |stuck, unreachable| TxResult { stuck, unreachable, ..TxResult::default() };
        for (one, other, unreachable) in [
            (side(true, true), side(true, true), true),
            (side(true, true), side(false, false), true),
            (side(true, true), side(true, false), false),
            (side(true, false), side(false, false), false),
        ] {
            for (mut sum, more) in [(one.clone(), other.clone()), (other, one)] {
                sum.merge(more);
                assert_eq!((sum.stuck, sum.unreachable), (true, unreachable));
            }
        }
    }
}
