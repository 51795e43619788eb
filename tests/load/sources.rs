//! Requests from many source addresses: what the server sees, and what the report says of each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::common::{number, together};
use crate::proc::{PATIENCE, Proc};
use crate::rig::{load, only, ping, run};
use crate::shim::heard;

/// Requests and ports by source address, as the server counts them.
type Seen = BTreeMap<IpAddr, (u64, Vec<u16>)>;

/// An echo server at this address that takes so many requests, and ignores those of one source.
fn server(at: &str, count: usize, ignored: &'static str) -> (SocketAddr, JoinHandle<Seen>) {
    let socket = UdpSocket::bind(at).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = socket.local_addr().unwrap();
    let serve = move || {
        let (mut slot, mut seen) = ([0; 2_048], Seen::new());
        for _ in 0..count {
            let (len, from) = heard(&socket, &mut slot).unwrap();
            let (requests, ports) = seen.entry(from.ip()).or_default();
            *requests += 1;
            if !ports.contains(&from.port()) {
                ports.push(from.port());
            }
            if from.ip().to_string() != ignored {
                socket.send_to(&slot[..len], from).unwrap();
            }
        }
        seen
    };
    (at, std::thread::spawn(serve))
}

/// Address, requests, answered and unanswered, and whether it stands out, of each row.
fn rows(cell: &Value) -> Vec<(&str, u64, u64, u64, bool)> {
    let row = |row: &'_ Value| {
        let n = |name| number(row, name);
        assert_eq!(n("sources"), 1, "{row}");
        (n("sent"), n("received"), n("lost"), row["stands_out"].as_bool().unwrap())
    };
    let all = cell["sources"].as_array().unwrap().iter();
    all.map(|one| {
        let (sent, received, lost, stands_out) = row(one);
        (one["address"].as_str().unwrap(), sent, received, lost, stands_out)
    })
    .collect()
}

#[test]
fn a_network_of_sources_is_as_many_clients() {
    let _together = together();
    for (words, streams, used) in [
        ("--source 127.0.1.0/24 -P 64", 64, 64),
        ("--source 127.0.1.0/24 -P 64 --threads 2 --outstanding 64", 64, 64),
        ("--source 127.0.1.0/26", 62, 62),
        ("--source 127.0.1.1,127.0.2.9 -P 64", 64, 2),
    ] {
        let (at, serving) = server("127.0.0.1:0", 640, "");
        let report = load(at, &format!("--preset echo -n 640 -r 4k {words}"));
        let seen = serving.join().unwrap();
        assert_eq!(seen.len(), used, "{words}: {seen:?}");
        let ports: usize = seen.values().map(|(_, ports)| ports.len()).sum();
        assert_eq!(ports, streams, "{words}: {seen:?}");
        let cell = only(&report);
        assert_eq!(number(cell, "streams"), streams as u64);
        let mut expected: Vec<_> = seen
            .iter()
            .map(|(ip, (requests, _))| (ip.to_string(), *requests, *requests, 0, false))
            .collect();
        let mut found: Vec<_> = rows(cell)
            .into_iter()
            .map(|(ip, sent, received, lost, out)| (ip.to_owned(), sent, received, lost, out))
            .collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{words}");
    }
}

