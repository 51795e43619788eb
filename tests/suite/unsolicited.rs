//! A sink without clients: counts of unsolicited datagrams, drops of a full receive buffer, and
//! when the sink ends.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use common::number;
use common::serving::Serving;
use common::signals::{signal, stop};
use serde_json::Value;

/// Knuth's multiplier, by which the program of a port spreads sources.
const SPREAD: u32 = 0x9E37_79B1;

/// The tag of control messages, which all go to the first listener.
const CONTROL: [u8; 2] = [0, 1];

/// Which of so many listeners gets what this source sends, unless it begins with a tag.
fn listener_of(source: SocketAddr, listeners: u32) -> u32 {
    let SocketAddr::V4(source) = source else { panic!("{source} is not of IPv4") };
    let mix = |hash: u32, word: u32| (hash ^ word).wrapping_mul(SPREAD);
    let hash = mix(mix(0, source.ip().to_bits()), source.port().into());
    (hash ^ (hash >> 16)) % listeners
}

fn source() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// A source of which this listener of two hears.
fn source_of(listener: u32) -> UdpSocket {
    let all = std::iter::repeat_with(source);
    let mut its = all.filter(|one| listener_of(one.local_addr().unwrap(), 2) == listener);
    its.next().unwrap()
}

fn list<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document[name].as_array().unwrap()
}

/// Whether all that was asked for listens; some systems cannot steer.
fn are_two(document: &Value) -> bool {
    let two = list(document, "listeners").len() == 2;
    if !two {
        common::skip::missing("one listener is all there is here");
    }
    two
}

#[test]
fn a_source_of_two_listeners_is_counted_once_and_whole() {
    let sink = Serving::start("-B 127.0.0.1 --threads 2");
    let sources: Vec<_> = std::iter::repeat_with(source).take(16).collect();
    let (each, mut sizes) = (20_usize, vec![0_u64; 17]);
    let mut class = |len: usize| sizes[len.next_power_of_two().ilog2() as usize] += 1;
    for round in 0..each {
        for (at, source) in sources.iter().enumerate() {
            let mut payload = [0xFF; 300];
            let (short, long) = (2 + at + round, 100 + at + round);
            source.send_to(&payload[..short], ("127.0.0.1", sink.port)).unwrap();
            payload[..2].copy_from_slice(&CONTROL);
            source.send_to(&payload[..long], ("127.0.0.1", sink.port)).unwrap();
            [short, long].into_iter().for_each(&mut class);
        }
    }
    let document = sink.end();
    if !are_two(&document) {
        return;
    }
    let others = &document["others"];
    let all = 2 * each as u64 * sources.len() as u64;
    assert_eq!((number(others, "datagrams"), number(others, "of_other_sources")), (all, 0));
    assert_eq!(others["sizes"], Value::from(sizes));
    let long = 100 + sources.len() + each - 2;
    assert_eq!((number(others, "size_min"), number(others, "size_max")), (2, long as u64));
    assert_eq!(list(others, "sources").len(), sources.len());
    let mut seconds = 0;
    for (at, source) in sources.iter().enumerate() {
        let from = source.local_addr().unwrap();
        let is_it = |one: &&Value| one["from"] == from.to_string();
        let account = list(others, "sources").iter().find(is_it).unwrap();
        assert_eq!(number(account, "datagrams"), 2 * each as u64, "{account}");
        let bytes: usize = (0..each).map(|round| 102 + 2 * (at + round)).sum();
        assert_eq!(number(account, "bytes"), bytes as u64, "{account}");
        assert_eq!(number(account, "size_min"), 2 + at as u64, "{account}");
        assert_eq!(number(account, "size_max"), (99 + at + each) as u64, "{account}");
        let (first, last) = (number(account, "first_ns"), number(account, "last_ns"));
        assert!(first < last && number(account, "gap_max_ns") <= last - first, "{account}");
        seconds += u64::from(listener_of(from, 2)) * each as u64;
    }
    let heard: Vec<_> =
        list(&document, "listeners").iter().map(|one| number(one, "datagrams")).collect();
    assert_eq!(heard, [all - seconds, seconds]);
    let (first, last) = (number(others, "first_ns"), number(others, "last_ns"));
    assert_eq!(number(others, "gap_mean_ns"), (last - first) / (all - 1));
    assert!(last <= number(&document, "elapsed_ns"));
}

