//! Sending without a peer: to groups, broadcast addresses and closed ports, from ranges of ports.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use common::serving::Serving;
use common::{cells, number, ports, run, stderr};
use serde_json::Value;
use udperf::wire::Header;

/// The ports that a sink heard from, in order.
fn source_ports(sink: &Value) -> Vec<u16> {
    let sources = sink["others"]["sources"].as_array().unwrap().iter();
    let port = |source: &Value| source["from"].as_str()?.rsplit(':').next()?.parse().ok();
    let mut ports: Vec<u16> = sources.map(|source| port(source).unwrap()).collect();
    ports.sort_unstable();
    ports
}

#[test]
fn a_sink_counts_what_is_sent_to_its_group_once() {
    // The second has other sockets at its port, which get no copies.
    for words in ["--join 239.77.158.2 --dev lo", "--join 239.77.158.2%lo --threads 3"] {
        let sink = Serving::start(words);
        let target = format!("239.77.158.2:{}", sink.port);
        let flags = "--no-peer -B 127.0.0.1 -r 10k -n 200 --warmup 0 -q -J";
        let output = run(&format!("blast {target} {flags}"));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(number(&cells(&report)[0], "ledger.sent"), 200);
        assert_eq!(number(&sink.end(), "others.datagrams"), 200, "{words}");
    }
}

