//! The engine `xdp` with each other engine and with itself, over a veth pair between two network
//! namespaces that the test makes: loopback has no Ethernet.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mio::Interest;
use udperf::engine::{Pull, Rx, Tx, XdpOptions, XdpRx, XdpTx};
use udperf::net::{Options, Udp, Waiter, enter_netns};
use udperf::sys::{PortRule, XdpMode};
use udperf::unit::{Nanos, PayloadSize};
use udperf::wire;

use crate::engines::{Outlet, RECEIVERS, SEED, SENDERS, has};
use crate::ours::{accept, stamp};

/// How long to wait for what a kernel under load has put off; only a failure takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Datagrams of a transfer: more than a ring has slots, so that it wraps around.
const COUNT: u64 = 1_300;

/// Two namespaces, removed when dropped.
struct Nets([String; 2]);

fn shell(script: &str) -> Result<(), String> {
    let output = Command::new("sh").args(["-ec", script]).output();
    let output = output.map_err(|error| error.to_string())?;
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{script}: {why}")) }
}

impl Nets {
    /// `None`, reported as skipped, where the host does not permit it.
    fn make(queues: u32) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !has("the engine xdp", &["xdp"]) {
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let names = ["a", "b"].map(|side| format!("udperf-c{}-{number}{side}", std::process::id()));
        let nets = Self(names);
        let [a, b] = &nets.0;
        let many = format!("numtxqueues {queues} numrxqueues {queues}");
        let mut script = format!(
            "ip netns add {a}; ip netns add {b}; \
             ip link add x0 netns {a} address 02:00:00:00:00:01 {many} type veth \
               peer name x0 netns {b} address 02:00:00:00:00:02 {many}; "
        );
        for (name, own, other) in [(a, 1, 2), (b, 2, 1)] {
            script += &format!(
                "ip -n {name} addr add 10.78.0.{own}/24 dev x0; \
                 ip -n {name} addr add fd78::{own}/64 dev x0 nodad; \
                 ip -n {name} link set lo up; ip -n {name} link set x0 up; \
                 for to in 10.78.0.{other} fd78::{other}; do \
                   ip -n {name} neigh replace $to lladdr 02:00:00:00:00:0{other} \
                     nud permanent dev x0; \
                 done; "
            );
        }
        match shell(&script) {
            Ok(()) => Some(nets),
            Err(why) => {
                crate::skip::missing(why);
                None
            }
        }
    }

    /// Moves the calling thread to the sender's side, 0, or the receiver's, 1.
    fn enter(&self, side: usize) {
        enter_netns(Path::new("/var/run/netns").join(&self.0[side]).as_path()).unwrap();
    }
}

impl Drop for Nets {
    fn drop(&mut self) {
        // The thread is in one of them.
        let _ = enter_netns(&PathBuf::from("/proc/1/ns/net"));
        for name in &self.0 {
            let _ = shell(&format!("ip netns del {name}"));
        }
    }
}

/// One pull, visited and released.
type Pulls = Box<dyn FnMut(&mut dyn FnMut(&[u8])) -> Pull>;

fn pulls<R: Rx + 'static>(mut rx: R) -> Pulls {
    Box::new(move |visit| {
        let pull = rx.pull();
        rx.each(|payload, _| visit(payload));
        rx.release();
        pull
    })
}

/// What a transfer is done with.
#[derive(Debug, Clone, Copy)]
struct Setup {
    tx: &'static str,
    rx: &'static str,
    is_ipv6: bool,
    size: PayloadSize,
    batch: Option<usize>,
    flows: usize,
    mode: XdpMode,
}

impl Setup {
    /// One flow of 64 bytes by the engine `xdp` at both ends.
    const fn xdp(is_ipv6: bool) -> Self {
        let (size, mode) = (PayloadSize::Fixed(64), XdpMode::Auto);
        Self { tx: "xdp", rx: "xdp", is_ipv6, size, batch: None, flows: 1, mode }
    }

