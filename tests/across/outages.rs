//! Outages in the middle of a run: an interface that is down, a route that is gone, a server that
//! is restarted. The run continues, and its report has the time, the error and its reporter. Each
//! outage lasts until a kernel has counted a number of datagrams, not for a time.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{number, together};
use crate::nets::{Nets, SINK, Side};
use crate::proc::{Done, PATIENCE, Proc};
use crate::rig::{Sink, blast, only, settle};

/// Datagrams a second in these runs. They last until they are interrupted: a busy machine takes its
/// time.
const RATE: u64 = 1_000;

/// Datagrams that an outage costs at least: 2.6 s, longer than anything is patient for that takes an
/// outage for an end.
const LOST: u64 = 2_600;

/// A counter of one side's kernel, by protocol and name in /proc/net/snmp.
fn counted(nets: &Nets, side: Side, protocol: &str, name: &str) -> u64 {
    let snmp = nets.run(side, "cat /proc/net/snmp");
    let begin = format!("{protocol}: ");
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix(&begin));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut both = names.split(' ').zip(values.split(' '));
    both.find(|(found, _)| *found == name).unwrap().1.parse().unwrap()
}

/// Waits until such a counter has grown by so many.
#[track_caller]
fn grows(nets: &Nets, (side, protocol, name): (Side, &str, &str), before: u64, by: u64) {
    let end = Instant::now() + PATIENCE;
    while counted(nets, side, protocol, name) < before + by {
        assert!(Instant::now() < end, "{protocol} {name} does not grow by {by}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends without a route, as side B's kernel counts them.
const NO_ROUTE: (Side, &str, &str) = (Side::B, "Ip", "OutNoRoutes");

/// Breaks side B's path by one command until a number of sends has failed, and restores it by
/// another.
fn broken(nets: &Nets, breaks: &str, repairs: &str, by: u64) {
    let (side, protocol, name) = NO_ROUTE;
    let before = counted(nets, side, protocol, name);
    nets.run(Side::B, breaks);
    grows(nets, NO_ROUTE, before, by);
    nets.run(Side::B, repairs);
}

/// The outages of a cell that are of this kind.
fn outages<'a>(cell: &'a Value, what: &str) -> Vec<&'a Value> {
    let all = cell["outages"].as_array().unwrap().iter();
    all.filter(|outage| outage["what"] == what).collect()
}

/// One outage of this kind, with so many errors at least and within the window.
#[track_caller]
fn had_outage(cell: &Value, what: &str, said_by: &str, errors: u64) {
    let found = outages(cell, what);
    let [outage] = found[..] else { panic!("one outage of {what}: {}", cell["outages"]) };
    assert_eq!(outage["said_by"], said_by, "{outage}");
    assert!(number(outage, "errors") >= errors, "{outage}");
    let (from, until) = (number(outage, "from_ns"), number(outage, "until_ns"));
    assert!(from <= until && until <= number(cell, "elapsed_ns"), "{outage}");
    assert!(outage["message"].as_str().unwrap().contains(what), "{outage}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_run_between_two_hosts_goes_on_while_an_interface_is_down() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    for (way, moves, met) in [("", "InDatagrams", LOST), ("--reverse", "OutDatagrams", 26)] {
        let sink = Sink::start(&nets.place(Side::A), "");
        let before = counted(&nets, Side::A, "Udp", moves);
        let client = blast(&nets.place(Side::B), SINK, &format!("-e plain -r {RATE} -t 1h {way}"));
        grows(&nets, (Side::A, "Udp", moves), before, RATE);
        broken(&nets, "ip link set x0 down", "ip link set x0 up", met);
        let repaired = counted(&nets, Side::A, "Udp", moves);
        grows(&nets, (Side::A, "Udp", moves), repaired, RATE / 2);
        client.interrupt();
        let done = client.finish(PATIENCE).expect(130);
        let report = done.document();
        let cell = only(&report);
        settle(cell, &done.words);
        assert_eq!(cell["cut_short_because"], "interrupted", "{done:?}");
        assert!(number(cell, "ledger.received") > RATE, "{done:?}");
        if way.is_empty() {
            // The kernel has counted control messages, too.
            had_outage(cell, "ENETUNREACH", "local", LOST * 9 / 10);
            assert!(number(cell, "ledger.refused.unreachable") >= LOST * 9 / 10);
        }
        sink.end();
    }
}

/// Runs `udperf load` on side B against this echo server, `-r 1k` and these words.
fn load(nets: &Nets, target: SocketAddr, words: &str) -> Proc {
    let mut command = nets.place(Side::B).command(env!("CARGO_BIN_EXE_udperf"));
    command.args(["load", &target.to_string(), "--preset", "echo", "-q", "-J", "--warmup", "0"]);
    command.args(["-e", "plain", "-r", &RATE.to_string()]).args(words.split_whitespace());
    Proc::start(command)
}

/// The cell of requests of a run that was interrupted, and not before.
#[track_caller]
fn asked(client: Proc) -> (Value, Done) {
    client.interrupt();
    let done = client.finish(PATIENCE).expect(130);
    let report = done.document();
    let cell = only(&report);
    let n = |name: &str| number(cell, &format!("exchange.{name}"));
    assert_eq!(n("requests"), n("matched") + n("timeouts"), "{done:?}");
    assert_eq!(cell["cut_short_because"], "interrupted", "{done:?}");
    (cell.clone(), done)
}

/// An echo server at a port of side A; it answers until it is told to end, and says how often it
/// has answered.
struct Server {
    answered: Arc<AtomicU64>,
    end: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Server {
    fn start(nets: &Nets, at: SocketAddr, answered: &Arc<AtomicU64>) -> Self {
        let (enter, counts) = (nets.entrance(Side::A), Arc::clone(answered));
        let (end, ends) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            enter().unwrap();
            let socket = UdpSocket::bind(at).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            ready.send(()).unwrap();
            let mut buffer = [0; 2_048];
            while ends.try_recv() == Err(mpsc::TryRecvError::Empty) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    counts.fetch_add(1, Ordering::SeqCst);
                    socket.send_to(&buffer[..len], from).unwrap();
                }
            }
        });
        is_ready.recv().unwrap();
        Self { answered: Arc::clone(answered), end, thread }
    }

    /// Waits until so many more are answered.
    fn answers(&self, more: u64) {
        let (before, end) = (self.answered.load(Ordering::SeqCst), Instant::now() + PATIENCE);
        while self.answered.load(Ordering::SeqCst) < before + more {
            assert!(Instant::now() < end, "too few requests");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn end(self) {
        self.end.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

const ECHO: SocketAddr = SocketAddr::new(IpAddr::V4(Side::A.ip()), 7_007);

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_server_that_is_restarted_is_asked_again() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    let answered = Arc::new(AtomicU64::new(0));
    let server = Server::start(&nets, ECHO, &answered);
    let client = load(&nets, ECHO, "-t 1h --timeout 100ms");
    server.answers(RATE / 2);
    server.end();
    let closed = (Side::A, "Udp", "NoPorts");
    let before = counted(&nets, Side::A, "Udp", "NoPorts");
    grows(&nets, closed, before, LOST);
    let server = Server::start(&nets, ECHO, &answered);
    server.answers(RATE / 2);
    let (cell, done) = asked(client);
    server.end();
    let all = answered.load(Ordering::SeqCst);
    assert_eq!(number(&cell, "exchange.replies"), all, "{done:?}");
    // A host sends about one such error a second (icmp_ratelimit, ip-sysctl).
    had_outage(&cell, "ICMP 3/3", "10.78.0.1", 2);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn requests_go_on_while_a_route_is_gone() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    let answered = Arc::new(AtomicU64::new(0));
    let server = Server::start(&nets, ECHO, &answered);
    let client = load(&nets, ECHO, "-t 1h --timeout 100ms");
    server.answers(RATE / 2);
    let route = "10.78.0.0/24 dev x0";
    broken(&nets, &format!("ip route del {route}"), &format!("ip route add {route}"), LOST);
    server.answers(RATE / 2);
    let (cell, done) = asked(client);
    server.end();
    had_outage(&cell, "ENETUNREACH", "local", LOST);
    assert_eq!(number(&cell, "exchange.replies"), answered.load(Ordering::SeqCst), "{done:?}");
    assert!(!done.stderr.contains("ICMP"), "{done:?}");
}

/// Sends from side B, without a peer, for as long as it takes.
fn send(nets: &Nets, ip: &str, words: &str) -> Proc {
    let target = SocketAddr::new(ip.parse().unwrap(), 7_788);
    blast(&nets.place(Side::B), target, &format!("--no-peer -e plain -t 24h {words}"))
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_target_that_was_never_reached_is_given_up_for_its_true_reason() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    // A router that is side A, and no way behind it.
    nets.run(Side::B, "ip route add 10.79.0.0/24 via 10.78.0.1");
    nets.run(Side::A, "echo 1 > /proc/sys/net/ipv4/ip_forward");
    let behind = "ip route add 10.79.0.0/24 via 10.78.0.2";
    nets.run(Side::A, behind);
    // As many errors as datagrams, so that none is late.
    nets.run(Side::A, "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit");
    for (ip, flags, what, words) in [
        ("10.78.0.1", "-r 200", "ICMP 3/3", "port unreachable"),
        ("10.79.0.1", "-r 200 --ttl 1", "ICMP 11/0", "TTL exceeded"),
    ] {
        let done = send(&nets, ip, flags).finish(PATIENCE);
        assert_ne!(done.code, Some(1), "{done:?}");
        let report = done.document();
        let cell = only(&report);
        assert_eq!(cell["cut_short_because"], "unreachable", "{done:?}");
        let [outage] = outages(cell, what)[..] else { panic!("{}", cell["outages"]) };
        assert_eq!(outage["said_by"], "10.78.0.1", "{outage}");
        assert!(outage["message"].as_str().unwrap().starts_with(words), "{outage}");
        assert!(report.to_string().contains(words), "{done:?}");
    }
}

#[test]
fn a_closed_port_is_unreachable_however_few_errors_come_back() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    // One ICMP error in a minute, after the first few (ip-sysctl of the kernel's documentation).
    nets.run(Side::A, "echo 60000 > /proc/sys/net/ipv4/icmp_ratelimit");
    let target = SocketAddr::new("10.78.0.1".parse().unwrap(), 9);
    let mut command = nets.place(Side::B).command(env!("CARGO_BIN_EXE_udperf"));
    command.args([
        "blast",
        &target.to_string(),
        "--no-peer",
        "-e",
        "plain",
        "-l",
        "64",
        "-q",
        "-J",
    ]);
    command.args(["-r", "1k", "-n", "1000", "--warmup", "0", "--max-missed", "100%"]);
    let done = Proc::start(command).finish(PATIENCE).expect(5);
    let report = done.document();
    let cell = only(&report);
    // Far fewer errors than datagrams, and the run reached its end.
    let errors = number(cell, "ledger.refused.unreachable");
    assert!(0 < errors && errors < number(cell, "ledger.sent") / 2, "{done:?}");
    assert_eq!(cell["cut_short"], false, "{done:?}");
    assert_eq!(report["invalid_because"][0]["code"], "target_unreachable", "{done:?}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_neighbour_that_does_not_answer_is_named() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    // Asked once, and given up after a tenth of a second (arp(7)).
    let quick =
        "cd /proc/sys/net/ipv4/neigh/x0; echo 1 > mcast_solicit; echo 100 > retrans_time_ms";
    nets.run(Side::B, quick);
    let done = send(&nets, "10.78.0.99", "-r 200").finish(PATIENCE);
    assert_ne!(done.code, Some(1), "{done:?}");
    let report = done.document();
    let cell = only(&report);
    let [outage] = outages(cell, "EHOSTUNREACH")[..] else { panic!("{}", cell["outages"]) };
    assert_eq!(outage["said_by"], "local", "{outage}");
    let message = outage["message"].as_str().unwrap();
    assert!(message.contains("neighbour does not answer"), "{outage}");
    // Of a sink, nothing is heard at all.
    let target = SocketAddr::new("10.78.0.99".parse().unwrap(), 7_788);
    let done = blast(&nets.place(Side::B), target, "-e plain -n 10 -r 1k").finish(PATIENCE);
    done.expect_error(&["10.78.0.99:7788", "no route to host", "ehostunreach"]);
    assert!(!done.stderr.contains("ICMP"), "{done:?}");
}
