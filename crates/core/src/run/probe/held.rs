//! Datagrams far ahead of their flow, which are held until a later arrival shows whether their
//! number is right.

use super::ReceiveProbe;
use crate::measure::{Count, WINDOW};
use crate::run::phase::PhaseState;
use crate::unit::Nanos;

/// How far below the held number another may be and still confirm it, as if it was overtaken.
/// Arbitrary: as far as paths reorder, and far less than a window, so that the number which the
/// flow had reached never confirms a wrong one.
const REORDERED: u64 = 1_024;

impl ReceiveProbe {
    /// Ends the phase: decides on all held datagrams.
    pub fn finish(&mut self, control: &PhaseState, worker: usize) {
        self.sender_stall_ended = control.stall_ended(worker);
        let sent = control.sent_to(worker);
        for flow in 0..self.flows.len() {
            // Without a later arrival, a number that was sent is right.
            let is_right = self.flows[flow].held.is_some_and(|held| held.sequence < sent);
            self.release_held(flow, is_right);
        }
        self.attribute_slow();
        self.mark_interval(0, 0);
    }

    /// Notes that a datagram arrived, `waited` before it was read, and the gap on a schedule.
    #[inline]
    pub(super) fn note_arrival(&mut self, now: Nanos, waited: Option<Nanos>) {
        self.last_arrival = now;
        if self.paced {
            let stamp = now - waited.unwrap_or_default();
            if let Some(before) = self.last_stamp.replace(stamp) {
                self.latency.gap.record(stamp.since(before).0);
            }
        }
    }

    /// Decides on the held datagram of a flow; whether the next arrival is a duplicate of it.
    #[cold]
    pub(super) fn is_copy_of_held(&mut self, flow: usize, sequence: u64) -> bool {
        let state = &mut self.flows[flow];
        let Some(held) = &mut state.held else { return false };
        if sequence == held.sequence {
            held.copies += 1;
            return true;
        }
        if sequence >= state.window.next() {
            let ahead = sequence > held.sequence && sequence - held.sequence <= WINDOW;
            let reordered = sequence < held.sequence && held.sequence - sequence <= REORDERED;
            self.release_held(flow, ahead || reordered);
        }
        false
    }

    /// Releases the held datagram of a flow: its number is right, or it is corrupt.
    fn release_held(&mut self, flow: usize, is_right: bool) {
        let flow = &mut self.flows[flow];
        let Some(held) = flow.held.take() else { return };
        if !is_right {
            self.tally.corrupt += 1 + held.copies;
            return;
        }
        flow.window.jump(held.sequence);
        flow.jitter.record(held.alike.transit_ns);
        flow.received += 1;
        self.tally.duplicate += held.copies;
        self.count_in_interval(Nanos(held.alike.intended_ns), Count::Duplicate, held.copies);
        self.take(held.alike, 1);
    }
}