/// Idle timeout of the sinks below.
const IDLE_NS: u64 = 300_000_000;

/// Sends now and then, for twice as long as the sink waits; it may have ended meanwhile.
fn now_and_then(mut send: impl FnMut()) {
    for _ in 0..60 {
        send();
        sleep(Duration::from_nanos(IDLE_NS / 30));
    }
}

/// It has ended only after a silence of that length.
#[track_caller]
fn was_silent(document: &Value) {
    let silence = number(document, "elapsed_ns") - number(&document["others"], "last_ns");
    assert!(silence >= IDLE_NS, "{silence} ns: {document}");
}

#[test]
fn silence_ends_a_sink_that_is_to_heed_it() {
    let document = Serving::start("-B 127.0.0.1 --idle-timeout 100ms").ended(0);
    assert_eq!(number(&document["others"], "datagrams"), 0);
    assert!(number(&document, "elapsed_ns") >= 100_000_000);
}

#[test]
fn what_any_listener_hears_is_no_silence() {
    let sink = Serving::start("-B 127.0.0.1 --threads 2 --idle-timeout 300ms");
    let (source, port) = (source_of(1), sink.port);
    now_and_then(|| {
        source.send_to(b"there", ("127.0.0.1", port)).unwrap();
    });
    let document = sink.ended(0);
    if are_two(&document) {
        let listeners = list(&document, "listeners");
        assert_eq!(number(&listeners[0], "datagrams"), 0);
        assert!(number(&listeners[1], "datagrams") > 0);
        was_silent(&document);
    }
}

#[test]
fn what_a_full_buffer_costs_is_told_to_the_last_datagram() {
    for words in ["-w 16k", "-w 16k --threads 2"] {
        let sink = Serving::start(&format!("-B 127.0.0.1 {words}"));
        stop(sink.process());
        // Fewer than the backlog of a CPU holds.
        let (sources, each) = ([source_of(0), source_of(1)], 200);
        for _ in 0..each {
            for source in &sources {
                source.send_to(&[7; 1_000], ("127.0.0.1", sink.port)).unwrap();
            }
        }
        signal(sink.process(), "CONT");
        let document = sink.end();
        let drops = |one: &Value| number(one, "socket_drops");
        let listeners = list(&document, "listeners");
        let dropped: u64 = listeners.iter().map(drops).sum();
        assert!(listeners.iter().all(|one| drops(one) > 0), "{}", document["listeners"]);
        let arrived = number(&document["others"], "datagrams");
        assert_eq!(arrived + dropped, 2 * each, "{}", document["listeners"]);
        assert!(arrived > 0);
        for listener in listeners {
            let buffer = &listener["socket_buffer"];
            assert_eq!(number(buffer, "asked"), 16 << 10);
            assert!(number(buffer, "granted") >= 16 << 10, "{buffer}");
        }
        let warnings = list(&document, "warnings");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0]["code"], "receive_buffer_loss");
        let message = warnings[0]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{dropped} datagrams (")), "{message}");
    }
}

#[test]
fn what_waits_at_the_end_is_counted() {
    let sink = Serving::start("-B 127.0.0.1 --threads 2");
    stop(sink.process());
    // More than a listener reads in a row, and fewer than the backlog of a CPU holds.
    let (sources, each) = ([source_of(0), source_of(1)], 450);
    for _ in 0..each {
        for source in &sources {
            source.send_to(&[7; 20], ("127.0.0.1", sink.port)).unwrap();
        }
    }
    signal(sink.process(), "INT");
    signal(sink.process(), "CONT");
    let document = sink.ended(130);
    assert_eq!(number(&document["others"], "datagrams"), 2 * each);
    assert_eq!(list(&document, "warnings"), [] as [Value; 0]);
}

