//! Sets up a request worker and runs its phases.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::Interest;
use mio::net::UdpSocket;

use super::ids::{FirstIds, PORT_TRIES, RunIds};
use super::{RequestSpec, RequestWorker, RequestWriter, ResponseMatcher, run_phase};
use crate::clock::Clock;
use crate::engine::{
    BatchRx, BatchTx, GroRx, GsoTx, PlainRx, PlainTx, Rx, Tx, XdpOptions, XdpRx, XdpTx,
};
use crate::host::counters::RingDrops;
use crate::measure::{RxResult, TxResult};
use crate::net::{Datagram, NetError, Options, Ports, SocketError, Udp, Waiter};
use crate::plan::{
    EngineKind, REQUEST_BATCH, RequestConfig, RxKind, TxKind, WorkerConfig, WorkerLoad, block,
};
use crate::request::cookies::ServerCookies;
use crate::request::in_flight::{InFlightTable, StreamMap};
use crate::request::steps::Steps;
use crate::run::dispatch::xdp_options;
use crate::run::phase::PhaseState;
use crate::run::send_job::SendJob;
use crate::run::worker::{
    PhaseDone, SenderDone, WorkerChannel, WorkerEvent, flow_options, place_thread, waiter,
};
use crate::run::worker_pool::RequestResult;
use crate::sys;
use crate::unit::Nanos;

/// Minimum and maximum requests of a table: 1.5 MiB and 96 MiB of slots; arbitrary.
const TABLE_SIZE: std::ops::RangeInclusive<u64> = (1 << 16)..=(1 << 22);

/// Bytes of the longest reply by the engine `xdp`, with its IP header: a page of 4,096 bytes
/// without the kernel's headroom (256 bytes) and the headers of a slot (64 bytes).
const LONGEST_PACKET: usize = 3_776;

pub(super) fn run_request_worker(
    config: &RequestConfig,
    to: SocketAddr,
    ports: Option<Ports>,
    spec: RequestSpec,
    (ids, first_ids): (Arc<RunIds>, FirstIds),
    channel: &WorkerChannel,
) -> Result<RequestResult, NetError> {
    let _placed = place_thread(&config.tx.common)?;
    let open = |flow| {
        let options = flow_options(&config.tx.common, flow);
        let udp = open_new(&Options { ports: ports.clone(), ..options }, &ids)?;
        if config.tx.connect {
            udp.connect(to)?;
        }
        Ok::<_, SocketError>(udp)
    };
    let udps: Vec<Udp> = config.tx.common.flows.clone().map(open).collect::<Result<_, _>>()?;
    let least = |of: fn(&Udp) -> Option<usize>| udps.iter().filter_map(of).min();
    let buffers = [least(|udp| udp.send_buffer), least(|udp| udp.receive_buffer)];
    let buffers = buffers.map(|bytes| bytes.map(|bytes| bytes as u64));
    let rx_sockets = udps.iter().map(|udp| udp.duplicate().map(|udp| udp.socket));
    let rx_sockets = rx_sockets.collect::<Result<Vec<_>, _>>()?;
    let tx_sockets = udps.into_iter().map(|udp| udp.socket).collect();
    let setup = Setup { config, to, buffers, spec, ids, first_ids, channel };
    run_with_tx(tx_sockets, rx_sockets, &setup)
}

/// Opens a socket on a port that the run has not used, unless ports are fixed or none is found.
fn open_new(options: &Options, ids: &RunIds) -> Result<Udp, SocketError> {
    let mut held = Vec::new();
    loop {
        let udp = Udp::open(options)?;
        let is_new = ids.is_new_port(udp.local);
        if is_new || options.ports.is_some() || held.len() == PORT_TRIES {
            return Ok(udp);
        }
        held.push(udp);
    }
}

