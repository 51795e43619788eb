//! The file of requests in the document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The account of a file of requests: `records = used + Σ left_out`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InputSummary {
    /// `pcap`, `pcapng`, or `names` for a file of names of DNS.
    pub format: String,
    /// Link types of a capture by name, such as `ETHERNET`, the first 16; empty for names.
    pub link_types: Vec<String>,
    /// How many other link types the capture has; 0 in documents of older versions.
    #[serde(default)]
    pub more_link_types: u64,
    /// Packets of a capture; lines of a file of names that are neither empty nor comments.
    pub records: u64,
    /// Records that are sent.
    pub used: u64,
    /// Records that are left out, by cause: of packets `cut_by_snaplen`, `fragment`, `not_udp`,
    /// `other_port`, `too_large` (for one datagram), `link_type` (not read), `malformed`,
    /// `ends_before_id`; of lines `empty_name`, `bad_name`, `unknown_type`.
    pub left_out: BTreeMap<String, u64>,
    /// Faults in the clock of a capture; `null` for names.
    pub clock: Option<CaptureClock>,
    /// Notes on the file, one line each.
    pub notes: Vec<String>,
}

/// The times of the packets of a capture that are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CaptureClock {
    /// How often the clock stepped back by more than 1 ms; packets after a step follow at the mean
    /// gap.
    pub steps_back: u64,
    /// The largest step back in ns.
    pub largest_step_back_ns: u64,
    /// Packets without a time; each follows at the mean gap.
    pub untimed: u64,
    /// Packets in runs of more than 128 that share one time; each run is spread.
    pub in_standstill: u64,
    /// Mean gap between packets in ns; `null` if all times are equal.
    pub mean_gap_ns: Option<u64>,
}
