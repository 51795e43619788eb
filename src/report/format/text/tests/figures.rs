use super::*;
use crate::document::StallSum;
use crate::report::checks::warning_codes;
use crate::unit::grouped;

#[test]
fn below_the_bound_of_two_clocks_an_upper_limit_is_printed() {
    let mut report = halves();
    fixture::two_clocks(&mut report.cells[1], 12_000);
    // 8.54 µs was measured, so the true value may be as much as 20.54 µs.
    let row = "   64   271 kpps   0.139     0    100/93%  <20.6 µs  74.9 µs   258 µs   258 µs";
    assert_eq!(rows(&plain(&report, 100)), [row]);
    let note = "\n±         one-way latency has an error bound of ±12.0 µs, from the two clocks\n";
    assert_text(&report, &[note], &[]);
    // Older documents have no limits: less than twice the bound.
    let mut older = report.clone();
    older.cells[1].latency.as_mut().unwrap().upper_limits = None;
    assert_text(&older, &["<24.1 µs"], &[]);
    // One of two trials is withheld: the median is below the mean of the two upper limits.
    let mut second = fixture::cell("plain", 64, "50%", 135.5e3);
    second.trial = 1;
    report.cells.push(second.clone());
    assert_text(&report, &["<14.6 µs"], &[]);
    // The known one may be longer by its own bound, too.
    fixture::two_clocks(&mut report.cells[2], 8_000);
    assert_text(&report, &["<18.6 µs"], &[]);
    // A maximum below the bound is withheld, too.
    report.cells.truncate(1);
    second.trial = 0;
    fixture::two_clocks(&mut second, 300_000);
    report.cells.push(second);
    assert_text(&report, &["<309 µs  <375 µs  <558 µs  <558 µs"], &[]);
}

#[test]
fn a_percentile_among_lost_datagrams_is_infinite() {
    let mut report = halves();
    fixture::lose(&mut report.cells[1], 2_000);
    let row = |loss: &str, p99: &str| {
        let row = "   64   271 kpps   0.139     0    100/93%  ";
        [format!("{row}{loss}  8.54 µs  {p99}        ∞   258 µs")]
    };
    assert_eq!(rows(&plain(&report, 100)), row("2.95%", "      ∞"));
    let note = "count as infinitely slow; p50 and p99 of the others: plain/64 8.54 µs, 74.9 µs";
    assert_text(&report, &[note], &[]);
    // Of 0.3 %, only the 99.9th percentile is.
    fixture::lose(&mut report.cells[1], 200);
    assert_eq!(rows(&plain(&report, 100)), row("0.30%", "74.9 µs"));
    // Of three trials it takes two.
    let mut trials = report.clone();
    for (trial, lost) in [(1, 2_000), (2, 200)] {
        let mut cell = report.cells[1].clone();
        cell.trial = trial;
        fixture::lose(&mut cell, lost);
        trials.cells.push(cell);
    }
    assert_text(&trials, &["  0.30%  8.54 µs  74.9 µs        ∞   258 µs"], &[]);
    // Without loss at a rate there is no such column.
    fixture::lose(&mut report.cells[1], 0);
    let text = plain(&report, 100);
    assert!(!text.contains('∞') && text.matches(" lost ").count() == 2, "{text}");
}

#[test]
fn missed_slots_have_a_column_and_are_infinitely_slow() {
    let mut report = halves();
    for (missed, is_shown) in [(100, false), (36_000, true)] {
        let schedule = report.cells[1].schedule.as_mut().unwrap();
        (schedule.scheduled, schedule.missed) = (100_000, missed);
        assert_eq!(plain(&report, 100).contains("  missed  "), is_shown, "{missed}");
    }
    let row = "64 271 kpps 0.139 0 100/93% 36.0% 8.54 µs ∞ ∞ 258 µs";
    let text = plain(&report, 100);
    assert!(rows(&text)[0].split_whitespace().eq(row.split(' ')), "{text}");
    // Where each rate has a row, and where arrivals are unknown.
    report.cells.remove(0);
    assert_text(&report, &["  lost  missed  CPU tx/rx  "], &[]);
    fixture::one_ended(&mut report.cells[0]);
    assert_text(&report, &["  missed  CPU tx/rx\n"], &["one way"]);
}

#[test]
fn each_warning_is_shown_once_with_its_worst_cell() {
    let mut report = fixture::default_run();
    report.warnings.clear();
    for (at, cell) in report.cells.iter_mut().enumerate() {
        let own = format!("this is about cell {at}");
        let all = [("everywhere", "this is about all"), ("often", "some"), ("own", &own)];
        let all = all.map(|(code, message)| fixture::warning(code, message));
        cell.warnings = all[..if at < 5 { 3 } else { 1 }].to_vec();
    }
    let expected = "\
Warnings
! this is about all [all cells]
! some [5 of 24 cells]
! this is about cell 4 [offload/64/max +4]
udperf explain everywhere often own";
    assert_eq!(part(&plain(&report, 100), "Warnings"), expected);
    for (at, cell) in report.cells.iter_mut().enumerate() {
        // The seventh cell is by far the worst.
        let lost = if at == 6 { 40_000 } else { 300 };
        fixture::lose(cell, lost);
        let message = format!("{lost} datagrams found the buffer full");
        cell.warnings = vec![fixture::warning("receive_buffer_loss", &message)];
        cell.stalls.tx = StallSum::default();
    }
    for (at, total_ns) in [(3, 0), (9, 9_000_000)] {
        report.cells[at].stalls.tx.total_ns = total_ns;
        let message = format!("stalled for {total_ns} ns");
        report.cells[at].warnings.push(fixture::warning("stalls", &message));
    }
    let parts = [
        "! 40000 datagrams found the buffer full [plain/512/max +23]",
        "! stalled for 9000000 ns [batch/512/50% +1]",
    ];
    assert_text(&report, &parts, &[]);
    // Trials of one cell are not further cells.
    report.cells.truncate(2);
    (report.cells[1].id, report.cells[1].trial) = (report.cells[0].id.clone(), 1);
    report.cells[1].ledger.lost_at.receive_buffer = Some(9_000);
    report.cells[1].warnings[0].message = "9000 datagrams".to_owned();
    assert_text(&report, &["! 9000 datagrams [plain/64/max]"], &[]);
    report.cells.iter_mut().for_each(|cell| cell.warnings.clear());
    assert_text(&report, &[], &["Warnings"]);
}

#[test]
fn warnings_are_short_few_and_the_worst_first() {
    let mut report = fixture::default_run();
    report.warnings.clear();
    let message = |title: &str| format!("{} datagrams; {title}", grouped(u64::MAX));
    for cell in &mut report.cells {
        cell.id = format!("offload/64000/ramp:100000..20000000/reverse/{}", cell.id);
        cell.warnings =
            warning_codes::all().map(|code| code.warning(message(code.title))).collect();
    }
    report.cells[0].warnings[0].message = "a word ".repeat(60);
    let count = warning_codes::all().count();
    let shown = |verbose| {
        let style = Style { color: false, width: 200, verbose };
        part(&render(&report, style), "Warnings")
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
    assert_eq!(shown(true).lines().filter(|line| line.starts_with("! ")).count(), count);
}
