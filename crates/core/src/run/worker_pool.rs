//! The worker threads of one host for one cell. A cell on one host has one pool; a cell between
//! hosts has one at each end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::RunError;
use super::dispatch::{ProvidedSocket, SendTarget, run_receiver, run_sender};
use super::phase::Phase;
use super::worker::{PhaseDone, WorkerChannel, WorkerEvent};
use crate::engine::NullLink;
use crate::measure::{RxResult, TxResult};
use crate::net::{NetError, Ports, Udp};
use crate::plan::{RxConfig, TxConfig};
use crate::run::phase::PhaseState;
use crate::unit::Nanos;

/// From the order to the start of a phase: time for every worker to wake up and be ready.
/// Arbitrary; a wake-up takes about 60 µs (measured), and under steal a few ms.
const LEAD: Nanos = Nanos::from_millis(3);
/// The same for each flow: its window of 8 KiB is cleared, at more than 5 GB/s; arbitrary.
const LEAD_A_FLOW: Nanos = Nanos::from_micros(2);
/// How often the coordinator wakes to show progress; arbitrary, seldom enough not to disturb.
const TICK: Duration = Duration::from_millis(250);
/// Stack of a worker thread in bytes. Its frames hold no buffers; arbitrary.
const STACK: usize = 256 * 1024;
/// Phases that may run at once: one of the senders and one of the receivers.
const CONTROLS: usize = 2;

/// The result of a worker that sends requests and receives responses.
pub type RequestResult = (TxResult, RxResult);

/// One worker, from outside.
struct WorkerHandle<Y> {
    orders: Sender<Phase>,
    thread: JoinHandle<Result<Y, NetError>>,
}

/// Workers in a phase, and the counts of those that have ended it.
#[derive(Debug)]
pub struct Running {
    /// How many are in it.
    pub workers: usize,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
    /// Datagrams sent by flow.
    pub sent_by_flow: Vec<u64>,
}

impl Running {
    fn note(&mut self, done: PhaseDone) {
        self.workers -= 1;
        self.sent += done.sent;
        self.received += done.received;
        let (first, flows) = done.flows;
        let counts = self.sent_by_flow.iter_mut().skip(first.into());
        counts.zip(flows).for_each(|(count, sent)| *count = sent);
    }
}

/// The workers of one host.
pub struct WorkerPool {
    senders: Vec<WorkerHandle<TxResult>>,
    receivers: Vec<WorkerHandle<RxResult>>,
    pairs: Vec<WorkerHandle<RequestResult>>,
    event_tx: Sender<WorkerEvent>,
    events: Receiver<WorkerEvent>,
    link: Arc<NullLink>,
    flows: u64,
    ports: Option<Ports>,
    /// The states of the latest phases, of senders and receivers.
    controls: RefCell<VecDeque<Arc<PhaseState>>>,
}

/// Ends all workers, also in the middle of a phase, so that no thread outlives an error.
impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.abort();
        // Their results and errors are no longer needed.
        let _ = self.join("");
    }
}

impl WorkerPool {
    /// An empty pool for this number of flows, from local ports of this range if there is one.
    pub fn new(flows: u16, ports: Option<(u16, u16)>) -> Self {
        let (event_tx, events) = mpsc::channel();
        let link = NullLink::new(flows.into());
        let (senders, receivers, pairs) = (Vec::new(), Vec::new(), Vec::new());
        let ports = ports.map(|(first, last)| Ports::new(first..=last));
        let (flows, controls) = (flows.into(), RefCell::default());
        Self { senders, receivers, pairs, event_tx, events, link, flows, ports, controls }
    }

    /// Starts a receiver on the socket provided or on its own; returns its address once it is
    /// ready.
    pub fn add_receiver(
        &mut self,
        config: RxConfig,
        provided: Option<impl Into<ProvidedSocket>>,
    ) -> Result<Option<SocketAddr>, RunError> {
        let link = Arc::clone(&self.link);
        let provided = provided.map(Into::into);
        let name = format!("udperf-rx-{}", config.common.worker);
        let work = move |channel: &WorkerChannel| run_receiver(&config, provided, &link, channel);
        self.receivers.push(spawn(name, self.event_tx.clone(), work)?);
        self.await_ready()
    }

