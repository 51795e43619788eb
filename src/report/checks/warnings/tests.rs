mod causes;
mod large;

use super::*;
use crate::document::{Ledger, LostAt, Refused, Schedule};
use crate::host::HostFacts;
use crate::measure::CellResult;
use crate::plan::Pinning;
use crate::report::checks::host_checks::tests::{good_host, plan};
use crate::report::fixture;

/// A context without any cause of a warning.
pub(crate) fn calm() -> CellContext {
    CellContext {
        pinned: true,
        buffer_doubled: true,
        warmup_sent: 20_000,
        ..CellContext::default()
    }
}

/// A cell in which 100,000 datagrams were sent and received within half a second.
pub(crate) fn clean_cell() -> Cell {
    let mut cell = fixture::cell("plain", 64, "max", 200e3);
    let counted = Some(100_012);
    (cell.kernel.in_datagrams, cell.kernel.out_datagrams) = (counted, counted);
    cell.kernel.rcvbuf_errors = Some(0);
    (cell.latency, cell.from_send, cell.stalls.stolen_ns) = (None, None, None);
    cell
}

/// The warnings of a cell that differs from the clean one by this.
fn all(ctx: CellContext, change: impl FnOnce(&mut Cell)) -> Vec<Warning> {
    let mut cell = clean_cell();
    change(&mut cell);
    cell_warnings(&cell, &ctx)
}

/// Such a cell has warnings of these codes, and no others.
#[track_caller]
fn expect_in(ctx: CellContext, codes: &[&str], change: impl FnOnce(&mut Cell)) {
    let warnings = all(ctx, change);
    assert_eq!(warnings.iter().map(|one| &*one.code).collect::<Vec<_>>(), codes);
}

#[track_caller]
fn expect(codes: &[&str], change: impl FnOnce(&mut Cell)) {
    expect_in(calm(), codes, change);
}

/// The first warning of such a cell is of this code and begins like this.
#[track_caller]
fn expect_first(code: &str, message: &str, change: impl FnOnce(&mut Cell)) {
    let first = all(calm(), change).into_iter().next().unwrap();
    assert_eq!(first.code, code);
    assert!(first.message.starts_with(message), "{}", first.message);
}

fn lose(cell: &mut Cell, lost: u64, lost_at: LostAt) {
    fixture::lose(cell, lost);
    cell.ledger.lost_at = lost_at;
    cell.rx.as_mut().unwrap().datagrams -= lost;
}

fn checksum() -> LostAt {
    LostAt { checksum: Some(50), ..LostAt::default() }
}

fn receive_buffer(lost: u64) -> LostAt {
    LostAt { receive_buffer: Some(lost), ..LostAt::default() }
}

#[test]
fn the_context_of_a_cell_has_warnings() {
    expect(&[], |_| {});
    let ctx = CellContext { warmup_lost: 50, pinned: false, shared_core: true, ..calm() };
    let cut_short_because = Some("interrupted".to_owned());
    let cell = Cell { cut_short: true, cut_short_because, ..clean_cell() };
    let warnings = cell_warnings(&cell, &ctx);
    let codes: Vec<_> = warnings.iter().map(|warning| &*warning.code).collect();
    assert_eq!(codes, ["cut_short", "warmup_loss", "shared_core", "not_pinned"]);
    assert!(warnings[0].message.contains("(interrupted)"));
    assert!(warnings[1].message.starts_with("50 datagrams (0.25%) lost in the warm-up"));
    let result = CellResult { warmup: (9, 2), ..CellResult::default() };
    let of = |pin, host: HostFacts| {
        CellContext::of(&plan(pin, vec![crate::unit::Rate::Max]), &host, &result)
    };
    let apart = of(Pinning::Auto, good_host());
    assert_eq!((apart.warmup_sent, apart.warmup_lost), (9, 2));
    assert!(apart.pinned && !apart.shared_core && apart.buffer_doubled);
    let together = of(Pinning::Cores { tx: vec![1], rx: vec![1] }, HostFacts::default());
    assert!(together.shared_core && !together.buffer_doubled);
    let loose = of(Pinning::Off, good_host());
    assert!(!loose.pinned && !loose.shared_core);
    let exceeding = [(1, 1_000), (2, 1_999), (0, 0), (u64::MAX, u64::MAX)];
    let exceeding = exceeding.map(|(part, whole)| context::exceeds_permille(part, whole));
    assert_eq!(exceeding, [false, true, false, true]);
}

