//! The loop of an echo worker: reads the clock, sends due replies, returns received datagrams.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::delay::Queue;
use crate::clock::Clock;
use crate::echo::policy::ReplyPolicy;
use crate::engine::echo::{EchoCounters, Responder};
use crate::net::Waiter;
use crate::run::receive::{Drops, SAMPLE_EVERY};
use crate::unit::Nanos;

/// State shared by the workers and their supervisor.
#[derive(Debug, Default)]
pub(super) struct Shared {
    order: AtomicU8,
    /// Datagrams that each worker has received.
    received: Vec<Counter>,
    /// Number of datagrams after which all workers end.
    count: Option<u64>,
}

/// The order to continue. Arbitrary value, as for the other orders.
const RUN: u8 = 0;
/// The order to end once the delay queue is empty.
const DRAIN: u8 = 1;
/// The order to end at once.
const STOP: u8 = 2;

/// A counter in a cache line of its own (64 bytes, in pairs on x86-64).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counter(AtomicU64);

impl Shared {
    /// State of so many workers, which end after `count` datagrams.
    pub(super) fn new(workers: usize, count: Option<u64>) -> Self {
        let received = (0..workers).map(|_| Counter::default()).collect();
        Self { order: AtomicU8::new(RUN), received, count }
    }

    pub(super) fn received(&self) -> u64 {
        self.received.iter().map(|counter| counter.0.load(Ordering::Relaxed)).sum()
    }

    /// Starts draining once the workers received enough; an order to stop remains.
    #[inline]
    fn end_when_enough(&self) {
        if self.count.is_some_and(|count| self.received() >= count) {
            let _ = self.order.compare_exchange(RUN, DRAIN, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Ends all workers; `at_once`: without draining the delay queue.
    pub(super) fn end(&self, at_once: bool) {
        self.order.store(if at_once { STOP } else { DRAIN }, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub(super) struct TurnDone {
    pub(super) counters: EchoCounters,
    pub(super) drops: Drops,
    /// When the first and the last datagram was received.
    pub(super) active: Option<(Nanos, Nanos)>,
}

pub(super) fn respond(
    responder: &mut impl Responder,
    policy: &mut ReplyPolicy,
    waiter: &mut Waiter,
    shared: &Shared,
    worker: usize,
) -> TurnDone {
    let clock = Clock::Monotonic;
    let mut done = TurnDone::default();
    done.drops.restart(responder.sockets());
    let mut sample_at = clock.now() + SAMPLE_EVERY;
    loop {
        // The one clock read of this turn.
        let now = clock.now();
        let queue = policy.queue.as_mut();
        let sent = queue.is_some_and(|queue| queue.release(now, responder, &mut done.counters));
        let before = done.counters.received;
        let order = shared.order.load(Ordering::Relaxed);
        // After an order to end, nothing more is received, so that the worker does end.
        let drained = order != RUN || responder.turn(policy, &mut done.counters);
        let received = done.counters.received > before;
        if received {
            waiter.busy(now, responder.sockets());
            done.active = Some((done.active.map_or(now, |(first, _)| first), now));
            shared.received[worker].0.store(done.counters.received, Ordering::Relaxed);
            shared.end_when_enough();
        }
        let due = policy.queue.as_ref().and_then(Queue::due);
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
            done.drops.sample(responder.sockets());
        }
        if drained && !received && !sent {
            let sockets = responder.sockets();
            match due {
                None => waiter.idle(now, false, sockets),
                Some(at) => waiter.idle_until(at, now, sockets),
            };
        }
    }
    done.drops.sample(responder.sockets());
    done
}
