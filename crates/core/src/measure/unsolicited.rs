//! Counts of a bound receiver: its clients, and unsolicited traffic by source.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::window::{Numbered, Sequences};
use super::{LatencyHistograms, RxTally, ServerIntervals, combine};
use crate::document::SinkSequences;
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
    pub cut_short: u64,
    pub rx: RxTally,
    pub lost: Option<u64>,
    /// Lost in the cells of which that is known.
    pub known_lost: u64,
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
    pub intervals: ServerIntervals,
}

/// One socket that listens, and its datagrams outside sessions.
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

/// Totals of datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many.
    pub datagrams: u64,
    /// Their payload.
    pub bytes: u64,
    /// The smallest and the largest payload; `None` without datagrams.
    pub size: Option<(u64, u64)>,
    /// When the first and the last one arrived, on the monotonic clock.
    pub span: Option<(Nanos, Nanos)>,
}

impl Totals {
    /// Counts a datagram; returns the gap since the one before.
    fn count(&mut self, len: u64, now: Nanos) -> Option<Nanos> {
        let gap = self.span.map(|(_, last)| now.since(last));
        let (size, span) = (Some((len, len)), Some((now, now)));
        self.merge(&Self { datagrams: 1, bytes: len, size, span });
        gap
    }

    fn merge(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.size = hull(self.size, other.size);
        self.span = hull(self.span, other.span);
    }

    /// The mean gap between datagrams over all listeners; `None` below two.
    pub fn gap_mean(&self) -> Option<Nanos> {
        let gaps = self.datagrams.checked_sub(1).filter(|&gaps| gaps > 0)?;
        self.span.map(|(first, last)| Nanos(last.since(first).0 / gaps))
    }
}

fn hull<T: Ord>(one: Option<(T, T)>, other: Option<(T, T)>) -> Option<(T, T)> {
    combine(one, other, |(least, most), (low, high)| (least.min(low), most.max(high)))
}

/// Who sent a datagram outside sessions, and to which multicast group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrafficSource {
    /// The sender.
    pub from: SocketAddr,
    /// The group; `None` for other datagrams.
    pub group: Option<IpAddr>,
}

impl From<SocketAddr> for TrafficSource {
    fn from(from: SocketAddr) -> Self {
        Self { from, group: None }
    }
}

/// One source.
#[derive(Debug, Clone, Default)]
pub struct UnsolicitedSource {
    /// Its datagrams.
    pub totals: Totals,
    /// The longest gap between two of them at the same listener.
    pub gap_max: Nanos,
    sequences: Option<Box<Sequences>>,
    /// The sequence counts of other listeners.
    elsewhere: SinkSequences,
}

impl UnsolicitedSource {
    /// Its datagrams by sequence number; `None` unless most of them carry udperf's header.
    pub fn sequences(&self) -> Option<SinkSequences> {
        let counts = self.all_sequences();
        let (all, numbered) = (self.totals.datagrams, counts.arrived());
        let other = all.saturating_sub(numbered);
        (numbered > all / 2).then_some(SinkSequences { other, ..counts })
    }

    fn all_sequences(&self) -> SinkSequences {
        let mut counts = self.elsewhere;
        if let Some(here) = &self.sequences {
            counts.add(&here.counts());
        }
        counts
    }

    fn number(&mut self, numbered: Option<Numbered>, listened: Nanos) {
        let Some(numbered) = numbered else { return };
        match &mut self.sequences {
            Some(sequences) => sequences.count(numbered, listened),
            None => self.sequences = Sequences::begin(numbered, listened).map(Box::new),
        }
    }

    fn merge(&mut self, other: &Self) {
        // The gap between the two, if one listener was first throughout; otherwise every gap lies
        // within one of a single listener.
        let spans = self.totals.span.zip(other.totals.span);
        let between = spans.map(|(a, b)| b.0.since(a.1).max(a.0.since(b.1)));
        self.gap_max = self.gap_max.max(other.gap_max).max(between.unwrap_or_default());
        self.totals.merge(&other.totals);
        self.elsewhere.add(&other.all_sequences());
    }
}

