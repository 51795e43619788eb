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
    fn only_requested_chunks_are_stored_and_memory_follows_requests() {
        let (mut random, mut offsets) = (Rng::with_seed(1), Vec::new());
        let mut chunks = ChunkedResponse::new(1 << 40);
        chunks.due(Nanos(5), RoundTrip::default(), &mut random, |offset| offsets.push(offset));
        assert_eq!((offsets.len(), chunks.bytes.len()), (WINDOW, WINDOW * CHUNK_LEN));
        let part = [7; CHUNK_LEN];
        assert_eq!(chunks.insert(1, &part, Nanos(9)), None);
        assert_eq!(chunks.insert(CHUNK_LEN, &part[1..], Nanos(9)), None);
        assert_eq!(chunks.insert(CHUNK_LEN, &part, Nanos(9)), Some(Some(Nanos(4))));
        assert_eq!(chunks.insert(CHUNK_LEN, &part, Nanos(9)), None);
        assert_eq!(chunks.whole(), None);
    }
}
