//! Where the words of a plan become types: one line an engine, and no other place knows them all.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::UdpSocket;

use super::worker::{WorkerChannel, options, place_thread, receive_phases, send_phases};
use crate::engine::{
    BatchRx, BatchTx, GroRx, GsoTx, NullLink, NullRx, NullTx, PlainRx, PlainTx, StampedRx, UringRx,
    UringTx,
};
use crate::measure::{RxResult, TxResult};
use crate::net::{Datagram, NetError, Options, Ports, Udp, Unix, UnixName};
use crate::plan::{EngineKind, RxConfig, RxKind, TxConfig, TxKind, WorkerConfig};
use crate::wire::{self, Header, MAX_TIME};

/// A receiver's socket that somebody else has opened.
#[derive(Debug)]
pub(crate) enum ProvidedSocket {
    /// Of UDP.
    Udp(Udp),
    /// Of AF_UNIX.
    Unix(Unix),
}

impl From<Udp> for ProvidedSocket {
    fn from(udp: Udp) -> Self {
        Self::Udp(udp)
    }
}

/// Where a sender sends, and from where.
pub(crate) struct SendTarget {
    /// Where to; without meaning to AF_UNIX.
    pub(crate) to: SocketAddr,
    /// The socket that all flows share; `None`: one is opened for each.
    pub(crate) given: Option<Udp>,
    /// Local ports for those that are opened; `None`: any free ones.
    pub(crate) ports: Option<Ports>,
}

/// Runs a sender to its end.
pub(crate) fn run_sender(
    share: &TxConfig,
    outlet: SendTarget,
    link: &Arc<NullLink>,
    line: &WorkerChannel,
) -> Result<TxResult, NetError> {
    place_thread(&share.common)?;
    if share.engine == TxKind::Null {
        let first = usize::from(share.common.flows.start);
        let tx = NullTx::new(Arc::clone(link), first, share.common.size);
        return send_phases(tx, share, None, line);
    }
    match &share.common.unix {
        Some(name) => send_on(connect_flows(share, name)?, share, line),
        None => send_on(open_flows(share, outlet)?, share, line),
    }
}

/// Sends on these sockets.
fn send_on<S: Datagram>(
    flows: Flows<S>,
    share: &TxConfig,
    line: &WorkerChannel,
) -> Result<TxResult, NetError> {
    let WorkerConfig { size, batch, .. } = share.common;
    let fill = |slot: &mut [u8]| wire::fill(slot, share.seed);
    let Flows { sockets, to, buffer } = flows;
    let failed = |source: io::Error| NetError::Engine { engine: share.engine.word(), source };
    match share.engine {
        TxKind::Plain => send_phases(PlainTx::new(sockets, to, size, fill), share, buffer, line),
        TxKind::Batch => {
            send_phases(BatchTx::new(sockets, to, size, batch, fill), share, buffer, line)
        }
        TxKind::Gso => {
            let tx = GsoTx::new(sockets, to, size, batch, fill).map_err(failed)?;
            send_phases(tx, share, buffer, line)
        }
        TxKind::Uring => {
            let tx = UringTx::new(sockets, to, size, batch, fill).map_err(failed)?;
            send_phases(tx, share, buffer, line)
        }
        TxKind::Null => Err(failed(io::ErrorKind::Unsupported.into())),
    }
}

/// Runs a receiver to its end.
pub(crate) fn run_receiver(
    share: &RxConfig,
    given: Option<ProvidedSocket>,
    link: &Arc<NullLink>,
    line: &WorkerChannel,
) -> Result<RxResult, NetError> {
    place_thread(&share.common)?;
    if share.engine == RxKind::Null {
        let (first, flows) = (share.common.flows.start, share.common.flows.len());
        let rx = NullRx::new(Arc::clone(link), first.into(), flows, share.common.size, stamp);
        return receive_phases(rx, share, Some(share.common.bind), None, line);
    }
    let udp = match given {
        // What SO_RCVBUF grants means nothing to it: the queue is counted in datagrams.
        Some(ProvidedSocket::Unix(unix)) => {
            return receive_on(unix.socket, share, None, None, line);
        }
        Some(ProvidedSocket::Udp(udp)) => udp,
        None => Udp::open(&options(&share.common))?,
    };
    let Udp { socket, local, receive_buffer, .. } = udp;
    let buffer = receive_buffer.map(|bytes| bytes as u64);
    receive_on(socket, share, Some(local), buffer, line)
}

