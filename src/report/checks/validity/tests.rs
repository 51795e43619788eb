use super::*;
use crate::document::ExchangeStep;
use crate::report::fixture;

/// The cell after this change is invalid for this reason; empty: it is valid.
#[track_caller]
fn expect(mut cell: Cell, reason: &str, change: impl FnOnce(&mut Cell)) {
    change(&mut cell);
    let mut report = fixture::report_of(vec![cell]);
    judge_validity(&mut report);
    let reasons = &report.invalid_because;
    assert_eq!(report.valid, reasons.is_empty());
    assert!(reasons.iter().all(|one| one.cell.as_ref() == Some(&report.cells[0].id)));
    assert!(reasons.iter().all(|one| codes::ungrouped(&one.message).is_none()), "{reasons:?}");
    let codes: Vec<_> = reasons.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(codes.join(" "), reason, "{:?}", report.cells);
}

fn cell() -> Cell {
    fixture::cell("plain", 64, "100k", 100e3)
}

fn silent() -> Cell {
    let mut cell = cell();
    fixture::lose(&mut cell, 50_000);
    cell
}

/// A cell of which only the sender is known.
fn one_ended() -> Cell {
    let mut cell = cell();
    fixture::one_ended(&mut cell);
    cell
}

/// Requests of which so many were answered in time.
fn requests(matched: u64) -> Cell {
    let (requests, timeouts) = (50_000, 50_000 - matched);
    let exchange = Exchange { requests, matched, timeouts, ..Exchange::default() };
    Cell { exchange: Some(exchange), ..silent() }
}

fn exchange(cell: &mut Cell) -> &mut Exchange {
    cell.exchange.as_mut().unwrap()
}

fn refuse(cell: &mut Cell, unreachable: u64) {
    cell.ledger.refused.unreachable = unreachable;
    cell.ledger.attempted = cell.ledger.sent + unreachable;
}

#[test]
fn a_cell_of_which_nothing_arrived_is_invalid() {
    expect(cell(), "", |_| {});
    expect(silent(), "nothing_arrived", |_| {});
    expect(silent(), "", |cell| cell.ledger.received = Some(1));
    expect(requests(0), "nothing_answered", |_| {});
    expect(requests(1), "", |_| {});
    // A late reply is a result.
    expect(requests(0), "", |cell| exchange(cell).late = 1);
    expect(requests(0), "target_unreachable", |cell| exchange(cell).unreachable = 3);
    expect(requests(1), "", |cell| exchange(cell).unreachable = 3);
    // Cut short before anything could arrive, it is not judged.
    expect(silent(), "", |cell| cell.cut_short = true);
    expect(silent(), "nothing_arrived", |cell| {
        (cell.cut_short, cell.elapsed_ns) = (true, ARRIVES_WITHIN_NS);
    });
    expect(requests(0), "nothing_answered", |cell| cell.cut_short = true);
    expect(requests(0), "", |cell| {
        cell.cut_short = true;
        exchange(cell).given_up = 50_000;
    });
}

#[test]
fn without_a_receiver_only_errors_count() {
    expect(one_ended(), "", |_| {});
    // A connected socket reports an error instead of every other send.
    expect(one_ended(), "target_unreachable", |cell| refuse(cell, 50_000));
    expect(one_ended(), "", |cell| refuse(cell, 10_000));
    for why in [Some("peer_lost"), Some("interrupted"), Some("stuck"), None, Some("unreachable")] {
        let reason = match why {
            Some("unreachable") => "target_unreachable",
            Some("peer_lost") => "peer_lost",
            _ => "",
        };
        expect(one_ended(), reason, |cell| {
            refuse(cell, 10_000);
            (cell.cut_short, cell.cut_short_because) = (true, why.map(str::to_owned));
        });
    }
}

#[test]
fn the_sums_of_some_processes_are_not_those_of_all() {
    expect(one_ended(), "member_lost", |cell| {
        (cell.cut_short, cell.cut_short_because) = (true, Some(MEMBER_LOST.to_owned()));
    });
}

#[test]
fn a_process_that_reached_nothing_makes_the_run_invalid_and_is_named() {
    let few = |sent| {
        let exchange = Exchange { requests: sent, timeouts: sent, ..Exchange::default() };
        let mut cell = Cell { exchange: Some(exchange), ..silent() };
        (cell.ledger.sent, cell.ledger.attempted) = (sent, sent);
        cell
    };
    for (parts, expected) in [
        (vec![requests(9), requests(1)], &[][..]),
        (vec![requests(9), few(10)], &["rank 1 on host1: none of 10 requests was answered; "]),
        // By chance, or it had nothing to send.
        (vec![requests(9), few(9)], &[]),
        (vec![few(0), requests(9)], &[]),
        (
            vec![requests(0), requests(9), requests(0)],
            &["rank 0 on host0: none of 50,000 requests was answered; "],
        ),
    ] {
        let mut report = fixture::report_of(vec![requests(9)]);
        let more = parts.len() == 3;
        let member = |(rank, cell): (u64, Cell)| MemberDocument {
            rank,
            hostname: format!("host{rank}"),
            cells: vec![cell],
            ..MemberDocument::default()
        };
        report.members = (0..).zip(parts).map(member).collect();
        // Judging it again adds nothing.
        judge_validity(&mut report);
        judge_with_max_missed(&mut report, 0.5);
        let reasons = &report.invalid_because;
        assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
        for (reason, expected) in reasons.iter().zip(expected) {
            assert_eq!(reason.code, "nothing_answered");
            assert!(reason.message.starts_with(expected), "{reason:?}");
            assert_eq!(reason.message.ends_with(" (and 1 more ranks)"), more, "{reason:?}");
        }
        assert_eq!(report.valid, expected.is_empty());
    }
}

