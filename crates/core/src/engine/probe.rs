//! Tests each engine with real datagrams over loopback.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::{Rx, Tx, UringRx, UringTx};
use crate::document::Capability;
use crate::sys::{self, RecvBatch, RecvMetadata, SendBatch};
use crate::unit::PayloadSize;

/// Payload of a probe's datagrams in bytes: the least that GSO can split.
const PAYLOAD: usize = 1;

/// Segments to try in one super-packet: `UDP_MAX_SEGMENTS` since Linux 6.10, before, and the least.
const SEGMENTS: [usize; 3] = [128, 64, 2];

/// How long a probe waits for late datagrams; arbitrary.
const WAIT_MS: u32 = 100;

/// What works, or why it does not.
pub type ProbeFinding = Result<String, String>;

/// Tests the kernel's timestamps of receiving and of sending.
pub fn timestamps() -> [Capability; 2] {
    [capability("rx_timestamps", rx_timestamps()), capability("tx_timestamps", tx_timestamps())]
}

fn rx_timestamps() -> ProbeFinding {
    let pair = Pair::open()?;
    sys::set_timestamps(&pair.rx).map_err(|error| lacks("SO_TIMESTAMPNS", &error))?;
    pair.send(&[0; PAYLOAD], PAYLOAD)?;
    let metadata = RecvMetadata { stamps: true, ..RecvMetadata::default() };
    let mut calls = RecvBatch::new(1, PAYLOAD, metadata);
    arrived(calls.recv(&pair.rx))?;
    if calls.messages().any(|message| message.stamp_ns.is_none()) {
        return Err("datagrams arrive without a timestamp".to_owned());
    }
    Ok("SO_TIMESTAMPNS: --timestamps kernel separates the time in the socket queue".to_owned())
}

