//! AF_UNIX datagram sockets in `bench`: everything sent arrives, sends are refused only by a full
//! queue, and no file stays behind.
#![cfg(all(unix, not(udperf_portable)))]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

use common::signals::ended_by;
use common::{bench, cells, ids, number, run, stderr};
use serde_json::Value;
use tempfile::TempDir;
use udperf::engine::{BatchTx, Tx};
use udperf::net::{Unix, UnixName};
use udperf::sys::SendError;
use udperf::unit::PayloadSize;

/// Engines that this host has without UDP's offload.
fn engines() -> String {
    let report = bench("-B unix: -e all -l 64 -n 1 -r max");
    let mut found: Vec<_> =
        ids(&report).iter().map(|id| id.split('/').next().unwrap().replace('+', "/")).collect();
    found.dedup();
    if !found.iter().any(|word| word == "uring") {
        common::skip::unavailable(format_args!("this host has no io_uring"));
    }
    found.join(",")
}

/// Names in a folder.
fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All was delivered, and what was refused was refused by a full queue.
fn check_whole(cell: &Value, count: u64) {
    let id = &cell["id"];
    assert_eq!(number(cell, "ledger.sent"), count, "{id}");
    assert_eq!(number(cell, "ledger.received"), count, "{id}");
    assert_eq!(number(cell, "ledger.lost"), 0, "{id}");
    for reason in ["no_buffers", "unreachable", "too_big", "other"] {
        assert_eq!(number(cell, &format!("ledger.refused.{reason}")), 0, "{id} {reason}");
    }
    for oddity in ["duplicate", "late", "foreign", "corrupt", "reordered"] {
        assert_eq!(number(cell, &format!("ledger.{oddity}")), 0, "{id} {oddity}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn every_engine_delivers_all_and_counts_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s").display().to_string();
    let engines = engines();
    assert!(engines.split(',').count() >= 4, "plain and batch, in pairs: {engines}");
    assert!(!engines.contains("gso") && !engines.contains("gro"), "{engines}");
    for words in ["-l 64 -r max", "-l 65507,imix -r max", "-l 64 -r 20k", "-l 17 -r max -P 5"] {
        let report = bench(&format!("-B unix:{path} -e {engines} -n 700 {words}"));
        assert_eq!(report["scenario"]["unix"], path.as_str());
        cells(&report).iter().for_each(|cell| check_whole(cell, 700));
        assert_eq!(names(&folder), [""; 0], "{words}");
    }
}

#[test]
fn threads_have_sockets_of_their_own_and_every_wait_wakes_up() {
    for wait in ["hybrid", "epoll"] {
        let words = format!("--wait {wait} --pin off --threads 3 -P 7");
        let report = bench(&format!("-B unix: -e plain,batch -l 64 -r max,30k -n 900 {words}"));
        cells(&report).iter().for_each(|cell| check_whole(cell, 900));
    }
    let one_core = common::one_core();
    let report = bench(&format!("-B unix: -e plain,batch -l 64 -r max -n 3000 {one_core}"));
    cells(&report).iter().for_each(|cell| check_whole(cell, 3_000));
}

#[test]
fn a_full_queue_refuses_and_loses_nothing() {
    // On one core the receiver does not run until the sender waits, and its queue is short.
    let Some(queue) = udperf::sys::host::number("/proc/sys/net/unix/max_dgram_qlen") else {
        return common::skip::unavailable(format_args!(
            "the system does not say how long the queue is"
        ));
    };
    if queue > 1_000 {
        return common::skip::unavailable(format_args!(
            "a queue of {queue} holds all that this sends"
        ));
    }
    let one_core = common::one_core();
    let report =
        bench(&format!("-B unix: -e plain,batch -l 64 -r max -n 20000 --wait epoll {one_core}"));
    assert_eq!(report["host"]["max_dgram_qlen"], queue);
    for cell in cells(&report) {
        check_whole(cell, 20_000);
        assert!(number(cell, "ledger.refused.would_block") > 0, "{}", cell["id"]);
    }
}

#[test]
fn counters_of_udp_are_left_out() {
    let report = bench("-B unix: -e plain -l 64 -r max -n 100");
    let cell = &cells(&report)[0];
    for place in ["backlog", "device", "checksum", "no_port", "qdisc"] {
        assert!(cell["ledger"]["lost_at"][place].is_null(), "{place}");
    }
    for counter in ["in_datagrams", "out_datagrams", "rcvbuf_errors", "device_drops"] {
        assert!(cell["kernel"][counter].is_null(), "{counter}");
    }
    assert!(cell["rx"]["socket_buffer"]["granted"].is_null(), "its queue has no size in bytes");
    let schema: Value = serde_json::from_slice(&run("schema").stdout).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&report));
    assert!(bench("-e plain -l 64 -r max -n 10")["scenario"]["unix"].is_null());
}

#[test]
fn offload_is_udps_and_the_default_does_without() {
    let report = bench("-B unix: -l 64 -n 50 -r max");
    assert_eq!(ids(&report), ["plain/64/max", "batch/64/max"]);
    let left: Vec<_> = report["warnings"].as_array().unwrap().iter().collect();
    assert!(left.iter().any(|warning| {
        warning["code"] == "engine_left_out"
            && warning["message"].as_str().unwrap().contains("AF_UNIX has no super-packets")
    }));
    for engine in ["offload", "gso/plain", "plain/gro"] {
        let output = run(&format!("bench -B unix: -e {engine} -l 64 -n 1"));
        assert_eq!(output.status.code(), Some(1), "{engine}");
        assert!(stderr(&output).contains("AF_UNIX has no super-packets"), "{}", stderr(&output));
    }
    let report = bench("-B unix: -e auto -l 64 -n 50 -r max");
    check_whole(&cells(&report)[0], 50);
}

