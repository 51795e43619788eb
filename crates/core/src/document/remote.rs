//! What there is beside the cells where there are two clocks and many flows.

use serde::{Deserialize, Serialize};

/// How the other end's clock goes, by all exchanges of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Clock {
    /// Whether it is the same clock: then there is nothing between them.
    pub same: bool,
    /// How much later it is than this host's, in the middle of the run.
    pub offset_ns: i64,
    /// How much that grows, in ns a second.
    pub drift_ppb: i64,
    /// The offset is known within ± this.
    pub bound_ns: u64,
    /// The fastest exchange of control messages; `null` where none was needed.
    pub min_rtt_ns: Option<u64>,
    /// Exchanges that this rests on.
    pub samples: u64,
}

impl Clock {
    /// That of an end that reads the same one.
    pub const fn same() -> Self {
        let (offset_ns, drift_ppb, bound_ns) = (0, 0, 0);
        Self { same: true, offset_ns, drift_ppb, bound_ns, min_rtt_ns: None, samples: 0 }
    }
}

/// How flows fared beside each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Flows {
    /// How many there were.
    pub count: u64,
    /// Datagrams received by flow.
    pub received: FlowSpread,
    /// The largest share of what a flow sent that it lost, 0 to 1; `null` where none sent.
    pub loss_max: Option<f64>,
    /// Flows that sent something, none of which arrived.
    pub starved: u64,
    /// Jain's index of what was received: 1 where all flows received the same, 1 / `count` where
    /// one received all (R. Jain, D. Chiu, W. Hawe, DEC-TR-301, 1984); `null` where none did.
    pub fairness: Option<f64>,
    /// The flows that lost the largest share, up to 10; none that lost nothing.
    pub worst: Vec<FlowCounts>,
}

/// Datagrams a flow, over all flows.
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
