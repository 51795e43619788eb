//! The longest messages of the checks of cells, shown in a line.

use super::*;
use crate::document::{Cell, Exchange, FlowSpread, Flows, Refused, StallSum, Warning};
use crate::report::cell_warnings;
use crate::report::checks::warning_codes::{self, Code};
use crate::report::checks::warnings::CellContext;
use crate::report::checks::warnings::tests::{calm, clean_cell};

/// The largest plausible count: what 1 Mpps sends in almost three hours.
const MANY: u64 = 9_999_999_999;

/// The largest plausible duration in ns that takes all digits.
const LONG_NS: u64 = 999_000_000;

/// Codes that a check of cells raises, and this test does not: their conditions exclude the others.
const NOT_HERE: [&str; 8] = [
    "cpu_throttled",
    "over_loopback",
    "engine_left_out",
    "fragmented",
    "large_lost",
    "interrupted",
    "engine_at_rate",
    "engine_fell_back",
];

/// A cell of datagrams in which all goes wrong.
fn datagrams() -> Cell {
    let mut cell = fixture::cell("plain", 64, "50%", 100e3);
    cell.cut_short = true;
    cell.elapsed_ns = 1_000_000;
    cell.direction = Some("forward".to_owned());
    cell.workers = Some(vec![MANY, 1, 1]);
    cell.ledger = clean_cell().ledger;
    cell.ends = Some("together".to_owned());
    let ledger = &mut cell.ledger;
    (ledger.sent, ledger.attempted) = (MANY, MANY);
    for count in [
        &mut ledger.lost,
        &mut ledger.unaccounted,
        &mut ledger.arrived,
        &mut ledger.duplicate,
        &mut ledger.late,
        &mut ledger.foreign,
        &mut ledger.corrupt,
        &mut ledger.lost_at.receive_buffer,
        &mut ledger.lost_at.backlog,
        &mut ledger.lost_at.reassembly,
        &mut ledger.lost_at.neighbour,
    ] {
        *count = Some(MANY - 1);
    }
    ledger.refused = Refused {
        would_block: MANY - 1,
        no_buffers: MANY - 1,
        unreachable: MANY - 1,
        too_big: MANY - 1,
        other: MANY - 1,
    };
    let places = || Some(vec!["receive_buffer".to_owned(), "tx_device".to_owned()]);
    (ledger.shared, ledger.estimated) = (places(), places());
    let stalls = StallSum { count: 999_999, total_ns: LONG_NS, max_ns: LONG_NS };
    (cell.stalls.tx, cell.stalls.rx) = (stalls.clone(), Some(stalls));
    cell.stalls.stolen_ns = Some(LONG_NS);
    let schedule = cell.schedule.as_mut().unwrap();
    (schedule.scheduled, schedule.missed) = (MANY, MANY - 1);
    schedule.lag.p99_ns = Some(LONG_NS);
    cell.latency.as_mut().unwrap().clamped = MANY;
    cell.in_socket = None;
    let packets = &mut cell.packets;
    (packets.sent, packets.received) = (MANY, Some(MANY / 64));
    packets.no_buffers = Some(MANY);
    packets.truncated = Some(MANY);
    packets.segments_at_first = Some(64);
    packets.segments_at_last = Some(16);
    let kernel = &mut cell.kernel;
    (kernel.out_datagrams, kernel.in_datagrams) = (Some(MANY - 2), Some(1));
    kernel.socket_drops = Some(MANY);
    kernel.neighbour_unresolved = Some(true);
    for side in [Some(&mut cell.tx), cell.rx.as_mut()].into_iter().flatten() {
        side.socket_buffer.asked = 512 << 20;
        side.socket_buffer.granted = Some(425_984);
    }
    cell.flows = Some(Flows {
        count: 65_535,
        received: FlowSpread { min: 0, p50: 0, max: 1 },
        starved: 65_534,
        ..Flows::default()
    });
    cell
}

/// A cell of requests in which all goes wrong; `closed`: a loop of so many at most.
fn requests(closed: Option<u64>) -> Cell {
    let mut cell = datagrams();
    cell.exchange = Some(Exchange {
        outstanding: closed,
        in_order: true,
        timeout_ns: LONG_NS,
        requests: MANY,
        replies: MANY,
        matched: MANY - 1,
        unmatched: MANY,
        duplicate: MANY,
        late: MANY,
        timeouts: MANY - 1,
        incomplete: MANY,
        no_room: MANY,
        no_room_ns: LONG_NS,
        room: 4_194_304,
        repeated_labels: Some(MANY),
        reused_message_ids: Some(MANY),
        errors: [("NXDOMAIN".to_owned(), MANY)].into(),
        own_drops: Some(MANY - 1),
        elsewhere: Some(MANY),
        ..Exchange::default()
    });
    cell
}

#[test]
fn the_longest_messages_keep_their_advice_in_a_line() {
    let ctx = CellContext {
        warmup_sent: MANY,
        warmup_lost: MANY - 1,
        cut_short: Some("target unreachable for 2 s"),
        stamps: true,
        pinned: false,
        shared_core: true,
        by_hash: true,
        ..calm()
    };
    let apart = Cell { ends: Some("apart".to_owned()), ..datagrams() };
    let mut uncut = clean_cell();
    (uncut.packets.sent, uncut.packets.received) = (1_563, Some(1_563));
    uncut.packets.uncut = Some(100_000);
    let mut busy = requests(None);
    busy.schedule = None;
    let exchange = busy.exchange.as_mut().unwrap();
    (exchange.timeouts, exchange.in_order) = (0, false);
    let cells = [datagrams(), apart, uncut, requests(None), requests(Some(999)), busy];
    let mut found: Vec<Warning> = cells.iter().flat_map(|cell| cell_warnings(cell, &ctx)).collect();
    found.sort_by(|a, b| (&a.code, &a.message).cmp(&(&b.code, &b.message)));
    found.dedup();
    let is_found = |code: &&Code| found.iter().any(|one| one.code == code.name);
    let missing: Vec<_> = warning_codes::of_cells()
        .filter(|code| !NOT_HERE.contains(&code.name) && !is_found(code))
        .map(|code| code.name)
        .collect();
    assert_eq!(missing, [""; 0]);
    for warning in &found {
        let mut report = fixture::default_run();
        report.warnings.clear();
        report.cells.iter_mut().for_each(|cell| cell.warnings.clear());
        report.cells[0].warnings.push(warning.clone());
        let text = plain(&report, 200);
        let shown = part(&text, "Warnings");
        let line = shown.lines().nth(1).unwrap();
        assert!(line.chars().count() <= 100, "{line}");
        match warning.message.rsplit_once("; ") {
            Some((_, advice)) => assert!(line.contains(advice), "{line}\n{}", warning.message),
            None => assert!(line.contains(&warning.message), "{line}\n{}", warning.message),
        }
        assert!(warning.code != "stalls" || line.contains(&warning.message), "{line}");
    }
}