/// An outage between these moments in ms, with few errors.
fn outage(from_ms: u64, until_ms: u64, what: &str, said_by: Option<&str>) -> Outage {
    Outage {
        from_ns: from_ms * 1_000_000,
        until_ns: until_ms * 1_000_000,
        what: what.to_owned(),
        said_by: said_by.map(str::to_owned),
        errors: 6,
        ..Outage::default()
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
        expect(one_ended(), if is_unreachable { "target_unreachable" } else { "" }, |cell| {
            (cell.elapsed_ns, cell.outages) = (elapsed_ms * 1_000_000, outages);
            refuse(cell, 6);
        });
    }
}

#[test]
fn a_cell_that_sent_nothing_is_invalid() {
    let mut cell = silent();
    (cell.ledger.sent, cell.ledger.lost) = (0, Some(0));
    cell.ledger.refused.too_big = 50_000;
    let mut report = fixture::report_of(vec![cell.clone()]);
    judge_validity(&mut report);
    assert!(!report.valid && report.invalid_because.iter().all(tested_nothing));
    // The largest of several causes is not all.
    for (too_big, unreachable, reason) in [
        (50_000, 0, "nothing_sent"),
        (20_000, 30_000, "nothing_sent"),
        (0, 50_000, "target_unreachable"),
    ] {
        let refused = &mut cell.ledger.refused;
        (refused.too_big, refused.unreachable) = (too_big, unreachable);
        expect(cell.clone(), reason, |_| {});
    }
    expect(cell.clone(), "target_unreachable", fixture::one_ended);
    // It was stopped before it began.
    expect(cell, "", |cell| (cell.ledger.attempted, cell.cut_short) = (0, true));
}

#[test]
fn a_schedule_may_be_missed_up_to_a_share() {
    let miss = |cell: &mut Cell, missed| {
        let schedule = cell.schedule.as_mut().unwrap();
        (schedule.scheduled, schedule.missed) = (10_000, missed);
    };
    expect(cell(), "", |cell| miss(cell, 100));
    let mut late = cell();
    miss(&mut late, 101);
    let mut report = fixture::report_of(vec![late]);
    judge_validity(&mut report);
    assert!(!report.valid && !report.invalid_because.iter().any(tested_nothing));
    assert_eq!(report.invalid_because[0].code, "schedule_missed");
    assert_eq!(
        report.invalid_because[0].message,
        "101 of 10,000 datagrams (1.01%) were missed, more than --max-missed 1%; lower the \
         --rate, or use a host with idle cores"
    );
    judge_with_max_missed(&mut report, 1.0);
    assert!(report.valid);
    judge_with_max_missed(&mut report, 0.0);
    assert!(!report.valid);
    // The message says what to change.
    let mut cell = requests(1);
    miss(&mut cell, 5_000);
    for (outstanding, no_room, remedy) in [
        (None, 0, "; lower the --rate, or use a host with idle cores"),
        (Some(4), 0, "; 4 requests outstanding are too few"),
        (Some(4), 4_000, "; all ids were in use: use more --streams"),
    ] {
        (exchange(&mut cell).outstanding, exchange(&mut cell).no_room) = (outstanding, no_room);
        let (_, message) = missed(&cell, 0.01).unwrap();
        assert!(message.contains(remedy), "{message}");
    }
}

#[test]
fn invalid_documents_stay_invalid() {
    let mut report = fixture::report_of(vec![cell()]);
    report.valid = false;
    judge_validity(&mut report);
    assert!(!report.valid);
    report.valid = true;
    report.cells.clear();
    judge_validity(&mut report);
    assert!(!report.valid);
    assert_eq!(report.invalid_because[0].line(), report.invalid_because[0].message);
    assert_eq!(report.invalid_because[0].code, "nothing_measured");
    // A document without the fields is judged when it is read.
    let mut old = serde_json::to_value(fixture::report_of(vec![silent()])).unwrap();
    for name in ["valid", "invalid_because", "max_missed", "gates"] {
        old.as_object_mut().unwrap().remove(name);
    }
    let read = crate::report::read::read(&old.to_string()).unwrap();
    assert!(!read.valid);
    assert_eq!(read.invalid_because[0].code, "nothing_arrived");
}

#[test]
fn exchanges_without_a_second_reply_say_so() {
    let mut cell = requests(0);
    let first = ExchangeStep { answered: Some(50_000), ..ExchangeStep::default() };
    exchange(&mut cell).steps = vec![first, ExchangeStep::default()];
    let mut report = fixture::report_of(vec![cell]);
    judge_validity(&mut report);
    let message = &report.invalid_because[0].message;
    assert!(message.contains("50,000 first replies came, but no second ones"), "{message}");
}
