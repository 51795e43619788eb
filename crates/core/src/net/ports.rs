//! Ranges of local ports.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A range of local ports, used in turn. Clones share the position.
#[derive(Debug, Clone)]
pub struct Ports {
    range: RangeInclusive<u16>,
    turn: Arc<AtomicU32>,
}

impl Ports {
    /// The ports of the range except port 0.
    pub fn new(range: RangeInclusive<u16>) -> Self {
        Self { range, turn: Arc::default() }
    }

    /// The whole range.
    pub(super) fn range(&self) -> RangeInclusive<u16> {
        self.range.clone()
    }

    /// The ports to try, each once, from the current position.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = u16> {
        let first = u32::from(*self.range.start()).max(1);
        let len = (u32::from(*self.range.end()) + 1).saturating_sub(first);
        // Below 2¹⁶ + 2¹⁶.
        (0..len).map(move |_| (first + self.turn.fetch_add(1, Ordering::Relaxed) % len) as u16)
    }
}

impl PartialEq for Ports {
    fn eq(&self, other: &Self) -> bool {
        self.range == other.range
    }
}

impl Eq for Ports {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Options, Udp};

    fn options(bind: &str) -> Options {
        Options { bind: bind.parse().unwrap(), buffer: 65_536, ..Options::default() }
    }

    #[test]
    fn each_port_of_a_range_is_used_once() {
        let free = Udp::open(&options("127.0.0.1:0")).unwrap();
        let taken = free.local.port();
        let range = taken.saturating_sub(20)..=taken.saturating_add(20);
        let ports = Some(Ports::new(range.clone()));
        let requested = Options { ports, ..options("127.0.0.1:0") };
        let mut held = Vec::new();
        let error = loop {
            match Udp::open(&requested.clone()) {
                Ok(udp) => held.push(udp),
                Err(error) => break error.to_string(),
            }
        };
        let mut found: Vec<_> = held.iter().map(|udp| udp.local.port()).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), held.len());
        assert!(!found.is_empty() && found.iter().all(|port| range.contains(port)));
        assert!(!found.contains(&taken), "it was taken");
        let named = format!("no port of {}-{} is free", range.start(), range.end());
        assert!(error.contains(&named), "{error}");
        let again = held.pop().unwrap().local.port();
        assert_eq!(Udp::open(&requested).unwrap().local.port(), again);
        let ports = Some(Ports::new(0..=0));
        assert!(Udp::open(&Options { ports, ..requested }).is_err());
    }
}
