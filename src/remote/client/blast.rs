//! Runs cells with a sink. The client configures the sink's workers, starts and ends the phases,
//! and combines the results of both sides.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use super::error::RemoteError;
use crate::clock::Offset;
use crate::host::HostFacts;
use crate::host::counters::{CounterDelta, CounterSnapshot};
use crate::host::device::is_ours;
use crate::measure::{CellResult, CutShort, OneWay, RxResult, Topology, TxResult};
use crate::net::steer::PROBE_PHASE;
use crate::net::{Options, Udp};
use crate::plan::{
    Direction, Limit, MissingEngine, Plan, PlannedCell, Route, Scenario, TimestampKind, WorkerLoad,
};
use crate::remote::client::cell::{POLL_INTERVAL, RemoteCell};
use crate::remote::client::control_client::ControlClient;
use crate::remote::client::sanitize::{clean, clean_outages};
use crate::remote::protocol::Key;
use crate::remote::protocol::spec::{
    CellSpec, ControlRequest, ControlResponse, Directions, PeerFacts, Ready, SideResults,
};
use crate::run::RunError;
use crate::run::session::{CellRunner, DirectionResult};
use crate::run::worker::options;
use crate::run::worker_pool::WorkerPool;
use crate::sys;
use crate::unit::Nanos;
use crate::wire::{Header, encode};

/// The most announcements of each receiving socket: 5 s at one per 20 ms. Arbitrary.
const ANNOUNCEMENTS: u32 = 250;

/// The sink of a run.
#[derive(Debug, Clone)]
pub struct SinkPeer {
    /// Its address.
    pub target: SocketAddr,
    /// Its version of udperf.
    pub version: String,
    /// Its host.
    pub facts: HostFacts,
    /// Engines that it lacks.
    pub missing: Vec<MissingEngine>,
    /// Its receivers of each client.
    pub receivers: u16,
    /// Whether both ends read the same clock.
    pub same_clock: bool,
    /// Whether both ends are in one network namespace.
    pub same_network: bool,
    /// The offset of its clock; `None` if no comparison has succeeded.
    pub offset: Option<Offset>,
}

/// Runs cells with a sink.
pub struct RemoteRunner {
    control: ControlClient,
    peer: SinkPeer,
}

impl RemoteRunner {
    /// Connects to the sink at this address, from a socket with these options.
    ///
    /// # Errors
    /// [`RunError`], after 10 s without a response.
    pub fn open(
        target: SocketAddr,
        options: &Options,
        key: Option<Key>,
        nonce: u64,
    ) -> Result<Self, RunError> {
        let socket = Udp::open(options)?;
        socket.connect(target)?;
        let mut control = ControlClient::open(socket.socket, target, key, nonce)?;
        let ControlResponse::Host(response) = control.call(&ControlRequest::Host)? else {
            return Err(RemoteError::Damaged(target).into());
        };
        let response = clean(&*response).ok_or(RemoteError::Damaged(target))?;
        let PeerFacts { version, facts, missing, clock, network, receivers } = response;
        control.compare();
        if clock.is_some() && clock == sys::clock_identity() {
            control.trust_same_clock();
        }
        let peer = SinkPeer {
            target,
            version,
            facts,
            missing,
            receivers,
            same_clock: control.same_clock,
            // Virtual machines from one snapshot share all identities except addresses.
            same_network: network.is_some()
                && network == sys::network_identity()
                && is_ours(target),
            offset: control.offset(),
        };
        Ok(Self { control, peer })
    }

    /// The sink, with the present estimate of its clock's offset.
    #[must_use]
    pub fn peer(&self) -> SinkPeer {
        SinkPeer { offset: self.control.offset(), ..self.peer.clone() }
    }

