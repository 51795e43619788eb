//! The echo server, as its clients see it: every datagram comes back once with its bytes, or has
//! another fate that the document tells.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::serving::Serving;
use common::signals::signal;
use common::{number, run, stderr};
use serde_json::Value;
use udperf::engine::ENGINES;
use udperf::sys::{self, RecvBatch, RecvMetadata};

/// The engines that this host has.
fn engines() -> Vec<&'static str> {
    let machine = udperf::host::machine(&udperf::host::host_info(udperf::host::Depth::Quick));
    let echo = ENGINES.iter().filter(|row| row.echo.is_some());
    let (here, missing): (Vec<_>, Vec<_>) =
        echo.partition(|row| row.pair().is_some_and(|pair| machine.lacks(pair).is_none()));
    let missing: Vec<_> = missing.iter().map(|row| row.word).collect();
    if !missing.is_empty() {
        common::skip::unavailable(format_args!("{missing:?}"));
    }
    here.iter().map(|row| row.word).collect()
}

/// How long a client waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that is connected to this address.
fn client(to: &str, port: u16) -> UdpSocket {
    let to: SocketAddr = format!("{to}:{port}").parse().unwrap();
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The next answer.
fn answer(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    loop {
        match socket.recv(&mut buffer) {
            // A child of another test has ended.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            received => {
                buffer.truncate(received.unwrap());
                return buffer;
            }
        }
    }
}

/// A payload that no other of the same length is like.
fn payload(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number * 31 + at * 7 + at / 256) as u8).collect()
}

/// The document of an echo server at its end, which must add up.
fn adds_up(document: Value) -> Value {
    assert_eq!((&document["schema"], &document["kind"]), (&"udperf/1".into(), &"echo".into()));
    let refused = document["refused"].as_object().unwrap().values();
    let refused: u64 = refused.filter_map(Value::as_u64).sum();
    let fates = ["returned", "dropped", "unanswered", "overflow", "waiting"];
    let fates: u64 = fates.iter().map(|fate| number(&document, fate)).sum();
    assert_eq!(number(&document, "received"), fates + refused, "{document}");
    let by_worker = document["by_worker"].as_array().unwrap();
    assert_eq!(by_worker.len() as u64, number(&document, "threads"));
    let by_worker: u64 = by_worker.iter().filter_map(Value::as_u64).sum();
    assert_eq!(by_worker, number(&document, "received"));
    assert_eq!((number(&document, "truncated"), number(&document, "errors")), (0, 0));
    document
}

fn has_ipv6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}

#[test]
fn every_engine_returns_every_size_byte_for_byte() {
    let small = (0..66).chain([511, 512, 1_471, 1_472, 1_473, 4_096, 8_972, 9_000]);
    let sizes: Vec<usize> = small.chain([32_767, 32_768, 65_000, 65_506, 65_507]).collect();
    for engine in engines() {
        for (bind, to) in [("-B 127.0.0.1", "127.0.0.1"), ("-B ::1", "[::1]"), ("-4", "127.0.0.1")]
        {
            if to == "[::1]" && !has_ipv6() {
                common::skip::missing("no IPv6 here");
                continue;
            }
            let echo = Serving::of("echo", &format!("-e {engine} {bind}"));
            let client = client(to, echo.port);
            for (number, &len) in sizes.iter().enumerate() {
                let sent = payload(number, len);
                client.send(&sent).unwrap();
                assert!(answer(&client) == sent, "{engine} {bind}: {len} bytes");
            }
            let document = adds_up(echo.end());
            let (count, bytes) = (sizes.len() as u64, sizes.iter().sum::<usize>() as u64);
            assert_eq!(document["engine"], engine);
            assert_eq!(number(&document, "returned"), count, "{engine} {bind}");
            assert_eq!(number(&document, "received_bytes"), bytes);
            assert_eq!(number(&document, "returned_bytes"), bytes);
        }
    }
}

#[test]
fn bursts_come_back_in_order() {
    for engine in engines() {
        let echo = Serving::of("echo", &format!("-e {engine} -B 127.0.0.1"));
        let client = client("127.0.0.1", echo.port);
        for burst in 0..50 {
            for number in 0..40 {
                client.send(&payload(burst * 40 + number, 100 + number)).unwrap();
            }
            for number in 0..40 {
                assert!(answer(&client) == payload(burst * 40 + number, 100 + number), "{engine}");
            }
        }
        assert_eq!(number(&adds_up(echo.end()), "returned"), 2_000);
    }
}

