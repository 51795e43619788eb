//! The intervals of a server.

use super::intervals::kernel_drops;
use crate::document::{Interval, ServerInterval};
use crate::measure::{IntervalCounts, IntervalSeries, ServerIntervals};
use crate::sys;
use crate::unit::Nanos;

/// The intervals of a server that lasted so long; empty without. `has_socket_drops`: whether drops
/// at its sockets are known.
pub(super) fn server_intervals(
    intervals: &ServerIntervals,
    elapsed: Nanos,
    is_sink: bool,
    has_socket_drops: bool,
) -> Vec<ServerInterval> {
    let ServerIntervals { scale, planned_end, counts, unsolicited, drop_readings } = intervals;
    let Some(scale) = scale else { return Vec::new() };
    let planned = scale.len(planned_end.map_or(elapsed, |end| end.min(elapsed)));
    let len = planned.max(counts.len()).max(unsolicited.len());
    let (start, end) = scale.bounds(len - 1);
    let width = end - start;
    let number = (end.0 / width.0.max(1)) as usize;
    let of_equal_width = |series: &IntervalSeries| {
        let (_, mut equal) = series.of_equal_width(len);
        equal.resize(number, IntervalCounts::default());
        equal
    };
    let all = of_equal_width(counts).into_iter().zip(of_equal_width(unsolicited));
    let has_cpu = sys::thread_cpu_ns().is_some();
    let interval = |(index, (own, unsolicited)): (usize, (IntervalCounts, IntervalCounts))| {
        let is_last = index + 1 == number;
        let start = Nanos(width.0 * index as u64);
        let end = if is_last { elapsed.max(start) } else { start + width };
        let of_sink = |count: u64| is_sink.then_some(count);
        let drops = kernel_drops([&[], drop_readings], index, is_last);
        ServerInterval {
            counts: Interval {
                start_ns: start.0,
                end_ns: end.0,
                sent: own.sent,
                refused: Some(own.refused),
                received: Some(own.received),
                lost: of_sink(own.expected.saturating_sub(own.received))
                    .filter(|_| own.losses_unknown == 0),
                duplicate: of_sink(own.duplicate),
                late: of_sink(own.late),
                reordered: of_sink(own.reordered),
                kernel_drops: drops.filter(|_| scale.width() == width),
                cpu_ns: has_cpu.then_some((own.cpu + unsolicited.cpu).0),
                ..Interval::default()
            },
            received_bytes: own.bytes,
            unsolicited: of_sink(unsolicited.received),
            unsolicited_bytes: of_sink(unsolicited.bytes),
            socket_drops: has_socket_drops
                .then_some(own.socket_drops.saturating_add(unsolicited.socket_drops)),
        }
    };
    all.enumerate().map(interval).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{IntervalScale, ServerRecorder};

    #[test]
    fn a_server_has_intervals_up_to_its_end() {
        let width = Nanos::from_millis(1_000);
        let scale = IntervalScale::new(width, Nanos::NEVER);
        let at = |second: u64| Nanos(second * 1_000_000_000 + 5);
        let counted = |seconds: &[u64]| {
            let mut recorder = ServerRecorder::new(width, Nanos::ZERO, Nanos::NEVER);
            recorder.observe(Nanos::ZERO, Default::default);
            for (&second, count) in seconds.iter().zip(1..) {
                recorder.observe(at(second), || [count, 0, 0, 0, 0]);
            }
            recorder.into_series(at(seconds[seconds.len() - 1]), [seconds.len() as u64, 0, 0, 0, 0])
        };
        let intervals =
            ServerIntervals { scale: Some(scale), counts: counted(&[1, 2]), ..Default::default() };
        let of = |elapsed| server_intervals(&intervals, elapsed, false, false);
        let shown = of(at(3));
        let bounds = shown.iter().map(|one| (one.counts.start_ns, one.counts.end_ns));
        let last = (at(3) - Nanos(5)).0;
        assert!(
            bounds.eq([(0, 1), (1, 2), (2, 3)]
                .map(|(start, end)| (start * 1_000_000_000, end * 1_000_000_000))
                .into_iter()
                .chain([(last, last + 5)]))
        );
        let received: Vec<_> = shown.iter().map(|one| one.counts.received).collect();
        assert_eq!(received, [1, 1, 0, 0].map(Some));
        assert_eq!((shown[0].unsolicited, shown[0].socket_drops), (None, None));
        // A day: the widths have doubled.
        let long = of(Nanos::from_millis(86_400_000));
        assert!(long.len() <= 1_024, "{}", long.len());
        let received = long.iter().filter_map(|one| one.counts.received);
        assert_eq!((received.sum::<u64>(), long[0].counts.kernel_drops), (2, None));
        assert_eq!(long[long.len() - 1].counts.end_ns, 86_400_000_000_000);
        let none = server_intervals(&ServerIntervals::default(), at(3), true, true);
        assert_eq!(none, []);
    }
}
