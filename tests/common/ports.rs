//! Ports that no other test gets, so that no test depends on what runs beside it.
//!
//! The port of a closed socket is not reserved: the kernel may give it to the next socket that asks
//! for any port. And it may still be in use: a process that another test is starting has a copy of
//! all sockets until it executes its program.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where free ports are. Arbitrary, below those that the kernel gives to sockets that ask for any
/// port (`ip_local_port_range`, ip(7): 32,768 and above).
const FREE: Range<u16> = 10_000..32_000;

/// How many ports lie between the first ones of two processes. Arbitrary: more than a test program
/// takes.
const APART: u32 = 1_000;

/// How many ports were given out.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A port at which this program, or one that it starts, can bind sockets of both protocols and
/// families. Each call gives another one.
pub fn free() -> u16 {
    free_range(1).0
}

/// The first and the last of so many free ports in a row.
pub fn free_range(count: u16) -> (u16, u16) {
    let used = used();
    for _ in FREE {
        let given = GIVEN.fetch_add(u32::from(count), Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(APART).wrapping_add(given);
        let first = FREE.start + u16::try_from(offset % FREE.len() as u32).unwrap();
        let last = first + count - 1;
        if FREE.contains(&last) && used.range(first..=last).next().is_none() {
            return (first, last);
        }
    }
    panic!("no {count} free ports in a row");
}

/// The ports of all sockets, by proc(5). Not by binding one: processes that start meanwhile would
/// have a copy of it.
fn used() -> BTreeSet<u16> {
    let files = ["udp", "udp6", "tcp", "tcp6"].map(|name| format!("/proc/thread-self/net/{name}"));
    let texts = files.map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let port = |line: &str| {
        let local = line.split_whitespace().nth(1)?;
        u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()
    };
    texts.iter().flat_map(|text| text.lines()).filter_map(port).collect()
}

/// A loopback address that refuses datagrams until this program ends. A socket keeps the port, so
/// that no other program gets it. It is connected to itself, and so takes no other datagrams.
pub fn closed() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    socket.connect(at).unwrap();
    std::mem::forget(socket);
    at
}

/// The environment variable with the port for a process that runs a single test.
const BY_ITSELF: &str = "UDPERF_TEST_BY_ITSELF";

/// Runs the calling test, of this name, in a separate process, and returns `None`. There, no other
/// test starts processes, which would have copies of the sockets that the test closes. In that
/// process it returns a free port.
#[track_caller]
pub fn by_itself(test: &str) -> Option<u16> {
    if let Ok(port) = std::env::var(BY_ITSELF) {
        return Some(port.parse().unwrap());
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(BY_ITSELF, free().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    eprint!("{error}");
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{error}");
    None
}
