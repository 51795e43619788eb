//! The kernel's receive timestamps: with every datagram where they were asked for, else with none.

use udperf::sys;
use udperf::unit::Nanos;

use crate::engines::Pair;
use crate::rig::{Rig, Setup};

#[test]
fn every_datagram_tells_how_long_it_waited_where_that_was_asked() {
    for pair in Pair::all() {
        for (size, count) in [(64, 200), (1_472, 50), (65_507, 3)] {
            let mut rig = Rig::new(pair, &Setup { flows: 2, ..Setup::fixed(size) });
            for _ in 0..3 {
                let begin_ns = sys::realtime_ns();
                rig.push_all(count.min(rig.room()));
                let taken = rig.inbox.take(count.min(rig.room()) as u64);
                let most = Nanos(sys::realtime_ns() - begin_ns);
                // The kernel begins to stamp a little after it was asked to; what has come without
                // is stamped when it is read, so there is no exception to this.
                let stamped = taken.iter().filter(|(_, waited)| waited.is_some()).count();
                let expected = if pair.rx.stamps { taken.len() } else { 0 };
                assert_eq!(stamped, expected, "{}", rig.name);
                // Within one core and one clock, nothing waits longer than it exists.
                let within = taken.iter().all(|(_, waited)| waited.is_none_or(|w| w <= most));
                assert!(within, "{}: beyond {most:?}", rig.name);
            }
        }
    }
}
