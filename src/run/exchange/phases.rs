//! One worker that asks and hears: set up, and led through its phases.

use std::net::SocketAddr;
use std::sync::Arc;

use mio::Interest;
use mio::net::UdpSocket;

use super::asker::calendar_at;
use super::{Asker, Dialogue, Hearer, Pair, Ready, exchange};
use crate::clock::Clock;
use crate::measure::{Flights, KernelDelta, Lanes, RxHalf, TxHalf};
use crate::net::engine::{BatchRx, BatchTx, GroRx, GsoTx, PlainRx, PlainTx, Rx, Tx};
use crate::net::{NetError, Options, Ports, Udp};
use crate::plan::{Kind, Load, PairShare, RxKind, Share, TxKind};
use crate::run::send::SendJob;
use crate::run::usage::Meter;
use crate::run::worker::{Done, Event, Line, SenderDone, TIMER_SLACK_NS, options, settle, waiter};
use crate::sys;
use crate::unit::{Nanos, PayloadSize};

/// Requests that leave at once, at most, where nobody says otherwise: what a server's receive
/// buffer of the default length (net.core.rmem_default) holds of small datagrams is some hundred
/// (measured: 277 of 64 bytes), and a burst must not fill it alone.
const BATCH: usize = 64;

/// Requests that a table holds at least and at most: 1 MiB and 64 MiB of slots; arbitrary.
const FLIGHTS: std::ops::RangeInclusive<u64> = (1 << 16)..=(1 << 22);

/// Requests of a port that follow each other leave within this, so that each port is heard of
/// often; arbitrary.
const BLOCK: Nanos = Nanos::from_micros(50);

/// Bytes of a reply that are read, where its request is no longer: what EDNS servers give at most
/// by default (4096, RFC 6891 section 6.2.5). Longer ones are cut, and told.
const REPLY_LEN: u16 = 4_096;

/// The room for a reply: as much as for its request, which it may repeat.
fn reply_of(dialogue: &Dialogue) -> PayloadSize {
    let largest = u16::try_from(dialogue.requests.largest()).unwrap_or(u16::MAX).max(REPLY_LEN);
    PayloadSize::Varied { mean: largest, largest }
}

/// What one worker measured.
pub(crate) type PairHalves = (TxHalf, RxHalf);

/// Runs a worker that asks and hears to its end.
pub(crate) fn run_pair(
    share: &PairShare,
    to: SocketAddr,
    ports: Option<Ports>,
    dialogue: Dialogue,
    line: &Line,
) -> Result<PairHalves, NetError> {
    settle(&share.tx.common)?;
    let options = Options { ports, ..options(&share.tx.common) };
    let open = |_| {
        let udp = Udp::open(&options)?;
        udp.connect(to).map(|()| udp)
    };
    let udps: Vec<Udp> = share.tx.common.flows.clone().map(open).collect::<Result<_, _>>()?;
    let least = |of: fn(&Udp) -> Option<usize>| udps.iter().filter_map(of).min();
    let buffers = [least(|udp| udp.send_buffer), least(|udp| udp.receive_buffer)];
    let buffers = buffers.map(|bytes| bytes.map(|bytes| bytes as u64));
    let ears = udps.iter().map(|udp| udp.duplicate().map(|udp| udp.socket));
    let ears = ears.collect::<Result<Vec<_>, _>>()?;
    let mouths = udps.into_iter().map(|udp| udp.socket).collect();
    ask_on(mouths, ears, &Setup { share, buffers, dialogue, line })
}

/// What every pair of engines is given.
struct Setup<'a> {
    share: &'a PairShare,
    /// The smallest SO_SNDBUF and SO_RCVBUF granted.
    buffers: [Option<u64>; 2],
    dialogue: Dialogue,
    line: &'a Line,
}

impl Setup<'_> {
    fn batch(&self) -> Option<usize> {
        self.share.tx.common.batch.or(Some(BATCH))
    }
}

