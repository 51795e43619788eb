//! Implausible sequence numbers: beyond the senders' bounds, or far ahead of the flow.

use super::ReceiveProbe;
use crate::run::flow::{Decision, Held};
use crate::run::sender_bounds::SenderBounds;

impl ReceiveProbe {
    /// Counts numbers beyond these bounds as corrupt in the following phases.
    pub const fn set_bounds(&mut self, bounds: SenderBounds) {
        self.bounds = bounds;
    }

    /// Decides on the held datagram of a flow; whether the next arrival is a duplicate of it.
    #[cold]
    pub fn decides(&mut self, flow: usize, sequence: u64) -> bool {
        match self.flows[flow].decide(sequence) {
            Decision::Open => return false,
            Decision::Copy => return true,
            Decision::Confirmed(held) => self.count_held(held),
            Decision::Refuted(held) => self.tally.corrupt += 1 + held.copies,
        }
        false
    }

    /// Decides on held datagrams without a later arrival: a number below `sent` is right.
    #[cold]
    pub fn decide_all(&mut self, sent: u64) {
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

    /// Counts a held datagram whose number is right.
    fn count_held(&mut self, held: Held) {
        self.tally.duplicate += held.copies;
        self.take(held.alike, 1);
    }
}