fn tx_timestamps() -> ProbeFinding {
    let pair = Pair::open()?;
    sys::stamp_sends(&pair.tx, true).map_err(|error| lacks("SO_TIMESTAMPING", &error))?;
    pair.send(&[0; PAYLOAD], PAYLOAD)?;
    // Loopback stamps before the call returns, unless a qdisc queues.
    for _ in 0..WAIT_MS {
        if sys::take_send_stamp(&pair.tx).is_some() {
            let splits = "SO_TIMESTAMPING: --timestamps kernel splits latency into its parts";
            return Ok(splits.to_owned());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err("sent datagrams get no timestamp".to_owned())
}

/// The result of a probe: what works, or why it does not.
pub fn capability(name: &'static str, found: ProbeFinding) -> Capability {
    let available = found.is_ok();
    Capability { name: name.to_owned(), available, detail: found.unwrap_or_else(|why| why) }
}

fn lacks(what: &str, error: &io::Error) -> String {
    format!("no {what} here: {error}")
}

/// Two sockets on loopback, the first connected to the second.
struct Pair {
    tx: UdpSocket,
    rx: UdpSocket,
}

impl Pair {
    fn open() -> Result<Self, String> {
        let open = || {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let (tx, rx) = (UdpSocket::bind(any)?, UdpSocket::bind(any)?);
            tx.connect(rx.local_addr()?)?;
            rx.set_nonblocking(true)?;
            Ok(Self { tx, rx })
        };
        open().map_err(|error: io::Error| format!("cannot test over 127.0.0.1: {error}"))
    }

    fn send(&self, bytes: &[u8], each: usize) -> Result<usize, String> {
        let mut calls = SendBatch::new(bytes.len().div_ceil(each), None);
        calls.send(&self.tx, bytes.chunks(each)).map_err(|error| lacks("sendmmsg", &error))
    }
}

/// Only opens a socket: the run itself shows whether datagrams get through.
pub(super) fn plain() -> ProbeFinding {
    let socket = UdpSocket::bind("127.0.0.1:0");
    let there = |_| "one send or recvfrom per datagram".to_owned();
    socket.map(there).map_err(|error| format!("no UDP socket on 127.0.0.1: {error}"))
}

/// Counts received messages; a datagram that a firewall dropped is no error.
fn arrived(received: io::Result<usize>) -> Result<usize, String> {
    match received {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(lacks("recvmmsg", &error)),
        received => Ok(received.unwrap_or(0)),
    }
}

pub(super) fn batch() -> ProbeFinding {
    let pair = Pair::open()?;
    pair.send(&[0; 2 * PAYLOAD], PAYLOAD)?;
    arrived(RecvBatch::new(2, PAYLOAD, RecvMetadata::default()).recv(&pair.rx))?;
    Ok("sendmmsg and recvmmsg, many datagrams per call".to_owned())
}

pub(super) fn gso() -> ProbeFinding {
    let segments = super_packet(&Pair::open()?)?;
    Ok(format!("UDP_SEGMENT: up to {segments} datagrams in a super-packet"))
}

/// Sends the largest super-packet that the kernel accepts; returns its number of datagrams.
fn super_packet(pair: &Pair) -> Result<usize, String> {
    sys::set_udp_segment(&pair.tx, PAYLOAD as u16).map_err(|error| lacks("UDP_SEGMENT", &error))?;
    let takes = |&segments: &usize| {
        let bytes = [0; PAYLOAD * SEGMENTS[0]];
        pair.send(&bytes[..segments * PAYLOAD], segments * PAYLOAD).is_ok()
    };
    SEGMENTS
        .into_iter()
        .find(takes)
        .ok_or_else(|| "UDP_SEGMENT exists, but every super-packet is refused".to_owned())
}

pub(super) fn gro() -> ProbeFinding {
    let pair = Pair::open()?;
    sys::set_udp_gro(&pair.rx, true).map_err(|error| lacks("UDP_GRO", &error))?;
    let sent = super_packet(&pair);
    let metadata = RecvMetadata { segments: true, ..RecvMetadata::default() };
    let mut calls = RecvBatch::new(1, PAYLOAD * SEGMENTS[0], metadata);
    arrived(calls.recv(&pair.rx))?;
    let mut joined = calls.messages().filter(|message| message.payload.len() > PAYLOAD);
    match (sent, joined.next().map(|message| message.segment)) {
        (Ok(segments), Some(PAYLOAD)) => {
            Ok(format!("UDP_GRO: {segments} datagrams were received as one"))
        }
        (_, Some(_)) => Err("UDP_GRO exists, but does not report the segment length".to_owned()),
        // Nothing arrived yet, or a qdisc split the super-packet, as tbf does above its burst
        // (net/sched/sch_tbf.c).
        (_, None) => Ok("UDP_GRO: consecutive datagrams may be received as one".to_owned()),
    }
}

pub(super) fn uring() -> ProbeFinding {
    let Pair { tx, rx } = Pair::open()?;
    let words = |error: io::Error| error.to_string();
    tx.set_nonblocking(true).map_err(words)?;
    let (tx, rx) = (mio::net::UdpSocket::from_std(tx), mio::net::UdpSocket::from_std(rx));
    let size = PayloadSize::Fixed(PAYLOAD as u16);
    let mut tx = UringTx::new(vec![tx], None, size, Some(2), |_| {}).map_err(words)?;
    let mut rx = UringRx::new(rx, size, Some(2), false).map_err(words)?;
    let leased = tx.lease(2).len() / tx.stride();
    let sent = tx.push(0, 0, leased).sent;
    let (mut received, mut errors) = (0, 0);
    // A qdisc on loopback may delay them.
    for _ in 0..WAIT_MS {
        let pull = rx.pull();
        (received, errors) = (received + pull.datagrams, errors + pull.errors);
        if received == sent || errors > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    match (sent, received, errors) {
        (2, 2, 0) => {
            Ok("io_uring: linked sends, and multishot receive, many datagrams per call".to_owned())
        }
        // A firewall dropped them, or they are still queued.
        (2, 0, 0) => Ok("io_uring: linked sends; multishot receive could not be tested".to_owned()),
        (2, 0, 1..) => Err("io_uring works, but its multishot recvmsg does not".to_owned()),
        (sent, received, _) => Err(format!(
            "io_uring: of 2 datagrams in one call, {sent} were sent and {received} received"
        )),
    }
}

pub(super) fn xdp() -> ProbeFinding {
    super::xdp::probe()
}

pub(super) fn null() -> ProbeFinding {
    Ok("no system call: the limit of udperf itself".to_owned())
}
