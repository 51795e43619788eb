//! What makes a document invalid, and what does not.

use super::*;
use crate::report::fixture;

fn codes(cell: &Cell) -> Vec<String> {
    let mut report = fixture::report_of(vec![cell.clone()]);
    judge_validity(&mut report);
    assert_eq!(report.valid, report.invalid_because.is_empty());
    assert!(report.invalid_because.iter().all(|one| one.cell.as_ref() == Some(&cell.id)));
    report.invalid_because.into_iter().map(|reason| reason.code).collect()
}

/// A cell of 100 kpps for half a second.
fn cell() -> Cell {
    fixture::cell("plain", 64, "100k", 100e3)
}

fn silent() -> Cell {
    let mut cell = cell();
    fixture::lose(&mut cell, 50_000);
    cell
}

/// Requests of which so many were answered and so many came late.
fn requests(matched: u64, late: u64) -> Cell {
    let mut cell = silent();
    cell.exchange = Some(Exchange {
        requests: 50_000,
        matched,
        late,
        timeouts: 50_000 - matched,
        ..Exchange::default()
    });
    cell
}

#[test]
fn a_cell_of_which_nothing_arrived_is_invalid() {
    assert_eq!(codes(&cell()), [""; 0]);
    assert_eq!(codes(&silent()), ["nothing_arrived"]);
    let mut one = silent();
    one.ledger.received = Some(1);
    assert_eq!(codes(&one), [""; 0]);
    assert_eq!(codes(&requests(0, 0)), ["nothing_answered"]);
    assert_eq!(codes(&requests(1, 0)), [""; 0]);
    assert_eq!(codes(&requests(0, 1)), [""; 0], "a late reply is a result");
    for (matched, expected) in [(0, &["target_unreachable"][..]), (1, &[])] {
        let mut cell = requests(matched, 0);
        cell.exchange.as_mut().unwrap().unreachable = 3;
        assert_eq!(codes(&cell), expected);
    }
}

#[test]
fn without_a_receiver_only_errors_count() {
    let mut cell = cell();
    fixture::one_ended(&mut cell);
    assert_eq!(codes(&cell), [""; 0]);
    // A connected socket reports an error instead of every other send.
    cell.ledger.refused.unreachable = 50_000;
    cell.ledger.attempted = 100_000;
    assert_eq!(codes(&cell), ["target_unreachable"]);
    cell.ledger.refused.unreachable = 10_000;
    cell.ledger.attempted = 60_000;
    assert_eq!(codes(&cell), [""; 0]);
    cell.cut_short = true;
    for (why, expected) in [
        (Some("peer_lost"), &[][..]),
        (Some("interrupted"), &[]),
        (Some("stuck"), &[]),
        (None, &[]),
        (Some("unreachable"), &["target_unreachable"]),
    ] {
        cell.cut_short_because = why.map(str::to_owned);
        assert_eq!(codes(&cell), expected, "{why:?}");
    }
}

/// An outage between these moments in ms, with few errors.
fn outage(from_ms: u64, until_ms: u64, what: &str, said_by: Option<&str>) -> Outage {
    Outage {
        from_ns: from_ms * 1_000_000,
        until_ns: until_ms * 1_000_000,
        what: what.to_owned(),
        said_by: said_by.map(str::to_owned),
        message: what.to_owned(),
        errors: 6,
    }
}

#[test]
fn few_errors_over_the_whole_window_are_an_unreachable_target() {
    let router = Some("10.0.0.1");
    let closed = |from, until| outage(from, until, "ICMP 3/3", router);
    let refused = |from, until| outage(from, until, "ENETUNREACH", Some("local"));
    for (elapsed_ms, outages, is_unreachable) in [
        (500, vec![closed(0, 5)], true),
        (1_900, vec![closed(0, 1_000)], true),
        (1_900, vec![outage(900, 1_000, "ECONNREFUSED", None)], true),
        // In any order, and of several causes.
        (6_000, vec![closed(3_000, 4_600), outage(0, 2, "ICMP 3/0", router)], true),
        (9_000, vec![closed(0, 2_000), closed(5_500, 9_000)], false),
        (9_000, vec![closed(0, 7_000)], false),
        (9_000, vec![closed(2_000, 9_000)], false),
        // A neighbour is asked for 3 s before each error.
        (7_000, vec![outage(3_000, 3_000, "EHOSTUNREACH", Some("local"))], true),
        (7_000, vec![outage(3_000, 3_000, "ICMP 3/1", router)], true),
        // What this host refuses by itself is counted one by one, and the rest was sent.
        (500, vec![refused(1, 400)], false),
        (500, vec![closed(u64::MAX / 1_000_000, u64::MAX / 1_000_000)], false),
        (500, vec![], false),
    ] {
        let mut cell = cell();
        fixture::one_ended(&mut cell);
        let context = format!("{elapsed_ms} {outages:?}");
        (cell.elapsed_ns, cell.outages) = (elapsed_ms * 1_000_000, outages);
        cell.ledger.refused.unreachable = 6;
        cell.ledger.attempted += 6;
        let expected: &[&str] = if is_unreachable { &["target_unreachable"] } else { &[] };
        assert_eq!(codes(&cell), expected, "{context}");
    }
}

