//! The ledger: exactly one fate for every datagram.
//!
//! ```text
//! attempted = sent + refused
//! sent      = received + lost
//! lost      = receive_buffer + backlog + device + qdisc + tx_device + checksum + no_port
//!           + rx_ip + reassembly + tx_ip + neighbour + unaccounted
//! arrived   = received + duplicate + late + foreign + corrupt
//! ```

mod attribution;
mod places;

use super::kernel::KernelDelta;
use crate::measure::counters::SendErrorCounts;
pub use places::{DropCounters, DropLocation};

/// Where lost datagrams were lost. `None`: this system does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DropCounts {
    /// The receiving socket's buffer was full.
    pub receive_buffer: Option<u64>,
    /// A CPU's backlog was full, of either host.
    pub backlog: Option<u64>,
    /// An interface of the receiver dropped them.
    pub device: Option<u64>,
    /// A queueing discipline of the sender dropped them without a word: one that keeps queues
    /// short (`fq_codel`), or cut a super-packet and dropped parts of it (tbf, cake). Where it
    /// refuses what comes, `IP_RECVERR` turns that into ENOBUFS, and it was never sent.
    pub qdisc: Option<u64>,
    /// An interface of the sender dropped them.
    pub tx_device: Option<u64>,
    /// The checksum was wrong.
    pub checksum: Option<u64>,
    /// Nobody had bound the port.
    pub no_port: Option<u64>,
    /// The IP layer of the receiver discarded them: wrong headers or addresses, no route back
    /// (reverse path filter).
    pub rx_ip: Option<u64>,
    /// Reassembly at the receiver failed: a fragment was lost, or there was no room for it.
    pub reassembly: Option<u64>,
    /// The IP layer of the sender discarded them without refusing them.
    pub tx_ip: Option<u64>,
    /// The next hop did not answer address resolution, so they never left the sender.
    pub neighbour: Option<u64>,
}

impl DropCounts {
    /// All that have a place.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { receive_buffer, backlog, device, qdisc, tx_device, checksum, .. } = *self;
        let Self { no_port, rx_ip, reassembly, tx_ip, neighbour, .. } = *self;
        let all = [receive_buffer, backlog, device, qdisc, tx_device, checksum];
        let rest = [no_port, rx_ip, reassembly, tx_ip, neighbour];
        all.into_iter().chain(rest).flatten().sum()
    }
}

/// What the kernels at both ends counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kernels {
    /// That of the receivers.
    pub rx: KernelDelta,
    /// That of the senders; `None` where it is the same counters.
    pub tx: Option<KernelDelta>,
    /// How the ends stood to each other.
    pub ends: Topology,
    /// Requests were sent to a server that is not udperf.
    pub server: Option<Server>,
}

/// Kernel counters of requests that a server that is not udperf may have lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Server {
    /// Drops at receive buffers of its network namespace, without those at udperf's sockets and
    /// those that others may have had. `None` if it is in another namespace than udperf.
    pub receive_buffer: Option<u64>,
}

impl From<KernelDelta> for Kernels {
    /// One set of counters for both ends.
    fn from(rx: KernelDelta) -> Self {
        Self { rx, ..Self::default() }
    }
}

impl Kernels {
    /// What was counted at the senders.
    #[must_use]
    pub fn at_senders(&self) -> &KernelDelta {
        self.tx.as_ref().unwrap_or(&self.rx)
    }

    /// Drops at full backlogs, receiver's and sender's. The counter is of a whole host: where both
    /// ends read the same one, the longer reading is all of it. What an interface on the way had
    /// dropped there, it counts as well (kernel: `enqueue_to_backlog`; a veth(4) also what its peer
    /// had), so whatever goes beyond those came by another.
    fn backlogs(&self) -> (Option<u64>, Option<u64>) {
        let (rx, tx) = (self.rx.backlog, self.tx.and_then(|kernel| kernel.backlog));
        let ours = |drops: u64, by: Option<u64>| by.map_or(drops, |by| drops.min(by));
        if self.ends == Topology::Remote {
            return (rx.map(|drops| ours(drops, self.rx.device)), tx);
        }
        let leaving = self.at_senders().tx_device.unwrap_or(0);
        let by = self.rx.device.map(|device| device.saturating_add(leaving));
        (rx.max(tx).map(|drops| ours(drops, by)), None)
    }
}

