//! Deliberate faults, to prove that each check can fail. They alter what was measured before the
//! document is built, so that runs without a fault have no code for them.

use crate::document::StallSum;
use crate::measure::{LatencyHistograms, RxResult, TxResult, WINDOW};
use crate::unit::{Nanos, sum_counts};

/// A fault; its word is the id of the check that must fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliberateFault {
    /// Repeated datagrams count as new ones.
    Ledger,
    /// What was sent is taken from the highest sequence number that arrived.
    Tail,
    /// The reorder window is one number too short.
    Window,
    /// Latencies are halved.
    Delay,
    /// Stalls of receivers are not noticed.
    Stall,
    /// The drop counter of the receiving socket is not read.
    ReceiveBuffer,
    /// Gaps between departures are halved.
    Pacing,
    /// Each datagram costs a hundred times as much.
    Overhead,
    /// The clock advances in steps of 4 ms, as CLOCK_MONOTONIC_COARSE does at 250 Hz.
    Clock,
    /// Latencies of one side of a comparison are longer, though nothing delays its datagrams.
    CompareSame,
    /// Latencies of the slower side of a comparison are 1 ns.
    CompareWorse,
    /// One datagram that nothing accounts for is left out.
    Netfilter,
    /// Half of the refused datagrams are left out.
    Queue,
}

/// How much longer the relay delays datagrams of the slower side of a comparison. Arbitrary: many
/// times what a host adds to the median.
pub(super) const SLOWED: Nanos = Nanos::from_millis(20);

/// All faults with their words.
const FAULTS: [(&str, DeliberateFault); 13] = [
    ("ledger", DeliberateFault::Ledger),
    ("tail", DeliberateFault::Tail),
    ("window", DeliberateFault::Window),
    ("delay", DeliberateFault::Delay),
    ("stall", DeliberateFault::Stall),
    ("receive_buffer", DeliberateFault::ReceiveBuffer),
    ("pacing", DeliberateFault::Pacing),
    ("overhead", DeliberateFault::Overhead),
    ("clock", DeliberateFault::Clock),
    ("compare_same", DeliberateFault::CompareSame),
    ("compare_worse", DeliberateFault::CompareWorse),
    ("netfilter", DeliberateFault::Netfilter),
    ("queue", DeliberateFault::Queue),
];

impl DeliberateFault {
    pub(crate) fn words() -> impl Iterator<Item = &'static str> {
        FAULTS.iter().map(|(word, _)| *word)
    }

    pub(crate) fn named(word: &str) -> Option<Self> {
        FAULTS.iter().find(|(name, _)| *name == word).map(|(_, fault)| *fault)
    }

    pub(super) fn word(self) -> &'static str {
        FAULTS.iter().find(|(_, fault)| *fault == self).map_or("", |(word, _)| word)
    }

    /// Whether its check is made with --netns only.
    pub(crate) const fn needs_netns(self) -> bool {
        matches!(self, Self::Netfilter | Self::Queue)
    }

    /// Whether it alters one side of a comparison only.
    pub(super) const fn is_of_side(self) -> bool {
        matches!(self, Self::CompareSame | Self::CompareWorse)
    }

    /// Alters the results of a cell.
    pub(super) fn alter(self, tx: &mut TxResult, rx: &mut RxResult) {
        match self {
            Self::Ledger => {
                let repeated = std::mem::take(&mut rx.tally.duplicate);
                receive(rx, repeated as i64);
            }
            Self::Tail => {
                let highest = sum_counts(rx.numbered.iter().copied());
                let tail = tx.tally.sent.saturating_sub(highest);
                tx.tally.sent -= tail;
                tx.flows.iter_mut().for_each(|sent| *sent -= tail);
            }
            Self::Window if rx.tally.reorder_extent == WINDOW - 1 => {
                rx.tally.reordered -= 1;
                rx.tally.late += 1;
                receive(rx, -1);
            }
            Self::Delay => alter_latency(rx, |ns| ns / 2),
            Self::CompareSame => alter_latency(rx, |ns| ns + SLOWED.0),
            // A busy host delays that side by more than the relay does.
            Self::CompareWorse => alter_latency(rx, |_| 1),
            Self::Stall => rx.stalls = StallSum::default(),
            Self::ReceiveBuffer => rx.kernel.sockets = None,
            Self::Pacing => {
                if let Some(timing) = &mut tx.timing {
                    timing.gap = altered(&timing.gap, |ns| ns / 2);
                    timing.gap_in_stall = altered(&timing.gap_in_stall, |ns| ns / 2);
                }
            }
            // The checks alter what they compare.
            Self::Window | Self::Overhead | Self::Clock | Self::Netfilter | Self::Queue => {}
        }
    }
}

/// The step of the clock with the fault, and the time of one read.
pub(super) const COARSE: (f64, Nanos) = (5.0, Nanos::from_millis(4));

/// Changes how many sequence numbers of the only flow were received.
fn receive(rx: &mut RxResult, by: i64) {
    rx.tally.received = rx.tally.received.saturating_add_signed(by);
    rx.flows.iter_mut().for_each(|received| *received = received.saturating_add_signed(by));
}

fn alter_latency(rx: &mut RxResult, to: impl Fn(u64) -> u64) {
    rx.latency.from_schedule = altered(&rx.latency.from_schedule, &to);
    rx.latency.in_stall = altered(&rx.latency.in_stall, &to);
}

fn altered(all: &LatencyHistograms, to: impl Fn(u64) -> u64) -> LatencyHistograms {
    let mut altered = LatencyHistograms::default();
    for bucket in all.histogram().iter_recorded() {
        altered.record_n(to(bucket.value_iterated_to()), bucket.count_at_value());
    }
    altered
}
