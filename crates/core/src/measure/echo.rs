//! Counters of an echo server.

use super::{Clients, LatencyHistograms, SendErrorCounts, combine};
use crate::unit::Nanos;

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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_and_what_one_does_not_know_is_not_known() {
        let worker = |received: u64, drops: Option<u64>, active| EchoTally {
            counters: EchoCounters { received, returned: received, ..EchoCounters::default() },
            socket_drops: drops,
            active,
            ..EchoTally::default()
        };
        let mut sum = EchoTally::default();
        sum.merge(worker(3, Some(1), Some((Nanos(5), Nanos(9)))));
        sum.merge(worker(4, Some(2), None));
        assert_eq!((sum.counters.received, sum.socket_drops), (7, Some(3)));
        sum.merge(worker(1, None, Some((Nanos(2), Nanos(6)))));
        assert_eq!((sum.counters.returned, sum.socket_drops), (8, None));
        assert_eq!(sum.active, Some((Nanos(2), Nanos(9))));
        assert_eq!(sum.by_worker, [3, 4, 1]);
    }
}
