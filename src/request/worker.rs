//! One worker that asks and hears: set up, and led through its phases.

use std::net::SocketAddr;
use std::sync::Arc;

use mio::Interest;
use mio::net::UdpSocket;

use super::ids::{FirstIds, PORT_TRIES, RunIds};
use super::{Pair, Ready, RequestSpec, RequestWriter, ResponseMatcher, exchange};
use crate::clock::Clock;
use crate::engine::{BatchRx, BatchTx, GroRx, GsoTx, PlainRx, PlainTx, Rx, Tx};
use crate::host::Meter;
use crate::measure::{KernelDelta, RxResult, TxResult};
use crate::net::{NetError, Options, Ports, SocketError, Udp};
use crate::plan::{
    EngineKind, REQUEST_BATCH, RequestConfig, RxKind, TxKind, WorkerConfig, WorkerLoad, block,
};
use crate::request::in_flight::InFlightTable;
use crate::request::streams::StreamMap;
use crate::request::writer::calendar_at;
use crate::run::send::SendJob;
use crate::run::worker::{
    PhaseDone, SenderDone, WorkerChannel, WorkerEvent, options, place_thread, waiter,
};
use crate::run::worker_pool::RequestResult;
use crate::sys;
use crate::unit::Nanos;

/// Requests that a table holds at least and at most: 1.5 MiB and 96 MiB of slots; arbitrary.
const FLIGHTS: std::ops::RangeInclusive<u64> = (1 << 16)..=(1 << 22);

/// Runs a worker that asks and hears to its end.
pub(crate) fn run_pair(
    share: &RequestConfig,
    to: SocketAddr,
    ports: Option<Ports>,
    dialogue: RequestSpec,
    (ids, first_ids): (Arc<RunIds>, FirstIds),
    line: &WorkerChannel,
) -> Result<RequestResult, NetError> {
    place_thread(&share.tx.common)?;
    let options = Options { ports, ..options(&share.tx.common) };
    let open = |_| {
        let udp = open_new(&options, &ids)?;
        udp.connect(to).map(|()| udp)
    };
    let udps: Vec<Udp> = share.tx.common.flows.clone().map(open).collect::<Result<_, _>>()?;
    let least = |of: fn(&Udp) -> Option<usize>| udps.iter().filter_map(of).min();
    let buffers = [least(|udp| udp.send_buffer), least(|udp| udp.receive_buffer)];
    let buffers = buffers.map(|bytes| bytes.map(|bytes| bytes as u64));
    let ears = udps.iter().map(|udp| udp.duplicate().map(|udp| udp.socket));
    let ears = ears.collect::<Result<Vec<_>, _>>()?;
    let mouths = udps.into_iter().map(|udp| udp.socket).collect();
    ask_on(mouths, ears, &Setup { share, buffers, dialogue, ids, first_ids, line })
}

/// A socket on a port that the run has not used, unless ports are given or unused ones are rare, so
/// that a server does not take its requests for those of an earlier cell.
fn open_new(options: &Options, ids: &RunIds) -> Result<Udp, SocketError> {
    // Held, so that the system does not give the same port again.
    let mut held = Vec::new();
    loop {
        let udp = Udp::open(options)?;
        let is_new = ids.is_new_port(udp.local.port());
        if is_new || options.ports.is_some() || held.len() == PORT_TRIES {
            return Ok(udp);
        }
        held.push(udp);
    }
}

/// What every pair of engines is given.
struct Setup<'a> {
    share: &'a RequestConfig,
    /// The smallest SO_SNDBUF and SO_RCVBUF granted.
    buffers: [Option<u64>; 2],
    dialogue: RequestSpec,
    ids: Arc<RunIds>,
    first_ids: FirstIds,
    line: &'a WorkerChannel,
}

impl Setup<'_> {
    fn batch(&self) -> Option<usize> {
        self.share.tx.common.batch.or(Some(REQUEST_BATCH))
    }
}