#[test]
fn each_identity_of_the_ledger_is_checked() {
    type Change = fn(&mut Ledger);
    let breaks: [(&str, Change); 4] = [
        ("attempted = ", |ledger| ledger.attempted += 1),
        ("sent = ", |ledger| (ledger.received, ledger.arrived) = (Some(99_999), Some(99_999))),
        ("lost = ", |ledger| ledger.lost_at.tx_device = Some(1)),
        ("arrived = ", |ledger| ledger.arrived = Some(100_001)),
    ];
    for (name, change) in breaks {
        expect_first("broken_ledger", name, |cell| change(&mut cell.ledger));
    }
    expect_first("broken_ledger", "", |cell| {
        (cell.ledger.lost, cell.ledger.duplicate) = (Some(u64::MAX), Some(u64::MAX));
        cell.ledger.refused.other = u64::MAX;
    });
    // An unknown count is no broken identity.
    expect(&[], |cell| {
        fixture::one_ended(cell);
        (cell.kernel.in_datagrams, cell.direction) = (None, None);
    });
}

#[test]
fn losses_are_attributed() {
    expect_first("unaccounted", "1 of 1 lost datagrams", |cell| {
        lose(cell, 1, LostAt::default());
        cell.ledger.unaccounted = Some(1);
    });
    for (ends, place) in [
        ("across", "in the network; see counters on the path"),
        ("apart", "between both ends; see nft list ruleset"),
    ] {
        let warnings = all(calm(), |cell| {
            lose(cell, 9, LostAt::default());
            (cell.ledger.unaccounted, cell.ends) = (Some(9), Some(ends.to_owned()));
        });
        let message = format!("9 of 9 lost datagrams (0.01%) lost {place}");
        assert_eq!(warnings, [codes::LOST_BETWEEN.warning(message)]);
    }
    let buffer_full = |lost| {
        move |cell: &mut Cell| {
            lose(cell, lost, receive_buffer(lost));
            (cell.kernel.rcvbuf_errors, cell.kernel.socket_drops) = (Some(lost), Some(lost));
        }
    };
    expect(&[], buffer_full(100));
    let message = "3,200 datagrams (3.20%) dropped: receive buffer full";
    expect_first("receive_buffer_loss", message, buffer_full(3_200));
    let ring_full = |lost| {
        let at = LostAt { xdp_ring: Some(lost), ..LostAt::default() };
        move |cell: &mut Cell| lose(cell, lost, at)
    };
    expect(&[], ring_full(100));
    let message = "3,200 datagrams (3.20%) dropped: ring of AF_XDP full; use a lower --rate";
    expect_first("xdp_ring_loss", message, ring_full(3_200));
    let backlog = LostAt { backlog: Some(500), ..LostAt::default() };
    expect(&["backlog_loss"], |cell| lose(cell, 500, backlog));
    for (lost, codes) in [(10_000, &["reassembly_loss"][..]), (1, &[])] {
        let at = LostAt { reassembly: Some(lost), ..LostAt::default() };
        expect(codes, |cell| lose(cell, lost, at));
    }
    expect_first("estimated_places", "lost_at receive_buffer is an estimate", |cell| {
        buffer_full(50)(cell);
        cell.ledger.estimated = Some(vec!["receive_buffer".to_owned()]);
    });
    // An unresolved next hop is reported without a receiver too.
    let unresolved = |unresolved, neighbour: Option<u64>| {
        move |cell: &mut Cell| {
            lose(cell, neighbour.unwrap_or(0), LostAt { neighbour, ..LostAt::default() });
            cell.kernel.neighbour_unresolved = Some(unresolved);
        }
    };
    expect_first("neighbour_unresolved", "about 50 of ", unresolved(true, Some(50)));
    expect_first("neighbour_unresolved", "datagrams not sent", unresolved(true, None));
    expect(&[], unresolved(true, Some(0)));
    expect(&[], unresolved(false, Some(0)));
}

#[test]
fn failed_sends_and_unexpected_arrivals_are_reported() {
    let refuse = |cell: &mut Cell| {
        cell.ledger.refused =
            Refused { would_block: 1, no_buffers: 1, unreachable: 1, too_big: 1, other: 1 };
        cell.ledger.attempted += 5;
    };
    let kinds = ["would_block", "no_buffers", "unreachable", "too_big", "other"];
    let codes = kinds.map(|kind| format!("refused_{kind}"));
    let codes = codes.each_ref().map(String::as_str);
    expect(&codes[1..], refuse);
    expect(&codes, |cell| {
        refuse(cell);
        cell.schedule = Some(Schedule { scheduled: 100_005, ..Schedule::default() });
    });
    expect(&["foreign", "corrupt", "duplicate", "late"], |cell| {
        let ledger = &mut cell.ledger;
        (ledger.foreign, ledger.corrupt) = (Some(1), Some(2));
        (ledger.duplicate, ledger.late) = (Some(3), Some(4));
        ledger.arrived = Some(100_010);
    });
}

