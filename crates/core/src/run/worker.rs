//! Worker threads: placed, then given sockets, engine and memory, then run through phases.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender};

use mio::Interest;

use super::probe::ReceiveProbe;
use super::receive::{Drops, ReceiveJob, receive};
use super::send::send;
use super::send_job::SendJob;
use crate::clock::Clock;
use crate::engine::{Rx, Tx};
use crate::host::Meter;
use crate::host::counters::RingDrops;
use crate::measure::{RxResult, TxResult};
use crate::net::{NetError, Options, RealtimeWorker, Waiter, enter_netns, pin_to};
use crate::plan::{RxConfig, TxConfig, WaitKind, WorkerConfig, WorkerLoad};
use crate::run::phase::{Phase, PhaseState, WAKE_AHEAD, sleep_until_before};
use crate::run::sender_bounds::SenderBounds;
use crate::sys;
use crate::unit::Nanos;

/// An event of a worker.
#[derive(Debug)]
pub enum WorkerEvent {
    /// It is set up; a UDP receiver reports its address.
    Ready(Option<SocketAddr>),
    /// It ended a phase.
    Done(PhaseDone),
    /// It could not be set up.
    Failed(NetError),
}

/// The counts of a worker in a phase.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct PhaseDone {
    pub sent: u64,
    pub received: u64,
    /// Number of the first flow of a sender, and datagrams sent by flow from there on.
    pub flows: (u16, Vec<u64>),
}

/// The two ends of a worker's conversation with the coordinator.
pub struct WorkerChannel {
    pub(crate) orders: Receiver<Phase>,
    pub(crate) events: Sender<WorkerEvent>,
}

/// The socket options of this configuration.
pub fn options(config: &WorkerConfig) -> Options {
    Options {
        bind: config.bind,
        buffer: config.socket_buffer,
        dscp: config.ip.dscp,
        ttl: config.ip.ttl,
        df: config.ip.df,
        dev: config.ip.dev.clone(),
        broadcast: config.broadcast,
        ..Options::default()
    }
}

/// The socket options of a flow: like those of its worker, at its own source.
pub fn flow_options(config: &WorkerConfig, flow: u16) -> Options {
    let mut options = options(config);
    if let Some(sources) = &config.sources {
        options.bind.set_ip(sources.of_flow(flow));
        options.is_source = true;
    }
    options
}

/// Places the thread: on its core, in its network namespace, and in real time if asked. Keep the
/// result until the thread ends.
pub fn place_thread(config: &WorkerConfig) -> Result<Option<RealtimeWorker>, NetError> {
    config.core.map_or(Ok(()), pin_to)?;
    config.netns.as_deref().map_or(Ok(()), enter_netns)?;
    Ok(config.realtime.then(|| RealtimeWorker::start(config.core)).transpose()?)
}

/// The event loop of a worker.
pub fn waiter(wait: WaitKind, interest: Interest) -> Result<Waiter, NetError> {
    let spin_for = match wait {
        WaitKind::Spin => Waiter::SPIN,
        WaitKind::Hybrid => Waiter::HYBRID,
        WaitKind::Epoll => Waiter::EPOLL,
    };
    Waiter::new(spin_for, interest).map_err(|source| NetError::Poll { source })
}

/// Runs a sender through its phases.
pub fn send_phases<T: Tx>(
    mut tx: T,
    config: &TxConfig,
    buffer: Option<u64>,
    channel: &WorkerChannel,
) -> Result<TxResult, NetError> {
    // Where the kernel releases datagrams, a late wake-up does no harm.
    let wait = match config.common.wait {
        WaitKind::Hybrid if tx.departures().is_some() => WaitKind::Epoll,
        wait => wait,
    };
    let mut waiter = waiter(wait, Interest::WRITABLE)?;
    let mut job = SendJob::new(config, &tx);
    let mut result = TxResult::default();
    let meter = Meter::of_this_thread();
    sys::set_timer_slack_ns(crate::net::TIMER_SLACK_NS);
    let _ = channel.events.send(WorkerEvent::Ready(None));
    while let Ok(phase) = channel.orders.recv() {
        let planned_end = job.start(config, &phase);
        let segments_at_first = tx.segments().map(|segments| segments.now);
        waiter.restart();
        // The window ends for the receivers even if this thread panics.
        let mut done =
            SenderDone { control: &phase.control, worker: config.common.worker, sent: 0 };
        let rings = RingDrops::begin(tx.ring_counter());
        phase.control.show_rings(0, config.common.worker, rings.as_ref());
        job.await_epoch(&phase.control);
        let before = meter.read();
        job.stall.start(Nanos::ZERO);
        let last = send(&mut tx, &mut job, &mut waiter, &phase.control);
        let usage = meter.read().since(before);
        job.sampler.end(tx.sockets());
        let stopped = phase.control.stopped();
        done.sent = job.tally.sent;
        result = job.phase_result(last, planned_end, stopped);
        done.publish(result.end, last);
        let segments = tx.segments().zip(segments_at_first);
        result.segments = segments.map(|(last, at_first)| (at_first as u64, last.now as u64));
        (result.usage, result.buffer, result.xdp) = (usage, buffer, tx.granted());
        result.kernel.rings = rings.and_then(|rings| rings.so_far());
        let _ = channel.events.send(WorkerEvent::Done(PhaseDone {
            sent: job.tally.sent,
            received: 0,
            flows: (job.first_flow, job.next.clone()),
        }));
    }
    Ok(job.into_result(result))
}

