//! A path that takes longer than any silence between datagrams: receivers wait for datagrams in
//! flight when the sender ends, even if none has arrived by then.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::common::{number, together};
use crate::nets::Place;
use crate::rig::{Sink, only, report};

/// How long data take through the relay: longer than the silence that ends a phase between two
/// hosts (250 ms), and than what a few datagrams at 100 per second take.
const DELAY: Duration = Duration::from_millis(600);

/// Tags of data begin here; below are those of control.
const FIRST_DATA_TAG: u8 = 64;

/// A relay that holds each datagram of data for [`DELAY`], either way; control passes at once.
struct SlowRelay {
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    data: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// What is held: when it is due, by which socket it leaves, where to, and its bytes.
type Held = (Instant, Arc<UdpSocket>, SocketAddr, Vec<u8>);

impl SlowRelay {
    fn start(sink: SocketAddr) -> Self {
        let open = || {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            Arc::new(socket)
        };
        let front = open();
        let at = front.local_addr().unwrap();
        let (stop, data) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (theirs, count) = (Arc::clone(&stop), Arc::clone(&data));
        let thread = std::thread::spawn(move || {
            let mut backs = HashMap::<SocketAddr, Arc<UdpSocket>>::new();
            let mut held = VecDeque::<Held>::new();
            let mut buffer = [0; 2_048];
            while !theirs.load(Ordering::Relaxed) {
                let mut came = Vec::new();
                while let Ok((len, from)) = front.recv_from(&mut buffer) {
                    let back = backs.entry(from).or_insert_with(open);
                    came.push((Arc::clone(back), sink, buffer[..len].to_vec()));
                }
                for (client, back) in &backs {
                    while let Ok((len, _)) = back.recv_from(&mut buffer) {
                        came.push((Arc::clone(&front), *client, buffer[..len].to_vec()));
                    }
                }
                for (by, to, bytes) in came {
                    if u16::from_be_bytes([bytes[0], bytes[1]]) < FIRST_DATA_TAG.into() {
                        by.send_to(&bytes, to).unwrap();
                    } else {
                        count.fetch_add(1, Ordering::Relaxed);
                        held.push_back((Instant::now() + DELAY, by, to, bytes));
                    }
                }
                while held.front().is_some_and(|(due, ..)| *due <= Instant::now()) {
                    let (_, by, to, bytes) = held.pop_front().unwrap();
                    by.send_to(&bytes, to).unwrap();
                }
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        Self { at, stop, data, thread: Some(thread) }
    }
}

impl Drop for SlowRelay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking());
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_few_datagrams_on_a_slow_path_are_waited_for() {
    let _together = together();
    let sink = Sink::here("");
    for flags in ["", "--reverse", "-P 3"] {
        let relay = SlowRelay::start(sink.at);
        let report = report(&Place::here(), relay.at, &format!("-e plain -n 3 -r 100 {flags}"));
        let cell = only(&report);
        let id = format!("{flags}: {}", cell["ledger"]);
        assert!(relay.data.load(Ordering::Relaxed) >= 3, "{id}");
        assert_eq!((number(cell, "ledger.sent"), number(cell, "ledger.received")), (3, 3), "{id}");
        assert_eq!(number(cell, "ledger.late"), 0, "{id}");
    }
    sink.end();
}
