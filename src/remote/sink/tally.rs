//! What one client came to.

use crate::measure::RxTally;
use crate::remote::protocol::spec::Halves;

/// The sum of its cells.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SinkTallies {
    pub(super) cells: u64,
    pub(super) sent: u64,
    pub(super) rx: RxTally,
    pub(super) lost: u64,
    /// What the client says it has sent in the latest phase.
    pub(super) told: Option<u64>,
}

impl SinkTallies {
    /// Adds what is handed over of a cell.
    pub(super) fn add(&mut self, halves: &Halves) {
        self.cells += 1;
        self.sent += halves.tx.as_ref().map_or(0, |half| half.tally.sent);
        if let Some(half) = &halves.rx {
            // The client's own figure: it may be anything.
            let lost = self.told.unwrap_or(0).saturating_sub(half.tally.received);
            self.lost = self.lost.saturating_add(lost);
            self.rx.merge(&half.tally);
        }
    }
}