struct Setup<'a> {
    config: &'a RequestConfig,
    to: SocketAddr,
    /// The smallest SO_SNDBUF and SO_RCVBUF granted.
    buffers: [Option<u64>; 2],
    spec: RequestSpec,
    ids: Arc<RunIds>,
    first_ids: FirstIds,
    channel: &'a WorkerChannel,
}

impl Setup<'_> {
    /// The options of the engine `xdp`: the device of the route, whose MTU bounds replies.
    fn xdp_options(&self) -> Result<XdpOptions, NetError> {
        let mut options = xdp_options(&self.config.tx.common);
        let from = Some(self.config.tx.common.bind.ip()).filter(|ip| !ip.is_unspecified());
        let path = sys::ethernet_path(self.to, from, options.device.as_deref());
        let engine = TxKind::Xdp.word();
        let failed = |error| NetError::Engine { engine, source: io::Error::other(error) };
        let path = path.map_err(failed)?;
        options.device = Some(path.device.name);
        options.longest_reply = (path.mtu as usize).min(LONGEST_PACKET);
        Ok(options)
    }
}

fn run_with_tx(
    tx_sockets: Vec<UdpSocket>,
    rx_sockets: Vec<UdpSocket>,
    setup: &Setup<'_>,
) -> Result<RequestResult, NetError> {
    let WorkerConfig { size, .. } = setup.config.tx.common;
    let (engine, batch) = (setup.config.tx.engine, setup.config.tx.common.batch);
    let batch = batch.or(Some(REQUEST_BATCH));
    let failed = |source| NetError::Engine { engine: engine.word(), source };
    let fill = |slot: &mut [u8]| slot.fill(0);
    let to = (!setup.config.tx.connect).then_some(setup.to);
    match engine {
        TxKind::Plain => run_with_rx(PlainTx::new(tx_sockets, to, size, fill), rx_sockets, setup),
        TxKind::Batch => {
            let tx = BatchTx::new(tx_sockets, to, size, batch, fill).adaptive();
            run_with_rx(tx, rx_sockets, setup)
        }
        TxKind::Gso => {
            let tx = GsoTx::new(tx_sockets, to, size, batch, fill).map_err(failed)?;
            run_with_rx(tx, rx_sockets, setup)
        }
        TxKind::Xdp => {
            let tx = XdpTx::new(tx_sockets, setup.to, size, &setup.xdp_options()?, false, fill);
            run_with_rx(tx.map_err(failed)?, rx_sockets, setup)
        }
        TxKind::Uring | TxKind::Null => Err(failed(io::ErrorKind::Unsupported.into())),
    }
}

fn run_with_rx<T: Tx<Socket = UdpSocket>>(
    tx: T,
    rx_sockets: Vec<UdpSocket>,
    setup: &Setup<'_>,
) -> Result<RequestResult, NetError> {
    let (engine, batch) = (setup.config.rx, setup.config.tx.common.batch);
    let batch = batch.or(Some(REQUEST_BATCH));
    let failed = |source| NetError::Engine { engine: engine.word(), source };
    match engine {
        RxKind::Plain => run_phases(tx, PlainRx::for_any_size(rx_sockets), setup),
        RxKind::Batch => {
            // A connected socket receives from its peer only.
            let rx = BatchRx::adaptive(rx_sockets, batch, !setup.config.tx.connect);
            run_phases(tx, rx, setup)
        }
        RxKind::Gro => {
            let rx = GroRx::many(rx_sockets, batch, false).map_err(failed)?;
            run_phases(tx, rx, setup)
        }
        RxKind::Xdp => {
            let size = setup.config.tx.common.size;
            let rx = XdpRx::for_streams(rx_sockets, size, &setup.xdp_options()?);
            run_phases(tx, rx.map_err(failed)?, setup)
        }
        RxKind::Uring | RxKind::Null => Err(failed(io::ErrorKind::Unsupported.into())),
    }
}

