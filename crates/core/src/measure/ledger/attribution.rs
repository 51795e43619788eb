//! Attributes losses to the locations that counted drops.

mod losses;
mod steps;

use self::losses::LossAttribution;
use self::steps::{AttributionStep, Evidence, STEPS};
use super::{DropCounts, Kernels, LedgerCounts};
use crate::measure::combine;
use crate::measure::counters::{RxTally, TxTally};

impl LedgerCounts {
    /// Compares the counts of both ends and attributes the losses to what the kernels counted. A
    /// location is charged with no more than is still unexplained, nearest to the receiver first:
    /// the counter of our socket is exact, those of the namespace may include other datagrams.
    ///
    /// The kernel counts a super-packet as one wherever it drops it before it is cut;
    /// `taken_whole`: also at the receiving socket, which does not cut it.
    pub fn attribute_losses(
        tx: &TxTally,
        rx: &RxTally,
        kernels: &Kernels,
        taken_whole: bool,
    ) -> Self {
        let lost = tx.sent.saturating_sub(rx.received);
        let mut losses = LossAttribution::new(tx, rx, lost, taken_whole, kernels);
        let evidence = Evidence::new(tx, kernels);
        let mut lost_at = DropCounts::default();
        for AttributionStep(_, location, rule) in STEPS {
            let charged = rule(&mut losses, &evidence);
            let count = lost_at.at_mut(*location);
            *count = combine(*count, charged, u64::saturating_add);
        }
        losses.mark_shared(kernels.server.is_some());
        Self {
            attempted: tx.sent.saturating_add(tx.refused.total()),
            sent: tx.sent,
            refused: tx.refused,
            received: rx.received,
            lost,
            lost_at,
            unaccounted: losses.datagrams,
            estimated: losses.estimated,
            shared: losses.shared,
            arrived: rx.arrived,
            duplicate: rx.duplicate,
            late: rx.late,
            reordered: rx.reordered,
            foreign: rx.foreign,
            corrupt: rx.corrupt,
        }
    }
}

#[cfg(test)]
mod tests;
