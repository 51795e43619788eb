mod figures;
mod longest;

use super::*;
use crate::document::{Clock, Exchange, Flows, Host, InputSummary, Outage, SourceCounts};
use crate::report::checks::topics::topics;
use crate::report::fixture;

fn plain(report: &Report, width: usize) -> String {
    render(report, Style { color: false, width, verbose: false })
}

#[track_caller]
fn part(text: &str, beginning: &str) -> String {
    let mut parts = text.trim_end().split("\n\n");
    let found = parts.find(|part| part.starts_with(beginning));
    found.unwrap_or_else(|| panic!("no {beginning}: {text}")).to_owned()
}

/// Asserts that the text, with each note on one line, has and lacks these parts.
#[track_caller]
fn assert_text(report: &Report, has: &[&str], lacks: &[&str]) {
    let text = plain(report, 500);
    has.iter().for_each(|part| assert!(text.contains(part), "no {part}:\n{text}"));
    lacks.iter().for_each(|part| assert!(!text.contains(part), "{part}:\n{text}"));
}

/// Rows of the table, without the two lines above them.
fn rows(text: &str) -> Vec<&str> {
    let table = text.split("\n\n").find(|part| part.contains("\nbytes"));
    table.map_or_else(Vec::new, |table| table.lines().skip(2).collect())
}

/// One engine and size at four rates, in several trials, each faster than the last.
fn four_rates(trials: u32) -> Report {
    let mut cells = Vec::new();
    for trial in 0..trials {
        let rates = [("max", 200e3), ("25%", 50e3), ("100k", 100e3), ("1Gbit", 84e3)];
        for (rate, pps) in rates {
            let mut cell = fixture::cell("plain", 1472, rate, pps + 1e3 * f64::from(trial));
            cell.trial = trial;
            cells.push(cell);
        }
    }
    fixture::report_of(cells)
}

/// One size at `max` and at half of that.
fn halves() -> Report {
    let cells = [("max", 271e3), ("50%", 135.5e3)];
    fixture::report_of(cells.map(|(rate, pps)| fixture::cell("plain", 64, rate, pps)).to_vec())
}

#[test]
fn two_cells_make_one_row() {
    let mut report = halves();
    fixture::lose(&mut report.cells[0], 1_234);
    fixture::stall(&mut report.cells[1], 2_140_000);
    report.cells[1].warnings.push(fixture::warning("short", "half a second is short"));
    let expected = "\
udperf 0.1.0 · bench · loopback 127.0.0.1 · engine plain · 500 ms per cell
AMD EPYC · 2 cores · Linux 6.18.44 · KVM
1 flow · core 0 → core 1 · wait hybrid · socket buffers 4 MiB asked, 8 MiB granted

       ──────────── flat out ─────────────  ── one way from schedule at 50% ──
bytes  delivered  Gbit/s   lost  CPU tx/rx      p50      p99    p99.9      max
   64   271 kpps   0.139  0.91%    100/93%  8.54 µs  74.9 µs   258 µs  2.14 ms*

ledger    sent 203,250 = received 202,016 + lost 1,234 (receive buffer 1,234) · refused 0 ·
          unaccounted 0
max *     1 stall (sender 1, receiver 0): 2.14 ms in all, longest 2.14 ms; the hypervisor took
          2.14 ms. Outside stalls: plain/64 258 µs

Warnings
! half a second is short [plain/64/50%]
udperf explain short
";
    assert_eq!(plain(&report, 100), expected);
}

#[test]
fn lines_fit_the_width_and_colour_adds_only_colour() {
    let mut many = fixture::default_run();
    for cell in &mut many.cells {
        fixture::stall(cell, 5_123_456);
        fixture::lose(cell, 5);
        let message = format!("{} was disturbed, which is reported in several words", cell.id);
        cell.warnings.push(fixture::warning("disturbed", &message));
    }
    for report in [fixture::default_run(), many, four_rates(1), four_rates(3)] {
        for width in [80, 100, 120] {
            let text = plain(&report, width);
            for line in text.lines() {
                assert!(style::display_width(line) <= width, "{width}: {line}");
            }
            let colored = render(&report, Style { color: true, width, verbose: false });
            assert!(colored.contains("\u{1b}[") && !text.contains('\u{1b}'));
            let stripped = anstream::adapter::strip_str(&colored).to_string();
            assert!(stripped.lines().map(str::trim_end).eq(text.lines().map(str::trim_end)));
        }
    }
}

