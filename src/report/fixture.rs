//! A default run on two cores, for tests: with stalls, loss and warnings in known places.

use std::collections::BTreeSet;

use serde_json::json;

use crate::document::{
    Capacity, CapacityLimit, CapacityStep, Cell, ContextSwitches, Engine, Kernel, Latency, Ledger,
    OutsideStalls, Packets, PerDatagram, Report, SCHEMA, Schedule, SearchDocument, Side,
    SocketBuffer, Spread, StallSum, Stalls, UpperLimits, Warning, bounded,
};
use crate::measure::{CellResult, Timing};
use crate::report::build::latency;

/// Length of a cell: half a second, the default of bench.
const ELAPSED_NS: u64 = 500_000_000;

pub(crate) fn report_of(cells: Vec<Cell>) -> Report {
    let distinct = |of: fn(&Cell) -> String| cells.iter().map(of).collect::<BTreeSet<_>>();
    let engine = |cell: &Cell| cell.id.split('/').next().unwrap().to_owned();
    let trials = cells.iter().map(|cell| cell.trial + 1).max();
    let report = json!({
        "schema": SCHEMA, "kind": "bench", "command": ["udperf", "bench"],
        "started_at": "2026-07-18T12:00:00Z", "warnings": [], "cells": [],
        "tool": {"version": "0.1.0", "git": "593f189", "profile": "release", "features": []},
        "host": {
            "kernel": "Linux 6.18.44", "cpu_model": "AMD EPYC", "cores": 2,
            "virtualization": "KVM", "siblings": [], "capabilities": [],
        },
        "scenario": {
            "sizes": distinct(|cell| cell.size.to_string()),
            "engines": distinct(engine),
            "rates": distinct(|cell| cell.rate.clone()),
            "pace": "even", "limit": "500000000ns", "warmup_ns": 100_000_000,
            "trials": trials, "streams": 1, "threads": 1, "pin": "auto", "wait": "hybrid",
            "socket_buffer": 4 << 20, "bind": "127.0.0.1",
        },
    });
    Report { cells, ..serde_json::from_value(report).unwrap() }
}

/// Three engines, four sizes, `max` and 50 %: two stalls, one loss, one late generator, warnings.
pub(crate) fn default_run() -> Report {
    let speeds: [(u64, [f64; 3]); 4] = [
        (64, [271e3, 312e3, 27.1e6]),
        (512, [262e3, 301e3, 9.84e6]),
        (1472, [213e3, 258e3, 4.1e6]),
        (8972, [174e3, 181e3, 603e3]),
    ];
    let mut cells = Vec::new();
    for (size, by_engine) in speeds {
        for (engine, pps) in ["plain", "batch", "offload"].into_iter().zip(by_engine) {
            cells.push(cell(engine, size, "max", pps));
            cells.push(cell(engine, size, "50%", pps / 2.0));
        }
    }
    stall(&mut cells[1], 2_140_000);
    stall(&mut cells[7], 21_300_000);
    lose(&mut cells[4], 16_382);
    let late = cells[5].schedule.as_mut().unwrap();
    (late.missed, late.lag.p99_ns) = (1_203, Some(812_000));
    for cell in &mut cells[4..6] {
        let message = "GSO met GRO on loopback: no super-packet was ever split; compare gso/batch";
        cell.warnings.push(warning("segments_never_cut", message));
    }
    let mut report = report_of(cells);
    let message = "the hypervisor took 2.1 % of the CPU time; repeat with --trials 5";
    report.warnings.push(warning("steal", message));
    report
}

/// The result of a probe: a closed loop, a rate that held, and one that did not.
pub(crate) fn capacity() -> Capacity {
    let step = |rate_per_s: Option<f64>, answered: u64, held| CapacityStep {
        outstanding: rate_per_s.is_none().then_some(1),
        rate_per_s,
        requests: 30_000,
        answered,
        answered_per_s: Some(answered as f64 / 0.3),
        loss: Some(1.0 - answered as f64 / 30e3),
        p50_ns: Some(8_320),
        p99_ns: Some(74_900),
        held,
        ..CapacityStep::default()
    };
    Capacity {
        requests_per_s: Some(100e3),
        failed_per_s: Some(106e3),
        loss_limit: 0.01,
        limited_by: Some(CapacityLimit::Server),
        evidence: "3,000 requests dropped at its full receive buffer".to_owned(),
        time_ns: 3_000_000_000,
        cut_short_because: None,
        steps: vec![
            step(None, 30_000, true),
            step(Some(100e3), 30_000, true),
            step(Some(106e3), 27_000, false),
        ],
    }
}