#[test]
fn a_group_that_cannot_be_heard_is_refused() {
    for words in ["--join 192.0.2.1", "--join x", "--join 239.1.2.3%"] {
        let output = run(&format!("sink {words}"));
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(stderr(&output).contains("invalid multicast group"), "{}", stderr(&output));
    }
    for words in ["-B 127.0.0.1 --join 239.1.2.3", "-4 --join ff02::1"] {
        let output = run(&format!("sink {words}"));
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(
            stderr(&output).contains("receives no datagrams of that group"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn public_addresses_get_no_datagrams_unasked() {
    // All of these are refused before anything is sent.
    for (words, told) in [
        ("255.255.255.255 --no-peer", "--broadcast"),
        ("255.255.255.255 --broadcast", "--no-peer"),
        ("239.1.2.3", "--no-peer"),
        ("224.0.1.1 --no-peer -r 1", "--allow-public"),
        ("8.8.8.8 --no-peer -r 1", "--allow-public"),
        ("8.8.8.8 --no-peer --allow-public", "add --rate"),
        ("8.8.8.8 --no-peer --allow-public -r 1,50%", "add --rate"),
    ] {
        let output = run(&format!("blast {words} -n 1 --warmup 0"));
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(stderr(&output).contains(told), "{words}: {}", stderr(&output));
    }
    // The kernel knows which addresses of its networks are for all.
    for words in ["--connect on", "--connect off"] {
        let output = run(&format!("blast 127.255.255.255:9 --no-peer -n 1 --warmup 0 {words}"));
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(stderr(&output).contains("use --broadcast"), "{}", stderr(&output));
    }
}

/// What a sink says of its only source.
fn source(sink: &Value) -> &Value {
    let [source] = &sink["others"]["sources"].as_array().unwrap()[..] else { panic!("{sink}") };
    source
}

#[test]
fn a_sink_tells_what_was_lost_of_a_source_without_a_session() {
    let sink = Serving::start("-B 127.0.0.1");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sequences = [0_u64, 1, 2, 5, 4, 4, 9];
    for sequence in sequences {
        let mut payload = [0; 64];
        let intended_ns = 1_000 * sequence;
        udperf::wire::encode(Header { tag: 2, flow: 0, sequence, intended_ns }, &mut payload);
        socket.send_to(&payload, ("127.0.0.1", sink.port)).unwrap();
    }
    let heard = sink.end();
    let found = |name: &str| number(source(&heard), &format!("sequences.{name}"));
    let names = ["unique", "lost", "duplicate", "late", "reordered", "other"];
    assert_eq!(names.map(found), [6, 4, 1, 0, 1, 0], "{}", source(&heard));
    // A second listener is another socket, and a source is one listener's.
    for words in ["", "--threads 2"] {
        let sink = Serving::start(&format!("-B 127.0.0.1 {words}"));
        let target = format!("127.0.0.1:{}", sink.port);
        let output = run(&format!("blast {target} --no-peer -r 10k -n 500 --warmup 20ms -q -J"));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let heard = sink.end();
        let all = number(&heard, "others.datagrams");
        assert!(all >= 500, "{heard}");
        let found = |name: &str| number(source(&heard), &format!("sequences.{name}"));
        assert_eq!((found("unique"), found("lost"), found("duplicate")), (all, 0, 0), "{heard}");
    }
    // Others' datagrams have no numbers of ours.
    let sink = Serving::start("-B 127.0.0.1");
    socket.send_to(b"hello, sink of datagrams", ("127.0.0.1", sink.port)).unwrap();
    let heard = sink.end();
    assert!(source(&heard)["sequences"].is_null(), "{heard}");
}

#[test]
fn broadcast_is_sent_where_it_is_meant() {
    let sink = Serving::start("-4");
    let target = format!("127.255.255.255:{}", sink.port);
    let flags = "--no-peer --broadcast -r 10k -n 100 --warmup 0 -q";
    let output = run(&format!("blast {target} {flags}"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn flows_leave_from_the_ports_that_were_named() {
    let (first, last) = ports::free_range(12);
    let sink = Serving::start("-B 127.0.0.1");
    let to = sink.port;
    // Two workers, who share the range.
    let flags = "--no-peer -e plain -P 8 --threads 2 -r 10k -n 800 --warmup 0 -q -J";
    let output = run(&format!("blast 127.0.0.1:{to} {flags} --port-range {first}-{last}"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let heard = sink.end();
    let ports = source_ports(&heard);
    assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 8, "{ports:?}");
    assert!(ports.iter().all(|port| (first..=last).contains(port)), "{ports:?}");
    assert_eq!(number(&heard, "others.datagrams"), 800);
    for words in ["bench -e plain".to_owned(), format!("blast 127.0.0.1:{to} --no-peer")] {
        let (first, last) = ports::free_range(3);
        let flags = format!("-P 4 -n 1 -l 64 --warmup 0 -q --port-range {first}-{last}");
        let output = run(&format!("{words} {flags}"));
        assert_eq!(output.status.code(), Some(1), "{words}");
        let told = format!("no port of {first}-{last} is free");
        assert!(stderr(&output).contains(&told), "{words}: {}", stderr(&output));
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn both_directions_use_the_ports_that_were_named() {
    let sink = Serving::start("-B 127.0.0.1");
    for way in ["", "-R", "--bidir"] {
        // As many ports as sockets are open at once.
        let (first, last) = ports::free_range(if way == "--bidir" { 8 } else { 4 });
        let flags = "-e plain -P 4 --threads 4 -r 10k -n 400 -q -J";
        let to = format!("127.0.0.1:{} {way}", sink.port);
        let output = run(&format!("blast {to} {flags} --warmup 0 --port-range {first}-{last}"));
        assert_eq!(output.status.code(), Some(0), "{way}: {}", stderr(&output));
        // One port less, and they do not suffice.
        let output = run(&format!("blast {to} {flags} --port-range {first}-{}", last - 1));
        assert_eq!(output.status.code(), Some(1), "{way}");
        assert!(stderr(&output).contains("is free"), "{way}: {}", stderr(&output));
    }
    assert_eq!(number(&sink.end(), "others.datagrams"), 0);
}

#[test]
fn a_limit_of_open_files_is_named() {
    let words = "bench -e plain -l 64 -n 1 -P 100 --warmup 0 -q";
    let udperf = env!("CARGO_BIN_EXE_udperf");
    let shell = |limit: &str| {
        let script = format!("ulimit {limit} && exec {udperf} {words}");
        std::process::Command::new("sh").args(["-c", &script]).output().unwrap()
    };
    let output = shell("-n 64");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("(ulimit -n)"), "{}", stderr(&output));
    // What may be raised is raised.
    assert_eq!(shell("-S -n 64").status.code(), Some(0));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_port_that_nobody_has_is_told() {
    for ip in ["127.0.0.1", "::1"] {
        if UdpSocket::bind((ip, 0)).is_err() {
            common::skip::unavailable(format_args!("no address {ip}"));
            continue;
        }
        let target = SocketAddr::new(ip.parse::<IpAddr>().unwrap(), ports::free());
        let output = run(&format!("blast {target} -q"));
        assert_eq!(output.status.code(), Some(1), "{ip}");
        assert!(stderr(&output).contains("port unreachable (ICMP"), "{}", stderr(&output));
        // Without a sink, the network's word is all there is; a day is cut short by it.
        for flags in ["", "-e batch --connect off --threads 2"] {
            let output = run(&format!("blast {target} --no-peer -r 1k -t 24h -q -J {flags}"));
            assert_eq!(output.status.code(), Some(5), "{ip} {flags}");
            assert!(stderr(&output).contains("target unreachable"), "{}", stderr(&output));
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            let cell = &cells(&report)[0];
            assert_eq!(cell["cut_short_because"], "unreachable");
            assert_eq!(cell["outages"][0]["said_by"], ip, "{}", cell["outages"]);
            assert!(number(cell, "ledger.refused.unreachable") > 0);
        }
    }
}
