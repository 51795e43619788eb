//! No server, no requests, unsolicited datagrams, and runs that end before their time.

use std::io::Write;
use std::net::UdpSocket;

use serde_json::Value;

use crate::actions::{Action, Counts};
use crate::common::{codes, number, together};
use crate::proc::{PATIENCE, Proc};
use crate::protocols::Protocol;
use crate::rig::{adds_up, counts, engines, only, run, run_aloud, skip, start};
use crate::shim::{Orders, Shim, heard};

/// What is counted where nothing comes back.
fn none(count: u64) -> Counts {
    Counts { requests: count, timeouts: count, ..Counts::default() }
}

#[test]
fn a_silent_server_is_all_timeouts() {
    let _together = together();
    for engine in engines() {
        for words in ["-r 1k", "--outstanding 50", "-r 1k -P 4 --threads 2"] {
            let shim = Shim::start(Orders::new(Protocol::Dns, &[Action::Silent; 100]));
            let words = format!(
                "--preset dns --name www.example.test --timeout 100ms -n 100 -e {engine} {words}"
            );
            let done = run("load", &shim.at.to_string(), &words).expect(5);
            let report = adds_up(&done, "load");
            assert_eq!(shim.end().came, 100, "{words}");
            let cell = only(&report);
            assert_eq!(counts(cell), none(100), "{words}");
            assert_eq!(number(cell, "exchange.unreachable"), 0, "{words}");
            assert!(codes(&report).contains(&"no_reply".to_owned()), "{words}");
        }
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_port_that_nobody_reads_is_named() {
    let _together = together();
    let at = crate::common::ports::closed().to_string();
    // Together: all that takes time is to believe it.
    let words = |engine| format!("--preset echo -r 500 -t 10m --timeout 100ms -e {engine}");
    let clients: Vec<_> =
        engines().into_iter().map(|one| start("load", &at, &words(one))).collect();
    for client in clients {
        let done = client.finish(PATIENCE);
        let done = done.expect(5);
        assert!(done.stderr.contains("target unreachable"), "{done:?}");
        let report = adds_up(&done, "load");
        let cell = only(&report);
        let asked = number(cell, "exchange.requests");
        assert_eq!(counts(cell), none(asked), "{done:?}");
        assert!(number(cell, "exchange.unreachable") > 0, "{done:?}");
        assert!(codes(&report).contains(&"cut_short".to_owned()), "{done:?}");
        assert_eq!(cell["cut_short_because"], "unreachable", "{done:?}");
        assert_eq!(cell["outages"][0]["what"], "ICMP 3/3", "{done:?}");
        assert_eq!(cell["outages"][0]["said_by"], "127.0.0.1", "{done:?}");
    }
    // So does what is over before it is given up.
    let report = adds_up(&run("ping", &at, "-n 3 --timeout 100ms").expect(5), "ping");
    assert_eq!(counts(only(&report)), none(3));
    assert_eq!(number(only(&report), "exchange.unreachable"), 3);
    let said = report["cells"][0]["warnings"].to_string();
    assert!(said.contains("port unreachable (ICMP 3/3, from 127.0.0.1)"), "{said}");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let _together = together();
    for (target, words, code, says) in [
        ("nosuch.invalid:53", "--preset echo", 2, "nosuch.invalid"),
        ("192.0.2.1:9", "--preset echo -n 1", 2, "--allow-public"),
        ("192.0.2.1:9", "--preset echo -n 1 --allow-public", 2, "add --rate"),
        ("192.0.2.1:9", "--preset echo -n 1 --allow-public -r max", 2, "add --rate"),
        ("192.0.2.1:9", "--preset echo -n 1 --allow-public --outstanding 1", 2, "add --rate"),
        ("[2001:db8::1]:9", "--preset echo -n 1", 2, "--allow-public"),
        ("239.1.1.1:9", "--preset echo -n 1 --allow-public", 2, "use the address of one host"),
        ("127.0.0.1:9", "", 2, "--preset"),
        ("127.0.0.1:9", "--text a{foo}b", 2, "'{foo}', character 2, is not a field"),
        ("127.0.0.1:9", "--text a{id:u7}b", 2, "'{id:u7}', character 2, has no such format"),
        ("127.0.0.1:9", "--text a{id", 2, "without an end"),
        ("127.0.0.1:9", "--hex 0g", 2, "'g', character 2, is not a hex digit"),
        ("127.0.0.1:9", "--text a --match id@0", 2, "needs an id"),
        ("127.0.0.1:9", "--preset dns", 2, "--name"),
        ("127.0.0.1:9", "--preset dns --name a..b", 2, "a..b"),
        ("127.0.0.1:9", "--preset echo --name a", 2, "--name is for --preset dns"),
        ("127.0.0.1:9", "--pcap /no/such/file", 1, "/no/such/file"),
        ("127.0.0.1:9", "--pcap /dev/null", 1, "not a capture"),
    ] {
        let done = run("load", target, words);
        assert_eq!(done.code, Some(code), "{done:?}");
        assert!(done.stderr.contains(says), "no '{says}': {done:?}");
        assert!(done.stdout.is_empty(), "{done:?}");
    }
}

/// Runs a script in a network namespace with loopback only; `None`, reported as skipped, where
/// that cannot be.
fn enclosed(script: &str) -> Option<String> {
    let mut command = std::process::Command::new("unshare");
    command.args(["-n", "sh", "-ec", script]).env("UDPERF", env!("CARGO_BIN_EXE_udperf"));
    let can = std::process::Command::new("unshare").args(["-n", "ip", "link"]).output();
    if !can.as_ref().is_ok_and(|output| output.status.success()) {
        skip(format!("no namespaces: {can:?}"));
        return None;
    }
    let done = Proc::start(command).finish(PATIENCE).expect(0);
    Some(done.stdout)
}

#[test]
fn strangers_get_nothing_that_was_not_allowed() {
    let _together = together();
    // An address of nobody (RFC 5737) that is an echo server's here, so that all is counted.
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "cd {}; ip link set lo up; ip addr add 192.0.2.1/32 dev lo; mkfifo said; \
         $UDPERF echo -q -J -B 192.0.2.1 -p 7788 2>said >echo.json & \
         exec 3<said; read -r line <&3; \
         ask() {{ $UDPERF load 192.0.2.1:7788 --preset echo --warmup 0 -n 5 -q -J \"$@\" || true; }}; \
         ask >&2; ask -r 1k >&2; ask --allow-public >&2; ask --allow-public -r max >&2; \
         ask --allow-public --outstanding 1 >&2; \
         ask --allow-public -r 1k; \
         kill -INT $!; wait $! || true; cat echo.json",
        folder.path().display()
    );
    let Some(said) = enclosed(&script) else { return };
    let mut documents = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
    let report = documents.next().unwrap().unwrap();
    assert_eq!(counts(only(&report)).matched, 5);
    let echo = documents.next().unwrap().unwrap();
    assert_eq!(number(&echo, "received"), 5, "only what was allowed has come");
}

#[test]
fn a_capture_needs_a_bound_of_its_own_for_strangers() {
    let _together = together();
    // As above: nobody's address, in a namespace that has no way out.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut bytes = capture(&[b"one", b"two"]);
    bytes[24 + 16 + 20 + 8 + 3] = 2; // the second of the second packet
    file.write_all(&bytes).unwrap();
    let script = format!(
        "ip link set lo up; ip addr add 192.0.2.1/32 dev lo; \
         ask() {{ $UDPERF load 192.0.2.1:7788 --pcap {} --match none --pace recorded -q -J \
           --warmup 0 --allow-public \"$@\"; }}; \
         for bound in '' '-t 100ms'; do ask $bound 2>&1 || echo code $?; done; \
         echo; ask -n 1 || true",
        file.path().display()
    );
    let Some(said) = enclosed(&script) else { return };
    let (refused, sent) = said.split_once("\n\n").unwrap();
    // Neither without a bound, nor with one that bounds no rate.
    for part in ["use --count", "code 2"] {
        assert_eq!(refused.matches(part).count(), 2, "{refused}");
    }
    let documents = serde_json::Deserializer::from_str(sent).into_iter::<Value>();
    let requests: Vec<_> =
        documents.map(|report| counts(only(&report.unwrap())).requests).collect();
    assert_eq!(requests, [1]);
}

#[test]
fn what_the_path_does_not_take_is_refused_by_name() {
    let _together = together();
    for engine in engines() {
        let script = format!(
            "ip link set lo mtu 1500 up; \
             $UDPERF load 127.0.0.1:9 --preset echo -l 4000 --df --warmup 0 -q -J -t 300ms -r 100 \
               --timeout 50ms -e {engine} || test $? = 5"
        );
        let Some(said) = enclosed(&script) else { return };
        let report: Value = serde_json::from_str(&said).unwrap();
        let cell = only(&report);
        let refused = number(cell, "ledger.refused.too_big");
        assert!(refused > 0, "{engine}: {}", cell["ledger"]);
        assert_eq!(number(cell, "ledger.attempted"), refused, "{engine}");
        assert_eq!(counts(cell), Counts::default(), "{engine}: nothing left, nothing is missing");
        assert!(codes(&report).contains(&"refused_too_big".to_owned()), "{engine}");
    }
    let script = "ip link set lo mtu 1500 up; code=0; \
                  $UDPERF load 127.0.0.1:9 --preset echo -l 4000 --df --warmup 0 -q -n 10 2>&1 || \
                  code=$?; echo code $code";
    let Some(said) = enclosed(script) else { return };
    assert!(said.contains("no datagram could be sent for 2 s"), "{said}");
    assert!(said.ends_with("code 5\n"), "{said}");
}

/// A capture of these datagrams to port 9: pcap in little endian, packets of IPv4 without a link
/// (LINKTYPE_RAW, 101).
fn capture(payloads: &[&[u8]]) -> Vec<u8> {
    let mut file =
        vec![0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0];
    file.extend(101_u32.to_le_bytes());
    for payload in payloads {
        let udp = 8 + payload.len() as u16;
        let ip = 20 + udp;
        for word in [1, 0, u32::from(ip), u32::from(ip)] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0x45, 0]);
        file.extend(ip.to_be_bytes());
        file.extend([0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        file.extend([0x0F, 0xA0, 0, 9]);
        file.extend(udp.to_be_bytes());
        file.extend([0, 0]);
        file.extend(*payload);
    }
    file
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_capture_cut_short_is_told_and_what_is_whole_is_sent() {
    let _together = together();
    let whole = capture(&[b"one", b"second", b"third one"]);
    for (cut, notice, sent) in [
        (0, None, &["one", "second", "third one"][..]),
        (1, Some("damaged at packet 3; the 2 before it are read"), &["one", "second"]),
        (40, Some("damaged at packet 3; the 2 before it are read"), &["one", "second"]),
    ] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&whole[..whole.len() - cut]).unwrap();
        let shim = Shim::start(Orders::new(Protocol::Text, &[Action::Silent; 6]));
        let words = format!("--pcap {} --match none -n 6 -r 1k", file.path().display());
        let done = run_aloud("load", &shim.at.to_string(), &words).expect(0);
        let told: Vec<_> = done.stderr.lines().filter(|line| line.contains("capture")).collect();
        assert_eq!(told.len(), usize::from(notice.is_some()), "{done:?}");
        assert!(notice.is_none_or(|notice| told[0].contains(notice)), "{done:?}");
        let account = shim.end();
        let expected: Vec<_> = sent.iter().cycle().take(6).map(|one| one.as_bytes()).collect();
        assert_eq!(account.first, expected, "{cut}");
        assert_eq!(counts(only(&adds_up(&done, "load"))).requests, 6);
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&capture(&[b"one"])[..50]).unwrap();
    let done = run("load", "127.0.0.1:9", &format!("--pcap {}", file.path().display()));
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""), "{done:?}");
}

#[test]
fn an_interrupt_ends_with_a_report() {
    let _together = together();
    for engine in engines() {
        for words in ["-r 1k", "--outstanding 3", "-r 1k -P 4 --threads 2"] {
            let server = UdpSocket::bind("127.0.0.1:0").unwrap();
            server.set_read_timeout(Some(PATIENCE)).unwrap();
            let at = server.local_addr().unwrap();
            let words = format!("--preset echo -t 10m --timeout 100ms -e {engine} {words}");
            let client = start("load", &at.to_string(), &words);
            // It has begun; what follows is not answered.
            let mut slot = [0; 99];
            let (len, from) = heard(&server, &mut slot).unwrap();
            server.send_to(&slot[..len], from).unwrap();
            client.interrupt();
            let done = client.finish(PATIENCE).expect(130);
            let report = adds_up(&done, "load");
            let counted = counts(only(&report));
            assert_eq!((counted.matched, counted.replies), (1, 1), "{words}");
            server.set_nonblocking(true).unwrap();
            let rest = std::iter::from_fn(|| heard(&server, &mut slot).ok()).count() as u64;
            assert_eq!(counted.requests, rest + 1, "{words}");
        }
    }
}