    fn prepare_cell(
        &self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
    ) -> Result<RemoteCell<'_>, RunError> {
        let spec = spec(plan, cell, load);
        let ControlResponse::Ready(ready) =
            self.control.call(&ControlRequest::Prepare(spec.clone()))?
        else {
            return Err(self.damaged());
        };
        let target = data_address(self.peer.target, &ready);
        let mut pool = WorkerPool::new(plan.scenario.streams, plan.scenario.ports);
        if spec.directions.reverse {
            let mut announcers = Vec::new();
            for config in plan.rx_configs(cell) {
                let options = Options { ports: pool.ports(), ..options(&config.common) };
                let socket = Udp::open(&options)?;
                socket.connect(source_of(target, &ready))?;
                announcers.push(socket.duplicate()?);
                pool.add_receiver(config, Some(socket))?;
            }
            self.announce(&announcers, &ready)?;
        }
        if spec.directions.forward {
            for config in plan.tx_configs(cell, load) {
                pool.add_sender(config, target, None)?;
            }
        }
        Ok(RemoteCell {
            control: &self.control,
            target: self.peer.target,
            receivers: self.peer.receivers,
            spec,
            pool,
            tag: ready.tag,
            load,
        })
    }

    /// Sends from the receiving sockets until the sink knows them, so that firewalls let its
    /// datagrams through, and the sink sends only to addresses that asked for it.
    fn announce(&self, sockets: &[Udp], ready: &Ready) -> Result<(), RunError> {
        for _ in 0..ANNOUNCEMENTS {
            for (worker, socket) in sockets.iter().enumerate() {
                let mut payload = [0; 32];
                let header = Header {
                    tag: ready.tag | PROBE_PHASE,
                    flow: worker as u16,
                    ..Header::default()
                };
                encode(header, &mut payload);
                payload[16..].copy_from_slice(&ready.secret);
                // Lost announcements are repeated.
                let _ = socket.socket.send(&payload);
            }
            match self.control.call(&ControlRequest::Reached)? {
                ControlResponse::Reached(true) => return Ok(()),
                ControlResponse::Reached(false) => thread::sleep(POLL_INTERVAL),
                _ => return Err(self.damaged()),
            }
        }
        Err(RemoteError::NotReached(self.peer.target).into())
    }

    fn damaged(&self) -> RunError {
        RemoteError::Damaged(self.peer.target).into()
    }

    fn topology(&self) -> Topology {
        match (self.peer.same_network, self.peer.same_clock) {
            (true, _) => Topology::SameNetns,
            (false, true) => Topology::SameHost,
            (false, false) => Topology::Remote,
        }
    }
}

/// The sink's side of a cell.
fn spec(plan: &Plan, cell: &PlannedCell, load: WorkerLoad) -> CellSpec {
    let scenario = &plan.scenario;
    let directions = Directions {
        forward: scenario.route.sends(),
        reverse: matches!(scenario.route, Route::Reverse | Route::Both),
    };
    let both = u16::from(directions.forward) + u16::from(directions.reverse);
    CellSpec {
        directions,
        engine: cell.engine,
        size: cell.size,
        load,
        streams: scenario.streams,
        threads: scenario.threads,
        client_threads: both * scenario.threads,
        time: match scenario.limit {
            Limit::Time(time) => Some(time.max(scenario.warmup)),
            Limit::Count(_) => None,
        },
        batch: scenario.batch,
        stamps: scenario.timestamps == TimestampKind::Kernel,
        socket_buffer: scenario.socket_buffer as u64,
        seed: scenario.seed,
        by_hash: scenario.by_hash,
    }
}

/// The address that data goes to: the sink's port, unless it names another one.
pub(super) fn data_address(target: SocketAddr, ready: &Ready) -> SocketAddr {
    let port = ready.ports.first().copied();
    port.map_or(target, |port| SocketAddr::new(target.ip(), port))
}

/// The address that the sink's data comes from. An address of another family is ignored.
pub(super) fn source_of(target: SocketAddr, ready: &Ready) -> SocketAddr {
    match (target, ready.source) {
        (SocketAddr::V4(_), Some(ip @ IpAddr::V4(_))) => SocketAddr::new(ip, target.port()),
        (SocketAddr::V6(to), Some(IpAddr::V6(ip))) => {
            SocketAddrV6::new(ip, to.port(), 0, to.scope_id()).into()
        }
        (target, _) => target,
    }
}