/// Every datagram of a measurement, by fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Datagrams offered to the system.
    pub attempted: u64,
    /// Datagrams it took.
    pub sent: u64,
    /// Datagrams it refused, by reason.
    pub refused: SendErrorCounts,
    /// Sequence numbers that arrived, each once.
    pub received: u64,
    /// Sequence numbers that did not.
    pub lost: u64,
    /// Where they were lost.
    pub lost_at: DropCounts,
    /// Lost, and nobody knows where.
    pub unaccounted: u64,
    /// Places whose figure is reckoned from packets that held several datagrams, not counted.
    pub estimated: DropCounters,
    /// Places charged from counters that count others' datagrams too, where such counters counted
    /// more than was missing: how much of it is ours, nobody knows.
    pub shared: DropCounters,
    /// Datagrams read, whatever they were.
    pub arrived: u64,
    /// Sequence numbers that arrived again.
    pub duplicate: u64,
    /// Too old to tell.
    pub late: u64,
    /// Received after a higher number.
    pub reordered: u64,
    /// Not ours.
    pub foreign: u64,
    /// Ours by the tag, but not by the rest.
    pub corrupt: u64,
}

impl LedgerCounts {
    /// Which of the four identities does not hold, in words; `None` where all do.
    #[must_use]
    pub fn broken_identity(&self) -> Option<&'static str> {
        // A peer's counts may be anything.
        let sum = |parts: &[u64]| parts.iter().fold(0_u64, |sum, part| sum.saturating_add(*part));
        let Self { received, duplicate, late, foreign, corrupt, .. } = *self;
        let identities = [
            (self.attempted, sum(&[self.sent, self.refused.total()]), "attempted = sent + refused"),
            (self.sent, sum(&[received, self.lost]), "sent = received + lost"),
            (
                self.lost,
                sum(&[self.lost_at.total(), self.unaccounted]),
                "lost = places + unaccounted",
            ),
            (
                self.arrived,
                sum(&[received, duplicate, late, foreign, corrupt]),
                "arrived = received + duplicate + late + foreign + corrupt",
            ),
        ];
        identities.into_iter().find_map(|(all, parts, name)| (all != parts).then_some(name))
    }
}

