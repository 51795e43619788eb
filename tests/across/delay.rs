//! Long paths: datagrams due in the window count for the rate, whenever they arrive.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::common::{number, together};
use crate::nets::Place;
use crate::relay::{Orders, Relay, Way};
use crate::rig::{Sink, any, of, only, report};

/// All that was sent arrived, at the rate it was sent at; `late` at least behind the window.
#[track_caller]
fn is_whole(cell: &Value, seconds: u64, late: u64) {
    let n = |path: &str| number(cell, path);
    let id = format!("{}: {} {}", cell["id"], cell["ledger"], cell["rx"]);
    assert_eq!(n("ledger.sent") + n("schedule.missed"), 200 * seconds, "{id}");
    assert_eq!(n("ledger.received"), n("ledger.sent"), "{id}");
    assert_eq!(n("elapsed_ns"), seconds * 1_000_000_000, "{id}");
    assert_eq!(n("rx.datagrams_in_window"), n("ledger.sent"), "{id}");
    assert_eq!(cell["rx"]["pps"].as_f64(), Some(n("ledger.sent") as f64 / seconds as f64), "{id}");
    assert_eq!(cell["rx"]["pps"], cell["tx"]["pps"], "{id}");
    // Those that were sent so late that the path kept them until after the window.
    let behind = n("rx.datagrams_after_window");
    assert!(behind + n("schedule.missed") >= late && behind <= n("ledger.received"), "{id}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_long_path_takes_nothing_from_the_rate() {
    let _together = together();
    let sink = Sink::here("");
    // The delay of the way there and back in ms, the time of the run in s, and how many are due in
    // the last of it.
    let runs = [
        ("", [250, 0], 3, [49, 0]),
        ("--reverse", [0, 250], 3, [0, 49]),
        ("--bidir", [120, 250], 3, [23, 49]),
        // Longer than the run: nothing arrives within it.
        ("", [1_500, 0], 1, [200, 0]),
    ];
    thread::scope(|scope| {
        for (flag, [there, back], seconds, late) in runs {
            let at = sink.at;
            scope.spawn(move || {
                let orders = Orders::default()
                    .lag(Way::Forward, Duration::from_millis(there))
                    .lag(Way::Back, Duration::from_millis(back));
                let relay = Relay::start(any("127.0.0.1"), at, orders).unwrap();
                let words = format!("-e plain -t {seconds} -r 200 {flag}");
                let report = report(&Place::here(), relay.at, &words);
                relay.stop().sound();
                match flag {
                    "--bidir" => {
                        is_whole(of(&report, "forward"), seconds, late[0]);
                        is_whole(of(&report, "reverse"), seconds, late[1]);
                    }
                    "--reverse" => is_whole(only(&report), seconds, late[1]),
                    _ => is_whole(only(&report), seconds, late[0]),
                }
            });
        }
    });
    sink.end();
}
