//! Which process of a run sends to which.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Which process sends to which, where one process has one end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pairing {
    /// Each even rank sends to the next odd one.
    Pairs,
    /// All ranks send to the last one.
    Incast,
}

impl Pairing {
    /// The rank that this one of `size` sends to; `None`: it receives.
    pub fn receiver_of(self, rank: u16, size: u16) -> Option<u16> {
        let last = size.saturating_sub(1);
        match self {
            Self::Pairs => (rank.is_multiple_of(2) && rank < last).then(|| rank + 1),
            Self::Incast => (rank < last).then_some(last),
        }
    }

    /// The number of a sending rank among all senders, from 0, and how many there are.
    pub const fn among_senders(self, rank: u16, size: u16) -> (u16, u16) {
        match self {
            Self::Pairs => (rank / 2, size / 2),
            Self::Incast => (rank, size.saturating_sub(1)),
        }
    }
}

/// A process that receives, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivingMember {
    /// Its rank.
    pub rank: u16,
    /// The name of its host.
    pub hostname: String,
    /// What its network namespace is; `None` if the system does not tell.
    pub network: Option<String>,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sender_has_one_receiver_and_one_number() {
        for (pairing, size, expected) in [
            (Pairing::Pairs, 2, &[Some(1), None][..]),
            (Pairing::Pairs, 4, &[Some(1), None, Some(3), None]),
            (Pairing::Incast, 2, &[Some(1), None]),
            (Pairing::Incast, 4, &[Some(3), Some(3), Some(3), None]),
        ] {
            let receivers: Vec<_> = (0..size).map(|rank| pairing.receiver_of(rank, size)).collect();
            assert_eq!(receivers, expected, "{pairing:?} of {size}");
            let senders = (0..size).filter(|rank| pairing.receiver_of(*rank, size).is_some());
            let numbers: Vec<_> = senders.map(|rank| pairing.among_senders(rank, size)).collect();
            let of = numbers.len() as u16;
            assert_eq!(numbers, (0..of).map(|number| (number, of)).collect::<Vec<_>>());
        }
    }
}
