//! Interarrival jitter as RFC 3550 defines it.

use crate::unit::Nanos;

/// The jitter of one flow: J += (|D| − J) / 16, RFC 3550 section 6.4.1, where D is the change in
/// transit time from one received datagram to the next in order of arrival.
#[derive(Debug, Clone, Copy, Default)]
pub struct InterarrivalJitter {
    last_transit_ns: Option<u64>,
    /// Sixteen times the estimate, as in appendix A.8, so that integers lose nothing.
    scaled_ns: u64,
    /// Whether there were two to compare.
    compared: bool,
}

impl InterarrivalJitter {
    /// Takes the transit time of a datagram.
    #[inline]
    pub fn record(&mut self, transit_ns: u64) {
        if let Some(last) = self.last_transit_ns.replace(transit_ns) {
            let change = transit_ns.abs_diff(last);
            self.compared = true;
            self.scaled_ns = (self.scaled_ns + change).saturating_sub((self.scaled_ns + 8) >> 4);
        }
    }

    /// Takes `count` more datagrams with the transit time of the latest one.
    #[inline]
    pub fn repeat(&mut self, count: u64) {
        if self.last_transit_ns.is_none() || count == 0 {
            return;
        }
        self.compared = true;
        for _ in 0..count {
            // Below 8 it stays, by the rounding of appendix A.8.
            if self.scaled_ns < 8 {
                break;
            }
            self.scaled_ns -= (self.scaled_ns + 8) >> 4;
        }
    }

    /// The estimate; `None` before the second datagram.
    pub const fn estimate(&self) -> Option<Nanos> {
        if self.compared { Some(Nanos(self.scaled_ns >> 4)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_transit_has_none_and_a_swinging_one_converges() {
        let mut steady = InterarrivalJitter::default();
        assert_eq!(steady.estimate(), None);
        steady.record(5_000);
        assert_eq!(steady.estimate(), None);
        (0..100).for_each(|_| steady.record(5_000));
        assert_eq!(steady.estimate(), Some(Nanos(0)));
        let mut repeated = InterarrivalJitter::default();
        [1_000, 90_000].into_iter().for_each(|transit| repeated.record(transit));
        let mut singly = repeated;
        (0..20).for_each(|_| singly.record(90_000));
        repeated.repeat(20);
        assert_eq!(repeated.estimate(), singly.estimate());
        assert!(repeated.estimate() > Some(Nanos(0)));
        let mut swinging = InterarrivalJitter::default();
        (0..1_000).for_each(|i| swinging.record(if i % 2 == 0 { 1_000 } else { 4_000 }));
        assert!(swinging.estimate().unwrap().0.abs_diff(3_000) <= 1);
    }
}
