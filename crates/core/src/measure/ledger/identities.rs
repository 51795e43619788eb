//! The sums that hold in every ledger, defined once for counts, documents and tests.

/// The counts that the identities of a ledger relate, as in `LedgerCounts`. `None`: not known.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "`document::Ledger` describes other fields")]
pub struct LedgerTerms {
    pub attempted: u64,
    pub sent: u64,
    pub refused: u128,
    pub received: Option<u64>,
    pub lost: Option<u64>,
    /// Lost datagrams of all locations, unaccounted ones included.
    pub lost_at: u128,
    pub arrived: Option<u64>,
    /// Duplicate, late, foreign and corrupt datagrams.
    pub others: [Option<u64>; 4],
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

impl LedgerTerms {
    /// The four identities: of `attempted`, `sent`, `lost` and `arrived`, in this order.
    pub fn identities(&self) -> [LedgerIdentity; 4] {
        let Self { received, lost, others, .. } = *self;
        // 128 bits hold the sum of any counts of a peer or a document.
        let sum =
            |terms: &[Option<u64>]| terms.iter().flatten().map(|&term| u128::from(term)).sum();
        let identity = |name, left: Option<u64>, right: u128| LedgerIdentity {
            name,
            left: left.map(u128::from),
            right,
        };
        let sent = received.and(lost).map(|_| self.sent);
        let arrived = received.and(others[0]).and(others[1]).and(self.arrived);
        let all_arrived = sum(&[received]) + sum(&others);
        [
            identity(
                "attempted = sent + refused",
                Some(self.attempted),
                u128::from(self.sent) + self.refused,
            ),
            identity("sent = received + lost", sent, sum(&[received, lost])),
            identity("lost = lost_at + unaccounted", lost, self.lost_at),
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
        let sender = LedgerTerms { attempted: 9, sent: 7, refused: 2, ..LedgerTerms::default() };
        let left = sender.identities().map(|identity| identity.left);
        assert_eq!(left, [Some(9), None, None, None]);
        assert!(sender.identities().iter().all(LedgerIdentity::holds));
        let wild = LedgerTerms { refused: 5 * u128::from(u64::MAX), ..sender };
        assert!(!wild.identities()[0].holds());
        let [_, sent, ..] = LedgerTerms { received: Some(6), lost: Some(0), ..sender }.identities();
        assert_eq!((sent.holds(), sent.name), (false, "sent = received + lost"));
    }
}
