//! Counts of one client.

use crate::measure::RxTally;
use crate::remote::protocol::spec::SideResults;

/// The sum over its cells.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SinkTallies {
    pub(super) cells: u64,
    pub(super) sent: u64,
    pub(super) rx: RxTally,
    pub(super) lost: u64,
    /// Datagrams that the client reports as sent in the last phase.
    pub(super) reported_sent: Option<u64>,
}

impl SinkTallies {
    /// Adds the results of a cell.
    pub(super) fn add(&mut self, results: &SideResults) {
        self.cells += 1;
        self.sent += results.tx.as_ref().map_or(0, |side| side.tally.sent);
        if let Some(side) = &results.rx {
            // Reported by the client, so it may be any number.
            let lost = self.reported_sent.unwrap_or(0).saturating_sub(side.tally.received);
            self.lost = self.lost.saturating_add(lost);
            self.rx.merge(&side.tally);
        }
    }
}
