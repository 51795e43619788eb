//! Servers as people run them: all that is asked at a modest rate is answered, and errors are those
//! that the server gives.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::actions::Counts;
use crate::common::together;
use crate::daemons::Daemon;
use crate::rig::{counts, engines, load, only};

/// All are answered, with these errors.
#[track_caller]
fn all(report: &Value, count: u64, errors: &[(&str, u64)]) {
    let errors: BTreeMap<_, _> =
        errors.iter().map(|(name, times)| ((*name).to_owned(), *times)).collect();
    let expected =
        Counts { requests: count, replies: count, matched: count, errors, ..Counts::default() };
    assert_eq!(counts(only(report)), expected, "{}", only(report)["exchange"]);
}

/// A query for www.example.test, type A; RFC 1035 §4.1.
const QUERY: &[u8] = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01";

/// NSD with the zone `example.test`; `more`: lines of its configuration of the server.
pub fn nsd(more: &'static str) -> Option<Daemon> {
    let make = |folder: &std::path::Path, port| {
        let at = folder.display();
        let conf = format!(
            "server:\n ip-address: 127.0.0.1@{port}\n do-ip6: no\n server-count: 1\n \
             username: \"\"\n chroot: \"\"\n zonesdir: \"{at}\"\n pidfile: \"{at}/pid\"\n \
             xfrdfile: \"{at}/xfrd\"\n database: \"\"\n \
             zonelistfile: \"{at}/zones\"\n rrl-ratelimit: 0\n {more}\n\
             remote-control:\n control-enable: no\n\
             zone:\n name: example.test\n zonefile: zone\n"
        );
        let zone = "$ORIGIN example.test.\n$TTL 3600\n\
                    @ IN SOA ns.example.test. root.example.test. 1 3600 900 604800 300\n\
                    @ IN NS ns.example.test.\nns IN A 192.0.2.1\nwww IN A 192.0.2.2\n";
        (format!("-d -c {at}/conf"), vec![("conf", conf), ("zone", zone.to_owned())])
    };
    Daemon::start("nsd", make, QUERY)
}

#[test]
fn nsd_answers_names_it_has_and_names_it_has_not() {
    let _together = together();
    let Some(nsd) = nsd("") else { return };
    let dns = |words: &str| load(nsd.at, &format!("--preset dns --no-recursion {words}"));
    for engine in engines() {
        for words in ["-n 200 -r 2k", "-n 200 --outstanding 20 -P 4 --threads 2"] {
            let words = format!("-e {engine} {words}");
            all(&dns(&format!("--name www.example.test {words}")), 200, &[]);
            let report = dns(&format!("--name none.example.test {words}"));
            all(&report, 200, &[("NXDOMAIN", 200)]);
        }
    }
    // A cache would not have these.
    let report = dns("--name example.test --random-subdomain 8 -n 200 -r 2k");
    all(&report, 200, &[("NXDOMAIN", 200)]);
    // A zone that it does not serve.
    all(&dns("--name example.org -n 200 -r 2k"), 200, &[("REFUSED", 200)]);
    // In turns.
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names");
    let lines = "; as dnsperf has it\nwww.example.test A\n\nnone.example.test\nWWW.Example.TEST\n\
                 www.example.test AAAA\n";
    std::fs::write(&names, lines).unwrap();
    let report = dns(&format!("--names {} -n 200 -r 2k -P 2", names.display()));
    all(&report, 200, &[("NXDOMAIN", 50)]);
}

