//! Selects the types of engine and sockets for a worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::UdpSocket;

use super::worker::{
    WorkerChannel, flow_options, options, place_thread, receive_phases, send_phases,
};
use crate::engine::{
    BatchRx, BatchTx, GroRx, GsoTx, NullLink, NullRx, NullTx, PlainRx, PlainTx, StampedRx, UringRx,
    UringTx, XdpOptions, XdpRx, XdpTx,
};
use crate::measure::{RxResult, TxResult};
use crate::net::{
    Datagram, NetError, Options, Ports, Udp, Unix, UnixName, departure_clock, enable_departures,
    set_pacing_rate, steer,
};
use crate::plan::{EngineKind, PaceBy, RxConfig, RxKind, TxConfig, TxKind, WaitKind, WorkerConfig};
use crate::sys::{PortRule, TxClock};
use crate::wire::{self, Header, MAX_TIME};

/// An open socket for a receiver.
#[derive(Debug)]
#[expect(missing_docs, reason = "the variants are named after the sockets")]
pub enum ProvidedSocket {
    Udp(Udp),
    Unix(Unix),
}

impl From<Udp> for ProvidedSocket {
    fn from(udp: Udp) -> Self {
        Self::Udp(udp)
    }
}

/// The destination and source of a sender.
pub struct SendTarget {
    /// The destination; not used by AF_UNIX.
    pub to: SocketAddr,
    /// The socket that all flows share; `None`: one is opened for each.
    pub provided: Option<Udp>,
    /// Local ports for those that are opened; `None`: any free ones.
    pub ports: Option<Ports>,
}

/// Runs a sender to its end.
pub fn run_sender(
    config: &TxConfig,
    target: SendTarget,
    link: &Arc<NullLink>,
    channel: &WorkerChannel,
) -> Result<TxResult, NetError> {
    let _placed = place_thread(&config.common)?;
    if config.engine == TxKind::Null {
        let first = usize::from(config.common.flows.start);
        let tx = NullTx::new(Arc::clone(link), first, config.common.size);
        return send_phases(tx, config, None, channel);
    }
    if config.engine == TxKind::Xdp {
        return send_by_xdp(config, target, channel);
    }
    match &config.common.unix {
        Some(name) => send_on(connect_flows(config, name)?, config, channel),
        None => send_on(open_flows(config, target)?, config, channel),
    }
}

fn send_on<S: Datagram>(
    flows: Flows<S>,
    config: &TxConfig,
    channel: &WorkerChannel,
) -> Result<TxResult, NetError> {
    let WorkerConfig { size, batch, .. } = config.common;
    let fill = |slot: &mut [u8]| wire::fill(slot, config.seed);
    let Flows { sockets, to, buffer, departures } = flows;
    let failed = |source: io::Error| NetError::Engine { engine: config.engine.word(), source };
    macro_rules! run {
        ($tx:expr) => {
            send_phases($tx, config, buffer, channel)
        };
    }
    match config.engine {
        // A call has one datagram, and its control message.
        TxKind::Plain if departures.is_some() => {
            run!(BatchTx::new(sockets, to, size, Some(1), fill).departing(departures))
        }
        TxKind::Plain => run!(PlainTx::new(sockets, to, size, fill)),
        TxKind::Batch => {
            run!(BatchTx::new(sockets, to, size, batch, fill).departing(departures))
        }
        TxKind::Gso => run!(GsoTx::new(sockets, to, size, batch, fill).map_err(failed)?),
        TxKind::Uring => run!(UringTx::new(sockets, to, size, batch, fill).map_err(failed)?),
        TxKind::Null | TxKind::Xdp => Err(failed(io::ErrorKind::Unsupported.into())),
    }
}

/// The options of the engine `xdp`, from the flags of a worker.
pub fn xdp_options(config: &WorkerConfig) -> XdpOptions {
    XdpOptions {
        device: config.ip.dev.clone(),
        mode: config.xdp.mode,
        queues: config.xdp.queues.clone(),
        worker: config.worker,
        workers: config.workers,
        batch: config.batch,
        ttl: config.ip.ttl,
        dscp: config.ip.dscp,
        busy_poll: config.wait == WaitKind::Spin,
        ..XdpOptions::default()
    }
}

