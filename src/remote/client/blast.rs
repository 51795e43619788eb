//! The client's end of cells between two hosts. It leads: it says what the sink's workers are to
//! be, when a phase begins, and when it is over, and puts both halves together.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use super::error::RemoteError;
use crate::clock::Offset;
use crate::host::counters::{CounterDelta, CounterSnapshot};
use crate::host::device::{is_ours, name_towards};
use crate::measure::{CellResult, CutShort, HostFacts, OneWay, RxResult, Topology, TxResult};
use crate::net::steer::SHOWN;
use crate::net::{Options, Udp};
use crate::plan::{
    Direction, Limit, MissingEngine, Plan, PlannedCell, Route, Scenario, TimestampKind, WorkerLoad,
};
use crate::remote::client::cell::{ASK_EVERY, RemoteCell};
use crate::remote::client::control_client::{ControlClient, printable};
use crate::remote::client::sanitize::{clean, clean_outages};
use crate::remote::protocol::Key;
use crate::remote::protocol::spec::{
    CellSpec, ControlRequest, ControlResponse, Halves, PeerFacts, Ready, Ways,
};
use crate::run::RunError;
use crate::run::session::{CellRunner, DirectionResult};
use crate::run::worker::options;
use crate::run::worker_pool::WorkerPool;
use crate::sys;
use crate::unit::Nanos;
use crate::wire::{Header, encode};

/// How often the sockets that shall be sent to show themselves before that is given up: with 20 ms
/// between, 5 s. Arbitrary.
const SHOWS: u32 = 250;

/// What the other end is.
#[derive(Debug, Clone)]
pub struct SinkPeer {
    /// Where.
    pub target: SocketAddr,
    /// The version of the program there.
    pub version: String,
    /// What was found out about its host.
    pub facts: HostFacts,
    /// Engines that it does not have.
    pub missing: Vec<MissingEngine>,
    /// Receivers that each client gets.
    pub receivers: u16,
    /// Whether both ends read the same clock.
    pub same_clock: bool,
    /// Whether both ends are in one network namespace.
    pub same_network: bool,
    /// How much later its clock is; `None` where no comparison has succeeded.
    pub offset: Option<Offset>,
}

/// The client's end.
pub struct RemoteRunner {
    pub(super) link: ControlClient,
    pub(super) peer: SinkPeer,
}

impl RemoteRunner {
    /// Gets in touch with the sink at this address, from a socket with these options.
    ///
    /// # Errors
    /// [`RunError`], after 10 s without an answer.
    pub fn open(
        target: SocketAddr,
        options: &Options,
        key: Option<Key>,
        nonce: u64,
    ) -> Result<Self, RunError> {
        let socket = Udp::open(options)?;
        socket.connect(target)?;
        let mut link = ControlClient::open(socket.socket, target, key, nonce)?;
        let ControlResponse::Host(told) = link.ask(&ControlRequest::Host)? else {
            return Err(RemoteError::Damaged { target }.into());
        };
        let PeerFacts { version, facts, missing, clock, network, receivers } = *told;
        let missing = missing.into_iter().map(|MissingEngine { engine, why }| MissingEngine {
            engine: printable(&engine),
            why: printable(&why),
        });
        let (version, facts, missing) = (printable(&version), clean(facts), missing.collect());
        link.compare();
        if clock.is_some() && clock == sys::clock_identity() {
            link.trust_same_clock();
        }
        let same_clock = link.same_clock();
        // Virtual machines that were started from one snapshot have the names of all else in
        // common.
        let same_network =
            network.is_some() && network == sys::network_identity() && is_ours(target);
        let offset = link.offset();
        let peer = SinkPeer {
            target,
            version,
            facts,
            missing,
            receivers,
            same_clock,
            same_network,
            offset,
        };
        Ok(Self { link, peer })
    }

    /// The other end; how its clock goes, as known by now.
    #[must_use]
    pub fn peer(&self) -> SinkPeer {
        SinkPeer { offset: self.link.offset(), ..self.peer.clone() }
    }

