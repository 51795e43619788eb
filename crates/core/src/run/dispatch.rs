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
    UringTx,
};
use crate::measure::{RxResult, TxResult};
use crate::net::{Datagram, NetError, Options, Ports, Udp, Unix, UnixName};
use crate::plan::{EngineKind, RxConfig, RxKind, TxConfig, TxKind, WorkerConfig};
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
    place_thread(&config.common)?;
    if config.engine == TxKind::Null {
        let first = usize::from(config.common.flows.start);
        let tx = NullTx::new(Arc::clone(link), first, config.common.size);
        return send_phases(tx, config, None, channel);
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
    let Flows { sockets, to, buffer } = flows;
    let failed = |source: io::Error| NetError::Engine { engine: config.engine.word(), source };
    macro_rules! run {
        ($tx:expr) => {
            send_phases($tx, config, buffer, channel)
        };
    }
    match config.engine {
        TxKind::Plain => run!(PlainTx::new(sockets, to, size, fill)),
        TxKind::Batch => run!(BatchTx::new(sockets, to, size, batch, fill)),
        TxKind::Gso => run!(GsoTx::new(sockets, to, size, batch, fill).map_err(failed)?),
        TxKind::Uring => run!(UringTx::new(sockets, to, size, batch, fill).map_err(failed)?),
        TxKind::Null => Err(failed(io::ErrorKind::Unsupported.into())),
    }
}

/// Runs a receiver to its end.
pub fn run_receiver(
    config: &RxConfig,
    provided: Option<ProvidedSocket>,
    link: &Arc<NullLink>,
    channel: &WorkerChannel,
) -> Result<RxResult, NetError> {
    place_thread(&config.common)?;
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
        RxKind::Null => Err(failed(io::ErrorKind::Unsupported.into())),
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
    let sockets = udps.into_iter().map(|udp| udp.socket).collect();
    Ok(Flows { sockets, to: (!config.connect).then_some(to), buffer })
}

fn connect_flows(config: &TxConfig, name: &str) -> Result<Flows<impl Datagram + use<>>, NetError> {
    let name = UnixName::new(name);
    let connect = |_| Unix::connect(&name, config.common.socket_buffer);
    let all = config.common.flows.clone().map(connect).collect::<Result<Vec<_>, _>>()?;
    let buffer = all.iter().filter_map(|unix| unix.send_buffer).min().map(|bytes| bytes as u64);
    let sockets = all.into_iter().map(|unix| unix.socket).collect();
    Ok(Flows { sockets, to: None, buffer })
}