#[test]
fn answers_leave_from_the_address_that_was_asked() {
    for engine in engines() {
        for words in ["-4", ""] {
            let echo = Serving::of("echo", &format!("-e {engine} {words}"));
            for to in ["127.0.0.1", "127.0.0.2", "127.9.8.7"] {
                // Connected, so the kernel gives it nothing from any other address.
                let client = client(to, echo.port);
                client.send(to.as_bytes()).unwrap();
                assert_eq!(answer(&client), to.as_bytes(), "{engine} {words}");
            }
            if words.is_empty() && has_ipv6() {
                let client = client("[::1]", echo.port);
                client.send(b"six").unwrap();
                assert_eq!(answer(&client), b"six", "{engine}");
            }
            adds_up(echo.end());
        }
    }
}

/// Sends these bytes as one super-packet; `false`: not possible here.
fn send_super_packet(client: &UdpSocket, bytes: &[u8], segment: u16) -> bool {
    let sent = sys::set_udp_segment(client, segment).and_then(|()| client.send(bytes));
    if let Err(error) = sent {
        common::skip::missing(format_args!("no super-packets: {error}"));
        return false;
    }
    true
}

/// Datagrams in a row, so many that the server finds its queue deep.
const BURST: u16 = 101;

/// Makes the server take super-packets by a burst, which still arrives as single datagrams. `false`:
/// no super-packets can be sent here.
fn ask_for_super_packets(client: &UdpSocket) -> bool {
    let sent: Vec<u8> = (1..=BURST).flat_map(u16::to_be_bytes).collect();
    send_super_packet(client, &sent, 2) && numbers_back(client, BURST).last() == Some(&BURST)
}

#[test]
fn super_packets_come_back_with_their_boundaries() {
    for engine in engines() {
        for words in ["-B 127.0.0.1", "-4", "-B 127.0.0.1 --delay 1ms"] {
            let echo = Serving::of("echo", &format!("-e {engine} {words}"));
            let client = client("127.0.0.1", echo.port);
            if !ask_for_super_packets(&client) {
                return;
            }
            // Full segments alone, and with a shorter one at the end.
            for len in [1_000, 1_037, 1_472 * 20, 64 * 1_000 + 1] {
                let (segment, sent) = (if len < 2_000 { 100 } else { 1_472 }, payload(len, len));
                if !send_super_packet(&client, &sent, segment) {
                    return;
                }
                for part in sent.chunks(segment.into()) {
                    assert!(answer(&client) == part, "{engine} {words}: {len}");
                }
            }
            let document = adds_up(echo.end());
            let burst = u64::from(BURST);
            let returned = burst + 10 + 11 + 20 + 44;
            assert_eq!(number(&document, "returned"), returned, "{engine} {words}");
            let packets = if engine == "offload" { burst + 4 } else { returned };
            assert_eq!(number(&document, "packets"), packets, "{engine} {words}");
            assert_eq!(number(&document, "cut"), 0);
        }
    }
}

#[test]
fn a_super_packet_comes_back_as_one() {
    let echo = Serving::of("echo", "-e offload -B 127.0.0.1");
    let client = client("127.0.0.1", echo.port);
    if !ask_for_super_packets(&client) {
        return;
    }
    let sent = payload(1, 1_037);
    sys::set_udp_gro(&client, true).unwrap();
    assert!(send_super_packet(&client, &sent, 100));
    client.set_nonblocking(true).unwrap();
    let mut calls =
        RecvBatch::new(4, 65_536, RecvMetadata { segments: true, ..RecvMetadata::default() });
    let until = Instant::now() + PATIENCE;
    while calls.recv(&client).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
        assert!(Instant::now() < until, "nothing came back");
        std::thread::yield_now();
    }
    let messages: Vec<_> = calls.messages().collect();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].segment, 100);
    assert!(messages[0].payload == sent);
    adds_up(echo.end());
}