#[test]
fn shared_counters_are_upper_bounds() {
    expect(&[], |cell| lose(cell, 50, checksum()));
    expect_first("shared_counters", "lost_at checksum is an upper bound (counted more", |cell| {
        lose(cell, 50, checksum());
        cell.ledger.shared = Some(vec!["checksum".to_owned()]);
    });
    let beside = |others: u64, lost_at: LostAt| {
        move |cell: &mut Cell| {
            lose(cell, 50, lost_at);
            cell.kernel.in_datagrams = Some(100_000 + others);
            cell.kernel.rcvbuf_errors = Some(50);
        }
    };
    expect(&[], beside(1_000, checksum()));
    expect(&["shared_counters"], beside(1_001, checksum()));
    // The counters of the receivers' sockets count nobody else's datagrams.
    expect(&[], beside(1_001, receive_buffer(50)));
    for (unreachable, code) in [(0, "shared_counters"), (1, "refused_unreachable")] {
        expect(&[code], |cell| {
            lose(cell, 50, LostAt { no_port: Some(50), ..LostAt::default() });
            cell.ledger.refused.unreachable = unreachable;
            cell.ledger.attempted += unreachable;
        });
    }
    expect(&["shared_counters", "other_traffic"], |cell| {
        lose(cell, 50, LostAt { qdisc: Some(50), ..LostAt::default() });
        cell.kernel.out_datagrams = Some(101_001);
    });
    // In one namespace, the other direction of the same cell is no other traffic.
    let both = CellContext { both: true, ..calm() };
    expect_in(both, &[], beside(99_950, checksum()));
    expect_in(both, &["shared_counters"], |cell| {
        beside(99_950, checksum())(cell);
        cell.ends = Some("across".to_owned());
    });
    // A few drops of a device may be no datagrams.
    for (drops, ends, codes) in
        [(1, "across", &["shared_counters"][..]), (2, "across", &[]), (1, "together", &[])]
    {
        expect(codes, |cell| {
            lose(cell, drops, LostAt { device: Some(drops), ..LostAt::default() });
            (cell.kernel.device_drops, cell.ends) = (Some(drops), Some(ends.to_owned()));
        });
    }
}

#[test]
fn kernel_counters_are_compared() {
    expect_first("kernel_mismatch", "the kernel counted 99,999 sent, udperf 100,000", |cell| {
        cell.kernel.out_datagrams = Some(99_999);
    });
    expect(&["kernel_mismatch"], |cell| cell.kernel.in_datagrams = Some(0));
    expect(&["kernel_mismatch"], |cell| {
        lose(cell, 9, receive_buffer(9));
        (cell.kernel.rcvbuf_errors, cell.kernel.socket_drops) = (Some(8), Some(9));
    });
    expect(&[], |cell| {
        cell.engine.tx_active = "null".to_owned();
        (cell.kernel.out_datagrams, cell.kernel.in_datagrams) = (Some(3), Some(3));
    });
    expect(&[], |cell| cell.kernel = Default::default());
    let sent = |count| move |cell: &mut Cell| cell.kernel.out_datagrams = Some(count);
    expect(&[], sent(101_000));
    expect(&["other_traffic"], sent(101_001));
    expect_in(CellContext { both: true, ..calm() }, &[], sent(200_000));
    expect(&[], |cell| (cell.kernel.out_datagrams, cell.packets.sent) = (Some(200_900), 200_000));
    expect_first("other_traffic", "7 foreign datagrams dropped", |cell| {
        cell.kernel.socket_drops = Some(7);
    });
    let granted = |bytes| {
        move |cell: &mut Cell| cell.rx.as_mut().unwrap().socket_buffer.granted = Some(bytes)
    };
    let message = "4 MiB of socket buffer asked, receivers got 208 KiB; raise net.core.rmem_max";
    expect_first("buffer_not_granted", message, granted(425_984));
    // Doubled, 6 MiB are 3; as they are, they are enough.
    expect(&["buffer_not_granted"], granted(6 << 20));
    expect_in(CellContext { buffer_doubled: false, ..calm() }, &[], granted(6 << 20));
}
