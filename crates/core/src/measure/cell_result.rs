//! The result of one cell.

use serde::{Deserialize, Serialize};

use super::ledger::sent_only;
use super::{
    Kernels, LatencyBreakdown, RequestCounts, RxResult, Server, ServerReadings, Topology, TxResult,
    attribute_losses,
};
use crate::document::{Ledger, LostAt};
use crate::unit::Nanos;

/// Why a cell ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CutShort {
    /// It was stopped from outside.
    Interrupted,
    /// No datagram could be sent for 2 s, and a count was to be reached.
    Stuck,
    /// The target could not be reached, and never was.
    Unreachable,
    /// The other end of the run was lost; see [`CellResult::senders_lost`].
    PeerLost,
    /// A process of a run by several was lost or failed, so that its part is missing.
    MemberLost,
}

/// All that was measured in one cell, merged over its workers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CellResult {
    /// The senders; [`TxResult::end`] is the length of the cell.
    pub tx: TxResult,
    /// The receivers. If they are unknown, only outcomes of requests may be set.
    pub rx: RxResult,
    /// Whether the receivers are unknown, and so what became of the datagrams sent.
    pub one_ended: bool,
    /// Where the two ends are.
    pub ends: Topology,
    /// Latency breakdown of a sample; `None` without timestamps of both kernels.
    #[serde(skip)]
    pub breakdown: Option<Box<LatencyBreakdown>>,
    /// What the processes of the server used; `None` without observation.
    #[serde(skip)]
    pub server: Option<Box<ServerReadings>>,
    /// Datagrams sent and lost in warm-up.
    pub warmup: (u64, u64),
    /// Why it ended before its time, if it did.
    pub cut_short: Option<CutShort>,
    /// The sum of the ledgers of the processes whose results these are; `None`: of one process.
    pub members_ledger: Option<Ledger>,
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
    /// super-packets that arrive were never split. A receiver on another host may have joined
    /// segments that were split on the way (GRO); its packets are then smaller than the sender's:
    /// GRO joins 64 datagrams at most (`UDP_GRO_CNT_MAX`), and only what one poll of the device
    /// found.
    pub fn are_unsplit(&self, ends: Topology) -> bool {
        let mean = |datagrams: u64, packets: u64| datagrams as f64 / packets.max(1) as f64;
        let (sent, received) =
            (mean(self.sent, self.packets_sent), mean(self.arrived, self.packets_received));
        let joined = ends == Topology::Remote && received < SAME_PACKETS * sent;
        self.packets_sent < self.sent && self.uncut > self.arrived / 2 && !joined
    }

    /// Whether most of them were sent in super-packets, and these were split on the way. If most
    /// were sent one by one, neither this nor [`Self::are_unsplit`] holds.
    pub fn were_split(&self, ends: Topology) -> bool {
        self.packets_sent < self.sent / 2 && self.arrived > 0 && !self.are_unsplit(ends)
    }
}

/// A receiver's packets count as the sender's if they hold at least this share of its datagrams:
/// lost packets and the shorter last one of a phase change the mean. Arbitrary.
const SAME_PACKETS: f64 = 0.99;

impl CellResult {
    /// Combines both ends; without receivers, arrivals are unknown.
    pub fn of(mut tx: TxResult, rx: Option<RxResult>, ends: Topology) -> Self {
        let one_ended = rx.is_none();
        let mut rx = rx.unwrap_or_default();
        let cut_short = match (tx.stuck, tx.stopped) {
            // A worker that gave up did not know of replies that came later.
            (true, _) if tx.unreachable && rx.tally.received == 0 => Some(CutShort::Unreachable),
            (true, _) => Some(CutShort::Stuck),
            (_, true) => Some(CutShort::Interrupted),
            _ => None,
        };
        if rx.exchange.is_none() {
            remove_forged(&tx, &mut rx);
        }
        let (sent, received) = (std::mem::take(&mut tx.samples), std::mem::take(&mut rx.samples));
        let breakdown = LatencyBreakdown::of(&sent, &received, rx.latency.bound).map(Box::new);
        let (members_ledger, server) = (None, None);
        let warmup = (0, 0);
        Self { tx, rx, one_ended, ends, breakdown, server, warmup, cut_short, members_ledger }
    }

