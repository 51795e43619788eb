use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::document::{
    Cell, FlowSpread, Ledger, LostAt, ServerUsage, SourceCounts, StallSum, Warning,
};
use crate::report::cell_warnings;
use crate::report::checks::warning_codes::{self, Code};
use crate::report::checks::warnings::CellContext;
use crate::report::checks::warnings::tests::{calm, clean_cell};

/// The largest plausible count: what 1 Mpps sends in almost three hours.
const MANY: u64 = 9_999_999_999;

/// The largest plausible duration in ns that takes all digits.
const LONG_NS: u64 = 999_000_000;

/// Codes that a check of cells raises, and this test does not: their conditions exclude the others.
const NOT_HERE: &str = "cpu_throttled over_loopback engine_left_out fragmented large_lost \
                        interrupted budget_ended engine_at_rate engine_fell_back member_limit \
                        member_outage";

/// The same with this count in place of all counts and of all that is unknown.
fn filled<T: Serialize + DeserializeOwned>(of: &T, count: u64) -> T {
    fn fill(value: &mut Value, count: u64) {
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|value| fill(value, count)),
            Value::Number(_) | Value::Null => *value = json!(count),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(of).unwrap();
    fill(&mut value, count);
    serde_json::from_value(value).unwrap()
}

/// A cell of datagrams in which all goes wrong.
fn datagrams() -> Cell {
    let mut cell = fixture::cell("plain", 64, "50%", 100e3);
    (cell.cut_short, cell.cut_short_because) = (true, Some("unreachable".to_owned()));
    cell.elapsed_ns = 1_000_000;
    cell.direction = Some("forward".to_owned());
    cell.workers = Some(vec![MANY, 1, 1]);
    let (received, all) = (clean_cell().ledger.received, Some(MANY - 1));
    cell.ledger = Ledger { received, ..filled(&cell.ledger, MANY - 1) };
    (cell.ledger.sent, cell.ledger.attempted) = (MANY, MANY);
    let (receive_buffer, backlog, reassembly, neighbour) = (all, all, all, all);
    cell.ledger.lost_at =
        LostAt { receive_buffer, backlog, reassembly, neighbour, ..LostAt::default() };
    let places = || Some(vec!["receive_buffer".to_owned(), "tx_device".to_owned()]);
    (cell.ledger.shared, cell.ledger.estimated) = (places(), places());
    let stalls = StallSum { count: 999_999, total_ns: LONG_NS, max_ns: LONG_NS };
    (cell.stalls.tx, cell.stalls.rx) = (stalls, Some(stalls));
    cell.stalls.stolen_ns = Some(LONG_NS);
    let schedule = cell.schedule.as_mut().unwrap();
    (schedule.scheduled, schedule.missed) = (MANY, MANY - 1);
    schedule.lag.p99_ns = Some(LONG_NS);
    cell.latency.as_mut().unwrap().clamped = MANY;
    cell.in_socket = None;
    cell.packets = filled(&cell.packets, MANY);
    cell.packets.received = Some(MANY / 64);
    (cell.packets.segments_at_first, cell.packets.segments_at_last) = (Some(64), Some(16));
    cell.packets.uncut = Some(0);
    let kernel = &mut cell.kernel;
    (kernel.out_datagrams, kernel.in_datagrams) = (Some(MANY - 2), Some(1));
    kernel.socket_drops = Some(MANY);
    kernel.neighbour_unresolved = Some(true);
    for side in [Some(&mut cell.tx), cell.rx.as_mut()].into_iter().flatten() {
        side.socket_buffer.asked = 512 << 20;
        side.socket_buffer.granted = Some(425_984);
    }
    let received = FlowSpread { min: 0, p50: 0, max: 1 };
    cell.flows = Some(Flows { count: 65_535, received, starved: 65_534, ..Flows::default() });
    let longest = Some("fd00:1111:2222:3333:4444:5555:6666:7777".to_owned());
    let (lost, sources) = (Some(MANY - 1), 65_535);
    let worst = SourceCounts { address: longest, sources, sent: MANY, lost, ..Default::default() };
    cell.sources = vec![SourceCounts { stands_out: true, ..worst }];
    cell
}

/// A cell of requests in which all goes wrong, in a closed loop if some may be outstanding.
fn requests(outstanding: Option<u64>) -> Cell {
    let exchange = Exchange {
        outstanding,
        in_order: true,
        timeout_ns: LONG_NS,
        no_room_ns: LONG_NS,
        matched: MANY - 1,
        timeouts: MANY - 1,
        own_drops: Some(MANY - 1),
        room: 4_194_304,
        errors: [("NXDOMAIN".to_owned(), MANY)].into(),
        ..filled(&Exchange::default(), MANY)
    };
    // With these, other warnings would be absent.
    let (given_up, unreachable, continued, acknowledged) = (0, 0, 0, 0);
    let (stale, in_flight_max, idle_ns) = (0, 0, 0);
    let exchange = Exchange { given_up, unreachable, continued, acknowledged, ..exchange };
    let exchange = Exchange { stale, in_flight_max, idle_ns, ..exchange };
    Cell { exchange: Some(exchange), ..datagrams() }
}

#[test]
fn the_longest_messages_keep_their_advice_in_a_line() {
    let ctx = CellContext {
        warmup_sent: MANY,
        warmup_lost: MANY - 1,
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
    let mut by_xdp = datagrams();
    by_xdp.ledger.lost_at.xdp_ring = Some(MANY - 1);
    let mut busy = requests(None);
    busy.schedule = None;
    let exchange = busy.exchange.as_mut().unwrap();
    (exchange.timeouts, exchange.in_order) = (0, false);
    let served = |cpu_ns| Cell {
        server: Some(ServerUsage { cpu_ns, ..ServerUsage::default() }),
        ..requests(None)
    };
    let (ended, unreadable) = (served(None), served(Some(1)));
    let mut cells = vec![datagrams(), apart, uncut, requests(None), requests(Some(999)), busy];
    cells.extend([ended, unreadable, by_xdp]);
    let mut found: Vec<Warning> = cells.iter().flat_map(|cell| cell_warnings(cell, &ctx)).collect();
    found.sort_by(|a, b| (&a.code, &a.message).cmp(&(&b.code, &b.message)));
    found.dedup();
    let is_found = |code: &&Code| found.iter().any(|one| one.code == code.name);
    let missing = warning_codes::of_cells().filter(|code| !is_found(code)).map(|code| code.name);
    let missing: Vec<_> = missing.filter(|name| !NOT_HERE.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
    let mut report = halves();
    for warning in &found {
        assert_eq!(warning_codes::ungrouped(&warning.message), None, "{}", warning.message);
        report.cells[0].warnings = vec![warning.clone()];
        let shown = part(&plain(&report, 200), "Warnings");
        let line = shown.lines().nth(1).unwrap();
        assert!(line.chars().count() <= 100, "{line}");
        let (_, advice) = warning.message.rsplit_once("; ").unwrap_or_default();
        let has_advice = !advice.is_empty() && line.contains(advice);
        assert!(has_advice, "{line}\n{}", warning.message);
        assert!(warning.code != "stalls" || line.contains(&warning.message), "{line}");
    }
}
