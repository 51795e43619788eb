//! From the legs that were measured to those of the document.

use crate::document::{Leg, Legs, UpperLimits, bounded};
use crate::measure::{self, LatencyHistograms};
use crate::unit::Nanos;

/// The legs of a cell; `None` where there are none.
pub(super) fn legs(of: &measure::LatencyBreakdown) -> Option<Legs> {
    let one = |latency| leg(latency, Nanos::ZERO);
    Some(Legs {
        samples: of.samples(),
        bound_ns: of.bound.0,
        lag: one(&of.lag)?,
        system_call: one(&of.system_call)?,
        path: leg(&of.path, of.bound)?,
        in_socket: one(&of.in_socket)?,
        total: leg(&of.total, of.bound)?,
    })
}

fn leg(of: &LatencyHistograms, bound: Nanos) -> Option<Leg> {
    let at = |quantile| bounded(of.quantile_ns(quantile), bound.0);
    let [p50, p90, p99, p99_9] = [0.5, 0.9, 0.99, 0.999].map(at);
    let min = bounded(of.min_ns(), bound.0);
    let (mean_ns, max_ns) = (of.mean_ns()?, of.max_ns()?);
    Some(Leg {
        min_ns: min.0,
        mean_ns,
        p50_ns: p50.0,
        p90_ns: p90.0,
        p99_ns: p99.0,
        p99_9_ns: p99_9.0,
        max_ns,
        upper_limits: (bound > Nanos::ZERO).then(|| UpperLimits {
            min_ns: min.1,
            p50_ns: p50.1,
            p90_ns: p90.1,
            p99_ns: p99.1,
            p99_9_ns: p99_9.1,
            mean_ns: bounded(Some(mean_ns), bound.0).1,
            max_ns: bounded(Some(max_ns), bound.0).1,
            ..UpperLimits::default()
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_between_two_clocks_is_withheld() {
        let mut of =
            measure::LatencyBreakdown { bound: Nanos(50), ..measure::LatencyBreakdown::default() };
        assert_eq!(legs(&of), None);
        of.lag.record(1);
        of.system_call.record(20);
        of.path.record(40);
        of.in_socket.record(9);
        of.total.record(70);
        let legs = legs(&of).unwrap();
        assert_eq!((legs.samples, legs.bound_ns), (1, 50));
        assert_eq!((legs.path.p50_ns, legs.path.mean_ns, legs.path.max_ns), (None, 40, 40));
        assert_eq!((legs.lag.p50_ns, legs.total.p50_ns), (Some(1), Some(70)));
        let limits = legs.path.upper_limits.unwrap();
        assert_eq!([limits.p50_ns, limits.mean_ns, limits.max_ns], [Some(90); 3]);
        let limits = legs.total.upper_limits.unwrap();
        assert_eq!((limits.mean_ns, limits.max_ns), (None, None));
        assert_eq!((legs.lag.upper_limits, legs.total.limits(50).p50_ns), (None, None));
    }
}
