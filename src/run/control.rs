//! What the workers of a phase share while it runs: a few words, written when
//! a worker ends or has stood still, and read once a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::unit::Nanos;

/// The shared state of one phase.
#[derive(Debug)]
pub struct Control {
    /// Set from outside to end the run early.
    stop: Arc<AtomicBool>,
    /// End of the senders' window, since the start of the phase; never, while one still sends.
    window_end_ns: AtomicU64,
    /// Latest end among the senders that have ended.
    latest_end_ns: AtomicU64,
    /// Senders still sending.
    running: AtomicUsize,
    /// End of each sender's latest stall, since the start of the phase.
    stall_ended_ns: Vec<AtomicU64>,
    /// Final counts of the senders, by worker: what the receiver of that number should get.
    sent: Vec<AtomicU64>,
}

impl Control {
    /// For so many senders, and as many receivers.
    #[must_use]
    pub fn new(stop: Arc<AtomicBool>, senders: usize) -> Arc<Self> {
        Arc::new(Self {
            stop,
            window_end_ns: AtomicU64::new(Nanos::NEVER.0),
            latest_end_ns: AtomicU64::new(0),
            running: AtomicUsize::new(senders),
            stall_ended_ns: (0..senders).map(|_| AtomicU64::new(0)).collect(),
            sent: (0..senders).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// Whether the run should end early.
    #[inline]
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A sender's stall has just ended.
    pub fn sender_stalled(&self, worker: usize, ended: Nanos) {
        self.stall_ended_ns[worker].store(ended.0, Ordering::Relaxed);
    }

    /// When the latest stall of the sender of this number ended; zero before the first.
    #[inline]
    #[must_use]
    pub fn stall_ended(&self, worker: usize) -> Nanos {
        Nanos(self.stall_ended_ns[worker].load(Ordering::Relaxed))
    }

    /// A sender has ended: its window ended at `end`, and it sent so many.
    pub fn sender_done(&self, worker: usize, end: Nanos, sent: u64) {
        self.sent[worker].store(sent, Ordering::Relaxed);
        self.latest_end_ns.fetch_max(end.0, Ordering::AcqRel);
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            let latest = self.latest_end_ns.load(Ordering::Acquire);
            self.window_end_ns.store(latest, Ordering::Release);
        }
    }

    /// When the senders' window ended; [`Nanos::NEVER`] while one still sends.
    #[inline]
    #[must_use]
    pub fn window_end(&self) -> Nanos {
        Nanos(self.window_end_ns.load(Ordering::Acquire))
    }

    /// What the receiver of this number should get; final once the window has ended.
    #[must_use]
    pub fn sent_to(&self, worker: usize) -> u64 {
        self.sent[worker].load(Ordering::Relaxed)
    }
}
