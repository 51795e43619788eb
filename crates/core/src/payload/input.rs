//! Account of a file of requests: its records, and how many are sent.

use std::collections::BTreeMap;

/// The account of a file of requests: `records = used + Σ left_out`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// `pcap`, `pcapng` or `names`.
    pub format: &'static str,
    /// The first 16 link types of packets by name; empty without packets.
    pub link_types: Vec<String>,
    /// How many other link types there are.
    pub more_link_types: u64,
    /// Packets of a capture; lines of a file of names that are neither empty nor comments.
    pub records: u64,
    /// Records that are sent.
    pub used: u64,
    /// Records that are left out, by cause; causes are words in lower case with underscores.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Faults in the clock of a capture; `None` without a capture.
    pub clock: Option<TimestampClock>,
}

/// Faults in the times of a capture, for the packets that are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimestampClock {
    /// How often it stepped back by more than usual reordering.
    pub steps_back: u64,
    /// The largest step back, in ns.
    pub largest_step_back_ns: u64,
    /// Packets without a time.
    pub untimed: u64,
    /// Packets in long runs that share one time.
    pub in_standstill: u64,
    /// Mean gap between packets in ns; `None` if all times are equal.
    pub mean_gap_ns: Option<u64>,
}