#[test]
fn memcached_misses_and_hits() {
    let _together = together();
    // Request 1, datagram 0 of 1; memcached's protocol.txt, "UDP protocol".
    let frame = |line: &[u8]| [b"\0\x01\0\0\0\x01\0\0", line].concat();
    let make = |_: &std::path::Path, port| {
        (format!("-U {port} -p 0 -l 127.0.0.1 -u root -t 1"), Vec::new())
    };
    let Some(memcached) = Daemon::start("memcached", make, &frame(b"version\r\n")) else { return };
    let get = |words: &str| load(memcached.at, &format!("--preset memcached-udp {words}"));
    for engine in engines() {
        let report = get(&format!("--key never -e {engine} -n 200 -r 2k"));
        all(&report, 200, &[("miss", 200)]);
    }
    let stored = memcached.ask(&frame(b"set udperf 0 0 4\r\nwell\r\n")).unwrap();
    assert_eq!(stored, frame(b"STORED\r\n"));
    for engine in engines() {
        for words in ["-n 200 -r 2k", "-n 200 --outstanding 20 -P 4"] {
            all(&get(&format!("-e {engine} {words}")), 200, &[]);
        }
    }
    // What does not fit a datagram comes in several: how many, one answer tells.
    let value = "x".repeat(5_000);
    for part in value.as_bytes().chunks(1_000) {
        let line = [b"append big 0 0 1000\r\n", part, b"\r\n"].concat();
        let first = memcached.ask(&frame(&line)).unwrap();
        if first == frame(b"NOT_STORED\r\n") {
            let line = [b"set big 0 0 1000\r\n", part, b"\r\n"].concat();
            assert_eq!(memcached.ask(&frame(&line)).unwrap(), frame(b"STORED\r\n"));
        }
    }
    let first = memcached.ask(&frame(b"get big\r\n")).unwrap();
    let parts = u64::from(u16::from_be_bytes([first[4], first[5]]));
    assert!(parts > 1, "{parts}");
    let report = get("--key big -n 200 -r 1k");
    let expected = Counts {
        requests: 200,
        replies: 200 * parts,
        matched: 200,
        continued: 200 * (parts - 1),
        ..Counts::default()
    };
    assert_eq!(counts(only(&report)), expected);
}

/// A client's request: version 4, mode 3; RFC 5905 §7.3.
fn ntp_request() -> Vec<u8> {
    let mut request = vec![0; 48];
    (request[0], request[47]) = (0x23, 1);
    request
}

fn chronyd(knows_the_time: &str) -> Option<Daemon> {
    let make = |folder: &std::path::Path, port| {
        let at = folder.display();
        let conf = format!(
            "port {port}\n{knows_the_time}\nallow 127.0.0.1\ncmdport 0\nbindaddress 127.0.0.1\n\
             bindcmdaddress /\npidfile {at}/pid\nuser root\n"
        );
        (format!("-d -x -U -f {at}/conf"), vec![("conf", conf)])
    };
    Daemon::start("chronyd", make, &ntp_request())
}

#[test]
fn chronyd_tells_the_time_or_that_it_has_none() {
    let _together = together();
    let Some(knows) = chronyd("local stratum 5") else { return };
    assert_eq!(knows.ask(&ntp_request()).unwrap()[1], 5, "the stratum");
    for engine in engines() {
        for words in ["-n 200 -r 2k", "-n 200 --outstanding 20 -P 4"] {
            let report = load(knows.at, &format!("--preset ntp -e {engine} {words}"));
            all(&report, 200, &[]);
        }
    }
    let Some(lost) = chronyd("") else { return };
    let answer = lost.ask(&ntp_request()).unwrap();
    assert_eq!(answer[0] >> 6, 3, "the leap indicator of who is not synchronised");
    let report = load(lost.at, "--preset ntp -n 200 -r 2k");
    all(&report, 200, &[("unsynchronised", 200)]);
}

/// A binding request; RFC 8489 §5.
const BINDING: &[u8] = b"\0\x01\0\0\x21\x12\xA4\x42udperf, test";

#[test]
fn coturn_binds() {
    let _together = together();
    let make = |folder: &std::path::Path, port| {
        let at = folder.display();
        let words = format!(
            "-n -L 127.0.0.1 -p {port} --no-tcp --no-tls --no-dtls --no-cli --no-auth \
             --log-file stdout --pidfile {at}/pid --userdb {at}/db"
        );
        (words, Vec::new())
    };
    let Some(coturn) = Daemon::start("turnserver", make, BINDING) else { return };
    for engine in engines() {
        for words in ["-n 200 -r 2k", "-n 200 --outstanding 10 -P 4", "-n 200 --fingerprint"] {
            let report = load(coturn.at, &format!("--preset stun -e {engine} {words}"));
            all(&report, 200, &[]);
        }
    }
}