/// All datagrams outside sessions.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "`document::SinkOthers` describes the fields")]
pub struct UnsolicitedTraffic {
    /// When counting began, on the monotonic clock.
    pub since: Nanos,
    pub totals: Totals,
    pub sizes: [u64; SIZE_CLASSES],
    pub gaps: LatencyHistograms,
    pub sources: HashMap<TrafficSource, UnsolicitedSource>,
    pub of_others: u64,
    pub stray_control: u64,
}

/// Totals of [`UnsolicitedTraffic`], to show progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// All datagrams.
    pub totals: Totals,
    /// Sources that are counted separately; one that several listeners know, as often.
    pub sources: usize,
    /// The source with most datagrams at one listener, and how many.
    pub most: Option<(SocketAddr, u64)>,
    /// Datagrams dropped at full receive buffers, as far as the system counts them.
    pub drops: u64,
}

impl Snapshot {
    /// Adds that of another listener.
    pub fn and(mut self, other: Self) -> Self {
        self.totals.merge(&other.totals);
        self.sources += other.sources;
        self.most = self.most.into_iter().chain(other.most).max_by_key(|(_, datagrams)| *datagrams);
        self.drops += other.drops;
        self
    }
}

impl UnsolicitedTraffic {
    /// Its totals.
    pub fn snapshot(&self) -> Snapshot {
        let most = self.sources.iter().map(|(key, source)| (key.from, source.totals.datagrams));
        Snapshot {
            totals: self.totals,
            sources: self.sources.len(),
            most: most.max_by_key(|(_, datagrams)| *datagrams),
            drops: 0,
        }
    }

    /// Counts a datagram; `numbered` has the fields of udperf's header, if it has one.
    pub fn count(
        &mut self,
        from: impl Into<TrafficSource>,
        len: usize,
        numbered: Option<Numbered>,
        now: Nanos,
    ) {
        let from = from.into();
        self.count_size(len, now);
        if self.sources.len() >= MOST_SOURCES && !self.sources.contains_key(&from) {
            self.of_others += 1;
            return;
        }
        let source = self.sources.entry(from).or_default();
        let gap = source.totals.count(len as u64, now);
        source.gap_max = source.gap_max.max(gap.unwrap_or_default());
        source.number(numbered, now.since(self.since));
    }

    /// Counts a datagram without a source address.
    pub fn count_nameless(&mut self, len: usize, now: Nanos) {
        self.count_size(len, now);
        self.of_others += 1;
    }

    fn count_size(&mut self, len: usize, now: Nanos) {
        let class = (usize::BITS - len.saturating_sub(1).leading_zeros()) as usize;
        self.sizes[class.min(SIZE_CLASSES - 1)] += 1;
        if let Some(gap) = self.totals.count(len as u64, now) {
            self.gaps.record(gap.0);
        }
    }