    /// Datagrams sent and received by flow.
    pub fn flows(&self) -> Vec<(u64, u64)> {
        let received = self.rx.flows.iter().copied().chain(std::iter::repeat(0));
        self.tx.flows.iter().copied().zip(received).collect()
    }

    /// RFC 3550 jitter, mean over flows; `None` if no flow received two datagrams.
    pub fn jitter(&self) -> Option<Nanos> {
        let (sum, flows) = self.rx.jitter;
        sum.0.checked_div(flows).map(Nanos)
    }

    /// Time that hypervisors took from the CPUs of all hosts during the cell.
    pub fn stolen(&self) -> Option<Nanos> {
        match (self.tx.stolen, self.rx.stolen) {
            (Some(tx), Some(rx)) if self.ends == Topology::Remote => Some(tx + rx),
            (tx, rx) => tx.or(rx),
        }
    }

    /// Rate of datagrams due in the senders' window and received at any time; `None` if the window
    /// has no length. Without receivers, the rate sent.
    pub fn delivered_pps(&self) -> Option<f64> {
        let count = if self.one_ended { self.tx.tally.sent } else { self.rx.tally.received };
        self.per_second(count as f64)
    }

    /// `count` per second of the senders' window; `None` if it has no length.
    pub fn per_second(&self, count: f64) -> Option<f64> {
        (self.tx.end > Nanos::ZERO).then(|| count / self.tx.end.as_secs_f64())
    }

    /// Whether most datagrams were sent in super-packets that were split on the way.
    pub fn was_split(&self) -> bool {
        let (tx, rx) = (&self.tx.tally, &self.rx.tally);
        PacketCounts {
            sent: tx.sent,
            packets_sent: tx.packets,
            arrived: rx.arrived,
            packets_received: rx.packets,
            uncut: rx.uncut,
        }
        .were_split(self.ends)
    }

    /// Whether the senders are unknown, except for what sequence numbers showed: they
    /// were on a host that was lost.
    pub fn senders_lost(&self) -> bool {
        self.cut_short == Some(CutShort::PeerLost) && !self.one_ended
    }

    /// Every datagram by outcome.
    pub fn ledger(&self) -> Ledger {
        if let Some(ledger) = &self.members_ledger {
            return ledger.clone();
        }
        let (tx, rx) = (&self.tx.tally, &self.rx.tally);
        if self.one_ended {
            return sent_only(tx);
        }
        let ledger = attribute_losses(tx, rx, &self.kernels(), self.rx.takes_super_packets);
        if self.senders_lost() {
            let (lost, unaccounted, lost_at) = (None, None, LostAt::default());
            return Ledger { lost, unaccounted, lost_at, estimated: None, shared: None, ..ledger };
        }
        ledger
    }

    /// The kernel counters of both ends.
    pub fn kernels(&self) -> Kernels {
        let drops = |requests| Server { receive_buffer: self.drops_of_server(requests) };
        let apart = self.ends != Topology::SameNetns || self.one_ended;
        Kernels {
            rx: self.rx.kernel,
            tx: apart.then_some(self.tx.kernel),
            ends: self.ends,
            server: self.rx.exchange.as_ref().map(drops),
        }
    }

    /// Drops at receive buffers of this network namespace that may be those of the server of
    /// requests: drops without those at udperf's sockets, and without those that other traffic may
    /// have had.
    fn drops_of_server(&self, requests: &RequestCounts) -> Option<u64> {
        let kernel = &self.rx.kernel;
        let udp = kernel.udp.filter(|_| self.ends == Topology::SameNetns && !self.one_ended)?;
        let here = kernel.sockets.unwrap_or(0);
        let replies = self.rx.tally.arrived + requests.continued + requests.stale;
        let ours = self.tx.tally.sent.saturating_add(replies).saturating_add(here);
        let others = udp.in_datagrams.saturating_add(udp.rcvbuf_errors).saturating_sub(ours);
        Some(udp.rcvbuf_errors.saturating_sub(here).saturating_sub(others))
    }
}