/// How the two ends of a cell stood to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Topology {
    /// In one network namespace: one set of kernel counters covers both.
    #[default]
    SameNetns,
    /// On one host: each has its own counters, but for those of the whole host.
    SameHost,
    /// On two hosts, and what is between them counts for neither.
    Remote,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::UdpCounters;
    use crate::measure::counters::{RxTally, TxTally};

    fn counters(sockets: u64, no_ports: u64) -> KernelDelta {
        KernelDelta {
            sockets: Some(sockets),
            udp: Some(UdpCounters { no_ports, ..UdpCounters::default() }),
            backlog: Some(0),
            device: Some(0),
            tx_device: Some(0),
            qdisc: Some(0),
            ..KernelDelta::default()
        }
    }

    fn kernel(sockets: u64, no_ports: u64) -> Kernels {
        counters(sockets, no_ports).into()
    }

    #[test]
    fn every_loss_finds_its_place_or_is_unaccounted() {
        let tx = TxTally { sent: 100, packets: 100, ..TxTally::default() };
        let rx = RxTally { arrived: 60, received: 60, ..RxTally::default() };
        let ledger = LedgerCounts::attribute_losses(&tx, &rx, &kernel(30, 4), false);
        assert_eq!(ledger.lost_at.receive_buffer, Some(30));
        assert_eq!(ledger.lost_at.no_port, Some(4));
        assert_eq!(ledger.unaccounted, 6);
        assert_eq!(ledger.broken_identity(), None);
    }

    #[test]
    fn dropped_super_packets_count_by_what_they_held() {
        // 10 packets of 64; the socket took them whole, and dropped 3.
        let tx = TxTally { sent: 640, packets: 10, ..TxTally::default() };
        let rx = RxTally { arrived: 448, received: 448, packets: 7, ..RxTally::default() };
        let ledger = LedgerCounts::attribute_losses(&tx, &rx, &kernel(3, 0), true);
        assert_eq!((ledger.lost_at.receive_buffer, ledger.unaccounted), (Some(192), 0));
        // Two of the three were dropped elsewhere.
        let ledger = LedgerCounts::attribute_losses(&tx, &rx, &kernel(1, 0), true);
        assert_eq!((ledger.lost_at.receive_buffer, ledger.unaccounted), (Some(64), 128));
        let ledger = LedgerCounts::attribute_losses(&tx, &rx, &kernel(1, 1), true);
        assert_eq!((ledger.lost_at.no_port, ledger.unaccounted), (Some(64), 64));
        assert_eq!(ledger.broken_identity(), None);
    }

    #[test]
    fn a_socket_that_cuts_super_packets_drops_datagrams() {
        let tx = TxTally { sent: 640, packets: 10, ..TxTally::default() };
        let rx = RxTally { arrived: 500, received: 500, packets: 500, ..RxTally::default() };
        let ledger = LedgerCounts::attribute_losses(&tx, &rx, &kernel(12, 2), false);
        assert_eq!(ledger.lost_at.receive_buffer, Some(12));
        assert_eq!((ledger.lost_at.no_port, ledger.unaccounted), (Some(128), 0));
        let ledger = LedgerCounts::attribute_losses(&tx, &rx, &kernel(11, 0), false);
        assert_eq!(ledger.unaccounted, 129);
        assert_eq!(ledger.broken_identity(), None);
    }

    #[test]
    fn the_senders_host_is_charged_what_the_receivers_does_not_explain() {
        let mut tx = TxTally { sent: 100, packets: 100, ..TxTally::default() };
        tx.refused.no_buffers = 7;
        let rx = RxTally { arrived: 40, received: 40, ..RxTally::default() };
        let here = KernelDelta {
            qdisc: Some(7 + 20),
            tx_device: Some(5),
            backlog: Some(3),
            ..KernelDelta::default()
        };
        let there = KernelDelta { backlog: Some(2), device: Some(2 + 4), ..counters(10, 0) };
        let kernels = |ends| Kernels { tx: Some(here), ends, ..Kernels::from(there) };
        let attribute_losses =
            |ends| LedgerCounts::attribute_losses(&tx, &rx, &kernels(ends), false);
        let across = attribute_losses(Topology::Remote);
        let at = across.lost_at;
        assert_eq!((at.receive_buffer, at.device, at.backlog), (Some(10), Some(4), Some(5)));
        // Three of the five were the backlog's of the same host already.
        assert_eq!((at.qdisc, at.tx_device, across.unaccounted), (Some(20), Some(2), 19));
        assert_eq!(across.broken_identity(), None);
        // Two readings of one counter: the longer one counts, and both interfaces count it again.
        let apart = attribute_losses(Topology::SameHost);
        let at = apart.lost_at;
        assert_eq!((at.backlog, at.device, at.tx_device), (Some(3), Some(3), Some(2)));
        assert_eq!((at.qdisc, apart.unaccounted), (Some(20), 22));
        assert_eq!(apart.broken_identity(), None);
    }

    #[test]
    fn a_queue_that_cuts_super_packets_drops_datagrams() {
        let tx = TxTally { sent: 640, packets: 10, ..TxTally::default() };
        let rx = RxTally { arrived: 500, received: 500, packets: 500, ..RxTally::default() };
        let dropped = |qdisc| Kernels::from(KernelDelta { qdisc, ..counters(0, 0) });
        let ledger = LedgerCounts::attribute_losses(&tx, &rx, &dropped(Some(99)), false);
        assert_eq!((ledger.lost_at.qdisc, ledger.unaccounted), (Some(99), 41));
        let ledger = LedgerCounts::attribute_losses(&tx, &rx, &dropped(None), false);
        assert_eq!((ledger.lost_at.qdisc, ledger.unaccounted), (None, 140));
        let single = TxTally { packets: 640, ..tx };
        let ledger = LedgerCounts::attribute_losses(&single, &rx, &dropped(None), false);
        assert_eq!(ledger.lost_at.qdisc, Some(0));
    }

    #[test]
    fn across_hosts_packets_are_the_receivers_own() {
        // 10 of 64 left; they came as single datagrams, and were joined by sixteens.
        let tx = TxTally { sent: 640, packets: 10, ..TxTally::default() };
        let rx = RxTally { arrived: 480, received: 480, packets: 30, ..RxTally::default() };
        let kernels = Kernels { ends: Topology::Remote, ..kernel(9, 5) };
        let ledger = LedgerCounts::attribute_losses(&tx, &rx, &kernels, true);
        assert_eq!((ledger.lost_at.receive_buffer, ledger.lost_at.no_port), (Some(144), Some(5)));
        assert_eq!((ledger.unaccounted, ledger.broken_identity()), (11, None));
    }

    #[test]
    fn foreign_drops_are_not_charged_to_us() {
        let tx = TxTally { sent: 100, packets: 100, ..TxTally::default() };
        let rx = RxTally { arrived: 99, received: 99, ..RxTally::default() };
        let ledger = LedgerCounts::attribute_losses(&tx, &rx, &kernel(50, 50), false);
        assert_eq!(ledger.lost_at.total(), 1);
        assert_eq!(ledger.unaccounted, 0);
        assert_eq!(ledger.broken_identity(), None);
    }

    #[test]
    fn without_kernel_counters_all_loss_is_unaccounted() {
        let tx = TxTally { sent: 5, ..TxTally::default() };
        let ledger =
            LedgerCounts::attribute_losses(&tx, &RxTally::default(), &Kernels::default(), false);
        assert_eq!(ledger.unaccounted, 5);
        assert_eq!(ledger.lost_at.receive_buffer, None);
        assert_eq!(ledger.broken_identity(), None);
    }

    #[test]
    fn a_broken_identity_is_named() {
        let ledger = LedgerCounts { sent: 1, attempted: 1, ..LedgerCounts::default() };
        assert_eq!(ledger.broken_identity(), Some("sent = received + lost"));
    }
}
