//! Requests and replies, counted; replies in several datagrams.
//!
//! ```text
//! requests = matched + timeouts
//! replies  = matched + duplicate + late + continued + stale + unmatched
//! ```

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{LatencyHistograms, combine};
use crate::unit::{ErrorCode, Nanos};

/// How many distinct error codes are counted one by one; further ones are summed. Arbitrary:
/// more than any server is seen to give.
const CODES: usize = 32;

/// Error codes by frequency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Codes {
    seen: [(ErrorCode, u64); CODES],
    #[serde(deserialize_with = "at_most_all")]
    used: usize,
    others: u64,
}

fn at_most_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let used = usize::deserialize(deserializer)?;
    if used > CODES {
        return Err(D::Error::custom("more error codes than there is room for"));
    }
    Ok(used)
}

impl Codes {
    /// Counts one.
    #[inline]
    pub fn count(&mut self, code: impl Into<ErrorCode>) {
        self.add(code.into(), 1);
    }

    fn add(&mut self, code: ErrorCode, times: u64) {
        match self.seen[..self.used].iter_mut().find(|(seen, _)| *seen == code) {
            Some((_, count)) => *count = count.saturating_add(times),
            None if self.used < CODES => {
                self.seen[self.used] = (code, times);
                self.used += 1;
            }
            None => self.others = self.others.saturating_add(times),
        }
    }

    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(code, times)| self.add(code, times));
        self.others = self.others.saturating_add(other.others);
    }

    /// Each code and how often it came, in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        self.seen[..self.used].iter().copied()
    }

    /// Errors with codes beyond those counted one by one.
    pub const fn others(&self) -> u64 {
        self.others
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.iter().fold(self.others, |sum, (_, times)| sum.saturating_add(times))
    }
}

/// Outcomes of requests, besides those in [`super::RxTally`]: `received` there is matched
/// here, and `foreign` unmatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::Exchange` describes the fields")]
pub struct RequestCounts {
    pub timeouts: u64,
    pub given_up: u64,
    pub incomplete: u64,
    pub continued: u64,
    pub acknowledged: u64,
    pub acknowledgements_sent: u64,
    pub no_room: u64,
    pub no_room_time: Nanos,
    pub repeated_labels: Option<u64>,
    pub reused_message_ids: Option<u64>,
    pub stale: u64,
    pub errors: Codes,
    pub unreachable: u64,
    pub in_flight_max: u64,
    pub room: u64,
    pub own_drops: Option<u64>,
    pub idle: Nanos,
}

impl RequestCounts {
    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        add_counts!(self, other; timeouts, given_up, incomplete, continued, acknowledged, no_room);
        add_counts!(self, other; stale, unreachable, in_flight_max, room, acknowledgements_sent);
        self.no_room_time += other.no_room_time;
        self.errors.merge(&other.errors);
        self.idle += other.idle;
        let sum = |one, another| combine(one, another, u64::saturating_add);
        self.own_drops = sum(self.own_drops, other.own_drops);
        self.repeated_labels = sum(self.repeated_labels, other.repeated_labels);
        self.reused_message_ids = sum(self.reused_message_ids, other.reused_message_ids);
    }
}

/// One step of exchanges of two requests.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::ExchangeStep` describes the fields")]
pub struct StepResult {
    pub sent: u64,
    pub refused: u64,
    pub answered: u64,
    pub timeouts: u64,
    pub latency: LatencyHistograms,
}

impl StepResult {
    /// Adds that of another worker.
    pub fn merge(&mut self, other: &Self) {
        add_counts!(self, other; sent, refused, answered, timeouts);
        self.latency.merge(&other.latency);
    }

    /// Clears it for the next phase, keeping the memory.
    pub fn reset(&mut self) {
        (self.sent, self.refused, self.answered, self.timeouts) = (0, 0, 0, 0);
        self.latency.reset();
    }
}

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
            let complete = reply.ahead.trailing_ones();
            reply.ahead = reply.ahead.checked_shr(complete).unwrap_or(0);
            reply.next += u64::from(complete);
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

    #[test]
    fn rejects_more_codes_than_the_limit() {
        let mut codes = Codes::default();
        codes.count(5_u16);
        for (used, is_valid) in [(1, true), (CODES, true), (CODES + 1, false)] {
            codes.used = used;
            let bytes = postcard::to_stdvec(&codes).unwrap();
            assert_eq!(postcard::from_bytes(&bytes).ok(), is_valid.then_some(codes));
        }
    }

    #[test]
    fn merging_does_not_overflow() {
        let mut errors = Codes { others: u64::MAX, ..Codes::default() };
        errors.add(ErrorCode::Number(1), u64::MAX);
        let mut sum = RequestCounts { errors, timeouts: u64::MAX, ..RequestCounts::default() };
        sum.merge(&sum.clone());
        assert_eq!((sum.timeouts, sum.errors.total()), (u64::MAX, u64::MAX));
    }

    #[test]
    fn counts_codes_separately_up_to_a_limit() {
        let mut codes = Codes::default();
        (0..CODES as u16 + 3).for_each(|code| codes.count(code));
        codes.count(2_u16);
        assert_eq!(codes.iter().nth(2), Some((ErrorCode::Number(2), 2)));
        assert_eq!((codes.others(), codes.total()), (3, CODES as u64 + 4));
        let mut sum = Codes::default();
        sum.count(7_u16);
        sum.merge(&codes);
        assert_eq!(
            (sum.iter().next(), sum.total()),
            (Some((ErrorCode::Number(7), 2)), CODES as u64 + 5)
        );
    }

    #[test]
    fn a_reply_is_complete_when_each_datagram_has_come_once() {
        for (indices, of, expected) in [
            (&[0, 1, 2][..], 3, &[First, Another, Last][..]),
            (&[2, 0, 1], 3, &[First, Another, Last]),
            (&[0, 0, 1, 2, 2], 3, &[First, Again, Another, Last, Again]),
            (&[1, 1, 0], 3, &[First, Again, Another]),
            // Too far ahead.
            (&[0, 70, 1], 71, &[First, Another, Another]),
        ] {
            let mut parts = Parts::new(3);
            let seen: Vec<_> = indices.iter().map(|&index| parts.note(7, index, of)).collect();
            assert_eq!(seen, expected, "{indices:?}");
        }
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
