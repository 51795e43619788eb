//! Counts of a bound receiver: its clients, and unsolicited traffic by source.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::sequences::{Numbered, SequenceCounts, Sequences};
use super::{LatencyHistograms, RxTally, combine};
use crate::unit::Nanos;

/// Sources counted separately; others are counted together. Arbitrary: some hundred KiB, and 32 MiB
/// if all carry sequence numbers.
const MOST_SOURCES: usize = 4_096;
/// Sizes of payloads are counted up to the powers of two, from 2^0 to 2^16. From the 16 bits of a
/// datagram's length.
const SIZE_CLASSES: usize = 17;

/// One client, after it left; moments are of the monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "`document::SinkClient` describes the fields")]
pub struct ClientStats {
    pub from: SocketAddr,
    pub time: (Nanos, Nanos),
    pub cells: u64,
    pub rx: RxTally,
    pub lost: u64,
    pub sent: u64,
    pub why: String,
}

/// All counts of a sink; moments are of the monotonic clock.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "`document::SinkDocument` describes the fields")]
pub struct SinkTally {
    pub served: Vec<ClientStats>,
    pub served_more: u64,
    pub unsolicited: UnsolicitedTraffic,
    pub listeners: Vec<ListenerTally>,
    pub time: (Nanos, Nanos),
}

/// One source; moments are of the monotonic clock.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "`document::SinkSource` describes the fields")]
pub struct UnsolicitedSource {
    pub datagrams: u64,
    pub bytes: u64,
    pub size_min: u64,
    pub size_max: u64,
    pub first: Nanos,
    pub last: Nanos,
    pub gap_max: Nanos,
    sequences: Option<Box<Sequences>>,
    /// The sequence counts of other listeners.
    elsewhere: SequenceCounts,
}

impl UnsolicitedSource {
    /// Its datagrams by sequence number; `None` unless most of them carry udperf's header.
    pub fn sequences(&self) -> Option<SequenceCounts> {
        let mut counts = self.elsewhere;
        if let Some(here) = &self.sequences {
            counts.add(&here.counts());
        }
        (counts.arrived() > self.datagrams / 2).then_some(counts)
    }