    fn ip(&self, side: usize) -> IpAddr {
        let ip = if self.is_ipv6 { ["fd78::1", "fd78::2"] } else { ["10.78.0.1", "10.78.0.2"] };
        ip[side].parse().unwrap()
    }

    fn open(&self, side: usize) -> Udp {
        let bind = SocketAddr::new(self.ip(side), 0);
        Udp::open(&Options { bind, ..Options::default() }).unwrap()
    }

    fn options(&self) -> XdpOptions {
        let (batch, mode) = (self.batch, self.mode);
        XdpOptions { workers: 1, batch, mode, ..XdpOptions::default() }
    }

    fn receiver(&self, udp: Udp) -> Pulls {
        if self.rx == "xdp" {
            let (at, options) = (udp.local, self.options());
            return pulls(XdpRx::new(udp.socket, at, self.size, &options, PortRule::All).unwrap());
        }
        let engine = RECEIVERS.iter().find(|engine| engine.name == self.rx).unwrap();
        let mut rx = (engine.make)(udp.socket, self.size, self.batch).unwrap();
        Box::new(move |visit| {
            let pull = rx.pull();
            rx.each(&mut |payload, _| visit(payload));
            rx.release();
            pull
        })
    }

    fn sender(&self, to: SocketAddr) -> Box<Outlet> {
        let sockets = (0..self.flows).map(|_| self.open(0).socket).collect();
        if self.tx == "xdp" {
            let fill = |slot: &mut [u8]| wire::fill(slot, SEED);
            let options = self.options();
            return Box::new(XdpTx::new(sockets, to, self.size, &options, true, fill).unwrap());
        }
        let engine = SENDERS.iter().find(|engine| engine.name == self.tx).unwrap();
        (engine.make)(sockets, Some(to), self.size, self.batch).unwrap()
    }

    /// All that is sent arrives once, in order by flow, whole; none of it is refused.
    fn transfer(&self, nets: &Nets) {
        nets.enter(1);
        let udp = self.open(1);
        let to = udp.local;
        let mut pull = self.receiver(udp);
        nets.enter(0);
        let mut tx = self.sender(to);
        let name = format!("{self:?}");
        let (mut next, mut come) = (vec![0; self.flows], vec![0; self.flows]);
        let (mut sent, mut received, mut turn) = (0, 0, 0);
        while sent < COUNT {
            let flow = turn % self.flows;
            turn += 1;
            sent += push(&mut *tx, flow, &mut next, self.size, COUNT - sent, &name);
            let start = Instant::now();
            while received < sent {
                let pull = pull(&mut |payload| {
                    accept(payload, self.size, &mut come, &next, &name);
                    received += 1;
                });
                assert_eq!((pull.corrupt, pull.truncated, pull.errors), (0, 0, 0), "{name}");
                assert!(start.elapsed() < PATIENCE, "{name}: {received} of {sent} came");
            }
        }
        assert_eq!((received, next), (COUNT, come), "{name}");
    }
}

/// Pushes what one lease holds; returns how many.
fn push(
    tx: &mut Outlet,
    flow: usize,
    next: &mut [u64],
    size: PayloadSize,
    left: u64,
    name: &str,
) -> u64 {
    let (first, stride) = (next[flow], tx.stride());
    // Within the queue of a veth and the buffer of a socket.
    let slots = tx.lease(tx.batch(false).min(left as usize).min(32));
    let leased = slots.len() / stride;
    for (slot, sequence) in slots.chunks_exact_mut(stride).zip(first..) {
        stamp(flow, sequence, &mut slot[..size.at(sequence)]);
    }
    let push = tx.push(flow, first, leased);
    assert_eq!((push.sent, push.error), (leased, None), "{name}: {push:?}");
    next[flow] += push.sent as u64;
    push.sent as u64
}

