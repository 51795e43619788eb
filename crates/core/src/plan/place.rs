//! What the machine allows: the cores of workers, and the engine of an echo server.

use std::collections::BTreeSet;

use super::error::PlanError;
use super::options::{EngineWord, MissingEngine, Pinning};
use super::scenario::Scenario;
use crate::engine::{ENGINES, EchoKind, EngineKind, EnginePair, EngineRow};

pub(super) struct Placement {
    pub(super) tx: Vec<Option<usize>>,
    pub(super) rx: Vec<Option<usize>>,
}

pub(super) fn place(scenario: &Scenario, machine: &Machine) -> Result<Placement, PlanError> {
    let workers = usize::from(scenario.threads);
    match &scenario.pin {
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
        Pinning::Auto if !machine.cpus.is_empty() => {
            let order = physical_first(machine);
            let core = |i: usize| Some(order[i % order.len()]);
            // Sender and receiver of one number get distinct cores if there are two. With a peer,
            // receivers begin at the second core, in case the peer is on this host.
            let pair = |worker: usize| match (scenario.route.sends(), scenario.route.receives()) {
                (true, true) => (core(2 * worker), core(2 * worker + 1)),
                _ => (core(worker), core(worker + 1)),
            };
            // Other processes of the run may share these cores.
            let first = usize::from(scenario.member.local_rank) * workers;
            let (tx, rx) = (first..first + workers).map(pair).unzip();
            Ok(Placement { tx, rx })
        }
        _ => Ok(Placement { tx: vec![None; workers], rx: vec![None; workers] }),
    }
}

/// Which senders, and which receivers, run in real time: senders first, as many as leave one CPU
/// without such a worker.
pub(super) fn realtime(
    scenario: &Scenario,
    placement: &Placement,
    machine: &Machine,
) -> Result<[Vec<bool>; 2], PlanError> {
    let sides = [
        (scenario.route.sends(), &placement.tx[..]),
        (scenario.route.receives(), &placement.rx[..]),
    ];
    let here = sides.map(|(is_here, cores)| if is_here { cores } else { &[] });
    let mut left = machine.cpus.len().saturating_sub(1);
    if scenario.realtime {
        if here.concat().contains(&None) {
            return Err(PlanError::RealtimeUnpinned);
        }
        if left == 0 {
            return Err(PlanError::RealtimeOneCpu);
        }
        if crowded(scenario, placement, machine) {
            return Err(PlanError::RealtimeShared { cpus: machine.cpus.len() });
        }
    }
    Ok(sides.map(|(is_here, cores)| {
        let mut grant = || {
            let granted = scenario.realtime && is_here && left > 0;
            left -= usize::from(granted);
            granted
        };
        cores.iter().map(|_| grant()).collect()
    }))
}

/// Whether workers share a core, so that one that spins would delay another.
pub(super) fn crowded(scenario: &Scenario, placement: &Placement, machine: &Machine) -> bool {
    let tx = if scenario.route.sends() { &placement.tx[..] } else { &[] };
    let rx = if scenario.route.receives() { &placement.rx[..] } else { &[] };
    let cores: Vec<_> = tx.iter().chain(rx).flatten().collect();
    let distinct: BTreeSet<_> = cores.iter().collect();
    let cpus = machine.cpus.len();
    let all = (tx.len() + rx.len()) * usize::from(scenario.member.local_of);
    distinct.len() < cores.len() || (cpus > 0 && all > cpus)
}

fn physical_first(machine: &Machine) -> Vec<usize> {
    let second: BTreeSet<usize> =
        machine.siblings.iter().flat_map(|group| group.iter().skip(1).copied()).collect();
    let (mut order, rest): (Vec<_>, Vec<_>) =
        machine.cpus.iter().copied().partition(|cpu| !second.contains(cpu));
    order.extend(rest);
    order
}

/// The facts about the machine that a plan needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// CPUs that this process may run on; empty if unknown.
    pub cpus: Vec<usize>,
    /// Groups of those that share a physical core.
    pub siblings: Vec<Vec<usize>>,
    /// Engines that are not available.
    pub missing: Vec<MissingEngine>,
    /// The fastest engines of a trial, for `auto`.
    pub fastest: Option<EnginePair>,
}

impl Machine {
    /// Why these engines are not available; `None` if they are.
    pub fn lacks(&self, pair: EnginePair) -> Option<&MissingEngine> {
        let words = [pair.tx.word(), pair.rx.word()];
        self.missing.iter().find(|missing| words.contains(&missing.engine.as_str()))
    }

    /// The pair, or an error if one of its engines is not available.
    pub(super) fn require(&self, pair: EnginePair) -> Result<EnginePair, PlanError> {
        match self.lacks(pair) {
            None => Ok(pair),
            Some(missing) => Err(PlanError::NoEngine { requested: pair, missing: missing.clone() }),
        }
    }
}

impl EchoKind {
    /// The engine that a word selects on this machine; fails for engines that do not echo or that
    /// are not available.
    pub fn choose(requested: EngineWord, machine: &Machine) -> Result<Self, PlanError> {
        let EngineWord::Pair(pair) = requested else {
            if requested == EngineWord::All {
                return Err(PlanError::NoEcho { requested });
            }
            let here = EngineRow::ranked(|row| {
                let pair = row.pair().filter(|_| row.echo.is_some());
                pair.is_some_and(|pair| machine.lacks(pair).is_none())
            });
            // If not even sockets work, opening one reports the reason.
            return Ok(here.first().and_then(|row| row.echo).unwrap_or(Self::Plain));
        };
        let row = ENGINES.iter().find(|row| row.pair() == Some(pair));
        let kind = row.and_then(|row| row.echo).ok_or(PlanError::NoEcho { requested })?;
        machine.require(pair).map(|_| kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_the_best_echo_engine_available() {
        let choose = |word: &str, lacks: &[&str]| {
            let owned = |engine: &&str| ((*engine).to_owned(), "old".to_owned());
            let missing = lacks.iter().map(owned);
            let missing = missing.map(|(engine, why)| MissingEngine { engine, why }).collect();
            EchoKind::choose(word.parse().unwrap(), &Machine { missing, ..Machine::default() })
        };
        for (word, lacks, kind) in [
            ("auto", &[][..], EchoKind::Offload),
            ("auto", &["gso"], EchoKind::Batch),
            ("auto", &["gro", "batch"], EchoKind::Plain),
            ("plain", &["gro"], EchoKind::Plain),
            ("uring", &[], EchoKind::Uring),
        ] {
            assert_eq!(choose(word, lacks), Ok(kind), "{word}");
        }
        assert!(matches!(choose("offload", &["gro"]), Err(PlanError::NoEngine { .. })));
        for word in ["null", "all", "gso/batch"] {
            let error = choose(word, &[]).unwrap_err();
            assert!(error.to_string().contains("plain, batch, offload, uring"), "{error}");
        }
    }
}
