//! Sending to whoever is there: nothing is known of what arrives.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::host::counters::CounterSnapshot;
use crate::host::device::name_towards;
use crate::measure::{CellResult, Topology};
use crate::net::steer::SLOT_SHIFT;
use crate::plan::{Direction, Limit, Plan, PlannedCell, Scenario, WorkerLoad};
use crate::run::RunError;
use crate::run::phase::PhaseState;
use crate::run::session::{CellRunner, DirectionResult};
use crate::run::worker::Phase;
use crate::run::worker_pool::WorkerPool;
use crate::sys;
use crate::unit::Nanos;

/// How many tags belong to no slot of a sink, but for 0 and that of control messages; see
/// `net/steer.rs`.
const OF_NO_SLOT: u16 = (1 << SLOT_SHIFT) - 2;

/// A receiver that is not ours.
#[derive(Debug)]
pub struct SendOnlyRunner {
    target: SocketAddr,
    tag: u16,
    /// Whether an earlier cell had no error that reported the target as unreachable.
    reached: bool,
}

impl SendOnlyRunner {
    /// Sends to this address; its datagrams carry this tag and those after it.
    #[must_use]
    pub const fn new(target: SocketAddr, tag: u16) -> Self {
        Self { target, tag, reached: false }
    }

    fn phase(
        &mut self,
        crew: &WorkerPool,
        limit: Limit,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<(), RunError> {
        // Of no slot: where the receiver is a sink after all, these are a stranger's to it.
        self.tag = self.tag % OF_NO_SLOT + 2;
        let control = PhaseState::new(Arc::clone(stop), crew.senders());
        let epoch = Nanos(sys::monotonic_ns()) + crew.lead();
        crew.begin_senders(&Phase { epoch, tag: self.tag, limit, load, control });
        crew.await_end(&mut crew.running(), tick)
    }
}

impl CellRunner for SendOnlyRunner {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<Vec<DirectionResult>, RunError> {
        let mut crew = WorkerPool::new(plan.scenario.streams, plan.scenario.ports);
        for mut share in plan.tx_shares(cell, load) {
            share.abort_on_unreachable &= !self.reached;
            crew.add_sender(share, self.target, None)?;
        }
        if plan.scenario.warmup > Nanos::ZERO {
            self.phase(&crew, Limit::Time(plan.scenario.warmup), load, stop, tick)?;
        }
        let Scenario { bind, ip, .. } = &plan.scenario;
        let device = name_towards(self.target, *bind, ip.dev.as_deref());
        let watch =
            CounterSnapshot::begin(device.as_deref()).towards(self.target, device.as_deref());
        self.phase(&crew, plan.scenario.limit, load, stop, tick)?;
        let seen = watch.end();
        let (tx, _) = crew.collect(&cell.id)?;
        let mut tx = tx.unwrap_or_default();
        seen.into_tx(&mut tx);
        self.reached |= tx.tally.sent > 0 && tx.outages.is_empty();
        let harvest = CellResult::of(tx, None, Topology::Remote);
        Ok(vec![DirectionResult { direction: Some(Direction::Forward), harvest, error: None }])
    }
}
