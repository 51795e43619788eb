//! Each kind of misbehaviour, counted exactly.

use serde_json::Value;

use crate::actions::{Action, Counts, follows, list};
use crate::common::{alone, codes, number, together};
use crate::protocols::{Protocol, SIP, TRUNCATED};
use crate::rig::{counts, engines, load, only};
use crate::shim::{Orders, Shim};

use Action::{
    Cut, Error, Garbage, GarbageFirst, Late, OtherCase, OtherId, OtherPort, OtherQuestion,
    PartThenWhole, Parts, PartsBackwards, PartsButFirst, PartsButLast, Silent, Times,
};

/// How long replies are waited for, in ms. Arbitrary: many times what this machine's cores are
/// taken away for.
const TIMEOUT_MS: usize = 200;

/// Requests a second in open loops. Arbitrary: what is in flight fits any socket's buffer.
const RATE: usize = 1_000;

/// A late reply comes behind what is sent in so much time: twice the timeout.
const LATE: usize = RATE * TIMEOUT_MS * 2 / 1_000;

/// Requests before those that are all answered. Arbitrary: some of each action.
const MISTREATED: usize = 150;

/// Requests behind the last that is mistreated, so that late ones are followed by enough.
const TAIL: usize = LATE + 20;

/// What suits each kind of server, and the words that ask it.
fn kinds() -> [(Protocol, &'static str, &'static [Action]); 5] {
    let dns = &[
        Silent,
        Times(2),
        Late,
        Garbage,
        Cut,
        OtherId,
        OtherQuestion,
        OtherPort,
        OtherCase,
        Error(3),
        Times(5),
        Error(2),
        Error(TRUNCATED),
        GarbageFirst,
        Error(5),
    ];
    let echo = &[Silent, Times(3), Late, Garbage, Cut, OtherId, OtherQuestion, OtherPort];
    let text = &[Silent, Times(2), Late, Garbage, Cut, OtherId, OtherPort, GarbageFirst];
    let memcached = &[
        Silent,
        Times(2),
        Parts(1),
        Late,
        Error(0),
        Parts(4),
        OtherQuestion,
        OtherId,
        Cut,
        PartsButLast(1),
        PartsBackwards(3),
        PartsButFirst(2),
        PartsButLast(70),
        Parts(70),
        PartThenWhole,
    ];
    let sip = &[
        Silent,
        Error(4),
        Times(2),
        Late,
        Error(1),
        Garbage,
        Cut,
        OtherId,
        OtherPort,
        Error(4),
        GarbageFirst,
    ];
    [
        (Protocol::Dns, "--preset dns --name www.example.test", dns),
        (Protocol::Echo, "--preset echo", echo),
        (Protocol::Text, "--text x{id}text", text),
        (Protocol::Memcached, "--preset memcached-udp", memcached),
        (Protocol::Sip, SIP, sip),
    ]
}

/// What the program counts against a shim that does this, by these words.
#[track_caller]
fn against(orders: &Orders, words: &str) -> (Value, Counts) {
    let shim = Shim::start(orders.clone());
    // Intervals add up to the same counts.
    let report = load(shim.at, &format!("{words} -i 100ms -n {}", orders.list.len()));
    let account = shim.end();
    assert_eq!((account.came, account.never_left), (orders.list.len(), 0), "{words}");
    let cell = only(&report).clone();
    let elsewhere = orders.list.iter().filter(|action| **action == OtherPort).count() as u64;
    assert!(number(&cell, "exchange.elsewhere") >= elsewhere, "{words}");
    assert_eq!(number(&cell, "exchange.given_up"), 0, "{words}");
    let counted = counts(&cell);
    (cell, counted)
}

/// An open loop over `ports` ports: the counts must follow from the list.
#[track_caller]
fn open_loop(kind: usize, words: &str, ports: usize) {
    let (protocol, asks, actions) = kinds()[kind];
    // One of several threads may have sent all of the first ones, and then has fewer left.
    let tail = if words.contains("--threads") { TAIL + MISTREATED } else { TAIL };
    let list = list(MISTREATED + tail, tail, 7, actions);
    let behind = LATE.div_ceil(ports);
    let orders = Orders { behind, ..Orders::new(protocol, &list) };
    let words = format!("{asks} --timeout {TIMEOUT_MS}ms -r {RATE} -P {ports} {words}");
    let (cell, counted) = against(&orders, &words);
    assert_eq!(counted, follows(&list, protocol), "{words}");
    assert_eq!(cell["exchange"]["loop"], "open", "{words}");
}

