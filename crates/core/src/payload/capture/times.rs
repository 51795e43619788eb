//! Converts times of captured packets to moments of a schedule, without bursts of a wrong clock.

use crate::document::CaptureClock;

/// The largest step back in ns that counts as reordering. Arbitrary: more than between devices.
const OUT_OF_ORDER_NS: i128 = 1_000_000;
/// Maximum packets with one time, as of a super-packet (UDP_MAX_SEGMENTS, linux/udp.h).
const MAX_SAME_TIME: usize = 128;
/// The rate limit for packets of a stalled clock, as a multiple of the mean rate. Arbitrary.
const MAX_RATE: u64 = 10;

/// Moments of packets in ns since the first, and the faults in their times, given in ns since 1970.
pub(super) fn moments(times: &[Option<i128>]) -> (Vec<u64>, CaptureClock) {
    let mut clock = CaptureClock { mean_gap_ns: mean_gap(times), ..CaptureClock::default() };
    let gap_ns = clock.mean_gap_ns.unwrap_or_default();
    let mut moments = Vec::with_capacity(times.len());
    // The time of the latest packet that has one, and its moment.
    let mut known: Option<(i128, u64)> = None;
    let mut now = 0_u64;
    for time in times {
        let next = now.saturating_add(if moments.is_empty() { 0 } else { gap_ns });
        now = match (*time, known) {
            (None, _) => {
                clock.untimed += 1;
                next
            }
            (Some(time), None) => {
                known = Some((time, next));
                next
            }
            (Some(time), Some((latest, at))) if time >= latest => {
                let moment = at.saturating_add(narrow(time - latest)).max(now);
                known = Some((time, moment));
                moment
            }
            (Some(time), Some((latest, _))) if latest - time <= OUT_OF_ORDER_NS => now,
            (Some(time), Some((latest, _))) => {
                clock.steps_back += 1;
                let back_ns = narrow(latest - time);
                clock.largest_step_back_ns = clock.largest_step_back_ns.max(back_ns);
                known = Some((time, next));
                next
            }
        };
        moments.push(now);
    }
    clock.in_standstill = spread_stalls(&mut moments, gap_ns);
    (moments, clock)
}

/// The mean gap between packets with times, without a jump of the clock: a gap above the sum of all
/// others. `None` if all times are equal or missing.
fn mean_gap(times: &[Option<i128>]) -> Option<u64> {
    let (mut count, mut sum, mut largest) = (0_i128, 0_i128, 0_i128);
    for pair in times.windows(2) {
        if let [Some(one), Some(next)] = pair
            && next >= one
        {
            let gap = next - one;
            (count, sum, largest) = (count + 1, sum + gap, largest.max(gap));
        }
    }
    let rest = sum - largest;
    let (sum, count) = if rest > 0 && rest < largest { (rest, count - 1) } else { (sum, count) };
    (sum > 0).then(|| narrow(sum / count.max(1)).max(1))
}

/// Spreads long runs of packets with one moment up to the next moment, and returns their number.
fn spread_stalls(moments: &mut [u64], gap_ns: u64) -> u64 {
    let (mut first, mut shift, mut spread) = (0, 0_u64, 0);
    while let Some(&at) = moments.get(first) {
        let same = moments.iter().skip(first).take_while(|moment| **moment == at).count();
        let (run, rest) = moments.split_at_mut(first + same);
        let mut step = 0;
        if same > MAX_SAME_TIME && gap_ns > 0 {
            spread += same as u64;
            let free = rest.first().map_or(0, |next| next - at) / same as u64;
            step = if free >= gap_ns.div_ceil(MAX_RATE) { free } else { gap_ns };
        }
        let begins = at.saturating_add(shift);
        for (place, moment) in (0_u64..).zip(run.iter_mut().skip(first)) {
            *moment = begins.saturating_add(place.saturating_mul(step));
        }
        // A run that takes longer moves all later ones.
        let ends = begins.saturating_add(step.saturating_mul(same as u64));
        if step > 0
            && let Some(next) = rest.first()
        {
            shift = shift.max(ends.saturating_sub(*next));
        }
        first += same;
    }
    spread
}

fn narrow(ns: i128) -> u64 {
    u64::try_from(ns).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i128 = 1_000_000;

    /// Moments of packets at these times in ms, in ms.
    fn ms(times: &[i128]) -> (Vec<u64>, CaptureClock) {
        let times: Vec<_> = times.iter().map(|ms| Some(ms * MS)).collect();
        let (moments, clock) = moments(&times);
        (moments.into_iter().map(|ns| ns / MS as u64).collect(), clock)
    }

    #[test]
    fn uses_the_mean_gap_after_a_step_back() {
        // There and back again: the leap stays, and does not become the mean.
        let (moments, clock) = ms(&[9_000, 9_010, 9_020, 20, 30, 9_070, 9_080]);
        assert_eq!(moments, [0, 10, 20, 30, 40, 9_080, 9_090]);
        assert_eq!((clock.steps_back, clock.largest_step_back_ns), (1, 9_000_000_000));
    }

    #[test]
    fn handles_reordered_equal_and_missing_times() {
        let reordered = [0, 2_000_000, 1_500_000, 3_000_000].map(Some);
        for (times, expected, mean_gap_ns, untimed) in [
            (&reordered[..], &[0, 2_000_000, 2_000_000, 3_000_000][..], Some(1_500_000), 0),
            (&[Some(7); 5], &[0; 5], None, 0),
            (&[None; 5], &[0; 5], None, 5),
            (&[Some(7)], &[0], None, 0),
            (&[Some(7), None], &[0; 2], None, 1),
            (&[], &[], None, 0),
            (&[Some(0), Some(10), None, None, Some(100)], &[0, 10, 20, 30, 100], Some(10), 2),
        ] {
            let (moments, clock) = moments(times);
            assert_eq!(moments, expected, "{times:?}");
            let found = (clock.steps_back, clock.mean_gap_ns, clock.untimed);
            assert_eq!(found, (0, mean_gap_ns, untimed), "{times:?}");
        }
    }

    #[test]
    fn spreads_packets_of_a_stalled_clock() {
        // 200 packets a second by a clock that counts seconds: each second is filled evenly.
        let times: Vec<_> = (0..600).map(|n| n / 200 * 1_000).collect();
        let (moments, clock) = ms(&times);
        assert_eq!((moments[199], moments[200], moments[399]), (995, 1_000, 1_995));
        assert_eq!(clock.in_standstill, 600);
        assert!(moments.is_sorted_by(|one, next| one < next));
        // One that stalled and did not catch up: later packets move.
        let times: Vec<_> = (0..100).chain([100; 300]).chain(101..200).collect();
        let (moments, clock) = ms(&times);
        assert_eq!(clock.in_standstill, 300);
        let most = moments.iter().filter(|moment| (100..110).contains(*moment)).count();
        assert!(most < 60 && moments.is_sorted(), "{most} in 10 ms");
        // So many at once are a super-packet.
        assert_eq!(ms(&[[0; 128], [5; 128]].concat()).1.in_standstill, 0);
    }
}