#[test]
fn the_kernel_stamps_these_too() {
    let report = bench("-B unix: -e plain,batch -l 64 -n 300 -r max --timestamps kernel");
    for cell in cells(&report) {
        check_whole(cell, 300);
        assert_eq!(number(cell, "in_socket.count"), 300, "{}", cell["id"]);
        assert!(cell["legs"].is_null(), "there are no stamps on departure");
    }
}

#[test]
fn what_exceeds_the_send_buffer_is_too_big() {
    let output =
        run("bench -J -q --warmup 0 -B unix: -e plain,batch -l 65507 -r max -t 20ms -w 4K");
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for cell in cells(&report) {
        common::check(cell, "too big");
        assert_eq!(number(cell, "ledger.sent"), 0);
        let refused = number(cell, "ledger.refused.too_big");
        assert!(refused > 0 && refused == number(cell, "ledger.attempted"), "{}", cell["ledger"]);
    }
}

#[test]
fn the_living_keep_their_names_and_the_dead_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let (first, second) = (folder.path().join("s.0"), folder.path().join("s.1"));
    let words = format!("-B unix:{} -l 64 -n 20 -r max -e plain --threads 2", path.display());
    let living = UnixDatagram::bind(&second).unwrap();
    let output = run(&format!("bench {words}"));
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "udperf: cannot bind unix:{}: a socket in use has that name; choose another path or stop \
         the other process\n",
        second.display()
    );
    assert_eq!(stderr(&output), expected);
    assert_eq!(names(&folder), ["s.1"], "what was made before the error is gone");
    drop(living);
    // A process that another test has started has a copy of it until it executes its program.
    let prober = UnixDatagram::unbound().unwrap();
    while prober.connect(&second).is_ok() {
        std::thread::yield_now();
    }
    assert!(fs::symlink_metadata(&second).unwrap().file_type().is_socket());
    check_whole(&cells(&bench(&words))[0], 20);
    assert_eq!(names(&folder), [""; 0]);
    fs::write(&first, "precious").unwrap();
    let output = run(&format!("bench {words}"));
    assert!(stderr(&output).contains("not a socket"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&first).unwrap(), "precious");
}

#[test]
fn an_interrupted_run_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s").display().to_string();
    let mut child = common::udperf()
        .args(["bench", "-q", "-J", "-l", "64", "-e", "plain", "-r", "1k", "-t", "60", "-B"])
        .arg(format!("unix:{path}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while names(&folder).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it runs until it is told to stop");
        std::thread::yield_now();
    }
    assert_eq!(ended_by(child, "INT").status.code(), Some(130));
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn what_only_ip_has_is_refused() {
    for (words, name) in [("--ttl 3", "--ttl"), ("-p 9", "--port"), ("--connect off", "--connect")]
    {
        let output = run(&format!("bench -B unix: {words}"));
        assert_eq!(output.status.code(), Some(2), "{words}");
        let said = stderr(&output);
        assert!(said.starts_with(&format!("udperf: {name}")) && said.contains("AF_UNIX"), "{said}");
    }
}

#[test]
fn commands_between_hosts_refuse_unix_names() {
    for words in [
        "sink -B unix:/tmp/a",
        "echo -B unix:",
        "blast unix:/tmp/a",
        "blast unix:/tmp/a --no-peer",
        "blast 127.0.0.1:9 --no-peer -r 1k -B unix:",
        "load unix:/tmp/a --text x",
        "ping unix:@a",
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words}");
        let said = stderr(&output);
        let why = "is not supported with AF_UNIX sockets; use an IP address";
        assert!(said.contains(why), "{words}: {said}");
    }
}

#[test]
fn what_leaves_and_what_is_refused_is_no_more_than_was_pushed() {
    // AF_UNIX tells no reason, and a full queue lasts: nobody reads this one.
    let name = UnixName::new(&format!("@udperf-refused-{}", std::process::id()));
    let (_receiver, _file) = Unix::bind(&name, 65_536).unwrap();
    let sender = Unix::connect(&name, 65_536).unwrap();
    let size = PayloadSize::Fixed(64);
    let mut tx = BatchTx::new(vec![sender.socket], None, size, Some(7), |_| {});
    let (mut sent, mut between) = (0, false);
    // More than any queue holds (net.unix.max_dgram_qlen).
    for _ in 0..100_000 {
        tx.lease(7);
        let push = tx.push(0, sent as u64, 7);
        sent += push.sent;
        assert!(push.sent + push.refused <= 7 && push.refused <= 1, "{push:?}");
        between |= push.sent > 0 && push.refused > 0;
        if push.sent == 0 {
            assert_eq!((push.refused, push.error), (1, Some(SendError::WouldBlock)));
            break;
        }
    }
    // The queue's length is a power of two, or that and one: no multiple of seven.
    assert!(between, "a push met the end of the queue: {sent}");
}