    /// Starts a sender to this address, and waits until it is ready. All its flows share the socket
    /// provided; otherwise each has its own.
    pub fn add_sender(
        &mut self,
        config: TxConfig,
        to: SocketAddr,
        provided: Option<Udp>,
    ) -> Result<(), RunError> {
        let link = Arc::clone(&self.link);
        let name = format!("udperf-tx-{}", config.common.worker);
        let target = SendTarget { to, provided, ports: self.ports() };
        let work = move |channel: &WorkerChannel| run_sender(&config, target, &link, channel);
        self.senders.push(spawn(name, self.event_tx.clone(), work)?);
        self.await_ready().map(|_| ())
    }

    /// Starts a worker for requests and responses, and waits until it is ready.
    pub fn add_pair(
        &mut self,
        name: String,
        work: impl FnOnce(&WorkerChannel) -> Result<RequestResult, NetError> + Send + 'static,
    ) -> Result<(), RunError> {
        self.pairs.push(spawn(name, self.event_tx.clone(), work)?);
        self.await_ready().map(|_| ())
    }

    /// How many pairs there are.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Orders all pairs to begin a phase.
    pub fn begin_pairs(&self, phase: &Phase) {
        self.begin(&self.pairs, phase);
    }

    /// Ends all pairs and returns their results, each side added up.
    pub fn collect_pairs(mut self, id: &str) -> Result<RequestResult, RunError> {
        let (_, _, pairs) = self.join(id)?;
        let (tx, rx): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        Ok((
            added(tx, TxResult::merge).unwrap_or_default(),
            added(rx, RxResult::merge).unwrap_or_default(),
        ))
    }

    /// Local ports of flows; all workers share their order.
    pub fn ports(&self) -> Option<Ports> {
        self.ports.clone()
    }

    /// How many senders there are.
    pub fn senders(&self) -> usize {
        self.senders.len()
    }

    /// How long before its start a phase must be ordered.
    pub fn lead(&self) -> Nanos {
        LEAD + Nanos(LEAD_A_FLOW.0 * self.flows)
    }

    fn await_ready(&self) -> Result<Option<SocketAddr>, RunError> {
        loop {
            // Checked first: events of a thread that has ended are then in the channel.
            let ended = self.anyone_ended();
            match self.events.recv_timeout(TICK) {
                Ok(WorkerEvent::Ready(addr)) => return Ok(addr),
                Ok(WorkerEvent::Failed(error)) => return Err(error.into()),
                Err(RecvTimeoutError::Timeout) if !ended => {}
                Ok(WorkerEvent::Done(_)) | Err(_) => {
                    return Err(RunError::Panicked { id: String::new() });
                }
            }
        }
    }

    /// Orders all receivers to begin a phase.
    pub fn begin_receivers(&self, phase: &Phase) {
        self.link.reset();
        self.begin(&self.receivers, phase);
    }

    /// Orders all senders to begin a phase.
    pub fn begin_senders(&self, phase: &Phase) {
        self.begin(&self.senders, phase);
    }

    fn begin<Y>(&self, workers: &[WorkerHandle<Y>], phase: &Phase) {
        self.remember(phase);
        // A worker that died is noticed when its end is awaited.
        workers.iter().for_each(|worker| drop(worker.orders.send(phase.clone())));
    }

    /// Stores the handle that ends a running phase.
    fn remember(&self, phase: &Phase) {
        let mut controls = self.controls.borrow_mut();
        // The workers of earlier phases are through them.
        if controls.len() == CONTROLS {
            controls.pop_front();
        }
        controls.push_back(Arc::clone(&phase.control));
    }

    /// Ends the running phase, if any.
    pub fn abort(&self) {
        self.controls.borrow().iter().for_each(|control| control.abort());
    }

    /// Waits until all of these workers have ended the phase.
    pub fn await_end(&self, running: &mut Running, tick: &mut dyn FnMut()) -> Result<(), RunError> {
        while running.workers > 0 {
            if !self.look(running, TICK)? {
                tick();
            }
        }
        Ok(())
    }

    /// Waits this long for one of these workers to end the phase; returns whether one did.
    pub fn look(&self, running: &mut Running, most: Duration) -> Result<bool, RunError> {
        match self.events.recv_timeout(most) {
            Ok(WorkerEvent::Done(done)) => {
                running.note(done);
                Ok(true)
            }
            Ok(WorkerEvent::Failed(error)) => Err(error.into()),
            Ok(WorkerEvent::Ready(_)) => Ok(true),
            Err(RecvTimeoutError::Timeout) if !self.anyone_ended() => Ok(false),
            Err(_) => Err(RunError::Panicked { id: String::new() }),
        }
    }

