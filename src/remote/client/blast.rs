//! Runs cells with a sink, whose results it combines with those of this host, or without one.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use super::cell::{POLL_INTERVAL, RemoteCell};
use super::control_client::{ControlClient, RemoteError};
use super::sanitize::{check_intervals, clean, clean_outages};
use crate::host::counters::{CounterDelta, CounterSnapshot};
use crate::host::device::is_ours;
use crate::measure::{CellResult, CutShort, OneWay, RxResult, Topology, TxResult};
use crate::net::steer::{PROBE_PHASE, SLOT_SHIFT};
use crate::net::{Options, Udp};
use crate::plan::{
    Direction, Limit, Plan, PlannedCell, Route, Scenario, TimestampKind, WorkerLoad,
};
use crate::remote::phase::RunningPhase;
use crate::remote::protocol::Key;
use crate::remote::protocol::spec::{CellSpec, ControlRequest, ControlResponse, PeerFacts, Ready};
use crate::run::cell::{PhaseOrder, run_phase};
use crate::run::worker::options;
use crate::run::worker_pool::WorkerPool;
use crate::run::{CellRunner, DirectionResult, DropReadings, RunError, StartRule, Tick};
use crate::sys;
use crate::unit::Nanos;
use crate::wire::{Header, encode};

/// The most announcements of each receiving socket: 5 s at one per 20 ms. Arbitrary.
const ANNOUNCEMENTS: u32 = 250;

/// Tags without a slot of a sink, except 0 and that of control messages; see `net/steer.rs`.
const TAGS_WITHOUT_SLOT: u16 = (1 << SLOT_SHIFT) - 2;

/// Runs cells with a sink.
pub(crate) struct RemoteRunner {
    pub(crate) control: ControlClient,
    pub(crate) peer: PeerFacts,
    topology: Topology,
}

impl RemoteRunner {
    /// Connects to the sink at this address, from a socket with these options.
    pub(crate) fn open(
        target: SocketAddr,
        options: &Options,
        key: Option<Key>,
        nonce: u64,
    ) -> Result<Self, RunError> {
        let socket = Udp::open(options)?;
        socket.connect(target)?;
        if socket.socket.local_addr().is_ok_and(|own| own == target) {
            return Err(RemoteError::Itself(target).into());
        }
        let mut control = ControlClient::open(socket.socket, target, key, nonce)?;
        let ControlResponse::Host(peer) = control.call(&ControlRequest::Host)? else {
            return Err(control.damaged());
        };
        let peer = clean(&*peer).ok_or_else(|| control.damaged())?;
        control.compare();
        // Unless the comparisons so far contradict it.
        control.same_clock = peer.clock.is_some()
            && peer.clock == sys::clock_identity()
            && control.offset().is_none_or(|o| o.offset_ns.unsigned_abs() <= o.bound_ns);
        // Virtual machines from one snapshot share all identities except addresses.
        let same_network =
            peer.network.is_some() && peer.network == sys::network_identity() && is_ours(target);
        let topology = match (same_network, control.same_clock) {
            (true, _) => Topology::SameNetns,
            (false, true) => Topology::SameHost,
            (false, false) => Topology::Remote,
        };
        Ok(Self { control, peer, topology })
    }

    fn prepare_cell(
        &self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
    ) -> Result<RemoteCell<'_>, RunError> {
        let control = &self.control;
        let spec = spec(plan, cell, load);
        let ControlResponse::Ready(ready) = control.call(&ControlRequest::Prepare(spec.clone()))?
        else {
            return Err(control.damaged());
        };
        let target = data_address(control.target, &ready);
        let mut pool = WorkerPool::new(plan.scenario.streams, plan.scenario.ports);
        if spec.reverse {
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
        if spec.forward {
            for config in plan.tx_configs(cell, load) {
                pool.add_sender(config, target, None)?;
            }
        }
        Ok(RemoteCell { control, receivers: self.peer.receivers, spec, pool, tag: ready.tag })
    }

    /// Sends from the receiving sockets until the sink knows them, so that firewalls let its
    /// datagrams through, and the sink sends only to addresses that announced themselves.
    fn announce(&self, sockets: &[Udp], ready: &Ready) -> Result<(), RunError> {
        for _ in 0..ANNOUNCEMENTS {
            for (worker, socket) in sockets.iter().enumerate() {
                let mut payload = [0; 32];
                let tag = ready.tag | PROBE_PHASE;
                encode(Header { tag, flow: worker as u16, ..Header::default() }, &mut payload);
                payload[16..].copy_from_slice(&ready.secret);
                // Lost announcements are repeated.
                let _ = socket.socket.send(&payload);
            }
            match self.control.call(&ControlRequest::Reached)? {
                ControlResponse::Reached(true) => return Ok(()),
                ControlResponse::Reached(false) => thread::sleep(POLL_INTERVAL),
                _ => return Err(self.control.damaged()),
            }
        }
        Err(RemoteError::NotReached(self.control.target).into())
    }