#[test]
fn columns_are_omitted_in_order() {
    let report = fixture::default_run();
    for (width, expected) in [
        (100, [true, true, true, true]),
        (93, [false, true, true, true]),
        (81, [false, false, true, true]),
        (73, [false, false, false, true]),
        (62, [false, false, false, false]),
    ] {
        let text = plain(&report, width);
        let titles = text.lines().find(|line| line.starts_with("bytes")).unwrap_or_default();
        let has = |title: &str| titles.contains(title);
        let shown = [has("Gbit/s"), text.contains('█'), has("CPU tx/rx"), has("p99.9")];
        assert_eq!(shown, expected, "{width}");
    }
    assert_eq!(plain(&report, 0), plain(&report, MIN_WIDTH));
}

#[test]
fn other_lists_of_rates_have_a_row_each() {
    let mut report = four_rates(1);
    let text = plain(&report, 80);
    let expected = [
        " 1472    max   200 kpps     0    100/93%   423 µs  3.71 ms  12.8 ms  12.8 ms",
        "         25%  50.0 kpps     0    100/93%  8.54 µs  74.9 µs   258 µs   258 µs",
        "        100k   100 kpps     0    100/93%  8.54 µs  74.9 µs   258 µs   258 µs",
        "       1Gbit  84.0 kpps     0    100/93%  8.54 µs  74.9 µs   258 µs   258 µs",
    ];
    assert_eq!(rows(&text), expected);
    assert!(text.contains("─ latency, one way from schedule ─"));
    assert!(text.contains("\nrate max  has no schedule: latency starts at departure"));
    // Unknown figures are not zero.
    let cell = &mut report.cells[0];
    (cell.latency, cell.rx.as_mut().unwrap().pps, cell.tx.cpu_ns) = (None, None, None);
    cell.ledger.sent = 0;
    let text = plain(&report, 120);
    assert!(rows(&text)[0].split_whitespace().eq("1472 max – 2.36 – –/93% – – – –".split(' ')));
    // Calibration has no row, but its datagrams count.
    report = four_rates(1);
    report.cells.truncate(2);
    report.cells[0].calibration = true;
    assert_eq!(rows(&plain(&report, 80)).len(), 1);
    assert_text(&report, &["sent 125,000 = received 125,000 + lost 0 "], &[]);
    // The median of 200, 201 and 202 kpps; with loss in one trial of three, the median loss is 0.
    report = four_rates(3);
    fixture::lose(&mut report.cells[4], 101);
    let parts = ["· medians of 3 trials\n", " 1472    max   201 kpps  0.5%  ", "  ≤0.10%  "];
    assert_text(&report, &parts, &[]);
}

#[test]
fn of_a_lost_sink_the_ledger_has_what_is_unknown() {
    let mut report = halves();
    fixture::one_ended(&mut report.cells[0]);
    let whole = "sent 203,250 = received 67,750 + lost 0 + unknown 135,500 · refused 0 ·";
    assert_text(&report, &[whole, "unaccounted 0"], &[]);
    let ledger = &mut report.cells[1].ledger;
    (ledger.lost, ledger.unaccounted, ledger.lost_at.receive_buffer) = (None, None, None);
    let all = "received 67,750 · loss unknown · refused 0";
    assert_text(&report, &[all], &["lost 0", "unaccounted"]);
}

#[test]
fn the_ledger_has_drop_locations_and_marks_unaccounted_losses() {
    let mut report = four_rates(1);
    report.cells[0].ledger.estimated = Some(vec!["backlog".to_owned()]);
    let ledger = &mut report.cells[1].ledger;
    (ledger.sent, ledger.lost, ledger.unaccounted) = (25_010, Some(10), Some(3));
    (ledger.lost_at.receive_buffer, ledger.lost_at.backlog) = (Some(4), Some(3));
    (ledger.refused.would_block, ledger.refused.too_big) = (5, 1);
    (ledger.duplicate, ledger.reordered) = (Some(2), Some(1_000));
    let expected = "ledger    sent 217,010 = received 217,000 + lost 10 (receive buffer 4, \
                    backlog ~3) · refused 6 (send buffer full 5, too big 1) · duplicate 2 · \
                    reordered 1,000 · unaccounted 3 (!)\n";
    assert_text(&report, &[expected], &[]);
}

#[test]
fn a_partial_run_says_so() {
    let mut report = fixture::default_run();
    assert_text(&report, &[], &["Partial"]);
    report.cells.truncate(7);
    report.cells[6].cut_short = true;
    let text = "\n\nPartial: 7 of 24 cells measured, plain/512/max cut short.\n\n";
    assert_text(&report, &[text], &[]);
    report.cells.clear();
    assert_text(&report, &["\n\nPartial: 0 of 24 cells measured.\n\nWarnings"], &[]);
}

