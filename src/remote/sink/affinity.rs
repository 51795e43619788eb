//! The core of the server's event loop.

use crate::net::pin_to;
use crate::sys;

/// Pins the event loop to its core while there is no session. During a session, receivers run on
/// the same cores, and the session threads that the loop starts must not inherit its affinity.
#[derive(Debug)]
pub(super) struct AffinityGuard {
    core: Option<usize>,
    allowed: Vec<usize>,
    is_pinned: bool,
}

impl AffinityGuard {
    /// Pins the calling thread, if the core and the present affinity are known.
    pub(super) fn on(core: Option<usize>) -> Self {
        let allowed = core.and_then(|_| sys::affinity()).unwrap_or_default();
        let core = core.filter(|_| !allowed.is_empty());
        let mut affinity = Self { core, allowed, is_pinned: false };
        affinity.pin();
        affinity
    }

    /// The core, if pinning succeeded.
    pub(super) const fn core(&self) -> Option<usize> {
        self.core
    }

    pub(super) fn pin(&mut self) {
        if let Some(core) = self.core.filter(|_| !self.is_pinned) {
            self.is_pinned = pin_to(core).is_ok();
            self.core = self.core.filter(|_| self.is_pinned);
        }
    }

    /// Restores the affinity from before.
    pub(super) fn unpin(&mut self) {
        if self.is_pinned {
            self.is_pinned = !sys::set_affinity(&self.allowed);
        }
    }
}

impl Drop for AffinityGuard {
    fn drop(&mut self) {
        self.unpin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpinning_restores_the_affinity() {
        let Some(before) = sys::affinity().filter(|cores| cores.len() > 1) else {
            eprintln!("SKIPPED: there are no two cores to choose from");
            return;
        };
        let core = before[before.len() - 1];
        let mut affinity = AffinityGuard::on(Some(core));
        assert_eq!((affinity.core(), sys::affinity()), (Some(core), Some(vec![core])));
        affinity.unpin();
        assert_eq!(sys::affinity(), Some(before.clone()));
        affinity.pin();
        assert_eq!(sys::affinity(), Some(vec![core]));
        drop(affinity);
        assert_eq!(sys::affinity(), Some(before.clone()));
        // A core that does not exist.
        assert_eq!(AffinityGuard::on(Some(1_000)).core(), None);
        assert_eq!(AffinityGuard::on(None).core(), None);
        assert_eq!(sys::affinity(), Some(before));
    }
}
