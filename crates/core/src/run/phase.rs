//! State shared by the workers of a phase: written when one ends or stalled, read once a batch.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::host::counters::RingDrops;
use crate::measure::{
    Count, IntervalBoard, IntervalCounts, IntervalRecorder, IntervalScale, IntervalSeries,
};
use crate::plan::{Limit, WaitKind, WorkerLoad};
use crate::run::sender_bounds::planned_end;
use crate::sys;
use crate::unit::Nanos;

/// How long before a phase its workers are awake: longer than a sleep overshoots (about 60 µs on
/// the reference machine, measured).
pub const WAKE_AHEAD: Nanos = Nanos::from_micros(200);
/// How often a worker that waits for a phase checks whether it is stopped; arbitrary, longer than
/// the lead of most phases.
const LOOK: Nanos = Nanos::from_millis(100);

/// The next phase of a worker.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct Phase {
    /// When it begins, on the monotonic clock.
    pub epoch: Nanos,
    /// The tag in its datagrams, which other phases do not have.
    pub tag: u16,
    pub limit: Limit,
    pub load: WorkerLoad,
    pub control: Arc<PhaseState>,
}

/// How long before a phase a sender wakes that shares its core and does not send first: as long as
/// a sleep overshoots (see [`WAKE_AHEAD`]). It then begins in time and sleeps again. Otherwise it
/// would wait until the first sender has sent: 80 µs on the reference machine, measured.
const LATER_AHEAD: Nanos = Nanos::from_micros(60);

/// How long before a phase a sender that waits like this is awake. One that shares its core sleeps
/// to the end if it sends first, as others begin at the same time.
pub(super) fn early(wait: WaitKind, sends_first: bool) -> Nanos {
    match (wait, sends_first) {
        (WaitKind::Epoll, true) => Nanos::ZERO,
        (WaitKind::Epoll, false) => LATER_AHEAD,
        _ => WAKE_AHEAD,
    }
}

/// Sleeps until `early` before a phase begins; returns its beginning, or now if stopped earlier.
pub(super) fn sleep_until_before(epoch: Nanos, early: Nanos, control: &PhaseState) -> Nanos {
    let wake_at = epoch - early;
    loop {
        let now = Nanos(sys::monotonic_ns());
        if now >= wake_at {
            return epoch;
        }
        if control.stopped() {
            return now;
        }
        sys::sleep_until_ns(wake_at.min(now + LOOK).0);
    }
}

/// The shortest silence that ends a phase on one host: long enough for a delayed softirq
/// (ksoftirqd gets its time slice within a few ms); arbitrary.
const QUIET: Nanos = Nanos::from_millis(50);
/// The same between hosts, where queues delay datagrams. Arbitrary: more than a full queue of
/// 100 ms at a slow uplink.
const QUIET_ACROSS: Nanos = Nanos::from_millis(250);
/// The longest silence waited for, however slow datagrams were before; arbitrary.
const QUIET_MOST: Nanos = Nanos::from_millis(1_000);
/// The silence that ends a phase before any datagram was received, so that the path delay is
/// unknown. Arbitrary: a geostationary satellite takes 0.3 s one way, and a full queue a second.
const QUIET_AT_FIRST: Nanos = Nanos::from_millis(2_000);
/// Stands for an unknown number of datagrams.
const UNKNOWN: u64 = u64::MAX;

/// The shared state of one phase.
#[derive(Debug, Default)]
pub struct PhaseState {
    stop: Arc<AtomicBool>,
    /// Set where the phase is given up after an error.
    aborted: AtomicBool,
    /// End of the senders' window, since the start of the phase; never, until it is known.
    window_end_ns: AtomicU64,
    /// Latest end among the senders that have ended.
    latest_end_ns: AtomicU64,
    /// When the latest of them finished: later, if it was preempted.
    finished_ns: AtomicU64,
    running: AtomicUsize,
    /// Whether all have ended, and what they sent is known.
    ended: AtomicBool,
    /// Correction of the receivers' clock against the senders'; 0 on one host.
    shift_ns: AtomicI64,
    unreachable: AtomicBool,
    reached: AtomicBool,
    quiet: Nanos,
    /// One more than the longest latency of any receiver; 0: no receiver has got a datagram.
    slowest_ns: AtomicU64,
    /// How much earlier than their senders receivers count time.
    bias: Nanos,
    stall_ended_ns: Vec<AtomicU64>,
    /// Final counts of the senders, by worker: what the receiver of that number should get.
    sent: Vec<AtomicU64>,
    /// Counts by interval of each sender, and of each receiver; empty without intervals.
    boards: [Vec<Arc<IntervalBoard>>; 2],
    /// Drops at rings of each of them; unset where the engine has no ring.
    rings: [Vec<OnceLock<RingDrops>>; 2],
}

impl PhaseState {
    /// For this number of senders and receivers; the window ends with the senders.
    pub fn new(stop: Arc<AtomicBool>, senders: usize) -> Arc<Self> {
        Self::until(stop, senders, Nanos::NEVER)
    }

