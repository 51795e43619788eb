//! Metrics while a run goes on: valid, rising, and at the end those of the document.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common;

use common::serving::Serving;
use common::{interval_sum, number, only, run, sum, udperf};
use serde_json::Value;

/// Values by sample: name and labels.
pub(crate) type Samples = BTreeMap<String, f64>;

pub(crate) const SENT: &str = r#"udperf_datagrams_total{direction="forward",outcome="sent"}"#;

/// A response to this request line.
pub(crate) fn request(at: &str, line: &str) -> String {
    request_accepting(at, line, "*/*")
}

/// The same for one that accepts these types. Version 1.0: the response is not in chunks.
pub(crate) fn request_accepting(at: &str, line: &str, types: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "{line} HTTP/1.0\r\nHost: udperf\r\nAccept: {types}\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The samples of a valid OpenMetrics text; the families of all of them are declared before.
pub(crate) fn scrape(at: &str) -> Samples {
    samples(&request(at, "GET /metrics"))
}

fn samples(response: &str) -> Samples {
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
            assert!(kind == "HELP" || name == family, "{line}");
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

/// Where a program that was just started serves metrics.
pub(crate) fn endpoint(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let at = lines.find_map(|line| {
        let line = line.unwrap();
        let url = line.strip_prefix("udperf: metrics: http://")?;
        Some(url.strip_suffix("/metrics").unwrap().to_owned())
    });
    at.unwrap()
}

/// Whether the file of events has a result.
pub(crate) fn has_ended(events: &Path) -> bool {
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
    let at = endpoint(&mut child);
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
    let while_running = |one: &&Samples| {
        one.get(SENT).is_some_and(|sent| *sent > 0.0 && *sent < end["udperf_latency_seconds_count"])
    };
    assert!(all.iter().any(|one| while_running(&one)), "{all:?}");
    check_totals(cell, end);
}

/// The samples are those of a document with this cell only.
#[track_caller]
pub(crate) fn check_totals(cell: &Value, end: &Samples) {
    for (outcome, path) in [
        ("sent", "ledger.sent"),
        ("received", "ledger.received"),
        ("lost", "ledger.lost"),
        ("duplicate", "ledger.duplicate"),
        ("late", "ledger.late"),
        ("reordered", "ledger.reordered"),
        ("missed", "schedule.missed"),
    ] {
        let sample = SENT.replace("sent", outcome);
        assert_eq!(end[&sample], number(cell, path) as f64, "{sample}");
    }
    assert_eq!(end[&SENT.replace("sent", "refused")], sum(cell, "ledger.refused") as f64);
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

#[test]
#[ignore = "long: scripts/check runs it"]
fn latency_that_may_be_unknown_is_not_told_early() {
    let _together = common::together();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let echo = Serving::of("echo", "");
    // Requests without ids: their responses are matched in order.
    let mut child = udperf()
        .args(["load", &format!("127.0.0.1:{}", echo.port), "-q", "-J"])
        .args("--text ask -r 500 -t 1500ms -i 10ms --metrics 127.0.0.1:0 --events".split(' '))
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let at = endpoint(&mut child);
    let (mut counts, mut last) = (Vec::new(), false);
    while !last {
        last = has_ended(&file);
        counts.extend(scrape(&at).get("udperf_latency_seconds_count").copied());
    }
    let mut json = String::new();
    child.stdout.take().unwrap().read_to_string(&mut json).unwrap();
    // More than a pipe holds (pipe(7)): the endpoint was there until all of it was read.
    assert!(json.len() > 65_536, "{}", json.len());
    assert!(child.wait().unwrap().success());
    echo.end();
    let document: Value = serde_json::from_str(&json).unwrap();
    let cell = only(&document);
    assert_eq!(cell["exchange"]["in_order"], true);
    match number(cell, "exchange.timeouts") {
        0 => {
            let all = interval_sum(cell, "received") as f64;
            assert!(!counts.is_empty() && counts.iter().all(|count| *count == all), "{counts:?}");
        }
        _ => assert!(counts.is_empty(), "{counts:?}"),
    }
}

/// An address that is free.
pub(crate) fn free() -> String {
    format!("127.0.0.1:{}", common::ports::free())
}

/// The value of a sample once it is at least this.
pub(crate) fn reaches(at: &str, sample: &str, least: u64) -> u64 {
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
    let cell = sink.blast("-e plain -l 64 -r 1k -t 200ms");
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
#[ignore = "long: scripts/check runs it"]
fn a_sink_counts_cells_that_run() {
    let _together = common::together();
    let at = free();
    let sink = Serving::start(&format!("-B 127.0.0.1 --metrics {at}"));
    let words = format!("blast 127.0.0.1:{} -J -q -e plain -r 1k -t 60 --bidir", sink.port);
    let mut command = udperf();
    command.args(words.split(' ')).stdout(Stdio::piped()).stderr(Stdio::null());
    let client = command.spawn().unwrap();
    let (received, sent) = (SENT.replace("sent", "received"), SENT.replace("forward", "reverse"));
    // Before the client has left.
    for sample in [&received, &sent] {
        assert!(reaches(&at, sample, 100) >= 100);
    }
    common::signals::signal(client.id(), "INT");
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cell = |at: usize, name: &str| number(&report["cells"][at]["ledger"], name);
    let counts = [(&received, cell(0, "received")), (&sent, cell(1, "sent"))];
    let counts = counts.map(|(sample, least)| [reaches(&at, sample, least), least]);
    let client = &sink.end()["clients"][0];
    for ([count, ledger], name) in counts.into_iter().zip(["received", "sent"]) {
        assert_eq!((count, number(client, name)), (ledger, ledger), "{name}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn servers_have_metrics_by_client() {
    let _together = common::together();
    let received = |client: &str| {
        let labels = format!(r#"direction="forward",outcome="received",client="{client}""#);
        format!("udperf_datagrams_total{{{labels}}}")
    };
    let at = free();
    let sink = Serving::start(&format!("--metrics {at} --metrics-clients"));
    let clients = ["127.0.0.1", "127.0.0.2"];
    let counts = clients.map(|client| {
        let cell = sink.blast(&format!("-e plain -l 64 -r 1k -t 100ms -B {client}"));
        reaches(&at, &received(client), number(only(&cell), "ledger.received"))
    });
    assert!(!scrape(&at).contains_key(&SENT.replace("sent", "received")));
    let document = sink.end();
    for (at, count) in counts.into_iter().enumerate() {
        assert_eq!(number(&document["clients"][at], "received"), count);
    }
    // More addresses than have labels: two datagrams of each.
    let echo = Serving::of("echo", &format!("--metrics {at} --metrics-clients -B 127.0.0.1"));
    for number in 0..300_u32 {
        let from = std::net::Ipv4Addr::from(0x7F00_0100 + number);
        let socket = UdpSocket::bind((from, 0)).unwrap();
        for _ in 0..2 {
            socket.send_to(b"request", ("127.0.0.1", echo.port)).unwrap();
            assert_eq!(socket.recv(&mut [0; 16]).unwrap(), 7);
        }
    }
    assert_eq!(reaches(&at, &received("other"), 2 * 44), 2 * 44);
    let samples = scrape(&at);
    assert_eq!((samples.len(), samples[&received("127.0.1.0")]), (1 + 256 + 1, 2.0));
    assert_eq!(number(&echo.end(), "received"), 600);
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
    let at = &endpoint(&mut child);
    assert!(request(at, "GET /else").starts_with("HTTP/1.1 404"));
    assert!(request(at, "POST /metrics").starts_with("HTTP/1.1 405"));
    assert!(scrape(at).keys().any(|sample| sample.starts_with("udperf_build_info{")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "long: scripts/check runs it"]
fn a_run_of_default_engines_takes_little_memory() {
    let _alone = common::alone();
    let folder = tempfile::tempdir().unwrap();
    let mut child = udperf()
        .args("bench -q -J -l 64 -t 200ms -i 10ms --metrics 127.0.0.1:0 --events".split(' '))
        .arg(folder.path().join("events"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // The document is larger than a pipe, so that the program lasts until it is read.
    let mut json = vec![0];
    stdout.read_exact(&mut json).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    stdout.read_to_end(&mut json).unwrap();
    assert!(child.wait().unwrap().success());
    let document: Value = serde_json::from_slice(&json).unwrap();
    let cells = common::cells(&document);
    assert!(cells.iter().all(|cell| cell["intervals"].as_array().unwrap().len() >= 20));
    let kib = |name: &str| -> u64 {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().trim_end_matches(" kB").parse().unwrap()
    };
    // Of 32 MiB, the pages of the program file take up to 8 MiB, but more of a debug build.
    let kib = kib("VmHWM:") - kib("RssFile:");
    assert!(kib <= 24 << 10, "{kib} KiB");
}

/// A run with these words and metrics, until this sample has at least one.
fn until_counted(words: &str, sample: &str) {
    let at = free();
    let mut command = udperf();
    command.args(words.split(' ')).args(["--metrics", &at]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut String::new()).unwrap();
    assert!(reaches(&at, sample, 1) >= 1);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn drops_of_all_traffic_are_not_those_of_a_running_cell() {
    let _alone = common::alone();
    let (folder, at) = (tempfile::tempdir().unwrap(), free());
    let file = folder.path().join("events");
    let mut command = udperf();
    // The smallest buffer of socket(7), at full rate.
    let words = "bench -q -e batch -l 1024 -r max -t 60 -w 2K -i 250ms";
    command.args(words.split(' ')).args(["--metrics", &at, "--events"]).arg(&file);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let has_drops = || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let drops = |line: &str| {
            let event: Value = serde_json::from_str(line).ok()?;
            event["kernel_drops"]["receive_buffer"].as_u64()
        };
        text.lines().filter_map(drops).any(|drops| drops > 0)
    };
    while !has_drops() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    // What is published later has the same readings.
    let mut counted = 0;
    for _ in 0..2 {
        counted = reaches(&at, SENT, counted + 1);
    }
    let dropped = |sample: &String| sample.starts_with("udperf_dropped");
    assert!(!scrape(&at).keys().any(dropped));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn metrics_of_a_running_cell_have_what_arrives_from_another_host() {
    let _together = common::together();
    let sink = Serving::start("-B 127.0.0.1");
    for flag in ["--reverse", "--bidir"] {
        let words = format!("blast 127.0.0.1:{} {flag} -e plain -l 64 -r 1k -t 30", sink.port);
        let sample = r#"udperf_datagrams_total{direction="reverse",outcome="received"}"#;
        until_counted(&words, sample);
    }
}
