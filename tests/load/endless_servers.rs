//! Servers that never stop sending: a run ends all the same, and counts what it asked.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::common::{alone, number};
use crate::proc::PATIENCE;
use crate::rig::{adds_up, counts, engines, only, start};

/// Datagrams that a server sends at most: four clients' for half as long as a test waits.
const MOST: usize = 240_000;

/// Between two rounds; less than the shortest silence that is taken for the end.
const GAP: Duration = Duration::from_micros(500);

/// A server that sends a datagram to each of its clients every [`GAP`] or so, whether or not it is
/// asked.
struct Endless {
    at: SocketAddr,
    /// Says when the first request has come.
    asked: Receiver<()>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Endless {
    /// It sends what `says` makes of the first request of a client.
    fn start(says: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
        socket.set_nonblocking(true).unwrap();
        let (at, over) = (socket.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let is_over = Arc::clone(&over);
        let (tell, first) = channel();
        let thread = std::thread::spawn(move || {
            let (mut asked, mut sent, mut slot) = (0, 0, [0; 2_048]);
            let mut clients: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
            loop {
                let was_over = is_over.load(Ordering::Relaxed);
                while let Ok((len, from)) = socket.recv_from(&mut slot) {
                    asked += 1;
                    let _ = tell.send(());
                    if clients.iter().all(|(client, _)| *client != from) {
                        clients.push((from, says(&slot[..len])));
                    }
                }
                if was_over {
                    // All that had come is read.
                    return asked;
                }
                if sent < MOST {
                    // A client that has gone is none of its business.
                    clients.iter().for_each(|(to, says)| drop(socket.send_to(says, to)));
                    sent += clients.len();
                }
                std::thread::sleep(GAP);
            }
        });
        Self { at, asked: first, over, thread }
    }

    /// Ends it; how often it was asked.
    fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_server_that_never_stops_sending_keeps_no_run_from_ending() {
    let _alone = alone();
    for (engine, words) in engines().into_iter().zip(["-P 1", "-P 3", "-P 4 --threads 2"]) {
        let words = format!("--preset echo --timeout 100ms -t 300ms -r 200 -e {engine} {words}");
        // What answers nothing, and what has answered before.
        let others = Endless::start(|_| b"a snapshot".to_vec());
        let done = start("load", &others.at.to_string(), &words).finish(PATIENCE).expect(5);
        let report = adds_up(&done, "load");
        let counted = counts(only(&report));
        assert_eq!(counted.requests, others.end(), "{words}");
        assert_eq!((counted.matched, counted.timeouts), (0, counted.requests), "{words}");
        assert_eq!(counted.unmatched, counted.replies, "{words}");
        assert_eq!(number(only(&report), "exchange.given_up"), 0, "{words}");

        let repeats = Endless::start(<[u8]>::to_vec);
        let done = start("load", &repeats.at.to_string(), &words).finish(PATIENCE).expect(0);
        let report = adds_up(&done, "load");
        let (counted, ports) = (counts(only(&report)), number(only(&report), "streams"));
        assert_eq!(counted.requests, repeats.end(), "{words}");
        assert_eq!(counted.matched, ports, "{words}");
        assert_eq!(counted.duplicate + counted.late, counted.replies - ports, "{words}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn one_interrupt_ends_a_run_that_is_sent_to_without_end() {
    let _alone = alone();
    for engine in engines() {
        let words = format!("--preset echo --timeout 10m -t 10m -r 200 -P 2 -e {engine}");
        let repeats = Endless::start(<[u8]>::to_vec);
        let client = start("load", &repeats.at.to_string(), &words);
        // Each port has one answer, and some requests have none.
        (0..10).for_each(|_| repeats.asked.recv_timeout(PATIENCE).unwrap());
        client.interrupt();
        let done = client.finish(PATIENCE).expect(130);
        let report = adds_up(&done, "load");
        let counted = counts(only(&report));
        assert_eq!(counted.requests, repeats.end(), "{engine}");
        assert!(counted.timeouts > 0, "{engine}");
        assert_eq!(number(only(&report), "exchange.given_up"), counted.timeouts, "{engine}");
    }
}
