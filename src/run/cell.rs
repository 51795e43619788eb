//! One cell: workers set up, warmed up, drained, measured, drained, collected.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::RunError;
use super::control::Control;
use super::counters;
use super::dispatch::{NULL_TAG, run_receiver, run_sender};
use super::worker::{Event, Line, Phase, RxYield, TxYield};
use crate::measure::{CutShort, Harvest, Sockets};
use crate::net::NetError;
use crate::net::engine::NullLink;
use crate::plan::{Cell, Limit, Load, Plan, RxKind};
use crate::sys;
use crate::unit::Nanos;

/// From the order to the start of a phase: time for every worker to wake up and be ready.
/// Arbitrary; a wake-up takes about 60 µs (measured), and under steal a few ms.
const LEAD: Nanos = Nanos::from_millis(3);

/// The same for each flow: its window of 8 KiB is wiped. More than that takes at
/// 5 GB/s; arbitrary.
const LEAD_A_FLOW: Nanos = Nanos::from_micros(2);

/// How often the coordinator wakes to show progress; arbitrary, seldom enough not to disturb.
const TICK: Duration = Duration::from_millis(250);

/// Stack of a worker thread in bytes. Its frames hold no buffers; arbitrary.
const STACK: usize = 256 * 1024;

/// One worker, from outside.
struct Worker<Y> {
    orders: Sender<Phase>,
    thread: JoinHandle<Result<Y, NetError>>,
}

/// All workers of a cell.
struct Crew {
    senders: Vec<Worker<TxYield>>,
    receivers: Vec<Worker<RxYield>>,
    events: Receiver<Event>,
    link: Arc<NullLink>,
    flows: u64,
}

/// Measures one cell at `load`. `tick` is called a few times a second while it runs.
pub(crate) fn measure(
    plan: &Plan,
    cell: &Cell,
    load: Load,
    tag: u16,
    stop: &Arc<AtomicBool>,
    tick: &mut dyn FnMut(),
) -> Result<Harvest, RunError> {
    let crew = Crew::set_up(plan, cell, load)?;
    let warmup = plan.scenario.warmup;
    // The null engine makes datagrams of one tag only.
    let null = cell.engine.rx == RxKind::Null;
    let tags = if null { [NULL_TAG, NULL_TAG] } else { [tag, tag | 1] };
    let mut warmed = (0, 0);
    if warmup > Nanos::ZERO {
        warmed = crew.phase(tags[0], Limit::Time(warmup), load, stop, tick)?;
    }
    let (before, stolen) = (counters::read(), sys::stolen_ns());
    crew.phase(tags[1], plan.scenario.limit, load, stop, tick)?;
    let after = counters::read();
    let stolen = sys::stolen_ns().zip(stolen).map(|(now, then)| Nanos(now.saturating_sub(then)));
    let (tx, rx) = crew.collect(cell)?;
    let mut harvest = merge(tx, rx);
    let sockets = harvest.kernel.sockets;
    harvest.kernel = after.since(&before, sockets);
    harvest.stolen = stolen;
    harvest.warmup = (warmed.0, warmed.0.saturating_sub(warmed.1));
    Ok(harvest)
}

impl Crew {
    /// Starts receivers, then senders, and waits until all are set up.
    fn set_up(plan: &Plan, cell: &Cell, load: Load) -> Result<Self, RunError> {
        let (event_tx, events) = mpsc::channel();
        let link = NullLink::new(usize::from(plan.scenario.streams));
        let flows = u64::from(plan.scenario.streams);
        let mut crew = Self { senders: Vec::new(), receivers: Vec::new(), events, link, flows };
        let mut addrs = Vec::new();
        for share in plan.rx_shares(cell) {
            let link = Arc::clone(&crew.link);
            let name = format!("udperf-rx-{}", share.common.worker);
            let worker =
                spawn(name, event_tx.clone(), move |line| run_receiver(&share, &link, line))?;
            crew.receivers.push(worker);
            addrs.push(crew.await_ready()?);
        }
        for (share, addr) in plan.tx_shares(cell, load).into_iter().zip(addrs) {
            let to = addr.unwrap_or(share.common.bind);
            let link = Arc::clone(&crew.link);
            let name = format!("udperf-tx-{}", share.common.worker);
            let worker =
                spawn(name, event_tx.clone(), move |line| run_sender(&share, to, &link, line))?;
            crew.senders.push(worker);
            crew.await_ready()?;
        }
        Ok(crew)
    }

    /// Waits for the worker just started.
    fn await_ready(&self) -> Result<Option<std::net::SocketAddr>, RunError> {
        loop {
            // Looked at before the wait: what a thread said before it ended is in the channel then.
            let ended = self.anyone_ended();
            match self.events.recv_timeout(TICK) {
                Ok(Event::Ready(addr)) => return Ok(addr),
                Ok(Event::Failed(error)) => return Err(error.into()),
                Err(RecvTimeoutError::Timeout) if !ended => {}
                Ok(Event::Done { .. }) | Err(_) => {
                    return Err(RunError::Panicked { id: String::new() });
                }
            }
        }
    }