#[test]
fn a_cell_without_a_receiver_shows_sent_datagrams() {
    let mut report = halves();
    report.cells.iter_mut().for_each(fixture::one_ended);
    report.kind = "blast".to_owned();
    report.scenario["route"] = "alone".into();
    report.scenario["target"] = "239.1.2.3".into();
    let expected = "\
udperf 0.1.0 · blast · to 239.1.2.3 · engine plain · 500 ms per cell
AMD EPYC · 2 cores · Linux 6.18.44 · KVM
1 flow · senders here: core 0 · wait hybrid ·
  socket buffers 4 MiB asked, 8 MiB send granted

bytes  asked      sent                    Gbit/s  CPU tx/rx
   64    max  271 kpps  ████████████████   0.139     100/–%
         50%  136 kpps  ████████          0.0694     100/–%

ledger    sent 203,250 · refused 0
sent      only the sending side is known; see the receiver's own counters for arrivals
";
    assert_eq!(plain(&report, 88), expected);
}

#[test]
fn both_directions_have_a_row_each_and_the_peer_is_described() {
    let mut cells = Vec::new();
    for (direction, pps) in [("forward", 200e3), ("reverse", 100e3)] {
        for rate in ["max", "50%"] {
            let mut cell = fixture::cell("plain", 64, rate, pps);
            fixture::across(&mut cell, direction);
            cells.push(cell);
        }
    }
    fixture::lose(&mut cells[3], 500);
    cells[3].ledger.lost_at.receive_buffer = Some(0);
    cells[3].ledger.unaccounted = Some(500);
    let mut report = fixture::report_of(cells);
    report.scenario["route"] = "both".into();
    report.scenario["target"] = "lab7:9".into();
    let (hostname, kernel) = (Some("lab7".to_owned()), Some("Linux 6.1".to_owned()));
    report.host.peer = Some(Box::new(Host { hostname, kernel, ..Host::default() }));
    report.clock = Some(Clock {
        same: false,
        offset_ns: 12_300_000,
        drift_ppb: -340,
        bound_ns: 4_100,
        min_rtt_ns: Some(8_300),
        samples: 64,
    });
    let parts = [
        " · both ways with lab7:9 · ",
        "\nsink  lab7 · Linux 6.1\n",
        " · senders here: core 0, receivers here: core 1 · ",
        "\n   64    →   200 kpps  ██",
        "\n         ←   100 kpps  ██",
        "unaccounted (the network) 500\n",
        "\nway       → forward, from here to the sink; ← reverse",
        "also lost at 50%: plain/64 reverse 1.00% ",
        "\nclocks    the sink's is 12.3 ms ahead, ±4.10 µs, drift -0.3 ppm (min RTT 8.30 µs)\n",
    ];
    assert_text(&report, &parts, &["Partial"]);
    report.cells.drain(..2);
    report.clock = Some(Clock::same());
    report.scenario["route"] = "reverse".into();
    let parts = [
        " · from lab7:9 · ",
        " · receivers here: core 1 · ",
        "\nclocks    the same clock at both ends: one-way latency is exact\n",
    ];
    assert_text(&report, &parts, &[]);
}

#[test]
fn notes_have_flows_outages_input_and_late_cells() {
    let mut report = fixture::default_run();
    fixture::lose(&mut report.cells[3], 2_000);
    let parts = [
        "\npaced     also lost at 50%: batch/64 2.56% (p99 with loss infinite)\n",
        "\nschedule  offload/64/50% missed 1,203 of 6,775,000, p99 lag 812 µs",
    ];
    assert_text(&report, &parts, &["\nflows", "\noutages", "\ninput"]);
    let flows = |loss_max, starved, fairness| {
        let (loss_max, fairness) = (Some(loss_max), Some(fairness));
        Some(Flows { count: 10_000, loss_max, starved, fairness, ..Flows::default() })
    };
    report.cells[0].flows = flows(0.021, 0, 0.9984);
    report.cells[0].workers = Some(vec![51, 49]);
    report.cells[1].flows = flows(0.0, 0, 1.0);
    let (what, message) = ("ENETUNREACH".to_owned(), "network unreachable".to_owned());
    let (from_ns, until_ns) = (2_000_000_000, 6_000_000_000);
    let outage = Outage { from_ns, until_ns, what, message, errors: 4_000, said_by: None };
    report.cells[0].outages = vec![outage; style::LISTED + 2];
    let format = "pcap".to_owned();
    let input = InputSummary { format, records: 3, used: 3, ..InputSummary::default() };
    report.input = Some(input.clone());
    let parts = [
        "\nflows     10,000: worst lost 2.10%, none starved, fairness 0.998; receivers 51/49%\n",
        " 2.00 s to 6.00 s: network unreachable, 4,000 errors;",
        "; and 2 more outages\n",
    ];
    assert_text(&report, &parts, &["\ninput"]);
    report.cells[1].flows = flows(1.0, 3, 0.5);
    let left_out = [("fragment".to_owned(), 1), ("not_udp".to_owned(), 1)].into();
    report.input =
        Some(InputSummary { link_types: vec!["PPP".to_owned()], used: 1, left_out, ..input });
    let parts = [
        "worst lost 100%, 3 starved, fairness 0.500;",
        "\ninput     pcap of link type PPP: 1 of 3 packets are sent; left out: fragment 1, \
         not_udp 1\n",
    ];
    assert_text(&report, &parts, &[]);
}

