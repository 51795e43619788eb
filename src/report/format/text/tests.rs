//! What the text says, to the letter.

mod figures;
mod longest;

use super::*;
use crate::document::Clock;
use crate::report::checks::topics::topics;
use crate::report::fixture;

fn plain(report: &Report, width: usize) -> String {
    let style = Style { color: false, width, verbose: false };
    render(report, style)
}

#[track_caller]
fn part(text: &str, beginning: &str) -> String {
    let mut parts = text.trim_end().split("\n\n");
    let found = parts.find(|part| part.starts_with(beginning));
    found.unwrap_or_else(|| panic!("no {beginning}: {text}")).to_owned()
}

/// Rows of the table, without the two lines above them.
fn rows(text: &str) -> Vec<&str> {
    let table = text.split("\n\n").find(|part| part.contains("\nbytes"));
    table.map_or_else(Vec::new, |table| table.lines().skip(2).collect())
}

/// One engine and size at four rates, in so many trials, each faster than the last.
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

#[test]
fn two_cells_make_one_row() {
    let mut report = fixture::report_of(vec![
        fixture::cell("plain", 64, "max", 271e3),
        fixture::cell("plain", 64, "50%", 135.5e3),
    ]);
    fixture::lose(&mut report.cells[0], 1_234);
    fixture::stall(&mut report.cells[1], 2_140_000);
    report.cells[1].warnings.push(fixture::warning("short", "half a second is a glance"));
    let expected = "\
udperf 0.1.0 · bench · loopback 127.0.0.1 · engine plain · 500 ms per cell
AMD EPYC · 2 cores · Linux 6.18.44 · KVM
1 stream · core 0 → core 1 · wait hybrid · socket buffers 4 MiB asked, 8 MiB granted

       ──────────── flat out ─────────────  ── one way from schedule at 50% ──
bytes  delivered  Gbit/s   lost  CPU tx/rx      p50      p99    p99.9      max
   64   271 kpps   0.139  0.91%    100/93%  8.54 µs  74.9 µs   258 µs  2.14 ms*

ledger    sent 203,250 = received 202,016 + lost 1,234 (receive buffer 1,234) · refused 0 ·
          unaccounted 0
max *     1 stall (sender 1, receiver 0): 2.14 ms in all, longest 2.14 ms; the hypervisor took
          2.14 ms. Outside stalls: plain/64 258 µs

Warnings
! half a second is a glance [plain/64/50%]
udperf explain short
";
    assert_eq!(plain(&report, 100), expected);
}

#[test]
fn a_run_over_af_unix_shows_its_path() {
    let mut report = fixture::report_of(vec![fixture::cell("plain", 64, "max", 271e3)]);
    report.host.max_dgram_qlen = Some(10);
    assert!(plain(&report, 100).starts_with("udperf 0.1.0 · bench · loopback 127.0.0.1"));
    report.scenario["unix"] = "/tmp/a".into();
    let text = plain(&report, 200);
    assert!(text.starts_with("udperf 0.1.0 · bench · unix /tmp/a · engine plain"), "{text}");
    assert!(text.lines().nth(2).unwrap().ends_with("queues of 10 datagrams"), "{text}");
}