/// The numbers that come back of so many datagrams, of which the last one does.
fn numbers_back(client: &UdpSocket, count: u16) -> Vec<u16> {
    let mut back = Vec::new();
    while back.last() != Some(&count) {
        let bytes = answer(client);
        back.push(u16::from_be_bytes([bytes[0], bytes[1]]));
    }
    back
}

#[test]
fn every_nth_is_dropped_and_no_other() {
    for engine in engines() {
        for words in ["--drop 1/4", "--drop 1/4 --delay 2ms"] {
            let echo = Serving::of("echo", &format!("-e {engine} -B 127.0.0.1 {words}"));
            let client = client("127.0.0.1", echo.port);
            for number in 1_u16..=101 {
                client.send(&number.to_be_bytes()).unwrap();
            }
            let expected: Vec<_> = (1..=101).filter(|number| number % 4 != 0).collect();
            assert_eq!(numbers_back(&client, 101), expected, "{engine} {words}");
            let document = adds_up(echo.end());
            assert_eq!(number(&document, "dropped"), 25, "{engine} {words}");
            assert_eq!(number(&document, "returned"), 76);
            assert_eq!(document["drop"], "1/4");
        }
    }
}

#[test]
fn what_is_dropped_is_taken_out_of_super_packets() {
    for words in ["--drop 1/4", "--drop 1/4 --delay 2ms"] {
        let echo = Serving::of("echo", &format!("-e offload -B 127.0.0.1 {words}"));
        let client = client("127.0.0.1", echo.port);
        let last = BURST + 41;
        let numbered = |number: u16| {
            let mut bytes = payload(number.into(), if number == last { 30 } else { 50 });
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            bytes
        };
        if !ask_for_super_packets(&client) {
            return;
        }
        let sent: Vec<u8> = (BURST + 1..=last).flat_map(numbered).collect();
        assert!(send_super_packet(&client, &sent, 50));
        for number in (BURST + 1..=last).filter(|number| number % 4 != 0) {
            assert!(answer(&client) == numbered(number), "{words}: {number}");
        }
        let document = adds_up(echo.end());
        assert_eq!((number(&document, "dropped"), number(&document, "packets")), (35, 101 + 1));
        assert_eq!(number(&document, "returned"), 142 - 35);
    }
}

#[test]
fn chance_is_the_same_for_the_same_seed() {
    let survivors = |words: &str| {
        let words = format!("-e plain -B 127.0.0.1 -n 200 {words}");
        let echo = Serving::of("echo", &words);
        let client = client("127.0.0.1", echo.port);
        for number in 1_u16..=200 {
            client.send(&number.to_be_bytes()).unwrap();
        }
        let document = adds_up(echo.ended(0));
        client.set_nonblocking(true).unwrap();
        let mut back = Vec::new();
        let mut bytes = [0; 2];
        while client.recv(&mut bytes).is_ok() {
            back.push(u16::from_be_bytes(bytes));
        }
        assert_eq!(back.len() as u64, number(&document, "returned"), "{words}");
        assert_eq!(number(&document, "received"), 200);
        back
    };
    let half = survivors("--drop 50% --seed 7");
    assert!(!half.is_empty() && half.len() < 200);
    assert_eq!(survivors("--drop 50% --seed 7"), half);
    assert_ne!(survivors("--drop 50% --seed 8"), half);
    assert_eq!(survivors("--drop 0%").len(), 200);
    assert_eq!(survivors("--drop 100%").len(), 0);
}

#[test]
fn no_answer_is_early() {
    for (engine, wait) in
        [("plain", "hybrid"), ("batch", "epoll"), ("offload", "spin"), ("uring", "hybrid")]
    {
        if !engines().contains(&engine) {
            continue;
        }
        for (words, delay) in [("700us", 700_000), ("3.5ms", 3_500_000)] {
            let words = format!("-e {engine} -4 --wait {wait} --delay {words}");
            let echo = Serving::of("echo", &words);
            let client = client("127.0.0.1", echo.port);
            for round in 0..20 {
                let mut sent_at = Vec::new();
                for number in 0..5 {
                    sent_at.push(sys::monotonic_ns());
                    client.send(&payload(round * 5 + number, 64)).unwrap();
                }
                for (number, sent_at) in sent_at.into_iter().enumerate() {
                    assert!(answer(&client) == payload(round * 5 + number, 64), "{words}");
                    let took = sys::monotonic_ns() - sent_at;
                    assert!(took >= delay, "{words}: back after {took} ns");
                }
            }
            let document = adds_up(echo.end());
            assert_eq!(number(&document, "returned"), 100);
            assert_eq!(number(&document, "delay_ns"), delay);
            assert!(document["lateness"]["p50_ns"].is_u64());
        }
    }
}