/// Sends and receives by `xdp` and each other engine, by each family.
fn every_pair(mode: XdpMode, sizes: &[PayloadSize]) {
    let Some(nets) = Nets::make(1) else { return };
    let senders = SENDERS.iter().filter(|tx| has(tx.name, tx.needs)).map(|tx| (tx.name, "xdp"));
    let receivers = RECEIVERS.iter().filter(|rx| !rx.stamps && has(rx.name, rx.needs));
    let receivers = receivers.map(|rx| ("xdp", rx.name));
    for (tx, rx) in senders.chain(receivers).chain([("xdp", "xdp")]) {
        // Generic XDP gets super-packets whole, which do not fit a frame.
        if mode == XdpMode::Generic && tx == "gso" {
            continue;
        }
        for is_ipv6 in [false, true] {
            // The longest datagrams of the mix are fragments with IPv6.
            for &size in sizes.iter().filter(|size| **size != PayloadSize::Imix || !is_ipv6) {
                let (batch, flows) = if is_ipv6 { (Some(5), 3) } else { (None, 1) };
                Setup { tx, rx, is_ipv6, size, batch, flows, mode }.transfer(&nets);
            }
        }
    }
}

#[test]
fn every_pair_transfers_all_in_native_mode() {
    let sizes = [16, 64, 1_452].map(PayloadSize::Fixed);
    every_pair(XdpMode::Native, &sizes);
}

