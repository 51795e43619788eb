//! From the legs that were measured to those of the document.

use super::document::{Leg, Legs};
use crate::measure::{self, Latency};
use crate::unit::Nanos;

/// The legs of a cell; `None` where there are none.
pub(super) fn legs(of: &measure::Legs) -> Option<Legs> {
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

fn leg(of: &Latency, bound: Nanos) -> Option<Leg> {
    let shown = |ns: Option<u64>| ns.filter(|&ns| ns >= bound.0);
    let at = |quantile| shown(of.quantile_ns(quantile));
    Some(Leg {
        min_ns: shown(of.min_ns()),
        mean_ns: of.mean_ns()?,
        p50_ns: at(0.5),
        p90_ns: at(0.9),
        p99_ns: at(0.99),
        p99_9_ns: at(0.999),
        max_ns: of.max_ns()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_between_two_clocks_is_withheld() {
        let mut of = measure::Legs { bound: Nanos(50), ..measure::Legs::default() };
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
    }
}
