//! Replies in several datagrams: which of them have arrived.

/// The role of a datagram in its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartSeen {
    /// The first to arrive of its reply.
    First,
    /// One of several; others are missing.
    Another,
    /// The one that completes the reply.
    Last,
    /// A duplicate.
    Again,
}

/// How far beyond the first missing datagram an arrival is remembered: the bits of a word. A reply
/// that is reordered by more stays incomplete.
const AHEAD: u64 = u64::BITS as u64;

#[derive(Debug, Clone, Copy, Default)]
struct Reply {
    /// The request that it answers, counted from 1; 0: none.
    request: u64,
    /// All datagrams below this one have arrived.
    next: u64,
    /// Which of those from `next` on have arrived, one bit each.
    ahead: u64,
}

/// The replies to the latest requests of a worker.
#[derive(Debug)]
pub struct Parts {
    replies: Box<[Reply]>,
}

impl Parts {
    /// For as many requests at once, rounded up to a power of two.
    // cold: set-up
    pub fn new(requests: u64) -> Self {
        let slots = requests.next_power_of_two();
        Self { replies: (0..slots).map(|_| Reply::default()).collect() }
    }

    /// Whether any datagram of the reply to this request has come.
    #[inline]
    pub fn has_begun(&self, request: u64) -> bool {
        self.replies[self.slot(request)].request == request + 1
    }

    #[inline]
    fn slot(&self, request: u64) -> usize {
        // A power of two.
        request as usize & (self.replies.len() - 1)
    }

    /// Datagram `index` of the `of` that answer this request has come; `index` is below `of`.
    #[inline]
    pub fn note(&mut self, request: u64, index: u16, of: u16) -> PartSeen {
        let at = self.slot(request);
        let reply = &mut self.replies[at];
        let is_first = reply.request != request + 1;
        if is_first {
            *reply = Reply { request: request + 1, ..Reply::default() };
        }
        let Some(beyond) = u64::from(index).checked_sub(reply.next) else { return PartSeen::Again };
        if beyond < AHEAD {
            if reply.ahead >> beyond & 1 == 1 {
                return PartSeen::Again;
            }
            reply.ahead |= 1 << beyond;
            let whole = reply.ahead.trailing_ones();
            reply.ahead = reply.ahead.checked_shr(whole).unwrap_or(0);
            reply.next += u64::from(whole);
        }
        match (reply.next == u64::from(of), is_first) {
            (true, _) => PartSeen::Last,
            (false, true) => PartSeen::First,
            (false, false) => PartSeen::Another,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PartSeen::{Again, Another, First, Last};

    fn seen(indices: &[u16], of: u16) -> Vec<PartSeen> {
        let mut parts = Parts::new(3);
        indices.iter().map(|&index| parts.note(7, index, of)).collect()
    }

    #[test]
    fn a_reply_is_complete_when_each_datagram_has_come_once() {
        assert_eq!(seen(&[0, 1, 2], 3), [First, Another, Last]);
        assert_eq!(seen(&[2, 0, 1], 3), [First, Another, Last]);
        assert_eq!(seen(&[0, 0, 1, 2, 2], 3), [First, Again, Another, Last, Again]);
        assert_eq!(seen(&[1, 1, 0], 3), [First, Again, Another], "the last one is missing");
        assert_eq!(seen(&[0, 70, 1], 71), [First, Another, Another], "too far ahead");
    }

    #[test]
    fn long_replies_do_not_mix_with_their_neighbours() {
        let mut parts = Parts::new(4);
        let mut last = None;
        for index in 0..u16::MAX {
            last = Some(parts.note(1, index, u16::MAX));
            assert_eq!(parts.note(2, 0, 2), if index == 0 { First } else { Again });
        }
        assert_eq!(last, Some(Last));
        assert_eq!(parts.note(5, 0, 2), First, "it takes the slot of request 1");
        let word: Vec<_> = (0..64).rev().map(|index| parts.note(6, index, 64)).collect();
        assert_eq!((word[0], word[62], word[63]), (First, Another, Last));
    }
}