/// Receives on this socket.
fn receive_on<S: Datagram>(
    socket: S,
    share: &RxConfig,
    local: Option<SocketAddr>,
    buffer: Option<u64>,
    line: &WorkerChannel,
) -> Result<RxResult, NetError> {
    let WorkerConfig { size, batch, .. } = share.common;
    let stamps = share.stamps;
    let failed = |source: io::Error| NetError::Engine { engine: share.engine.word(), source };
    match share.engine {
        RxKind::Plain if stamps => {
            let rx = StampedRx::new(socket, size).map_err(failed)?;
            receive_phases(rx, share, local, buffer, line)
        }
        RxKind::Plain => receive_phases(PlainRx::new(socket, size), share, local, buffer, line),
        RxKind::Batch => {
            let rx = BatchRx::new(socket, size, batch, stamps).map_err(failed)?;
            receive_phases(rx, share, local, buffer, line)
        }
        RxKind::Gro => {
            let rx = GroRx::new(socket, batch, stamps).map_err(failed)?;
            receive_phases(rx, share, local, buffer, line)
        }
        RxKind::Uring => {
            let rx = UringRx::new(socket, size, batch, stamps).map_err(failed)?;
            receive_phases(rx, share, local, buffer, line)
        }
        RxKind::Null => Err(failed(io::ErrorKind::Unsupported.into())),
    }
}

/// Makes the header of a datagram that the null engine took. The tag cannot come from the link, so
/// it is the one of null datagrams.
fn stamp(slot: &mut [u8], flow: usize, sequence: u64, word: u64) {
    let intended_ns = word & MAX_TIME;
    wire::encode(Header { tag: NULL_TAG, flow: flow as u16, sequence, intended_ns }, slot);
    wire::encode_lag(0, slot);
}

/// The tag of datagrams that the null engine makes; it has no network to mix them up on.
/// Arbitrary.
pub(crate) const NULL_TAG: u16 = 0x4E75;

/// A sender's sockets.
struct Flows<S: Datagram> {
    /// One a flow, or one for all.
    sockets: Vec<S>,
    /// Where to send; `None`: they are connected.
    to: Option<S::Address>,
    /// The smallest SO_SNDBUF granted.
    buffer: Option<u64>,
}

/// Opens a sender's sockets, connected where that was asked for; or takes those that were given,
/// as they are.
fn open_flows(share: &TxConfig, outlet: SendTarget) -> Result<Flows<UdpSocket>, NetError> {
    let SendTarget { to, given, ports } = outlet;
    let multicast = to.ip().is_multicast();
    let options = Options { ports, multicast, ..options(&share.common) };
    let open = |_| Udp::open(&options);
    let udps: Vec<Udp> = match given {
        Some(shared) => vec![shared],
        None => (0..share.common.flows.len()).map(open).collect::<Result<_, _>>()?,
    };
    if share.connect {
        udps.iter().try_for_each(|udp| udp.connect(to))?;
    }
    let buffer = udps.iter().filter_map(|udp| udp.send_buffer).min().map(|bytes| bytes as u64);
    let sockets = udps.into_iter().map(|udp| udp.socket).collect();
    Ok(Flows { sockets, to: (!share.connect).then_some(to), buffer })
}

/// Opens a sender's AF_UNIX sockets, all connected to the receiver of this name.
fn connect_flows(share: &TxConfig, name: &str) -> Result<Flows<impl Datagram + use<>>, NetError> {
    let name = UnixName::new(name);
    let connect = |_| Unix::connect(&name, share.common.socket_buffer);
    let all = share.common.flows.clone().map(connect).collect::<Result<Vec<_>, _>>()?;
    let buffer = all.iter().filter_map(|unix| unix.send_buffer).min().map(|bytes| bytes as u64);
    let sockets = all.into_iter().map(|unix| unix.socket).collect();
    Ok(Flows { sockets, to: None, buffer })
}
