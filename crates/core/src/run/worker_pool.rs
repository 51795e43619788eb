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
use super::live::PollSchedule;
use super::phase::Phase;
use super::worker::{PhaseDone, WorkerChannel, WorkerEvent};
use crate::engine::NullLink;
use crate::measure::{RxResult, TxResult, combine};
use crate::net::{NetError, Ports, Udp};
use crate::plan::{RxConfig, TxConfig};
use crate::run::phase::PhaseState;
use crate::sys;
use crate::unit::Nanos;

/// From the order to the start of a phase: time for every worker to wake up and be ready.
/// Arbitrary; a wake-up takes about 60 µs (measured), and under steal a few ms.
const LEAD: Nanos = Nanos::from_millis(3);
/// The same for each flow: its window of 8 KiB is cleared, at more than 5 GB/s; arbitrary.
const LEAD_A_FLOW: Nanos = Nanos::from_micros(2);
/// How often to check whether a worker that starts has ended; arbitrary.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// Stack of a worker thread in bytes. Its frames hold no buffers; arbitrary.
const STACK: usize = 256 * 1024;
/// Phases that may run at once: one of the senders and one of the receivers.
const CONTROLS: usize = 2;

/// The result of a worker that sends requests and receives responses.
pub type RequestResult = (TxResult, RxResult);

/// The results of the sides that workers have.
pub type WorkerResult = (Option<TxResult>, Option<RxResult>);

/// What a worker does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Send,
    Receive,
    /// Sends requests and receives responses.
    Request,
}

struct WorkerHandle {
    role: Role,
    orders: Sender<Phase>,
    thread: JoinHandle<WorkerResult>,
}

/// Workers in a phase, and the counts of those that have ended it.
#[derive(Debug)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct PhaseProgress {
    /// Those that have not ended it.
    pub workers: usize,
    pub sent: u64,
    pub received: u64,
    pub sent_by_flow: Vec<u64>,
}

