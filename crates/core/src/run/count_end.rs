//! The planned end of a phase.

use crate::pace::{Arrivals, Part, Slots};
use crate::plan::{Limit, WorkerLoad};
use crate::unit::Nanos;

/// The planned end of a phase; zero for a count that is sent flat out.
pub fn planned_end(limit: Limit, load: WorkerLoad) -> Nanos {
    match limit {
        Limit::Time(time) => time,
        Limit::Count(count) => count_end(load, count),
    }
}

/// The end of a count: each datagram has its period, the last one too. A capture has the times of
/// those that are sent, whatever gaps follow.
fn count_end(load: WorkerLoad, count: u64) -> Nanos {
    match (load, load.mean_pps()) {
        (WorkerLoad::Recorded(_, moments_ns), _) if count > 1 => {
            let last = Part { index: count - 1, of: 1 };
            let last_ns = Slots::new(Arrivals::Recorded(moments_ns), last).next_ns();
            Nanos(last_ns.saturating_add(last_ns / (count - 1)))
        }
        (_, Some(pps)) => Nanos((count as f64 * 1e9 / pps) as u64),
        (_, None) => Nanos::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::{Due, Scheduled};
    use crate::run::send_job::pace;
    use crate::unit::PacketRate;

    #[test]
    fn a_leap_of_a_capture_moves_neither_its_window_nor_its_bound() {
        // 100 packets, 1 ms apart, and one an hour later.
        let hour_ns = 3_600_000_000_000;
        let moments = (0..101).map(|n| if n < 100 { n * 1_000_000 } else { hour_ns });
        let moments: &'static [u64] = Box::leak(moments.collect());
        let load = WorkerLoad::Recorded(PacketRate::KILO, moments);
        assert_eq!(count_end(load, 100), Nanos::from_millis(100));
        let mut pace = pace(load, Nanos::NEVER, u64::MAX, Part { index: 0, of: 1 });
        assert_eq!(pace.due(Nanos::from_millis(50), 64), Due::Now(2));
        assert_eq!(pace.scheduled().map(Scheduled::missed), Some(49));
    }
}
