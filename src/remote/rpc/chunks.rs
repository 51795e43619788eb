//! Fetches a long answer part by part.

use super::backoff::{BackoffJitter, Retry, RoundTrip};
use crate::remote::protocol::CHUNK_LEN;
use crate::unit::Nanos;

/// Parts asked for at the same time. Arbitrary: 18 KiB, which any socket's buffer holds.
const WINDOW: usize = 16;

/// A long answer on its way.
#[derive(Debug)]
pub(super) struct ChunkedResponse {
    len: usize,
    /// Up to the last part asked for; grows with what is asked, not with what was announced.
    bytes: Vec<u8>,
    open: Vec<(usize, Retry)>,
}

impl ChunkedResponse {
    pub(super) fn new(len: usize) -> Self {
        Self { len, bytes: Vec::new(), open: Vec::with_capacity(WINDOW) }
    }

    /// The offsets to be asked for now.
    pub(super) fn due(
        &mut self,
        now: Nanos,
        trip: RoundTrip,
        jitter: &mut BackoffJitter,
        mut ask: impl FnMut(usize),
    ) {
        while self.open.len() < WINDOW && self.bytes.len() < self.len {
            self.open.push((self.bytes.len(), Retry::new(now, trip)));
            self.bytes.resize(self.len.min(self.bytes.len() + CHUNK_LEN), 0);
        }
        for (offset, retry) in &mut self.open {
            if retry.fire(now, jitter) {
                ask(*offset);
            }
        }
    }

    /// When something is to be asked for again.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        self.open.iter().map(|(_, retry)| retry.due()).min()
    }

    /// Takes a part; tells whether it was one that is waited for, and the round trip it shows.
    pub(super) fn take(&mut self, offset: usize, part: &[u8], now: Nanos) -> Option<Option<Nanos>> {
        let at = self.open.iter().position(|(open, _)| *open == offset)?;
        if part.len() != CHUNK_LEN.min(self.len - offset) {
            return None;
        }
        self.bytes.get_mut(offset..offset + part.len())?.copy_from_slice(part);
        let (_, retry) = self.open.swap_remove(at);
        Some(retry.round_trip(now))
    }

    /// The whole, once it is there.
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
        let mut pulls = ChunkedResponse::new(whole.len());
        let (mut jitter, mut asked) = (BackoffJitter::new(1), Vec::new());
        let mut most = 0;
        let got = loop {
            pulls.due(Nanos(5), RoundTrip::default(), &mut jitter, |offset| asked.push(offset));
            most = most.max(asked.len());
            let Some(offset) = asked.pop() else { break pulls.whole() };
            let part = &whole[offset..whole.len().min(offset + CHUNK_LEN)];
            assert_eq!(pulls.take(offset, &part[1..], Nanos(9)), None);
            assert_eq!(pulls.take(offset, part, Nanos(9)), Some(Some(Nanos(4))));
            assert_eq!(pulls.take(offset, part, Nanos(9)), None);
        };
        assert_eq!(got, Some(whole));
        assert_eq!(most, WINDOW);
    }

    #[test]
    fn memory_follows_what_is_asked_for() {
        let mut pulls = ChunkedResponse::new(1 << 40);
        pulls.due(Nanos(0), RoundTrip::default(), &mut BackoffJitter::new(1), |_| {});
        assert_eq!(pulls.bytes.len(), WINDOW * CHUNK_LEN);
        assert_eq!(pulls.take(1, &[0; CHUNK_LEN], Nanos(0)), None);
        assert_eq!(pulls.whole(), None);
    }
}