#[test]
fn what_still_waits_at_the_end_is_counted() {
    let echo = Serving::of("echo", "-4 --delay 1h");
    let client = client("127.0.0.1", echo.port);
    (0..7).for_each(|number| assert_eq!(client.send(&payload(number, 64)).unwrap(), 64));
    let document = adds_up(echo.end());
    assert_eq!((number(&document, "waiting"), number(&document, "returned")), (7, 0));
}

#[test]
fn threads_share_a_port_and_the_clients() {
    for engine in engines() {
        for bind in ["-B 127.0.0.1", ""] {
            let echo = Serving::of("echo", &format!("-e {engine} {bind} --threads 4 --pin off"));
            let clients: Vec<_> = (0..32).map(|_| client("127.0.0.1", echo.port)).collect();
            for number in 0..5 {
                for (at, client) in clients.iter().enumerate() {
                    client.send(&payload(at * 5 + number, 200)).unwrap();
                }
                for (at, client) in clients.iter().enumerate() {
                    assert!(answer(client) == payload(at * 5 + number, 200), "{engine}");
                }
            }
            let document = adds_up(echo.end());
            assert_eq!((number(&document, "returned"), number(&document, "clients")), (160, 32));
            let by_worker = document["by_worker"].as_array().unwrap();
            let busy = by_worker.iter().filter(|count| count.as_u64() > Some(0)).count();
            assert!(busy > 1, "{engine}: of 32 clients, all went to one of {by_worker:?}");
        }
    }
}

#[test]
fn whoever_might_answer_the_answer_gets_none() {
    for engine in engines() {
        for bind in ["-B 127.0.0.1", ""] {
            let echo = Serving::of("echo", &format!("-e {engine} {bind}"));
            let Ok(like_us) = UdpSocket::bind(("127.0.0.2", echo.port)) else {
                // Bound to any address, ours has that one too: another one cannot be there.
                assert_eq!(bind, "");
                continue;
            };
            like_us.send_to(b"loop", ("127.0.0.1", echo.port)).unwrap();
            let client = client("127.0.0.1", echo.port);
            client.send(b"well").unwrap();
            assert_eq!(answer(&client), b"well");
            like_us.set_nonblocking(true).unwrap();
            // It came first, so an answer would be there by now.
            assert!(like_us.recv(&mut [0; 8]).is_err(), "{engine}");
            let document = adds_up(echo.end());
            assert_eq!((number(&document, "unanswered"), number(&document, "returned")), (1, 1));
        }
    }
}

