//! Distribution of requests over source ports.
//!
//! Blocks of requests go to the ports in turn, and each request has an index on its port, from 0.
//! Its id is as many low bits of that index as the protocol has room for.

/// Distribution of requests over source ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamMap {
    streams: u64,
    block: u64,
}

impl StreamMap {
    /// Blocks of `block` requests, in turn to each of `streams` ports.
    pub fn new(streams: usize, block: usize) -> Self {
        Self { streams: streams.max(1) as u64, block: block.max(1) as u64 }
    }

    /// The port of a request.
    #[inline]
    pub const fn stream(&self, number: u64) -> usize {
        if self.streams == 1 { 0 } else { ((number / self.block) % self.streams) as usize }
    }

    /// Zero-based index of the request on its port.
    #[inline]
    pub const fn place(&self, number: u64) -> u64 {
        if self.streams == 1 {
            return number;
        }
        number / (self.block * self.streams) * self.block + number % self.block
    }

    /// The request that is the `place`-th of its port.
    #[inline]
    pub const fn number(&self, stream: usize, place: u64) -> u64 {
        if self.streams == 1 {
            return place;
        }
        place / self.block * self.block * self.streams
            + stream as u64 * self.block
            + place % self.block
    }

    /// How many requests from this one on go to the same port.
    #[inline]
    pub const fn in_row(&self, number: u64) -> u64 {
        if self.streams == 1 { u64::MAX } else { self.block - number % self.block }
    }

    /// How many of the first `count` requests go to this port.
    #[inline]
    pub fn places(&self, stream: usize, count: u64) -> u64 {
        if self.streams == 1 {
            return count;
        }
        let round = self.block * self.streams;
        let rest = (count % round).saturating_sub(stream as u64 * self.block);
        count / round * self.block + rest.min(self.block)
    }

    /// Number of consecutive requests whose ids of so many bits are unique on each port.
    pub fn distinct(&self, id_bits: u32) -> u64 {
        let ids = 1_u64.checked_shl(id_bits).unwrap_or(u64::MAX);
        if self.streams == 1 {
            ids
        } else {
            // A row may start within a block; as many requests as ids may all be of one port.
            ids.saturating_sub(self.block).saturating_mul(self.streams).max(ids)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_maps_are_bijections() {
        for (streams, block) in [(1, 1), (1, 64), (3, 1), (3, 4), (7, 64)] {
            let stream_map = StreamMap::new(streams, block);
            let mut next = vec![0; streams];
            for number in 0..1_000 {
                let (stream, place) = (stream_map.stream(number), stream_map.place(number));
                assert_eq!(place, next[stream], "{stream_map:?} {number}");
                assert_eq!(stream_map.places(stream, number), place);
                assert_eq!(stream_map.number(stream, place), number);
                let row = stream_map.in_row(number).min(10_000);
                assert!((0..row).all(|more| stream_map.stream(number + more) == stream));
                next[stream] += 1;
            }
        }
    }
}
