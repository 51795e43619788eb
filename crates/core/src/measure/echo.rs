//! Counters of an echo server.

use super::{Clients, LatencyHistograms, SendErrorCounts, combine};
use crate::unit::Nanos;

/// Counters of the engine of an echo server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EchoCounters {
    /// Datagrams received.
    pub received: u64,
    /// Their payload in bytes.
    pub received_bytes: u64,
    /// Packets received: datagrams, or super-packets of several.
    pub packets: u64,
    /// Datagrams truncated because the buffer was too small.
    pub truncated: u64,
    /// Datagrams returned.
    pub returned: u64,
    /// Their payload in bytes.
    pub returned_bytes: u64,
    /// Replies that the system refused.
    pub refused: SendErrorCounts,
    /// ICMP errors received for replies, up to the size of the error queue. Such replies count as
    /// returned.
    pub queued_errors: u64,
    /// Super-packets that the system refused, returned as single datagrams.
    pub cut: u64,
    /// System calls that received or sent, without those that waited.
    pub syscalls: u64,
    /// Receive calls that found the queue empty.
    pub empty: u64,
    /// Receive calls that failed for another reason.
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
/// `refused` + `dropped` + `unanswered` + `overflow` + `waiting`.
#[derive(Debug, Clone, Default)]
pub struct EchoTally {
    /// Counters of the engine.
    pub counters: EchoCounters,
    /// Datagrams dropped on request.
    pub dropped: u64,
    /// Datagrams not answered: the sender may be a server that would answer, or has no address.
    pub unanswered: u64,
    /// Datagrams that exceeded the delay queue.
    pub overflow: u64,
    /// Datagrams still in the delay queue at the end.
    pub waiting: u64,
    /// How late delayed replies left.
    pub lateness: LatencyHistograms,
    /// Datagrams dropped at full receive buffers; `None` if the system does not count them.
    pub socket_drops: Option<u64>,
    /// When the first and the last datagram was received, on the monotonic clock.
    pub active: Option<(Nanos, Nanos)>,
    /// CPU time of all workers; `None` if unknown.
    pub cpu: Option<Nanos>,
    /// Senders.
    pub clients: Clients,
    /// Datagrams received by each worker.
    pub by_worker: Vec<u64>,
    /// When serving started and ended, on the monotonic clock.
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
