//! The clock of the other end, and the flows.

use serde::{Deserialize, Serialize};

/// The other end's clock, from all exchanges of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Clock {
    /// Whether both ends read the same clock.
    pub same: bool,
    /// Its offset from this host's clock, in the middle of the run; positive if it is ahead.
    pub offset_ns: i64,
    /// Drift of the offset in ns per second.
    pub drift_ppb: i64,
    /// The offset is known within ± this.
    pub bound_ns: u64,
    /// The fastest exchange of control messages; `null` if none was needed.
    pub min_rtt_ns: Option<u64>,
    /// Number of exchanges used.
    pub samples: u64,
}

impl Clock {
    /// The clock of an end that reads the same clock.
    pub const fn same() -> Self {
        let (offset_ns, drift_ppb, bound_ns) = (0, 0, 0);
        Self { same: true, offset_ns, drift_ppb, bound_ns, min_rtt_ns: None, samples: 0 }
    }
}

/// A comparison of the flows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Flows {
    /// Number of flows.
    pub count: u64,
    /// Datagrams received by flow.
    pub received: FlowSpread,
    /// The largest loss of a flow, 0 to 1; `null` if none sent.
    pub loss_max: Option<f64>,
    /// Flows that sent datagrams, none of which arrived.
    pub starved: u64,
    /// Jain's index of received datagrams: 1 if all flows received the same, 1 / `count` if one
    /// received all (R. Jain, D. Chiu, W. Hawe, DEC-TR-301, 1984); `null` if none did.
    pub fairness: Option<f64>,
    /// The flows with the largest loss, up to 10; only flows with loss.
    pub worst: Vec<FlowCounts>,
}

/// Datagrams per flow, over all flows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowSpread {
    /// The fewest.
    pub min: u64,
    /// The median.
    pub p50: u64,
    /// The most.
    pub max: u64,
}

/// One flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowCounts {
    /// Its number, from 0.
    pub flow: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Sequence numbers received.
    pub received: u64,
}
