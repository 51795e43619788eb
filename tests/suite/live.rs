//! The full-screen view: what it shows on a pseudo-terminal, and that it gives the terminal back.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use crate::common;

use common::serving::Serving;
use common::signals::{signal, until_stopped};
use common::{cells, number, only, run, stderr, udperf};
use serde_json::Value;

use crate::pty::OnTerminal;

/// Waits for a row of an interval.
#[track_caller]
fn until_interval(live: &mut OnTerminal) {
    live.until("interval", |shown| !rows(shown).is_empty());
}

/// The rows of intervals on a screen, as words; the first is its seconds.
fn rows(shown: &str) -> Vec<Vec<String>> {
    let words =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let lines = shown.lines().skip_while(|line| !line.trim().starts_with("seconds")).skip(1);
    let is_row = |words: &Vec<String>| {
        words.len() > 3
            && words[0].split_once('–').is_some_and(|(from, _)| from.parse::<f64>().is_ok())
    };
    lines.map(words).take_while(is_row).collect()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A count as the view shows it.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

#[test]
fn frames_show_the_intervals_of_the_document() {
    let _together = common::together();
    for (columns, height) in [(80, 24), (140, 40)] {
        // A ramp: no two intervals are alike.
        let words = "bench -J -e plain -l 64 --pace ramp:500..4k -t 3 -i 500ms --warmup 0 --live";
        let mut live = OnTerminal::udperf(words, columns, height);
        live.until("second interval", |shown| rows(shown).len() >= 3);
        let frame = live.shown();
        assert!(frame.starts_with("udperf bench · cell 1/1 plain/64/"), "{frame}");
        for part in ["rate  sent ", "so far      sent ", "drops", "stalls", "cells done", "q end"] {
            assert!(frame.contains(part), "{part}\n{frame}");
        }
        assert!(frame.chars().any(|symbol| ('\u{2801}'..='\u{28FF}').contains(&symbol)), "{frame}");
        let (output, shown) = live.ended(0);
        let report = document(&output);
        let intervals = only(&report)["intervals"].as_array().unwrap();
        for (row, interval) in rows(&frame).iter().zip(intervals) {
            let (from, to) = row[0].split_once('–').unwrap();
            for (seconds, field) in [(from, "start_ns"), (to, "end_ns")] {
                assert_eq!(seconds.parse::<f64>().unwrap() * 1e9, number(interval, field) as f64);
            }
            let received: u64 = row[3].replace(',', "").parse().unwrap();
            assert!(received <= number(interval, "received"), "{row:?} {interval}");
            if columns > 80 {
                assert!(row.contains(&grouped(number(interval, "sent"))), "{row:?} {interval}");
            }
        }
        assert!(!shown.contains("cells done"), "{shown}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn each_way_to_end_gives_the_terminal_back() {
    let _together = common::together();
    for how in ["q", "\u{3}", "TERM", "HUP"] {
        let words = "bench -J -e plain -l 64 -r 1k -t 60 -i 100ms --live";
        let mut live = OnTerminal::udperf(words, 80, 24);
        until_interval(&mut live);
        match how.len() {
            1 => live.press(how),
            _ => signal(live.process(), how),
        }
        let (output, shown) = live.ended(130);
        let report = document(&output);
        assert_eq!(only(&report)["cut_short_because"], "interrupted", "{how}");
        assert!(shown.contains("udperf: the run ends; its report follows"), "{how}: {shown}");
    }
}

#[test]
fn a_stopped_program_gives_the_terminal_back_until_it_goes_on() {
    let _together = common::together();
    let words = "bench -J -e plain -l 64 -r 1k -t 60 -i 100ms --live";
    let mut live = OnTerminal::udperf(words, 80, 24);
    for how in ["\u{1a}", "TSTP", "STOP"] {
        until_interval(&mut live);
        match how.len() {
            1 => live.press(how),
            _ => signal(live.process(), how),
        }
        if how != "STOP" {
            live.until("the ordinary screen", |shown| !shown.contains("udperf bench"));
        }
        until_stopped(live.process());
        assert!(how == "STOP" || live.is_given_back(), "{how}");
        // As a program does that had the terminal meanwhile.
        live.scribble();
        signal(live.process(), "CONT");
        live.until("a whole frame", |shown| {
            shown.starts_with("udperf bench") && !shown.contains("scribble")
        });
    }
    live.press("q");
    let (output, _, times) = live.gave_back();
    assert_eq!(output.status.code(), Some(130));
    assert!(times >= 4, "{times}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn an_abort_gives_the_terminal_back() {
    let _together = common::together();
    for how in ["\u{1c}", "QUIT"] {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_udperf");
        let words = "bench -e plain -l 64 -r 1k -t 60 -i 100ms --live";
        command.args(["-c", &format!("ulimit -c 0; exec {program} {words}")]);
        let mut live = OnTerminal::start(command, 80, 24);
        until_interval(&mut live);
        match how.len() {
            1 => live.press(how),
            _ => signal(live.process(), how),
        }
        let (output, ..) = live.gave_back();
        assert_eq!(output.status.signal(), Some(libc::SIGQUIT), "{how}");
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_panic_gives_the_terminal_back() {
    let _together = common::together();
    let mut command = udperf();
    command.args("bench -e plain -l 64 -r 1k -t 500ms --live".split(' '));
    command.env("UDPERF_TEST_PANIC_IN", "cell");
    let (_, shown) = OnTerminal::start(command, 80, 24).ended(1);
    assert!(shown.contains("panicked at"), "{shown}");
    assert!(shown.contains("internal error in the cell"), "{shown}");
}

#[test]
fn keys_and_sizes_change_the_frame() {
    let _together = common::together();
    let words = "bench -J -e plain -l 64 -r 1k -t 60 -i 100ms --live";
    let mut live = OnTerminal::udperf(words, 60, 20);
    live.until_text("--live needs 80 x 24");
    live.resize(80, 24);
    until_interval(&mut live);
    live.until_text("rate  sent");
    for title in ["loss  lost", "latency  p50", "rate  sent"] {
        live.press("\t");
        live.until_text(title);
    }
    live.press("?");
    live.until_text("freeze the view, and go on");
    live.press("?");
    until_interval(&mut live);
    live.press("p");
    live.until_text("frozen");
    // An unknown key; nothing else changes the frozen figures.
    let frozen = rows(&live.shown());
    live.press("\u{1b}[A\t");
    live.until_text("loss  lost");
    assert_eq!(rows(&live.shown()), frozen);
    live.press("p");
    live.until("going on", |shown| !shown.contains("frozen") && rows(shown) != frozen);
    live.resize(140, 40);
    live.until("two charts", |shown| {
        shown.contains("loss  lost") && shown.contains("latency  p50")
    });
    live.press("q");
    live.ended(130);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_terminal_that_vanishes_ends_only_the_view() {
    let _together = common::together();
    for is_ignored in [true, false] {
        let mut command = Command::new("sh");
        let (trap, time) = if is_ignored { ("trap '' HUP; ", 2) } else { ("", 60) };
        let program = env!("CARGO_BIN_EXE_udperf");
        let words = format!("bench -J -e plain -l 64 -r 1k -t {time} -i 100ms --live");
        command.args(["-c", &format!("{trap}exec {program} {words}")]);
        let mut live = OnTerminal::start(command, 80, 24);
        until_interval(&mut live);
        let output = live.vanished();
        let report = document(&output);
        if is_ignored {
            assert_eq!(output.status.code(), Some(0));
            assert_eq!(only(&report)["cut_short"], false);
            assert_eq!(only(&report)["intervals"].as_array().unwrap().len(), 20);
        } else {
            assert_eq!(output.status.code(), Some(130));
        }
    }
}

#[test]
fn without_a_terminal_the_run_goes_on() {
    let output = run("bench -J -e plain -l 64 -r 1k -t 200ms --live");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("no --live: standard error is not a terminal"));
    // A twentieth of the cell.
    let report = document(&output);
    assert_eq!(only(&report)["intervals"].as_array().unwrap().len(), 20);
    for (words, why) in [
        ("bench --live -q", "cannot be used with '--quiet'"),
        ("sink --live -q", "cannot be used with '--quiet'"),
        ("bench --live -i 0", "omit --interval 0"),
        ("search p99<=1ms -- bench -l 64 --live", "many short runs"),
        ("ab -- bench --live", "single runs"),
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{words}: {}", stderr(&output));
    }
    let mut command = udperf();
    command.args("bench -J -e plain -l 64 -r 1k -t 200ms --live".split(' '));
    let mut live = OnTerminal::start(command, 80, 24);
    live.until_text("udperf bench");
    live.ended(0);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_the_other_host_counts_is_not_0_and_colors_may_be_off() {
    let _together = common::together();
    let sink = Serving::start("-B 127.0.0.1");
    let mut command = udperf();
    command.args(format!("blast 127.0.0.1:{} -J -r 1k -t 2 -i 200ms --live", sink.port).split(' '));
    command.env("NO_COLOR", "1");
    let mut live = OnTerminal::start(command, 80, 24);
    until_interval(&mut live);
    let frame = live.shown();
    let row = &rows(&frame)[0];
    // Two words of the rate, then received, lost, loss, p50, p99 and the maximum.
    assert!(row[3..9].iter().all(|word| word == "–"), "{row:?}");
    assert!(frame.contains("received – · lost –"), "{frame}");
    let sequences = String::from_utf8_lossy(&live.written).into_owned();
    // Of sequences that set a style, those with a colour.
    let is_style =
        |part: &&str| part.find(char::is_alphabetic).is_some_and(|at| &part[at..=at] == "m");
    let mut styles = sequences.split("\u{1b}[").skip(1).filter(is_style);
    assert!(styles.all(|part| !part.split('m').next().unwrap_or_default().contains(";3")));
    let (output, _) = live.ended(0);
    assert!(number(only(&document(&output)), "ledger.received") > 0);
    sink.end();
}

#[test]
fn both_directions_of_a_cell_are_shown() {
    let _together = common::together();
    let sink = Serving::start("-B 127.0.0.1");
    let words = format!(
        "blast 127.0.0.1:{} -J -e plain -l 64 -r 500 -t 60 -i 100ms --warmup 0 --bidir --live \
         --color always",
        sink.port
    );
    let mut live = OnTerminal::udperf(&words, 140, 40);
    live.until("rows of both directions", |shown| {
        ["→ ", "← "].iter().all(|way| shown.lines().any(|line| line.trim().starts_with(way)))
    });
    live.until_text("rate of what is sent  sent ");
    live.until_text("rate of what is received  sent ");
    live.press("q");
    let report = document(&live.ended(130).0);
    for cell in cells(&report) {
        assert!(number(cell, "ledger.received") > 0, "{cell}");
    }
    assert_eq!(cells(&report).len(), 2);
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn servers_show_clients_and_other_traffic() {
    let _together = common::together();
    let words = "sink -J -B 127.0.0.1 -p 0 -i 250ms --live";
    let mut sink = OnTerminal::udperf(words, 80, 24);
    sink.until_text("udperf sink on 127.0.0.1:");
    let port = |live: &OnTerminal| {
        let shown = live.shown();
        let rest = shown.split("127.0.0.1:").nth(1).unwrap_or_default();
        rest.split(' ').next().unwrap_or_default().to_owned()
    };
    let at = port(&sink);
    let alone =
        run(&format!("blast 127.0.0.1:{at} --no-peer -q -e plain -l 64 -r 2k -n 500 --warmup 0"));
    assert_eq!(alone.status.code(), Some(0), "{}", stderr(&alone));
    sink.until_text("500 datagrams");
    let client = run(&format!("blast 127.0.0.1:{at} -J -q -e plain -l 64 -r 2k -n 400 --warmup 0"));
    let received = number(only(&document(&client)), "ledger.received");
    sink.until("the client", |shown| {
        let is_client = |line: &&str| line.starts_with("127.0.0.1:");
        let row = shown.lines().find(is_client).unwrap_or_default();
        row.split_whitespace().nth(1) == Some(received.to_string().as_str())
    });
    sink.until_text(&format!("0 clients now · {received} datagrams from all so far"));
    sink.press("q");
    let report = document(&sink.ended(130).0);
    assert_eq!(cells_of_clients(&report), 1);

    let mut echo = OnTerminal::udperf("echo -J -B 127.0.0.1 -p 0 --live", 80, 24);
    echo.until_text("udperf echo on 127.0.0.1:");
    let ping = run(&format!("ping 127.0.0.1:{} -q -J -n 20 --warmup 0", port(&echo)));
    assert_eq!(cells(&document(&ping)).len(), 1);
    echo.until_text("20 datagrams");
    echo.press("q");
    echo.ended(130);
}

fn cells_of_clients(report: &Value) -> u64 {
    report["clients"].as_array().unwrap().iter().map(|client| number(client, "cells")).sum()
}
