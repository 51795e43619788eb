//! The loop of an echo server: read the clock once, send what is due, return what has come.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::delay::Queue;
use crate::clock::Clock;
use crate::echo::policy::ReplyPolicy;
use crate::engine::echo::{EchoCounters, Responder};
use crate::net::Waiter;
use crate::run::receive::{Drops, SAMPLE_EVERY};
use crate::unit::Nanos;

/// What workers and whoever watches them share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// [`RUN`], [`DRAIN`] or [`STOP`].
    order: AtomicU8,
    /// Datagrams that each worker has received.
    received: Vec<Counter>,
    /// After how many of them all end.
    count: Option<u64>,
}

/// The order to go on. As the other orders: arbitrary.
const RUN: u8 = 0;

/// The order to end once nothing waits for its moment any more.
const DRAIN: u8 = 1;

/// The order to end at once.
const STOP: u8 = 2;

/// A counter in a cache line of its own (64 bytes, in pairs on x86-64).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counter(AtomicU64);

impl Shared {
    /// For so many workers, which end after so many datagrams.
    pub(super) fn new(workers: usize, count: Option<u64>) -> Self {
        let received = (0..workers).map(|_| Counter::default()).collect();
        Self { order: AtomicU8::new(RUN), received, count }
    }

    /// Datagrams that all have received.
    pub(super) fn received(&self) -> u64 {
        self.received.iter().map(|counter| counter.0.load(Ordering::Relaxed)).sum()
    }

    /// Ends all once they have received enough; whoever was told to end at once still is.
    #[inline]
    fn end_when_enough(&self) {
        if self.count.is_some_and(|count| self.received() >= count) {
            let _ = self.order.compare_exchange(RUN, DRAIN, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Ends all; `at_once`: whatever still waits for its moment.
    pub(super) fn end(&self, at_once: bool) {
        self.order.store(if at_once { STOP } else { DRAIN }, Ordering::Relaxed);
    }
}

/// What a worker has done.
#[derive(Debug, Default)]
pub(super) struct TurnDone {
    pub(super) moved: EchoCounters,
    pub(super) drops: Drops,
    /// When the first datagram was received, and the last one.
    pub(super) active: Option<(Nanos, Nanos)>,
}

/// Answers until it is told to end.
pub(super) fn respond(
    responder: &mut impl Responder,
    desk: &mut ReplyPolicy,
    waiter: &mut Waiter,
    shared: &Shared,
    worker: usize,
) -> TurnDone {
    let clock = Clock::Monotonic;
    let mut done = TurnDone::default();
    done.drops.restart_at(responder.sockets());
    let mut sample_at = clock.now() + SAMPLE_EVERY;
    loop {
        // The one clock read of this turn.
        let now = clock.now();
        let queue = desk.queue.as_mut();
        let sent = queue.is_some_and(|queue| queue.release(now, responder, &mut done.moved));
        let before = done.moved.received;
        let order = shared.order.load(Ordering::Relaxed);
        // Whoever is to end takes no more, or he might never have done.
        let drained = order != RUN || responder.turn(desk, &mut done.moved);
        let came = done.moved.received > before;
        if came {
            waiter.busy(now, responder.sockets());
            done.active = Some((done.active.map_or(now, |(first, _)| first), now));
            shared.received[worker].0.store(done.moved.received, Ordering::Relaxed);
            shared.end_when_enough();
        }
        let due = desk.queue.as_ref().and_then(Queue::due);
        match (order, due) {
            (RUN, _) => {}
            (DRAIN, Some(at)) => {
                waiter.until(at, now);
                continue;
            }
            _ => break,
        }
        if now > sample_at {
            sample_at = now + SAMPLE_EVERY;
            done.drops.sample_at(responder.sockets());
        }
        if drained && !came && !sent {
            let sockets = responder.sockets();
            match due {
                None => waiter.idle(now, false, sockets),
                Some(at) => waiter.idle_until(at, now, sockets),
            };
        }
    }
    done.drops.sample_at(responder.sockets());
    done
}