#[test]
fn a_source_that_the_server_ignores_stands_out() {
    let _together = together();
    let (at, serving) = server("127.0.0.1:0", 6_400, "127.0.1.7");
    // A closed loop sends all of them on a busy machine, too.
    let words =
        "--preset echo -n 6400 --outstanding 64 --source 127.0.1.0/24 -P 64 --timeout 300ms";
    let report = load(at, words);
    let seen = serving.join().unwrap();
    let requests = seen[&"127.0.1.7".parse::<IpAddr>().unwrap()].0;
    assert_eq!(seen.len(), 64);
    let cell = only(&report);
    let rows = rows(cell);
    assert_eq!(rows[0], ("127.0.1.7", requests, 0, requests, true));
    assert!(rows[1..].iter().all(|(_, sent, received, _, out)| sent == received && !out));
    assert_eq!(number(cell, "exchange.timeouts"), requests);
    let warning = "1 of 64 sources lost more: 127.0.1.7 100.00%; see sources";
    let warnings = cell["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|one| one["message"] == warning), "{warnings:?}");
    // The text says so, too.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    std::fs::write(&file, report.to_string()).unwrap();
    let shown = crate::common::udperf().arg("report").arg(&file).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap().replace('\u{a0}', " ");
    let note = format!("64; unanswered: 127.0.1.7 {requests} of {requests};");
    assert!(shown.contains("64 sources") && shown.contains(&note), "{shown}");
}

#[test]
fn sources_have_ports_of_their_own() {
    let _together = together();
    // Each port of the range once at each source.
    let (at, serving) = server("127.0.0.1:0", 80, "");
    let words = "-n 80 -r 2k --source 127.0.3.0/29 -P 24 --port-range 21000-21003";
    let report = ping(at, words);
    let seen = serving.join().unwrap();
    assert_eq!((seen.len(), number(only(&report), "exchange.matched")), (6, 80));
    for (_, ports) in seen.values() {
        let mut ports = ports.clone();
        ports.sort_unstable();
        assert_eq!(ports, [21_000, 21_001, 21_002, 21_003]);
    }
    // By default, ping has a flow for each source.
    let (at, serving) = server("127.0.0.1:0", 60, "");
    let report = ping(at, "-n 60 --source 127.0.3.0/29");
    assert_eq!((serving.join().unwrap().len(), number(only(&report), "streams")), (6, 6));
}

#[test]
fn sources_that_cannot_work_are_refused() {
    for (target, words, code, why) in [
        ("127.0.0.1:9", "--source 10.0.0.1", 2, "answers to loopback only"),
        ("127.0.0.1:9", "--source ::1", 2, "different address families"),
        ("127.0.0.1:9", "--source 127.0.1.1 -B 127.0.0.1", 2, "cannot be used with"),
        ("127.0.0.1:9", "--source 127.0.1.1 -6", 2, "no address of that family"),
        ("127.0.0.1:9", "--source 127.0.0.0/8", 2, "more than 65535 addresses"),
        ("10.255.1.1:9", "--source 127.0.1.1", 2, "does not leave this host"),
        ("10.255.1.1:9", "--source 192.0.2.1", 2, "public address that this host does not have"),
        ("10.255.1.1:9", "--source 10.255.1.1,10.255.1.1", 2, "is given twice"),
    ] {
        let done = run("load", target, &format!("--preset echo -n 1 -r 1 {words}")).expect(code);
        assert!(done.stderr.contains(why), "{words}: {done:?}");
        assert!(done.stdout.is_empty(), "{done:?}");
    }
    // No more traffic than without sources: ping and blast refuse the same.
    for kind in ["ping", "blast"] {
        let done = run(kind, "127.0.0.1:9", "-n 1 --source 10.0.0.1").expect(2);
        assert!(done.stderr.contains("answers to loopback only"), "{done:?}");
    }
    let done = run("blast", "127.0.0.1:9", "--reverse --source 127.0.1.1").expect(2);
    assert!(done.stderr.contains("but the sink sends"), "{done:?}");
}

#[test]
fn datagrams_without_replies_have_sources_too() {
    let _together = together();
    let (at, serving) = server("127.0.0.1:0", 100, "");
    let words = "--no-peer -n 100 -r 2k -P 10 --source 127.0.4.0/24 -l 32";
    let report = run("blast", &at.to_string(), words).expect(0).document();
    let seen = serving.join().unwrap();
    assert_eq!(seen.len(), 10);
    let sources = only(&report)["sources"].as_array().unwrap();
    let sent: u64 = sources.iter().map(|one| number(one, "sent")).sum();
    assert_eq!((sources.len(), sent), (10, 100));
    assert!(sources.iter().all(|one| one["received"].is_null() && one["lost"].is_null()));
    // bench receives them itself.
    let mut bench = crate::common::udperf();
    bench.args(
        "bench -J -q --warmup 0 -l 64 -e plain -n 300 -r 3k --source 127.0.4.0/29".split(' '),
    );
    let report = Proc::start(bench).finish(PATIENCE).expect(0).document();
    let mut found = rows(only(&report));
    found.sort_unstable();
    let all: Vec<_> = (1..=6).map(|n| format!("127.0.4.{n}")).collect();
    let expected: Vec<_> = all.iter().map(|ip| (ip.as_str(), 50, 50, 0, false)).collect();
    assert_eq!(found, expected);
}
