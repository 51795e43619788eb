//! The kernel's receive timestamps: with every datagram where they were asked for, else with none.

use udperf::sys;
use udperf::unit::Nanos;

use crate::engines::Pair;
use crate::rig::{Rig, Setup};

/// What datagrams wait in the socket at least, in ns; arbitrary, more than a tick of any clock.
const WAIT_NS: u64 = 2_000;

/// How often to try until the kernel stamps at arrival; arbitrary.
const TRIES: usize = 10_000;

/// Pushes datagrams, lets them wait, reads them; whether all have waited as long as they must.
fn waited_as_long_as_they_must(rig: &mut Rig, count: usize) -> bool {
    let begin_ns = sys::realtime_ns();
    rig.push_all(count);
    let sent_ns = sys::realtime_ns();
    // Busy, for it is the calendar clock that must move.
    while sys::realtime_ns() < sent_ns + WAIT_NS {}
    let least = Nanos(sys::realtime_ns() - sent_ns);
    let taken = rig.inbox.take(count as u64);
    let most = Nanos(sys::realtime_ns() - begin_ns);
    let all: Vec<_> = taken.iter().filter_map(|(_, waited)| *waited).collect();
    assert_eq!(all.len(), count, "{}: each has its timestamp", rig.name);
    assert!(all.iter().all(|waited| *waited <= most), "{}: beyond {most:?}: {all:?}", rig.name);
    all.iter().all(|waited| *waited >= least)
}

#[test]
fn every_datagram_tells_how_long_it_waited_where_that_was_asked() {
    for pair in Pair::all().into_iter().filter(|pair| pair.rx.stamps) {
        for (size, count) in [(64, 200), (1_472, 50), (65_507, 3)] {
            let mut rig = Rig::new(pair, &Setup { flows: 2, ..Setup::fixed(size) });
            let count = count.min(rig.room());
            // The kernel begins to stamp arrivals a little after it was asked to; until then it
            // stamps when it is read, so none is ever without.
            let tries = (0..TRIES).position(|_| waited_as_long_as_they_must(&mut rig, count));
            assert!(tries.is_some(), "{}: read as if just arrived", rig.name);
        }
    }
}

#[test]
fn no_datagram_tells_where_nobody_asked() {
    for pair in Pair::all().into_iter().filter(|pair| !pair.rx.stamps) {
        // Somebody else on this host may have asked, and the kernel stamps for all.
        let mut rig = Rig::new(pair, &Setup { flows: 2, ..Setup::fixed(64) });
        rig.push_all(100);
        let taken = rig.inbox.take(100);
        assert!(taken.iter().all(|(_, waited)| waited.is_none()), "{pair}");
    }
}