    /// Like `new`, with a window that ends at `window_end`; [`Nanos::NEVER`] if a count decides.
    pub fn until(stop: Arc<AtomicBool>, senders: usize, window_end: Nanos) -> Arc<Self> {
        Arc::new(Self::idle(stop, senders, 0, window_end))
    }

    /// No sender has ended yet, and each sent `sent` datagrams.
    fn idle(stop: Arc<AtomicBool>, workers: usize, sent: u64, window_end: Nanos) -> Self {
        Self {
            stop,
            window_end_ns: AtomicU64::new(window_end.0),
            running: AtomicUsize::new(workers),
            quiet: QUIET,
            stall_ended_ns: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            sent: (0..workers).map(|_| AtomicU64::new(sent)).collect(),
            ..Self::default()
        }
    }

    /// The same with intervals of this width. Without effect where workers have the state already.
    #[must_use]
    pub fn with_intervals(
        mut self: Arc<Self>,
        width: Option<Nanos>,
        limit: Limit,
        load: WorkerLoad,
    ) -> Arc<Self> {
        if let (Some(state), Some(width)) = (Arc::get_mut(&mut self), width) {
            let planned = Some(planned_end(limit, load)).filter(|end| *end > Nanos::ZERO);
            let scale = IntervalScale::new(width, planned.unwrap_or(Nanos::NEVER));
            // Refused datagrams make a count take longer than planned.
            let end = limit.latest_end();
            let workers = state.sent.len();
            state.boards =
                [(); 2].map(|()| (0..workers).map(|_| IntervalBoard::new(scale, end)).collect());
            state.rings = [(); 2].map(|()| (0..workers).map(|_| OnceLock::new()).collect());
        }
        self
    }

    /// Where the sender of this number counts by interval.
    pub fn tx_intervals(&self, worker: usize) -> Option<IntervalRecorder> {
        self.boards[0].get(worker).map(|board| IntervalRecorder::new(Arc::clone(board)))
    }

    /// Where the receiver of this number counts by interval.
    pub fn rx_intervals(&self, worker: usize) -> Option<IntervalRecorder> {
        self.boards[1].get(worker).map(|board| IntervalRecorder::new(Arc::clone(board)))
    }

    /// Shows the drops at rings of the sender (0) or receiver (1) of this number to other threads.
    pub fn show_rings(&self, side: usize, worker: usize, drops: Option<&RingDrops>) {
        if let (Some(shown), Some(drops)) = (self.rings[side].get(worker), drops) {
            // Each worker has one number, and a phase begins once.
            let _ = shown.set(drops.clone());
        }
    }

    /// Drops at rings of senders (0) or of receivers (1) so far; `None`: they have no rings.
    pub fn ring_drops(&self, side: usize) -> Option<u64> {
        let shown = self.rings[side].iter().filter_map(OnceLock::get);
        shown.map(RingDrops::so_far).reduce(|sum, more| Some(sum? + more?)).flatten()
    }

    /// The boundaries of intervals; `None` without intervals.
    pub fn interval_scale(&self) -> Option<IntervalScale> {
        self.boards[0].first().map(|board| board.scale())
    }

    /// What senders and receivers have counted in the interval of this index so far.
    pub fn interval(&self, index: usize) -> [IntervalCounts; 2] {
        receivers_first(|side| {
            let mut sum = IntervalCounts::default();
            self.boards[side].iter().for_each(|board| sum.merge(&board.read(index)));
            sum
        })
    }

    /// Whether senders have counted something in the interval of this index so far, or receivers if
    /// the senders are on another host.
    pub fn is_in_use(&self, index: usize, is_reverse: bool) -> bool {
        let (side, counts): (_, &[_]) = match is_reverse {
            false => (0, &[Count::Sent, Count::Refused, Count::Missed]),
            true => (1, &[Count::Received, Count::Expected]),
        };
        self.boards[side].iter().any(|board| board.has_any(index, counts))
    }

    /// Datagrams sent, and received, in all intervals so far; zeroes without intervals.
    pub fn totals(&self) -> [u64; 2] {
        receivers_first(|side| {
            let what = [Count::Sent, Count::Received][side];
            self.boards[side].iter().map(|board| board.total(what)).sum()
        })
    }

    /// The intervals of the senders, and of the receivers, so far.
    pub fn intervals(&self) -> [IntervalSeries; 2] {
        receivers_first(|side| {
            let mut sum = IntervalSeries::default();
            self.boards[side].iter().for_each(|board| board.add_to(&mut sum));
            sum
        })
    }

    /// For receivers of senders on another host, which plan to end at `window_end`
    /// ([`Nanos::NEVER`] if a count decides); receivers begin to count `bias` earlier.
    pub fn across(
        stop: Arc<AtomicBool>,
        receivers: usize,
        window_end: Nanos,
        bias: Nanos,
    ) -> Arc<Self> {
        let idle = Self::idle(stop, receivers, UNKNOWN, window_end);
        Arc::new(Self { running: AtomicUsize::new(1), quiet: QUIET_ACROSS, bias, ..idle })
    }

