//! Replies that consist of several datagrams.

use super::ResponseMatcher;
use crate::measure::{Count, PartSeen};
use crate::payload::Role;

impl ResponseMatcher {
    /// Whether this datagram completes a reply. If not, counts it; the reply is then incomplete.
    #[inline]
    pub(super) fn is_complete(&mut self, number: u64, role: Role) -> bool {
        let Some(parts) = &mut self.parts else { return true };
        let Role::Part { index, of } = role else {
            // A reply in one datagram ends one in several that has begun.
            self.exchange.incomplete -= u64::from(parts.has_begun(number));
            return true;
        };
        match parts.note(number, index, of) {
            PartSeen::Last => {
                self.exchange.incomplete -= 1;
                return true;
            }
            PartSeen::Again => {
                self.tally.duplicate += 1;
                self.count_in_interval(number, Count::Duplicate);
                return false;
            }
            PartSeen::First => self.exchange.incomplete += 1,
            PartSeen::Another => {}
        }
        self.tally.arrived -= 1;
        self.exchange.continued += 1;
        false
    }

    /// Counts a further datagram of a request that is not open.
    #[inline]
    pub(super) fn continued(&mut self, number: u64, role: Role, is_known: bool) {
        let (Role::Part { index, of }, Some(parts)) = (role, &mut self.parts) else { return };
        if is_known && parts.note(number, index, of) == PartSeen::Again {
            self.tally.duplicate += 1;
            self.count_in_interval(number, Count::Duplicate);
        } else {
            self.tally.arrived -= 1;
            self.exchange.continued += 1;
        }
    }
}
