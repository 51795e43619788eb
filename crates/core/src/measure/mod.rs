//! Counts of workers and kernels, latency, jitter, stalls, the sequence window, and the ledger.

/// Adds the named fields of a count to those of another; a peer's may be anything.
macro_rules! add_counts {
    ($sum:expr, $other:expr; $($field:ident),+) => {
        $($sum.$field = $sum.$field.saturating_add($other.$field);)+
    };
}

/// Combines two values where both are known; otherwise the known one.
pub(crate) fn combine<T>(
    one: Option<T>,
    other: Option<T>,
    both: impl FnOnce(T, T) -> T,
) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(both(one, other)),
        (one, other) => one.or(other),
    }
}

mod cell_result;
mod client_board;
mod echo;
mod histogram;
mod interval;
mod kernel;
mod latency;
mod ledger;
mod members;
mod outage;
mod requests;
mod server_usage;
mod side_result;
mod stall;
mod tally;
mod unsolicited;
mod window;

pub use cell_result::{CellResult, CutShort, PacketCounts};
pub use client_board::{ClientBoard, ClientRecorder, MOST_CLIENTS};
pub use echo::{Clients, EchoCounters, EchoTally};
pub use histogram::{HistogramError, read_histogram};
pub use interval::{
    Count, IntervalBoard, IntervalCounts, IntervalRecorder, IntervalScale, IntervalSeries,
    Latencies, MAX_INTERVALS, ServerIntervals, ServerRecorder, ServerSums, StepCounts,
};
pub use kernel::{
    AT_END, DropReading, IpCounters, KernelCounters, KernelDelta, Kernels, Server, Topology,
    UdpCounters,
};
pub use latency::{HIGHEST_NS, InterarrivalJitter, LatencyHistograms};
pub use ledger::{LedgerIdentity, attribute_losses, ledger_identities};
pub use members::{SeparateCounters, merge_members};
pub use outage::{OUTAGES, OutageCounts, SAME_OUTAGE, merge_outages, note_outage};
pub use requests::{Codes, PartSeen, Parts, RequestCounts, StepResult};
pub use server_usage::{ServerReading, ServerReadings};
pub use side_result::{
    LatencyBreakdown, OneWay, RX_SAMPLES, RxResult, RxSample, TX_SAMPLES, Timing, TxResult,
    TxSample,
};
pub use stall::{STALL_THRESHOLD, StallMeter};
pub use tally::{Instructions, RxTally, SendErrorCounts, TxTally, Usage};
pub use unsolicited::{
    ClientStats, ListenerTally, SinkTally, Snapshot, Totals, TrafficSource, UnsolicitedSource,
    UnsolicitedTraffic,
};
pub use window::{Arrival, Numbered, WINDOW, Window};
