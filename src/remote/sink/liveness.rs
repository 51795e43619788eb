//! What the event loop and the thread of a session tell each other without a message, so that no
//! queue grows while one of them is busy.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::unit::Nanos;

/// How long a client must have been silent before it is believed that nobody is there, whatever its
/// host says: a client compares clocks every 100 ms. Arbitrary; as long as a client waits for a
/// sink.
pub(super) const GRACE: Nanos = Nanos::from_millis(2_000);

/// Of one session.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    /// When the client was heard last.
    heard_ns: AtomicU64,
    /// Whether its host said that nobody is there, after it was silent for [`GRACE`].
    lost: AtomicBool,
    /// The end of the running phase; 0 if no phase runs, or its end is unknown.
    busy_until_ns: AtomicU64,
    /// How much further ahead the client's clock is, as it said last.
    shift_ns: AtomicI64,
    /// Whether the session was told to look at that, and has not yet.
    shifted: AtomicBool,
}

impl Liveness {
    /// Of a client that is heard now.
    pub(super) fn at(now: Nanos) -> Self {
        Self { heard_ns: AtomicU64::new(now.0), ..Self::default() }
    }

    /// The client was heard last at this moment.
    pub(super) fn heard(&self, at: Nanos) {
        self.heard_ns.store(at.0, Ordering::Relaxed);
    }

    /// Whether the client has been silent for long.
    pub(super) fn is_silent(&self, now: Nanos) -> bool {
        now.since(Nanos(self.heard_ns.load(Ordering::Relaxed))) > GRACE
    }

    /// Sets the end of the running phase; zero: no phase runs, or its end is unknown.
    pub(super) fn set_busy_until(&self, at: Nanos) {
        self.busy_until_ns.store(at.0, Ordering::Relaxed);
    }

    /// The end of the running phase.
    pub(super) fn busy_until(&self) -> Nanos {
        Nanos(self.busy_until_ns.load(Ordering::Relaxed))
    }

    /// Nobody is there.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Whether nobody is there; forgotten where the client was heard again.
    pub(super) fn is_lost(&self, now: Nanos) -> bool {
        self.lost.swap(false, Ordering::Relaxed) && self.is_silent(now)
    }

    /// The client's clock is so much further ahead; whether the session has to be told: not where
    /// it has yet to look at what came before.
    pub(super) fn shift(&self, by_ns: i64) -> bool {
        self.shift_ns.store(by_ns, Ordering::Relaxed);
        !self.shifted.swap(true, Ordering::AcqRel)
    }

    /// What the client said last.
    pub(super) fn take_shift(&self) -> i64 {
        // A swap, so that what is read behind it is no older than what it takes back.
        self.shifted.swap(false, Ordering::AcqRel);
        self.shift_ns.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_busy_is_told_once_and_sees_the_latest() {
        let pulse = Liveness::default();
        assert_eq!((1..=1_000).filter(|&by_ns| pulse.shift(by_ns)).count(), 1);
        assert_eq!(pulse.take_shift(), 1_000);
        assert!(pulse.shift(-7));
        assert_eq!(pulse.take_shift(), -7);
    }

    #[test]
    fn only_who_is_silent_is_lost() {
        let pulse = Liveness::at(Nanos(5));
        let late = Nanos(6) + GRACE;
        assert!(!pulse.is_silent(Nanos(5) + GRACE) && pulse.is_silent(late));
        assert!(!pulse.is_lost(late), "nobody has said so");
        pulse.lose();
        pulse.heard(Nanos(7));
        assert!(!pulse.is_lost(late), "it was heard since");
        assert!(!pulse.is_lost(Nanos::NEVER), "what was said before that is forgotten");
        pulse.lose();
        assert!(pulse.is_lost(Nanos::NEVER));
    }
}