    /// Leads all workers through a phase; returns how many datagrams were sent and received.
    fn phase(
        &self,
        tag: u16,
        limit: Limit,
        load: Load,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<(u64, u64), RunError> {
        let control = Control::new(Arc::clone(stop), self.senders.len());
        self.link.reset();
        let lead = LEAD + Nanos(LEAD_A_FLOW.0 * self.flows);
        let epoch = Nanos(sys::monotonic_ns()) + lead;
        let phase = Phase { epoch, tag, limit, load, control };
        let receivers = self.receivers.iter().map(|worker| &worker.orders);
        for orders in receivers.chain(self.senders.iter().map(|worker| &worker.orders)) {
            // A worker that died is noticed below.
            let _ = orders.send(phase.clone());
        }
        let (mut sent, mut received) = (0, 0);
        let mut running = self.senders.len() + self.receivers.len();
        while running > 0 {
            match self.events.recv_timeout(TICK) {
                Ok(Event::Done { sent: s, received: r }) => {
                    (sent, received) = (sent + s, received + r);
                    running -= 1;
                }
                Ok(Event::Failed(error)) => return Err(error.into()),
                Ok(Event::Ready(_)) => {}
                Err(RecvTimeoutError::Timeout) => {
                    tick();
                    if self.anyone_ended() {
                        return Err(RunError::Panicked { id: String::new() });
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(RunError::Panicked { id: String::new() });
                }
            }
        }
        Ok((sent, received))
    }

    /// Whether a thread has ended although nobody told it to.
    fn anyone_ended(&self) -> bool {
        self.senders.iter().any(|worker| worker.thread.is_finished())
            || self.receivers.iter().any(|worker| worker.thread.is_finished())
    }

    /// Ends all workers and takes what they have.
    fn collect(self, cell: &Cell) -> Result<(Vec<TxYield>, Vec<RxYield>), RunError> {
        Ok((collect(self.senders, cell)?, collect(self.receivers, cell)?))
    }
}

fn collect<Y>(workers: Vec<Worker<Y>>, cell: &Cell) -> Result<Vec<Y>, RunError> {
    let end = |worker: Worker<Y>| {
        // Without anybody to give orders, the thread ends.
        drop(worker.orders);
        match worker.thread.join() {
            Ok(harvest) => Ok(harvest?),
            Err(_) => Err(RunError::Panicked { id: cell.id.clone() }),
        }
    };
    workers.into_iter().map(end).collect()
}

/// Starts a worker thread, which reports where it cannot be set up.
fn spawn<Y: Default + Send + 'static>(
    name: String,
    events: Sender<Event>,
    work: impl FnOnce(&Line) -> Result<Y, NetError> + Send + 'static,
) -> Result<Worker<Y>, RunError> {
    let (orders, receiver) = mpsc::channel();
    let run = move || {
        let line = Line { orders: receiver, events };
        work(&line).or_else(|error| {
            let _ = line.events.send(Event::Failed(error));
            Ok(Y::default())
        })
    };
    let thread = Builder::new().name(name).stack_size(STACK).spawn(run);
    Ok(Worker { orders, thread: thread.map_err(|source| RunError::Spawn { source })? })
}

/// Adds up what the workers measured.
fn merge(tx: Vec<TxYield>, rx: Vec<RxYield>) -> Harvest {
    let mut harvest = Harvest::default();
    for part in tx {
        harvest.elapsed = harvest.elapsed.max(part.end);
        harvest.tx.merge(&part.tally);
        harvest.tx_stalls.merge(&part.stalls);
        harvest.tx_cpu = add(harvest.tx_cpu, part.cpu);
        harvest.sockets.send_buffer = least(harvest.sockets.send_buffer, part.buffer);
        if let Some(segments) = part.segments {
            let of = &mut harvest.super_packets;
            of.segments_at_first = least(of.segments_at_first, Some(segments.at_first as u64));
            of.segments_at_last = least(of.segments_at_last, Some(segments.now as u64));
        }
        if let Some(timing) = part.timing {
            harvest.timing.get_or_insert_default().merge(&timing);
        }
        if part.stopped {
            harvest.cut_short = Some(CutShort::Interrupted);
        }
        if part.stuck {
            harvest.cut_short = Some(CutShort::Stuck);
        }
    }
    let (mut jitter_sum, mut jitter_flows) = (Nanos::ZERO, 0);
    for part in rx {
        harvest.rx.merge(&part.tally);
        harvest.super_packets.taken_whole |= part.takes_super_packets;
        harvest.rx_stalls.merge(&part.stalls);
        harvest.rx_cpu = add(harvest.rx_cpu, part.cpu);
        let Sockets { receive_buffer, .. } = &mut harvest.sockets;
        *receive_buffer = least(*receive_buffer, part.buffer);
        harvest.latency.merge(&part.latency);
        if let Some(drops) = part.drops {
            *harvest.kernel.sockets.get_or_insert(0) += drops;
        }
        (jitter_sum, jitter_flows) =
            (jitter_sum + part.jitter_sum, jitter_flows + part.jitter_flows);
    }
    harvest.jitter = jitter_sum.0.checked_div(jitter_flows).map(Nanos);
    harvest
}

fn add(sum: Option<Nanos>, part: Option<Nanos>) -> Option<Nanos> {
    Some(sum.unwrap_or_default() + part?)
}

fn least(least: Option<u64>, part: Option<u64>) -> Option<u64> {
    match (least, part) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