/// Where the word of the sending engine becomes a type.
fn ask_on(
    mouths: Vec<UdpSocket>,
    ears: Vec<UdpSocket>,
    setup: &Setup<'_>,
) -> Result<RequestResult, NetError> {
    let WorkerConfig { size, .. } = setup.share.tx.common;
    let engine = setup.share.tx.engine;
    let failed = |source| NetError::Engine { engine: engine.word(), source };
    let fill = |slot: &mut [u8]| slot.fill(0);
    match engine {
        TxKind::Plain => hear_on(PlainTx::new(mouths, None, size, fill), ears, setup),
        TxKind::Batch => {
            hear_on(BatchTx::new(mouths, None, size, setup.batch(), fill), ears, setup)
        }
        TxKind::Gso => {
            let tx = GsoTx::new(mouths, None, size, setup.batch(), fill).map_err(failed)?;
            hear_on(tx, ears, setup)
        }
        TxKind::Uring | TxKind::Null => Err(failed(std::io::ErrorKind::Unsupported.into())),
    }
}

/// Where the word of the receiving engine becomes a type.
fn hear_on<T: Tx>(
    tx: T,
    ears: Vec<UdpSocket>,
    setup: &Setup<'_>,
) -> Result<RequestResult, NetError> {
    let engine = setup.share.rx;
    let failed = |source| NetError::Engine { engine: engine.word(), source };
    match engine {
        RxKind::Plain => pair_phases(tx, PlainRx::for_any_size(ears), setup),
        RxKind::Batch => pair_phases(tx, BatchRx::for_any_size(ears, setup.batch()), setup),
        RxKind::Gro => {
            let rx = GroRx::many(ears, setup.batch(), false).map_err(failed)?;
            pair_phases(tx, rx, setup)
        }
        RxKind::Uring | RxKind::Null => Err(failed(std::io::ErrorKind::Unsupported.into())),
    }
}

/// Leads a pair through its phases.
fn pair_phases<T: Tx, R: Rx>(
    mut tx: T,
    mut rx: R,
    setup: &Setup<'_>,
) -> Result<RequestResult, NetError> {
    let Setup { share, buffers: [send_buffer, receive_buffer], line, .. } = *setup;
    let mut waiter = waiter(&share.tx.common, Interest::READABLE)?;
    let mut pair = pair(setup, &tx);
    let expects_reply = setup.dialogue.matching.expects_reply();
    let (mut tx_half, mut rx_half) = (TxResult::default(), RxResult::default());
    let mut epoch = None;
    if rx.sockets().len() > 1 {
        waiter.watch(rx.sockets());
    }
    sys::set_timer_slack_ns(crate::net::TIMER_SLACK_NS);
    let _ = line.events.send(WorkerEvent::Ready(None));
    while let Ok(phase) = line.orders.recv() {
        let planned_end = pair.job.start(&share.tx, &phase);
        let by_slot = matches!(phase.load, WorkerLoad::Recorded(..));
        let calendar_ns = calendar_at(phase.epoch, Clock::Monotonic.now(), sys::realtime_ns());
        pair.writer.start(calendar_ns, by_slot);
        pair.held_until = Nanos::ZERO;
        let later = epoch.replace(phase.epoch).map_or(Nanos::ZERO, |then| phase.epoch.since(then));
        pair.matcher.start(phase.load != WorkerLoad::FlatOut, later);
        pair.out_of_ids_since = None;
        waiter.restart();
        let segments_at_first = tx.segments().map(|segments| segments.now);
        let (control, worker) = (&phase.control, share.tx.common.worker);
        let done = SenderDone { control, worker, sent: 0 };
        let drops = dropped(&mut rx);
        pair.job.await_epoch(&phase.control);
        pair.at_close = None;
        let before = pair.meter.read();
        pair.job.stall.start(Nanos::ZERO);
        let last = exchange(&mut tx, &mut rx, &mut pair, &mut waiter, control);
        let usage = pair.at_close.map(|now| pair.meter.between(before, now)).unwrap_or_default();
        tx_half = pair.job.half(last, planned_end, control.stopped());
        done.publish(tx_half.end, last);
        let segments = tx.segments().zip(segments_at_first);
        tx_half.segments = segments.map(|(last, at_first)| (at_first as u64, last.now as u64));
        (tx_half.usage, tx_half.buffer) = (usage, send_buffer);
        let drops = dropped(&mut rx).zip(drops).map(|(now, then)| now.wrapping_sub(then).into());
        pair.matcher.exchange.own_drops = drops;
        pair.matcher.exchange.room = pair.matcher.capacity();
        let kernel = KernelDelta { sockets: drops, ..KernelDelta::default() };
        rx_half = RxResult { kernel, buffer: receive_buffer, ..RxResult::default() };
        let (sent, received) = (pair.job.tally.sent, pair.matcher.tally.received);
        let flows = (pair.job.first_flow, pair.job.next.clone());
        // Where nothing is to come back, nothing is missing.
        let received = if expects_reply { received } else { sent };
        let _ = line.events.send(WorkerEvent::Done(PhaseDone { sent, received, flows }));
    }
    let Pair { job, matcher, .. } = pair;
    let rx_half = RxResult {
        flows: matcher.answered(job.first_flow),
        tally: matcher.tally,
        latency: matcher.latency,
        exchange: Some(matcher.exchange),
        workers: vec![matcher.tally.received],
        takes_super_packets: rx.takes_super_packets(),
        ..rx_half
    };
    Ok((job.into_half(tx_half), rx_half))
}

