//! The result of the workers of one cell.

use super::{
    KernelDelta, Kernels, LatencyBreakdown, LedgerCounts, OneWay, OutageCounts, RequestCounts,
    RxResult, RxTally, Server, StallCounts, Timing, Topology, TxResult, TxTally, Usage,
};
use crate::unit::Nanos;

/// Socket buffers in bytes as granted (Linux grants twice the request), the smallest of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sockets {
    /// SO_SNDBUF of the senders.
    pub send_buffer: Option<u64>,
    /// SO_RCVBUF of the receivers.
    pub receive_buffer: Option<u64>,
}

/// Super-packets of a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SuperPackets {
    /// Datagrams that one held at first; `None`: the sender makes none.
    pub segments_at_first: Option<u64>,
    /// Datagrams that one held at the end; 1: there were none any more.
    pub segments_at_last: Option<u64>,
    /// Whether the receiver takes them whole, so that its socket drops them whole.
    pub taken_whole: bool,
}

/// Why a cell ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutShort {
    /// It was stopped from outside.
    Interrupted,
    /// No datagram could be sent for 2 s, and a count was to be reached.
    Stuck,
    /// The target could not be reached, and never was.
    Unreachable,
    /// The other end of the run was lost.
    PeerLost,
}

/// All that was measured in one cell, merged over its workers.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct CellResult {
    /// The senders' window: all that was sent was due in it; see [`TxResult::end`].
    pub elapsed: Nanos,
    pub tx: TxTally,
    pub rx: RxTally,
    pub super_packets: SuperPackets,
    /// Counters of the receivers' kernel.
    pub kernel: KernelDelta,
    /// Counters of the senders' kernel; `None` if they are the same.
    pub tx_kernel: Option<KernelDelta>,
    pub ends: Topology,
    /// Usage of the senders; with requests, receipt of the replies included.
    pub tx_usage: Usage,
    /// Usage of the receivers; unknown if senders receive, too.
    pub rx_usage: Usage,
    pub sockets: Sockets,
    pub latency: OneWay,
    /// The same leg by leg, of a sample; `None` without timestamps of both kernels.
    pub legs: Option<Box<LatencyBreakdown>>,
    /// Punctuality; `None` flat out.
    pub timing: Option<Timing>,
    /// RFC 3550 jitter, mean over flows; `None` where no flow received two datagrams.
    pub jitter: Option<Nanos>,
    pub tx_stalls: StallCounts,
    pub rx_stalls: StallCounts,
    /// Time that the hypervisor took from this host's CPUs during the cell, all CPUs.
    pub stolen: Option<Nanos>,
    /// Datagrams sent and received by flow.
    pub flows: Vec<(u64, u64)>,
    /// Datagrams received by each receiver.
    pub workers: Vec<u64>,
    /// Outcomes of requests, if datagrams are requests: received is matched, foreign unmatched.
    pub exchange: Option<RequestCounts>,
    /// Whether nothing is known of the receiving end, and so of what became of what was sent.
    pub one_ended: bool,
    /// Datagrams sent and lost in warm-up.
    pub warmup: (u64, u64),
    pub outages: Vec<OutageCounts>,
    /// Why it ended before its time, if it did.
    pub cut_short: Option<CutShort>,
}

/// Datagrams, and the packets in which the kernels at both ends handled them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct PacketCounts {
    pub sent: u64,
    pub packets_sent: u64,
    pub arrived: u64,
    pub packets_received: u64,
    /// Datagrams that arrived in packets of several.
    pub uncut: u64,
}

impl PacketCounts {
    /// Whether most of them stayed in the super-packets in which they were sent. Within one host,
    /// super-packets that arrive were never cut. A receiver on another host may have joined
    /// segments that were cut on the way (GRO); its packets are then smaller than the sender's: GRO
    /// joins 64 datagrams at most (`UDP_GRO_CNT_MAX`), and only what one poll of the device found.
    pub fn are_uncut(&self, ends: Topology) -> bool {
        let mean = |datagrams: u64, packets: u64| datagrams as f64 / packets.max(1) as f64;
        let (sent, received) =
            (mean(self.sent, self.packets_sent), mean(self.arrived, self.packets_received));
        let joined = ends == Topology::Remote && received < SAME_PACKETS * sent;
        self.packets_sent < self.sent && self.uncut > self.arrived / 2 && !joined
    }

    /// Whether most of them were sent in super-packets, and these were cut on the way. Neither this
    /// nor [`Self::are_uncut`] holds where most were sent one by one: that shows nothing.
    pub fn were_cut(&self, ends: Topology) -> bool {
        self.packets_sent < self.sent / 2 && self.arrived > 0 && !self.are_uncut(ends)
    }
}

/// A receiver's packets count as the sender's if they hold at least this share of its datagrams:
/// lost packets and the shorter last one of a phase change the mean. Arbitrary.
const SAME_PACKETS: f64 = 0.99;

