//! Datagrams whose headers are damaged or forged on the way: each is corrupt, and the account of all
//! others is exact.

use crate::common::{number, together};
use crate::nets::Place;
use crate::relay::{Action, Damage, Orders, Relay, Way};
use crate::rig::{Sink, any, only, report};

/// Datagrams of a measurement.
const COUNT: u64 = 2_000;

/// Bits of the header behind the tag: flow, intended moment, mark, sequence number and check.
const BITS: std::ops::Range<usize> = 16..128;

/// The ledger of a run past a relay with these orders, both ways.
#[track_caller]
fn each_way(action: impl Fn(usize) -> Action, times: usize, expected: &Counts) {
    let _together = together();
    let sink = Sink::here("");
    for (way, flag) in [(Way::Forward, ""), (Way::Back, "--reverse")] {
        let orders = (0..times).fold(Orders::default(), |orders, nth| {
            orders.on(way, 7 + 15 * nth as u64, action(nth))
        });
        let relay = Relay::start(any("127.0.0.1"), sink.at, orders).unwrap();
        let report = report(&Place::here(), relay.at, &format!("-e plain -n {COUNT} -r 5k {flag}"));
        let account = relay.stop().sound();
        assert_eq!((account.lane(way).came, account.lane(way).damaged), (COUNT, times as u64));
        let n = |name: &str| number(only(&report), &format!("ledger.{name}"));
        let found = Counts {
            received: n("received"),
            lost: n("lost"),
            corrupt: n("corrupt"),
            others: n("duplicate") + n("late") + n("reordered") + n("foreign"),
        };
        assert_eq!(&found, expected, "{flag}: {}", only(&report)["ledger"]);
    }
    sink.end();
}

/// What a ledger has to say.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    received: u64,
    lost: u64,
    corrupt: u64,
    /// Repeated, late, out of order or foreign.
    others: u64,
}

#[test]
fn a_flipped_bit_costs_the_one_datagram() {
    let flip = |nth| Action::Damage(Damage::Bit(BITS.start + nth));
    let damaged = BITS.len() as u64;
    each_way(
        flip,
        BITS.len(),
        &Counts { received: COUNT - damaged, lost: damaged, corrupt: damaged, others: 0 },
    );
}

#[test]
fn a_copy_with_a_flipped_bit_costs_none() {
    let flip = |nth| Action::Copy(Damage::Bit(BITS.start + nth));
    let damaged = BITS.len() as u64;
    each_way(flip, BITS.len(), &Counts { received: COUNT, lost: 0, corrupt: damaged, others: 0 });
}

#[test]
fn a_forged_number_that_was_not_reached_costs_none() {
    // 2,000 are fewer than 2¹¹; a sequence number has 41 bits.
    let forge = |nth| Action::Copy(Damage::Number(11 + nth as u32));
    let forged = 41 - 11;
    each_way(
        forge,
        forged,
        &Counts { received: COUNT, lost: 0, corrupt: forged as u64, others: 0 },
    );
}
