//! The identities of the ledger in a document.

use crate::document::{Ledger, Refused};
use crate::measure::{LedgerIdentity, LedgerTerms};

/// The identities of a ledger as written, so that a mistake in writing it is noticed too.
#[must_use]
pub fn ledger_identities(ledger: &Ledger) -> [LedgerIdentity; 4] {
    let Refused { would_block, no_buffers, unreachable, too_big, other } = ledger.refused;
    let refused = [would_block, no_buffers, unreachable, too_big, other].map(u128::from);
    let lost_at = ledger.lost_at.places().map(|(_, count)| count);
    let lost_at = lost_at.into_iter().chain([ledger.unaccounted]).flatten().map(u128::from);
    LedgerTerms {
        attempted: ledger.attempted,
        sent: ledger.sent,
        refused: refused.iter().sum(),
        received: ledger.received,
        lost: ledger.lost,
        lost_at: lost_at.sum(),
        arrived: ledger.arrived,
        others: [ledger.duplicate, ledger.late, ledger.foreign, ledger.corrupt],
    }
    .identities()
}
