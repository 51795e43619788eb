//! Intervals of servers: by arrival, and their sums are the counts of the document.
#![cfg(all(target_os = "linux", not(udperf_portable)))]

use std::net::UdpSocket;

use crate::common;

use common::serving::Serving;
use common::{available, interval_sum, number, run, stderr};
use serde_json::Value;

/// The intervals of a document, which follow each other up to its end.
#[track_caller]
fn intervals(document: &Value) -> &[Value] {
    let intervals = document["intervals"].as_array().unwrap();
    let mut end_ns = 0;
    for interval in intervals {
        assert_eq!(number(interval, "start_ns"), end_ns, "{interval}");
        end_ns = number(interval, "end_ns");
        assert!(interval["latency"].is_null() && interval["stalls"].is_null(), "{interval}");
    }
    assert!(intervals.is_empty() || end_ns == number(document, "elapsed_ns"));
    intervals
}

/// The intervals add up to these counts.
#[track_caller]
fn check(document: &Value, sums: &[(&str, u64)]) {
    intervals(document);
    for (field, sum) in sums {
        assert_eq!(interval_sum(document, field), *sum, "{field}: {document}");
    }
}

/// The sum of a field over a list of the document.
fn sum(document: &Value, list: &str, field: &str) -> u64 {
    document[list].as_array().unwrap().iter().map(|one| number(one, field)).sum()
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn intervals_of_an_echo_server_add_up() {
    let _together = common::together();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let engines =
        [("plain", &[][..]), ("batch", &["batch"]), ("offload", &["gso"]), ("uring", &["uring"])];
    for engine in available(&engines) {
        let csv = path("a.csv");
        let words = format!("-B 127.0.0.1 -e {engine} -i 250ms --threads 2 --csv-intervals {csv}");
        let echo = Serving::of("echo", &words);
        let ping = run(&format!("ping 127.0.0.1:{} -q -n 300 --rate 500", echo.port));
        assert_eq!(ping.status.code(), Some(0), "{}", stderr(&ping));
        let document = echo.end();
        let n = |field: &str| number(&document, field);
        check(
            &document,
            &[
                ("received", n("received")),
                ("received_bytes", n("received_bytes")),
                ("sent", n("returned")),
                ("refused", common::sum(&document, "refused")),
                ("socket_drops", n("socket_drops")),
            ],
        );
        let all = intervals(&document);
        let used = all.iter().filter(|one| number(one, "received") > 0).count();
        assert!(used >= 2 && n("received") >= 300, "{document}");
        assert!(all.iter().all(|one| one["lost"].is_null() && one["unsolicited"].is_null()));
        check_csv(&document, &csv);
    }
}

/// The file has each interval of the document, and a stored document gives the same file.
#[track_caller]
fn check_csv(document: &Value, path: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let titles = lines.next().unwrap();
    let rows: Vec<_> = lines.collect();
    assert_eq!(rows.len(), intervals(document).len());
    for (row, interval) in rows.iter().zip(intervals(document)) {
        for field in ["start_ns", "end_ns", "received", "sent", "received_bytes", "unsolicited"] {
            let at = titles.iter().position(|title| *title == field).unwrap();
            let expected = interval[field].as_u64().map(|count| count.to_string());
            assert_eq!(row[at], expected.unwrap_or_default(), "{field}");
        }
    }
    let (stored, again) = (format!("{path}.json"), format!("{path}.again"));
    std::fs::write(&stored, document.to_string()).unwrap();
    let report = run(&format!("report -q {stored} --csv-intervals {again}"));
    assert_eq!(report.status.code(), Some(0), "{}", stderr(&report));
    assert_eq!(std::fs::read_to_string(&again).unwrap(), text);
}

#[test]
fn intervals_of_a_sink_add_up_for_clients_and_other_traffic() {
    let _together = common::together();
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("a.csv").display().to_string();
    let sink = Serving::start(&format!("-B 127.0.0.1 -i 250ms --threads 2 --csv-intervals {csv}"));
    // With intervals of the client and without, in both directions, of several flows and sizes.
    for words in [
        "-e plain -l 64 -r 2k -n 1200 -i 100ms",
        "-e plain -l imix -r 2k -n 600 -P 5 --threads 2",
        "-e batch -l 200 -r 2k -n 500 --bidir",
    ] {
        sink.blast(words);
    }
    let source = UdpSocket::bind("127.0.0.1:0").unwrap();
    for size in 1..=100 {
        source.send_to(&vec![0xFF; size], ("127.0.0.1", sink.port)).unwrap();
    }
    let document = sink.end();
    let clients = |field: &str| sum(&document, "clients", field);
    assert_eq!((clients("received") + clients("lost"), clients("sent")), (2_300, 500));
    assert_eq!(number(&document, "others.datagrams"), 100);
    check(
        &document,
        &[
            ("received", clients("received")),
            ("received_bytes", clients("bytes")),
            ("lost", clients("lost")),
            ("duplicate", clients("duplicate")),
            ("late", clients("late")),
            ("reordered", clients("reordered")),
            ("sent", clients("sent")),
            ("unsolicited", 100),
            ("unsolicited_bytes", 5_050),
            ("socket_drops", sum(&document, "listeners", "socket_drops")),
        ],
    );
    check_csv(&document, &csv);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn servers_of_3_s_have_intervals_of_a_second_and_shorter_ones_have_none() {
    let _together = common::together();
    let start = |words: &str| Serving::of("echo", &format!("-B 127.0.0.1 {words}"));
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("a.csv").display().to_string();
    let all = [
        ("-t 3".to_owned(), 3),
        ("-t 300ms".to_owned(), 0),
        ("-t 3 -i 0".to_owned(), 0),
        (format!("-t 300ms --csv-intervals {csv}"), 1),
        ("-t 600ms -i 250ms".to_owned(), 3),
    ];
    let all: Vec<_> = all.iter().map(|(words, count)| (words, start(words), *count)).collect();
    for (words, echo, count) in all {
        let document = echo.ended(0);
        assert_eq!(intervals(&document).len(), count, "{words}");
        for interval in intervals(&document).iter().rev().skip(1) {
            let width = number(interval, "end_ns") - number(interval, "start_ns");
            assert!([250_000_000, 1_000_000_000].contains(&width), "{words}: {interval}");
        }
    }
    let refused = run(&format!("sink -i 0 --csv-intervals {csv}"));
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("omit --interval 0"), "{}", stderr(&refused));
}
