//! What is counted and how: tallies a worker keeps, latency histograms, the sequence window,
//! jitter, stalls, requests in flight, the kernel's counters as values, the ledger that settles
//! them all, and the facts of the host beside which they must be read.

mod clients;
mod device;
mod echo;
mod exchange;
mod half;
mod harvest;
mod histogram;
mod host;
mod jitter;
mod kernel;
mod latency;
mod ledger;
mod legs;
mod outage;
mod parts;
mod sequences;
mod stall;
mod strangers;
mod tally;
mod usage;
mod window;

pub use clients::Clients;
pub use device::{Device, Irq};
pub use echo::EchoTally;
pub use exchange::{Codes, RequestCounts};
pub use half::{RxResult, TxResult};
pub use harvest::{
    CellResult, CutShort, OneWay, PacketCounts, Sockets, SuperPackets, Timing, Topology,
};
pub use histogram::{HistogramError, read_histogram};
pub use host::{CgroupLimits, CpuThrottling, HostFacts, ProbeResult};
pub use jitter::InterarrivalJitter;
pub use kernel::{IpCounters, KernelCounters, KernelDelta, UdpCounters};
pub use latency::{HIGHEST_NS, LatencyHistograms};
pub use ledger::{DropCounters, DropCounts, DropLocation, Kernels, LedgerCounts, Server};
pub use legs::{LatencyBreakdown, RX_SAMPLES, RxSample, TX_SAMPLES, TxSample};
pub use outage::{Cause, OUTAGES, OutageCounts, merge_outages, note_outage};
pub use parts::{PartSeen, Parts};
pub use sequences::{Numbered, SequenceCounts};
pub use stall::{STALL_THRESHOLD, StallCounts, StallMeter};
pub use strangers::{
    ClientStats, ListenerTally, SinkTally, Snapshot, UnsolicitedSource, UnsolicitedTraffic,
};
pub use tally::{RxTally, SendErrorCounts, SendErrorKind, TxTally};
pub use usage::{ContextSwitches, Instructions, Usage};
pub use window::{Arrival, WINDOW, Window};
