//! Fetches a long answer in chunks.

use fastrand::Rng;

use super::backoff::{Retry, RoundTrip};
use crate::remote::protocol::CHUNK_LEN;
use crate::unit::Nanos;

/// Chunks requested at the same time. Arbitrary: 18 KiB, which fits any socket buffer.
const WINDOW: usize = 16;

/// A long answer in transfer.
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

    /// Calls `request` with each offset that is due.
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
        self.open.iter().map(|(_, retry)| retry.due()).min()
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

    /// The whole answer, once it is complete.
    pub(super) fn whole(&mut self) -> Option<Vec<u8>> {
        let is_whole = self.open.is_empty() && self.bytes.len() == self.len;
        is_whole.then(|| std::mem::take(&mut self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_any_order_make_the_whole() {
        let whole: Vec<u8> = (0..CHUNK_LEN * 40 + 7).map(|at| (at % 251) as u8).collect();
        let mut chunks = ChunkedResponse::new(whole.len());
        let (mut random, mut asked) = (Rng::with_seed(1), Vec::new());
        let mut most = 0;
        let got = loop {
            chunks.due(Nanos(5), RoundTrip::default(), &mut random, |offset| asked.push(offset));
            most = most.max(asked.len());
            let Some(offset) = asked.pop() else { break chunks.whole() };
            let part = &whole[offset..whole.len().min(offset + CHUNK_LEN)];
            assert_eq!(chunks.insert(offset, &part[1..], Nanos(9)), None);
            assert_eq!(chunks.insert(offset, part, Nanos(9)), Some(Some(Nanos(4))));
            assert_eq!(chunks.insert(offset, part, Nanos(9)), None);
        };
        assert_eq!(got, Some(whole));
        assert_eq!(most, WINDOW);
    }

    #[test]
    fn memory_follows_what_is_asked_for() {
        let mut chunks = ChunkedResponse::new(1 << 40);
        chunks.due(Nanos(0), RoundTrip::default(), &mut Rng::with_seed(1), |_| {});
        assert_eq!(chunks.bytes.len(), WINDOW * CHUNK_LEN);
        assert_eq!(chunks.insert(1, &[0; CHUNK_LEN], Nanos(0)), None);
        assert_eq!(chunks.whole(), None);
    }
}