#[test]
fn every_pair_transfers_all_in_generic_mode() {
    every_pair(XdpMode::Generic, &[PayloadSize::Fixed(19), PayloadSize::Imix]);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_queue_has_one_sender_and_one_receiver() {
    let Some(nets) = Nets::make(1) else { return };
    let setup = Setup::xdp(false);
    nets.enter(1);
    let options = setup.options();
    let open = || {
        let udp = setup.open(1);
        let at = udp.local;
        XdpRx::new(udp.socket, at, setup.size, &options, PortRule::All).map(|_rx| ())
    };
    let udp = setup.open(1);
    let at = udp.local;
    let first = XdpRx::new(udp.socket, at, setup.size, &options, PortRule::All).unwrap();
    let error = open().unwrap_err().to_string();
    assert!(error.contains("another thread or session uses queue 0"), "{error}");
    // Its other half still sends.
    let fill = |slot: &mut [u8]| slot.fill(0);
    let to = SocketAddr::new(setup.ip(0), 9);
    let tx = XdpTx::new(vec![setup.open(1).socket], to, setup.size, &options, true, fill);
    assert!(tx.is_ok(), "{:?}", tx.err());
    drop((first, tx));
    // The kernel releases a queue some time after its sockets.
    (0..3).for_each(|_| open().unwrap());
}

/// Two workers that receive at one device, here in one thread: the first at queue 0 with one port,
/// the second at queue 1 with two.
fn two_workers(nets: &Nets, setup: &Setup) -> ([XdpRx; 2], [SocketAddr; 3]) {
    nets.enter(1);
    let ports = [setup.open(1), setup.open(1), setup.open(1)];
    let to = [ports[0].local, ports[1].local, ports[2].local];
    let [first, second, third] = ports.map(|udp| udp.socket);
    let open = |worker, sockets| {
        let rx_frames = Some(64);
        let options = XdpOptions { worker, workers: 2, rx_frames, ..setup.options() };
        XdpRx::for_streams(sockets, setup.size, &options).unwrap()
    };
    let workers = [open(0, vec![first]), open(1, vec![second, third])];
    nets.enter(0);
    (workers, to)
}

/// Sends datagrams of one content that arrive by this queue; returns their sender.
fn send_by(setup: &Setup, queue: u32, to: SocketAddr, count: usize) -> SocketAddr {
    let options = XdpOptions { queues: vec![queue], ..setup.options() };
    let udp = setup.open(0);
    let from = udp.local;
    let fill = |slot: &mut [u8]| wire::fill(slot, SEED);
    let mut tx = XdpTx::new(vec![udp.socket], to, setup.size, &options, true, fill).unwrap();
    let leased = tx.lease(count).len() / tx.stride();
    assert_eq!((leased, tx.push(0, 0, count).sent), (count, count));
    from
}

#[test]
fn a_datagram_reaches_the_worker_of_its_port_by_any_queue() {
    let Some(nets) = Nets::make(2) else { return };
    for is_ipv6 in [false, true] {
        let setup = Setup::xdp(is_ipv6);
        let ([mut one, mut two], to) = two_workers(&nets, &setup);
        for (to, queue, stream, forwarded) in
            [(to[1], 1, 0, 0), (to[1], 0, 0, 5), (to[2], 0, 1, 5), (to[2], 1, 1, 0)]
        {
            let from = send_by(&setup, queue, to, 5);
            let (mut passed, mut received, start) = (0, 0, Instant::now());
            while received < 5 {
                let pull = one.pull();
                assert_eq!((pull.datagrams, pull.corrupt), (0, 0));
                passed += pull.forwarded;
                let pull = two.pull();
                assert_eq!((pull.forwarded, pull.corrupt), (0, 0));
                let mut index = 0;
                two.each(|payload, _| {
                    let mut expected = [0; 64];
                    wire::fill(&mut expected, SEED);
                    assert_eq!(payload, expected);
                    assert_eq!((two.stream(index), two.sender(index)), (Some(stream), Some(from)));
                    assert_eq!(two.arrived_at(index).is_some(), forwarded > 0);
                    index += 1;
                });
                assert_eq!(index, pull.datagrams);
                received += pull.datagrams;
                assert!(start.elapsed() < PATIENCE, "{received} came by queue {queue}");
            }
            assert_eq!((received, passed), (5, forwarded), "queue {queue}");
        }
    }
}

#[test]
fn datagrams_for_a_worker_that_does_not_read_are_dropped_and_counted() {
    let Some(nets) = Nets::make(2) else { return };
    let setup = Setup::xdp(false);
    let ([mut one, mut two], to) = two_workers(&nets, &setup);
    let drops = one.ring_counter().unwrap();
    assert_eq!(drops.drops(), Some(0));
    let (mut passed, start) = (0, Instant::now());
    // A queue between two workers has as many frames as one of the device, here 64.
    for round in 1..=3 {
        send_by(&setup, 0, to[1], 30);
        while passed < round * 30 {
            passed += one.pull().forwarded;
            assert!(start.elapsed() < PATIENCE, "{passed} came");
        }
    }
    assert_eq!(drops.drops(), Some(90 - 64));
    assert_eq!(two.pull().datagrams, 64);
    // As many as fit into the queue again.
    assert_eq!(two.pull().datagrams, 0);
    send_by(&setup, 0, to[1], 30);
    while passed < 120 {
        passed += one.pull().forwarded;
        assert!(start.elapsed() < PATIENCE, "{passed} came");
    }
    assert_eq!((two.pull().datagrams, drops.drops()), (30, Some(90 - 64)));
}

#[test]
fn a_worker_that_sleeps_is_woken_for_datagrams_at_other_queues() {
    let Some(nets) = Nets::make(2) else { return };
    let setup = Setup::xdp(false);
    let ([mut one, mut two], to) = two_workers(&nets, &setup);
    let mut waiter = Waiter::new(Waiter::EPOLL, Interest::READABLE).unwrap();
    let mut ready = |rx: &mut XdpRx| {
        let mut ready = Vec::new();
        waiter.either(Nanos::ZERO, Nanos::from_millis(1), rx.sockets(), |at| ready.push(at));
        ready
    };
    assert!(two.prepare_sleep());
    assert!(ready(&mut two).is_empty());
    send_by(&setup, 0, to[1], 1);
    let start = Instant::now();
    while one.pull().forwarded == 0 {
        assert!(start.elapsed() < PATIENCE);
    }
    // Not its queue, but what the first worker signals.
    assert_eq!(ready(&mut two), [1]);
    assert!(!two.prepare_sleep(), "a datagram waits");
    assert_eq!(two.pull().datagrams, 1);
    assert!(two.prepare_sleep());
}
