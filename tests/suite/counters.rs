//! Kernel counters of another network namespace than the process's, against what `tc` says.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common::{in_namespaces, only, skip};

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};

use udperf::sys;

/// A process in a network namespace of its own, for as long as this lives.
struct Namespace(Child);

impl Namespace {
    /// `None`, said loudly, where such cannot be had.
    fn new() -> Option<Self> {
        let set_up = "ip link set lo up && \
                      tc qdisc add dev lo root tbf rate 8mbit burst 5kb limit 20kb && \
                      echo ready && cat";
        let started = Command::new("unshare")
            .args(["-n", "sh", "-c", set_up])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut line = String::new();
        let found = started.ok().and_then(|mut child| {
            BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
            Some(Self(child))
        });
        if line.trim() != "ready" {
            skip::missing("no namespace of our own; this needs root, unshare, ip and tc");
            return None;
        }
        found
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its cat ends with its input.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The number behind `dropped` in what `tc -s qdisc` says of the caller's namespace.
fn dropped_by_tc() -> u64 {
    let output = Command::new("tc").args(["-s", "qdisc", "show", "dev", "lo"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let rest = text.split_once("dropped ").unwrap().1;
    rest.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn a_thread_that_entered_a_namespace_reads_its_counters() {
    let Some(namespace) = Namespace::new() else { return };
    let path = format!("/proc/{}/ns/net", namespace.0.id());
    let inside = std::thread::spawn(move || {
        sys::enter_netns(path.as_ref()).unwrap();
        assert_eq!(sys::qdisc_drops(None), Some(0));
        let before = sys::udp_and_ip_counters().0.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(sink.local_addr().unwrap()).unwrap();
        // More than the queue holds at once, without being told.
        for _ in 0..500 {
            assert_eq!(socket.send(&[0; 1_000]).unwrap(), 1_000);
        }
        let dropped = sys::qdisc_drops(None).unwrap();
        assert_eq!(dropped, dropped_by_tc());
        let lo = sys::device_stack("lo").unwrap();
        assert_eq!(sys::qdisc_drops(Some(&lo)), Some(dropped));
        assert_eq!(sys::qdisc_drops(Some(&[])), Some(0), "it was of lo alone");
        assert!(dropped > 0);
        let after = sys::udp_and_ip_counters().0.unwrap();
        assert_eq!(after.sndbuf_errors - before.sndbuf_errors, dropped);
        assert_eq!(after.out_datagrams - before.out_datagrams + dropped, 500, "nobody else sends");
        assert_eq!(sys::device_index("lo").unwrap(), 1);
        assert!(sys::device_drops(None).is_some());
        std::fs::read_link("/proc/thread-self/ns/net").unwrap()
    });
    assert_ne!(inside.join().unwrap(), std::fs::read_link("/proc/thread-self/ns/net").unwrap());
}

#[test]
fn what_a_masked_file_of_proc_has_is_unknown() {
    // A file, and fields of `kernel` that need it. The kernel removes mounts from single files
    // there, so copies are mounted over the folder.
    let masked = [
        ("snmp", &["in_datagrams", "rcvbuf_errors", "no_ports", "ip_in_discards"][..]),
        ("snmp6", &["in_datagrams", "rcvbuf_errors", "no_ports", "ip_in_discards"]),
        ("netstat", &["ip_in_discards", "reassembly_failures"]),
        ("dev", &["device_drops", "tx_device_drops"]),
    ];
    let bench = "exec $U bench -J -q --warmup 0 -l 64 -e plain -r 1k -n 100 --max-missed 100%";
    let copies = "for name in snmp snmp6 netstat sockstat sockstat6 dev; do
        cat /proc/net/$name >$T/$name; done";
    let one = |file| {
        let mount = "mount --bind $T /proc/$$/task/$$/net";
        format!("{copies}; : >$T/{file}; sh -c '{mount} && {bench}'; echo ====")
    };
    let script = masked.map(|(file, _)| one(file)).join("\n");
    let Some((parts, _)) = in_namespaces("set -e; ip link set lo up", &script) else { return };
    for ((file, fields), report) in masked.into_iter().zip(parts) {
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let kernel = &only(&report)["kernel"];
        for (field, value) in kernel.as_object().unwrap() {
            let is_masked = fields.contains(&field.as_str());
            assert!(!is_masked || value.is_null(), "{file}: {field}: {kernel}");
        }
        assert!(kernel["backlog_drops"].is_u64(), "{file}: other files are read: {kernel}");
    }
}

#[test]
fn what_is_no_namespace_is_refused() {
    assert!(sys::enter_netns("/proc/self/status".as_ref()).is_err());
    assert!(sys::enter_netns("/nowhere".as_ref()).is_err());
}

/// What a copy of this program says of its clock, started by `words`.
fn clock_of_another(words: &[&str]) -> Option<String> {
    let program = std::env::current_exe().unwrap();
    let tell = ["--exact", "counters::this_process_tells_its_clock", "--nocapture"];
    let mut command = match words {
        [] => Command::new(&program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&program);
            command
        }
    };
    let output = command.args(tell).output().ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.split_once("<clock ")?.1.split_once('>')?.0.to_owned())
}

#[test]
fn this_process_tells_its_clock() {
    let own = sys::clock_identity().unwrap();
    assert!(own.starts_with(&sys::boot_id().unwrap()));
    println!("<clock {own}>");
}

#[test]
fn clocks_are_the_same_unless_a_namespace_shifts_one() {
    let own = sys::clock_identity().unwrap();
    assert_eq!(clock_of_another(&[]).unwrap(), own);
    let shifted = |by| clock_of_another(&["unshare", "-T", "--monotonic", by, "--fork", "--"]);
    let (Some(one), Some(other)) = (shifted("77"), shifted("77")) else {
        return skip::missing("no time namespace of our own; this needs root and unshare");
    };
    assert_eq!(one, other, "two namespaces, one clock");
    assert_ne!(one, own);
    assert_ne!(shifted("78").unwrap(), one);
    assert_eq!(shifted("0").unwrap(), own);
}
