//! Measures a cell through a relay, with the code that measures every cell, and alters what was
//! measured where a deliberate fault is asked for.

use std::cell::Cell as Shared;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fault::DeliberateFault;
use super::finding::SelftestError;
use super::orders::Orders;
use super::relay::{Account, Relay};
use crate::document::Cell;
use crate::host::HostFacts;
use crate::host::counters::CounterSnapshot;
use crate::measure::{CellResult, Topology};
use crate::plan::{
    EnginePair, EngineWord, Limit, Machine, Pinning, Plan, PlannedCell, Scenario, WaitKind,
    WorkerLoad,
};
use crate::report::{self, CellContext, CellFacts};
use crate::run::cell::{PhaseOrder, run_phase};
use crate::run::dispatch::ProvidedSocket;
use crate::run::worker_pool::WorkerPool;
use crate::run::{self, CellRunner, DirectionResult, RunError, StartRule, Tick};
use crate::sys;
use crate::unit::{Nanos, PacketRate, PayloadSize, Rate};

/// The payload of all cells. Arbitrary: the smallest default of `bench`.
const SIZE: u16 = 64;
/// The tag of the only phase of a cell. Arbitrary, even and not 0, as `run::cell` has it.
const TAG: u16 = 0x5E1F & !1;

/// What all checks are made with.
#[derive(Clone, Copy)]
pub(super) struct TestContext<'a> {
    pub(super) machine: &'a Machine,
    pub(super) facts: &'a HostFacts,
    pub(super) stop: &'a Arc<AtomicBool>,
    pub(super) fault: Option<DeliberateFault>,
    pub(super) quick: bool,
    pub(super) seed: u64,
    /// How often the check was made before, and disturbed.
    pub(super) repeats: u32,
}

/// A measured cell, and what the relay did.
pub(super) struct Measured {
    pub(super) cell: Cell,
    pub(super) account: Account,
    /// When the phase began, on the monotonic clock in ns.
    pub(super) epoch_ns: u64,
    /// Why the account does not hold for the receiver; `None`: it does.
    pub(super) disturbed: Option<&'static str>,
}

/// A cell of one flow and one size on loopback: so many datagrams of this engine and rate.
pub(super) fn scenario(engine: EnginePair, pps: f64, count: u64) -> Scenario {
    Scenario {
        sizes: vec![PayloadSize::Fixed(SIZE)],
        engines: vec![EngineWord::Pair(engine)],
        rates: vec![PacketRate::from_pps(pps).map_or(Rate::Max, Rate::Pps)],
        limit: Limit::Count(count),
        warmup: Nanos::ZERO,
        // The relay needs a core, too.
        pin: Pinning::Off,
        wait: WaitKind::Epoll,
        ..Scenario::default()
    }
}

impl TestContext<'_> {
    /// One of two numbers, by how much time there is.
    pub(super) const fn quick_or(&self, quick: u64, full: u64) -> u64 {
        if self.quick { quick } else { full }
    }

    pub(super) fn has_fault(&self, fault: DeliberateFault) -> bool {
        self.fault == Some(fault)
    }

    /// Measures the only cell of a scenario through a relay.
    pub(super) fn measure(
        &self,
        scenario: Scenario,
        orders: Orders,
    ) -> Result<Measured, SelftestError> {
        self.measure_with(scenario, orders, self.fault.filter(|fault| !fault.is_of_side()))
    }

    /// The same with this fault.
    pub(super) fn measure_with(
        &self,
        scenario: Scenario,
        orders: Orders,
        fault: Option<DeliberateFault>,
    ) -> Result<Measured, SelftestError> {
        let plan = Plan::new(scenario, self.machine).map_err(RunError::from)?;
        let mut runner = RelayRunner { orders, fault, done: None };
        let outcome = run::run(&plan, &mut runner, self.stop, &mut ());
        if self.stop.load(Ordering::Relaxed) {
            return Err(SelftestError::Interrupted);
        }
        let (Some(measured), Some(done)) = (outcome.measured.first(), runner.done) else {
            let error = outcome.error.unwrap_or(RunError::NothingTried);
            return Err(error.into());
        };
        let (cell, load, result) = (&measured.cell, measured.load, &measured.result);
        let facts = CellFacts { plan: &plan, cell, load, direction: None, result, code_name: None };
        let mut document = report::cell(facts);
        let context = CellContext::of(&plan, self.facts, result);
        document.warnings = report::cell_warnings(&document, &context);
        let RelayDone { account, epoch_ns, ended_ns } = done;
        let disturbances = [
            (account.refused > 0, "the relay could not send"),
            (account.last_ns > ended_ns, "the relay was late: this host is busy"),
        ];
        let disturbed = disturbances.iter().find(|(is_so, _)| *is_so).map(|(_, why)| *why);
        Ok(Measured { cell: document, account, epoch_ns, disturbed })
    }
}

/// What is known of a relay after its cell.
struct RelayDone {
    account: Account,
    epoch_ns: u64,
    ended_ns: u64,
}

/// Runs both ends in this process, and a relay between them.
struct RelayRunner {
    orders: Orders,
    fault: Option<DeliberateFault>,
    done: Option<RelayDone>,
}

/// Remembers when a phase began.
struct Remembering<'a>(&'a dyn StartRule, Shared<u64>);

impl StartRule for Remembering<'_> {
    fn start_at(&self, earliest: Nanos) -> Result<Nanos, RunError> {
        let epoch = self.0.start_at(earliest)?;
        self.1.set(epoch.0);
        Ok(epoch)
    }
}

impl CellRunner for RelayRunner {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: Tick<'_>,
        start: &dyn StartRule,
    ) -> Result<Vec<DirectionResult>, RunError> {
        let no_receiver = || RunError::Panicked { id: cell.id.clone() };
        let mut pool = WorkerPool::new(1, None);
        let receiver = plan.rx_configs(cell).pop().ok_or_else(no_receiver)?;
        let to = pool.add_receiver(receiver, None::<ProvidedSocket>)?.ok_or_else(no_receiver)?;
        let relay = Relay::start(to, self.orders.clone())?;
        for config in plan.tx_configs(cell, load) {
            pool.add_sender(config, relay.at, None)?;
        }
        let snapshot = CounterSnapshot::begin(None);
        let order = PhaseOrder { tag: TAG, limit: plan.scenario.limit, load, interval: None };
        let start = Remembering(start, Shared::new(0));
        run_phase(&pool, order, [None; 2], stop, tick, &start)?;
        let (epoch_ns, ended_ns) = (start.1.get(), sys::monotonic_ns());
        let delta = snapshot.end();
        let account = relay.stop().ok_or_else(no_receiver)?;
        let (tx, rx) = pool.collect(&cell.id)?;
        let (mut tx, mut rx) = (tx.unwrap_or_default(), rx.unwrap_or_default());
        delta.into_rx(&mut rx);
        self.done = Some(RelayDone { account, epoch_ns, ended_ns });
        if let Some(fault) = self.fault {
            fault.alter(&mut tx, &mut rx);
        }
        let result = CellResult::of(tx, Some(rx), Topology::SameNetns);
        Ok(vec![DirectionResult { direction: None, result, error: None }])
    }
}