#[test]
fn a_cell_that_sent_nothing_is_invalid() {
    let mut cell = silent();
    (cell.ledger.sent, cell.ledger.lost) = (0, Some(0));
    cell.ledger.refused.too_big = 50_000;
    assert_eq!(codes(&cell), ["nothing_sent"]);
    let mut report = fixture::report_of(vec![cell.clone()]);
    judge_validity(&mut report);
    assert_eq!([false, true].map(|gated| ends_invalid(&report, gated)), [true, true]);
    // The largest of several causes is not all.
    let refused = &mut cell.ledger.refused;
    (refused.too_big, refused.unreachable) = (20_000, 30_000);
    assert_eq!(codes(&cell), ["nothing_sent"]);
    (cell.ledger.refused.too_big, cell.ledger.refused.unreachable) = (0, 50_000);
    assert_eq!(codes(&cell), ["target_unreachable"]);
    fixture::one_ended(&mut cell);
    assert_eq!(codes(&cell), ["target_unreachable"]);
    (cell.ledger.attempted, cell.cut_short) = (0, true);
    assert_eq!(codes(&cell), [""; 0], "it was stopped before it began");
}

#[test]
fn a_cell_that_was_cut_short_before_anything_could_arrive_is_not_judged() {
    let mut cell = silent();
    cell.cut_short = true;
    assert_eq!(codes(&cell), [""; 0]);
    cell.elapsed_ns = ARRIVES_WITHIN_NS;
    assert_eq!(codes(&cell), ["nothing_arrived"]);
    let mut cell = requests(0, 0);
    cell.cut_short = true;
    assert_eq!(codes(&cell), ["nothing_answered"], "each waited for its time");
    let exchange = cell.exchange.as_mut().unwrap();
    exchange.given_up = exchange.timeouts;
    assert_eq!(codes(&cell), [""; 0]);
}

#[test]
fn a_schedule_may_be_missed_up_to_a_share() {
    let mut cell = cell();
    let schedule = cell.schedule.as_mut().unwrap();
    (schedule.scheduled, schedule.missed) = (10_000, 100);
    assert_eq!(codes(&cell), [""; 0], "just as much as is allowed");
    cell.schedule.as_mut().unwrap().missed = 101;
    assert_eq!(codes(&cell), ["schedule_missed"]);
    let mut report = fixture::report_of(vec![cell]);
    judge_validity(&mut report);
    assert_eq!([false, true].map(|gated| ends_invalid(&report, gated)), [false, true]);
    assert_eq!(
        report.invalid_because[0].message,
        "101 of 10000 datagrams (1.01%) were missed, more than --max-missed 1%; lower the \
         --rate, or use a host with idle cores"
    );
    judge_with_max_missed(&mut report, 1.0);
    assert!(report.valid && !ends_invalid(&report, true));
    judge_with_max_missed(&mut report, 0.0);
    assert!(!report.valid && ends_invalid(&report, true));
}

#[test]
fn a_missed_schedule_says_what_to_change() {
    let mut cell = requests(1, 0);
    let schedule = cell.schedule.as_mut().unwrap();
    (schedule.scheduled, schedule.missed) = (10_000, 5_000);
    let remedy = |cell: &Cell| {
        let (code, message) = missed(cell, 0.01).unwrap();
        assert_eq!(code, "schedule_missed");
        message.split_once("; ").unwrap().1.to_owned()
    };
    assert_eq!(remedy(&cell), "lower the --rate, or use a host with idle cores");
    cell.exchange.as_mut().unwrap().outstanding = Some(4);
    assert!(remedy(&cell).starts_with("4 requests outstanding are too few"), "{}", remedy(&cell));
    cell.exchange.as_mut().unwrap().no_room = 4_000;
    assert!(remedy(&cell).starts_with("all ids were in use: use more --streams"));
}

#[test]
fn a_document_that_says_it_is_invalid_stays_so() {
    let mut report = fixture::report_of(vec![cell()]);
    report.valid = false;
    judge_validity(&mut report);
    assert!(!report.valid);
    report.valid = true;
    report.cells.clear();
    judge_validity(&mut report);
    assert!(ends_invalid(&report, false));
    assert_eq!(report.invalid_because[0].line(), report.invalid_because[0].message);
}

#[test]
fn documents_without_the_field_are_judged_when_they_are_read() {
    let report = fixture::report_of(vec![silent()]);
    let mut old = serde_json::to_value(&report).unwrap();
    for name in ["valid", "invalid_because", "max_missed", "gates"] {
        old.as_object_mut().unwrap().remove(name);
    }
    let read = crate::report::read::read(&old.to_string()).unwrap();
    assert!(!read.valid && ends_invalid(&read, false));
    assert_eq!(read.invalid_because[0].code, "nothing_arrived");
}
