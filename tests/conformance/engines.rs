//! The engines under test. A new one is one line in `SENDERS` or `RECEIVERS`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;

use mio::net::UdpSocket;
use udperf::document::Capability;
use udperf::engine::{
    BatchRx, BatchTx, GroRx, GsoTx, PlainRx, PlainTx, Pull, Rx, StampedRx, Tx, UringRx, UringTx,
};
use udperf::host::Depth;
use udperf::host::host_info;
use udperf::unit::{Nanos, PayloadSize};
use udperf::wire;

/// A way of sending.
pub struct Sender {
    pub name: &'static str,
    /// What the host must be able to do, by the names of the capability probe.
    pub needs: &'static [&'static str],
    pub make: MakeTx,
}

/// A way of sending by UDP.
pub type Outlet = dyn Tx<Socket = UdpSocket>;

/// Sockets, where to unless connected, size, batch.
type MakeTx =
    fn(Vec<UdpSocket>, Option<SocketAddr>, PayloadSize, Option<usize>) -> io::Result<Box<Outlet>>;

/// A way of receiving.
pub struct Receiver {
    pub name: &'static str,
    /// What the host must be able to do, by the names of the capability probe.
    pub needs: &'static [&'static str],
    /// Whether datagrams come with the time they have waited.
    pub stamps: bool,
    /// What happens to datagrams that are longer than planned.
    pub long: Long,
    pub make: MakeRx,
}

/// Socket, size, batch.
type MakeRx = fn(UdpSocket, PayloadSize, Option<usize>) -> io::Result<Box<dyn Inlet>>;

/// What becomes of a datagram longer than the slot that the plan asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Long {
    /// It is cut, and nobody tells; that it is longer than ours shows all the same.
    Cut,
    /// It is cut, and counted.
    CutAndTold,
    /// Buffers take the longest there is.
    Whole,
}

/// [`Rx`] behind a pointer.
pub trait Inlet {
    fn pull(&mut self) -> Pull;
    fn each(&self, visit: &mut dyn FnMut(&[u8], Option<Nanos>));
    fn release(&mut self);
    fn takes_super_packets(&self) -> bool;
    fn sockets(&mut self) -> &mut [UdpSocket];
}

impl<R: Rx<Socket = UdpSocket>> Inlet for R {
    fn pull(&mut self) -> Pull {
        Rx::pull(self)
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], Option<Nanos>)) {
        Rx::each(self, visit);
    }

    fn release(&mut self) {
        Rx::release(self);
    }

    fn takes_super_packets(&self) -> bool {
        Rx::takes_super_packets(self)
    }

    fn sockets(&mut self) -> &mut [UdpSocket] {
        Rx::sockets(self)
    }
}

fn fill(slot: &mut [u8]) {
    wire::fill(slot, SEED);
}

/// Arbitrary.
pub const SEED: u64 = 0x5EED;

fn tx(tx: impl Tx<Socket = UdpSocket> + 'static) -> io::Result<Box<Outlet>> {
    Ok(Box::new(tx))
}

fn rx(rx: impl Rx<Socket = UdpSocket> + 'static) -> io::Result<Box<dyn Inlet>> {
    Ok(Box::new(rx))
}

#[rustfmt::skip] // One line an engine.
pub const SENDERS: &[Sender] = &[
    Sender { name: "plain", needs: &["plain"], make: |s, to, size, _| tx(PlainTx::new(s, to, size, fill)) },
    Sender { name: "batch", needs: &["batch"], make: |s, to, size, batch| tx(BatchTx::new(s, to, size, batch, fill)) },
    Sender { name: "gso", needs: &["gso"], make: |s, to, size, batch| tx(GsoTx::new(s, to, size, batch, fill)?) },
    Sender { name: "uring", needs: &["uring"], make: |s, to, size, batch| tx(UringTx::new(s, to, size, batch, fill)?) },
];

