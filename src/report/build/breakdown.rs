//! Figures of latencies and their breakdown for the document.

use crate::document::{Leg, Legs, UpperLimits, bounded};
use crate::measure::{self, LatencyHistograms};
use crate::unit::Nanos;

/// `None` without samples.
pub(super) fn latency_breakdown(of: &measure::LatencyBreakdown) -> Option<Legs> {
    let exact = |latency| part(latency, Nanos::ZERO);
    Some(Legs {
        samples: of.samples(),
        bound_ns: of.bound.0,
        lag: exact(&of.lag)?,
        system_call: exact(&of.system_call)?,
        path: part(&of.path, of.bound)?,
        in_socket: exact(&of.in_socket)?,
        total: part(&of.total, of.bound)?,
    })
}

pub(super) fn part(of: &LatencyHistograms, bound: Nanos) -> Option<Leg> {
    let (mean_ns, max_ns) = (of.mean_ns()?, of.max_ns()?);
    let [known, limits] = figures(of, 0, bound.0);
    let limits = UpperLimits { p99_99_ns: None, p99_with_loss_ns: None, ..limits };
    Some(copy_fields!(Leg from known { min_ns, p50_ns, p90_ns, p99_ns, p99_9_ns }
        mean_ns: mean_ns,
        max_ns: max_ns,
        upper_limits: (bound > Nanos::ZERO).then_some(limits),
    ))
}

/// The figures of a distribution that are not below the bound, and the limits of those that are.
pub(super) fn figures(of: &LatencyHistograms, lost: u64, bound_ns: u64) -> [UpperLimits; 2] {
    let [mut known, mut limits] = [UpperLimits::default(); 2];
    for (ns, known, limit) in [
        (of.min_ns(), &mut known.min_ns, &mut limits.min_ns),
        (of.mean_ns(), &mut known.mean_ns, &mut limits.mean_ns),
        (of.max_ns(), &mut known.max_ns, &mut limits.max_ns),
        (of.quantile_ns(0.5), &mut known.p50_ns, &mut limits.p50_ns),
        (of.quantile_ns(0.9), &mut known.p90_ns, &mut limits.p90_ns),
        (of.quantile_ns(0.99), &mut known.p99_ns, &mut limits.p99_ns),
        (of.quantile_ns(0.999), &mut known.p99_9_ns, &mut limits.p99_9_ns),
        (of.quantile_ns(0.9999), &mut known.p99_99_ns, &mut limits.p99_99_ns),
        (
            of.quantile_with_lost_ns(0.99, lost),
            &mut known.p99_with_loss_ns,
            &mut limits.p99_with_loss_ns,
        ),
    ] {
        (*known, *limit) = bounded(ns, bound_ns);
    }
    [known, limits]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_figures_between_two_clocks_are_withheld() {
        let mut of =
            measure::LatencyBreakdown { bound: Nanos(50), ..measure::LatencyBreakdown::default() };
        assert_eq!(latency_breakdown(&of), None);
        of.lag.record(1);
        of.system_call.record(20);
        of.path.record(40);
        of.in_socket.record(9);
        of.total.record(70);
        let legs = latency_breakdown(&of).unwrap();
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
