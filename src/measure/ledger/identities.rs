//! The sums that hold in every ledger, defined once for counts, documents and tests.

/// The counts that the identities of a ledger relate. `None`: not known.
#[derive(Debug, Clone, Copy, Default)]
pub struct LedgerTerms {
    /// Datagrams offered to the system.
    pub attempted: u64,
    /// Datagrams it accepted.
    pub sent: u64,
    /// Failed sends by reason.
    pub refused: [u64; 5],
    /// Sequence numbers that arrived, each once.
    pub received: Option<u64>,
    /// Sequence numbers that did not.
    pub lost: Option<u64>,
    /// Lost datagrams by location.
    pub lost_at: [Option<u64>; 11],
    /// Lost at an unknown location.
    pub unaccounted: Option<u64>,
    /// Datagrams read.
    pub arrived: Option<u64>,
    /// Sequence numbers that arrived again.
    pub duplicate: Option<u64>,
    /// Too old to tell.
    pub late: Option<u64>,
    /// Datagrams of other senders.
    pub foreign: Option<u64>,
    /// Damaged datagrams of this run.
    pub corrupt: Option<u64>,
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
    #[must_use]
    pub fn holds(&self) -> bool {
        self.left.is_none_or(|left| left == self.right)
    }
}

impl LedgerTerms {
    /// The four identities: of `attempted`, `sent`, `lost` and `arrived`, in this order.
    #[must_use]
    pub fn identities(&self) -> [LedgerIdentity; 4] {
        let Self { received, lost, duplicate, late, foreign, corrupt, .. } = *self;
        // 128 bits hold the sum of any counts of a peer or a document.
        let sum = |terms: &[Option<u64>]| terms.iter().flatten().copied().map(u128::from).sum();
        let identity = |name, left: Option<u64>, right: u128| LedgerIdentity {
            name,
            left: left.map(u128::from),
            right,
        };
        let all_sent = u128::from(self.sent) + sum(&self.refused.map(Some));
        let all_lost = sum(&self.lost_at) + sum(&[self.unaccounted]);
        let sent = received.and(lost).map(|_| self.sent);
        let arrived = received.and(duplicate).and(late).and(self.arrived);
        let all_arrived = sum(&[received, duplicate, late, foreign, corrupt]);
        [
            identity("attempted = sent + refused", Some(self.attempted), all_sent),
            identity("sent = received + lost", sent, sum(&[received, lost])),
            identity("lost = lost_at + unaccounted", lost, all_lost),
            identity(
                "arrived = received + duplicate + late + foreign + corrupt",
                arrived,
                all_arrived,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_with_an_unknown_term_is_not_checked() {
        let sender = LedgerTerms {
            attempted: 9,
            sent: 7,
            refused: [0, 2, 0, 0, 0],
            ..LedgerTerms::default()
        };
        let left = sender.identities().map(|identity| identity.left);
        assert_eq!(left, [Some(9), None, None, None]);
        assert!(sender.identities().iter().all(LedgerIdentity::holds));
        let wild = LedgerTerms { refused: [u64::MAX; 5], attempted: u64::MAX, ..sender };
        assert!(!wild.identities()[0].holds());
    }
}
