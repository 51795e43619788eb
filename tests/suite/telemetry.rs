//! Events and metrics while a run goes on: valid, rising, and at the end those of the document.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common;

use common::serving::Serving;
use common::{cells, interval_sum, number, only, run, stderr, sum, udperf};
use serde_json::Value;

/// The events of a text: each line is one.
fn events(text: &str) -> Vec<Value> {
    let parse = |line: &str| -> Value { serde_json::from_str(line).unwrap() };
    let events: Vec<Value> = text.lines().map(parse).collect();
    assert!(events.iter().all(|event| event["schema"] == "udperf/1"));
    events
}

/// The events of this kind of a cell and trial.
fn of<'a>(events: &'a [Value], kind: &str, cell: &Value) -> Vec<&'a Value> {
    let is_of = |event: &&Value| {
        event["event"] == kind && event["id"] == cell["id"] && event["trial"] == cell["trial"]
    };
    events.iter().filter(is_of).collect()
}

/// Each interval of each cell has an event, none says more than the document, and each result is the
/// cell of the document.
#[track_caller]
fn check_events(events: &[Value], document: &Value) {
    assert_eq!(events[0]["event"], "start");
    assert_eq!(events[0]["scenario"], document["scenario"]);
    assert_eq!(events[0]["started_at"], document["started_at"]);
    for cell in cells(document) {
        let intervals = of(events, "interval", cell);
        let known = cell["intervals"].as_array().unwrap();
        assert_eq!(intervals.len(), known.len(), "{}", cell["id"]);
        for (event, interval) in intervals.iter().zip(known) {
            assert_eq!(event["start_ns"], interval["start_ns"]);
            assert_eq!(event["end_ns"], interval["end_ns"]);
            for field in ["sent", "received"] {
                assert!(event[field].as_u64() <= interval[field].as_u64(), "{field} {event}");
            }
        }
        let [result] = of(events, "result", cell)[..] else { panic!("one result") };
        let mut cell = cell.clone();
        for latency in ["latency", "from_send", "to_socket", "in_socket"] {
            if let Some(latency) = cell[latency].as_object_mut() {
                latency.remove("histogram");
            }
        }
        for (field, value) in cell.as_object().unwrap() {
            assert_eq!(result[field], *value, "{field}");
        }
        let warnings = of(events, "warning", &cell).len();
        assert_eq!(warnings, cell["warnings"].as_array().unwrap().len());
    }
}

#[test]
fn events_tell_each_cell_and_interval() {
    let _together = common::together();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    let output = run(&format!(
        "bench -e plain -l 64 -r 2k,max -t 300ms -i 100ms --events - --json={}",
        file.display()
    ));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let events = events(&String::from_utf8(output.stdout).unwrap());
    check_events(&events, &document);
    assert_eq!(events[0]["cells"], 2);
    let begun: Vec<_> = events.iter().filter(|event| event["event"] == "cell").collect();
    let numbers: Vec<_> = begun.iter().map(|one| (number(one, "number"), &one["id"])).collect();
    assert_eq!(numbers, [(1, &cells(&document)[0]["id"]), (2, &cells(&document)[1]["id"])]);
}

#[test]
fn events_of_two_hosts_have_what_is_known() {
    let _together = common::together();
    let sink = Serving::start("");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let flags = format!("-l 64 -r 2k -t 300ms -i 100ms --bidir --events {}", file.display());
    let document = sink.blast(&flags);
    let events = events(&std::fs::read_to_string(file).unwrap());
    check_events(&events, &document);
    assert_eq!(cells(&document).len(), 2);
    sink.end();
}

#[test]
fn a_closed_pipe_ends_only_the_events() {
    let _together = common::together();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    let mut child = udperf()
        .args("bench -e plain -l 64 -r 1k -n 200 --trials 3 --events -".split(' '))
        .arg(format!("--json={}", file.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output).matches("no more events").count(), 1, "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(cells(&document).len(), 3);
}

#[test]
fn what_cannot_be_reported_is_refused_before_the_run() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("bench --metrics {}", taken.local_addr().unwrap());
    for (words, code, why) in [
        ("bench --events - -J", 2, "cannot both go to standard output"),
        ("bench --events /tmp/x --json=/tmp/x", 2, "two results cannot both go to /tmp/x"),
        ("bench --events /no/such/file", 1, "no such folder"),
        ("bench --events - -i 0", 2, "omit --interval 0"),
        ("bench --metrics 0.0.0.0:0", 2, "allow it with --metrics-public"),
        ("bench --metrics here", 2, "not an address with a port"),
        ("search p99<=1ms -- bench -l 64 --metrics 127.0.0.1:0", 2, "many short runs"),
        ("ab -- bench --events -", 2, "single runs"),
        (taken.as_str(), 1, "choose another address for --metrics"),
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(code), "{words}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{words}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{words}");
    }
}

/// A response to this request line.
fn request(at: &str, line: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "{line} HTTP/1.1\r\nHost: udperf\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The samples of a valid OpenMetrics text; the families of all of them are declared before.
fn scrape(at: &str) -> BTreeMap<String, f64> {
    let response = request(at, "GET /metrics");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    let body = body.strip_suffix("# EOF\n").unwrap();
    let (mut samples, mut family) = (BTreeMap::new(), "");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            let (kind, name) = (words.next().unwrap(), words.next().unwrap());
            assert!(["TYPE", "UNIT", "HELP"].contains(&kind), "{line}");
            assert!(kind == "TYPE" || name == family, "{line}");
            family = name;
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let suffix = name.strip_prefix(family).unwrap();
        assert!(["_total", "_info", "_bucket", "_count", "_sum"].contains(&suffix), "{line}");
        for label in labels.strip_suffix('}').unwrap().split(',').filter(|one| !one.is_empty()) {
            let (_, value) = label.split_once("=\"").unwrap();
            assert!(value.ends_with('"'), "{line}");
        }
        assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{line}");
    }
    samples
}

