//! Ids and numbers that are unique within a run and differ from run to run.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::unit::hash_u64;

/// Distance of the first ids of two ports with 64-bit ids, as a power of two: more requests than a
/// port sends in the longest cell (24 h at 10 million per second).
const PORT_BITS: u32 = 40;
/// Attempts to get a port that the run has not used: the system draws among 28,232
/// (net.ipv4.ip_local_port_range), so that a second draw is rarely needed. Arbitrary.
pub(super) const PORT_TRIES: usize = 4;

/// The generator of ids and numbers of a run.
#[derive(Debug)]
pub struct RunIds {
    seed: u64,
    used: Mutex<UsedIds>,
}

#[derive(Debug, Default)]
struct UsedIds {
    /// Unique numbers.
    numbers: u64,
    /// Requests that any one port has sent, summed over all cells.
    places: u64,
    /// Ports, over all cells.
    streams: u64,
    /// Their numbers.
    ports: HashSet<u16>,
}

/// The first ids and unique numbers of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FirstIds {
    number: u64,
    id: u64,
    /// Requests that any one port had sent before.
    places: u64,
    /// Number of the first port of this worker.
    stream: u64,
    /// Number of this worker, and how many there are.
    worker: u64,
    of: u64,
}

impl RunIds {
    /// Creates the generator of a run from its seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, used: Mutex::default() }
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Starts a cell with this number of ports.
    pub(super) fn begin(&self, streams: u64) -> FirstIds {
        let mut used = self.used();
        let stream = used.streams;
        used.streams += streams;
        // Not 0, which is invalid in NTP (RFC 5905 section 8), and not so high that it wraps.
        let first = hash_u64(self.seed) >> 2 | 1 << (u64::BITS - 2);
        let UsedIds { numbers: number, places, .. } = *used;
        FirstIds { number, id: first + places, places, stream, worker: 0, of: 1 }
    }

    /// Ends a worker that started with these ids: `requests` in all, `places` by its busiest port.
    pub(super) fn end(&self, first: FirstIds, requests: u64, places: u64) {
        let mut used = self.used();
        // The numbers of workers interleave.
        used.numbers = used.numbers.max(first.number + requests * first.of);
        used.places = used.places.max(first.places + places);
    }

    /// The unique number behind the last one that an ended worker used.
    pub(super) fn numbers(&self) -> u64 {
        self.used().numbers
    }

    /// Marks a local port as used; returns whether it was unused before.
    pub(super) fn is_new_port(&self, port: u16) -> bool {
        self.used().ports.insert(port)
    }

    fn used(&self) -> std::sync::MutexGuard<'_, UsedIds> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FirstIds {
    /// The ids of worker `worker` of `of`, whose first port has this number.
    pub(super) const fn of_worker(self, worker: usize, of: usize, first_flow: u16) -> Self {
        let stream = self.stream + first_flow as u64;
        Self { stream, worker: worker as u64, of: of as u64, ..self }
    }

    /// The unique number of the worker's request with this number.
    #[inline]
    pub(super) const fn unique(self, number: u64) -> u64 {
        self.number + number * self.of + self.worker
    }

    /// The first id of the worker's port with this index, all its bits.
    #[inline]
    pub(super) const fn first_of(self, stream: usize) -> u64 {
        self.id.wrapping_add((self.stream + stream as u64) << PORT_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_and_no_id_comes_again_in_a_run() {
        let ids = RunIds::new(5);
        let (mut numbers, mut used) = (HashSet::new(), HashSet::new());
        // Three cells, in which the ports send unevenly.
        for sent in [[3, 0, 1, 5], [2, 2, 2, 2], [0, 7, 0, 0]] {
            let first = ids.begin(4);
            for (worker, sent) in sent.chunks(2).enumerate() {
                let first = first.of_worker(worker, 2, 2 * worker as u16);
                let count: u64 = sent.iter().sum();
                assert!((0..count).all(|number| numbers.insert(first.unique(number))));
                for (stream, &sent) in sent.iter().enumerate() {
                    let mut places = 0..sent;
                    assert!(places.all(|place| used.insert(first.first_of(stream) + place)));
                }
                ids.end(first, count, sent.iter().max().copied().unwrap());
            }
            assert!(numbers.iter().all(|number| *number < ids.numbers()));
        }
        assert!(!used.contains(&0));
    }

    #[test]
    fn runs_differ_by_their_seed() {
        let first = |seed| RunIds::new(seed).begin(1).first_of(0);
        let firsts: HashSet<_> = (0..1_000).map(|seed| first(seed) & 0xFFFF).collect();
        assert!(firsts.len() > 900, "{}", firsts.len());
        assert_eq!(first(7), first(7));
        assert!((0..1_000).all(|seed| first(seed) >> 62 == 1));
    }

    #[test]
    fn ids_of_few_bits_count_on_from_cell_to_cell() {
        let ids = RunIds::new(1);
        let begun = ids.begin(1);
        let first = begun.first_of(0);
        ids.end(begun, 100, 100);
        // At the same port, should it have it again, another cell continues.
        assert_eq!(ids.begin(1).first_of(0) & 0xFFFF, (first + 100) & 0xFFFF);
    }
}