impl PhaseProgress {
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
    workers: Vec<WorkerHandle>,
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
        let ports = ports.map(|(first, last)| Ports::new(first..=last));
        let (workers, flows, controls) = (Vec::new(), flows.into(), RefCell::default());
        Self { workers, event_tx, events, link, flows, ports, controls }
    }

    /// Starts a receiver on the socket provided or its own; returns its address once ready.
    pub fn add_receiver(
        &mut self,
        config: RxConfig,
        provided: Option<impl Into<ProvidedSocket>>,
    ) -> Result<Option<SocketAddr>, RunError> {
        let link = Arc::clone(&self.link);
        let provided = provided.map(Into::into);
        let name = format!("udperf-rx-{}", config.common.worker);
        self.add(Role::Receive, name, move |channel| {
            run_receiver(&config, provided, &link, channel).map(|rx| (None, Some(rx)))
        })
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
        let work = move |channel: &WorkerChannel| {
            run_sender(&config, target, &link, channel).map(|tx| (Some(tx), None))
        };
        self.add(Role::Send, name, work).map(|_| ())
    }

    /// Starts a worker for requests and responses, and waits until it is ready.
    pub fn add_pair(
        &mut self,
        name: String,
        work: impl FnOnce(&WorkerChannel) -> Result<RequestResult, NetError> + Send + 'static,
    ) -> Result<(), RunError> {
        let work = |channel: &WorkerChannel| work(channel).map(|(tx, rx)| (Some(tx), Some(rx)));
        self.add(Role::Request, name, work).map(|_| ())
    }

    /// Starts a worker thread and waits until it is ready.
    fn add(
        &mut self,
        role: Role,
        name: String,
        work: impl FnOnce(&WorkerChannel) -> Result<WorkerResult, NetError> + Send + 'static,
    ) -> Result<Option<SocketAddr>, RunError> {
        let (orders, receiver) = mpsc::channel();
        let events = self.event_tx.clone();
        let run = move || {
            let channel = WorkerChannel { orders: receiver, events };
            work(&channel).unwrap_or_else(|error| {
                let _ = channel.events.send(WorkerEvent::Failed(error));
                WorkerResult::default()
            })
        };
        let thread = Builder::new().name(name).stack_size(STACK).spawn(run);
        let thread = thread.map_err(|source| RunError::Spawn { source })?;
        self.workers.push(WorkerHandle { role, orders, thread });
        self.await_ready()
    }

    /// Local ports of flows; all workers share their order.
    pub fn ports(&self) -> Option<Ports> {
        self.ports.clone()
    }

    fn count(&self, role: Role) -> usize {
        self.workers.iter().filter(|worker| worker.role == role).count()
    }

    /// Number of senders.
    pub fn senders(&self) -> usize {
        self.count(Role::Send)
    }

    /// Number of receivers.
    pub fn receivers(&self) -> usize {
        self.count(Role::Receive)
    }

    /// Number of workers for requests.
    pub fn pairs(&self) -> usize {
        self.count(Role::Request)
    }

    /// How long before its start a phase must be ordered.
    pub fn lead(&self) -> Nanos {
        LEAD + Nanos(LEAD_A_FLOW.0 * self.flows)
    }

    fn await_ready(&self) -> Result<Option<SocketAddr>, RunError> {
        loop {
            // Checked first: events of a thread that has ended are then in the channel.
            let ended = self.anyone_ended();
            match self.events.recv_timeout(CHECK_INTERVAL) {
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
        self.begin(Role::Receive, phase);
    }

    /// Orders all senders to begin a phase.
    pub fn begin_senders(&self, phase: &Phase) {
        self.begin(Role::Send, phase);
    }

    /// Orders all workers for requests to begin a phase.
    pub fn begin_pairs(&self, phase: &Phase) {
        self.begin(Role::Request, phase);
    }

    fn begin(&self, role: Role, phase: &Phase) {
        let mut controls = self.controls.borrow_mut();
        // The workers of earlier phases have ended them.
        if controls.len() == CONTROLS {
            controls.pop_front();
        }
        controls.push_back(Arc::clone(&phase.control));
        for worker in self.workers.iter().filter(|worker| worker.role == role) {
            // A worker that died is noticed when its end is awaited.
            let _ = worker.orders.send(phase.clone());
        }
    }

    /// Ends the running phase, if any.
    pub fn abort(&self) {
        self.controls.borrow().iter().for_each(|control| control.abort());
    }

    /// Waits until all of these workers have ended the phase; calls `tick` at these times.
    pub fn await_end(
        &self,
        running: &mut PhaseProgress,
        schedule: PollSchedule,
        tick: &mut dyn FnMut(),
    ) -> Result<(), RunError> {
        let now = || Nanos(sys::monotonic_ns());
        let mut due = schedule.next(now());
        while running.workers > 0 {
            self.poll(running, due.since(now()).to_duration())?;
            if now() >= due {
                tick();
                due = schedule.next(now());
            }
        }
        Ok(())
    }

    /// Waits this long for one of these workers to end the phase; returns whether one did.
    pub fn poll(&self, running: &mut PhaseProgress, most: Duration) -> Result<bool, RunError> {
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
        self.workers.iter().any(|worker| worker.thread.is_finished())
    }

    /// All workers, before a phase.
    pub fn running(&self) -> PhaseProgress {
        let sent_by_flow = vec![0; self.flows as usize];
        PhaseProgress { workers: self.workers.len(), sent: 0, received: 0, sent_by_flow }
    }

    /// Ends all workers and returns the sum of each side; `None`: no worker on that side.
    pub fn collect(mut self, id: &str) -> Result<WorkerResult, RunError> {
        self.join(id)
    }

    /// Waits for all workers, even if one failed, so that their sockets are closed.
    fn join(&mut self, id: &str) -> Result<WorkerResult, RunError> {
        let end = |WorkerHandle { orders, thread, .. }| {
            // Without a sender of orders, the thread ends.
            drop(orders);
            thread.join()
        };
        let ended: Vec<_> = self.workers.drain(..).map(end).collect();
        ended.into_iter().try_fold(WorkerResult::default(), |(tx, rx), result| {
            let Ok(more) = result else { return Err(RunError::Panicked { id: id.to_owned() }) };
            Ok((added(tx, more.0, TxResult::merge), added(rx, more.1, RxResult::merge)))
        })
    }
}

fn added<R>(one: Option<R>, other: Option<R>, merge: fn(&mut R, R)) -> Option<R> {
    combine(one, other, |mut sum, more| {
        merge(&mut sum, more);
        sum
    })
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
        let epoch = Nanos(sys::monotonic_ns());
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