#[test]
fn no_line_is_wider_than_asked() {
    let mut many = fixture::default_run();
    for cell in &mut many.cells {
        fixture::stall(cell, 5_123_456);
        fixture::lose(cell, 5);
        let message = format!("{} was disturbed, which stands here in several words", cell.id);
        cell.warnings.push(fixture::warning("disturbed", &message));
    }
    for report in [fixture::default_run(), many, four_rates(1), four_rates(3)] {
        for width in [80, 100, 120] {
            for line in plain(&report, width).lines() {
                assert!(style::columns(line) <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let report = fixture::default_run();
    let width = 100;
    let colored = render(&report, Style { color: true, width, verbose: false });
    assert!(colored.contains("\u{1b}["));
    let stripped = anstream::adapter::strip_str(&colored).to_string();
    let blanks_aside = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(blanks_aside(&stripped), blanks_aside(&plain(&report, width)));
    assert!(!plain(&report, width).contains('\u{1b}'));
}

#[test]
fn columns_are_omitted_in_order() {
    let report = fixture::default_run();
    let titles = |width| {
        let text = plain(&report, width);
        let line = text.lines().find(|line| line.starts_with("bytes")).unwrap_or_default();
        ["Gbit/s", "CPU tx/rx", "p99.9"].map(|title| line.contains(title))
    };
    let bars = |width| plain(&report, width).contains('█');
    assert_eq!((titles(100), bars(100)), ([true, true, true], true));
    assert_eq!((titles(93), bars(93)), ([false, true, true], true));
    assert_eq!((titles(81), bars(81)), ([false, true, true], false));
    assert_eq!((titles(73), bars(73)), ([false, false, true], false));
    assert_eq!((titles(62), bars(62)), ([false, false, false], false));
    assert_eq!(plain(&report, 0), plain(&report, NARROWEST));
}

#[test]
fn other_lists_of_rates_have_a_row_each() {
    let text = plain(&four_rates(1), 80);
    let expected = [
        " 1472    max   200 kpps     0    100/93%   423 µs  3.71 ms  12.8 ms  12.8 ms",
        "         25%  50.0 kpps     0    100/93%  8.54 µs  74.9 µs   258 µs   258 µs",
        "        100k   100 kpps     0    100/93%  8.54 µs  74.9 µs   258 µs   258 µs",
        "       1Gbit  84.0 kpps     0    100/93%  8.54 µs  74.9 µs   258 µs   258 µs",
    ];
    assert_eq!(rows(&text), expected);
    assert!(text.contains("─ latency, one way from schedule ─"));
    assert!(text.contains("\nrate max  has no schedule: latency starts at departure"));
}

#[test]
fn trials_are_shown_by_their_median_and_spread() {
    let mut report = four_rates(3);
    fixture::lose(&mut report.cells[4], 101);
    let text = plain(&report, 100);
    assert!(text.contains("· medians of 3 trials\n"));
    let row = rows(&text)[0];
    // 200, 201 and 202 kpps; one trial of three lost something, so the median is no loss.
    assert!(row.starts_with(" 1472    max   201 kpps  0.5%  "), "{row}");
    assert!(row.contains("  ≤0.10%  "), "{row}");
}

#[test]
fn unknown_figures_are_not_zero() {
    let mut report = four_rates(1);
    let cell = &mut report.cells[0];
    (cell.latency, cell.rx.as_mut().unwrap().pps, cell.tx.cpu_ns) = (None, None, None);
    cell.ledger.sent = 0;
    let text = plain(&report, 120);
    let words: Vec<_> = rows(&text)[0].split_whitespace().collect();
    assert_eq!(words, ["1472", "max", "–", "2.36", "–", "–/93%", "–", "–", "–", "–"]);
}

#[test]
fn calibration_has_no_row_but_its_datagrams_count() {
    let mut report = four_rates(1);
    report.cells.truncate(2);
    report.cells[0].calibration = true;
    let text = plain(&report, 80);
    assert_eq!(rows(&text).len(), 1);
    assert!(part(&text, "ledger").contains("sent 125,000 = received 125,000 + lost 0 "));
}

#[test]
fn the_ledger_has_drop_locations_and_marks_unaccounted_losses() {
    let mut report = four_rates(1);
    let ledger = &mut report.cells[1].ledger;
    (ledger.sent, ledger.lost, ledger.unaccounted) = (25_010, Some(10), Some(3));
    (ledger.lost_at.receive_buffer, ledger.lost_at.backlog) = (Some(4), Some(3));
    (ledger.refused.would_block, ledger.refused.too_big) = (5, 1);
    (ledger.duplicate, ledger.reordered) = (Some(2), Some(1_000));
    let text = part(&plain(&report, 86), "ledger");
    let expected = "\
ledger    sent 217,010 = received 217,000 + lost 10 (receive buffer 4, backlog 3) ·
          refused 6 (would block 5, too big 1) · duplicate 2 · reordered 1,000 ·
          unaccounted 3 (!)";
    assert!(text.starts_with(expected), "{text}");
    // What is reckoned is marked.
    report.cells[0].ledger.estimated = Some(vec!["backlog".to_owned()]);
    let text = part(&plain(&report, 86), "ledger");
    assert!(text.contains("(receive buffer 4, backlog ~3)"), "{text}");
}

#[test]
fn late_generators_and_losses_at_a_rate_are_named() {
    let mut report = fixture::default_run();
    fixture::lose(&mut report.cells[3], 2_000);
    let text = part(&plain(&report, 100), "ledger");
    let paced = "\npaced     also lost at 50%: batch/64 2.56% (p99 with loss infinite)\n";
    assert!(text.contains(paced), "{text}");
    let schedule = "\nschedule  offload/64/50% missed 1,203 of 6,775,000, p99 lag 812 µs";
    assert!(text.contains(schedule), "{text}");
}

#[test]
fn a_partial_run_says_so() {
    let mut report = fixture::default_run();
    assert!(!plain(&report, 100).contains("Partial"));
    report.cells.truncate(7);
    report.cells[6].cut_short = true;
    let text = plain(&report, 100);
    let expected = "Partial: 7 of 24 cells measured, plain/512/max cut short.";
    assert_eq!(part(&text, "Partial"), expected);
    report.cells.clear();
    let text = plain(&report, 100);
    assert!(text.contains("\n\nPartial: 0 of 24 cells measured.\n\nWarnings"), "{text}");
}

#[test]
fn each_warning_is_shown_once() {
    let mut report = fixture::default_run();
    report.warnings.clear();
    let all = report.cells.len();
    for (at, cell) in report.cells.iter_mut().enumerate() {
        cell.warnings = vec![fixture::warning("everywhere", "this holds of all")];
        if at < 5 {
            cell.warnings.push(fixture::warning("often", "this holds of some"));
            cell.warnings.push(fixture::warning("own", &format!("this is about cell {at}")));
        }
    }
    let expected = format!(
        "\
Warnings
! this holds of all [all cells]
! this holds of some [5 of {all} cells]
! this is about cell 4 [offload/64/max +4]
udperf explain everywhere often own"
    );
    assert_eq!(part(&plain(&report, 100), "Warnings"), expected);
    for cell in &mut report.cells {
        cell.warnings.clear();
    }
    assert!(!plain(&report, 100).contains("Warnings"));
}

#[test]
fn a_cell_without_a_receiver_shows_sent_datagrams() {
    let mut cells =
        vec![fixture::cell("plain", 64, "max", 271e3), fixture::cell("plain", 64, "50%", 135.5e3)];
    cells.iter_mut().for_each(fixture::one_ended);
    let mut report = fixture::report_of(cells);
    report.kind = "blast".to_owned();
    report.scenario["route"] = "alone".into();
    report.scenario["target"] = "239.1.2.3".into();
    let expected = "\
udperf 0.1.0 · blast · to 239.1.2.3 · engine plain · 500 ms per cell
AMD EPYC · 2 cores · Linux 6.18.44 · KVM
1 stream · senders here: core 0 · wait hybrid ·
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
fn both_ways_have_a_row_each() {
    let mut cells = Vec::new();
    for trial in 0..2 {
        for (way, pps) in [("forward", 200e3), ("reverse", 100e3)] {
            for rate in ["max", "50%"] {
                let mut cell = fixture::cell("plain", 64, rate, pps);
                fixture::across(&mut cell, way);
                cell.trial = trial;
                cells.push(cell);
            }
        }
    }
    fixture::lose(&mut cells[3], 500);
    cells[3].ledger.lost_at.receive_buffer = Some(0);
    cells[3].ledger.unaccounted = Some(500);
    let mut report = fixture::report_of(cells);
    report.scenario["route"] = "both".into();
    report.scenario["target"] = "lab7:9".into();
    let text = plain(&report, 100);
    let head: Vec<_> = text.lines().take(3).collect();
    assert!(head[0].contains(" · both ways with lab7:9 · "), "{text}");
    assert!(head[2].contains(" · senders here: core 0, receivers here: core 1 · "), "{text}");
    let rows = rows(&text);
    assert_eq!(rows.len(), 2);
    assert!(rows[0].starts_with("   64    →   200 kpps  0.0%  "), "{text}");
    assert!(rows[1].starts_with("         ←   100 kpps  0.0%  "), "{text}");
    assert!(!text.contains("Partial"), "{text}");
    let ledger = part(&text, "ledger");
    assert!(ledger.contains("unaccounted (the network) 500\n"), "{ledger}");
    assert!(ledger.contains("\nway       → forward, from here to the sink; ← reverse"), "{ledger}");
    assert!(ledger.contains("also lost at 50%: plain/64 reverse 1.00% "), "{ledger}");
}

#[test]
fn the_other_end_has_a_name_a_host_and_a_clock() {
    let mut cell = fixture::cell("plain", 64, "max", 271e3);
    fixture::across(&mut cell, "reverse");
    let mut report = fixture::report_of(vec![cell]);
    report.scenario["route"] = "reverse".into();
    report.scenario["target"] = "192.168.1.7:7788".into();
    let peer = crate::document::Host {
        hostname: Some("lab7".to_owned()),
        kernel: Some("Linux 6.1".to_owned()),
        ..Default::default()
    };
    report.host.peer = Some(Box::new(peer));
    report.clock = Some(Clock {
        same: false,
        offset_ns: 12_300_000,
        drift_ppb: -340,
        bound_ns: 4_100,
        min_rtt_ns: Some(8_300),
        samples: 64,
    });
    let text = plain(&report, 100);
    assert!(text.contains(" · from 192.168.1.7:7788 · "), "{text}");
    assert!(text.contains("\nsink  lab7 · Linux 6.1\n"), "{text}");
    assert!(text.contains(" · receivers here: core 1 · "), "{text}");
    let clocks = "\nclocks    the sink's is 12.3 ms ahead, ±4.10 µs, drift -0.3 ppm \
                  (min RTT 8.30 µs)\n";
    assert!(text.contains(clocks), "{text}");
    report.clock = Some(Clock::same());
    let text = plain(&report, 100);
    assert!(
        text.contains("\nclocks    the same clock at both ends: one-way latency is exact\n"),
        "{text}"
    );
}

#[test]
fn the_worst_flow_is_shown() {
    use crate::document::Flows;
    let mut report = four_rates(1);
    let flows = |loss_max, starved, fairness| Flows {
        count: 10_000,
        loss_max: Some(loss_max),
        starved,
        fairness: Some(fairness),
        ..Flows::default()
    };
    report.cells[0].flows = Some(flows(0.021, 0, 0.9984));
    report.cells[0].workers = Some(vec![51, 49]);
    report.cells[1].flows = Some(flows(0.0, 0, 1.0));
    report.cells[1].workers = Some(vec![50, 50]);
    let text = plain(&report, 100);
    let expected = "\nflows     10,000: worst lost 2.10%, none starved, fairness 0.998; \
                    receivers 51/49%\n";
    assert!(text.contains(expected), "{text}");
    report.cells[1].flows = Some(flows(1.0, 3, 0.5));
    let text = plain(&report, 100);
    assert!(text.contains("worst lost 100%, 3 starved, fairness 0.500;"), "{text}");
}

#[test]
fn every_place_and_column_is_explained() {
    let has =
        |kind: &str, name: &str| topics().iter().any(|one| one.kind == kind && one.name == name);
    for (name, _) in crate::document::LostAt::default().places() {
        assert!(has("place", name), "{name}");
    }
    for title in outline(&fixture::default_run()).grid.unwrap().columns {
        assert!(title.text.is_empty() || has("column", title.text.trim()), "{}", title.text);
    }
}