/// Publishes a sender's end, at the latest when it goes out of scope.
pub struct SenderDone<'a> {
    pub(crate) control: &'a PhaseState,
    pub(crate) worker: usize,
    pub(crate) sent: u64,
}

impl SenderDone<'_> {
    pub(crate) fn publish(self, end: Nanos, finished: Nanos) {
        self.control.sender_finished(finished);
        self.control.sender_done(self.worker, end, self.sent);
        std::mem::forget(self);
    }
}

impl Drop for SenderDone<'_> {
    fn drop(&mut self) {
        self.control.sender_done(self.worker, Nanos::ZERO, self.sent);
    }
}

/// Runs a receiver through its phases.
pub fn receive_phases<R: Rx>(
    mut rx: R,
    config: &RxConfig,
    local: Option<SocketAddr>,
    buffer: Option<u64>,
    channel: &WorkerChannel,
) -> Result<RxResult, NetError> {
    let RxConfig { across, stamps, of, .. } = *config;
    let config = &config.common;
    let mut waiter = waiter(config.wait, Interest::READABLE)?;
    let probe = ReceiveProbe::in_turn(
        config.flows.start,
        config.flows.len(),
        config.size,
        (config.worker % of.max(1), of),
    );
    let probe = if across { probe.across() } else { probe };
    let mut probe = if stamps { probe.sampling() } else { probe };
    let mut job = ReceiveJob {
        clock: Clock::Monotonic,
        epoch: Nanos::ZERO,
        worker: config.worker,
        drops: Drops::default(),
        rings: None,
        meter: Meter::of_this_thread(),
        at_close: None,
    };
    let mut result = RxResult::default();
    // Before senders start, so that drops before the first read count.
    job.restart_drops(&mut rx);
    let _ = channel.events.send(WorkerEvent::Ready(local));
    while let Ok(phase) = channel.orders.recv() {
        rx.restart();
        waiter.restart();
        probe.bias = phase.control.bias();
        probe.bounds = SenderBounds::new(phase.limit, phase.load);
        probe.intervals = phase.control.rx_intervals(config.worker);
        phase.control.show_rings(1, config.worker, job.rings.as_ref());
        probe.start(phase.tag, phase.load != WorkerLoad::FlatOut, Nanos::ZERO);
        // If it was stopped before it began, counting begins now.
        job.epoch = sleep_until_before(phase.epoch, WAKE_AHEAD, &phase.control);
        job.at_close = None;
        let before = job.meter.read();
        receive(&mut rx, &mut job, &mut probe, &mut waiter, &phase.control);
        let usage = job.at_close.map(|now| now.since(before)).unwrap_or_default();
        probe.finish(&phase.control, config.worker);
        let kernel = job.drops_of_phase(&mut rx);
        result = RxResult { usage, buffer, xdp: rx.granted(), kernel, ..RxResult::default() };
        // Drained, and senders wait until all are done: the next phase counts from here.
        job.restart_drops(&mut rx);
        let _ = channel.events.send(WorkerEvent::Done(PhaseDone {
            received: probe.tally.received,
            ..PhaseDone::default()
        }));
    }
    let (flows, numbered) = probe.counts_by_flow();
    let jitter_sum = probe.jitters().fold(Nanos::ZERO, |sum, jitter| sum + jitter);
    Ok(RxResult {
        tally: probe.tally,
        stalls: probe.stall.stalls(),
        jitter: (jitter_sum, probe.jitters().count() as u64),
        flows,
        numbered,
        workers: vec![probe.tally.received],
        latency: probe.latency,
        samples: probe.samples,
        takes_super_packets: rx.takes_super_packets(),
        ..result
    })
}