pub(crate) fn cell(engine: &str, size: u64, rate: &str, pps: f64) -> Cell {
    let (tx, rx) = match engine {
        "offload" => ("gso", "gro"),
        word => word.split_once('+').unwrap_or((word, word)),
    };
    let per_packet = if tx == "gso" { 64 } else { 1 };
    let paced = rate != "max";
    let received = (pps * ELAPSED_NS as f64 / 1e9) as u64;
    let result = result(if paced { 8_320 } else { 412_000 }, received);
    let latency = latency(&result.rx.latency.from_schedule, "schedule", &result, 0, None).unwrap();
    let latency = Latency { count: received, ..latency };
    Cell {
        ends: Some("together".to_owned()),
        id: format!("{engine}/{size}/{rate}"),
        engine: Engine {
            tx: tx.to_owned(),
            rx: rx.to_owned(),
            tx_active: tx.to_owned(),
            rx_active: Some(rx.to_owned()),
        },
        size,
        streams: 1,
        threads: 1,
        rate: rate.to_owned(),
        rate_pps: paced.then_some(pps),
        pace: paced.then(|| "even".to_owned()),
        wait: "hybrid".to_owned(),
        elapsed_ns: ELAPSED_NS,
        tx: side(received, size, 499_000_000, 0),
        rx: Some(side(received, size, 465_000_000, 1)),
        per_datagram: PerDatagram {
            syscalls: Some(2.0),
            context_switches: Some(84.0 / received as f64),
            cpu_ns: Some(964e6 / received as f64),
            ..PerDatagram::default()
        },
        packets: Packets {
            sent: received / per_packet,
            received: Some(if rx == "gro" { received / per_packet } else { received }),
            uncut: Some(if per_packet > 1 && rx == "gro" { received } else { 0 }),
            segments_at_first: (per_packet > 1).then_some(per_packet),
            segments_at_last: (per_packet > 1).then_some(per_packet),
            ..Packets::default()
        },
        ledger: result.ledger(),
        workers: Some(vec![received]),
        from_send: Some(Latency { from: "send".to_owned(), ..latency.clone() }),
        latency: Some(latency),
        schedule: paced.then(|| Schedule {
            scheduled: received,
            lag: spread(210),
            gap: spread(7_400),
            gap_outside_stalls: spread(7_400),
            ..Schedule::default()
        }),
        arrival_gap: paced.then(|| spread(7_900)),
        jitter_ns: Some(1_130),
        stalls: Stalls { rx: Some(StallSum::default()), stolen_ns: Some(0), ..Stalls::default() },
        kernel: Kernel { socket_drops: Some(0), ..Kernel::default() },
        ..Cell::default()
    }
}

pub(crate) fn lose(cell: &mut Cell, lost: u64) {
    cell.ledger.lost = Some(lost);
    cell.ledger.lost_at.receive_buffer = Some(lost);
    for count in [&mut cell.ledger.received, &mut cell.ledger.arrived] {
        *count = Some(count.unwrap() - lost);
    }
    if let Some(latency) = cell.latency.as_mut().filter(|_| lost * 100 > cell.ledger.sent) {
        latency.p99_with_loss_ns = None;
    }
}

pub(crate) fn across(cell: &mut Cell, direction: &str) {
    if direction == "reverse" {
        cell.id.push_str("/reverse");
        cell.tx.cores.clear();
    } else {
        cell.rx.as_mut().unwrap().cores.clear();
    }
    cell.direction = Some(direction.to_owned());
    cell.ends = Some("across".to_owned());
}

/// Leaves of a cell only what its sender knows.
pub(crate) fn one_ended(cell: &mut Cell) {
    across(cell, "forward");
    let Ledger { attempted, sent, refused, .. } = cell.ledger.clone();
    cell.ledger = Ledger { attempted, sent, refused, ..Ledger::default() };
    let Packets { sent, segments_at_first, segments_at_last, .. } = cell.packets;
    cell.packets = Packets { sent, segments_at_first, segments_at_last, ..Packets::default() };
    (cell.rx, cell.stalls.rx, cell.engine.rx_active) = (None, None, None);
    (cell.latency, cell.from_send, cell.jitter_ns) = (None, None, None);
    (cell.workers, cell.ends, cell.kernel.socket_drops) = (None, None, None);
}

/// Puts a stall of the sender into a cell, which then is the maximum of its latency.
pub(crate) fn stall(cell: &mut Cell, ns: u64) {
    cell.stalls.tx = StallSum { count: 1, total_ns: ns, max_ns: ns };
    cell.stalls.stolen_ns = Some(ns);
    let latency = cell.latency.as_mut().unwrap();
    latency.outside_stalls = Some(OutsideStalls {
        count: latency.count - 1,
        overlapped: 1,
        p50_ns: latency.p50_ns,
        p99_ns: latency.p99_ns,
        p99_9_ns: latency.p99_9_ns,
        max_ns: latency.max_ns,
        upper_limits: None,
    });
    latency.max_ns = latency.max_ns.max(Some(ns));
}

