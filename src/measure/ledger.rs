//! The ledger: exactly one fate for every datagram.
//!
//! ```text
//! attempted = sent + refused
//! sent      = received + lost
//! lost      = receive_buffer + backlog + device + qdisc + checksum + no_port + unaccounted
//! arrived   = received + duplicate + late + foreign + corrupt
//! ```

use super::kernel::KernelDelta;
use super::tally::{Refused, RxTally, TxTally};

/// Where lost datagrams were lost. `None`: this system does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LostAt {
    /// The receiving socket's buffer was full.
    pub receive_buffer: Option<u64>,
    /// A CPU's backlog was full.
    pub backlog: Option<u64>,
    /// An interface dropped them.
    pub device: Option<u64>,
    /// A queueing discipline dropped them. With `IP_RECVERR` on, such a send is refused with
    /// ENOBUFS instead, so of our own this is 0; unknown where super-packets were sent, which one
    /// may cut and drop in part without a word (tbf, cake).
    pub qdisc: Option<u64>,
    /// The checksum was wrong.
    pub checksum: Option<u64>,
    /// Nobody had bound the port.
    pub no_port: Option<u64>,
}

impl LostAt {
    /// All that have a place.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.receive_buffer, self.backlog, self.device, self.qdisc, self.checksum, self.no_port]
            .into_iter()
            .flatten()
            .sum()
    }
}

/// Every datagram of a measurement, by fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Datagrams offered to the system.
    pub attempted: u64,
    /// Datagrams it took.
    pub sent: u64,
    /// Datagrams it refused, by reason.
    pub refused: Refused,
    /// Sequence numbers that arrived, each once.
    pub received: u64,
    /// Sequence numbers that did not.
    pub lost: u64,
    /// Where they were lost.
    pub lost_at: LostAt,
    /// Lost, and nobody knows where.
    pub unaccounted: u64,
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

impl Ledger {
    /// Settles what both ends counted with what the kernel counted. A place is charged with no
    /// more than is still missing, nearest to the receiver first: the socket's own counter is
    /// exact, those of the namespace may include others' datagrams.
    ///
    /// The kernel counts a super-packet as one wherever it drops it before it is cut;
    /// `taken_whole`: also at the receiving socket, which then gets it whole.
    #[must_use]
    pub fn settle(tx: &TxTally, rx: &RxTally, kernel: &KernelDelta, taken_whole: bool) -> Self {
        let lost = tx.sent.saturating_sub(rx.received);
        let mut missing = Missing::of(tx, rx, lost, taken_whole);
        let udp = kernel.udp;
        // A socket's drop counter also counts what failed its checksum.
        let csum_errors = udp.map_or(0, |udp| udp.in_csum_errors);
        let at_socket = kernel.sockets.map(|drops| drops.saturating_sub(csum_errors));
        let receive_buffer = at_socket.map(|drops| {
            if taken_whole { missing.charge(drops) } else { missing.charge_datagrams(drops) }
        });
        let mut charge = |count: Option<u64>| Some(missing.charge(count?));
        let no_port = charge(udp.map(|udp| udp.no_ports));
        let checksum = charge(udp.map(|udp| udp.in_csum_errors));
        let backlog = charge(kernel.backlog);
        // What a full backlog drops, the interface it came by counts again.
        let backlog_drops = kernel.backlog.unwrap_or(0);
        let device = charge(kernel.device.map(|drops| drops.saturating_sub(backlog_drops)));
        // With IP_RECVERR a full queue refuses the send, unless it cuts super-packets itself: then
        // it takes one and drops parts of it without a word.
        let qdisc = udp.filter(|_| tx.packets == tx.sent).map(|_| 0);
        let lost_at = LostAt { receive_buffer, backlog, device, qdisc, checksum, no_port };
        Self {
            attempted: tx.sent + tx.refused.total(),
            sent: tx.sent,
            refused: tx.refused,
            received: rx.received,
            lost,
            lost_at,
            unaccounted: missing.datagrams,
            arrived: rx.arrived,
            duplicate: rx.duplicate,
            late: rx.late,
            reordered: rx.reordered,
            foreign: rx.foreign,
            corrupt: rx.corrupt,
        }
    }

    /// Which of the four identities does not hold, in words; `None` where all do.
    #[must_use]
    pub fn broken_identity(&self) -> Option<&'static str> {
        let identities = [
            (self.attempted == self.sent + self.refused.total(), "attempted = sent + refused"),
            (self.sent == self.received + self.lost, "sent = received + lost"),
            (self.lost == self.lost_at.total() + self.unaccounted, "lost = places + unaccounted"),
            (
                self.arrived
                    == self.received + self.duplicate + self.late + self.foreign + self.corrupt,
                "arrived = received + duplicate + late + foreign + corrupt",
            ),
        ];
        identities.into_iter().find_map(|(holds, name)| (!holds).then_some(name))
    }
}

