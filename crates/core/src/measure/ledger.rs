//! The ledger: exactly one outcome for every datagram.
//!
//! ```text
//! attempted = sent + refused
//! sent      = received + lost
//! lost      = receive_buffer + backlog + device + qdisc + tx_device + checksum + no_port
//!           + rx_ip + reassembly + tx_ip + neighbour + xdp_ring + unaccounted
//! arrived   = received + duplicate + late + foreign + corrupt
//! ```

mod losses;
mod steps;

use self::losses::LossAttribution;
use self::steps::{AttributionStep, Evidence, STEPS};
use super::kernel::Kernels;
use super::{RxTally, TxTally, combine};
use crate::document::{Ledger, LostAt};

/// Compares the counts of both ends and attributes the losses to what the kernels counted. A
/// location is charged with no more than is still unexplained, nearest to the receiver first: the
/// counter of the receiver's socket is exact, those of the namespace may include other datagrams.
///
/// The kernel counts a super-packet as one wherever it drops it before it is split; `taken_whole`:
/// also at the receiving socket, which does not split it.
pub fn attribute_losses(
    tx: &TxTally,
    rx: &RxTally,
    kernels: &Kernels,
    taken_whole: bool,
) -> Ledger {
    let lost = tx.sent.saturating_sub(rx.received);
    let mut losses = LossAttribution::new(tx, rx, lost, taken_whole, kernels);
    let evidence = Evidence::new(tx, kernels);
    let mut lost_at = LostAt::default();
    for AttributionStep(_, location, rule) in STEPS {
        let charged = rule(&mut losses, &evidence);
        let count = lost_at.at_mut(*location);
        *count = combine(*count, charged, u64::saturating_add);
    }
    Ledger {
        received: Some(rx.received),
        lost: Some(lost),
        lost_at,
        unaccounted: Some(losses.datagrams),
        estimated: Some(losses.estimated()),
        shared: Some(losses.shared(kernels.server.is_some())),
        arrived: Some(rx.arrived),
        duplicate: Some(rx.duplicate),
        late: Some(rx.late),
        reordered: Some(rx.reordered),
        reorder_extent: Some(rx.reorder_extent),
        foreign: Some(rx.foreign),
        corrupt: Some(rx.corrupt),
        ..sent_only(tx)
    }
}

pub(super) fn sent_only(tx: &TxTally) -> Ledger {
    let attempted = tx.sent.saturating_add(tx.refused.total());
    Ledger { attempted, sent: tx.sent, refused: tx.refused, ..Ledger::default() }
}

/// One identity of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerIdentity {
    /// The identity, as a formula.
    pub name: &'static str,
    /// The left side; `None` if a term is unknown.
    pub left: Option<u128>,
    /// The right side.
    pub right: u128,
}

impl LedgerIdentity {
    /// Whether it holds, or cannot be checked because a term is unknown.
    pub fn holds(&self) -> bool {
        self.left.is_none_or(|left| left == self.right)
    }
}

/// The four identities: of `attempted`, `sent`, `lost` and `arrived`, in this order.
pub fn ledger_identities(ledger: &Ledger) -> [LedgerIdentity; 4] {
    let &Ledger { attempted, sent, received, lost, arrived, .. } = ledger;
    let &Ledger { duplicate, late, foreign, corrupt, unaccounted, .. } = ledger;
    // 128 bits hold the sum of any counts of a peer or a document.
    fn sum(terms: impl IntoIterator<Item = Option<u64>>) -> u128 {
        terms.into_iter().flatten().map(u128::from).sum()
    }
    let refused = sum(ledger.refused.counts().map(Some));
    let lost_at = ledger.lost_at.places().map(|(_, count)| count);
    let all_arrived = sum([received, duplicate, late, foreign, corrupt]);
    let identity =
        |name, left: Option<u64>, right| LedgerIdentity { name, left: left.map(u128::from), right };
    [
        identity("attempted = sent + refused", Some(attempted), u128::from(sent) + refused),
        identity("sent = received + lost", received.and(lost).map(|_| sent), sum([received, lost])),
        identity("lost = lost_at + unaccounted", lost, sum(lost_at) + sum([unaccounted])),
        identity(
            "arrived = received + duplicate + late + foreign + corrupt",
            received.and(duplicate).and(late).and(arrived),
            all_arrived,
        ),
    ]
}

#[cfg(test)]
mod tests;