/// Removes what was received beyond what was sent, which is forged, and returns the sum.
fn take_forged(flows: &mut [(u64, u64)]) -> u64 {
    let mut sum = 0_u64;
    for (sent, received) in flows {
        sum = sum.saturating_add(received.saturating_sub(*sent));
        *received = (*received).min(*sent);
    }
    sum
}

impl CellResult {
    /// Combines both ends; without the receivers', arrivals are unknown.
    pub fn of(tx: TxResult, rx: Option<RxResult>, ends: Topology) -> Self {
        let one_ended = rx.is_none();
        let rx = rx.unwrap_or_default();
        // A worker that gave up did not know of what came back later.
        let is_unreachable = tx.unreachable && rx.tally.received == 0;
        let received = rx.flows.iter().copied().chain(std::iter::repeat(0));
        let mut flows: Vec<(u64, u64)> = tx.flows.iter().copied().zip(received).collect();
        let ours = !one_ended && rx.exchange.is_none();
        let forged = if ours { take_forged(&mut flows) } else { 0 };
        let mut rx_tally = rx.tally;
        rx_tally.received = rx_tally.received.saturating_sub(forged);
        rx_tally.corrupt = rx_tally.corrupt.saturating_add(forged);
        let (segments_at_first, segments_at_last) = tx.segments.unzip();
        let super_packets = SuperPackets {
            segments_at_first,
            segments_at_last,
            taken_whole: rx.takes_super_packets,
        };
        Self {
            elapsed: tx.end,
            flows,
            workers: rx.workers,
            exchange: rx.exchange,
            one_ended,
            tx: tx.tally,
            rx: rx_tally,
            super_packets,
            kernel: rx.kernel,
            tx_kernel: (ends != Topology::SameNetns || one_ended).then_some(tx.kernel),
            ends,
            tx_usage: tx.usage,
            rx_usage: rx.usage,
            sockets: Sockets { send_buffer: tx.buffer, receive_buffer: rx.buffer },
            legs: LatencyBreakdown::of(&tx.samples, &rx.samples, rx.latency.bound).map(Box::new),
            latency: rx.latency,
            timing: tx.timing,
            jitter: rx.jitter.0.0.checked_div(rx.jitter.1).map(Nanos),
            tx_stalls: tx.stalls,
            rx_stalls: rx.stalls,
            stolen: match (tx.stolen, rx.stolen) {
                (Some(a), Some(b)) if ends == Topology::Remote => Some(a + b),
                (one, other) => one.or(other),
            },
            warmup: (0, 0),
            cut_short: match (tx.stuck, tx.stopped) {
                (true, _) if is_unreachable => Some(CutShort::Unreachable),
                (true, _) => Some(CutShort::Stuck),
                (_, true) => Some(CutShort::Interrupted),
                _ => None,
            },
            outages: tx.outages,
        }
    }

    /// Rate of datagrams due in the senders' window and received at any time; `None` if the window
    /// has no length. Without receivers, the rate sent.
    pub fn delivered_pps(&self) -> Option<f64> {
        let count = if self.one_ended { self.tx.sent } else { self.rx.received };
        self.per_second(count as f64)
    }

    /// `count` per second of the senders' window; `None` if it has no length.
    pub fn per_second(&self, count: f64) -> Option<f64> {
        (self.elapsed > Nanos::ZERO).then(|| count / self.elapsed.as_secs_f64())
    }

    /// Whether most datagrams were sent in super-packets that were cut on the way.
    pub fn was_cut(&self) -> bool {
        PacketCounts {
            sent: self.tx.sent,
            packets_sent: self.tx.packets,
            arrived: self.rx.arrived,
            packets_received: self.rx.packets,
            uncut: self.rx.uncut,
        }
        .were_cut(self.ends)
    }

    /// Every datagram by outcome.
    pub fn ledger(&self) -> LedgerCounts {
        let whole = self.super_packets.taken_whole;
        LedgerCounts::attribute_losses(&self.tx, &self.rx, &self.kernels(), whole)
    }

    /// The kernel counters of both ends.
    pub fn kernels(&self) -> Kernels {
        let server =
            self.exchange.map(|asked| Server { receive_buffer: self.drops_of_server(&asked) });
        Kernels { rx: self.kernel, tx: self.tx_kernel, ends: self.ends, server }
    }

    /// Drops at receive buffers of this network namespace that may be those of the server of
    /// requests: drops without ours, and without those that other traffic may have had.
    fn drops_of_server(&self, asked: &RequestCounts) -> Option<u64> {
        let udp =
            self.kernel.udp.filter(|_| self.ends == Topology::SameNetns && !self.one_ended)?;
        let here = self.kernel.sockets.unwrap_or(0);
        let replies = self.rx.arrived + asked.continued + asked.stale;
        let ours = self.tx.sent.saturating_add(replies).saturating_add(here);
        let others = udp.in_datagrams.saturating_add(udp.rcvbuf_errors).saturating_sub(ours);
        Some(udp.rcvbuf_errors.saturating_sub(here).saturating_sub(others))
    }
}

#[cfg(test)]
mod tests;
