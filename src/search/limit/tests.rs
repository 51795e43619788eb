use super::*;
use crate::document::{Schedule, ServerUsage};
use crate::report::fixture;

/// A second of 100,000 requests to a server on this host, of which so many had no answer.
fn cell(timeouts: u64) -> Cell {
    let mut cell = fixture::cell("batch", 64, "100k", 100e3);
    let (requests, matched) = (100_000, 100_000 - timeouts);
    cell.exchange = Some(Exchange {
        requests,
        matched,
        replies: matched,
        timeouts,
        own_drops: Some(0),
        idle_ns: 500_000_000,
        ..Exchange::default()
    });
    (cell.elapsed_ns, cell.rate_pps) = (1_000_000_000, Some(100e3));
    cell.ends = Some("together".to_owned());
    (cell.ledger.attempted, cell.ledger.sent) = (requests, requests);
    cell.schedule = Some(Schedule { scheduled: requests, ..Schedule::default() });
    (cell.kernel.rcvbuf_errors, cell.kernel.in_datagrams) = (Some(0), Some(requests + matched));
    cell
}

fn exchange(cell: &mut Cell) -> &mut Exchange {
    cell.exchange.as_mut().unwrap()
}

/// The limit of this cell after a change: `server: 5 requests …`.
fn limit(mut cell: Cell, change: impl FnOnce(&mut Cell)) -> Option<String> {
    change(&mut cell);
    let limit = of_cell(&cell)?;
    Some(format!("{}: {}", limit.limited_by.map_or("unknown", CapacityLimit::word), limit.evidence))
}

#[test]
fn a_run_names_the_limit_by_the_counters_that_explain_what_is_missing() {
    let miss = |cell: &mut Cell, missed: u64| {
        cell.schedule = Some(Schedule { scheduled: 100_000, missed, ..Schedule::default() });
        let sent = 100_000 - missed;
        (cell.ledger.attempted, cell.ledger.sent) = (sent, sent);
        let timeouts = exchange(cell).timeouts;
        (exchange(cell).requests, exchange(cell).matched) = (sent, sent - timeouts);
    };
    let shown = [
        limit(cell(4_000), |cell| {
            (cell.kernel.rcvbuf_errors, cell.kernel.in_datagrams) = (Some(4_000), Some(192_000));
        }),
        limit(cell(4_000), |cell| {
            let busiest_thread_ns = Some(970_000_000);
            cell.server = Some(ServerUsage { busiest_thread_ns, ..ServerUsage::default() });
        }),
        limit(cell(4_000), |_| {}),
        limit(cell(4_000), |cell| exchange(cell).late = 3_000),
        limit(cell(4_000), |cell| exchange(cell).own_drops = Some(3_000)),
        limit(cell(4_000), |cell| cell.ledger.lost_at.qdisc = Some(4_000)),
        limit(cell(4_000), |cell| cell.ledger.sent -= 5_000),
        limit(cell(40), |cell| miss(cell, 5_000)),
    ];
    let expected = [
        "server: 4,000 requests dropped at its full receive buffer at 100k requests/s",
        "server: CPU of its busiest thread 97% at 100k requests/s",
        "server: it got 4,000 requests (4.00%) and did not answer them in time at 100k requests/s",
        "server: 3,000 requests answered after the timeout at 100k requests/s",
        "generator: 3,000 replies dropped at udperf's own socket at 100k requests/s",
        "path: 4,000 datagrams dropped on the path (qdisc) at 100k requests/s",
        "path: 5,000 requests refused by the system's send queues at 100k requests/s",
        "generator: udperf sent only 95.0k of 100k requests/s; use more --threads or idle cores",
    ];
    assert_eq!(shown.map(Option::unwrap_or_default), expected);
    // A run of a count may send all at the rate, after the missed ones.
    let counted = limit(cell(0), |cell| {
        let schedule = Schedule { scheduled: 100_200, missed: 200, ..Schedule::default() };
        cell.schedule = Some(schedule);
    });
    let text = "udperf missed 200 of 100,200 requests at 100k requests/s";
    assert!(counted.as_ref().is_some_and(|found| found.contains(text)), "{counted:?}");
    // Slots that waited for answers are not the generator's.
    let waited = limit(cell(40), |cell| {
        miss(cell, 5_000);
        exchange(cell).outstanding = Some(4);
    });
    let text = "5,000 requests missed while 4 requests awaited an answer";
    assert_eq!(waited.unwrap(), format!("unknown: {text}; server or path"));
    let busy = limit(cell(40), |cell| {
        miss(cell, 5_000);
        exchange(cell).no_room = 4_000;
        let busiest_thread_ns = Some(1_000_000_000);
        cell.server = Some(ServerUsage { busiest_thread_ns, ..ServerUsage::default() });
    });
    let text = "5,000 requests missed while all ids awaited an answer";
    assert_eq!(busy.unwrap(), format!("server: {text}; CPU of its busiest thread 100%"));
}

#[test]
fn a_limit_without_evidence_is_unknown_and_a_run_that_held_has_none() {
    let far = |cell: &mut Cell| cell.ends = Some("across".to_owned());
    let text = limit(cell(4_000), far).unwrap();
    assert_eq!(
        text,
        "unknown: 4,000 of 100,000 requests unanswered, and no counter of this host shows why; \
         server or path at 100k requests/s"
    );
    let text = limit(cell(4_000), |cell| exchange(cell).unmatched = 4_000).unwrap();
    assert!(text.starts_with("unknown: 4,000 datagrams match no request; see --match"), "{text}");
    let text = limit(cell(4_000), |cell| {
        far(cell);
        exchange(cell).late = 4_000;
    });
    assert!(text.unwrap().starts_with("unknown: 4,000 requests answered after the timeout;"));
    assert_eq!(limit(cell(0), |_| {}), None);
    // A few slots are missed by any stall.
    let few = |cell: &mut Cell| cell.schedule.as_mut().unwrap().missed = 100;
    assert_eq!(limit(cell(0), few), None);
    // The run is invalid, and says why.
    assert_eq!(limit(cell(100_000), |_| {}), None);
    assert_eq!(limit(cell(4_000), |cell| cell.calibration = true), None);
    // What an interrupt gave up was not lost.
    assert_eq!(limit(cell(40), |cell| exchange(cell).given_up = 40), None);
}
