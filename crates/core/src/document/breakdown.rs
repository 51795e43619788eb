//! The latency breakdown of a cell.

use serde::{Deserialize, Serialize};

use super::UpperLimits;

/// The latency breakdown of a sample of datagrams by timestamps of both kernels. For each datagram,
/// the parts add up to `total`, and so do their means, except for rounding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Legs {
    /// Number of datagrams: about one per millisecond and sender, the first of a batch.
    pub samples: u64,
    /// Error bound (±) of `path` and `total`: how exactly the offset of the two clocks is known. 0:
    /// one clock, exact. Smaller minima and percentiles are `null`. Means and maxima are as
    /// measured, so that means add up. `upper_limits` has the limits of the smaller figures.
    pub bound_ns: u64,
    /// From the intended moment to the departure, which is the clock read of its batch; 0 without
    /// a schedule.
    pub lag: Leg,
    /// From there to the driver of the network device, through the system call.
    pub system_call: Leg,
    /// From there to the receiver's kernel.
    pub path: Leg,
    /// From there to the application's read.
    pub in_socket: Leg,
    /// The whole latency.
    pub total: Leg,
}

/// One part of the latency in ns.
#[derive(Debug, Clone, Default, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Leg {
    /// Exact minimum.
    pub min_ns: Option<u64>,
    /// Exact mean.
    pub mean_ns: u64,
    /// Median, within 0.1 %, as all percentiles.
    pub p50_ns: Option<u64>,
    /// 90th percentile.
    pub p90_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// 99.9th percentile.
    pub p99_9_ns: Option<u64>,
    /// Exact maximum.
    pub max_ns: u64,
    /// Upper limits of the figures below the `bound_ns` of the legs; `null` if that is 0, and in
    /// legs within one host.
    #[serde(default)]
    pub upper_limits: Option<UpperLimits>,
}

impl Leg {
    /// Upper limits of the figures that are `None`, in a leg that is known within this bound.
    pub fn limits(&self, bound_ns: u64) -> UpperLimits {
        self.upper_limits.unwrap_or_else(|| UpperLimits::assumed(bound_ns))
    }
}
