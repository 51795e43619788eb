//! Source addresses of flows.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Several source addresses of one family, used by flows in turn; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    word: String,
    first: IpAddr,
    others: Arc<[IpAddr]>,
}

impl Sources {
    /// These addresses, with the words that name them; `None` without any.
    pub fn new(word: &str, addresses: &[IpAddr]) -> Option<Self> {
        let (first, others) = addresses.split_first()?;
        Some(Self { word: word.to_owned(), first: *first, others: others.into() })
    }

    /// The first one.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// All of them, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// Their number.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// The number of the source of a flow.
    pub fn number_of(&self, flow: u16) -> usize {
        usize::from(flow) % self.count()
    }

    /// The source of a flow.
    pub fn of_flow(&self, flow: u16) -> IpAddr {
        let other = self.number_of(flow).checked_sub(1).and_then(|at| self.others.get(at));
        other.copied().unwrap_or(self.first)
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)
    }
}

impl Serialize for Sources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.word)
    }
}