    /// Adds the counts of another listener. Control messages all reach the first listener, so two
    /// may know the same source.
    pub fn merge(&mut self, other: Self) {
        self.totals.merge(&other.totals);
        self.sizes.iter_mut().zip(other.sizes).for_each(|(sum, more)| *sum += more);
        self.gaps.merge(&other.gaps);
        for (from, source) in other.sources {
            let known = self.sources.entry(from);
            known.and_modify(|known| known.merge(&source)).or_insert(source);
        }
        add_counts!(self, other; of_others, stray_control);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn traffic(all: &[(u16, usize, u64)]) -> UnsolicitedTraffic {
        let mut traffic = UnsolicitedTraffic::default();
        for &(port, len, at) in all {
            traffic.count(from(port), len, None, Nanos(at));
        }
        traffic
    }

    fn totals(datagrams: u64, bytes: u64, size: (u64, u64), span: (u64, u64)) -> Totals {
        let span = Some((Nanos(span.0), Nanos(span.1)));
        Totals { datagrams, bytes, size: Some(size), span }
    }

    #[test]
    fn counts_a_limited_number_of_sources() {
        let mut traffic = traffic(&[(1, 0, 5), (1, 65_507, 9), (2, 64, 30), (1, 64, 31)]);
        let first = &traffic.sources[&from(1).into()];
        assert_eq!(first.totals, totals(3, 65_571, (0, 65_507), (5, 31)));
        assert_eq!(first.gap_max, Nanos(22));
        assert_eq!((traffic.sizes[0], traffic.sizes[6], traffic.sizes[16]), (1, 2, 1));
        assert_eq!((traffic.gaps.count(), traffic.gaps.max_ns()), (3, Some(21)));
        (3..=u16::MAX).for_each(|port| traffic.count(from(port), 1, None, Nanos(40)));
        let snapshot = traffic.snapshot().and(Snapshot::default());
        assert_eq!((snapshot.totals, snapshot.sources), (traffic.totals, MOST_SOURCES));
        assert_eq!(snapshot.most, Some((from(1), 3)));
        let counted: u64 = traffic.sources.values().map(|source| source.totals.datagrams).sum();
        assert_eq!(counted + traffic.of_others, traffic.totals.datagrams);
    }

    #[test]
    fn merges_sources_of_two_listeners() {
        let mut sum = traffic(&[(1, 100, 10), (2, 7, 15), (1, 60, 40)]);
        let more = traffic(&[(1, 300, 20), (3, 8, 22), (1, 90, 35)]);
        let snapshot = sum.snapshot().and(more.snapshot());
        sum.merge(more);
        let shared = &sum.sources[&from(1).into()];
        assert_eq!(shared.totals, totals(4, 550, (60, 300), (10, 40)));
        // The real one is 15; the first listener saw one of 30, and none was longer.
        assert_eq!(shared.gap_max, Nanos(30));
        assert_eq!((sum.totals, snapshot.totals), (totals(6, 565, (7, 300), (10, 40)), sum.totals));
        assert_eq!(
            (sum.totals.gap_mean(), sum.of_others, sum.sources.len()),
            (Some(Nanos(6)), 0, 3)
        );
        // One after the other, the gap between them is known.
        sum.merge(traffic(&[(1, 1, 100), (1, 1, 101)]));
        assert_eq!(sum.sources[&from(1).into()].gap_max, Nanos(60));
        let mut late = traffic(&[(1, 1, 900)]);
        late.merge(sum);
        let shared = &late.sources[&from(1).into()];
        assert_eq!(shared.totals, totals(7, 553, (1, 300), (10, 900)));
        assert_eq!(shared.gap_max, Nanos(799));
    }

    #[test]
    fn only_a_source_of_mostly_numbers_has_sequences() {
        let numbered = |sequence| Some(Numbered { phase: 2 << 16, sequence, intended: Nanos(9) });
        let (mut traffic, mut other) = <(UnsolicitedTraffic, UnsolicitedTraffic)>::default();
        assert_eq!(traffic.totals.gap_mean(), None);
        for (one, at) in [(numbered(0), 10), (None, 11), (numbered(3), 12), (numbered(3), 13)] {
            traffic.count(from(1), 64, one, Nanos(at));
        }
        let counts = traffic.sources[&from(1).into()].sequences().unwrap();
        assert_eq!((counts.unique, counts.lost, counts.duplicate), (2, 2, 1));
        other.count(from(1), 64, numbered(0), Nanos(20));
        assert_eq!(other.totals.gap_mean(), None);
        traffic.merge(other);
        assert_eq!(traffic.sources[&from(1).into()].sequences().unwrap().unique, 3);
        (0..4).for_each(|at| traffic.count(from(1), 64, None, Nanos(30 + at)));
        assert_eq!(traffic.sources[&from(1).into()].sequences(), None);
    }
}