#[test]
fn sources_that_stand_out_are_listed() {
    let mut report = fixture::default_run();
    assert_text(&report, &[], &["\nsources", "source"]);
    let row = |n: u64, lost| SourceCounts {
        address: Some(format!("127.0.1.{n}")),
        sources: 1,
        sent: 1_000,
        received: Some(1_000 - lost),
        lost: Some(lost),
        stands_out: lost > 100,
    };
    report.cells[0].sources = (1..=64).map(|n| row(n, n % 2)).collect();
    assert_text(&report, &[" · 64 sources · ", "\nsources   64, none stands out\n"], &[]);
    report.cells[1].sources = [row(7, 1_000), row(9, 500), row(1, 3)].into();
    let worst = "\nsources   3; lost: 127.0.1.7 1,000 of 1,000; 127.0.1.9 500 of 1,000; the others \
                 3 of 1,000\n";
    assert_text(&report, &[worst], &[]);
}

#[test]
fn errors_have_a_column_and_their_names() {
    let mut report = halves();
    let errors = |counts: &[(&str, u64)]| Exchange {
        requests: 1_000,
        matched: 1_000,
        errors: counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        ..Exchange::default()
    };
    for cell in &mut report.cells {
        cell.exchange = Some(errors(&[]));
    }
    assert_text(&report, &["answered 2,000 + timeouts 0"], &["errors"]);
    let few = [("404", 200), ("busy", 20), ("gone", 10), ("unexpected", 15), ("x", 3), ("y", 2)];
    report.cells[0].exchange = Some(errors(&few));
    let column = ["no reply  errors  ", "   25.0%  "];
    let names = "errors 250 (404 200, busy 20, unexpected 15, gone 10, others 5)";
    assert_text(&report, &[column[0], column[1], names], &[]);
}

#[test]
fn a_run_over_af_unix_shows_its_path() {
    let mut report = halves();
    report.host.max_dgram_qlen = Some(10);
    assert_text(&report, &["udperf 0.1.0 · bench · loopback 127.0.0.1"], &[]);
    report.scenario["unix"] = "/tmp/a".into();
    assert_text(&report, &["bench · unix /tmp/a · engine plain", "queues of 10 datagrams\n"], &[]);
}

/// With requests, the generator is the limit where its own faults are; not below `--max-missed`,
/// and not if the server dropped datagrams, too.
#[test]
fn the_generator_is_reported_as_the_limit() {
    let mut report = halves();
    let limit = "The generator was the limit, not the server, in plain/64/50%";
    report.cells[1].exchange = Some(Exchange::default());
    report.cells[1].warnings.push(fixture::warning("behind_schedule", "x"));
    let schedule = report.cells[1].schedule.as_mut().unwrap();
    (schedule.scheduled, schedule.missed) = (1_000, 50);
    for (max_missed, is_shown) in [(0.01, true), (0.049, true), (0.05, false), (1.0, false)] {
        report.max_missed = max_missed;
        assert_eq!(plain(&report, 500).contains(limit), is_shown, "{max_missed}");
    }
    let cell = &mut report.cells[1];
    let (matched, timeouts, own_drops) = (60_000, 7_750, Some(50));
    let (requests, replies) = (67_750, 60_000);
    cell.exchange =
        Some(Exchange { requests, replies, matched, timeouts, own_drops, ..Exchange::default() });
    cell.kernel.rcvbuf_errors = Some(50);
    cell.warnings = vec![fixture::warning("generator_dropped", "50 replies")];
    assert_text(&report, &[limit], &[]);
    // 7,700 more found a full buffer of this host that does not belong to udperf.
    report.cells[1].kernel.rcvbuf_errors = Some(7_750);
    assert_text(&report, &[], &[limit]);
    // With a server elsewhere, that counter is not the server's.
    report.cells[1].ends = None;
    assert_text(&report, &[limit], &[]);
}

#[test]
fn every_place_and_column_is_explained() {
    let has =
        |kind: &str, name: &str| topics().iter().any(|one| one.kind == kind && one.name == name);
    for (name, _) in crate::document::LostAt::default().places() {
        assert!(has("place", name), "{name}");
    }
    for title in outline(&fixture::default_run()).grid.unwrap().columns {
        assert!(has("column", &title.text), "{}", title.text);
    }
}
