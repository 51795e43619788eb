//! Sends without a sink; what arrives is unknown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::host::counters::CounterSnapshot;
use crate::measure::{CellResult, Topology};
use crate::net::steer::SLOT_SHIFT;
use crate::plan::{Direction, Limit, Plan, PlannedCell, Scenario, WorkerLoad};
use crate::run::RunError;
use crate::run::phase::{Phase, PhaseState};
use crate::run::session::{CellRunner, DirectionResult};
use crate::run::worker_pool::WorkerPool;
use crate::sys;
use crate::unit::Nanos;

/// The number of tags without a slot of a sink, except 0 and that of control messages; see
/// `net/steer.rs`.
const TAGS_WITHOUT_SLOT: u16 = (1 << SLOT_SHIFT) - 2;

/// Runs cells without a sink.
#[derive(Debug)]
pub struct SendOnlyRunner {
    target: SocketAddr,
    tag: u16,
    /// Whether an earlier cell sent without an unreachable error.
    reached: bool,
}

impl SendOnlyRunner {
    /// Sends to this address; phases use the tags after this one.
    #[must_use]
    pub const fn new(target: SocketAddr, tag: u16) -> Self {
        Self { target, tag, reached: false }
    }

    fn run_phase(
        &mut self,
        pool: &WorkerPool,
        limit: Limit,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<(), RunError> {
        // No slot: if the target is a sink, it counts these as unsolicited.
        self.tag = self.tag % TAGS_WITHOUT_SLOT + 2;
        let control = PhaseState::new(Arc::clone(stop), pool.senders());
        let epoch = Nanos(sys::monotonic_ns()) + pool.lead();
        pool.begin_senders(&Phase { epoch, tag: self.tag, limit, load, control });
        pool.await_end(&mut pool.running(), tick)
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
        let mut pool = WorkerPool::new(plan.scenario.streams, plan.scenario.ports);
        for mut config in plan.tx_configs(cell, load) {
            config.abort_on_unreachable &= !self.reached;
            pool.add_sender(config, self.target, None)?;
        }
        if plan.scenario.warmup > Nanos::ZERO {
            self.run_phase(&pool, Limit::Time(plan.scenario.warmup), load, stop, tick)?;
        }
        let Scenario { bind, ip, .. } = &plan.scenario;
        let counters = CounterSnapshot::begin_towards(self.target, *bind, ip.dev.as_deref());
        self.run_phase(&pool, plan.scenario.limit, load, stop, tick)?;
        let delta = counters.end();
        let (tx, _) = pool.collect(&cell.id)?;
        let mut tx = tx.unwrap_or_default();
        delta.into_tx(&mut tx);
        self.reached |= tx.tally.sent > 0 && tx.outages.is_empty();
        let result = CellResult::of(tx, None, Topology::Remote);
        Ok(vec![DirectionResult { direction: Some(Direction::Forward), result, error: None }])
    }
}
