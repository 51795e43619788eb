//! Upper limits of latencies below the bound of two clocks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Latency, Leg, OutsideStalls};

/// Upper limits in ns of withheld figures: the measured figure plus `bound_ns`, by which the clocks
/// of two hosts may differ. `null` if the figure is given, and if it has no limit, such as a
/// percentile that falls among lost datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpperLimits {
    /// Of the minimum.
    pub min_ns: Option<u64>,
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

/// Applies a bound to a measured latency: below the bound, only the upper limit (measured plus
/// bound) is known.
#[must_use]
pub fn bounded(ns: Option<u64>, bound_ns: u64) -> Bounded {
    match ns {
        Some(ns) if ns < bound_ns => (None, Some(ns.saturating_add(bound_ns))),
        ns => (ns, None),
    }
}

impl UpperLimits {
    /// Limits for older documents, which lack them: a withheld figure is smaller than the bound, so
    /// the true value is smaller than twice the bound.
    fn assumed(bound_ns: u64) -> Self {
        let twice = (bound_ns > 0).then(|| bound_ns.saturating_mul(2));
        Self {
            min_ns: twice,
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
    #[must_use]
    pub fn limits(&self) -> UpperLimits {
        self.upper_limits.unwrap_or_else(|| UpperLimits::assumed(self.bound_ns))
    }

    /// The mean as far as it is known.
    #[must_use]
    pub fn mean(&self) -> Bounded {
        bounded(Some(self.mean_ns), self.bound_ns)
    }

    /// The maximum as far as it is known.
    #[must_use]
    pub fn max(&self) -> Bounded {
        bounded(Some(self.max_ns), self.bound_ns)
    }
}

impl OutsideStalls {
    /// Upper limits of the figures that are `None`, in a latency that is known within this bound.
    #[must_use]
    pub fn limits(&self, bound_ns: u64) -> UpperLimits {
        self.upper_limits.unwrap_or_else(|| UpperLimits::assumed(bound_ns))
    }
}

impl Leg {
    /// Upper limits of the figures that are `None`, in a leg that is known within this bound.
    #[must_use]
    pub fn limits(&self, bound_ns: u64) -> UpperLimits {
        self.upper_limits.unwrap_or_else(|| UpperLimits::assumed(bound_ns))
    }
}