    fn number(&mut self, numbered: Option<Numbered>, listened: Nanos) {
        let Some(numbered) = numbered else { return };
        match &mut self.sequences {
            Some(sequences) => sequences.count(numbered, listened),
            None => self.sequences = Sequences::begin(numbered, listened).map(Box::new),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.size_min = self.size_min.min(other.size_min);
        self.size_max = self.size_max.max(other.size_max);
        // One of the two if one listener was first throughout; otherwise every gap lies within one
        // of a single listener.
        let between = other.first.since(self.last).max(self.first.since(other.last));
        self.gap_max = self.gap_max.max(other.gap_max).max(between);
        self.elsewhere.add(&other.elsewhere);
        if let Some(there) = &other.sequences {
            self.elsewhere.add(&there.counts());
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// All that belonged to no session; moments are of the monotonic clock.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "`document::SinkOthers` describes the fields")]
pub struct UnsolicitedTraffic {
    /// When counting began.
    pub since: Nanos,
    pub datagrams: u64,
    pub bytes: u64,
    pub sizes: [u64; SIZE_CLASSES],
    pub size: Option<(u64, u64)>,
    pub gaps: LatencyHistograms,
    pub sources: HashMap<SocketAddr, UnsolicitedSource>,
    pub of_others: u64,
    pub stray_control: u64,
    pub span: Option<(Nanos, Nanos)>,
}

/// One socket that listens, and what came to it that belonged to no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`document::SinkListener` describes the fields")]
pub struct ListenerTally {
    pub at: SocketAddr,
    pub core: Option<usize>,
    pub datagrams: u64,
    pub drops: Option<u64>,
    pub asked: u64,
    pub granted: Option<u64>,
}

/// Totals of [`UnsolicitedTraffic`], to show progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "other fields are those of the traffic")]
pub struct Snapshot {
    pub datagrams: u64,
    pub bytes: u64,
    pub size: Option<(u64, u64)>,
    pub span: Option<(Nanos, Nanos)>,
    /// Sources that are counted by themselves; one that several listeners know, as often.
    pub sources: usize,
    /// The source with most datagrams at one listener, and how many.
    pub most: Option<(SocketAddr, u64)>,
    /// Datagrams that receive buffers had no room for, as far as the system counts.
    pub drops: u64,
}

impl Snapshot {
    /// Adds that of another listener.
    pub fn and(self, other: Self) -> Self {
        Self {
            datagrams: self.datagrams + other.datagrams,
            bytes: self.bytes + other.bytes,
            size: hull(self.size, other.size),
            span: hull(self.span, other.span),
            sources: self.sources + other.sources,
            most: self.most.into_iter().chain(other.most).max_by_key(|(_, datagrams)| *datagrams),
            drops: self.drops + other.drops,
        }
    }

    /// The mean gap between datagrams over all listeners; `None` below two.
    pub fn gap_mean(&self) -> Option<Nanos> {
        gap_mean(self.span, self.datagrams)
    }
}

/// The mean gap: the time from first to last has all gaps.
fn gap_mean(span: Option<(Nanos, Nanos)>, datagrams: u64) -> Option<Nanos> {
    let gaps = datagrams.checked_sub(1).filter(|&gaps| gaps > 0)?;
    span.map(|(first, last)| Nanos(last.since(first).0 / gaps))
}

/// The least and the most of both.
fn hull<T: Ord>(one: Option<(T, T)>, other: Option<(T, T)>) -> Option<(T, T)> {
    combine(one, other, |(least, most), (low, high)| (least.min(low), most.max(high)))
}

impl UnsolicitedTraffic {
    /// Its totals.
    pub fn snapshot(&self) -> Snapshot {
        let most = self.sources.iter().map(|(from, source)| (*from, source.datagrams));
        Snapshot {
            datagrams: self.datagrams,
            bytes: self.bytes,
            size: self.size,
            span: self.span,
            sources: self.sources.len(),
            most: most.max_by_key(|(_, datagrams)| *datagrams),
            drops: 0,
        }
    }

    /// The mean gap between datagrams over all listeners; `None` below two.
    pub fn gap_mean(&self) -> Option<Nanos> {
        gap_mean(self.span, self.datagrams)
    }

    /// Counts one; `numbered` has the fields of udperf's header, if it has one.
    pub fn count(&mut self, from: SocketAddr, len: usize, numbered: Option<Numbered>, now: Nanos) {
        let (len, listened) = (len as u64, now.since(self.since));
        self.count_size(len, now);
        if self.sources.len() >= MOST_SOURCES && !self.sources.contains_key(&from) {
            self.of_others += 1;
            return;
        }
        let source = self.sources.entry(from).or_insert_with(|| UnsolicitedSource {
            datagrams: 0,
            bytes: 0,
            size_min: len,
            size_max: len,
            first: now,
            last: now,
            gap_max: Nanos::ZERO,
            sequences: None,
            elsewhere: SequenceCounts::default(),
        });
        source.datagrams += 1;
        source.bytes += len;
        source.size_min = source.size_min.min(len);
        source.size_max = source.size_max.max(len);
        source.gap_max = source.gap_max.max(now.since(source.last));
        source.last = now;
        source.number(numbered, listened);
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
        self.size = hull(self.size, Some((len, len)));
        if let Some((_, last)) = self.span {
            self.gaps.record(now.since(last).0);
        }
        self.span = hull(self.span, Some((now, now)));
    }

    /// Adds the counts of another listener. Control messages all reach the first listener, so two
    /// may know the same source.
    pub fn merge(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.sizes.iter_mut().zip(other.sizes).for_each(|(sum, more)| *sum += more);
        self.size = hull(self.size, other.size);
        self.span = hull(self.span, other.span);
        self.gaps.merge(&other.gaps);
        for (from, source) in other.sources {
            let known = self.sources.entry(from);
            known.and_modify(|known| known.merge(&source)).or_insert(source);
        }
        self.of_others += other.of_others;
        self.stray_control += other.stray_control;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_its_account_and_their_number_is_bounded() {
        let mut traffic = UnsolicitedTraffic::default();
        let from = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        for (port, len, at) in [(1, 0, 5), (1, 65_507, 9), (2, 64, 30), (1, 64, 31)] {
            traffic.count(from(port), len, None, Nanos(at));
        }
        let first = &traffic.sources[&from(1)];
        assert_eq!((first.datagrams, first.bytes, first.gap_max), (3, 65_571, Nanos(22)));
        assert_eq!((first.size_min, first.size_max), (0, 65_507));
        assert_eq!((traffic.sizes[0], traffic.sizes[6], traffic.sizes[16]), (1, 2, 1));
        assert_eq!((traffic.gaps.count(), traffic.gaps.max_ns()), (3, Some(21)));
        (3..=u16::MAX).for_each(|port| traffic.count(from(port), 1, None, Nanos(40)));
        let total = traffic.snapshot().and(UnsolicitedTraffic::default().snapshot());
        assert_eq!((total.datagrams, total.sources), (traffic.datagrams, MOST_SOURCES));
        assert_eq!(total.most, Some((from(1), 3)));
        let counted: u64 = traffic.sources.values().map(|source| source.datagrams).sum();
        assert_eq!(counted + traffic.of_others, traffic.datagrams);
    }

    #[test]
    fn a_source_of_two_listeners_has_one_account() {
        let from = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        let heard = |all: &[(u16, usize, u64)]| {
            let mut traffic = UnsolicitedTraffic::default();
            let mut count = |port, len, at| traffic.count(from(port), len, None, Nanos(at));
            all.iter().for_each(|&(port, len, at)| count(port, len, at));
            traffic
        };
        let mut sum = heard(&[(1, 100, 10), (2, 7, 15), (1, 60, 40)]);
        let more = heard(&[(1, 300, 20), (3, 8, 22), (1, 90, 35)]);
        let total = sum.snapshot().and(more.snapshot());
        sum.merge(more);
        let shared = &sum.sources[&from(1)];
        assert_eq!((shared.datagrams, shared.bytes), (4, 550));
        assert_eq!((shared.size_min, shared.size_max), (60, 300));
        assert_eq!((shared.first, shared.last), (Nanos(10), Nanos(40)));
        // The real one is 15; the first listener saw one of 30, and none was longer.
        assert_eq!(shared.gap_max, Nanos(30));
        let counted: u64 = sum.sources.values().map(|source| source.datagrams).sum();
        assert_eq!((counted + sum.of_others, sum.datagrams, sum.sources.len()), (6, 6, 3));
        assert_eq!((sum.size, sum.span), (Some((7, 300)), Some((Nanos(10), Nanos(40)))));
        assert_eq!((sum.gap_mean(), total.gap_mean()), (Some(Nanos(6)), Some(Nanos(6))));
        assert_eq!((total.datagrams, total.size), (6, Some((7, 300))));
        // One after the other, the gap between them is known.
        sum.merge(heard(&[(1, 1, 100), (1, 1, 101)]));
        assert_eq!(sum.sources[&from(1)].gap_max, Nanos(60));
        let mut late = heard(&[(1, 1, 900)]);
        late.merge(sum);
        let shared = &late.sources[&from(1)];
        assert_eq!((shared.gap_max, shared.datagrams), (Nanos(799), 7));
        assert_eq!((shared.first, shared.last), (Nanos(10), Nanos(900)));
    }

    #[test]
    fn only_a_source_of_mostly_numbers_has_sequences() {
        let from = SocketAddr::from(([192, 0, 2, 1], 1));
        let numbered = |sequence| Some(Numbered { phase: 2 << 16, sequence, intended: Nanos(9) });
        let mut traffic = UnsolicitedTraffic::default();
        assert_eq!((traffic.gap_mean(), traffic.size), (None, None));
        for (one, at) in [(numbered(0), 10), (None, 11), (numbered(3), 12), (numbered(3), 13)] {
            traffic.count(from, 64, one, Nanos(at));
        }
        let counts = traffic.sources[&from].sequences().unwrap();
        assert_eq!((counts.unique, counts.lost, counts.duplicate), (2, 2, 1));
        let mut other = UnsolicitedTraffic::default();
        other.count(from, 64, numbered(0), Nanos(20));
        assert_eq!((other.gap_mean(), other.size), (None, Some((64, 64))));
        traffic.merge(other);
        assert_eq!(traffic.sources[&from].sequences().unwrap().unique, 3);
        (0..4).for_each(|at| traffic.count(from, 64, None, Nanos(30 + at)));
        assert_eq!(traffic.sources[&from].sequences(), None);
    }
}
