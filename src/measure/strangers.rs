//! What a bound receiver counts: its clients, and by source what belongs to none of them.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::Latency;
use crate::unit::{Nanos, Place};

/// Sources that are counted by themselves; what others send is counted together. Arbitrary: some
/// hundred KiB, whatever arrives.
const MOST_SOURCES: usize = 4_096;

/// Sizes of payloads are counted up to the powers of two, from 2^0 to 2^16. From the 16 bits of a
/// datagram's length.
const SIZE_CLASSES: usize = 17;

/// One client, after it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its address, or its name.
    pub from: Place,
    /// When it came and left, on the monotonic clock.
    pub time: (Nanos, Nanos),
    /// Cells that were handed over to it.
    pub cells: u64,
    /// Datagrams received from it in those, each sequence number once, in the measured parts.
    pub received: u64,
    /// Datagrams sent to it, likewise.
    pub sent: u64,
    /// Why it left.
    pub why: String,
}

/// What a sink came to.
#[derive(Debug, Default)]
pub struct SinkTally {
    /// Its clients, in the order they left.
    pub served: Vec<Served>,
    /// Clients beyond those that there is room for.
    pub served_more: u64,
    /// All else that arrived.
    pub strangers: Strangers,
    /// When it began and ended to serve, on the monotonic clock.
    pub time: (Nanos, Nanos),
}

/// One source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Datagrams that came from it.
    pub datagrams: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// The smallest payload in bytes.
    pub size_min: u64,
    /// The largest one.
    pub size_max: u64,
    /// When the first one came, on the monotonic clock.
    pub first: Nanos,
    /// When the latest one came.
    pub last: Nanos,
    /// The longest gap between two.
    pub gap_max: Nanos,
}

/// All that belonged to no session.
#[derive(Debug, Clone, Default)]
pub struct Strangers {
    /// Datagrams.
    pub datagrams: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// Datagrams by payload: up to 1 byte, 2, 4, … 65,536.
    pub sizes: [u64; SIZE_CLASSES],
    /// Gaps between one datagram and the next, from whatever source.
    pub gaps: Latency,
    /// By source.
    pub sources: HashMap<SocketAddr, Source>,
    /// Datagrams of sources that no room was left for, or that have no address.
    pub of_others: u64,
    last: Option<Nanos>,
}

/// The sum of [`Strangers`], for showing while they still come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Glimpse {
    /// Datagrams.
    pub datagrams: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// Sources that are counted by themselves.
    pub sources: usize,
    /// The source with most datagrams, and how many.
    pub most: Option<(SocketAddr, u64)>,
}

impl Glimpse {
    /// Adds that of another worker.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            datagrams: self.datagrams + other.datagrams,
            bytes: self.bytes + other.bytes,
            sources: self.sources + other.sources,
            most: self.most.into_iter().chain(other.most).max_by_key(|(_, datagrams)| *datagrams),
        }
    }
}

impl Strangers {
    /// The sum.
    #[must_use]
    pub fn glimpse(&self) -> Glimpse {
        let most = self.sources.iter().map(|(from, source)| (*from, source.datagrams));
        Glimpse {
            datagrams: self.datagrams,
            bytes: self.bytes,
            sources: self.sources.len(),
            most: most.max_by_key(|(_, datagrams)| *datagrams),
        }
    }

    /// Counts one.
    pub fn count(&mut self, from: SocketAddr, len: usize, now: Nanos) {
        let len = len as u64;
        self.count_size(len, now);
        if let Some(source) = self.sources.get_mut(&from) {
            source.datagrams += 1;
            source.bytes += len;
            source.size_min = source.size_min.min(len);
            source.size_max = source.size_max.max(len);
            source.gap_max = source.gap_max.max(now.since(source.last));
            source.last = now;
        } else if self.sources.len() < MOST_SOURCES {
            let source = Source {
                datagrams: 1,
                bytes: len,
                size_min: len,
                size_max: len,
                first: now,
                last: now,
                gap_max: Nanos::ZERO,
            };
            self.sources.insert(from, source);
        } else {
            self.of_others += 1;
        }
    }

    /// Counts one of whom there is no address.
    pub fn count_nameless(&mut self, len: usize, now: Nanos) {
        self.count_size(len as u64, now);
        self.of_others += 1;
    }

    fn count_size(&mut self, len: u64, now: Nanos) {
        self.datagrams += 1;
        self.bytes += len;
        let class = (u64::BITS - len.saturating_sub(1).leading_zeros()) as usize;
        self.sizes[class.min(SIZE_CLASSES - 1)] += 1;
        if let Some(last) = self.last.replace(now) {
            self.gaps.record(now.since(last).0);
        }
    }

    /// Adds what another worker counted. Sources hash to one worker each, so none is in both.
    pub fn merge(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.sizes.iter_mut().zip(other.sizes).for_each(|(sum, more)| *sum += more);
        self.gaps.merge(&other.gaps);
        self.sources.extend(other.sources);
        self.of_others += other.of_others;
    }

    /// When the latest one came.
    #[must_use]
    pub const fn last(&self) -> Option<Nanos> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_its_account_and_the_room_is_bounded() {
        let mut strangers = Strangers::default();
        let from = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        for (port, len, at) in [(1, 0, 5), (1, 65_507, 9), (2, 64, 30), (1, 64, 31)] {
            strangers.count(from(port), len, Nanos(at));
        }
        let first = strangers.sources[&from(1)];
        assert_eq!((first.datagrams, first.bytes, first.gap_max), (3, 65_571, Nanos(22)));
        assert_eq!((first.size_min, first.size_max), (0, 65_507));
        assert_eq!((strangers.sizes[0], strangers.sizes[6], strangers.sizes[16]), (1, 2, 1));
        assert_eq!((strangers.gaps.count(), strangers.gaps.max_ns()), (3, Some(21)));
        for port in 3..=u16::MAX {
            strangers.count(from(port), 1, Nanos(40));
        }
        let glimpse = strangers.glimpse().and(Strangers::default().glimpse());
        assert_eq!((glimpse.datagrams, glimpse.sources), (strangers.datagrams, MOST_SOURCES));
        assert_eq!(glimpse.most, Some((from(1), 3)));
        assert_eq!(strangers.sources.len(), MOST_SOURCES);
        let counted: u64 = strangers.sources.values().map(|source| source.datagrams).sum();
        assert_eq!(counted + strangers.of_others, strangers.datagrams);
    }
}
