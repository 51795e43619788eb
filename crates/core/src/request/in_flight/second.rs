//! Exchanges in the table that wait for the reply to their second request. They have a timeout of
//! their own, so the table skips them when it times out first requests.

use std::sync::atomic::Ordering;

use super::{
    ANSWERED, CONTINUING, InFlightTable, OPEN, PendingRequest, STATE, STATE_BITS, TIMED_OUT,
};
use crate::unit::Nanos;

impl InFlightTable {
    /// Whether the slot of this request was not reused.
    #[inline]
    pub fn is_at(&self, number: u64, head: u64) -> bool {
        head - number <= self.capacity()
    }

    /// Whether this exchange waits for the reply to its second request, or to send it.
    #[inline]
    pub fn is_continuing(&self, number: u64) -> bool {
        self.slot(number).word.load(Ordering::Relaxed) & STATE == CONTINUING
    }

    /// The times of a request in its slot.
    #[inline]
    pub fn pending(&self, number: u64) -> PendingRequest {
        let intended = Nanos(self.slot(number).word.load(Ordering::Relaxed) >> STATE_BITS);
        PendingRequest { intended, sent: self.sent(number) }
    }

    /// When the latest request of this exchange was sent.
    #[inline]
    pub fn sent(&self, number: u64) -> Nanos {
        Nanos(self.slot(number).sent.load(Ordering::Relaxed))
    }

    /// Sets when the second request of this exchange was sent.
    #[inline]
    pub fn set_sent(&self, number: u64, sent: Nanos) {
        self.slot(number).sent.store(sent.0, Ordering::Relaxed);
    }

    /// Begins the second step of an open exchange; `None` if it is not open.
    #[inline]
    pub fn begin_second(&self, number: u64) -> Option<PendingRequest> {
        let word = &self.slot(number).word;
        let before = word.load(Ordering::Relaxed);
        if before & STATE != OPEN {
            return None;
        }
        word.store(before & !STATE | CONTINUING, Ordering::Relaxed);
        Some(self.pending(number))
    }

    /// Ends the second step of an exchange, answered or not; returns when the exchange was due.
    #[inline]
    pub fn end_second(&self, number: u64, is_answered: bool) -> Nanos {
        let word = &self.slot(number).word;
        let before = word.load(Ordering::Relaxed);
        let state = if is_answered { ANSWERED } else { TIMED_OUT };
        word.store(before & !STATE | state, Ordering::Relaxed);
        Nanos(before >> STATE_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::in_flight::StreamMap;

    #[test]
    fn an_exchange_in_its_second_step_keeps_its_slot_but_not_the_timeout_of_the_first() {
        let table = InFlightTable::new(StreamMap::new(1, 1), 4, 16);
        let at = |number| Nanos(number * 10 + 1);
        for number in 0..3 {
            let (intended, sent) = (at(number), at(number));
            table.insert(number, PendingRequest { intended, sent });
        }
        table.set_head(3);
        assert_eq!(table.begin_second(0).map(|pending| pending.intended), Some(at(0)));
        assert_eq!(table.begin_second(0), None, "a duplicate");
        table.set_sent(0, Nanos(40));
        let mut due = Vec::new();
        let given_up = table.expire(Some(Nanos(11)), Some(Nanos(11)), |at| due.push(at));
        assert_eq!((given_up, due), (1, vec![at(1)]), "not the one before it");
        assert_eq!(table.free_slots(), 1, "its slot blocks the next one");
        assert_eq!((table.is_continuing(0), table.sent(0)), (true, Nanos(40)));
        assert_eq!((table.end_second(0, true), table.is_continuing(0)), (at(0), false));
        table.expire(None, Some(Nanos(11)), |_| {});
        assert_eq!(table.free_slots(), 3);
    }
}