    fn direction_result(
        &self,
        direction: Direction,
        (tx, rx): (TxResult, RxResult),
        (sent, received): (u64, u64),
    ) -> DirectionResult {
        let warmup = (sent, sent.saturating_sub(received));
        let result = CellResult { warmup, ..CellResult::of(tx, Some(rx), self.topology) };
        DirectionResult { direction: Some(direction), result, error: None }
    }

    /// This side of a cell whose sink was lost, with the cause. What arrived there is unknown, and
    /// what it sent beyond what arrived here.
    fn without_sink(
        &self,
        remote: RemoteCell<'_>,
        phase: &mut RunningPhase,
        (delta, [tx_drops, rx_drops]): (CounterDelta, [DropReadings; 2]),
        (error_ns, bound): (i64, Nanos),
        (id, error): (&str, RunError),
    ) -> Result<Vec<DirectionResult>, RunError> {
        let CellSpec { forward, reverse, .. } = remote.spec;
        let end = if reverse { phase.peer_lost(&remote.pool)? } else { Nanos::ZERO };
        remote.pool.abort();
        let (tx, rx) = remote.pool.collect(id)?;
        let (mut tx, mut rx) = (tx.unwrap_or_default(), rx.unwrap_or_default());
        match forward {
            true => delta.into_both(&mut tx, &mut rx),
            false => delta.into_rx(&mut rx),
        }
        [tx.intervals, rx.intervals] = phase.intervals();
        match forward {
            true => tx.drop_readings = tx_drops.into_readings(tx.kernel),
            false => rx.drop_readings = rx_drops.into_readings(rx.kernel),
        }
        let (cut_short, mut error) = (Some(CutShort::PeerLost), Some(error));
        let mut parts = Vec::new();
        let mut add = |direction, tx, rx| {
            let result = CellResult { cut_short, ..CellResult::of(tx, rx, self.topology) };
            let (direction, error) = (Some(direction), error.take());
            parts.push(DirectionResult { direction, result, error });
        };
        if forward {
            add(Direction::Forward, tx, None);
        }
        if reverse {
            let rx = correct_latency(rx, -(phase.bias.0 as i64 - error_ns), bound);
            add(Direction::Reverse, TxResult::at_least(&rx, end), Some(rx));
        }
        Ok(parts)
    }
}

fn spec(plan: &Plan, cell: &PlannedCell, load: WorkerLoad) -> CellSpec {
    let scenario = &plan.scenario;
    let forward = scenario.route.sends();
    let reverse = matches!(scenario.route, Route::Reverse | Route::Both);
    CellSpec {
        forward,
        reverse,
        engine: cell.engine,
        size: cell.size,
        load,
        rank: scenario.member.rank,
        ranks: scenario.member.of,
        streams: scenario.streams,
        threads: scenario.threads,
        client_threads: (u16::from(forward) + u16::from(reverse)) * scenario.threads,
        time: scenario.limit.time().map(|time| time.max(scenario.warmup)),
        batch: scenario.batch,
        stamps: scenario.timestamps == TimestampKind::Kernel,
        socket_buffer: scenario.socket_buffer as u64,
        seed: scenario.seed,
        by_hash: scenario.by_hash,
    }
}