fn run_phases<T: Tx<Socket = UdpSocket>, R: Rx>(
    mut tx: T,
    mut rx: R,
    setup: &Setup<'_>,
) -> Result<RequestResult, NetError> {
    let Setup { config, buffers: [send_buffer, receive_buffer], channel, .. } = *setup;
    let mut waiter = waiter_on(config, &mut rx)?;
    let mut state = new_worker(setup, &tx, rx.mixes_streams());
    let expects_reply = setup.spec.matching.expects_reply();
    let (mut tx_result, mut rx_result, mut epoch) =
        (TxResult::default(), RxResult::default(), None);
    sys::set_timer_slack_ns(crate::net::TIMER_SLACK_NS);
    let _ = channel.events.send(WorkerEvent::Ready(None));
    while let Ok(phase) = channel.orders.recv() {
        let planned_end = state.job.start(&config.tx, &phase);
        let by_slot = matches!(phase.load, WorkerLoad::Recorded(..));
        let calendar_ns = sys::realtime_ns() + phase.epoch.0;
        let calendar_ns = calendar_ns.saturating_sub(Clock::Monotonic.now().0);
        state.writer.start(calendar_ns, by_slot);
        if let Some(steps) = &mut state.matcher.steps {
            steps.start(calendar_ns);
        }
        state.blocked_until = Nanos::ZERO;
        (state.out_of_ids_since, state.at_close) = (None, None);
        let later = epoch.replace(phase.epoch).map_or(Nanos::ZERO, |then| phase.epoch.since(then));
        state.matcher.intervals = phase.control.rx_intervals(config.tx.common.worker);
        state.matcher.start(phase.load != WorkerLoad::FlatOut, calendar_ns, later);
        waiter.restart();
        rx.restart();
        let segments_at_first = tx.segments().map(|segments| segments.now);
        let (control, worker) = (&phase.control, config.tx.common.worker);
        let done = SenderDone { control, worker, sent: 0 };
        let (drops, rings) = (dropped(&mut rx), begin_rings(&tx, &rx, worker, control));
        state.job.await_epoch(&phase.control);
        let before = state.meter.read();
        state.job.stall.start(Nanos::ZERO);
        let last = run_phase(&mut tx, &mut rx, &mut state, &mut waiter, control);
        let usage = state.at_close.map(|now| now.since(before)).unwrap_or_default();
        tx_result = state.job.phase_result(last, planned_end, control.stopped());
        done.publish(tx_result.end, last);
        let segments = tx.segments().zip(segments_at_first);
        tx_result.segments = segments.map(|(last, at_first)| (at_first as u64, last.now as u64));
        (tx_result.usage, tx_result.buffer, tx_result.xdp) = (usage, send_buffer, tx.granted());
        let drops = dropped(&mut rx).zip(drops).map(|(now, then)| now.wrapping_sub(then).into());
        let rings = rings.map(|rings| rings.and_then(|rings| rings.so_far()));
        state.matcher.exchange.own_drops = drops.or(rings[1]);
        rx_result = RxResult { buffer: receive_buffer, xdp: rx.granted(), ..RxResult::default() };
        [tx_result.kernel.rings, rx_result.kernel.rings] = rings;
        rx_result.kernel.sockets = drops;
        let flows = (state.job.first_flow, state.job.next.clone());
        let sent = state.job.tally.sent;
        let received = if expects_reply { state.matcher.tally.received } else { sent };
        let _ = channel.events.send(WorkerEvent::Done(PhaseDone { sent, received, flows }));
    }
    let RequestWorker { job, mut matcher, .. } = state;
    let steps = matcher.steps.take().filter(|steps| steps.second.is_sent_as_request());
    let rx_result = RxResult {
        flows: matcher.answered(job.first_flow),
        tally: matcher.tally,
        latency: matcher.latency,
        exchange: Some(matcher.exchange),
        steps: steps.map_or_else(Vec::new, |steps| steps.results.into()),
        workers: vec![matcher.tally.received],
        takes_super_packets: rx.takes_super_packets(),
        ..rx_result
    };
    Ok((job.into_result(tx_result), rx_result))
}