    /// Whether a thread has ended without an order.
    fn anyone_ended(&self) -> bool {
        self.senders.iter().any(|worker| worker.thread.is_finished())
            || self.receivers.iter().any(|worker| worker.thread.is_finished())
            || self.pairs.iter().any(|worker| worker.thread.is_finished())
    }

    /// How many receivers there are.
    pub fn receivers(&self) -> usize {
        self.receivers.len()
    }

    /// All of them, before a phase.
    pub fn running(&self) -> Running {
        let flows = usize::try_from(self.flows).unwrap_or_default();
        let workers = self.senders.len() + self.receivers.len() + self.pairs.len();
        Running { workers, sent: 0, received: 0, sent_by_flow: vec![0; flows] }
    }

    /// Ends all workers and returns the sum of each side; `None`: no worker on that side.
    pub fn collect(mut self, id: &str) -> Result<(Option<TxResult>, Option<RxResult>), RunError> {
        let (tx, rx, _) = self.join(id)?;
        Ok((added(tx, TxResult::merge), added(rx, RxResult::merge)))
    }

    /// Waits for all workers, even if one failed, so that their sockets are closed.
    #[expect(clippy::type_complexity, reason = "taken apart at once by each caller")]
    fn join(
        &mut self,
        id: &str,
    ) -> Result<(Vec<TxResult>, Vec<RxResult>, Vec<RequestResult>), RunError> {
        let tx = join(std::mem::take(&mut self.senders), id);
        let rx = join(std::mem::take(&mut self.receivers), id);
        let pairs = join(std::mem::take(&mut self.pairs), id);
        Ok((tx?, rx?, pairs?))
    }
}

fn added<Y>(results: Vec<Y>, merge: impl Fn(&mut Y, Y)) -> Option<Y> {
    results.into_iter().reduce(|mut sum, result| {
        merge(&mut sum, result);
        sum
    })
}

fn join<Y>(workers: Vec<WorkerHandle<Y>>, id: &str) -> Result<Vec<Y>, RunError> {
    let end = |worker: WorkerHandle<Y>| {
        // Without a sender of orders, the thread ends.
        drop(worker.orders);
        match worker.thread.join() {
            Ok(result) => Ok(result?),
            Err(_) => Err(RunError::Panicked { id: id.to_owned() }),
        }
    };
    let ended: Vec<_> = workers.into_iter().map(end).collect();
    ended.into_iter().collect()
}

/// Starts a worker thread, which reports a failed setup.
fn spawn<Y: Default + Send + 'static>(
    name: String,
    events: Sender<WorkerEvent>,
    work: impl FnOnce(&WorkerChannel) -> Result<Y, NetError> + Send + 'static,
) -> Result<WorkerHandle<Y>, RunError> {
    let (orders, receiver) = mpsc::channel();
    let run = move || {
        let channel = WorkerChannel { orders: receiver, events };
        work(&channel).or_else(|error| {
            let _ = channel.events.send(WorkerEvent::Failed(error));
            Ok(Y::default())
        })
    };
    let thread = Builder::new().name(name).stack_size(STACK).spawn(run);
    Ok(WorkerHandle { orders, thread: thread.map_err(|source| RunError::Spawn { source })? })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::plan::{Limit, Machine, Plan, Scenario, WorkerLoad};

    #[test]
    fn workers_end_with_their_owner_in_the_middle_of_a_phase() {
        let plan = Plan::new(Scenario::default(), &Machine::default()).unwrap();
        let receiver = RxConfig { across: true, ..plan.rx_configs(&plan.cells[0]).remove(0) };
        let mut pool = WorkerPool::new(1, None);
        assert!(pool.add_receiver(receiver, None::<ProvidedSocket>).unwrap().is_some());
        let stop = Arc::new(AtomicBool::new(false));
        let control = PhaseState::across(stop, 1, Nanos::NEVER, Nanos::ZERO);
        let left = Arc::downgrade(&control);
        let epoch = Nanos(crate::sys::monotonic_ns());
        let phase =
            Phase { epoch, tag: 2, limit: Limit::Count(1), load: WorkerLoad::FlatOut, control };
        pool.begin_receivers(&phase);
        drop(phase);
        assert!(left.upgrade().is_some(), "the phase has begun");
        drop(pool);
        // The thread held the last reference.
        assert!(left.upgrade().is_none());
    }
}
