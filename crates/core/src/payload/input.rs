//! Account of a file of requests: its records, and how many are sent.

use std::collections::BTreeMap;

/// The account of a file of requests: `records = used + Σ left_out`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "`document::InputSummary` describes the fields")]
pub struct Input {
    pub format: &'static str,
    pub link_types: Vec<String>,
    pub more_link_types: u64,
    pub records: u64,
    pub used: u64,
    pub left_out: BTreeMap<&'static str, u64>,
    pub clock: Option<TimestampClock>,
}

/// Faults in the times of a capture, for the packets that are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "`document::CaptureClock` describes the fields")]
pub struct TimestampClock {
    pub steps_back: u64,
    pub largest_step_back_ns: u64,
    pub untimed: u64,
    pub in_standstill: u64,
    pub mean_gap_ns: Option<u64>,
}
