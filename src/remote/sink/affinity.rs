//! The core of the thread that reads the first listeners and speaks with clients.

use crate::net::pin_to;
use crate::sys;

/// Where that thread runs: on its core as long as no client is there. A client's receivers have
/// cores of their own, and what is said to it meanwhile must neither wait for them nor disturb
/// them; nor shall the threads of sessions, which this one starts, be bound to its core.
#[derive(Debug)]
pub(super) struct AffinityGuard {
    core: Option<usize>,
    /// Where it may run otherwise.
    anywhere: Vec<usize>,
    taken: bool,
}

impl AffinityGuard {
    /// On that core. Where the thread cannot be placed, or nobody knows where it was, it serves all
    /// the same.
    pub(super) fn on(core: Option<usize>) -> Self {
        let anywhere = core.and_then(|_| sys::affinity()).unwrap_or_default();
        let core = core.filter(|_| !anywhere.is_empty());
        let mut seat = Self { core, anywhere, taken: false };
        seat.take();
        seat
    }

    /// The core, where it could be had.
    pub(super) const fn core(&self) -> Option<usize> {
        self.core
    }

    /// Goes there.
    pub(super) fn take(&mut self) {
        if let Some(core) = self.core.filter(|_| !self.taken) {
            self.taken = pin_to(core).is_ok();
            self.core = self.core.filter(|_| self.taken);
        }
    }

    /// Goes back to wherever it may run.
    pub(super) fn leave(&mut self) {
        if self.taken {
            self.taken = !sys::set_affinity(&self.anywhere);
        }
    }
}

impl Drop for AffinityGuard {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_is_left_leaves_no_trace() {
        let Some(before) = sys::affinity().filter(|cores| cores.len() > 1) else {
            eprintln!("SKIPPED: there are no two cores to choose from");
            return;
        };
        let core = before[before.len() - 1];
        let mut seat = AffinityGuard::on(Some(core));
        assert_eq!((seat.core(), sys::affinity()), (Some(core), Some(vec![core])));
        seat.leave();
        assert_eq!(sys::affinity(), Some(before.clone()));
        seat.take();
        assert_eq!(sys::affinity(), Some(vec![core]));
        drop(seat);
        assert_eq!(sys::affinity(), Some(before.clone()));
        // Cores that are not there are not promised.
        assert_eq!(AffinityGuard::on(Some(1_000)).core(), None);
        assert_eq!(AffinityGuard::on(None).core(), None);
        assert_eq!(sys::affinity(), Some(before));
    }
}
