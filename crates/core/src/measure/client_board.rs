//! What an echo server received by client address, while it runs.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::unit::hash_u64;

/// Addresses that are counted separately. Arbitrary: each is a time series of a monitoring system.
pub const MOST_CLIENTS: usize = 256;
/// Slots for those: half of them stay free, as in [`super::Clients`].
const PLACES: usize = 2 * MOST_CLIENTS;

/// One address, in the form of IPv6; free without datagrams.
#[derive(Debug, Default)]
struct Place {
    high: AtomicU64,
    low: AtomicU64,
    datagrams: AtomicU64,
}

/// Datagrams by the address that they came from. One worker writes, anyone may read.
#[derive(Debug)]
pub struct ClientBoard {
    places: Box<[Place]>,
    /// Those of further addresses, and of none.
    others: AtomicU64,
}

impl ClientBoard {
    /// A board without datagrams.
    pub fn new() -> Arc<Self> {
        let places = (0..PLACES).map(|_| Place::default()).collect();
        Arc::new(Self { places, others: AtomicU64::new(0) })
    }

    /// The datagrams of each address so far, and those of all others.
    pub fn read(&self) -> (Vec<(IpAddr, u64)>, u64) {
        let known = self.places.iter().filter_map(|place| {
            // Acquire: the address was stored before.
            let datagrams = place.datagrams.load(Ordering::Acquire);
            let [high, low] = [&place.high, &place.low].map(|half| half.load(Ordering::Relaxed));
            let bits = u128::from(high) << 64 | u128::from(low);
            (datagrams > 0).then(|| (IpAddr::V6(bits.into()).to_canonical(), datagrams))
        });
        (known.collect(), self.others.load(Ordering::Relaxed))
    }
}

/// A worker's way to write its board.
#[derive(Debug)]
pub struct ClientRecorder {
    board: Arc<ClientBoard>,
    used: usize,
    /// The latest address and its place; `None`: it has none.
    last: Option<(IpAddr, Option<usize>)>,
}

impl ClientRecorder {
    /// Writes this board, as the only one.
    pub const fn new(board: Arc<ClientBoard>) -> Self {
        Self { board, used: 0, last: None }
    }

    /// Counts datagrams of this address; `None`: they came without one.
    #[inline]
    pub fn count(&mut self, from: Option<IpAddr>, datagrams: u64) {
        let place = match (from, self.last) {
            (Some(from), Some((last, place))) if from == last => place,
            (Some(from), _) => self.find(from),
            (None, _) => None,
        };
        let counter = match place {
            Some(at) => &self.board.places[at].datagrams,
            None => &self.board.others,
        };
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(datagrams), Ordering::Release);
    }

    // behind a datagram of another client than the one before
    fn find(&mut self, from: IpAddr) -> Option<usize> {
        let bits = match from {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        let mut at = hash_u64(high ^ hash_u64(low)) as usize % PLACES;
        let place = loop {
            let place = &self.board.places[at];
            let is_free = place.datagrams.load(Ordering::Relaxed) == 0;
            if is_free && self.used == MOST_CLIENTS {
                break None;
            }
            if is_free {
                place.high.store(high, Ordering::Relaxed);
                place.low.store(low, Ordering::Relaxed);
                self.used += 1;
                break Some(at);
            }
            let [there_high, there_low] =
                [&place.high, &place.low].map(|half| half.load(Ordering::Relaxed));
            if (there_high, there_low) == (high, low) {
                break Some(at);
            }
            at = (at + 1) % PLACES;
        };
        self.last = Some((from, place));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_addresses_are_counted_together() {
        let board = ClientBoard::new();
        let mut recorder = ClientRecorder::new(Arc::clone(&board));
        let address = |number: u32| Some(IpAddr::V4((0x7F00_0000 + number).into()));
        let most = MOST_CLIENTS as u32;
        for number in 0..most + 10 {
            recorder.count(address(number), 2);
        }
        recorder.count(None, 1);
        recorder.count(address(most), 1);
        recorder.count(Some("::ffff:127.0.0.3".parse().unwrap()), 5);
        let (mut known, others) = board.read();
        known.sort_unstable();
        assert_eq!((known.len(), others), (MOST_CLIENTS, 2 * 10 + 1 + 1));
        let expected = |number| (address(number).unwrap(), if number == 3 { 7 } else { 2 });
        assert!(known.iter().copied().eq((0..most).map(expected)), "{known:?}");
    }
}