/// The address that data goes to: the sink's port, unless it names another one.
pub(super) fn data_address(target: SocketAddr, ready: &Ready) -> SocketAddr {
    let port = ready.ports.first();
    port.map_or(target, |port| SocketAddr::new(target.ip(), *port))
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
        tick: Tick<'_>,
        start: &dyn StartRule,
    ) -> Result<Vec<DirectionResult>, RunError> {
        let control = &self.control;
        control.compare();
        let mut remote = self.prepare_cell(plan, cell, load)?;
        let Scenario { warmup, limit, interval, bind, ip, .. } = &plan.scenario;
        let mut warmup_counts = [(0, 0); 2];
        if *warmup > Nanos::ZERO {
            let limit = Limit::Time(*warmup);
            let (mut phase, _) = remote.begin((limit, false), None, stop, start)?;
            let drops = &mut <[DropReadings; 2]>::default();
            let there = remote.finish(&mut phase, limit, stop, tick, (None, drops))?;
            let here = &phase.running;
            warmup_counts = [(here.sent, there.received), (there.sent, here.received)];
            control.take_corrections();
        }
        let counters = CounterSnapshot::begin_towards(control.target, *bind, ip.dev.as_deref());
        let (mut phase, offset_ns) = remote.begin((*limit, true), *interval, stop, start)?;
        let mut drops = <[DropReadings; 2]>::default();
        let ended = remote.finish(&mut phase, *limit, stop, tick, (Some(&counters), &mut drops));
        let delta = counters.end();
        let corrections = control.take_corrections();
        control.compare();
        let there = ended.and_then(|_| match control.call(&ControlRequest::Collect)? {
            ControlResponse::SideResults(there) => Ok(there),
            _ => Err(control.damaged()),
        });
        let (error_ns, bound) = remote.correction(&phase, offset_ns, corrections);
        let there = match there {
            Ok(there) => *there,
            Err(error) => {
                let (clocks, why) = ((error_ns, bound), (cell.id.as_str(), error));
                return self.without_sink(remote, &mut phase, (delta, drops), clocks, why);
            }
        };
        let (CellSpec { forward, reverse, .. }, bias) = (remote.spec, phase.bias.0 as i64);
        let (tx, rx) = remote.pool.collect(&cell.id)?;
        let (mut tx, mut rx) = (tx.unwrap_or_default(), rx.unwrap_or_default());
        delta.into_both(&mut tx, &mut rx);
        [tx.intervals, rx.intervals] = phase.intervals();
        let [tx_drops, rx_drops] = drops;
        tx.drop_readings = tx_drops.into_readings(tx.kernel);
        rx.drop_readings = rx_drops.into_readings(rx.kernel);
        let mut parts = Vec::new();
        if forward {
            let mut rx = correct_latency(there.rx.unwrap_or_default(), -(bias + error_ns), bound);
            rx.intervals = rx.intervals.of_peer(&phase.intervals()[0]);
            check_intervals(&mut tx, &mut rx);
            parts.push(self.direction_result(Direction::Forward, (tx, rx), warmup_counts[0]));
        }
        if reverse {
            let mut rx = correct_latency(rx, -(bias - error_ns), bound);
            let mut tx = clean_outages(there.tx.unwrap_or_default());
            tx.intervals = tx.intervals.of_peer(&rx.intervals);
            check_intervals(&mut tx, &mut rx);
            parts.push(self.direction_result(Direction::Reverse, (tx, rx), warmup_counts[1]));
        }
        Ok(parts)
    }
}

fn correct_latency(mut rx: RxResult, by_ns: i64, bound: Nanos) -> RxResult {
    if by_ns != 0 || bound > Nanos::ZERO {
        rx.latency = OneWay::shifted(&rx.latency, by_ns, bound);
        rx.intervals = std::mem::take(&mut rx.intervals).shifted(by_ns);
        rx.samples.iter_mut().for_each(|sample| *sample = sample.shifted(by_ns));
    }
    rx
}

/// Runs cells without a sink.
#[derive(Debug)]
pub(crate) struct SendOnlyRunner {
    target: SocketAddr,
    tag: u16,
    /// Whether an earlier cell sent without an unreachable error.
    reached: bool,
}

impl SendOnlyRunner {
    /// Sends to this address; phases use the tags after this one.
    pub(crate) const fn new(target: SocketAddr, tag: u16) -> Self {
        Self { target, tag, reached: false }
    }

    /// The order of the next phase.
    fn next_phase(
        &mut self,
        limit: Limit,
        interval: Option<Nanos>,
        load: WorkerLoad,
    ) -> PhaseOrder {
        // No slot: if the target is a sink, it counts these as unsolicited.
        self.tag = self.tag % TAGS_WITHOUT_SLOT + 2;
        PhaseOrder { tag: self.tag, limit, load, interval }
    }
}

impl CellRunner for SendOnlyRunner {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: Tick<'_>,
        start: &dyn StartRule,
    ) -> Result<Vec<DirectionResult>, RunError> {
        let mut pool = WorkerPool::new(plan.scenario.streams, plan.scenario.ports);
        for mut config in plan.tx_configs(cell, load) {
            config.abort_on_unreachable &= !self.reached;
            pool.add_sender(config, self.target, None)?;
        }
        let Scenario { warmup, limit, interval, bind, ip, .. } = &plan.scenario;
        if *warmup > Nanos::ZERO {
            let order = self.next_phase(Limit::Time(*warmup), None, load);
            run_phase(&pool, order, [None; 2], stop, tick, start)?;
        }
        let counters = CounterSnapshot::begin_towards(self.target, *bind, ip.dev.as_deref());
        let order = self.next_phase(*limit, *interval, load);
        let counts = run_phase(&pool, order, [Some(&counters), None], stop, tick, start)?;
        let delta = counters.end();
        let mut tx = pool.collect(&cell.id)?.0.unwrap_or_default();
        [tx.intervals, _] = counts.intervals;
        delta.into_tx(&mut tx);
        let [drops, _] = counts.drops;
        tx.drop_readings = drops.into_readings(tx.kernel);
        self.reached |= tx.tally.sent > 0 && tx.outages.is_empty();
        let result = CellResult::of(tx, None, Topology::Remote);
        Ok(vec![DirectionResult { direction: Some(Direction::Forward), result, error: None }])
    }
}
