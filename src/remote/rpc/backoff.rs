//! Retries with exponential back-off, and long answers, fetched in chunks.

use fastrand::Rng;

use crate::remote::protocol::CHUNK_LEN;
use crate::unit::Nanos;

/// The first interval before any round trip is measured. Arbitrary: longer than most paths.
const UNMEASURED: Nanos = Nanos::from_millis(100);
/// The shortest first interval. Arbitrary: a busy server's thread may wait as long for its core.
const SHORTEST: Nanos = Nanos::from_millis(10);
/// The longest interval after doubling. Arbitrary: fifty tries within the usual patience of 10 s.
/// If half is lost each way, one try in four succeeds, and all fifty fail once in a million times.
const LONGEST: Nanos = Nanos::from_millis(200);
/// The longest first interval, for long round trips. Arbitrary: five tries within 10 s.
const LONGEST_FIRST: Nanos = Nanos::from_millis(2_000);
/// The first interval in round trips. Arbitrary: more than TCP's initial three (RFC 6298 §2).
const ROUND_TRIPS: u64 = 4;

/// Three to five quarters of `gap`, so that clients that start together do not stay in step.
fn with_jitter(gap: Nanos, random: &mut Rng) -> Nanos {
    Nanos(gap.0 - gap.0 / 4 + random.u64(..=gap.0 / 2))
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RoundTrip(Option<Nanos>);

impl RoundTrip {
    /// Adds a sample with a weight of an eighth (RFC 6298 §2). Karn: none of messages sent twice.
    pub(super) fn add_sample(&mut self, sample: Option<Nanos>) {
        let Some(sample) = sample else { return };
        self.0 = Some(match self.0 {
            Some(old) => Nanos(old.0 - old.0 / 8 + sample.0 / 8),
            None => sample,
        });
    }

    fn first_gap(self) -> Nanos {
        let gap = |rtt: Nanos| Nanos(rtt.0.saturating_mul(ROUND_TRIPS));
        self.0.map_or(UNMEASURED, gap).clamp(SHORTEST, LONGEST_FIRST)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    pub(super) due: Nanos,
    gap: Nanos,
    last: Nanos,
    pub(super) tries: u32,
}

impl Retry {
    pub(super) fn new(now: Nanos, rtt: RoundTrip) -> Self {
        Self { due: now, gap: rtt.first_gap(), last: now, tries: 0 }
    }

    /// Whether a try is due now; if so, counts it.
    pub(super) fn fire(&mut self, now: Nanos, random: &mut Rng) -> bool {
        if now < self.due {
            return false;
        }
        self.tries = self.tries.saturating_add(1);
        self.last = now;
        self.due = now + with_jitter(self.gap, random);
        self.gap = Nanos(self.gap.0 * 2).min(LONGEST).max(self.gap);
        true
    }

    /// The round-trip time if the answer arrives now; `None` after more than one try.
    pub(super) fn round_trip(&self, now: Nanos) -> Option<Nanos> {
        (self.tries == 1).then(|| now.since(self.last))
    }
}

/// Chunks requested at the same time. Arbitrary: 18 KiB, which fits any socket buffer.
const WINDOW: usize = 16;

#[derive(Debug)]
pub(super) struct ChunkedResponse {
    len: usize,
    /// Up to the last chunk requested: memory follows requests, not the announced length.
    bytes: Vec<u8>,
    open: Vec<(usize, Retry)>,
}

impl ChunkedResponse {
    pub(super) fn new(len: usize) -> Self {
        Self { len, bytes: Vec::new(), open: Vec::with_capacity(WINDOW) }
    }

    pub(super) fn due(
        &mut self,
        now: Nanos,
        rtt: RoundTrip,
        random: &mut Rng,
        mut request: impl FnMut(usize),
    ) {
        while self.open.len() < WINDOW && self.bytes.len() < self.len {
            self.open.push((self.bytes.len(), Retry::new(now, rtt)));
            self.bytes.resize(self.len.min(self.bytes.len() + CHUNK_LEN), 0);
        }
        for (offset, retry) in &mut self.open {
            if retry.fire(now, random) {
                request(*offset);
            }
        }
    }

    pub(super) fn next_due(&self) -> Option<Nanos> {
        self.open.iter().map(|(_, retry)| retry.due).min()
    }

    /// Stores a chunk. Returns `None` if it was not requested, else the round-trip time if known.
    pub(super) fn insert(
        &mut self,
        offset: usize,
        part: &[u8],
        now: Nanos,
    ) -> Option<Option<Nanos>> {
        let at = self.open.iter().position(|(open, _)| *open == offset)?;
        if part.len() != CHUNK_LEN.min(self.len - offset) {
            return None;
        }
        self.bytes.get_mut(offset..offset + part.len())?.copy_from_slice(part);
        let (_, retry) = self.open.swap_remove(at);
        Some(retry.round_trip(now))
    }

    pub(super) fn complete(&mut self) -> Option<Vec<u8>> {
        let is_complete = self.open.is_empty() && self.bytes.len() == self.len;
        is_complete.then(|| std::mem::take(&mut self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rtt: Option<Nanos>) -> RoundTrip {
        let mut measured = RoundTrip::default();
        measured.add_sample(rtt);
        measured
    }

    #[test]
    fn intervals_double_up_to_the_longest() {
        let mut random = Rng::with_seed(1);
        let mut retry = Retry::new(Nanos(7), measured(Some(Nanos::from_millis(5))));
        for gap in [20_u64, 40, 80, 160, 200, 200, 200] {
            let now = retry.due;
            assert!(now == Nanos(7) || !retry.fire(now - Nanos(1), &mut random));
            assert!(retry.fire(now, &mut random));
            let (least, most) = (gap * 750_000, gap * 1_250_000);
            assert!((least..=most).contains(&(retry.due - now).0), "{gap}");
            // A message sent twice does not measure the round trip.
            let round_trip = retry.round_trip(now + Nanos(9));
            assert_eq!(round_trip, (retry.tries == 1).then_some(Nanos(9)));
        }
        assert_eq!(retry.tries, 7);
        for (rtt, first) in [
            (None, UNMEASURED),
            (Some(Nanos(30)), SHORTEST),
            (Some(Nanos::from_millis(20)), Nanos::from_millis(80)),
            (Some(Nanos::NEVER), LONGEST_FIRST),
        ] {
            assert_eq!(measured(rtt).first_gap(), first);
        }
    }

    #[test]
    fn stores_only_requested_chunks() {
        let (mut random, mut offsets) = (Rng::with_seed(1), Vec::new());
        let mut chunks = ChunkedResponse::new(1 << 40);
        chunks.due(Nanos(5), RoundTrip::default(), &mut random, |offset| offsets.push(offset));
        assert_eq!((offsets.len(), chunks.bytes.len()), (WINDOW, WINDOW * CHUNK_LEN));
        let part = [7; CHUNK_LEN];
        assert_eq!(chunks.insert(1, &part, Nanos(9)), None);
        assert_eq!(chunks.insert(CHUNK_LEN, &part[1..], Nanos(9)), None);
        assert_eq!(chunks.insert(CHUNK_LEN, &part, Nanos(9)), Some(Some(Nanos(4))));
        assert_eq!(chunks.insert(CHUNK_LEN, &part, Nanos(9)), None);
        assert_eq!(chunks.complete(), None);
    }
}
