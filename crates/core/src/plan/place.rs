//! Which cores workers run on.

use std::collections::BTreeSet;

use super::error::PlanError;
use super::scenario::Scenario;
use crate::engine::{EngineKind, EnginePair};
use crate::plan::engines::MissingEngine;
use crate::plan::options::Pinning;

/// Cores by worker; `None`: not pinned.
pub(super) struct Placement {
    pub(super) tx: Vec<Option<usize>>,
    pub(super) rx: Vec<Option<usize>>,
}

/// Cores for senders and receivers.
pub(super) fn place(scenario: &Scenario, machine: &Machine) -> Result<Placement, PlanError> {
    let workers = usize::from(scenario.threads);
    let nowhere = Placement { tx: vec![None; workers], rx: vec![None; workers] };
    match &scenario.pin {
        Pinning::Off => Ok(nowhere),
        Pinning::Cores { tx, rx } => {
            let unknown = tx.iter().chain(rx).find(|core| !machine.cpus.contains(core));
            if let Some(&core) = unknown.filter(|_| !machine.cpus.is_empty()) {
                let allowed =
                    machine.cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
                return Err(PlanError::NoSuchCore { core, allowed });
            }
            let around =
                |cores: &[usize]| (0..workers).map(|i| Some(cores[i % cores.len()])).collect();
            Ok(Placement { tx: around(tx), rx: around(rx) })
        }
        Pinning::Auto if machine.cpus.is_empty() => Ok(nowhere),
        Pinning::Auto => {
            let order = physical_first(machine);
            let core = |i: usize| Some(order[i % order.len()]);
            // Sender and receiver of one number are neighbours in the order: on distinct cores if
            // there are two. With a peer, all cores are for one kind; receivers begin at the second
            // core, in case the peer is on this host.
            let pair = |worker: usize| match (scenario.route.sends(), scenario.route.receives()) {
                (true, true) => (core(2 * worker), core(2 * worker + 1)),
                _ => (core(worker), core(worker + 1)),
            };
            let (tx, rx) = (0..workers).map(pair).unzip();
            Ok(Placement { tx, rx })
        }
    }
}

/// Whether some worker has no core to itself, so that its spinning would keep another from running.
pub(super) fn crowded(
    scenario: &Scenario,
    tx: &[Option<usize>],
    rx: &[Option<usize>],
    machine: &Machine,
) -> bool {
    let tx = if scenario.route.sends() { tx } else { &[] };
    let rx = if scenario.route.receives() { rx } else { &[] };
    let cores: Vec<_> = tx.iter().chain(rx).flatten().collect();
    let distinct: BTreeSet<_> = cores.iter().collect();
    let cpus = machine.cpus.len();
    distinct.len() < cores.len() || (cpus > 0 && tx.len() + rx.len() > cpus)
}

/// The CPUs, one of each physical core first.
fn physical_first(machine: &Machine) -> Vec<usize> {
    let second: BTreeSet<usize> =
        machine.siblings.iter().flat_map(|group| group.iter().skip(1).copied()).collect();
    let (mut order, rest): (Vec<_>, Vec<_>) =
        machine.cpus.iter().copied().partition(|cpu| !second.contains(cpu));
    order.extend(rest);
    order
}

/// What the plan needs to know of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// CPUs that this process may run on; empty where the system does not say.
    pub cpus: Vec<usize>,
    /// Groups of those that share a physical core.
    pub siblings: Vec<Vec<usize>>,
    /// Engines that cannot be had here.
    pub missing: Vec<MissingEngine>,
    /// The engines that `auto` stands for: those that won when they were tried.
    pub fastest: Option<EnginePair>,
}

impl Machine {
    /// Why these engines cannot be had here; `None` where they can.
    pub fn lacks(&self, pair: EnginePair) -> Option<&MissingEngine> {
        let words = [pair.tx.word(), pair.rx.word()];
        self.missing.iter().find(|missing| words.contains(&missing.engine.as_str()))
    }
}
