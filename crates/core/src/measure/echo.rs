//! Counters of an echo server, and of the addresses that datagrams came from.

use std::net::{IpAddr, SocketAddr};

use super::{LatencyHistograms, SendErrorCounts, ServerIntervals, ServerSums, combine};
use crate::unit::{Nanos, hash_u64};

/// Counters of the engine of an echo server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "`document::EchoDocument` describes the fields")]
pub struct EchoCounters {
    pub received: u64,
    pub received_bytes: u64,
    pub packets: u64,
    pub truncated: u64,
    pub returned: u64,
    pub returned_bytes: u64,
    pub refused: SendErrorCounts,
    /// `told_unreachable`: ICMP errors for replies, which still count as returned.
    pub queued_errors: u64,
    pub cut: u64,
    pub syscalls: u64,
    pub empty: u64,
    pub errors: u64,
}

impl EchoCounters {
    fn merge(&mut self, other: &Self) {
        add_counts!(self, other; received, received_bytes, packets, truncated, returned);
        add_counts!(self, other; returned_bytes, queued_errors, cut, syscalls, empty, errors);
        self.refused.merge(&other.refused);
    }

    /// What intervals have of them, and the drops at the socket.
    pub fn sums(&self, socket_drops: u64) -> ServerSums {
        let Self { received, received_bytes, returned, .. } = *self;
        [received, received_bytes, returned, self.refused.total(), socket_drops]
    }
}

/// Counters of an echo server. Each received datagram has one outcome: `received` = `returned` +
/// `refused` + `dropped` + `unanswered` + `overflow` + `waiting`. Moments are of the monotonic
/// clock.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "`document::EchoDocument` describes the fields")]
pub struct EchoTally {
    pub counters: EchoCounters,
    pub dropped: u64,
    pub unanswered: u64,
    pub overflow: u64,
    pub waiting: u64,
    pub lateness: LatencyHistograms,
    pub socket_drops: Option<u64>,
    pub active: Option<(Nanos, Nanos)>,
    pub cpu: Option<Nanos>,
    pub clients: Clients,
    pub by_worker: Vec<u64>,
    pub time: (Nanos, Nanos),
    pub intervals: ServerIntervals,
}

impl EchoTally {
    /// Adds another worker, after those added before.
    pub fn merge(&mut self, other: Self) {
        let first = self.by_worker.is_empty();
        self.counters.merge(&other.counters);
        add_counts!(self, other; dropped, unanswered, overflow, waiting);
        self.lateness.merge(&other.lateness);
        // A sum with an unknown part is unknown.
        let sum = |a: Option<u64>, b: Option<u64>| if first { b } else { Some(a? + b?) };
        self.socket_drops = sum(self.socket_drops, other.socket_drops);
        self.cpu = sum(self.cpu.map(|cpu| cpu.0), other.cpu.map(|cpu| cpu.0)).map(Nanos);
        let both = |(a, b): (Nanos, Nanos), (c, d)| (a.min(c), b.max(d));
        self.active = combine(self.active, other.active, both);
        self.clients.merge(&other.clients);
        self.by_worker.push(other.counters.received);
        self.intervals.counts.merge(&other.intervals.counts);
    }
}

/// Maximum number of addresses counted. Arbitrary: as many as a sink lists.
const MOST: usize = 4_096;
/// Slots for those: twice as many, so that the second probe finds one on average (Knuth, The Art of
/// Computer Programming, 6.4: linear probing).
const PLACES: usize = 2 * MOST;

/// The addresses that were seen, by hashes of 63 bits (0: a free slot): two of all that are counted
/// collide in one of 2⁴⁰ runs.
#[derive(Debug, Clone)]
pub struct Clients {
    seen: Box<[u64]>,
    count: usize,
    more: bool,
    last: Option<SocketAddr>,
}

impl Default for Clients {
    fn default() -> Self {
        Self { seen: vec![0; PLACES].into_boxed_slice(), count: 0, more: false, last: None }
    }
}

impl Clients {
    /// Counts an address.
    #[inline]
    pub fn note(&mut self, from: SocketAddr) {
        if self.last != Some(from) {
            self.last = Some(from);
            self.add(hash(from));
        }
    }

    fn add(&mut self, hash: u64) {
        let mut at = hash as usize % PLACES;
        while self.seen[at] != 0 {
            if self.seen[at] == hash {
                return;
            }
            at = (at + 1) % PLACES;
        }
        if self.count == MOST {
            self.more = true;
            return;
        }
        self.seen[at] = hash;
        self.count += 1;
    }

    /// How many there were, as far as they are counted.
    pub const fn count(&self) -> u64 {
        self.count as u64
    }

    /// Whether there were more.
    pub const fn more(&self) -> bool {
        self.more
    }

    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        other.seen.iter().filter(|&&hash| hash != 0).for_each(|&hash| self.add(hash));
        self.more |= other.more;
    }
}

/// Never 0. An address of IPv4 is the same in the form in which IPv6 has it.
#[inline]
const fn hash(from: SocketAddr) -> u64 {
    let ip = match from.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let low = hash_u64(ip as u64 ^ hash_u64(from.port() as u64 + 1));
    hash_u64((ip >> 64) as u64 ^ low) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_workers_and_keeps_unknown_counts_unknown() {
        let worker = |received, socket_drops, active| EchoTally {
            counters: EchoCounters { received, ..EchoCounters::default() },
            socket_drops,
            active,
            ..EchoTally::default()
        };
        let mut sum = EchoTally::default();
        sum.merge(worker(3, Some(1), Some((Nanos(5), Nanos(9)))));
        sum.merge(worker(4, Some(2), None));
        assert_eq!((sum.counters.received, sum.socket_drops), (7, Some(3)));
        sum.merge(worker(1, None, Some((Nanos(2), Nanos(6)))));
        assert_eq!((sum.counters.received, sum.socket_drops), (8, None));
        assert_eq!((sum.active, sum.by_worker), (Some((Nanos(2), Nanos(9))), vec![3, 4, 1]));
    }

    #[test]
    fn counts_each_address_once() {
        let mut clients = Clients::default();
        for (address, count) in [
            ("192.0.2.1:1", 1),
            ("192.0.2.1:1", 1),
            ("192.0.2.1:2", 2),
            ("192.0.2.1:1", 2),
            ("[::ffff:192.0.2.1]:2", 2),
            ("[2001:db8::1]:2", 3),
            ("192.0.2.2:2", 4),
        ] {
            clients.note(address.parse().unwrap());
            assert_eq!((clients.count(), clients.more()), (count, false), "{address}");
        }
        let many = |ports: std::ops::RangeInclusive<u16>| {
            let mut clients = Clients::default();
            ports.for_each(|port| clients.note(([192, 0, 2, 1], port).into()));
            clients
        };
        let mut one = many(1..=10);
        one.merge(&many(8..=12));
        assert_eq!((one.count(), one.more()), (12, false));
        one.merge(&many(1..=MOST as u16 + 9));
        assert_eq!((one.count(), one.more()), (MOST as u64, true));
    }
}
