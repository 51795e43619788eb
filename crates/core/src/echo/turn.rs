//! The loop of an echo worker: reads the clock, sends due replies, returns received datagrams.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::delay::Queue;
use crate::clock::Clock;
use crate::echo::policy::ReplyPolicy;
use crate::engine::echo::{EchoCounters, Responder};
use crate::measure::{EchoTally, ServerIntervals, ServerRecorder};
use crate::net::Waiter;
use crate::run::receive::{Drops, SAMPLE_EVERY};

#[derive(Debug, Default)]
pub(super) struct Shared {
    order: AtomicU8,
    received: Vec<Counter>,
    count: Option<u64>,
}

/// Orders: to continue, to end once the delay queue is empty, and to end at once. Arbitrary values.
const RUN: u8 = 0;
const DRAIN: u8 = 1;
const STOP: u8 = 2;

/// A counter in a cache line of its own (64 bytes, in pairs on x86-64).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counter(AtomicU64);

impl Shared {
    pub(super) fn new(workers: usize, count: Option<u64>) -> Self {
        let received = (0..workers).map(|_| Counter::default()).collect();
        Self { order: AtomicU8::new(RUN), received, count }
    }

    pub(super) fn received(&self) -> u64 {
        self.received.iter().map(|counter| counter.0.load(Ordering::Relaxed)).sum()
    }

    /// Starts draining once the workers received enough, unless they were stopped.
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

pub(super) fn respond(
    responder: &mut impl Responder,
    mut policy: ReplyPolicy,
    waiter: &mut Waiter,
    shared: &Shared,
    worker: usize,
    mut intervals: Option<ServerRecorder>,
) -> EchoTally {
    let clock = Clock::Monotonic;
    let (mut counters, mut active) = (EchoCounters::default(), None);
    let mut drops = Drops::default();
    drops.restart(responder.sockets());
    let mut sample_at = clock.now() + SAMPLE_EVERY;
    loop {
        // The one clock read of this turn.
        let now = clock.now();
        if let Some(intervals) = &mut intervals {
            intervals.observe(now, || counters.sums(drops.sample(responder.sockets())));
        }
        let queue = policy.queue.as_mut();
        let sent = queue.is_some_and(|queue| queue.release(now, responder, &mut counters));
        let before = counters.received;
        let order = shared.order.load(Ordering::Relaxed);
        // After an order to end, the worker receives no more.
        let drained = order != RUN || responder.turn(&mut policy, &mut counters);
        let received = counters.received > before;
        if received {
            waiter.busy(now, responder.sockets());
            active = Some((active.map_or(now, |(first, _)| first), now));
            shared.received[worker].0.store(counters.received, Ordering::Relaxed);
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
            drops.sample(responder.sockets());
        }
        if drained && !received && !sent {
            let sockets = responder.sockets();
            match due {
                None => waiter.idle(now, false, sockets),
                Some(at) => waiter.idle_until(at, now, sockets),
            };
        }
    }
    let dropped = drops.sample(responder.sockets());
    let ended = intervals.map(|all| all.into_series(clock.now(), counters.sums(dropped)));
    let intervals =
        ServerIntervals { counts: ended.unwrap_or_default(), ..ServerIntervals::default() };
    EchoTally {
        counters,
        intervals,
        waiting: policy.queue.as_ref().map_or(0, Queue::datagrams),
        socket_drops: drops.known_total(),
        active,
        lateness: policy.queue.map(|queue| queue.lateness).unwrap_or_default(),
        ..policy.tally
    }
}