    /// Sets up both ends of a cell.
    fn set_up(
        &self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
    ) -> Result<RemoteCell<'_>, RunError> {
        let spec = spec(plan, cell, load);
        let ControlResponse::Ready(ready) =
            self.link.ask(&ControlRequest::Prepare(spec.clone()))?
        else {
            return Err(self.damaged());
        };
        let target = data_address(self.peer.target, &ready);
        let mut crew = WorkerPool::new(plan.scenario.streams, plan.scenario.ports);
        if spec.ways.reverse {
            let mut shown = Vec::new();
            for share in plan.rx_shares(cell) {
                let options = Options { ports: crew.ports(), ..options(&share.common) };
                let socket = Udp::open(&options)?;
                socket.connect(source_of(target, &ready))?;
                shown.push(socket.duplicate()?);
                crew.add_receiver(share, Some(socket))?;
            }
            self.show(&shown, &ready)?;
        }
        if spec.ways.forward {
            for share in plan.tx_shares(cell, load) {
                crew.add_sender(share, target, None)?;
            }
        }
        Ok(RemoteCell {
            link: &self.link,
            target: self.peer.target,
            receivers: self.peer.receivers,
            spec,
            crew,
            tag: ready.tag,
            load,
        })
    }

    /// Has the receiving sockets send to the sink, so that every box on the way lets the answers
    /// through, and that the sink sends to nobody who did not ask for it.
    fn show(&self, sockets: &[Udp], ready: &Ready) -> Result<(), RunError> {
        for _ in 0..SHOWS {
            for (worker, socket) in sockets.iter().enumerate() {
                let mut payload = [0; 32];
                let header =
                    Header { tag: ready.tag | SHOWN, flow: worker as u16, ..Header::default() };
                encode(header, &mut payload);
                payload[16..].copy_from_slice(&ready.secret);
                // What does not get through is sent again.
                let _ = socket.socket.send(&payload);
            }
            match self.link.ask(&ControlRequest::Reached)? {
                ControlResponse::Reached(true) => return Ok(()),
                ControlResponse::Reached(false) => thread::sleep(ASK_EVERY),
                _ => return Err(self.damaged()),
            }
        }
        Err(RemoteError::NotReached { target: self.peer.target }.into())
    }

    pub(super) fn damaged(&self) -> RunError {
        RemoteError::Damaged { target: self.peer.target }.into()
    }

    /// Reads the counters of this end.
    fn watch(&self, scenario: &Scenario) -> CounterSnapshot {
        let target = self.peer.target;
        let device = name_towards(target, scenario.bind, scenario.ip.dev.as_deref());
        CounterSnapshot::begin(device.as_deref()).towards(target, device.as_deref())
    }

    /// How the ends of a cell stand to each other.
    fn ends(&self) -> Topology {
        match (self.peer.same_network, self.peer.same_clock) {
            (true, _) => Topology::SameNetns,
            (false, true) => Topology::SameHost,
            (false, false) => Topology::Remote,
        }
    }
}

