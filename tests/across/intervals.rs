//! Intervals between two hosts: what a relay does to a datagram counts where that was due.

use serde_json::Value;

use crate::common::{number, together};
use crate::nets::Place;
use crate::relay::{Action, Orders, Relay, Way};
use crate::rig::{Sink, any, of, only, report};

/// A field of each interval.
fn column(cell: &Value, field: &str) -> Vec<u64> {
    let intervals = cell["intervals"].as_array().unwrap();
    intervals.iter().map(|interval| number(interval, field)).collect()
}

/// Of 5,000 datagrams, 1,000 an interval: 600 of the third are dropped, one of the second repeated,
/// and the last one of the first arrives behind three of the second.
fn orders(way: Way) -> Orders {
    let orders =
        (2_000..2_600).fold(Orders::default(), |orders, at| orders.on(way, at, Action::Drop));
    orders.on(way, 1_500, Action::Repeat(1)).on(way, 999, Action::Delay(3))
}

#[track_caller]
fn check(cell: &Value, id: &str) {
    let [lost, duplicate, reordered, missed] =
        ["lost", "duplicate", "reordered", "missed"].map(|field| column(cell, field));
    let sum = |all: &[u64]| all.iter().sum::<u64>();
    assert_eq!((sum(&lost), sum(&duplicate), sum(&reordered)), (600, 1, 1), "{id}");
    // A missed slot makes every later datagram due later.
    if sum(&missed[..3]) == 0 {
        assert_eq!(lost[..4], [0, 0, 600, 0], "{id}");
        assert_eq!((duplicate[1], reordered[0]), (1, 1), "{id}");
    }
    assert_eq!(lost[..2], [0, 0], "{id}");
}

#[test]
fn a_loss_on_the_path_shows_in_the_interval_in_which_it_was_due() {
    let _together = together();
    let sink = Sink::here("");
    for (way, flag) in [(Way::Forward, ""), (Way::Back, "--reverse")] {
        let relay = Relay::start(any("127.0.0.1"), sink.at, orders(way)).unwrap();
        let words = format!("-e plain -l 64 -n 5000 -r 5k -i 200ms {flag}");
        let report = report(&Place::here(), relay.at, &words);
        relay.stop().sound();
        check(only(&report), flag);
    }
    sink.end();
}

#[test]
fn both_directions_have_intervals_of_their_own() {
    let _together = together();
    let sink = Sink::here("");
    let relay = Relay::start(any("127.0.0.1"), sink.at, orders(Way::Back)).unwrap();
    let words = "-e plain -l 64 -n 5000 -r 5k -i 200ms --bidir";
    let report = report(&Place::here(), relay.at, words);
    relay.stop().sound();
    check(of(&report, "reverse"), "reverse");
    let forward = of(&report, "forward");
    assert_eq!(column(forward, "lost").iter().sum::<u64>(), 0);
    assert_eq!(column(forward, "received").iter().sum::<u64>(), 5_000);
    sink.end();
}
