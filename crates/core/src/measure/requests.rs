//! Requests and replies, counted.
//!
//! ```text
//! requests = matched + timeouts
//! replies  = matched + duplicate + late + continued + stale + unmatched
//! ```

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::combine;
use crate::unit::Nanos;

/// How many distinct error codes are counted one by one; further ones are summed. Arbitrary:
/// more than any server is seen to give.
const CODES: usize = 32;

/// Error codes of a protocol, by how often they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Codes {
    seen: [(u16, u64); CODES],
    #[serde(deserialize_with = "at_most_all")]
    used: usize,
    others: u64,
}

/// Checks the list of error codes of a peer: more codes than the limit are refused.
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
    pub fn count(&mut self, code: u16) {
        self.add(code, 1);
    }

    fn add(&mut self, code: u16, times: u64) {
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
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
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
        add_counts!(self, other; stale, unreachable, in_flight_max, room);
        self.no_room_time += other.no_room_time;
        self.errors.merge(&other.errors);
        self.idle += other.idle;
        let sum = |one, another| combine(one, another, u64::saturating_add);
        self.own_drops = sum(self.own_drops, other.own_drops);
        self.repeated_labels = sum(self.repeated_labels, other.repeated_labels);
        self.reused_message_ids = sum(self.reused_message_ids, other.reused_message_ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_codes_than_there_are_is_no_count() {
        let mut codes = Codes::default();
        codes.count(5);
        let read = |codes: &Codes| {
            postcard::from_bytes::<Codes>(&postcard::to_stdvec(codes).unwrap()).ok()
        };
        assert_eq!(read(&codes), Some(codes));
        codes.used = CODES;
        assert!(read(&codes).is_some());
        codes.used = CODES + 1;
        assert_eq!(read(&codes), None);
    }

    #[test]
    fn counts_of_a_peer_add_up_to_the_most_there_is() {
        let mut codes = Codes { others: u64::MAX, ..Codes::default() };
        codes.add(1, u64::MAX);
        let wild = RequestCounts { errors: codes, timeouts: u64::MAX, ..RequestCounts::default() };
        let mut sum = wild;
        sum.merge(&wild);
        assert_eq!((sum.timeouts, sum.errors.total()), (u64::MAX, u64::MAX));
    }

    #[test]
    fn codes_are_counted_one_by_one_up_to_a_limit() {
        let mut codes = Codes::default();
        (0..CODES as u16 + 3).for_each(|code| codes.count(code));
        codes.count(2);
        assert_eq!(codes.iter().nth(2), Some((2, 2)));
        assert_eq!((codes.others(), codes.total()), (3, CODES as u64 + 4));
        let mut sum = Codes::default();
        sum.count(7);
        sum.merge(&codes);
        assert_eq!((sum.iter().next(), sum.total()), (Some((7, 2)), CODES as u64 + 5));
    }
}
