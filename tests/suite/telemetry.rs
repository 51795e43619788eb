//! Events while a run goes on: each cell and interval, and at the end those of the document.

use std::net::{TcpListener, UdpSocket};
use std::process::Stdio;

use crate::common;

use common::serving::Serving;
use common::{cells, number, only, run, stderr, udperf};
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
            for field in ["sent", "received", "refused", "duplicate"] {
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
#[ignore = "long: scripts/check runs it"]
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
        ("bench --events .", 1, "cannot write .: is a directory"),
        ("bench --events /dev/stdout -J", 2, "cannot both go to standard output"),
        ("bench --events - --csv /dev/fd/1", 2, "cannot both go to standard output"),
        ("bench --events - -i 0", 2, "omit --interval 0"),
        ("bench --metrics 0.0.0.0:0", 2, "allow it with --metrics-public"),
        ("bench --metrics [::ffff:192.0.2.1]:0", 2, "allow it with --metrics-public"),
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

#[test]
#[cfg(target_os = "linux")]
fn standard_output_by_another_name_has_no_text_either() {
    let _together = common::together();
    let output = run("bench -e plain -l 64 -r 1k -n 20 --events /dev/stdout");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let events = events(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(events.iter().filter(|event| event["event"] == "result").count(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn events_that_cannot_be_written_are_an_error() {
    let _together = common::together();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    for (events, why) in [("/dev/full", "cannot write /dev/full"), ("-", "standard output")] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = udperf()
            .args("bench -q -e plain -l 64 -r 1k -n 20 --events".split(' '))
            .arg(events)
            .arg(format!("--json={}", file.display()))
            .stdout(if events == "-" { full.into() } else { Stdio::null() })
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{events}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{events}: {}", stderr(&output));
        let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(number(only(&document), "ledger.sent"), 20);
    }
}

#[test]
fn a_run_that_cannot_start_keeps_the_events_of_the_last_one() {
    let _together = common::together();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    std::fs::write(&file, "old\n").unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (words, code) in [
        (format!("bench -e plain -l 64 -n 20 -p {port}"), 1),
        ("bench -e plain -l 64 -n 20 --pin 9999:9999".to_owned(), 2),
    ] {
        let output = run(&format!("{words} --events {}", file.display()));
        assert_eq!(output.status.code(), Some(code), "{words}: {}", stderr(&output));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old\n", "{words}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn events_have_the_drops_of_each_interval_while_it_runs() {
    let _together = common::together();
    let output = run("bench -e plain -l 64 -r 500 -t 2 -i 1 --warmup 0 --events -");
    let events = events(&String::from_utf8(output.stdout).unwrap());
    let intervals: Vec<_> = events.iter().filter(|one| one["event"] == "interval").collect();
    assert_eq!(intervals.len(), 2);
    assert!(intervals.iter().all(|one| one["kernel_drops"]["receive_buffer"].is_u64()));
}
