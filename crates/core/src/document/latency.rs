//! Latencies, and their upper limits if two clocks bound them.

use serde::{Deserialize, Serialize};

/// A latency distribution in ns, of received datagrams.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Latency {
    /// `one_way`, or `round_trip`, which is never halved.
    pub kind: String,
    /// Where it starts: `schedule`, or `send`. Without a schedule both are the batch's departure.
    pub from: String,
    /// `per_datagram`, or `per_batch` where datagrams shared a clock read: on arrival, or, without
    /// a schedule, on departure.
    pub timestamp: String,
    /// The maximum number of datagrams that shared a clock read on arrival.
    pub batch_max: u64,
    /// Number of values.
    pub count: u64,
    /// Error bound (±) of every figure here except deviation and counts: how exactly the offset of
    /// the two clocks is known. 0: one clock, exact. Smaller figures are `null`, with their limits
    /// in `upper_limits`; the histogram still has them. Older documents give mean and maximum as
    /// measured.
    #[serde(default)]
    pub bound_ns: u64,
    /// Exact minimum; `null` below `bound_ns`, as all percentiles.
    pub min_ns: Option<u64>,
    /// Exact mean; `null` below `bound_ns`.
    pub mean_ns: Option<u64>,
    /// Exact standard deviation.
    pub stdev_ns: u64,
    /// Median, within 0.1 %, as all percentiles.
    pub p50_ns: Option<u64>,
    /// 90th percentile.
    pub p90_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// 99.9th percentile.
    pub p99_9_ns: Option<u64>,
    /// 99.99th percentile.
    pub p99_99_ns: Option<u64>,
    /// Exact maximum; `null` below `bound_ns`.
    pub max_ns: Option<u64>,
    /// Values above the range of the histogram (60 s).
    pub clamped: u64,
    /// 99th percentile that counts lost datagrams, and in latency from the schedule missed slots,
    /// as infinitely slow; `null` if it falls among these, or below `bound_ns`; then `upper_limits`
    /// has its limit.
    pub p99_with_loss_ns: Option<u64>,
    /// Upper limits of the figures below `bound_ns`; `null` if the bound is 0.
    #[serde(default)]
    pub upper_limits: Option<UpperLimits>,
    /// The part that did not overlap a stall of a worker; `null` without a stall.
    pub outside_stalls: Option<OutsideStalls>,
    /// HdrHistogram V2, deflated, base64.
    pub histogram: String,
}

/// The part of a distribution that did not overlap a stall. A figure is `null` if there are no
/// values, or if it is below the `bound_ns` of the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutsideStalls {
    /// Values that did not overlap a stall.
    pub count: u64,
    /// Values that overlapped a stall.
    pub overlapped: u64,
    /// Median.
    pub p50_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// 99.9th percentile.
    pub p99_9_ns: Option<u64>,
    /// Maximum, within 0.1 %.
    pub max_ns: Option<u64>,
    /// Upper limits of the figures below the `bound_ns` of the whole; `null` if that is 0.
    #[serde(default)]
    pub upper_limits: Option<UpperLimits>,
}

/// Upper limits in ns of withheld figures: the measured figure plus `bound_ns`, by which the clocks
/// of two hosts may differ. `null` if the figure is given, and if it has no limit, such as a
/// percentile that falls among lost datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpperLimits {
    /// Of the minimum.
    pub min_ns: Option<u64>,
    /// Of the mean; `null` in parts that do not have it, and in older documents.
    #[serde(default)]
    pub mean_ns: Option<u64>,
    /// Of the maximum; `null` in older documents.
    #[serde(default)]
    pub max_ns: Option<u64>,
    /// Of the median.
    pub p50_ns: Option<u64>,
    /// Of the 90th percentile.
    pub p90_ns: Option<u64>,
    /// Of the 99th percentile.
    pub p99_ns: Option<u64>,
    /// Of the 99.9th percentile.
    pub p99_9_ns: Option<u64>,
    /// Of the 99.99th percentile; `null` in parts that do not have it.
    pub p99_99_ns: Option<u64>,
    /// Of the 99th percentile with loss; `null` in parts that do not have it.
    pub p99_with_loss_ns: Option<u64>,
}

/// A latency in ns, or its upper limit if it is below the bound. At most one of the two is known.
pub type Bounded = (Option<u64>, Option<u64>);

/// Below the bound, only the upper limit of a latency is known: the measured latency plus bound.
pub fn bounded(ns: Option<u64>, bound_ns: u64) -> Bounded {
    match ns {
        Some(ns) if ns < bound_ns => (None, Some(ns.saturating_add(bound_ns))),
        ns => (ns, None),
    }
}

impl UpperLimits {
    /// Limits for older documents, which lack them: a withheld figure is smaller than the bound, so
    /// the true value is smaller than twice the bound.
    pub(super) fn assumed(bound_ns: u64) -> Self {
        let twice = (bound_ns > 0).then(|| bound_ns.saturating_mul(2));
        Self {
            min_ns: twice,
            mean_ns: twice,
            max_ns: twice,
            p50_ns: twice,
            p90_ns: twice,
            p99_ns: twice,
            p99_9_ns: twice,
            p99_99_ns: twice,
            p99_with_loss_ns: twice,
        }
    }
}

impl Latency {
    /// Upper limits of the figures that are `None`.
    pub fn limits(&self) -> UpperLimits {
        self.upper_limits.unwrap_or_else(|| UpperLimits::assumed(self.bound_ns))
    }

    /// The mean as far as it is known.
    pub fn mean(&self) -> Bounded {
        or_limit(bounded(self.mean_ns, self.bound_ns), self.limits().mean_ns)
    }

    /// The maximum as far as it is known.
    pub fn max(&self) -> Bounded {
        or_limit(bounded(self.max_ns, self.bound_ns), self.limits().max_ns)
    }

    /// The maximum outside stalls as far as it is known.
    pub fn max_outside_stalls(&self) -> Bounded {
        match &self.outside_stalls {
            Some(outside) => outside.max(self.bound_ns),
            None => self.max(),
        }
    }
}

impl OutsideStalls {
    /// Upper limits of the figures that are `None`, in a latency that is known within this bound.
    pub fn limits(&self, bound_ns: u64) -> UpperLimits {
        self.upper_limits.unwrap_or_else(|| UpperLimits::assumed(bound_ns))
    }

    /// The maximum as far as it is known, in a latency that is known within this bound.
    pub fn max(&self, bound_ns: u64) -> Bounded {
        or_limit(bounded(self.max_ns, bound_ns), self.limits(bound_ns).max_ns)
    }
}

/// The known figure or limit; if neither is known, this limit.
fn or_limit(known: Bounded, limit_ns: Option<u64>) -> Bounded {
    if known == (None, None) { (None, limit_ns) } else { known }
}

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
    /// From the intended moment to the clock read of the batch that left; 0 without a schedule.
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
    /// Upper limits of figures below `bound_ns`; `null` if that is 0, and within one host.
    #[serde(default)]
    pub upper_limits: Option<UpperLimits>,
}

impl Leg {
    /// Upper limits of the figures that are `None`, in a leg that is known within this bound.
    pub fn limits(&self, bound_ns: u64) -> UpperLimits {
        self.upper_limits.unwrap_or_else(|| UpperLimits::assumed(bound_ns))
    }
}
