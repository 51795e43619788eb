//! Requests by the engine `xdp` with several threads: each reply reaches the thread of its request,
//! by whichever queue it arrives, and the counters of the devices agree.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{alone, check_identities, number, together};
use crate::nets::{Nets, Place, Side, shell};
use crate::proc::{PATIENCE, Proc};
use crate::rig::only;
use crate::xdp::{HeldThread, networks};

/// Requests of a run. Arbitrary.
const COUNT: u64 = 2_000;

/// How often the server looks whether it is to end. Arbitrary.
const LOOK: Duration = Duration::from_millis(20);

/// Makes the devices again: two queues each at side A, `queues` at side B, by which its replies
/// leave. A veth(4) device receives by the queue of the number by which its peer sends.
fn with_queues(nets: &Nets, queues: u32) {
    let [a, b] = [Side::A, Side::B].map(|side| nets.name(side));
    let mut script = format!(
        "ip -n {a} link del x0; \
         ip link add x0 netns {a} address 02:00:00:00:00:01 numtxqueues 2 numrxqueues 2 \
           type veth peer name x0 netns {b} address 02:00:00:00:00:02 numtxqueues {queues} \
           numrxqueues 2; "
    );
    for (name, own, other) in [(a, 1, 2), (b, 2, 1)] {
        script += &format!(
            "ip -n {name} addr add 10.78.0.{own}/24 dev x0; ip -n {name} link set x0 up; \
             ip -n {name} neigh replace 10.78.0.{other} lladdr 02:00:00:00:00:0{other} \
               nud permanent dev x0; "
        );
    }
    shell(&Place::here(), &script).unwrap();
}

/// What a server does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// Returns each once.
    Answer,
    /// Omits every third.
    Omit,
    /// Returns those of this client port, in the order of their first requests, when none has come
    /// for [`HELD`].
    Hold(usize),
    /// Returns all after an order.
    HoldAll,
}

/// Longer than a thread waits for late replies once all of its requests are answered: `MAX_QUIET`
/// of `request/matcher.rs`.
const HELD: Duration = Duration::from_millis(400);

/// A server at side B.
struct Server {
    at: SocketAddr,
    state: Arc<State>,
    thread: JoinHandle<()>,
}

/// What a server received and sent, and its orders.
#[derive(Default)]
struct State {
    received: AtomicU64,
    sent: AtomicU64,
    is_released: AtomicBool,
    is_over: AtomicBool,
}

impl Server {
    fn start(nets: &Nets, policy: Policy) -> Self {
        let (enter, state) = (nets.entrance(Side::B), Arc::new(State::default()));
        let (at, bound) = std::sync::mpsc::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            enter().unwrap();
            let socket = UdpSocket::bind((Side::B.ip(), 0)).unwrap();
            // As much as the system grants.
            let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
            at.send(socket.local_addr().unwrap()).unwrap();
            serve(&socket, policy, &shared);
        });
        Self { at: bound.recv().unwrap(), state, thread }
    }

    /// Ends it; returns what it received and sent.
    fn end(self) -> [u64; 2] {
        self.state.is_over.store(true, Relaxed);
        self.thread.join().unwrap();
        [&self.state.received, &self.state.sent].map(|count| count.load(Relaxed))
    }
}

fn serve(socket: &UdpSocket, policy: Policy, state: &State) {
    socket.set_read_timeout(Some(LOOK)).unwrap();
    let answer = |bytes: &[u8], to| {
        state.sent.fetch_add(u64::from(socket.send_to(bytes, to).is_ok()), Relaxed);
    };
    let mut buffer = [0; 2_048];
    let (mut clients, mut held, mut latest) = (Vec::new(), Vec::new(), Instant::now());
    while !state.is_over.load(Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else {
            let is_released = match policy {
                Policy::HoldAll => state.is_released.load(Relaxed),
                _ => latest.elapsed() > HELD,
            };
            if is_released {
                held.drain(..).for_each(|(bytes, to): (Vec<u8>, _)| answer(&bytes, to));
            }
            continue;
        };
        let bytes = &buffer[..len];
        let number = state.received.fetch_add(1, Relaxed);
        latest = Instant::now();
        if !clients.contains(&from) {
            clients.push(from);
        }
        let holds = match policy {
            Policy::Hold(client) => clients.get(client) == Some(&from),
            Policy::HoldAll => true,
            _ => false,
        };
        if holds {
            held.push((bytes.to_vec(), from));
        } else if policy != Policy::Omit || number % 3 != 2 {
            answer(bytes, from);
        }
    }
}

/// Frames that the device of side A received, by queue, and sent.
fn device(nets: &Nets) -> [u64; 3] {
    let listed = nets.run(Side::A, "ethtool -S x0; ip -s -j link show x0");
    let (queues, json) = listed.split_once('[').unwrap();
    let queue = |at: usize| {
        let name = format!("rx_queue_{at}_xdp_packets:");
        let line = queues.lines().find_map(|line| line.trim().strip_prefix(&name));
        line.unwrap().trim().parse().unwrap()
    };
    let json: Value = serde_json::from_str(&format!("[{json}")).unwrap();
    [queue(0), queue(1), json[0]["stats64"]["tx"]["packets"].as_u64().unwrap()]
}

fn load(nets: &Nets, server: &Server, words: &str) -> Proc {
    let mut command = nets.place(Side::A).command(env!("CARGO_BIN_EXE_udperf"));
    command.args(["load", &server.at.to_string(), "--preset", "echo", "-l", "64", "-J", "-q"]);
    command.args(["--warmup", "0", "--threads", "2", "--max-missed", "100%"]);
    command.args(words.split_whitespace());
    Proc::start(command)
}

