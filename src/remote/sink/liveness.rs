//! State that the event loop and a session's thread share without a queue, which would grow while
//! one of them is busy.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::unit::Nanos;

/// How long a client must be silent before ICMP errors end its session. Clients send every 100 ms.
/// Arbitrary: as long as a client waits for an unreachable sink.
pub(super) const GRACE: Nanos = Nanos::from_millis(2_000);

/// The shared state of one session.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    heard_ns: AtomicU64,
    /// Whether ICMP errors reported the client as unreachable after [`GRACE`] of silence.
    lost: AtomicBool,
    /// The end of the running phase; 0 if no phase runs, or its end is unknown.
    busy_until_ns: AtomicU64,
    shift_ns: AtomicI64,
    /// Whether the session has yet to read the correction.
    shifted: AtomicBool,
}

impl Liveness {
    pub(super) fn at(now: Nanos) -> Self {
        Self { heard_ns: AtomicU64::new(now.0), ..Self::default() }
    }

    pub(super) fn heard(&self, at: Nanos) {
        self.heard_ns.store(at.0, Ordering::Relaxed);
    }

    /// Whether the client has been silent for more than [`GRACE`].
    pub(super) fn is_silent(&self, now: Nanos) -> bool {
        now.since(Nanos(self.heard_ns.load(Ordering::Relaxed))) > GRACE
    }

    /// Sets the end of the running phase; zero: no phase runs, or its end is unknown.
    pub(super) fn set_busy_until(&self, at: Nanos) {
        self.busy_until_ns.store(at.0, Ordering::Relaxed);
    }

    pub(super) fn busy_until(&self) -> Nanos {
        Nanos(self.busy_until_ns.load(Ordering::Relaxed))
    }

    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Whether the client is unreachable and still silent; resets the record.
    pub(super) fn is_lost(&self, now: Nanos) -> bool {
        self.lost.swap(false, Ordering::Relaxed) && self.is_silent(now)
    }

    /// Stores a clock correction; returns whether the session has read the earlier one.
    pub(super) fn shift(&self, by_ns: i64) -> bool {
        self.shift_ns.store(by_ns, Ordering::Relaxed);
        !self.shifted.swap(true, Ordering::AcqRel)
    }

    /// The last correction.
    pub(super) fn take_shift(&self) -> i64 {
        // A swap, so that the value read below is no older than the flag.
        self.shifted.swap(false, Ordering::AcqRel);
        self.shift_ns.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_session_gets_one_message_and_reads_the_latest_correction() {
        let liveness = Liveness::default();
        assert_eq!((1..=1_000).filter(|&by_ns| liveness.shift(by_ns)).count(), 1);
        assert_eq!(liveness.take_shift(), 1_000);
        assert!(liveness.shift(-7));
        assert_eq!(liveness.take_shift(), -7);
    }

    #[test]
    fn only_a_silent_client_is_lost() {
        let liveness = Liveness::at(Nanos(5));
        let late = Nanos(6) + GRACE;
        assert!(!liveness.is_silent(Nanos(5) + GRACE) && liveness.is_silent(late));
        assert!(!liveness.is_lost(late), "no ICMP error");
        liveness.lose();
        liveness.heard(Nanos(7));
        assert!(!liveness.is_lost(late), "a message arrived since");
        assert!(!liveness.is_lost(Nanos::NEVER), "the record was reset");
        liveness.lose();
        assert!(liveness.is_lost(Nanos::NEVER));
    }
}
