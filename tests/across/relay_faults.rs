//! Datagrams dropped, repeated and reordered by a written list: the report counts what the relay
//! did, exactly; and control that is lost half the time changes nothing of it.

use serde_json::Value;

use crate::common::{number, together};
use crate::nets::{Nets, Place, SINK, Side};
use crate::relay::{Account, Action, Mistreat, Orders, Relay, Way};
use crate::rig::{Sink, any, engines, of, only, report};

/// Datagrams of a measurement: enough for the list below.
const COUNT: u64 = 2_000;

/// What is done, one way: to the first and the last ones, too, whose loss nothing later shows.
pub fn list(orders: Orders, way: Way) -> Orders {
    let mut orders = orders
        .every(way, 10, 5, Action::Drop)
        .every(way, 37, 6, Action::Repeat(1))
        .every(way, 41, 7, Action::Delay(3));
    for lost in [0, 1, 2, 500, 501, 502, 503, COUNT - 2, COUNT - 1] {
        orders = orders.on(way, lost, Action::Drop);
    }
    let far = [(100, Action::Delay(200)), (700, Action::Repeat(5)), (900, Action::Delay(1))];
    far.into_iter().fold(orders, |orders, (index, action)| orders.on(way, index, action))
}

/// The report of one direction says what the relay did.
#[track_caller]
pub fn compare(cell: &Value, account: &Account, way: Way, context: &str) {
    let lane = account.lane(way);
    let id = format!("{context}: {lane:?}: {}", cell["ledger"]);
    let n = |name: &str| number(cell, &format!("ledger.{name}"));
    assert_eq!(n("sent"), lane.came, "{id}");
    assert_eq!(n("lost"), lane.dropped, "{id}");
    assert_eq!(n("received"), lane.distinct, "{id}");
    assert_eq!(n("duplicate"), lane.duplicate, "{id}");
    assert_eq!(n("reordered"), lane.reordered, "{id}");
    assert_eq!(n("reorder_extent"), lane.extent, "{id}");
    assert_eq!(n("late") + n("foreign") + n("corrupt"), 0, "{id}");
}

/// The list was done, so that a comparison with it means something.
#[track_caller]
pub fn was_done(account: &Account, way: Way) {
    let lane = account.lane(way);
    assert_eq!(lane.came, COUNT, "{lane:?}");
    assert!(lane.dropped > 200 && lane.duplicate > 50 && lane.reordered > 40, "{lane:?}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_a_relay_does_is_what_the_report_says() {
    let _together = together();
    let sink = Sink::here("");
    for engine in engines() {
        for (way, direction, flag) in
            [(Way::Forward, "forward", ""), (Way::Back, "reverse", "--reverse")]
        {
            let orders = list(Orders::default(), way);
            let relay = Relay::start(any("127.0.0.1"), sink.at, orders).unwrap();
            let words = format!("-e {engine} -n {COUNT} -r 5k {flag}");
            let report = report(&Place::here(), relay.at, &words);
            let account = relay.stop().sound();
            was_done(&account, way);
            assert_eq!(only(&report)["direction"], direction);
            compare(only(&report), &account, way, &format!("{engine} {direction}"));
        }
    }
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn both_directions_at_once_are_told_apart() {
    let _together = together();
    let sink = Sink::here("");
    let orders = list(Orders::default(), Way::Forward).every(Way::Back, 4, 1, Action::Drop);
    let relay = Relay::start(any("127.0.0.1"), sink.at, orders).unwrap();
    let words = format!("-e plain -n {COUNT} -r 5k --bidir");
    let report = report(&Place::here(), relay.at, &words);
    let account = relay.stop().sound();
    was_done(&account, Way::Forward);
    assert_eq!((account.back.came, account.back.dropped), (COUNT, COUNT / 4));
    compare(of(&report, "forward"), &account, Way::Forward, "forward");
    compare(of(&report, "reverse"), &account, Way::Back, "reverse");
    sink.end();
}

#[test]
fn streams_keep_their_own_numbers() {
    let _together = together();
    let sink = Sink::here("");
    for (way, direction, flag) in
        [(Way::Forward, "forward", ""), (Way::Back, "reverse", "--reverse")]
    {
        let relay = Relay::start(any("127.0.0.1"), sink.at, list(Orders::default(), way)).unwrap();
        let words = format!("-e plain -n {COUNT} -r 5k -P 7 {flag}");
        let report = report(&Place::here(), relay.at, &words);
        let account = relay.stop().sound();
        assert!(way == Way::Back || account.sources >= 7, "each has its own port: {account:?}");
        compare(only(&report), &account, way, direction);
    }
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_relay_in_another_namespace_is_told_as_exactly() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    let sink = Sink::start(&nets.place(Side::A), "");
    for (way, flag) in [(Way::Forward, ""), (Way::Back, "--reverse")] {
        let orders = list(Orders::default(), way);
        let at = any("10.78.0.2");
        let relay = Relay::start_in(nets.entrance(Side::B), at, SINK, orders).unwrap();
        let words = format!("-e plain -n {COUNT} -r 5k {flag}");
        let report = report(&nets.place(Side::B), relay.at, &words);
        let account = relay.stop().sound();
        was_done(&account, way);
        compare(only(&report), &account, way, flag);
    }
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn half_of_all_control_may_be_lost() {
    let _together = together();
    let sink = Sink::here("");
    let mistreated = |seed, way, flag| {
        let how = Mistreat { seed, drop: 50, repeat: 15, delay: 15 };
        let orders = Orders::default().mistreat(how).every(way, 10, 5, Action::Drop);
        let relay = Relay::start(any("127.0.0.1"), sink.at, orders).unwrap();
        let report = report(&Place::here(), relay.at, &format!("-e plain -n {COUNT} -r 5k {flag}"));
        let account = relay.stop().sound();
        assert!(account.forward.control_dropped + account.back.control_dropped > 0);
        assert_eq!(account.lane(way).came, COUNT, "seed {seed}: nothing is measured twice");
        compare(only(&report), &account, way, &format!("seed {seed} {flag}"));
    };
    // Both wait most of the time, for what has to be said again.
    std::thread::scope(|scope| {
        for (way, flag) in [(Way::Forward, ""), (Way::Back, "--reverse")] {
            let mistreated = &mistreated;
            scope.spawn(move || (1..=2).for_each(|seed| mistreated(seed, way, flag)));
        }
    });
    sink.end();
}
