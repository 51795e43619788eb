//! What an echo server counts.

use super::{Clients, LatencyHistograms, SendErrorCounts, combine};
use crate::unit::Nanos;

/// The counts of an echo server. Each received datagram has one outcome: `received` =
/// `returned` + `refused` + `dropped` + `unanswered` + `overflow` + `waiting`.
#[derive(Debug, Clone, Default)]
pub struct EchoTally {
    /// Datagrams received.
    pub received: u64,
    /// Their payload in bytes.
    pub received_bytes: u64,
    /// What the kernel handed over as one: as many as datagrams, or fewer super-packets.
    pub packets: u64,
    /// Datagrams that were cut off for want of room.
    pub truncated: u64,
    /// Datagrams returned.
    pub returned: u64,
    /// Their payload in bytes.
    pub returned_bytes: u64,
    /// Datagrams that the system did not take back.
    pub refused: SendErrorCounts,
    /// Datagrams not returned because that was asked for.
    pub dropped: u64,
    /// Datagrams of senders that might answer the answer, or that have no address.
    pub unanswered: u64,
    /// Datagrams that the room for delayed ones was too small for.
    pub overflow: u64,
    /// Datagrams that were still waiting for their moment at the end.
    pub waiting: u64,
    /// How much later than their moment delayed datagrams left.
    pub lateness: LatencyHistograms,
    /// How often the network told that an answer had not arrived (ICMP), as far as the socket had
    /// room for that. Those count as returned.
    pub told: u64,
    /// Super-packets that the system did not take whole.
    pub cut: u64,
    /// System calls that received and sent, those of waiting not among them.
    pub syscalls: u64,
    /// Those among them that found nothing to receive.
    pub empty: u64,
    /// Calls to receive that failed for another reason than an empty queue.
    pub errors: u64,
    /// Datagrams that the sockets had no room for; `None` where the system does not count.
    pub socket_drops: Option<u64>,
    /// When the first datagram was received and the last one, on the monotonic clock.
    pub active: Option<(Nanos, Nanos)>,
    /// CPU time of all workers, where it is known.
    pub cpu: Option<Nanos>,
    /// Who sent all this.
    pub clients: Clients,
    /// Datagrams received by each worker.
    pub by_worker: Vec<u64>,
    /// When it began and ended to serve, on the monotonic clock.
    pub time: (Nanos, Nanos),
}

impl EchoTally {
    /// Adds that of another worker, behind those that were added before.
    pub fn merge(&mut self, other: Self) {
        let first = self.by_worker.is_empty();
        add_counts!(self, other; received, received_bytes, packets, truncated, returned);
        add_counts!(self, other; returned_bytes, dropped, unanswered, overflow, waiting, told);
        add_counts!(self, other; cut, syscalls, empty, errors);
        self.refused.merge(&other.refused);
        self.lateness.merge(&other.lateness);
        // Known of one and not of another is not known.
        let sum = |a: Option<u64>, b: Option<u64>| if first { b } else { Some(a? + b?) };
        self.socket_drops = sum(self.socket_drops, other.socket_drops);
        self.cpu = sum(self.cpu.map(|cpu| cpu.0), other.cpu.map(|cpu| cpu.0)).map(Nanos);
        let both = |(a, b): (Nanos, Nanos), (c, d)| (a.min(c), b.max(d));
        self.active = combine(self.active, other.active, both);
        self.clients.merge(&other.clients);
        self.by_worker.push(other.received);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_and_what_one_does_not_know_is_not_known() {
        let worker = |received: u64, drops: Option<u64>, active| EchoTally {
            received,
            returned: received,
            socket_drops: drops,
            active,
            ..EchoTally::default()
        };
        let mut sum = EchoTally::default();
        sum.merge(worker(3, Some(1), Some((Nanos(5), Nanos(9)))));
        sum.merge(worker(4, Some(2), None));
        assert_eq!((sum.received, sum.socket_drops), (7, Some(3)));
        sum.merge(worker(1, None, Some((Nanos(2), Nanos(6)))));
        assert_eq!((sum.returned, sum.socket_drops), (8, None));
        assert_eq!(sum.active, Some((Nanos(2), Nanos(9))));
        assert_eq!(sum.by_worker, [3, 4, 1]);
    }
}