/// Fails if kernel timestamps are requested, which only sockets have.
fn without_stamps(stamps: bool) -> io::Result<()> {
    let why = "it has no kernel timestamps; remove --timestamps kernel";
    if stamps { Err(io::Error::new(io::ErrorKind::Unsupported, why)) } else { Ok(()) }
}

fn send_by_xdp(
    config: &TxConfig,
    target: SendTarget,
    channel: &WorkerChannel,
) -> Result<TxResult, NetError> {
    let to = target.to;
    let Flows { sockets, .. } = open_flows(config, target)?;
    let fill = |slot: &mut [u8]| wire::fill(slot, config.seed);
    let (size, options) = (config.common.size, xdp_options(&config.common));
    let failed = |source: io::Error| NetError::Engine { engine: config.engine.word(), source };
    without_stamps(config.stamps).map_err(failed)?;
    let tx = XdpTx::new(sockets, to, size, &options, true, fill);
    send_phases(tx.map_err(failed)?, config, None, channel)
}

fn receive_by_xdp(
    udp: Udp,
    config: &RxConfig,
    channel: &WorkerChannel,
) -> Result<RxResult, NetError> {
    let Udp { socket, mut local, .. } = udp;
    // connect(2) selects an address for a socket bound to all of them.
    if let Ok(connected) = socket.local_addr() {
        local = connected;
    }
    let (size, options) = (config.common.size, xdp_options(&config.common));
    let rule = config.slot.map_or(PortRule::All, steer::rule);
    let failed = |source: io::Error| NetError::Engine { engine: config.engine.word(), source };
    without_stamps(config.stamps).map_err(failed)?;
    let rx = XdpRx::new(socket, local, size, &options, rule);
    receive_phases(rx.map_err(failed)?, config, Some(local), None, channel)
}

/// Runs a receiver to its end.
pub fn run_receiver(
    config: &RxConfig,
    provided: Option<ProvidedSocket>,
    link: &Arc<NullLink>,
    channel: &WorkerChannel,
) -> Result<RxResult, NetError> {
    let _placed = place_thread(&config.common)?;
    if config.engine == RxKind::Null {
        let (first, flows) = (config.common.flows.start, config.common.flows.len());
        let rx = NullRx::new(Arc::clone(link), first.into(), flows, config.common.size, stamp);
        return receive_phases(rx, config, Some(config.common.bind), None, channel);
    }
    let udp = match provided {
        // What SO_RCVBUF grants does not apply: the queue is counted in datagrams.
        Some(ProvidedSocket::Unix(unix)) => {
            return receive_on(unix.socket, config, None, None, channel);
        }
        Some(ProvidedSocket::Udp(udp)) => udp,
        None => Udp::open(&options(&config.common))?,
    };
    if config.engine == RxKind::Xdp {
        return receive_by_xdp(udp, config, channel);
    }
    let Udp { socket, local, receive_buffer, .. } = udp;
    let buffer = receive_buffer.map(|bytes| bytes as u64);
    receive_on(socket, config, Some(local), buffer, channel)
}

fn receive_on<S: Datagram>(
    socket: S,
    config: &RxConfig,
    local: Option<SocketAddr>,
    buffer: Option<u64>,
    channel: &WorkerChannel,
) -> Result<RxResult, NetError> {
    let WorkerConfig { size, batch, .. } = config.common;
    let stamps = config.stamps;
    let failed = |source: io::Error| NetError::Engine { engine: config.engine.word(), source };
    macro_rules! run {
        ($rx:expr) => {
            receive_phases($rx, config, local, buffer, channel)
        };
    }
    match config.engine {
        RxKind::Plain if stamps => run!(StampedRx::new(socket, size).map_err(failed)?),
        RxKind::Plain => run!(PlainRx::new(socket, size)),
        RxKind::Batch => run!(BatchRx::new(socket, size, batch, stamps).map_err(failed)?),
        RxKind::Gro => run!(GroRx::many(vec![socket], batch, stamps).map_err(failed)?),
        RxKind::Uring => run!(UringRx::new(socket, size, batch, stamps).map_err(failed)?),
        RxKind::Null | RxKind::Xdp => Err(failed(io::ErrorKind::Unsupported.into())),
    }
}

