//! The clocks of members against that of the leader.

use crate::clock::{Offset, OffsetEstimator, Sample};
use crate::unit::Nanos;

/// Exchanges before each cell. Arbitrary: the shortest of so many is not delayed by chance, and
/// they take under 10 ms at a round-trip time of 0.3 ms.
pub(super) const EXCHANGES: usize = 32;

/// The clock of a member, by exchanges with it.
#[derive(Debug, Clone, Default)]
pub struct MemberClock {
    estimator: OffsetEstimator,
}

impl MemberClock {
    pub(super) fn add(&mut self, sample: Sample) {
        // An implausible exchange tells nothing.
        let _ = self.estimator.push(sample);
    }

    /// Its offset; `None` before an exchange.
    pub fn offset(&self) -> Option<Offset> {
        self.estimator.estimate()
    }

    /// A moment of the leader's clock, by the member's.
    pub(super) fn there(&self, here: Nanos) -> Nanos {
        let offset_ns = self.offset().map_or(0, |offset| offset.at(here.0));
        Nanos(here.0.saturating_add_signed(offset_ns))
    }

    /// A moment of the member's clock, by the leader's.
    pub(super) fn here(&self, there: Nanos) -> Nanos {
        let Some(offset) = self.offset() else { return there };
        // Two hosts may have started years apart, so the offset is of about that moment here.
        let about = there.0.saturating_add_signed(-offset.offset_ns);
        Nanos(there.0.saturating_add_signed(-offset.at(about)))
    }
}
