//! Intervals outside the document: as CSV, and on standard error while the run lasts.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::common;

use common::serving::Serving;
use common::signals::signal;
use common::{number, only, run, skip, stderr, udperf};
use serde_json::Value;

/// The lines of intervals on standard error, without their header, as columns.
fn lines(errors: &str) -> Vec<Vec<String>> {
    lines_of(errors, "/64/")
}

/// The same of cells with this in their id.
fn lines_of(errors: &str, id: &str) -> Vec<Vec<String>> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    let mut lines = errors.lines().skip_while(|line| !line.starts_with("cell "));
    let header: Vec<String> = lines.next().map(words).unwrap_or_default();
    // What rates count.
    let titles = ["rate", "requests"]
        .map(|rate| format!("cell seconds {rate} received lost loss p50 p99 lag p99 stalls"));
    assert!(header.is_empty() || titles.contains(&header.join(" ")), "{errors}");
    lines.map(words).take_while(|line: &Vec<String>| line[0].contains(id)).collect()
}

#[test]
fn csv_has_a_row_per_interval_also_from_a_stored_document() {
    let _together = common::together();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (json, first, again, all) = (path("a.json"), path("a.csv"), path("b.csv"), path("c.csv"));
    let output = run(&format!(
        "bench -q -e plain -l 64 -t 200ms -i 50ms -r 1k,2k --json={json} --csv-intervals {first}"
    ));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let text = std::fs::read_to_string(&first).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let rows: Vec<_> = lines.collect();
    let column = |name: &str| header.iter().position(|title| *title == name).unwrap();
    let intervals = common::cells(&report).iter().flat_map(|cell| {
        cell["intervals"].as_array().unwrap().iter().map(move |interval| (cell, interval))
    });
    let mut count = 0;
    for ((cell, interval), row) in intervals.zip(&rows) {
        assert_eq!(row[column("id")], cell["id"]);
        for (name, path) in [
            ("end_ns", "end_ns"),
            ("sent", "sent"),
            ("missed", "missed"),
            ("received", "received"),
            ("stalled_ns", "stalled_ns"),
        ] {
            assert_eq!(row[column(name)], number(interval, path).to_string(), "{name}");
        }
        // On a busy machine, all datagrams of an interval may be missed: it has no latency.
        let p99 = interval["latency"]["p99_ns"].as_u64();
        assert_eq!(p99.is_some(), number(interval, "received") > 0, "{interval}");
        let shown = p99.map(|p99| p99.to_string()).unwrap_or_default();
        assert_eq!(row[column("latency_p99_ns")], shown, "latency_p99_ns");
        count += 1;
    }
    assert_eq!((count, rows.len()), (8, 8));

    assert_eq!(run(&format!("report -q {json} --csv-intervals {again}")).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&again).unwrap(), text);
    std::fs::copy(&json, path("d.json")).unwrap();
    let two = format!("report -q {json} {} --csv-intervals {all}", path("d.json"));
    assert_eq!(run(&two).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&all).unwrap().lines().count(), 17);
    let history = run(&format!("report {json} --history --csv-intervals {again}"));
    assert_eq!(history.status.code(), Some(2), "{}", stderr(&history));
}

#[test]
fn each_interval_is_one_line_where_there_is_no_terminal() {
    let _together = common::together();
    // A count: its last interval ends early.
    let words = "bench -J -e plain -l 64 -r 2k -n 1500 -i 200ms --warmup 0";
    let output = run(words);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cell = only(&report);
    let lines = lines(&stderr(&output));
    let intervals = cell["intervals"].as_array().unwrap();
    assert_eq!(lines.len(), intervals.len(), "{}", stderr(&output));
    for (line, interval) in lines.iter().zip(intervals) {
        assert_eq!(line[0], "plain/64/2k");
        let (start, end) = line[1].split_once('–').unwrap();
        for (seconds, field) in [(start, "start_ns"), (end, "end_ns")] {
            let shown_ms = seconds.parse::<f64>().unwrap() * 1e3;
            let difference = shown_ms - number(interval, field) as f64 / 1e6;
            assert!(difference.abs() < 1.0, "{line:?} {interval}");
        }
    }
    // The last one is read from the result.
    let (last, result) = (lines.last().unwrap(), intervals.last().unwrap());
    assert_eq!(last[4], number(result, "received").to_string());
    let received = |line: &Vec<String>| line[4].replace(',', "").parse::<u64>().unwrap();
    let sum: u64 = lines.iter().map(received).sum();
    assert!(sum <= number(cell, "ledger.received"), "{}", stderr(&output));
}

