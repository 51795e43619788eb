//! Ids and numbers that are unique in a run and differ from run to run.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use crate::plan::Member;
use crate::unit::hash_u64;

/// Distance of the first ids of two ports as a power of two: 24 h at 10 million per second.
const PORT_BITS: u32 = 40;
/// Attempts to get an unused port. Arbitrary: there are 28,232 (net.ipv4.ip_local_port_range).
pub(super) const PORT_TRIES: usize = 4;

/// The generator of ids and numbers of a run.
#[derive(Debug)]
pub struct RunIds {
    seed: u64,
    member: Member,
    used: Mutex<UsedIds>,
}

#[derive(Debug, Default)]
struct UsedIds {
    numbers: u64,
    /// Requests of the busiest port, summed over all cells.
    places: u64,
    /// Sockets of all cells and processes.
    streams: u64,
    ports: HashSet<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FirstIds {
    number: u64,
    id: u64,
    places: u64,
    stream: u64,
    worker: u64,
    of: u64,
    member: Member,
}

impl RunIds {
    /// Creates the generator of a run from its seed, for one of the processes that share it.
    pub fn new(seed: u64, member: Member) -> Self {
        Self { seed, member, used: Mutex::default() }
    }

    /// The process that these ids are for.
    pub(super) const fn member(&self) -> Member {
        self.member
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn begin(&self, streams: u64) -> FirstIds {
        let mut used = self.used();
        let member = self.member;
        let stream = used.streams + streams * u64::from(member.rank);
        used.streams += streams * u64::from(member.of);
        // Not 0, which is invalid in NTP (RFC 5905 section 8), and not so high that it wraps.
        let first = hash_u64(self.seed) >> 2 | 1 << (u64::BITS - 2);
        let UsedIds { numbers: number, places, .. } = *used;
        FirstIds { number, id: first + places, places, stream, worker: 0, of: 1, member }
    }

    /// Ends a worker that started with these ids: `requests` in all, `places` by its busiest port.
    pub(super) fn end(&self, first: FirstIds, requests: u64, places: u64) {
        let mut used = self.used();
        // The numbers of workers interleave.
        used.numbers = used.numbers.max(first.number + requests * first.of);
        used.places = used.places.max(first.places + places);
    }

    /// The next unique number, after those of ended workers of all processes.
    pub(super) fn numbers(&self) -> u64 {
        self.used().numbers * u64::from(self.member.of)
    }

    /// Marks a port of a local address as used; returns whether it was unused before.
    pub(super) fn is_new_port(&self, local: SocketAddr) -> bool {
        self.used().ports.insert(local)
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

    /// The turn of the worker's request with this number in its phase.
    #[inline]
    pub(super) const fn turn(self, in_phase: u64) -> u64 {
        self.of_all(in_phase * self.of + self.worker)
    }

    /// Numbers of several processes interleave.
    #[inline]
    const fn of_all(self, number: u64) -> u64 {
        number * self.member.of as u64 + self.member.rank as u64
    }

    /// The unique number of the worker's request with this number.
    #[inline]
    pub(super) const fn unique(self, number: u64) -> u64 {
        self.of_all(self.number + number * self.of + self.worker)
    }

    /// The number in the run of the worker's flow with this index.
    #[inline]
    pub(super) const fn stream(self, index: usize) -> u64 {
        self.stream + index as u64
    }

    /// The first id of the worker's port with this index, all its bits.
    #[inline]
    pub(super) const fn first_of(self, stream: usize) -> u64 {
        self.id.wrapping_add(self.stream(stream) << PORT_BITS)
    }
}