/// Datagrams that are missing, and how the kernel would count them.
#[derive(Debug, Clone, Copy)]
struct Missing {
    datagrams: u64,
    /// The packets that they left in, where packets stay whole up to the receiver.
    packets: Option<u64>,
    /// Datagrams sent, and in how many packets.
    sent: (u64, u64),
}

impl Missing {
    fn of(tx: &TxTally, rx: &RxTally, datagrams: u64, taken_whole: bool) -> Self {
        let packets = taken_whole.then(|| tx.packets.saturating_sub(rx.packets));
        Self { datagrams, packets, sent: (tx.sent, tx.packets) }
    }

    /// Charges so many packets with what they held. Where packets stay whole, all that are missing
    /// hold all that is missing, and some of them their share; otherwise each counts as many
    /// datagrams as the mean packet. Either is exact where all packets of a cell are of one
    /// length, and that is every flat-out one but for its last.
    fn charge(&mut self, packets: u64) -> u64 {
        let held = match &mut self.packets {
            Some(missing) => {
                let all = packets > 0 && packets >= *missing;
                let held =
                    if all { self.datagrams } else { scale(self.datagrams, packets, *missing) };
                *missing = missing.saturating_sub(packets);
                held
            }
            None => scale(packets, self.sent.0, self.sent.1),
        };
        self.charge_datagrams(held)
    }

    /// Charges so many datagrams.
    fn charge_datagrams(&mut self, count: u64) -> u64 {
        let charged = count.min(self.datagrams);
        self.datagrams -= charged;
        charged
    }
}

/// `value` × `part` / `whole`, rounded up; 0 of nothing.
fn scale(value: u64, part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 0;
    }
    let scaled = (u128::from(value) * u128::from(part)).div_ceil(u128::from(whole));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::UdpCounters;

    fn kernel(sockets: u64, no_ports: u64) -> KernelDelta {
        KernelDelta {
            sockets: Some(sockets),
            udp: Some(UdpCounters { no_ports, ..UdpCounters::default() }),
            backlog: Some(0),
            device: Some(0),
        }
    }

    #[test]
    fn every_loss_finds_its_place_or_is_unaccounted() {
        let tx = TxTally { sent: 100, packets: 100, ..TxTally::default() };
        let rx = RxTally { arrived: 60, received: 60, ..RxTally::default() };
        let ledger = Ledger::settle(&tx, &rx, &kernel(30, 4), false);
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
        let ledger = Ledger::settle(&tx, &rx, &kernel(3, 0), true);
        assert_eq!((ledger.lost_at.receive_buffer, ledger.unaccounted), (Some(192), 0));
        // Two of the three were dropped elsewhere.
        let ledger = Ledger::settle(&tx, &rx, &kernel(1, 0), true);
        assert_eq!((ledger.lost_at.receive_buffer, ledger.unaccounted), (Some(64), 128));
        let ledger = Ledger::settle(&tx, &rx, &kernel(1, 1), true);
        assert_eq!((ledger.lost_at.no_port, ledger.unaccounted), (Some(64), 64));
        assert_eq!(ledger.broken_identity(), None);
    }

    #[test]
    fn a_socket_that_cuts_super_packets_drops_datagrams() {
        let tx = TxTally { sent: 640, packets: 10, ..TxTally::default() };
        let rx = RxTally { arrived: 500, received: 500, packets: 500, ..RxTally::default() };
        let ledger = Ledger::settle(&tx, &rx, &kernel(12, 2), false);
        assert_eq!(ledger.lost_at.receive_buffer, Some(12));
        assert_eq!((ledger.lost_at.no_port, ledger.unaccounted), (Some(128), 0));
        let ledger = Ledger::settle(&tx, &rx, &kernel(11, 0), false);
        assert_eq!(ledger.unaccounted, 129);
        assert_eq!(ledger.broken_identity(), None);
    }

    #[test]
    fn foreign_drops_are_not_charged_to_us() {
        let tx = TxTally { sent: 100, packets: 100, ..TxTally::default() };
        let rx = RxTally { arrived: 99, received: 99, ..RxTally::default() };
        let ledger = Ledger::settle(&tx, &rx, &kernel(50, 50), false);
        assert_eq!(ledger.lost_at.total(), 1);
        assert_eq!(ledger.unaccounted, 0);
        assert_eq!(ledger.broken_identity(), None);
    }

    #[test]
    fn without_kernel_counters_all_loss_is_unaccounted() {
        let tx = TxTally { sent: 5, ..TxTally::default() };
        let ledger = Ledger::settle(&tx, &RxTally::default(), &KernelDelta::default(), false);
        assert_eq!(ledger.unaccounted, 5);
        assert_eq!(ledger.lost_at.receive_buffer, None);
        assert_eq!(ledger.broken_identity(), None);
    }

    #[test]
    fn a_broken_identity_is_named() {
        let ledger = Ledger { sent: 1, attempted: 1, ..Ledger::default() };
        assert_eq!(ledger.broken_identity(), Some("sent = received + lost"));
    }
}
