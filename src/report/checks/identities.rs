//! The identities of the ledger in a document.

use crate::document::{Ledger, Refused};
use crate::measure::{LedgerIdentity, LedgerTerms};

/// The identities of a ledger as written, so that a mistake in writing it is noticed too.
#[must_use]
pub fn ledger_identities(ledger: &Ledger) -> [LedgerIdentity; 4] {
    let Refused { would_block, no_buffers, unreachable, too_big, other } = ledger.refused;
    LedgerTerms {
        attempted: ledger.attempted,
        sent: ledger.sent,
        refused: [would_block, no_buffers, unreachable, too_big, other],
        received: ledger.received,
        lost: ledger.lost,
        lost_at: ledger.lost_at.places().map(|(_, count)| count),
        unaccounted: ledger.unaccounted,
        arrived: ledger.arrived,
        duplicate: ledger.duplicate,
        late: ledger.late,
        foreign: ledger.foreign,
        corrupt: ledger.corrupt,
    }
    .identities()
}