/// Makes the header of a datagram that the null engine took. The link carries no tag.
fn stamp(slot: &mut [u8], flow: usize, sequence: u64, word: u64) {
    let intended_ns = word & MAX_TIME;
    wire::encode(Header { tag: NULL_TAG, flow: flow as u16, sequence, intended_ns }, slot);
    wire::encode_lag(0, slot);
}

/// The tag of datagrams of the null engine, which has no network to mix them up on. Arbitrary.
pub const NULL_TAG: u16 = 0x4E75;

struct Flows<S: Datagram> {
    sockets: Vec<S>,
    /// The destination; `None`: they are connected.
    to: Option<S::Address>,
    buffer: Option<u64>,
    /// The clock of times of departure; `None`: datagrams have none.
    departures: Option<TxClock>,
}

/// Opens a sender's sockets, or takes the provided one, and connects them if asked.
fn open_flows(config: &TxConfig, target: SendTarget) -> Result<Flows<UdpSocket>, NetError> {
    let SendTarget { to, provided, ports } = target;
    let multicast = to.ip().is_multicast();
    let open = |flow| {
        let options = flow_options(&config.common, flow);
        Udp::open(&Options { ports: ports.clone(), multicast, ..options })
    };
    let udps: Vec<Udp> = match provided {
        Some(shared) => vec![shared],
        None => config.common.flows.clone().map(open).collect::<Result<_, _>>()?,
    };
    if config.connect {
        udps.iter().try_for_each(|udp| udp.connect(to))?;
    }
    let buffer = udps.iter().filter_map(|udp| udp.send_buffer).min().map(|bytes| bytes as u64);
    let sockets: Vec<_> = udps.into_iter().map(|udp| udp.socket).collect();
    let departures = pace_by_kernel(config, to, &sockets)?;
    Ok(Flows { sockets, to: (!config.connect).then_some(to), buffer, departures })
}

/// Lets the kernel pace these flows if asked; returns the clock of departures, if they have any.
fn pace_by_kernel(
    config: &TxConfig,
    to: SocketAddr,
    sockets: &[UdpSocket],
) -> Result<Option<TxClock>, NetError> {
    let by = config.pace_by;
    let dev = config.common.ip.dev.as_deref();
    match by {
        PaceBy::User => Ok(None),
        PaceBy::Txtime => {
            let clock = departure_clock(by.word(), to, dev, false)?;
            enable_departures(by.word(), sockets, clock)?;
            Ok(Some(clock))
        }
        PaceBy::Fq => {
            departure_clock(by.word(), to, dev, true)?;
            let flows = config.of as f64 * sockets.len().max(1) as f64;
            let pps = config.load.peak_pps().unwrap_or_default() / flows;
            let bytes = config.common.size.mean() + header_bytes(to);
            set_pacing_rate(by.word(), sockets, (pps * bytes * PACING_MARGIN).ceil() as u64)?;
            Ok(None)
        }
    }
}

/// How much faster than its schedule fq may send a flow, so that it catches up after a delay.
/// Arbitrary: the delay of a burst of 100 datagrams is gone after 2,000.
const PACING_MARGIN: f64 = 1.05;

/// Bytes of the headers that fq counts: Ethernet (IEEE 802.3), IP (RFC 791, RFC 8200) and UDP
/// (RFC 768).
fn header_bytes(to: SocketAddr) -> f64 {
    let ip = if to.is_ipv4() { 20.0 } else { 40.0 };
    14.0 + ip + 8.0
}

fn connect_flows(config: &TxConfig, name: &str) -> Result<Flows<impl Datagram + use<>>, NetError> {
    let name = UnixName::new(name);
    let connect = |_| Unix::connect(&name, config.common.socket_buffer);
    let all = config.common.flows.clone().map(connect).collect::<Result<Vec<_>, _>>()?;
    let buffer = all.iter().filter_map(|unix| unix.send_buffer).min().map(|bytes| bytes as u64);
    let sockets = all.into_iter().map(|unix| unix.socket).collect();
    Ok(Flows { sockets, to: None, buffer, departures: None })
}