impl CellRunner for RemoteRunner {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<Vec<DirectionResult>, RunError> {
        self.control.compare();
        let mut remote = self.prepare_cell(plan, cell, load)?;
        let warmup = plan.scenario.warmup;
        let mut warmup_counts = [(0, 0); 2];
        if warmup > Nanos::ZERO {
            let mut phase = remote.begin(Limit::Time(warmup), stop)?;
            let there = remote.finish(&mut phase, Limit::Time(warmup), stop, tick)?;
            let here = &phase.running;
            warmup_counts = [(here.sent, there.received), (there.sent, here.received)];
            self.control.take_corrections();
        }
        let limit = plan.scenario.limit;
        let Scenario { bind, ip, .. } = &plan.scenario;
        let dev = ip.dev.as_deref();
        let counters = CounterSnapshot::begin_towards(self.peer.target, *bind, dev);
        let mut phase = remote.begin(limit, stop)?;
        let ended = remote.finish(&mut phase, limit, stop, tick);
        let delta = counters.end();
        let corrections = self.control.take_corrections();
        self.control.compare();
        let there = ended.and_then(|_| match self.control.call(&ControlRequest::Collect)? {
            ControlResponse::SideResults(there) => Ok(there),
            _ => Err(self.damaged()),
        });
        let there = match there {
            Ok(there) => there,
            Err(error) => return self.without_sink(remote, delta, &cell.id, error),
        };
        let (error_ns, bound) = remote.correction(&phase, corrections);
        let (directions, bias) = (remote.spec.directions, phase.bias.0 as i64);
        let (tx, rx) = remote.pool.collect(&cell.id)?;
        let (mut tx, mut rx) = (tx.unwrap_or_default(), rx.unwrap_or_default());
        delta.into_both(&mut tx, &mut rx);
        let SideResults { tx: tx_there, rx: rx_there } = *there;
        let mut parts = Vec::new();
        if directions.forward {
            let rx = correct_latency(rx_there.unwrap_or_default(), -(bias + error_ns), bound);
            parts.push(self.direction_result(Direction::Forward, tx, rx, warmup_counts[0]));
        }
        if directions.reverse {
            let rx = correct_latency(rx, -(bias - error_ns), bound);
            let tx = clean_outages(tx_there.unwrap_or_default());
            parts.push(self.direction_result(Direction::Reverse, tx, rx, warmup_counts[1]));
        }
        Ok(parts)
    }
}

impl RemoteRunner {
    fn direction_result(
        &self,
        direction: Direction,
        tx: TxResult,
        rx: RxResult,
        warmup_counts: (u64, u64),
    ) -> DirectionResult {
        let warmup = (warmup_counts.0, warmup_counts.0.saturating_sub(warmup_counts.1));
        let result = CellResult { warmup, ..CellResult::of(tx, Some(rx), self.topology()) };
        DirectionResult { direction: Some(direction), result, error: None }
    }

    /// The sending side of a cell whose sink was lost, with the cause. What arrived is unknown.
    fn without_sink(
        &self,
        remote: RemoteCell<'_>,
        delta: CounterDelta,
        id: &str,
        error: RunError,
    ) -> Result<Vec<DirectionResult>, RunError> {
        if !remote.spec.directions.forward {
            return Err(error);
        }
        remote.pool.abort();
        let (tx, _) = remote.pool.collect(id)?;
        let mut tx = tx.unwrap_or_default();
        delta.into_tx(&mut tx);
        let cut_short = Some(CutShort::PeerLost);
        let result = CellResult { cut_short, ..CellResult::of(tx, None, self.topology()) };
        let (direction, error) = (Some(Direction::Forward), Some(error));
        Ok(vec![DirectionResult { direction, result, error }])
    }
}

/// Corrects all latencies by a clock error.
fn correct_latency(mut rx: RxResult, by_ns: i64, bound: Nanos) -> RxResult {
    if by_ns != 0 || bound > Nanos::ZERO {
        rx.latency = OneWay::shifted(&rx.latency, by_ns, bound);
        rx.samples.iter_mut().for_each(|sample| *sample = sample.shifted(by_ns));
    }
    rx
}