/// Lets a cell's latency be known only within so much.
pub(crate) fn two_clocks(cell: &mut Cell, bound_ns: u64) {
    for latency in [&mut cell.latency, &mut cell.from_send].into_iter().flatten() {
        latency.bound_ns = bound_ns;
        let mut value = json!(latency);
        let mut limits = json!(UpperLimits::default());
        for (name, limit) in limits.as_object_mut().unwrap() {
            let (known, at_most) = bounded(value[name].as_u64(), bound_ns);
            (value[name], *limit) = (json!(known), json!(at_most));
        }
        value["upper_limits"] = limits;
        *latency = serde_json::from_value(value).unwrap();
    }
}

pub(crate) fn warning(code: &str, message: &str) -> Warning {
    Warning { code: code.to_owned(), message: message.to_owned() }
}

fn side(datagrams: u64, size: u64, cpu_ns: u64, core: u64) -> Side {
    let pps = datagrams as f64 * 1e9 / ELAPSED_NS as f64;
    Side {
        datagrams,
        datagrams_in_window: datagrams,
        bytes: datagrams * size,
        pps: Some(pps),
        bits_per_second: Some(pps * size as f64 * 8.0),
        syscalls: datagrams,
        cpu_ns: Some(cpu_ns),
        context_switches: Some(ContextSwitches { voluntary: 40, involuntary: 2 }),
        cores: vec![core],
        socket_buffer: SocketBuffer { asked: 4 << 20, granted: Some(8 << 20) },
        ..Side::default()
    }
}

/// What was measured without loss; a thousand latencies around a median stand for all.
fn result(median_ns: u64, received: u64) -> CellResult {
    let mut result = CellResult::default();
    result.tx.timing = Some(Timing::default());
    for step in 0..1_000_u64 {
        result.rx.latency.from_schedule.record(match step {
            0..950 => median_ns / 2 + median_ns * step / 950,
            950..989 => median_ns * 2,
            989..998 => median_ns * 9,
            _ => median_ns * 31,
        });
    }
    (result.tx.tally.sent, result.rx.kernel.sockets) = (received, Some(0));
    let tally = &mut result.rx.tally;
    (tally.received, tally.arrived, tally.batch_max) = (received, received, 1);
    result
}

fn spread(p50_ns: u64) -> Spread {
    Spread { p50_ns: Some(p50_ns), p99_ns: Some(p50_ns * 3), max_ns: Some(p50_ns * 50) }
}

/// A search with a result, a curve, and trials that passed, failed, and were disturbed.
pub(crate) fn search() -> SearchDocument {
    let cells = [("243100", "stalls", "passed"), ("245000", "no_reply", "failed")];
    let cells = cells.map(|(rate, code, message)| {
        let mut cell = cell("plain", 64, rate, rate.parse().unwrap());
        cell.warnings.push(warning(code, message));
        cell
    });
    let trial = |rate: f64, verdict, reason: Option<&str>| {
        json!({"rate_pps": rate, "time_ns": 2_000_000_000, "purpose": "final",
            "sent_pps": rate, "verdict": verdict, "reason": reason, "goals": []})
    };
    let point = |rate: f64, passed, loss: f64| {
        json!({"rate_pps": rate, "trials": 2, "delivered_pps": rate * (1.0 - loss),
            "loss": loss, "p50_ns": 83_200, "p99_ns": 170_000, "passed": passed})
    };
    let found = json!({
        "id": "plain/64", "size": 64, "engine": "plain", "limited_by": "target",
        "low_pps": 243_100.0, "passed": {"k": 2, "n": 2},
        "high_pps": 245_000.0, "failed": {"k": 0, "n": 2},
        "trial_ns": 2_000_000_000, "precision": 0.01, "p99_ns": 170_000, "disturbed": 1,
        "verified": {"rate_pps": 218_790.0, "passed": 2, "of": 2},
        "probe": {"delivered_pps": 250e3, "sent_pps": 300e3},
        "curve": [point(24_310.0, 1, 0.0), point(245e3, 0, 0.02)],
        "trials": [trial(243_100.0, "pass", None),
            trial(245e3, "disturbed", Some("first")), trial(245e3, "disturbed", Some("last")),
            trial(245e3, "fail", Some("loss<=0.1%: 2%, 1.9% too much"))],
    });
    SearchDocument {
        report: report_of(cells.to_vec()),
        inner: "bench".to_owned(),
        goals: vec!["loss<=0.1%".to_owned(), "p99<=200us".to_owned()],
        budget_ns: None,
        searches: vec![serde_json::from_value(found).unwrap()],
    }
}