/// A pair, with room for all that may be in flight.
fn pair<T: Tx>(setup: &Setup<'_>, tx: &T) -> Pair {
    let Setup { share, dialogue, .. } = setup;
    let RequestConfig { tx: asks, asking, .. } = share;
    let streams = asks.common.flows.len();
    let job = SendJob::new(asks, tx);
    let pps = asks.load.peak_pps().map(|pps| pps / asks.of as f64);
    let wanted = asking.at_once(pps, share.window, asks.of as u64, job.batch);
    let wanted = wanted.clamp(*FLIGHTS.start(), *FLIGHTS.end());
    let expects_reply = dialogue.matching.expects_reply();
    // What is told by its order, or not at all, needs no id to be told apart by.
    let by_id = expects_reply && !dialogue.matching.by_order();
    let id_bits = if by_id { dialogue.requests.id_bits() } else { u64::BITS };
    let lanes = StreamMap::new(streams, block(pps, job.batch, id_bits));
    let flights = Arc::new(InFlightTable::new(lanes, wanted, id_bits));
    let place = (asks.common.worker, asks.of);
    let first_ids = setup.first_ids.of_worker(place.0, place.1, asks.common.flows.start);
    let requests = Arc::clone(&dialogue.requests);
    let ids = (Arc::clone(&setup.ids), first_ids);
    let writer = RequestWriter::new(requests, &flights, expects_reply, place, ids, job.batch);
    let batch = job.batch as u64;
    let matcher =
        ResponseMatcher::new(dialogue.clone(), flights, asking, first_ids, batch, streams);
    let (window, held_until) = (share.window, Nanos::ZERO);
    let (ready, meter) = (Ready::new(streams), Meter::of_this_thread());
    let (at_close, out_of_ids_since) = (None, None);
    Pair { job, writer, matcher, ready, window, held_until, out_of_ids_since, meter, at_close }
}

/// What our sockets have dropped so far, modulo 2³².
fn dropped<R: Rx>(rx: &mut R) -> Option<u32> {
    let drops = rx.sockets().iter().map(sys::socket_drops);
    drops.reduce(|sum, more| Some(sum?.wrapping_add(more?))).flatten()
}
