//! Figures that are limits or infinite, and cells that are worse than others.

use super::*;
use crate::document::{Exchange, StallSum};
use crate::report::checks::warning_codes;

/// One size at `max` and at half of that.
fn halves() -> Report {
    fixture::report_of(vec![
        fixture::cell("plain", 64, "max", 271e3),
        fixture::cell("plain", 64, "50%", 135.5e3),
    ])
}

#[test]
fn below_the_bound_of_two_clocks_an_upper_limit_is_printed() {
    let mut report = halves();
    fixture::two_clocks(&mut report.cells[1], 12_000);
    let text = plain(&report, 100);
    // 8.54 µs was measured, so the true value may be as much as 20.54 µs.
    let expected =
        ["   64   271 kpps   0.139     0    100/93%  <20.6 µs  74.9 µs   258 µs   258 µs"];
    assert_eq!(rows(&text), expected);
    let note = "±         one-way latency has an error bound of ±12.0 µs, from the two clocks";
    assert!(text.lines().any(|line| line == note), "{text}");
    // Of two trials one is withheld: the median is below the mean of what both are at most.
    let mut second = fixture::cell("plain", 64, "50%", 135.5e3);
    second.trial = 1;
    report.cells.push(second.clone());
    assert!(plain(&report, 100).contains("<14.6 µs"), "{}", plain(&report, 100));
    // The one that is known may be longer by its own bound, too.
    fixture::two_clocks(&mut report.cells[2], 8_000);
    assert!(plain(&report, 100).contains("<18.6 µs"), "{}", plain(&report, 100));
    // The maximum is in the document, and below the bound all the same.
    report.cells.truncate(1);
    second.trial = 0;
    fixture::two_clocks(&mut second, 300_000);
    report.cells.push(second);
    let row = "<309 µs  <375 µs  <558 µs  <558 µs";
    assert!(plain(&report, 100).contains(row), "{}", plain(&report, 100));
}

#[test]
fn an_older_document_has_less_than_twice_the_bound() {
    let mut report = halves();
    fixture::two_clocks(&mut report.cells[1], 12_000);
    report.cells[1].latency.as_mut().unwrap().upper_limits = None;
    assert!(plain(&report, 100).contains("<24.1 µs"), "{}", plain(&report, 100));
}

#[test]
fn a_percentile_among_lost_datagrams_is_infinite_and_its_loss_stands_beside_it() {
    let mut report = halves();
    fixture::lose(&mut report.cells[1], 2_000);
    let text = plain(&report, 100);
    let expected =
        ["   64   271 kpps   0.139     0    100/93%  2.95%  8.54 µs        ∞        ∞   258 µs"];
    assert_eq!(rows(&text), expected);
    let note = "count as infinitely slow; p50 and p99 of the others: plain/64 8.54 µs, 74.9 µs";
    assert!(plain(&report, 200).replace('\u{a0}', " ").contains(note), "{text}");
    // Of 0.3 %, only the 99.9th percentile is.
    fixture::lose(&mut report.cells[1], 200);
    let expected =
        ["   64   271 kpps   0.139     0    100/93%  0.30%  8.54 µs  74.9 µs        ∞   258 µs"];
    assert_eq!(rows(&plain(&report, 100)), expected);
    // Of three trials it takes two.
    let mut trials = report.clone();
    for trial in [1, 2] {
        let mut cell = report.cells[1].clone();
        cell.trial = trial;
        fixture::lose(&mut cell, if trial == 1 { 2_000 } else { 200 });
        trials.cells.push(cell);
    }
    let text = plain(&trials, 120);
    assert!(text.contains("  0.30%  8.54 µs  74.9 µs        ∞   258 µs"), "{text}");
    // Without loss at a rate there is no such column.
    fixture::lose(&mut report.cells[1], 0);
    assert!(!plain(&report, 100).contains('∞'));
    assert_eq!(plain(&report, 100).matches(" lost ").count(), 2, "{}", plain(&report, 100));
}

#[test]
fn missed_slots_have_a_column_and_are_infinitely_slow() {
    let mut report = halves();
    let missed = |report: &mut Report, missed: u64| {
        let schedule = report.cells[1].schedule.as_mut().unwrap();
        (schedule.scheduled, schedule.missed) = (100_000, missed);
    };
    missed(&mut report, 100);
    assert!(!plain(&report, 100).contains("missed  "), "{}", plain(&report, 100));
    missed(&mut report, 36_000);
    let text = plain(&report, 100);
    assert!(text.contains("  missed  "), "{text}");
    let expected =
        ["   64   271 kpps   0.139     0    100/93%   36.0%  8.54 µs        ∞        ∞   258 µs"];
    let squeezed = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(rows(&text).into_iter().map(squeezed).collect::<Vec<_>>(), expected.map(squeezed));
    // Where each rate has a row, and where nothing is known of what arrived.
    report.cells.remove(0);
    assert!(plain(&report, 120).contains("  lost  missed  CPU tx/rx  "), "{}", plain(&report, 120));
    fixture::one_ended(&mut report.cells[0]);
    let text = plain(&report, 120);
    assert!(text.contains("  missed  CPU tx/rx\n") && !text.contains("one way"), "{text}");
}