#[rustfmt::skip] // One line an engine.
pub const RECEIVERS: &[Receiver] = &[
    Receiver { name: "plain", needs: &["plain"], stamps: false, long: Long::Cut, make: |s, size, _| rx(PlainRx::new(s, size)) },
    Receiver { name: "plain with stamps", needs: &["plain", STAMPS], stamps: true, long: Long::CutAndTold, make: |s, size, _| rx(StampedRx::new(s, size)?) },
    Receiver { name: "batch", needs: &["batch"], stamps: false, long: Long::CutAndTold, make: |s, size, batch| rx(BatchRx::new(s, size, batch, false)?) },
    Receiver { name: "batch with stamps", needs: &["batch", STAMPS], stamps: true, long: Long::CutAndTold, make: |s, size, batch| rx(BatchRx::new(s, size, batch, true)?) },
    Receiver { name: "gro", needs: &["gro"], stamps: false, long: Long::Whole, make: |s, _, batch| rx(GroRx::many(vec![s], batch, false)?) },
    Receiver { name: "gro with stamps", needs: &["gro", STAMPS], stamps: true, long: Long::Whole, make: |s, _, batch| rx(GroRx::many(vec![s], batch, true)?) },
    Receiver { name: "uring", needs: &["uring"], stamps: false, long: Long::CutAndTold, make: |s, size, batch| rx(UringRx::new(s, size, batch, false)?) },
    Receiver { name: "uring with stamps", needs: &["uring", STAMPS], stamps: true, long: Long::CutAndTold, make: |s, size, batch| rx(UringRx::new(s, size, batch, true)?) },
];

/// The capability that stamps need.
const STAMPS: &str = "rx_timestamps";

/// What a host may be without although its kernel is new enough: containers take it away.
const OPTIONAL: [&str; 2] = ["uring", "ipv6"];

/// Whether this host has all of these; says so where not. The probe shares code with the engines,
/// so a fault there would skip its own test: CI has to have all but what is optional.
pub fn has(what: &str, needs: &[&str]) -> bool {
    static FOUND: OnceLock<Vec<Capability>> = OnceLock::new();
    let found = FOUND.get_or_init(|| host_info(Depth::Quick).capabilities);
    needs.iter().all(|need| {
        let can = found.iter().find(|can| can.name == *need);
        let can = can.unwrap_or_else(|| panic!("the host is not asked for {need}"));
        if !can.available {
            let why = format!("{what}: no {need}: {}", can.detail);
            match OPTIONAL.contains(need) {
                true => crate::skip::unavailable(why),
                false => crate::skip::missing(why),
            }
        }
        can.available
    })
}

/// Ways of sending that this host has.
pub fn senders() -> Vec<&'static Sender> {
    SENDERS.iter().filter(|tx| has(&format!("sending by {}", tx.name), tx.needs)).collect()
}

/// Ways of receiving that this host has.
pub fn receivers() -> Vec<&'static Receiver> {
    RECEIVERS.iter().filter(|rx| has(&format!("receiving by {}", rx.name), rx.needs)).collect()
}

/// Loopback addresses that this host has.
pub fn loopbacks() -> Vec<IpAddr> {
    let mut found = vec![Ipv4Addr::LOCALHOST.into()];
    if has("all that is IPv6", &["ipv6"]) {
        found.push(Ipv6Addr::LOCALHOST.into());
    }
    found
}

/// A way of sending against a way of receiving.
#[derive(Clone, Copy)]
pub struct Pair {
    pub tx: &'static Sender,
    pub rx: &'static Receiver,
    pub ip: IpAddr,
    pub connected: bool,
}

impl Pair {
    /// All that this host has, over IPv4 and IPv6, connected and not.
    pub fn all() -> Vec<Self> {
        let (senders, receivers, loopbacks) = (senders(), receivers(), loopbacks());
        let mut pairs = Vec::new();
        for tx in senders {
            for &rx in &receivers {
                for &ip in &loopbacks {
                    pairs.extend([true, false].map(|connected| Self { tx, rx, ip, connected }));
                }
            }
        }
        pairs
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.connected { "connected" } else { "unconnected" };
        write!(f, "{} to {}, {}, {how}", self.tx.name, self.rx.name, self.ip)
    }
}

#[test]
fn every_engine_of_the_table_is_under_test() {
    for row in udperf::engine::ENGINES.iter().filter(|row| row.probe.is_some()) {
        // The null engine has no socket; `xdp` needs namespaces, and a module of its own.
        let real = row.word != "null" && !row.by_device;
        let sends = SENDERS.iter().any(|sender| sender.name == row.word);
        let receives = RECEIVERS.iter().any(|receiver| receiver.name == row.word);
        assert_eq!(sends, real && row.tx.is_some(), "{}", row.word);
        assert_eq!(receives, real && row.rx.is_some(), "{}", row.word);
    }
}