fn waiter_on(config: &RequestConfig, rx: &mut impl Rx) -> Result<Waiter, NetError> {
    let mut waiter = waiter(config.tx.common.wait, Interest::READABLE)?;
    // An engine that mixes flows reads all its sockets in each pull.
    if rx.sockets().len() > 1 && !rx.mixes_streams() {
        waiter.watch(rx.sockets());
    }
    Ok(waiter)
}

/// Counts drops at the rings of both halves from now on, also for other threads.
fn begin_rings<T: Tx, R: Rx>(
    tx: &T,
    rx: &R,
    worker: usize,
    control: &PhaseState,
) -> [Option<RingDrops>; 2] {
    let rings = [tx.ring_counter(), rx.ring_counter()].map(RingDrops::begin);
    for side in [0, 1] {
        control.show_rings(side, worker, rings[side].as_ref());
    }
    rings
}

fn new_worker<T: Tx>(setup: &Setup<'_>, tx: &T, mixes_streams: bool) -> RequestWorker {
    let Setup { config, spec, .. } = setup;
    let RequestConfig { tx: request, asking, .. } = config;
    let streams = request.common.flows.len();
    let job = SendJob::new(request, tx);
    let pps = request.load.peak_pps().map(|pps| pps / request.of as f64);
    let wanted = asking.at_once(pps, config.window, request.of as u64, job.batch);
    // Each of two requests has the whole timeout.
    let wanted = if spec.second.is_some() { wanted.saturating_mul(2) } else { wanted };
    let wanted = wanted.clamp(*TABLE_SIZE.start(), *TABLE_SIZE.end());
    let by_id = spec.matching.expects_reply() && !spec.matching.by_order();
    let id_bits = if by_id { spec.requests.id_bits } else { u64::BITS };
    // Streams take turns also where a window is narrower than a batch.
    let window = config.window.map_or(usize::MAX, |window| window.max(1) as usize);
    let stream_map = StreamMap::new(streams, block(pps, job.batch.min(window), id_bits));
    let table = Arc::new(InFlightTable::new(stream_map, wanted, id_bits));
    let WorkerConfig { worker, flows, .. } = &request.common;
    let threads = request.of / usize::from(setup.ids.member().of).max(1);
    let first_ids = setup.first_ids.of_worker(*worker, threads, flows.start);
    let ids = (Arc::clone(&setup.ids), first_ids);
    let mut writer = RequestWriter::new(spec, &table, ids, job.batch);
    let batch = job.batch as u64;
    let capacity = table.capacity();
    let mut matcher = ResponseMatcher::new(spec.clone(), table, asking, first_ids, batch, streams);
    matcher.cookies = (spec.requests.longest_cookie > 0).then(|| ServerCookies::new(streams));
    writer.cookies.clone_from(&matcher.cookies);
    matcher.steps = spec.second.as_deref().cloned().map(|second| {
        // As of the first request: memory of expressions, for this thread.
        let _ = second.matching().code_of(&[]);
        let server = (!request.connect).then(|| setup.to.ip().to_canonical());
        Box::new(Steps::new(second, capacity, streams, server))
    });
    let sockets = if mixes_streams { 1 } else { streams };
    let worker = RequestWorker::new(job, writer, matcher, config.window, sockets);
    // A connected socket refuses datagrams of others; frames do not pass it.
    let only_from = (mixes_streams && request.connect)
        .then(|| SocketAddr::new(setup.to.ip().to_canonical(), setup.to.port()));
    RequestWorker { only_from, ..worker }
}

fn dropped<R: Rx>(rx: &mut R) -> Option<u32> {
    let drops = rx.sockets().iter().map(Datagram::drops);
    drops.reduce(|sum, more| Some(sum?.wrapping_add(more?))).flatten()
}
