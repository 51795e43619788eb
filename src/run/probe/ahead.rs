//! Numbers that senders may not have reached: what is beyond their bounds, and datagrams far ahead,
//! each of which counts once it is known whether its number is right.

use super::Probe;
use crate::run::bounds::SenderBounds;
use crate::run::flow::{Decision, Held};

impl Probe {
    /// Takes what senders cannot have sent for corrupt in the phases to come.
    pub const fn set_bounds(&mut self, bounds: SenderBounds) {
        self.bounds = bounds;
    }

    /// Decides on the datagram that a flow holds, by the number of the one that came behind it;
    /// whether that is a copy, of which there is no more to count.
    #[cold]
    pub(super) fn decides(&mut self, flow: usize, sequence: u64) -> bool {
        match self.flows[flow].decide(sequence) {
            Decision::Open => return false,
            Decision::Copy => return true,
            Decision::Confirmed(held) => self.count_held(held),
            Decision::Refuted(held) => self.tally.corrupt += 1 + held.copies,
        }
        false
    }

    /// Decides on those that nothing came behind: of `sent` datagrams, a number below is right.
    #[cold]
    pub(super) fn decide_all(&mut self, sent: u64) {
        for flow in 0..self.flows.len() {
            match self.flows[flow].held.take() {
                Some(held) if held.sequence < sent => {
                    self.flows[flow].take(held);
                    self.count_held(held);
                }
                Some(held) => self.tally.corrupt += 1 + held.copies,
                None => {}
            }
        }
    }

    /// Counts one whose number is right.
    fn count_held(&mut self, held: Held) {
        self.tally.duplicate += held.copies;
        self.take(held.alike, 1);
    }
}