/// Where the word of the sending engine becomes a type.
fn ask_on(
    mouths: Vec<UdpSocket>,
    ears: Vec<UdpSocket>,
    setup: &Setup<'_>,
) -> Result<PairHalves, NetError> {
    let Share { size, .. } = setup.share.tx.common;
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
fn hear_on<T: Tx>(tx: T, ears: Vec<UdpSocket>, setup: &Setup<'_>) -> Result<PairHalves, NetError> {
    let engine = setup.share.rx;
    let failed = |source| NetError::Engine { engine: engine.word(), source };
    match engine {
        RxKind::Plain => pair_phases(tx, PlainRx::many(ears, reply_of(&setup.dialogue)), setup),
        RxKind::Batch => {
            let rx = BatchRx::many(ears, reply_of(&setup.dialogue), setup.batch(), false)
                .map_err(failed)?;
            pair_phases(tx, rx, setup)
        }
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
) -> Result<PairHalves, NetError> {
    let Setup { share, buffers: [send_buffer, receive_buffer], line, .. } = *setup;
    let mut waiter = waiter(&share.tx.common, Interest::READABLE)?;
    let mut pair = pair(setup, &tx);
    let expects_reply = setup.dialogue.matching.expects_reply();
    let (mut tx_half, mut rx_half) = (TxHalf::default(), RxHalf::default());
    if rx.sockets().len() > 1 {
        waiter.watch(rx.sockets());
    }
    sys::set_timer_slack_ns(TIMER_SLACK_NS);
    let _ = line.events.send(Event::Ready(None));
    while let Ok(phase) = line.orders.recv() {
        let planned_end = pair.job.start(&share.tx, &phase);
        let by_slot = matches!(phase.load, Load::Recorded(..));
        let calendar_ns = calendar_at(phase.epoch, Clock::Monotonic.now(), sys::realtime_ns());
        pair.asker.start(calendar_ns, by_slot);
        pair.held_until = Nanos::ZERO;
        pair.hearer.start(phase.load != Load::FlatOut);
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
        pair.hearer.exchange.own_drops = drops;
        pair.hearer.exchange.room = pair.hearer.capacity();
        let kernel = KernelDelta { sockets: drops, ..KernelDelta::default() };
        rx_half = RxHalf { kernel, buffer: receive_buffer, ..RxHalf::default() };
        let (sent, received) = (pair.job.tally.sent, pair.hearer.tally.received);
        let flows = (pair.job.first_flow, pair.job.next.clone());
        // Where nothing is to come back, nothing is missing.
        let received = if expects_reply { received } else { sent };
        let _ = line.events.send(Event::Done(Done { sent, received, flows }));
    }
    let Pair { job, hearer, .. } = pair;
    let rx_half = RxHalf {
        flows: hearer.answered(job.first_flow),
        tally: hearer.tally,
        latency: hearer.latency,
        exchange: Some(hearer.exchange),
        workers: vec![hearer.tally.received],
        takes_super_packets: rx.takes_super_packets(),
        ..rx_half
    };
    Ok((job.into_half(tx_half), rx_half))
}

/// A pair, with room for all that may be in flight.
fn pair<T: Tx>(setup: &Setup<'_>, tx: &T) -> Pair {
    let Setup { share, dialogue, .. } = setup;
    let PairShare { tx: asks, asking, .. } = share;
    let streams = asks.common.flows.len();
    let job = SendJob::new(asks, tx);
    let pps = asks.load.peak_pps().map(|pps| pps / asks.of as f64);
    // Of a schedule, what is due within so long; flat out, what one call takes.
    let block = pps.map_or(job.batch, |pps| (pps * BLOCK.as_secs_f64()) as usize);
    let lanes = Lanes::new(streams, (block + 1).next_power_of_two() / 2);
    // A quarter more, for what waits to be given up.
    let waiting = |pps: f64| (pps * asking.timeout.as_secs_f64() * 1.25) as u64;
    let window = share.window.unwrap_or(0).saturating_mul(4).max(1 << 18);
    let wanted = pps.map_or(window, waiting) + 2 * job.batch as u64;
    let wanted = wanted.clamp(*FLIGHTS.start(), *FLIGHTS.end());
    let expects_reply = dialogue.matching.expects_reply();
    // What is told by its order, or not at all, needs no id to be told apart by.
    let by_id = expects_reply && !dialogue.matching.by_order();
    let id_bits = if by_id { dialogue.requests.id_bits() } else { u64::BITS };
    let flights = Arc::new(Flights::new(lanes, wanted, id_bits));
    let place = (asks.common.worker, asks.of);
    let (requests, timeout) = (Arc::clone(&dialogue.requests), asking.timeout);
    let asker = Asker::new(requests, &flights, expects_reply, place, job.batch);
    let most = reply_of(dialogue).largest();
    let hearer = Hearer::new(dialogue.clone(), flights, timeout, job.batch as u64, most, streams);
    let (window, held_until) = (share.window, Nanos::ZERO);
    let (ready, meter) = (Ready::new(streams), Meter::of_this_thread());
    Pair { job, asker, hearer, ready, window, held_until, meter, at_close: None }
}

/// What our sockets have dropped so far, modulo 2³².
fn dropped<R: Rx>(rx: &mut R) -> Option<u32> {
    let drops = rx.sockets().iter().map(sys::socket_drops);
    drops.reduce(|sum, more| Some(sum?.wrapping_add(more?))).flatten()
}