    /// Records that the senders on the other host ended: their window at `end`, the latest of them
    /// at `finished`. `sent` has the number sent to each receiver; it is empty if unknown.
    pub fn senders_done(&self, end: Nanos, finished: Nanos, sent: &[u64]) {
        self.sender_finished(finished);
        for (count, &sent) in self.sent.iter().zip(sent) {
            count.store(sent, Ordering::Relaxed);
        }
        self.window_end_ns.fetch_min(end.0, Ordering::AcqRel);
        self.ended.store(true, Ordering::Release);
    }

    /// Corrects the receivers' clock against the senders' by this many ns.
    pub fn shift(&self, by_ns: i64) {
        self.shift_ns.store(by_ns, Ordering::Relaxed);
    }

    /// A moment since the phase began, by the corrected clock of the senders.
    #[inline]
    pub fn corrected(&self, since: Nanos) -> Nanos {
        let shift = self.shift_ns.load(Ordering::Relaxed);
        Nanos(since.0.saturating_add_signed(shift.saturating_neg()))
    }

    /// Whether all senders have ended, so that what they sent is known.
    #[inline]
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// How much earlier than senders receivers count time: latencies are that much longer.
    pub fn bias(&self) -> Nanos {
        self.bias
    }

    /// The silence that ends the phase for a receiver with this longest latency so far: four times
    /// the longest of all receivers.
    pub fn quiet(&self, slowest_ns: Option<u64>) -> Nanos {
        let own = slowest_ns.map_or(0, |ns| ns.saturating_add(1));
        match self.slowest_ns.fetch_max(own, Ordering::Relaxed).max(own) {
            0 => QUIET_AT_FIRST,
            slowest => Nanos((slowest - 1).saturating_mul(4)).clamp(self.quiet, QUIET_MOST),
        }
    }

    /// Records that a worker has received a datagram from the target.
    pub fn note_target_reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }

    /// Whether a worker has received a datagram from the target in this phase.
    pub fn target_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Records that a sender got an error that the target's port is closed.
    pub fn sender_unreachable(&self) {
        self.unreachable.store(true, Ordering::Relaxed);
    }

    /// Whether that happened since the last call.
    #[must_use]
    pub fn take_unreachable(&self) -> bool {
        self.unreachable.swap(false, Ordering::Relaxed)
    }

    /// Whether the run should end early.
    #[inline]
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.aborted.load(Ordering::Relaxed)
    }

    /// Ends the phase for all workers at once: senders stop, and receivers expect no more.
    pub fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
        self.window_end_ns.fetch_min(0, Ordering::AcqRel);
        self.ended.store(true, Ordering::Release);
    }

    /// A sender's stall has just ended.
    pub fn sender_stalled(&self, worker: usize, ended: Nanos) {
        self.stall_ended_ns[worker].store(ended.0, Ordering::Relaxed);
    }

    /// When the latest stall of the sender of this number ended; zero before the first.
    #[inline]
    pub fn stall_ended(&self, worker: usize) -> Nanos {
        Nanos(self.stall_ended_ns[worker].load(Ordering::Relaxed))
    }

    /// A sender has ended: its window at `end`, after `sent` datagrams.
    pub fn sender_done(&self, worker: usize, end: Nanos, sent: u64) {
        self.sent[worker].store(sent, Ordering::Relaxed);
        self.latest_end_ns.fetch_max(end.0, Ordering::AcqRel);
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            let latest = self.latest_end_ns.load(Ordering::Acquire);
            self.window_end_ns.store(latest, Ordering::Release);
            self.ended.store(true, Ordering::Release);
        }
    }

    /// A sender finished at this moment.
    pub fn sender_finished(&self, finished: Nanos) {
        self.finished_ns.fetch_max(finished.0, Ordering::AcqRel);
    }

    /// When the latest sender finished.
    pub fn senders_finished(&self) -> Nanos {
        Nanos(self.finished_ns.load(Ordering::Acquire))
    }

    /// When sending ended: the end of the window, or later if a sender was preempted.
    pub fn senders_ended(&self) -> Nanos {
        self.window_end().max(self.senders_finished())
    }

    /// When the senders' window ends or ended; [`Nanos::NEVER`] where that is not known yet.
    #[inline]
    pub fn window_end(&self) -> Nanos {
        Nanos(self.window_end_ns.load(Ordering::Acquire))
    }

    /// Datagrams sent to this receiver; final once the window has ended.
    pub fn sent_to(&self, worker: usize) -> u64 {
        self.sent[worker].load(Ordering::Relaxed)
    }
}

/// Reads the senders, 0, after the receivers, 1, while both go on: nothing is received that was not
/// sent.
fn receivers_first<T>(mut read: impl FnMut(usize) -> T) -> [T; 2] {
    let received = read(1);
    [read(0), received]
}

#[cfg(test)]
mod tests;