/// Runs requests to the end, and checks that each one was sent once and answered as the server
/// says; returns the cell and the replies by queue.
fn answered(nets: &Nets, words: &str, policy: Policy) -> (Value, [u64; 2]) {
    let server = Server::start(nets, policy);
    let before = device(nets);
    let report = load(nets, &server, words).finish(PATIENCE).expect(0).document();
    let cell = only(&report).clone();
    let (after, [requests, replies]) = (device(nets), server.end());
    let [one, two, sent] = [0, 1, 2].map(|at| after[at] - before[at]);
    let id = format!("{words}: {} {}", cell["exchange"], cell["ledger"]);
    check_identities(&cell, &id);
    let n = |path: &str| number(&cell, path);
    assert_eq!((n("ledger.sent"), sent, requests), (COUNT, COUNT, COUNT), "{id}");
    assert_eq!(one + two, replies, "{id}");
    assert_eq!((n("exchange.matched"), n("exchange.timeouts")), (replies, COUNT - replies), "{id}");
    assert_eq!((n("exchange.replies"), n("ledger.received")), (replies, replies), "{id}");
    for none in ["duplicate", "late", "foreign", "corrupt", "lost_at.xdp_ring"] {
        assert_eq!(n(&format!("ledger.{none}")), 0, "{none}: {id}");
    }
    assert_eq!(n("latency.count"), replies, "{id}");
    // What each thread sent was answered, and matched by it.
    let workers: Vec<u64> = serde_json::from_value(cell["workers"].clone()).unwrap();
    assert_eq!(workers.iter().sum::<u64>(), replies, "{workers:?}: {id}");
    if policy != Policy::Omit {
        assert!(workers.iter().all(|&received| received >= COUNT / 4), "{workers:?}: {id}");
    }
    (cell, [one, two])
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn each_reply_reaches_the_thread_of_its_request_by_any_queue() {
    let _together = together();
    let Some(nets) = networks(&["ethtool"]) else { return };
    for queues in [1, 2] {
        with_queues(&nets, queues);
        for (engine, load) in [
            ("xdp", "-r 2k"),
            ("xdp", "-r 2k --wait epoll"),
            ("xdp", "-r 2k --wait spin"),
            ("xdp", "--outstanding 8"),
            ("batch/xdp", "-r 2k"),
        ] {
            let words = format!("-e {engine} -P 16 -n {COUNT} --timeout 5s {load}");
            let (cell, by_queue) = answered(&nets, &words, Policy::Answer);
            assert_eq!(number(&cell, "exchange.matched"), COUNT, "{words}");
            let granted = &cell["rx"]["xdp"];
            assert_eq!(granted["queues"], serde_json::json!([0, 1]), "{words}: {granted}");
            if queues == 1 {
                // The second thread gets all of its replies from the first.
                assert_eq!(by_queue, [COUNT, 0], "{words}");
            }
        }
    }
}

#[test]
fn unanswered_requests_are_lost_exactly_with_several_threads() {
    let _together = together();
    let Some(nets) = networks(&["ethtool"]) else { return };
    with_queues(&nets, 1);
    let words = format!("-e xdp -P 16 -n {COUNT} -r 2k --timeout 3s");
    let (cell, _) = answered(&nets, &words, Policy::Omit);
    for lost in ["ledger.lost", "exchange.timeouts"] {
        assert_eq!(number(&cell, lost), COUNT / 3, "{lost}: {}", cell["ledger"]);
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_thread_whose_requests_are_answered_receives_for_the_others() {
    let _together = together();
    let Some(nets) = networks(&["ethtool"]) else { return };
    with_queues(&nets, 1);
    // All replies arrive at the queue of the first thread, in one of both runs only after its own.
    for client in [0, 1] {
        let words = format!("-e xdp -P 2 -n {COUNT} -r 2k --timeout 20s");
        let (cell, _) = answered(&nets, &words, Policy::Hold(client));
        assert_eq!(number(&cell, "exchange.matched"), COUNT, "{client}: {}", cell["exchange"]);
    }
}

/// Whether this thread of a process sleeps.
fn sleeps(process: u32, name: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let stat = |thread: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default()
    };
    threads.map(stat).any(|stat| stat.contains(&format!("({name}) S ")))
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn replies_for_a_thread_that_does_not_run_are_dropped_at_its_queue_exactly() {
    let _alone = alone();
    let Some(nets) = networks(&["ethtool"]) else { return };
    with_queues(&nets, 1);
    // Half of them is for the second thread, whose queue takes 8,192.
    let (count, excess) = (18_000, 808);
    let server = Server::start(&nets, Policy::HoldAll);
    let before = device(&nets);
    let words = format!("-e xdp -P 2 -n {count} -r 6k --timeout 12s --wait epoll");
    let mut running = load(&nets, &server, &words);
    while server.state.received.load(Relaxed) < count {
        assert!(running.is_alive(), "ended too early");
    }
    let second = HeldThread::find(running.id(), "udperf-ask-1");
    server.state.is_released.store(true, Relaxed);
    while device(&nets)[0] < before[0] + count || !sleeps(running.id(), "udperf-ask-0") {
        assert!(running.is_alive(), "ended too early");
    }
    drop(second);
    let report = running.finish(PATIENCE).expect(0).document();
    let cell = only(&report);
    let n = |path: &str| number(cell, path);
    let id = format!("{} {}", cell["exchange"], cell["ledger"]);
    check_identities(cell, &id);
    let dropped = n("ledger.lost_at.xdp_ring");
    assert!(dropped >= excess, "{id}");
    assert_eq!((n("exchange.timeouts"), n("exchange.own_drops")), (dropped, dropped), "{id}");
    assert_eq!((n("exchange.matched"), n("ledger.unaccounted")), (count - dropped, 0), "{id}");
    assert_eq!(server.end(), [count, count]);
}
