//! The receive loop: pull, read the clock once, classify each datagram.

use super::probe::ReceiveProbe;
use crate::clock::Clock;
use crate::engine::Rx;
use crate::host::Meter;
use crate::host::counters::RingDrops;
use crate::measure::{KernelDelta, Usage};
use crate::net::{Datagram, Waited, Waiter};
use crate::run::phase::PhaseState;
use crate::unit::Nanos;

/// How often the drop counter of a socket is read: its 32 bits last 100 s at 40 million drops a
/// second.
pub const SAMPLE_EVERY: Nanos = Nanos::from_millis(1_000);

/// One receiver's part of a phase.
#[derive(Debug)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct ReceiveJob {
    pub clock: Clock,
    pub epoch: Nanos,
    /// Number of this worker among the receivers.
    pub worker: usize,
    pub drops: Drops,
    /// Drops at the rings of the engine since the phase began; `None`: it has no ring.
    pub rings: Option<RingDrops>,
    /// Reads what the thread costs.
    pub meter: Meter,
    /// The reading when the senders' window closed: the drain does not count.
    pub at_close: Option<Usage>,
}

/// Receives until all datagrams have arrived, or no more are expected.
pub fn receive<R: Rx>(
    rx: &mut R,
    job: &mut ReceiveJob,
    probe: &mut ReceiveProbe,
    waiter: &mut Waiter,
    control: &PhaseState,
) {
    let mut sample_at = SAMPLE_EVERY;
    let mut before = Nanos::ZERO;
    loop {
        let pull = rx.pull();
        // The one clock read of this batch.
        let now = control.corrected(job.clock.now() - job.epoch);
        let over = now > control.window_end();
        // First, as this pull came too late for the window.
        if over && probe.close_window(now) {
            job.at_close = Some(job.meter.read());
        }
        probe.pulled(&pull, now, control.stall_ended(job.worker));
        if pull.errors > 0 {
            // Errors of what a sender at this socket sent; unread, they fill the receive buffer.
            rx.sockets().iter().for_each(|socket| _ = socket.drain_error_queue());
        }
        if pull.datagrams > 0 {
            waiter.busy(now, rx.sockets());
            rx.each(|payload, waited| probe.datagram(payload, now, waited));
            probe.pull_ends();
            rx.release();
        }
        if over
            && control.ended()
            && probe.finished(control, job.worker, before, pull.drained, || job.dropped(rx))
        {
            return;
        }
        if now > sample_at {
            sample_at = now + SAMPLE_EVERY;
            job.drops.sample(rx.sockets());
        }
        if pull.datagrams == 0
            && pull.drained
            && let Waited::Slept(until) = waiter.idle(now, over, rx.sockets())
        {
            probe.stall.exclude_until(until);
        }
        before = now;
    }
}

impl ReceiveJob {
    /// Drops at sockets and rings in this phase.
    fn dropped<R: Rx>(&mut self, rx: &mut R) -> u64 {
        self.drops.sample(rx.sockets()) + self.ring_drops().unwrap_or(0)
    }

    /// Drops of this phase, as sockets and rings count them.
    pub fn drops_of_phase<R: Rx>(&mut self, rx: &mut R) -> KernelDelta {
        self.drops.sample(rx.sockets());
        let (sockets, rings) = (self.drops.known_total(), self.ring_drops());
        KernelDelta { sockets, rings, ..KernelDelta::default() }
    }

    /// Counts drops from now on.
    pub fn restart_drops<R: Rx>(&mut self, rx: &mut R) {
        self.drops.restart(rx.sockets());
        self.rings = RingDrops::begin(rx.ring_counter());
    }

    /// Drops at the rings of the engine in this phase; `None`: it has no ring.
    fn ring_drops(&self) -> Option<u64> {
        self.rings.as_ref()?.so_far()
    }
}

/// The drop counter of one socket, unwrapped to 64 bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Drops {
    last: Option<u32>,
    total: u64,
}

impl Drops {
    /// Counts from now on.
    pub fn restart(&mut self, sockets: &[impl Datagram]) {
        self.last = sockets.first().and_then(Datagram::drops);
        self.total = 0;
    }

    /// Drops since [`Self::restart`].
    pub fn sample(&mut self, sockets: &[impl Datagram]) -> u64 {
        let now = sockets.first().and_then(Datagram::drops);
        if let Some((now, last)) = now.zip(self.last) {
            self.total += u64::from(now.wrapping_sub(last));
            self.last = Some(now);
        }
        self.total
    }

    /// The total, where the system counts at all.
    pub fn known_total(&self) -> Option<u64> {
        self.last.map(|_| self.total)
    }
}
