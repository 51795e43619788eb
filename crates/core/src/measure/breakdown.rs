//! The latency of a sample of datagrams in legs, between moments that both ends report.
//!
//! ```text
//! intended ─ lag ─ departure ─ system call ─ send stamp ─ path ─ receive stamp ─ socket ─ read
//! ```

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::LatencyHistograms;
use crate::unit::Nanos;

/// Samples that one sender takes at most. Arbitrary: 320 KiB, and a p99.9 with eight beyond it.
pub const TX_SAMPLES: usize = 8_192;
/// Samples that one receiver takes at most. Arbitrary: those of four senders.
pub const RX_SAMPLES: usize = 4 * TX_SAMPLES;

/// A datagram at the sending end; moments are since the senders' epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxSample {
    /// Its flow.
    pub flow: u16,
    /// Its number in that.
    pub sequence: u64,
    /// When it was due.
    pub intended: Nanos,
    /// The clock read of its batch.
    pub departure: Nanos,
    /// When the driver got it.
    pub stamp: Nanos,
}

/// A datagram at the receiving end; moments are since the receivers' epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RxSample {
    /// Its flow.
    pub flow: u16,
    /// Its number in that.
    pub sequence: u64,
    /// When the kernel took it from the device.
    pub stamp: Nanos,
    /// When it was read.
    pub read: Nanos,
}

impl RxSample {
    /// The same by a clock corrected by so many ns.
    pub fn shifted(self, by_ns: i64) -> Self {
        let moved = |at: Nanos| Nanos(at.0.saturating_add_signed(by_ns));
        Self { stamp: moved(self.stamp), read: moved(self.read), ..self }
    }
}

/// The legs of all samples that both ends know; they add up to the total, and so do their means.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "`document::Legs` describes other fields")]
pub struct LatencyBreakdown {
    pub lag: LatencyHistograms,
    pub system_call: LatencyHistograms,
    pub path: LatencyHistograms,
    pub in_socket: LatencyHistograms,
    pub total: LatencyHistograms,
    /// The uncertainty, ±, of path and total. Zero: one clock.
    pub bound: Nanos,
}

impl LatencyBreakdown {
    /// Combines what both ends know of the same datagrams; `None` without a common one.
    ///
    /// Stamps of the calendar clock, converted to the monotonic one, may be tens of ns off. On one
    /// clock, the send stamp is never later than the receive stamp; on two, a negative path is 0.
    pub fn of(tx: &[TxSample], rx: &[RxSample], bound: Nanos) -> Option<Self> {
        let received: HashMap<_, _> =
            rx.iter().map(|sample| ((sample.flow, sample.sequence), sample)).collect();
        let mut legs = Self { bound, ..Self::default() };
        for sent in tx {
            if let Some(received) = received.get(&(sent.flow, sent.sequence)) {
                legs.take(sent, received);
            }
        }
        (legs.total.count() > 0).then_some(legs)
    }

    /// How many datagrams.
    pub fn samples(&self) -> u64 {
        self.total.count()
    }

    fn take(&mut self, sent: &TxSample, received: &RxSample) {
        let one_clock = self.bound == Nanos::ZERO;
        let stamp = if one_clock { sent.stamp.min(received.stamp) } else { sent.stamp };
        let stamp = stamp.max(sent.departure);
        let legs = [
            sent.departure.since(sent.intended),
            stamp.since(sent.departure),
            received.stamp.since(stamp),
            received.read.since(received.stamp),
        ];
        let [lag, system_call, path, in_socket] = legs;
        self.lag.record(lag.0);
        self.system_call.record(system_call.0);
        self.path.record(path.0);
        self.in_socket.record(in_socket.0);
        self.total.record(legs.into_iter().fold(Nanos::ZERO, |sum, leg| sum + leg).0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(sequence: u64, at: [u64; 3]) -> TxSample {
        let [intended, departure, stamp] = at.map(Nanos);
        TxSample { flow: 3, sequence, intended, departure, stamp }
    }

    fn received(sequence: u64, at: [u64; 2]) -> RxSample {
        let [stamp, read] = at.map(Nanos);
        RxSample { flow: 3, sequence, stamp, read }
    }

    fn means(legs: &LatencyBreakdown) -> [u64; 5] {
        [&legs.lag, &legs.system_call, &legs.path, &legs.in_socket, &legs.total]
            .map(|leg| leg.mean_ns().unwrap())
    }

    #[test]
    fn legs_of_what_both_ends_know_add_up() {
        let tx = [sent(1, [10, 12, 20]), sent(2, [20, 20, 30]), sent(7, [9, 99, 999])];
        let rx = [received(2, [34, 50]), received(1, [22, 32]), received(8, [1, 2])];
        let legs = LatencyBreakdown::of(&tx, &rx, Nanos::ZERO).unwrap();
        assert_eq!(legs.samples(), 2);
        assert_eq!(means(&legs), [1, 9, 3, 13, 26]);
        assert!(LatencyBreakdown::of(&tx, &rx[2..], Nanos::ZERO).is_none());
        let other_flow = [TxSample { flow: 4, ..tx[0] }];
        assert!(LatencyBreakdown::of(&other_flow, &rx, Nanos::ZERO).is_none());
    }

    #[test]
    fn a_clock_that_is_off_makes_no_leg_negative() {
        let (tx, rx) = ([sent(0, [10, 20, 35])], [received(0, [30, 40])]);
        let legs = LatencyBreakdown::of(&tx, &rx, Nanos::ZERO).unwrap();
        assert_eq!(means(&legs), [10, 10, 0, 10, 30]);
        // Stamps of one host's clock are kept.
        let legs = LatencyBreakdown::of(&tx, &rx, Nanos(8)).unwrap();
        assert_eq!((means(&legs), legs.bound), ([10, 15, 0, 10, 35], Nanos(8)));
        let legs =
            LatencyBreakdown::of(&tx, &rx.map(|sample| sample.shifted(7)), Nanos(8)).unwrap();
        assert_eq!(means(&legs), [10, 15, 2, 10, 37]);
        let legs = LatencyBreakdown::of(&[sent(0, [10, 20, 15])], &rx, Nanos::ZERO).unwrap();
        assert_eq!(means(&legs), [10, 0, 10, 10, 30]);
    }
}
