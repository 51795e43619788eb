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
pub use exchange::{Codes, Exchange};
pub use half::{RxHalf, TxHalf};
pub use harvest::{CutShort, Ends, Harvest, OneWay, PacketCounts, Sockets, SuperPackets, Timing};
pub use histogram::{HistogramError, read_histogram};
pub use host::{Capability, CgroupLimits, CpuThrottling, HostFacts};
pub use jitter::Jitter;
pub use kernel::{IpCounters, KernelCounters, KernelDelta, UdpCounters};
pub use latency::{HIGHEST_NS, Latency};
pub use ledger::{Kernels, Ledger, LossPlace, LossPlaces, LostAt, Server};
pub use legs::{Legs, RX_SAMPLES, RxSample, TX_SAMPLES, TxSample};
pub use outage::{Cause, OUTAGES, Outage, merge_outages, note_outage};
pub use parts::{PartSeen, Parts};
pub use sequences::{Numbered, SequenceCounts};
pub use stall::{STALL_THRESHOLD, StallMeter, Stalls};
pub use strangers::{Glimpse, ListenerTally, Served, SinkTally, Source, Strangers};
pub use tally::{Refusal, Refused, RxTally, TxTally};
pub use usage::{ContextSwitches, Instructions, Usage};
pub use window::{Fate, WINDOW, Window};
