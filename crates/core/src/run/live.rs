//! What a cell has counted while it runs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::host::counters::CounterSnapshot;
use crate::measure::{AT_END, DropReading, IntervalCounts, IntervalScale, KernelDelta};
use crate::run::phase::PhaseState;
use crate::sys;
use crate::unit::Nanos;

/// The longest time between two polls of the coordinator. Arbitrary: often enough for progress,
/// seldom enough not to disturb.
const MAX_POLL_GAP: Nanos = Nanos::from_millis(250);

/// When the coordinator polls a phase: at the ends of intervals, and in between. The times
/// count from the start of the phase, so that late wake-ups do not add up to a missed interval.
#[derive(Debug, Clone, Copy, Default)]
pub struct PollSchedule {
    epoch: Nanos,
    scale: Option<IntervalScale>,
}

impl PollSchedule {
    /// For a phase that begins at `epoch`, with these intervals if it has any.
    pub const fn new(epoch: Nanos, scale: Option<IntervalScale>) -> Self {
        Self { epoch, scale }
    }

    /// The next poll after `now`.
    pub fn next(&self, now: Nanos) -> Nanos {
        let since = now.since(self.epoch);
        let next =
            self.scale.map_or(since + MAX_POLL_GAP, |scale| scale.next_poll(since, MAX_POLL_GAP));
        // Also before the phase, which may begin much later.
        (self.epoch + next).min(now + MAX_POLL_GAP)
    }

    /// The time until the next poll.
    pub fn wait(&self) -> Duration {
        let now = Nanos(sys::monotonic_ns());
        self.next(now).since(now).to_duration()
    }
}

