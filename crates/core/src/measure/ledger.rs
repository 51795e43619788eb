//! The ledger: exactly one outcome for every datagram.
//!
//! ```text
//! attempted = sent + refused
//! sent      = received + lost
//! lost      = receive_buffer + backlog + device + qdisc + tx_device + checksum + no_port
//!           + rx_ip + reassembly + tx_ip + neighbour + unaccounted
//! arrived   = received + duplicate + late + foreign + corrupt
//! ```

mod attribution;
mod identities;
mod places;

use super::kernel::KernelDelta;
use crate::measure::counters::SendErrorCounts;
pub use identities::{LedgerIdentity, LedgerTerms};
pub use places::{DropCounters, DropCounts, DropLocation};

/// The kernel counters of both ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kernels {
    /// Counters of the receivers.
    pub rx: KernelDelta,
    /// Counters of the senders; `None` if they are the same.
    pub tx: Option<KernelDelta>,
    /// Where the two ends are.
    pub ends: Topology,
    /// Requests were sent to a server that is not udperf.
    pub server: Option<Server>,
}

/// Kernel counters of requests that a server that is not udperf may have lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Server {
    /// Drops at receive buffers of its network namespace, except those that udperf or others may
    /// have had; `None` if it is in another namespace than udperf.
    pub receive_buffer: Option<u64>,
}

impl From<KernelDelta> for Kernels {
    fn from(rx: KernelDelta) -> Self {
        Self { rx, ..Self::default() }
    }
}

impl Kernels {
    /// Counters of the senders.
    pub fn at_senders(&self) -> &KernelDelta {
        self.tx.as_ref().unwrap_or(&self.rx)
    }

    /// Drops at full backlogs, receiver's and sender's. The counter covers a host: if both ends
    /// read the same one, the longer reading is all of it. An interface counts its drops there as
    /// well (kernel: `enqueue_to_backlog`; a veth(4) also its peer's), so more than those are
    /// others'.
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

/// Every datagram of a measurement, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "`document::Ledger` describes the fields")]
pub struct LedgerCounts {
    pub attempted: u64,
    pub sent: u64,
    pub refused: SendErrorCounts,
    pub received: u64,
    pub lost: u64,
    pub lost_at: DropCounts,
    pub unaccounted: u64,
    pub estimated: DropCounters,
    pub shared: DropCounters,
    pub arrived: u64,
    pub duplicate: u64,
    pub late: u64,
    pub reordered: u64,
    pub foreign: u64,
    pub corrupt: u64,
}

impl LedgerCounts {
    /// The four identities with this ledger's counts.
    pub fn identities(&self) -> [LedgerIdentity; 4] {
        LedgerTerms {
            attempted: self.attempted,
            sent: self.sent,
            refused: self.refused.total().into(),
            received: Some(self.received),
            lost: Some(self.lost),
            lost_at: u128::from(self.lost_at.total()) + u128::from(self.unaccounted),
            arrived: Some(self.arrived),
            others: [self.duplicate, self.late, self.foreign, self.corrupt].map(Some),
        }
        .identities()
    }

    /// The first identity that does not hold, as a formula; `None`: all hold.
    pub fn broken_identity(&self) -> Option<&'static str> {
        self.identities().into_iter().find(|one| !one.holds()).map(|one| one.name)
    }
}

/// Where the two ends of a cell are.
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