#[test]
fn the_worst_cell_is_quoted_and_named() {
    let mut report = fixture::default_run();
    report.warnings.clear();
    for (at, cell) in report.cells.iter_mut().enumerate() {
        cell.warnings.clear();
        // The sixth cell is by far the worst.
        let lost = if at == 6 { 40_000 } else { 300 };
        fixture::lose(cell, lost);
        let message = format!("{lost} datagrams found the buffer full");
        cell.warnings.push(fixture::warning("receive_buffer_loss", &message));
        cell.stalls.tx = StallSum::default();
    }
    report.cells[9].stalls.tx.total_ns = 9_000_000;
    for at in [3, 9] {
        let total = report.cells[at].stalls.tx.total_ns;
        let message = format!("stalled for {total} ns");
        report.cells[at].warnings.push(fixture::warning("stalls", &message));
    }
    let text = part(&plain(&report, 120), "Warnings");
    let quoted = "! 40000 datagrams found the buffer full [plain/512/max +23]";
    assert!(text.contains(quoted), "{text}");
    let quoted = "! stalled for 9000000 ns [batch/512/50% +1]";
    assert!(text.contains(quoted), "{text}");
    // Trials of one cell are no more cells.
    report.cells.truncate(2);
    (report.cells[1].id, report.cells[1].trial) = (report.cells[0].id.clone(), 1);
    report.cells[1].ledger.lost_at.receive_buffer = Some(9_000);
    report.cells[1].warnings[0].message = "9000 datagrams".to_owned();
    let text = part(&plain(&report, 120), "Warnings");
    assert!(text.contains("! 9000 datagrams [plain/64/max]"), "{text}");
}

#[test]
fn with_server_drops_the_generator_is_not_the_limit() {
    let mut report = halves();
    report.kind = "load".to_owned();
    let cell = &mut report.cells[1];
    cell.exchange = Some(Exchange {
        requests: 67_750,
        replies: 60_000,
        matched: 60_000,
        timeouts: 7_750,
        own_drops: Some(50),
        ..Exchange::default()
    });
    cell.kernel.rcvbuf_errors = Some(50);
    cell.warnings.push(fixture::warning("generator_dropped", "50 replies"));
    assert!(plain(&report, 100).contains("The generator was the limit, not the server"));
    // 7,700 more found a buffer of this host full that is not ours.
    report.cells[1].kernel.rcvbuf_errors = Some(7_750);
    assert!(!plain(&report, 100).contains("The generator was the limit"));
    // With a server elsewhere, that counter is not the server's.
    report.cells[1].ends = None;
    assert!(plain(&report, 100).contains("The generator was the limit"));
}

#[test]
fn warnings_are_short_few_and_the_worst_first() {
    let mut report = fixture::default_run();
    report.warnings.clear();
    let size = u64::MAX;
    for cell in &mut report.cells {
        cell.id = format!("offload/64000/ramp:100000..20000000/reverse/{}", cell.id);
        cell.warnings.clear();
        for code in warning_codes::all() {
            cell.warnings.push(code.warning(format!("{size} datagrams ({})", code.title)));
        }
    }
    report.cells[0].warnings[0].message = "a word ".repeat(60);
    let count = warning_codes::all().count();
    let shown = |verbose| {
        let style = Style { color: false, width: 200, verbose };
        part(&render(&report, style), "Warnings").to_owned()
    };
    let short = shown(false);
    let bullets: Vec<_> = short.lines().filter(|line| line.starts_with("! ")).collect();
    assert_eq!(bullets.len(), 3, "{short}");
    assert!(bullets.iter().all(|line| line.chars().count() <= 100), "{short}");
    // In the order of severity, and not of appearance.
    let last = short.lines().last().unwrap();
    let hint =
        format!("… {} more: -v · udperf explain segments_never_cut broken_ledger", count - 3);
    assert!(last.starts_with(&hint), "{last}");
    let all = shown(true);
    assert_eq!(all.lines().filter(|line| line.starts_with("! ")).count(), count);
}