/// Whether the file of events has a result.
fn has_ended(events: &Path) -> bool {
    std::fs::read_to_string(events).is_ok_and(|text| text.contains("\"event\":\"result\""))
}

#[test]
fn metrics_rise_to_the_document() {
    let _together = common::together();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    // The document is larger than a pipe, so that the program lasts until it is read.
    let mut child = udperf()
        .args("bench -e plain -l 64 -r 1k -t 2 -i 10ms -J --metrics 127.0.0.1:0".split(' '))
        .arg("--events")
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let at = lines.find_map(|line| {
        let line = line.unwrap();
        let url = line.strip_prefix("udperf: metrics: http://")?;
        Some(url.strip_suffix("/metrics").unwrap().to_owned())
    });
    let at = at.unwrap();
    // One that never reads, and one that never asks.
    let mut deaf = TcpStream::connect(&at).unwrap();
    deaf.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let _silent = TcpStream::connect(&at).unwrap();
    let (mut all, mut last) = (Vec::new(), false);
    while !last {
        last = has_ended(&file);
        all.push(scrape(&at));
    }
    let mut json = String::new();
    child.stdout.take().unwrap().read_to_string(&mut json).unwrap();
    assert!(child.wait().unwrap().success());
    for pair in all.windows(2) {
        for (sample, value) in &pair[0] {
            assert!(pair[1][sample] >= *value, "{sample} fell from {value}");
        }
    }
    let document: Value = serde_json::from_str(&json).unwrap();
    let (cell, end) = (only(&document), all.last().unwrap());
    let sent = r#"udperf_datagrams_total{direction="forward",outcome="sent"}"#;
    let while_running = |one: &&BTreeMap<_, _>| {
        one.get(sent).is_some_and(|sent| *sent > 0.0 && *sent < end["udperf_latency_seconds_count"])
    };
    assert!(all.iter().any(|one| while_running(&one)), "{all:?}");
    for (outcome, path) in [
        ("sent", "ledger.sent"),
        ("received", "ledger.received"),
        ("lost", "ledger.lost"),
        ("duplicate", "ledger.duplicate"),
        ("late", "ledger.late"),
        ("reordered", "ledger.reordered"),
        ("missed", "schedule.missed"),
    ] {
        let sample = sent.replace("sent", outcome);
        assert_eq!(end[&sample], number(cell, path) as f64, "{sample}");
    }
    assert_eq!(end[&sent.replace("sent", "refused")], sum(cell, "ledger.refused") as f64);
    for (place, count) in cell["ledger"]["lost_at"].as_object().unwrap() {
        let sample = format!("udperf_dropped_datagrams_total{{place=\"{place}\"}}");
        assert_eq!(end.get(&sample).copied(), count.as_f64(), "{sample}");
    }
    for (name, count) in [("latency", "received"), ("schedule_lag", "sent")] {
        let count = interval_sum(cell, count) as f64;
        assert_eq!(end[&format!("udperf_{name}_seconds_count")], count);
        assert_eq!(end[&format!("udperf_{name}_seconds_bucket{{le=\"+Inf\"}}")], count);
    }
    let stalls = number(cell, "stalls.tx.total_ns") + number(cell, "stalls.rx.total_ns");
    assert!((end["udperf_stalls_seconds_total"] - stalls as f64 / 1e9).abs() < 1e-9);
}

/// An address that is free at the moment.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The value of a sample once it is at least this.
fn reaches(at: &str, sample: &str, least: u64) -> u64 {
    let began = Instant::now();
    loop {
        let value = scrape(at).get(sample).map_or(0, |value| *value as u64);
        if value >= least {
            return value;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{sample} is {value}, not {least}");
    }
}

#[test]
fn servers_have_metrics() {
    let _together = common::together();
    let count = |outcome: &str| {
        format!(r#"udperf_datagrams_total{{direction="forward",outcome="{outcome}"}}"#)
    };
    let at = free();
    let sink = Serving::start(&format!("--metrics {at}"));
    let cell = sink.blast("-l 64 -r 1k -t 200ms");
    let received = reaches(&at, &count("received"), number(only(&cell), "ledger.received"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"unsolicited", ("127.0.0.1", sink.port)).unwrap();
    assert_eq!(reaches(&at, &count("unsolicited"), 1), 1);
    let document = sink.end();
    assert_eq!(received, number(&document["clients"][0], "received"));
    let echo = Serving::of("echo", &format!("--metrics {at}"));
    let ping = run(&format!("ping 127.0.0.1:{} -J -q -n 50", echo.port));
    let ping: Value = serde_json::from_slice(&ping.stdout).unwrap();
    let received = reaches(&at, &count("received"), number(only(&ping), "exchange.requests"));
    assert!(received <= number(&echo.end(), "received"));
}

#[test]
fn only_get_of_metrics_is_answered() {
    let _together = common::together();
    let mut child = udperf()
        .args("bench -e plain -l 64 -r 1k -t 30 --metrics 127.0.0.1:0".split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let at = line.trim_start_matches("udperf: metrics: http://").trim_end();
    let at = at.strip_suffix("/metrics").unwrap();
    assert!(request(at, "GET /else").starts_with("HTTP/1.1 404"));
    assert!(request(at, "POST /metrics").starts_with("HTTP/1.1 405"));
    assert!(scrape(at).keys().any(|sample| sample.starts_with("udperf_build_info{")));
    child.kill().unwrap();
    child.wait().unwrap();
}
