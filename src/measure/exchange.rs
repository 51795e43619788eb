//! Requests and replies, counted.
//!
//! ```text
//! requests = matched + timeouts
//! replies  = matched + duplicate + late + continued + stale + unmatched
//! ```

use serde::{Deserialize, Serialize};

use crate::unit::Nanos;

/// How many distinct error codes are told apart; what comes beyond counts as others. Arbitrary:
/// more than any server is seen to give.
const CODES: usize = 32;

/// Error codes of a protocol, by how often they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Codes {
    seen: [(u16, u64); CODES],
    used: usize,
    others: u64,
}

impl Codes {
    /// Counts one.
    #[inline]
    pub fn count(&mut self, code: u16) {
        self.add(code, 1);
    }

    fn add(&mut self, code: u16, times: u64) {
        match self.seen[..self.used].iter_mut().find(|(seen, _)| *seen == code) {
            Some((_, count)) => *count += times,
            None if self.used < CODES => {
                self.seen[self.used] = (code, times);
                self.used += 1;
            }
            None => self.others += times,
        }
    }

    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(code, times)| self.add(code, times));
        self.others += other.others;
    }

    /// Each code and how often it came, in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        self.seen[..self.used].iter().copied()
    }

    /// How many came beyond the codes that are told apart.
    #[must_use]
    pub const fn others(&self) -> u64 {
        self.others
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, times)| times).sum::<u64>() + self.others
    }
}

/// What became of requests, beside what [`super::RxTally`] counts: `received` there is matched
/// here, and `foreign` unmatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Exchange {
    /// Requests without a reply within the time they had.
    pub timeouts: u64,
    /// Of those, given up before their time: the run was ended.
    pub given_up: u64,
    /// Of those, requests of whose reply some datagrams came and others did not.
    pub incomplete: u64,
    /// Datagrams of a reply that takes several, but for the one that made it complete, and
    /// acknowledgements without a reply.
    pub continued: u64,
    /// Of those, acknowledgements.
    pub acknowledged: u64,
    /// Slots of the schedule that were missed because all ids could still be answered.
    pub no_room: u64,
    /// Time in which nothing could be asked for that reason, each worker's added up.
    pub no_room_time: Nanos,
    /// Requests whose random label another of the run had before; `None`: they have none.
    pub repeated_labels: Option<u64>,
    /// Requests whose message id another of the same port had less than its lifetime before;
    /// `None`: they have none.
    pub reused_message_ids: Option<u64>,
    /// Replies to requests of the phase before, which are no matter of this one.
    pub stale: u64,
    /// Matched replies that carry an error of the protocol.
    pub errors: Codes,
    /// How often the network said that nobody is there (ICMP).
    pub unreachable: u64,
    /// The most requests in flight at once, each worker's added up.
    pub in_flight_max: u64,
    /// Requests that there are ids and places for at once.
    pub room: u64,
    /// Replies that our own sockets dropped for want of buffer.
    pub own_drops: Option<u64>,
    /// Time in which there was nothing to do.
    pub idle: Nanos,
}

impl Exchange {
    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        self.timeouts += other.timeouts;
        self.given_up += other.given_up;
        self.incomplete += other.incomplete;
        self.continued += other.continued;
        self.acknowledged += other.acknowledged;
        self.no_room += other.no_room;
        self.no_room_time += other.no_room_time;
        self.stale += other.stale;
        self.errors.merge(&other.errors);
        self.unreachable += other.unreachable;
        self.in_flight_max += other.in_flight_max;
        self.room = self.room.saturating_add(other.room);
        self.idle += other.idle;
        let sum = |one: Option<u64>, another: Option<u64>| match (one, another) {
            (Some(a), Some(b)) => Some(a + b),
            (one, another) => one.or(another),
        };
        self.own_drops = sum(self.own_drops, other.own_drops);
        self.repeated_labels = sum(self.repeated_labels, other.repeated_labels);
        self.reused_message_ids = sum(self.reused_message_ids, other.reused_message_ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_up_to_their_number() {
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
