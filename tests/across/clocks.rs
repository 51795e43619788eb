//! Two ends with clocks that differ by a known offset, by time namespaces (time_namespaces(7)),
//! and two ends that share one.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{cells, number, together};
use crate::nets::{Place, has, shell, skip};
use crate::rig::{Sink, located, report};

/// Ways to run.
const WAYS: [&str; 3] = ["", "--reverse", "--bidir"];

/// How far the client's clock is ahead of the sink's.
const AHEAD_S: i64 = 100_000;

/// A place whose clocks are ahead; `None`, reported as skipped, without time namespaces.
fn ahead() -> Option<Place> {
    if !has(&["unshare"]) {
        return None;
    }
    let words = format!("unshare -T --monotonic {AHEAD_S} --boottime {AHEAD_S}");
    let place = Place::here().behind(&words);
    let uptime = |place: &Place| -> Result<f64, String> {
        let text = shell(place, "cut -d ' ' -f 1 /proc/uptime")?;
        text.trim().parse().map_err(|error| format!("{text}: {error}"))
    };
    match (uptime(&Place::here()), uptime(&place)) {
        (Ok(here), Ok(there)) if there - here > AHEAD_S as f64 - 1.0 => Some(place),
        (Err(why), _) | (_, Err(why)) => {
            skip(&why);
            None
        }
        (here, there) => {
            skip(format!("the clock of a time namespace is not ahead: {here:?}, {there:?}"));
            None
        }
    }
}

fn offset(report: &Value) -> i64 {
    report["clock"]["offset_ns"]
        .as_i64()
        .unwrap_or_else(|| panic!("no offset: {}", report["clock"]))
}

#[test]
fn one_clock_for_both_ends_is_exact() {
    let _together = together();
    let sink = Sink::here("");
    for way in WAYS {
        let report = report(&Place::here(), sink.at, &format!("-e plain -n 500 -r 5k {way}"));
        assert_eq!(cells(&report).len(), 1 + usize::from(way == "--bidir"));
        for cell in cells(&report) {
            assert_eq!(number(cell, "latency.bound_ns"), 0, "{way}");
        }
        assert_eq!(offset(&report), 0, "{way}");
    }
    sink.end();
}

/// Latencies that are withheld below the bound.
const NAMES: [&str; 8] =
    ["min_ns", "mean_ns", "p50_ns", "p90_ns", "p99_ns", "p99_9_ns", "p99_99_ns", "max_ns"];

/// A direction between clocks that differ: it has a bound of its own, and no latency that the
/// difference is in.
#[track_caller]
fn is_known_within_a_bound(cell: &Value, way: &str) {
    assert_eq!(number(cell, "ledger.received") + located(cell), 1_000, "{way}");
    let bound = number(cell, "latency.bound_ns");
    assert!(bound > 0, "{way}: {}", cell["latency"]);
    // A percentile that is printed is above its bound, and none is as far off as the clocks.
    for name in NAMES {
        let value = &cell["latency"][name];
        let sound = |value: u64| value >= bound && value < 60_000_000_000;
        assert!(value.is_null() || value.as_u64().is_some_and(sound), "{way} {name}: {value}");
    }
}

#[test]
fn clocks_that_differ_are_told_within_their_bound() {
    let _together = together();
    let Some(ahead) = ahead() else { return };
    let sink = Sink::here("");
    for way in WAYS {
        let report = report(&ahead, sink.at, &format!("-e plain -n 1000 -r 5k {way}"));
        // Whichever end it is counted from.
        let error = offset(&report).unsigned_abs().abs_diff(AHEAD_S.unsigned_abs() * 1_000_000_000);
        let known = number(&report["clock"], "bound_ns");
        assert!(error <= known, "{way}: off by {error} ns, said to be within {known}");
        assert_eq!(cells(&report).len(), 1 + usize::from(way == "--bidir"));
        for cell in cells(&report) {
            is_known_within_a_bound(cell, &format!("{way}: {}", cell["direction"]));
        }
    }
    sink.end();
}

/// How long datagrams to the sink are held on the path.
const HELD: Duration = Duration::from_millis(80);

/// A path on loopback that holds datagrams to the sink, and none of those that come back.
struct OneWayDelay {
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OneWayDelay {
    fn start(sink: SocketAddr) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").unwrap();
        // So that what is held leaves in time, although nothing comes.
        front.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let at = front.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || Self::run(&front, sink, &ended));
        Self { at, stop, thread: Some(thread) }
    }

    fn run(front: &UdpSocket, sink: SocketAddr, ended: &AtomicBool) {
        let mut buffer = vec![0; 1 << 16];
        let mut sources: HashMap<SocketAddr, UdpSocket> = HashMap::new();
        let mut held: VecDeque<(Instant, SocketAddr, Vec<u8>)> = VecDeque::new();
        while !ended.load(Ordering::Relaxed) {
            if let Ok((len, from)) = front.recv_from(&mut buffer) {
                held.push_back((Instant::now() + HELD, from, buffer[..len].to_vec()));
            }
            while held.front().is_some_and(|(due, ..)| *due <= Instant::now()) {
                let Some((_, from, bytes)) = held.pop_front() else { break };
                let socket = sources.entry(from).or_insert_with(|| {
                    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                    socket.connect(sink).unwrap();
                    socket.set_nonblocking(true).unwrap();
                    socket
                });
                let _ = socket.send(&bytes);
            }
            for (from, socket) in &sources {
                while let Ok(len) = socket.recv(&mut buffer) {
                    let _ = front.send_to(&buffer[..len], from);
                }
            }
        }
    }
}

impl Drop for OneWayDelay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn on_an_asymmetric_path_no_upper_limit_is_below_the_truth() {
    let _together = together();
    let Some(ahead) = ahead() else { return };
    let sink = Sink::here("");
    let way = OneWayDelay::start(sink.at);
    let report = report(&ahead, way.at, "-e plain -n 100 -r 500");
    drop(way);
    sink.end();
    let latency = &cells(&report)[0]["latency"];
    let bound = number(latency, "bound_ns");
    // Each datagram was held for so long, and half of that is all that two clocks can tell.
    let truth = u64::try_from(HELD.as_nanos()).unwrap();
    assert!(bound >= truth / 2, "{latency}");
    for name in NAMES {
        let at_most = match latency[name].as_u64() {
            Some(measured) => measured + bound,
            None => number(latency, &format!("upper_limits.{name}")),
        };
        assert!(at_most >= truth, "{name}: at most {at_most} ns: {latency}");
    }
}