#[test]
fn lines_come_while_a_cell_runs_and_the_rest_after_an_interrupt() {
    let _together = common::together();
    let mut command = udperf();
    command.args("bench -J -e plain -l 64 -r 2k -t 30 -i 100ms".split(' '));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = String::new();
    let mut reader = BufReader::new(child.stderr.take().unwrap());
    while errors.matches("plain/64/2k").count() < 3 {
        assert!(reader.read_line(&mut errors).unwrap() > 0, "{errors}");
    }
    signal(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    std::io::Read::read_to_string(&mut reader, &mut errors).unwrap();
    assert_eq!(output.status.code(), Some(130), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let intervals = only(&report)["intervals"].as_array().unwrap();
    assert!(intervals.len() < 300);
    assert_eq!(lines(&errors).len(), intervals.len(), "{errors}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_arrives_from_another_host_has_lines_while_the_cell_runs() {
    let _together = common::together();
    let sink = Serving::start("-B 127.0.0.1");
    for (flag, ids) in [
        ("--reverse", &["plain/64/2k/reverse"][..]),
        ("--bidir", &["plain/64/2k", "plain/64/2k/reverse"]),
    ] {
        let mut command = udperf();
        let words = format!("blast 127.0.0.1:{} {flag} -J -e plain -l 64 -r 2k -t 30", sink.port);
        command.args(words.split(' ')).args(["-i", "200ms", "--max-missed", "100%"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = String::new();
        let mut reader = BufReader::new(child.stderr.take().unwrap());
        let count = |errors: &str, id: &str| {
            errors.lines().filter(|line| line.split(' ').next() == Some(id)).count()
        };
        while !ids.iter().all(|id| count(&errors, id) >= 3) {
            assert!(reader.read_line(&mut errors).unwrap() > 0, "{errors}");
        }
        let live = lines(&errors);
        let reverse: Vec<_> = live.iter().filter(|line| line[0].ends_with("/reverse")).collect();
        // Two words of the rate, then received, lost, loss; only the sink knows the lag.
        assert!(reverse.iter().any(|line| line[4] != "0"), "{errors}");
        assert!(reverse.iter().all(|line| line[5] != "–" && line[6].ends_with('%')), "{errors}");
        let lag = |line: &[String]| line[line.len() - 2].clone();
        assert!(reverse.iter().take(2).all(|line| lag(line) == "–"), "{errors}");
        signal(child.id(), "INT");
        let output = child.wait_with_output().unwrap();
        std::io::Read::read_to_string(&mut reader, &mut errors).unwrap();
        assert_eq!(output.status.code(), Some(130), "{errors}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        for cell in common::cells(&report) {
            let intervals = cell["intervals"].as_array().unwrap().len();
            assert_eq!(count(&errors, cell["id"].as_str().unwrap()), intervals, "{errors}");
        }
    }
    sink.end();
}

#[test]
fn a_reply_within_the_timeout_is_not_lost_in_a_line() {
    let _together = common::together();
    let echo = Serving::of("echo", "-B 127.0.0.1 --delay 400ms");
    let output = run(&format!(
        "load 127.0.0.1:{} --preset echo -J -r 100 -t 1 -i 100ms --timeout 10s --warmup 0",
        echo.port
    ));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (errors, cell) = (stderr(&output), only(&report));
    echo.end();
    let lines = lines(&errors);
    assert_eq!(lines.len(), 10, "{errors}");
    let lost = |line: &Vec<String>| line[4].parse::<u64>().unwrap();
    assert_eq!(lines.iter().map(lost).sum::<u64>(), number(cell, "ledger.lost"), "{errors}");
}

#[test]
fn lines_of_a_sender_alone_say_what_is_unknown() {
    let _together = common::together();
    let sink = Serving::start("-B 127.0.0.1");
    let port = sink.port;
    let output = run(&format!("blast 127.0.0.1:{port} --no-peer -J -r 1k -t 300ms -i 100ms"));
    sink.end();
    let lines = lines(&stderr(&output));
    assert_eq!(lines.len(), 3, "{}", stderr(&output));
    // Two words of the rate, then received, lost, loss, p50 and p99.
    assert!(lines.iter().all(|line| line[4..9].iter().all(|word| word == "–")), "{lines:?}");
}

#[test]
fn lines_need_a_reason_and_quiet_omits_them() {
    let _together = common::together();
    let start = |words: &str| {
        let mut command = udperf();
        command.args(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::piped());
        (words.to_owned(), command.spawn().unwrap())
    };
    let runs = [
        ("bench -J -e plain -l 64 -r 500 -t 3", 0),
        ("bench -J -e plain -l 64 -r 500 -t 3 -v", 3),
        ("bench -J -e plain -l 64 -r 500 -t 100ms -i 50ms -q", 0),
        ("bench -J -e plain -l 64 -r 500 -t 100ms -i 0 -v", 0),
    ];
    let runs: Vec<_> = runs.iter().map(|(words, count)| (start(words), *count)).collect();
    for ((words, child), count) in runs {
        let errors = stderr(&child.wait_with_output().unwrap());
        assert_eq!(lines(&errors).len(), count, "{words}: {errors}");
    }
}

#[test]
fn a_terminal_shows_the_latest_interval() {
    let _together = common::together();
    let program = env!("CARGO_BIN_EXE_udperf");
    // script(1) of util-linux gives it a terminal.
    let words = format!("{program} bench -e plain -l 64 -r 1k -t 2 -i 200ms --warmup 0");
    let script = Command::new("script").args(["-qec", &words, "/dev/null"]).output();
    let Ok(output) = script else { return skip::unavailable("no script(1) here") };
    let text = String::from_utf8(output.stdout).unwrap();
    let drawn: Vec<_> = text.split("\r\u{1b}[2K").filter(|line| line.contains("0/1")).collect();
    assert!(drawn.iter().any(|line| line.contains("plain/64/1k")), "{text}");
    let latest = |line: &&str| line.contains("pps, loss ") && line.contains(", p99 ");
    assert!(drawn.iter().any(latest), "{text}");
    assert!(!text.contains("lag p99"), "{text}");
}

#[test]
fn replies_that_may_be_mixed_up_are_known_in_no_interval() {
    let _together = common::together();
    let echo = Serving::of("echo", "-B 127.0.0.1 --drop 20%");
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("a.json").display().to_string();
    let output = run(&format!(
        "load 127.0.0.1:{} --text x --match any --json={json} -r 500 -n 200 -i 100ms \
         --timeout 100ms --warmup 0",
        echo.port
    ));
    echo.end();
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let cell = only(&report);
    assert!(cell["exchange"]["in_order"] == true && number(cell, "exchange.timeouts") > 0);
    assert!(cell["latency"].is_null() && number(cell, "exchange.matched") > 0);
    let intervals = cell["intervals"].as_array().unwrap();
    let unknown = ["received", "lost", "timeouts", "errors", "latency", "latency_histogram"];
    let is_unknown = |one: &Value| unknown.iter().all(|field| one[field].is_null());
    assert!(intervals.len() >= 4 && intervals.iter().all(is_unknown), "{intervals:?}");
    common::check_identities(cell, &json);
    // The rate, then received, lost, loss, p50 and p99.
    let lines = lines_of(&stderr(&output), cell["id"].as_str().unwrap());
    assert_eq!(lines.len(), intervals.len(), "{}", stderr(&output));
    assert!(lines.iter().all(|line| line[3..8].iter().all(|word| word == "–")), "{lines:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("no reply") && !text.contains("worst interval"), "{text}");
}