/// What the sink has to know of a cell.
fn spec(plan: &Plan, cell: &PlannedCell, load: WorkerLoad) -> CellSpec {
    let scenario = &plan.scenario;
    let ways = Ways {
        forward: scenario.route.sends(),
        reverse: matches!(scenario.route, Route::Reverse | Route::Both),
    };
    let both = u16::from(ways.forward) + u16::from(ways.reverse);
    CellSpec {
        ways,
        engine: cell.engine,
        size: cell.size,
        load,
        streams: scenario.streams,
        threads: scenario.threads,
        neighbours: both * scenario.threads,
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

/// Where data go: to the sink's port, unless it has another one for them.
pub(super) fn data_address(target: SocketAddr, ready: &Ready) -> SocketAddr {
    let port = ready.ports.first().copied();
    port.map_or(target, |port| SocketAddr::new(target.ip(), port))
}

/// Where the data of a sink come from. Of another family, nothing will come.
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
        self.link.compare();
        let mut stage = self.set_up(plan, cell, load)?;
        let warmup = plan.scenario.warmup;
        let mut warmed = [(0, 0); 2];
        if warmup > Nanos::ZERO {
            let mut begun = stage.begin(Limit::Time(warmup), stop)?;
            let there = stage.finish(&mut begun, Limit::Time(warmup), stop, tick)?;
            let here = &begun.running;
            warmed = [(here.sent, there.received), (there.sent, here.received)];
            self.link.release();
        }
        let limit = plan.scenario.limit;
        let watch = self.watch(&plan.scenario);
        let mut begun = stage.begin(limit, stop)?;
        let ended = stage.finish(&mut begun, limit, stop, tick);
        let seen = watch.end();
        let follow = self.link.release();
        self.link.compare();
        let there = ended.and_then(|_| match self.link.ask(&ControlRequest::Collect)? {
            ControlResponse::Halves(there) => Ok(there),
            _ => Err(self.damaged()),
        });
        let there = match there {
            Ok(there) => there,
            Err(error) => return self.without_sink(stage, seen, &cell.id, error),
        };
        let (error_ns, bound) = stage.correction(&begun, follow);
        let (ways, bias) = (stage.spec.ways, begun.bias.0 as i64);
        let (tx, rx) = stage.crew.collect(&cell.id)?;
        let (mut tx, mut rx) = (tx.unwrap_or_default(), rx.unwrap_or_default());
        seen.into_both(&mut tx, &mut rx);
        let Halves { tx: tx_there, rx: rx_there } = *there;
        let mut parts = Vec::new();
        if ways.forward {
            let rx = set_right(rx_there.unwrap_or_default(), -(bias + error_ns), bound);
            parts.push(self.part(Direction::Forward, tx, rx, warmed[0]));
        }
        if ways.reverse {
            let rx = set_right(rx, -(bias - error_ns), bound);
            let tx = clean_outages(tx_there.unwrap_or_default());
            parts.push(self.part(Direction::Reverse, tx, rx, warmed[1]));
        }
        Ok(parts)
    }
}

impl RemoteRunner {
    fn part(
        &self,
        direction: Direction,
        tx: TxResult,
        rx: RxResult,
        warmed: (u64, u64),
    ) -> DirectionResult {
        let mut harvest = CellResult::of(tx, Some(rx), self.ends());
        harvest.warmup = (warmed.0, warmed.0.saturating_sub(warmed.1));
        DirectionResult { direction: Some(direction), harvest, error: None }
    }

    /// The sending half of a cell whose sink was lost, with the cause. The sink's counts are
    /// unknown, and so is what arrived.
    fn without_sink(
        &self,
        stage: RemoteCell<'_>,
        seen: CounterDelta,
        id: &str,
        error: RunError,
    ) -> Result<Vec<DirectionResult>, RunError> {
        if !stage.spec.ways.forward {
            return Err(error);
        }
        stage.crew.abort();
        let (tx, _) = stage.crew.collect(id)?;
        let mut tx = tx.unwrap_or_default();
        seen.into_tx(&mut tx);
        let harvest = CellResult {
            cut_short: Some(CutShort::PeerLost),
            ..CellResult::of(tx, None, self.ends())
        };
        Ok(vec![DirectionResult {
            direction: Some(Direction::Forward),
            harvest,
            error: Some(error),
        }])
    }
}

/// Moves all latencies to where they belong.
fn set_right(mut rx: RxResult, by_ns: i64, bound: Nanos) -> RxResult {
    if by_ns != 0 || bound > Nanos::ZERO {
        rx.latency = OneWay::shifted(&rx.latency, by_ns, bound);
        rx.samples.iter_mut().for_each(|sample| *sample = sample.shifted(by_ns));
    }
    rx
}