#[test]
fn dns_is_counted_by_every_engine() {
    let _together = together();
    engines().into_iter().for_each(|engine| open_loop(0, &format!("-e {engine}"), 1));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn echo_is_counted_by_every_engine() {
    let _together = together();
    engines().into_iter().for_each(|engine| open_loop(1, &format!("-e {engine}"), 1));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn text_is_counted_by_every_engine() {
    let _together = together();
    engines().into_iter().for_each(|engine| open_loop(2, &format!("-e {engine}"), 1));
}

#[test]
fn replies_in_parts_are_counted_by_every_engine() {
    let _together = together();
    engines().into_iter().for_each(|engine| open_loop(3, &format!("-e {engine}"), 1));
}

#[test]
fn ids_found_by_search_are_counted_by_every_engine() {
    let _together = together();
    for (engine, rule) in engines().into_iter().zip([
        "after:branch=z9hG4bK",
        "regex:(?m)^Via: .*;branch=z9hG4bK([0-9]+)",
        "after-hex:7a3968473462 4b",
    ]) {
        open_loop(4, &format!("--match '{rule}' -e {engine}"), 1);
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn several_ports_and_threads_count_together() {
    let _alone = alone();
    for engine in engines() {
        open_loop(0, &format!("-e {engine} --threads 2"), 4);
    }
    open_loop(0, "", 4);
    open_loop(1, "--threads 2", 2);
    open_loop(3, "", 4);
    open_loop(4, "--match 'regex:K([0-9]{10});rport' --threads 2", 4);
}

/// What may be done to requests of which several wait: nothing proves here that one is over.
fn at_once(actions: &[Action]) -> Vec<Action> {
    actions.iter().copied().filter(|action| *action != Late).collect()
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn closed_loops_count_the_same() {
    let _together = together();
    for (protocol, asks, actions) in kinds() {
        for (engine, words) in engines().into_iter().zip(["", "-P 3", "-P 4 --threads 2"]) {
            let list = list(400, 20, 23, &at_once(actions));
            let orders = Orders::new(protocol, &list);
            // A text that has no rule of its own.
            let rule = if protocol == Protocol::Sip { "--match after:branch=z9hG4bK" } else { "" };
            let words = format!(
                "{asks} {rule} --timeout {TIMEOUT_MS}ms --outstanding 8 -e {engine} {words}"
            );
            let (cell, counted) = against(&orders, &words);
            assert_eq!(counted, follows(&list, protocol), "{words}");
            assert_eq!(cell["exchange"]["loop"], "closed", "{words}");
            assert_eq!(number(&cell, "exchange.outstanding"), 8, "{words}");
            let in_flight = number(&cell, "exchange.in_flight_max");
            assert!((1..=8).contains(&in_flight), "{words}: {in_flight}");
        }
    }
}

#[test]
fn one_at_a_time_proves_each_late_reply() {
    let _together = together();
    for engine in engines() {
        // The next request leaves when the one before is over.
        let list = list(120, 20, 25, &[Late, Times(2), Silent]);
        let orders = Orders::new(Protocol::Dns, &list);
        let words = format!(
            "--preset dns --name www.example.test --timeout 100ms --outstanding 1 -e {engine}"
        );
        let (cell, counted) = against(&orders, &words);
        assert_eq!(counted, follows(&list, Protocol::Dns), "{words}");
        assert_eq!(number(&cell, "exchange.in_flight_max"), 1, "{words}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn whatever_comes_answers_the_oldest() {
    let _together = together();
    for engine in engines() {
        for words in ["--outstanding 1", "-r 2000", "-r 2000 -P 4 --threads 2"] {
            // Nothing is missing, so that each answer meets its own request; one too many answers
            // the next.
            let list = list(300, 20, 10, &[Garbage, Action::Answer]);
            let shim = Shim::start(Orders::new(Protocol::Text, &list));
            let words = format!("--text hello --match any -e {engine} -n 300 {words}");
            let report = load(shim.at, &words);
            assert_eq!(shim.end().came, 300, "{words}");
            let expected =
                Counts { requests: 300, replies: 300, matched: 300, ..Counts::default() };
            assert_eq!(counts(only(&report)), expected, "{words}");
        }
    }
}

#[test]
fn a_latency_that_may_be_that_of_others_is_withheld() {
    let _together = together();
    let mut list = vec![Action::Answer; 100];
    list[10] = Silent;
    let shim = Shim::start(Orders::new(Protocol::Text, &list));
    let report = load(shim.at, "--text hello --match any -n 100 -r 500 --timeout 200ms");
    assert_eq!(shim.end().came, 100);
    let cell = only(&report);
    assert_eq!(counts(cell).matched + counts(cell).timeouts, 100);
    assert!(counts(cell).timeouts > 0 && cell["latency"].is_null(), "{cell}");
    assert!(codes(&report).contains(&"order_lost".to_owned()), "{:?}", codes(&report));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn without_replies_there_is_one_end() {
    let _together = together();
    for engine in engines() {
        for asks in ["--preset statsd", "--preset syslog", "--text x{counter} --match none"] {
            let list = vec![Silent; 300];
            let shim = Shim::start(Orders::new(Protocol::Text, &list));
            let words = format!("{asks} -e {engine} -n 300 -r 5k");
            if engine.starts_with("gso") && asks.contains("syslog") {
                // Requests of several lengths, perhaps.
                continue;
            }
            let report = load(shim.at, &words);
            assert_eq!(shim.end().came, 300, "{words}");
            let cell = only(&report);
            assert_eq!(number(cell, "exchange.requests"), 300, "{words}");
            assert_eq!(number(cell, "exchange.timeouts"), 0, "{words}");
            assert!(cell["rx"].is_null() && cell["latency"].is_null(), "{words}: {cell}");
        }
    }
}