#[test]
fn without_loss_there_is_nothing_to_doubt() {
    let sink = Serving::start("-B 127.0.0.1 -w 64k");
    source().send_to(b"one", ("127.0.0.1", sink.port)).unwrap();
    let document = sink.end();
    assert_eq!(number(&list(&document, "listeners")[0], "socket_drops"), 0);
    assert_eq!(list(&document, "warnings"), [] as [Value; 0]);
}

/// The CPUs that this thread may run on, as proc(5) writes them.
fn cores_of(thread: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

#[test]
fn the_first_listener_is_where_it_was_pinned() {
    let here = cores_of("self");
    let last = here.rsplit([',', '-']).next().unwrap().to_owned();
    let sink = Serving::start(&format!("-B 127.0.0.1 --pin {last}"));
    assert_eq!(cores_of(&sink.process().to_string()), last);
    let document = sink.end();
    assert_eq!(list(&document, "listeners")[0]["core"].to_string(), last);
    let sink = Serving::start("-B 127.0.0.1 --pin off");
    assert_eq!(cores_of(&sink.process().to_string()), here);
    let document = sink.end();
    assert!(list(&document, "listeners")[0]["core"].is_null());
}

#[test]
fn control_messages_of_nobody_are_no_traffic() {
    let sink = Serving::start("-B 127.0.0.1");
    let source = source();
    for payload in [b"\0\x01udpC".as_slice(), &[b"\0\x01udpC".as_slice(), &[9; 60]].concat()] {
        source.send_to(payload, ("127.0.0.1", sink.port)).unwrap();
    }
    // Somebody else's, who happens to begin alike.
    source.send_to(b"\0\x01else", ("127.0.0.1", sink.port)).unwrap();
    let document = sink.end();
    assert_eq!(number(&document, "stray_control"), 2);
    assert_eq!(number(&document["others"], "datagrams"), 1);
    assert_eq!(number(&document["others"], "bytes"), 6);
}

/// The lines of `--interval` of a server that gets this traffic at its port, and its document.
fn lines_of_intervals(words: &str, send: &dyn Fn(u16)) -> (Vec<String>, Value) {
    let mut command = common::udperf();
    command.args(words.split_whitespace()).args(["-J", "-p", "0", "-B", "127.0.0.1", "-i", "0.25"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = stderr.next().unwrap();
    let port: u16 = first.rsplit(':').next().unwrap().parse().unwrap();
    send(port);
    let lines = stderr.filter(|line| line.contains(" s: ")).collect();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    (lines, serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn lines_of_intervals_add_up_to_all_datagrams() {
    let send = |port| {
        let source = source();
        for _ in 0..50 {
            source.send_to(b"counted", ("127.0.0.1", port)).unwrap();
        }
    };
    let blast = |port| {
        let client = common::run(&format!("blast 127.0.0.1:{port} -J -q -e plain -r 1k -n 50"));
        assert_eq!(client.status.code(), Some(0), "{}", common::stderr(&client));
    };
    let cases: [(_, _, &dyn Fn(u16)); 3] = [
        ("sink --idle-timeout 600ms", "/others/datagrams", &send),
        ("sink --once", "/clients/0/received", &blast),
        ("echo -n 50", "/received", &send),
    ];
    for (words, path, traffic) in cases {
        let (lines, document) = lines_of_intervals(words, traffic);
        assert_eq!(document.pointer(path), Some(&Value::from(50)), "{document}");
        let count = |line: &String| -> u64 {
            let (_, rest) = line.split_once(" s: ").unwrap();
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        assert_eq!(lines.iter().map(count).sum::<u64>(), 50, "{lines:?}");
        let has_source =
            lines.iter().any(|line| line.ends_with(" · 0 clients, 1 unsolicited source"));
        assert_eq!(has_source, words.contains("idle"), "{lines:?}");
    }
    let output = common::run("sink -i 100ms");
    assert_eq!(output.status.code(), Some(2));
    let said = common::stderr(&output);
    assert!(said.contains("invalid interval '100ms'; use at least 250 ms, or 0"), "{said}");
}