/// Stops a process, or lets it go on; returns when all its threads stand still.
fn stop(process: u32, stop: bool) {
    signal(process, if stop { "STOP" } else { "CONT" });
    let stands_still = || {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
        let stats = tasks.map(|task| std::fs::read_to_string(task.path().join("stat")));
        stats.flatten().all(|stat| stat.contains(") T "))
    };
    while stop && !stands_still() {
        std::thread::yield_now();
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_client_that_is_gone_harms_no_other() {
    for engine in engines() {
        for words in ["-B 127.0.0.1", "", "-B 127.0.0.1 --delay 1ms"] {
            let echo = Serving::of("echo", &format!("-e {engine} {words}"));
            let stays = client("127.0.0.1", echo.port);
            stop(echo.process(), true);
            for number in 0..8 {
                // What comes back reaches no other test's socket.
                let goes = UdpSocket::bind(("127.0.0.1", common::ports::free())).unwrap();
                goes.send_to(b"gone", ("127.0.0.1", echo.port)).unwrap();
                drop(goes);
                stays.send(&payload(number, 64)).unwrap();
            }
            stop(echo.process(), false);
            for number in 0..8 {
                assert!(answer(&stays) == payload(number, 64), "{engine} {words}");
            }
            let document = adds_up(echo.end());
            assert_eq!(number(&document, "returned"), 16, "{engine} {words}: {document}");
            assert!(number(&document, "told_unreachable") > 0, "{engine} {words}");
        }
    }
}

#[test]
fn the_last_one_has_no_more_after_it_than_a_batch() {
    for engine in engines() {
        let echo = Serving::of("echo", &format!("-e {engine} -B 127.0.0.1 -n 10"));
        let client = client("127.0.0.1", echo.port);
        stop(echo.process(), true);
        (0..500).for_each(|_| assert_eq!(client.send(b"more").unwrap(), 4));
        stop(echo.process(), false);
        let received = number(&adds_up(echo.ended(0)), "received");
        // The largest batch of an engine is 64, and nine fill none.
        assert!((10..10 + 64).contains(&received), "{engine}: {received}");
    }
}

#[test]
fn it_ends_when_it_was_told_to() {
    let echo = Serving::of("echo", "-B 127.0.0.1 -n 10 --delay 30ms");
    let client = client("127.0.0.1", echo.port);
    (0..10).for_each(|number| assert_eq!(client.send(&payload(number, 64)).unwrap(), 64));
    // What was held back is returned before the end.
    let document = adds_up(echo.ended(0));
    assert_eq!((number(&document, "returned"), number(&document, "waiting")), (10, 0));
    // Nor is there a never-ending end where more and more comes.
    let echo = Serving::of("echo", "-B 127.0.0.1 -n 10 --delay 30ms");
    let port = echo.port;
    let ended = AtomicBool::new(false);
    let document = std::thread::scope(|scope| {
        scope.spawn(|| {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            while !ended.load(Ordering::Relaxed) {
                let _ = client.send_to(b"more", ("127.0.0.1", port));
                std::thread::yield_now();
            }
        });
        let document = adds_up(echo.ended(0));
        ended.store(true, Ordering::Relaxed);
        document
    });
    assert!(number(&document, "returned") >= 10 && number(&document, "waiting") == 0);
    for words in ["-t 50ms", "--idle-timeout 50ms"] {
        let document = adds_up(Serving::of("echo", words).ended(0));
        assert_eq!(number(&document, "received"), 0);
        assert!(document["pps"].is_null() && number(&document, "elapsed_ns") >= 50_000_000);
    }
    let output = run("echo -q -p 0 -B 127.0.0.1 -t 50ms --color never");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("received      0 datagrams"), "{text}");
}

#[test]
fn an_interrupt_ends_the_wait_for_what_is_held_back() {
    let echo = Serving::of("echo", "-B 127.0.0.1 -n 1 --delay 1h");
    let client = client("127.0.0.1", echo.port);
    client.send(b"for an hour").unwrap();
    let document = adds_up(echo.end());
    assert_eq!((number(&document, "waiting"), number(&document, "returned")), (1, 0));
}

#[test]
fn what_cannot_be_is_refused_with_what_mends_it() {
    for (words, code, says) in [
        ("-e null", 2, "plain, batch, offload"),
        ("-e all", 2, "or auto"),
        ("-e warp", 2, "unknown"),
        ("--threads 0", 2, "0 is not in 1"),
        ("-4 -6", 2, "cannot be used with"),
        ("-4 -B ::1", 2, "omit -4 or -6"),
        ("--drop 1", 2, "1/N"),
        ("--drop 101%", 2, "1/N"),
        ("--delay soon", 2, "not a duration"),
        ("--delay 99999999999h", 2, "or less"),
        ("--delay 3601s", 2, "or less"),
        ("--pin x", 2, "off"),
        ("-B 192.0.2.1 -p 0", 1, "ip addr"),
        ("--dev no-such-device -p 0", 1, "ip link"),
        ("-J=/no/such/folder/file -p 0", 1, "choose another path"),
    ] {
        let output = run(&format!("echo {words}"));
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{words}: {error}");
        assert!(error.contains(says), "{words}: {error}");
        assert!(output.stdout.is_empty(), "{words}");
    }
    let echo = Serving::of("echo", "-B 127.0.0.1");
    for threads in ["", "--threads 2"] {
        let output = run(&format!("echo -B 127.0.0.1 -p {} {threads}", echo.port));
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("address in use"), "{}", stderr(&output));
    }
    adds_up(echo.end());
}
