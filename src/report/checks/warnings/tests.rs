use super::*;
use crate::document::{Engine, Kernel, Ledger, LostAt, Packets, Side, SocketBuffer};
use crate::measure::{CellResult, CutShort, HostFacts};
use crate::plan::Pinning;
use crate::report::checks::host_checks::tests::{good_host, plan};

/// A context that casts no doubt.
pub(crate) fn calm() -> CellContext<'static> {
    CellContext {
        pinned: true,
        buffer_doubled: true,
        warmup_sent: 20_000,
        ..CellContext::default()
    }
}

/// A cell in which 100,000 datagrams were sent and received within half a second.
pub(crate) fn clean_cell() -> Cell {
    let count = 100_000;
    let side = Side {
        datagrams: count,
        datagrams_in_window: count,
        datagrams_after_window: None,
        socket_buffer: SocketBuffer { asked: 4 << 20, granted: Some(8 << 20) },
        ..Side::default()
    };
    let word = || "plain".to_owned();
    Cell {
        direction: None,
        ends: Some("together".to_owned()),
        id: "plain/64/max".to_owned(),
        trial: 0,
        engine: Engine { tx: word(), rx: word(), tx_active: word(), rx_active: Some(word()) },
        size: 64,
        size_mix: None,
        streams: 1,
        threads: 1,
        rate: "max".to_owned(),
        rate_pps: None,
        pace: None,
        wait: "hybrid".to_owned(),
        elapsed_ns: 500_000_000,
        calibration: false,
        cut_short: false,
        cut_short_because: None,
        tx: side.clone(),
        rx: Some(side),
        per_datagram: Default::default(),
        packets: Packets { sent: count, received: Some(count), ..Packets::default() },
        ledger: Ledger {
            attempted: count,
            sent: count,
            received: Some(count),
            lost: Some(0),
            unaccounted: Some(0),
            arrived: Some(count),
            duplicate: Some(0),
            late: Some(0),
            foreign: Some(0),
            corrupt: Some(0),
            lost_at: LostAt { receive_buffer: Some(0), ..LostAt::default() },
            ..Ledger::default()
        },
        flows: None,
        workers: None,
        latency: None,
        from_send: None,
        to_socket: None,
        in_socket: None,
        legs: None,
        schedule: None,
        jitter_ns: None,
        stalls: Default::default(),
        exchange: None,
        outages: Vec::new(),
        kernel: Kernel {
            socket_drops: Some(0),
            in_datagrams: Some(count + 12),
            out_datagrams: Some(count + 12),
            rcvbuf_errors: Some(0),
            ..Kernel::default()
        },
        warnings: Vec::new(),
    }
}

/// The codes that a cell gets which differs from the clean one by this.
pub(crate) fn codes(change: impl FnOnce(&mut Cell)) -> Vec<String> {
    all(change).into_iter().map(|found| found.code).collect()
}

/// The warnings that such a cell gets.
pub(crate) fn all(change: impl FnOnce(&mut Cell)) -> Vec<Warning> {
    let mut cell = clean_cell();
    change(&mut cell);
    cell_warnings(&cell, &calm())
}

/// Loses so many datagrams of a cell, and says where.
pub(crate) fn lose(cell: &mut Cell, lost: u64, lost_at: LostAt) {
    let ledger = &mut cell.ledger;
    (ledger.lost, ledger.lost_at) = (Some(lost), lost_at);
    for count in [&mut ledger.received, &mut ledger.arrived] {
        *count = Some(count.unwrap() - lost);
    }
    cell.rx.as_mut().unwrap().datagrams -= lost;
}

#[test]
fn a_clean_cell_is_not_doubted() {
    assert_eq!(all(|_| {}), []);
}

#[test]
fn the_context_speaks() {
    let ctx = CellContext {
        warmup_lost: 50,
        cut_short: Some("interrupted"),
        pinned: false,
        shared_core: true,
        ..calm()
    };
    let mut cell = clean_cell();
    cell.cut_short = true;
    let found = cell_warnings(&cell, &ctx);
    let codes: Vec<_> = found.iter().map(|warning| &*warning.code).collect();
    assert_eq!(codes, ["cut_short", "warmup_loss", "shared_core", "not_pinned"]);
    assert!(found[0].message.contains("(interrupted)"));
    assert!(found[1].message.starts_with("50 of 20000 datagrams"));
}

#[test]
fn a_context_is_taken_from_plan_host_and_harvest() {
    let harvest = CellResult {
        warmup: (9, 2),
        cut_short: Some(CutShort::Interrupted),
        ..CellResult::default()
    };
    let of = |pin, host: HostFacts| {
        CellContext::of(&plan(pin, vec![crate::unit::Rate::Max]), &host, &harvest)
    };
    let apart = of(Pinning::Auto, good_host());
    assert_eq!((apart.warmup_sent, apart.warmup_lost), (9, 2));
    assert_eq!(apart.cut_short, Some("interrupted"));
    assert!(apart.pinned && !apart.shared_core && apart.buffer_doubled);
    let together = of(Pinning::Cores { tx: vec![1], rx: vec![1] }, HostFacts::default());
    assert!(together.shared_core && !together.buffer_doubled);
    let loose = of(Pinning::Off, good_host());
    assert!(!loose.pinned && !loose.shared_core);
}

#[test]
fn shares_are_exact_at_the_border() {
    assert!(!exceeds_permille(1, 1_000));
    assert!(exceeds_permille(2, 1_999));
    assert!(!exceeds_permille(0, 0));
    assert!(exceeds_permille(u64::MAX, u64::MAX));
}
