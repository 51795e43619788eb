//! Counts, order, bytes, sizes and limits: whatever is pushed is pulled.

use proptest::prelude::*;
use udperf::unit::PayloadSize;

use crate::engines::Pair;
use crate::rig::{Rig, Setup};

#[test]
fn what_is_pushed_is_pulled_in_order_and_to_the_byte() {
    for pair in Pair::all() {
        let mut rig = Rig::new(pair, &Setup { flows: 3, ..Setup::fixed(64) });
        rig.transfer(1_003);
        let (sent, got) = (&rig.sent, &rig.inbox.tally);
        // The same as the model in `Rig::check`, for the pairs that everybody knows.
        match (pair.tx.name, rig.inbox.rx.takes_super_packets()) {
            ("gso", true) => assert!(got.uncut > 0 && got.packets < got.received, "{pair}"),
            ("gso", false) => assert!(sent.packets < got.packets, "{pair}"),
            _ => assert_eq!((sent.packets, got.uncut), (1_003, 0), "{pair}"),
        }
    }
}

#[test]
fn no_size_is_too_odd() {
    for pair in Pair::all() {
        for size in [16, 17, 18, 63, 65, 1_471, 1_472, 1_473, 8_971, 8_972, 8_973, 20_001] {
            let mut rig = Rig::new(pair, &Setup { flows: 2, ..Setup::fixed(size) });
            // No multiple of any batch or number of segments.
            rig.transfer(if size < 2_000 { 131 } else { 23 });
        }
    }
}

#[test]
fn the_smallest_and_the_largest_datagrams_arrive() {
    for pair in Pair::all() {
        for (size, segments) in
            [(1, 128), (16, 128), (511, 128), (512, 127), (32_736, 2), (32_737, 1), (65_507, 1)]
        {
            let mut rig = Rig::new(pair, &Setup::fixed(size));
            rig.transfer(5);
            if let Some(found) = rig.tx.segments() {
                // A kernel before 6.10 takes 64.
                assert_eq!(found.at_first, segments, "{pair}");
                assert!(found.now == segments || found.now == 64, "{pair}: {found:?}");
            }
        }
    }
}

#[test]
fn super_packets_may_be_full_or_not() {
    for pair in Pair::all() {
        for count in [1, 2, 64, 65, 127, 128, 129, 256, 257] {
            let mut rig = Rig::new(pair, &Setup::fixed(100));
            rig.transfer(count);
            assert_eq!(rig.sent.sent, count as u64, "{pair}");
        }
    }
}

#[test]
fn batches_of_any_number_are_kept_to() {
    for pair in Pair::all() {
        for batch in [1, 2, 1_023, 1_024] {
            let mut rig = Rig::new(pair, &Setup { batch: Some(batch), ..Setup::fixed(18) });
            assert!(rig.tx.batch(false) <= batch.max(16), "{pair}: {}", rig.tx.batch(false));
            if rig.room() < batch {
                crate::skip::unavailable(format_args!(
                    "{pair}: batches of {batch}: net.core.rmem_max is too small"
                ));
                continue;
            }
            rig.transfer(batch + 1);
            if pair.tx.name != "plain" {
                assert_eq!(rig.tx.batch(false), batch, "{pair}");
                assert_eq!(rig.sent.syscalls, 2, "{pair}: {batch}");
            }
        }
    }
}

#[test]
fn each_datagram_of_a_mix_has_the_size_of_its_number() {
    for pair in Pair::all() {
        for batch in [None, Some(5)] {
            let mut rig =
                Rig::new(pair, &Setup { batch, flows: 2, ..Setup::of(PayloadSize::Imix) });
            rig.transfer(307);
            assert_eq!(rig.inbox.tally.packets, 307, "{pair}: a mix shares no super-packets");
        }
    }
}

#[test]
fn an_empty_queue_is_told_once_it_is_empty_and_not_before() {
    for pair in Pair::all() {
        for batch in [None, Some(7)] {
            let mut rig = Rig::new(pair, &Setup { batch, ..Setup::fixed(64) });
            let mut told_in_time = || {
                let before = rig.inbox.tally.arrived;
                rig.push_all(101);
                while !rig.inbox.pull(&mut |_, _| ()).drained {}
                let arrived = rig.inbox.tally.arrived - before;
                rig.inbox.pull_all(101 - arrived, &mut |_, _| ());
                arrived == 101
            };
            // A kernel under load may put off what was sent, though hardly again and again.
            assert!((0..5).any(|_| told_in_time()), "{pair}, batch {batch:?}");
        }
    }
}

#[test]
fn pushes_and_pulls_may_alternate_as_they_like() {
    let pairs = Pair::all();
    let size = prop_oneof![
        4 => (1_u16..2_000).prop_map(PayloadSize::Fixed),
        4 => (2_000_u16..=65_507).prop_map(PayloadSize::Fixed),
        1 => Just(PayloadSize::Imix),
    ];
    let steps = prop::collection::vec((0_usize..3, 1_usize..400, any::<bool>()), 1..24);
    let batch = prop::option::of(1_usize..600);
    let strategy = (0..pairs.len(), size, batch, steps);
    proptest!(ProptestConfig::with_cases(150), |((pair, size, batch, steps) in strategy)| {
        // Too short for a header, flows could not be told apart.
        let flows = if size.largest() < 16 { 1 } else { 3 };
        let mut rig = Rig::new(pairs[pair], &Setup { batch, flows, ..Setup::of(size) });
        let mut unread = 0;
        for (flow, want, read) in steps {
            let want = want.min(rig.tx.batch(false));
            if read || unread + want > rig.room() {
                rig.read(unread as u64);
                unread = 0;
            }
            let push = rig.push(flow % flows, want.min(rig.room()));
            prop_assert_eq!(push.error, None);
            unread += push.sent;
        }
        rig.read(unread as u64);
        rig.check();
    });
}