/// The measured phase of a cell with intervals, while it runs.
#[derive(Debug, Clone, Copy)]
pub struct LiveCell<'a> {
    state: &'a Arc<PhaseState>,
    scale: IntervalScale,
    /// When the phase began, on the monotonic clock.
    epoch: Nanos,
    drops: [&'a [DropReading]; 2],
    /// Whether it is what this host receives from another one.
    is_reverse: bool,
    /// How much longer the receivers here measure latencies than they are: twice the uncertainty
    /// of the clocks of two hosts, and more.
    bias: Nanos,
    /// The receivers here, beside senders here; their bias.
    receivers: Option<(&'a Arc<PhaseState>, Nanos)>,
}

impl<'a> LiveCell<'a> {
    /// The phase of this state; `None` without intervals.
    pub fn new(state: &'a Arc<PhaseState>, epoch: Nanos) -> Option<Self> {
        let scale = state.interval_scale()?;
        let (drops, is_reverse, bias, receivers) = ([&[][..]; 2], false, Nanos::ZERO, None);
        Some(Self { state, scale, epoch, drops, is_reverse, bias, receivers })
    }

    /// The part of this host in a cell with another one: of its senders, and of its receivers with
    /// their bias.
    pub fn of_two_hosts(
        senders: Option<&'a Arc<PhaseState>>,
        receivers: Option<(&'a Arc<PhaseState>, Nanos)>,
        epoch: Nanos,
    ) -> Option<Self> {
        match (senders, receivers) {
            (Some(senders), _) => Some(Self { receivers, ..Self::new(senders, epoch)? }),
            (None, Some((state, bias))) => {
                Some(Self { is_reverse: true, bias, ..Self::new(state, epoch)? })
            }
            (None, None) => None,
        }
    }

    /// The same with readings of drops at the senders and at the receivers, as far as there are.
    #[must_use]
    pub fn with_drops(self, [tx, rx]: [&'a DropReadings; 2]) -> Self {
        Self { drops: [&tx.0, &rx.0], ..self }
    }

    /// Each direction of which this host has a side.
    pub fn directions(self) -> impl Iterator<Item = Self> {
        let [tx, rx] = self.drops;
        let own = match self.receivers {
            Some(_) => Self { receivers: None, drops: [tx, &[]], ..self },
            None => self,
        };
        let reverse = Self::of_two_hosts(None, self.receivers, self.epoch);
        let reverse = reverse.map(|reverse| Self { drops: [&[], rx], ..reverse });
        [Some(own), reverse].into_iter().flatten()
    }

    /// Whether it is what this host receives from another one, which alone knows what it sent.
    pub const fn is_reverse(&self) -> bool {
        self.is_reverse
    }

    /// Latencies below this are not known; zero on one clock.
    pub const fn bound(&self) -> Nanos {
        self.bias
    }

    /// Readings of drops at the senders and at the receivers so far.
    pub const fn drops(&self) -> [&'a [DropReading]; 2] {
        self.drops
    }

    /// Time since the phase began; zero before.
    pub fn elapsed(&self) -> Nanos {
        Nanos(sys::monotonic_ns()).since(self.epoch)
    }

    /// The number of intervals that have ended: the index of the current one.
    pub fn ended(&self) -> usize {
        self.scale.index(self.elapsed())
    }

    /// Start and end of the interval of this index.
    pub fn bounds(&self, index: usize) -> (Nanos, Nanos) {
        self.scale.bounds(index)
    }

    /// What senders and receivers of this host have counted in the interval of this index so far;
    /// of senders on another host, what sequence numbers show. Datagrams that arrive later may
    /// still add to it.
    pub fn interval(&self, index: usize) -> [IntervalCounts; 2] {
        let [tx, rx] = self.state.interval(index);
        if !self.is_reverse {
            return [tx, rx];
        }
        let sent = rx.expected.max(rx.received);
        let latency = rx.latency.shifted(-(self.bias.0 as i64));
        [IntervalCounts { sent, ..IntervalCounts::default() }, IntervalCounts { latency, ..rx }]
    }

    /// Whether something was due in the interval of this index so far.
    pub fn is_in_use(&self, index: usize) -> bool {
        self.state.is_in_use(index, self.is_reverse)
    }

    /// A handle for another thread, without readings of drops.
    pub fn share(&self) -> SharedLiveCell {
        SharedLiveCell {
            state: Arc::downgrade(self.state),
            receivers: self.receivers.map(|(state, bias)| (Arc::downgrade(state), bias)),
            epoch: self.epoch,
            is_reverse: self.is_reverse,
            bias: self.bias,
        }
    }
}

/// A [`LiveCell`] that any thread may read. It does not keep the counters after the phase.
#[derive(Debug, Clone)]
pub struct SharedLiveCell {
    state: Weak<PhaseState>,
    receivers: Option<(Weak<PhaseState>, Nanos)>,
    epoch: Nanos,
    is_reverse: bool,
    bias: Nanos,
}

impl SharedLiveCell {
    /// Whether both are the same phase.
    pub fn is_same(&self, other: &Self) -> bool {
        self.state.ptr_eq(&other.state)
    }

    /// Reads the phase; `None` if it has ended.
    pub fn read<T>(&self, read: impl FnOnce(LiveCell<'_>) -> T) -> Option<T> {
        let state = self.state.upgrade()?;
        let receivers = match &self.receivers {
            Some((receivers, bias)) => Some((receivers.upgrade()?, *bias)),
            None => None,
        };
        let receivers = receivers.as_ref().map(|(receivers, bias)| (receivers, *bias));
        let &Self { epoch, is_reverse, bias, .. } = self;
        Some(read(LiveCell { receivers, is_reverse, bias, ..LiveCell::new(&state, epoch)? }))
    }
}

/// Readings of the kernel's counters at the ends of intervals. The coordinator takes them at its
/// [`PollSchedule`]: one for each interval of a quarter of a second or more, unless it is delayed
/// by half of that.
#[derive(Debug, Default)]
pub struct DropReadings(Vec<DropReading>);

impl DropReadings {
    /// Takes a reading of one side, or the same of both sides of a host, if an interval has ended
    /// since the latest one; `ended`: how many have. `rings`, of each side: drops at rings of its
    /// workers, and of those of the other side if only this reading covers them.
    pub fn observe<const SIDES: usize>(
        sides: [&mut Self; SIDES],
        ended: Option<usize>,
        counters: Option<&CounterSnapshot>,
        rings: impl FnOnce() -> [[Option<u64>; 2]; SIDES],
    ) {
        let Some((ended, counters)) = ended.map(|ended| ended as u32).zip(counters) else { return };
        let latest = sides.first().and_then(|side| side.0.last()).map_or(0, |(index, _)| *index);
        if ended <= latest {
            return;
        }
        let kernel = counters.end().kernel();
        for (side, [own, others]) in sides.into_iter().zip(rings()) {
            let workers = KernelDelta { rings: own, ..KernelDelta::default() };
            side.0.push((ended, kernel.of_workers(&workers).with_rings(others).drops()));
        }
    }

    /// All of them; the last one covers what came up to the end of the phase.
    pub fn into_readings(mut self, at_end: KernelDelta) -> Vec<DropReading> {
        self.0.push((AT_END, at_end.drops()));
        self.0
    }
}