/// Counts datagrams received beyond those sent as corrupt: they are forged.
fn remove_forged(tx: &TxResult, rx: &mut RxResult) {
    for (received, &sent) in rx.flows.iter_mut().zip(&tx.flows) {
        let forged = received.saturating_sub(sent);
        *received -= forged;
        rx.tally.received = rx.tally.received.saturating_sub(forged);
        rx.tally.corrupt = rx.tally.corrupt.saturating_add(forged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Outage;
    use crate::measure::OneWay;

    #[test]
    fn counts_forged_datagrams_as_corrupt() {
        let tx = TxResult { flows: vec![7, 5, 3], ..TxResult::default() };
        let mut rx = RxResult { flows: vec![8, 4, 3], ..RxResult::default() };
        (rx.tally.received, rx.tally.arrived) = (15, 15);
        let result = CellResult::of(tx, Some(rx), Topology::Remote);
        assert_eq!(result.flows(), [(7, 7), (5, 4), (3, 3)]);
        let rx = result.rx.tally;
        assert_eq!((rx.received, rx.corrupt, rx.arrived), (14, 1, 15));
    }

    #[test]
    fn what_lost_senders_sent_beyond_what_numbers_showed_is_unknown() {
        let (flows, numbered) = (vec![7, 5], vec![10, 5]);
        let mut rx = RxResult { flows, numbered, ..RxResult::default() };
        (rx.tally.received, rx.tally.arrived, rx.tally.duplicate) = (12, 13, 1);
        let tx = TxResult::at_least(&rx, Nanos(9));
        let cut_short = Some(CutShort::PeerLost);
        let both =
            CellResult { cut_short, ..CellResult::of(tx.clone(), Some(rx), Topology::Remote) };
        let ledger = both.ledger();
        assert_eq!((ledger.sent, ledger.received, ledger.arrived), (15, Some(12), Some(13)));
        assert_eq!(
            (ledger.lost, ledger.unaccounted, ledger.lost_at),
            (None, None, LostAt::default())
        );
        // If the receivers were lost instead, the senders are known.
        let one = CellResult { cut_short, ..CellResult::of(tx, None, Topology::Remote) };
        assert!(both.senders_lost() && !one.senders_lost());
    }

    #[test]
    fn super_packets_are_not_split_if_packets_arrive_as_they_were_sent() {
        let segments = |packets_received, uncut| PacketCounts {
            sent: 12_800,
            packets_sent: 100,
            arrived: 12_800,
            packets_received,
            uncut,
        };
        for ends in [Topology::SameNetns, Topology::SameHost, Topology::Remote] {
            let single = PacketCounts { packets_sent: 12_800, ..segments(100, 12_800) };
            // Joined by the receiver if that is another host.
            let is_joined = ends == Topology::Remote;
            for (counts, are_unsplit, were_split) in [
                (segments(100, 12_800), true, false),
                (segments(12_800, 0), false, true),
                (single, false, false),
                (segments(260, 12_800), !is_joined, is_joined),
            ] {
                let found = (counts.are_unsplit(ends), counts.were_split(ends));
                assert_eq!(found, (are_unsplit, were_split), "{ends:?}: {counts:?}");
            }
        }
        let lossy =
            PacketCounts { arrived: 6_390, packets_received: 50, uncut: 6_390, ..segments(0, 0) };
        assert!(lossy.are_unsplit(Topology::Remote));
        assert!(!PacketCounts::default().are_unsplit(Topology::SameNetns));
    }

    #[test]
    fn an_earlier_outage_is_not_why_a_sender_gave_up() {
        for (unreachable, received, expected) in [
            (false, 0, CutShort::Stuck),
            (true, 0, CutShort::Unreachable),
            (true, 1, CutShort::Stuck),
        ] {
            let outages = vec![Outage::default()];
            let tx = TxResult { stuck: true, unreachable, outages, ..TxResult::default() };
            let mut rx = RxResult::default();
            rx.tally.received = received;
            let result = CellResult::of(tx, Some(rx), Topology::SameNetns);
            assert_eq!(result.cut_short, Some(expected));
        }
    }

    #[test]
    fn merges_latencies_with_the_wider_bound() {
        let mut one = OneWay::default();
        one.from_schedule.record(1_500);
        one.in_socket.record(100);
        let mut one = one.shifted(-1_000, Nanos(12));
        assert_eq!((one.from_schedule.min_ns(), one.in_socket.min_ns()), (Some(500), Some(100)));
        for (bound, expected) in [(7, 12), (30, 30), (7, 30)] {
            one.merge(&OneWay { bound: Nanos(bound), ..OneWay::default() });
            assert_eq!(one.bound, Nanos(expected));
        }
    }
}
