//! Counts of workers and kernels, latency, jitter, stalls, the sequence window, and the ledger.

/// Adds the named fields of a count to those of another; a peer's may be anything.
macro_rules! add_counts {
    ($sum:expr, $other:expr; $($field:ident),+) => {
        $($sum.$field = $sum.$field.saturating_add($other.$field);)+
    };
}

/// Combines two values where both are known; otherwise the known one.
fn combine<T>(one: Option<T>, other: Option<T>, both: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(both(one, other)),
        (one, other) => one.or(other),
    }
}

mod breakdown;
mod cell_result;
mod clients;
mod counters;
mod echo;
mod histogram;
mod jitter;
mod kernel;
mod latency;
mod ledger;
mod outage;
mod parts;
mod requests;
mod sequences;
mod side_result;
mod stall;
mod unsolicited;
mod usage;
mod window;

pub use crate::measure::breakdown::{LatencyBreakdown, RX_SAMPLES, RxSample, TX_SAMPLES, TxSample};
pub use crate::measure::cell_result::{CellResult, CutShort, PacketCounts, Sockets, SuperPackets};
pub use crate::measure::counters::{RxTally, SendErrorCounts, SendErrorKind, TxTally};
pub use crate::measure::requests::{Codes, RequestCounts};
pub use crate::measure::side_result::{OneWay, RxResult, Timing, TxResult};
pub use crate::measure::unsolicited::{
    ClientStats, ListenerTally, SinkTally, Snapshot, UnsolicitedSource, UnsolicitedTraffic,
};
pub use clients::Clients;
pub use echo::{EchoCounters, EchoTally};
pub use histogram::{HistogramError, read_histogram};
pub use jitter::InterarrivalJitter;
pub use kernel::{IpCounters, KernelCounters, KernelDelta, UdpCounters};
pub use latency::{HIGHEST_NS, LatencyHistograms};
pub use ledger::{
    DropCounters, DropCounts, DropLocation, Kernels, LedgerCounts, LedgerIdentity, LedgerTerms,
    Server, Topology,
};
pub use outage::{Cause, OUTAGES, OutageCounts, SAME_OUTAGE, merge_outages, note_outage};
pub use parts::{PartSeen, Parts};
pub use sequences::{Numbered, SequenceCounts};
pub use stall::{STALL_THRESHOLD, StallCounts, StallMeter};
pub use usage::{Instructions, ThreadSwitches, Usage};
pub use window::{Arrival, WINDOW, Window};
